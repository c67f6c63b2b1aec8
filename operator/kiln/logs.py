"""Structured logs without secrets.

Each line carries the Stack, the pass and the OpenStack request that it belongs to, as far as they are known where it is
written (``context``). Whatever is hidden is registered with ``redact`` while it is in use, and is cut out of every line
and traceback as the last step before it is written, at every level.
"""

import contextlib
import contextvars
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from kiln.redaction import Redactor
from reconcilers.cloud.limits import printable

_FIELDS: Final = ("stack", "pass_id", "request_id")
_LONGEST_FIELD: Final = 400

_context: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("kiln_log", default=MappingProxyType({}))


@contextlib.contextmanager
def context(**fields: str) -> Iterator[None]:
    """Within it every line carries these fields too: ``stack``, ``pass_id``, ``request_id``."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


redact: Final = Redactor()
"""The one of this process."""


class _Formatter(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        bound = _context.get()
        found = {name: getattr(record, name, None) or bound.get(name) for name in _FIELDS}
        return {name: printable(str(value))[:_LONGEST_FIELD] for name, value in found.items() if value}


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(redact(record.getMessage())),
            **self.fields(record),
        }
        if record.exc_info:
            line["error"] = "\n".join(map(printable, redact(self.formatException(record.exc_info)).split("\n")))
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(_Formatter):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        bound = " ".join(self.fields(record).values())
        where = f" [{bound}]" if bound else ""
        head = f"{moment}.{int(record.msecs):03d} {record.levelname:7} {record.name}{where} "
        text = head + printable(redact(record.getMessage()))
        if record.exc_info:
            # A line of an exception's text cannot pass for a record of its own.
            lines = redact(self.formatException(record.exc_info)).split("\n")
            text += "".join(f"\n    {printable(line)}" for line in lines)
        return text


class _Handler(logging.StreamHandler[Any]):
    """Writes lines to standard error; what of a line that cannot be written was not redacted is not shown at all."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say so, without what the line would have said."""
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(f"a line of {record.name} ({record.pathname}:{record.lineno}) could not be logged\n")


def _log_what_ends_python() -> None:
    """What nobody caught goes to the log like everything else, not past it to standard error."""
    log = logging.getLogger("kiln")

    def uncaught(kind: type[BaseException], error: BaseException | None, trace: Any) -> None:
        if not issubclass(kind, SystemExit | KeyboardInterrupt):
            log.critical("An exception that nobody caught", exc_info=(kind, error or kind(), trace))

    sys.excepthook = uncaught
    threading.excepthook = lambda told: uncaught(told.exc_type, told.exc_value, told.exc_traceback)
    sys.unraisablehook = lambda told: uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def configure(level: str, style: Literal["json", "text"]) -> None:
    """Send all logs to standard error in this style.

    Libraries stay at warnings at every level: keystoneauth's debug lines hold request bodies with user data and
    passwords, and the Kubernetes client's hold Secrets.
    """
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("kiln", "reconcilers", "hot_translator"):
        logging.getLogger(name).setLevel(level.upper())
    for name in ("kopf", "kubernetes", "urllib3", "aiohttp", "asyncio", "openstack", "keystoneauth", "keystoneauth1"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of running outside the main thread, which is meant.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    _log_what_ends_python()
