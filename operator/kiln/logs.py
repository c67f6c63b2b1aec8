"""Structured logs without secrets.

Each line carries the Stack, the pass and the OpenStack request that it belongs to, as far as they are known where it is
written (``context``). Whatever is hidden is registered with ``redact`` while it is in use, and is cut out of every line
and traceback as the last step before it is written, at every level.
"""

import base64
import contextlib
import contextvars
import html
import itertools
import json
import logging
import re
import sys
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import quote, quote_plus

from reconcilers.cloud.limits import printable

MARK: Final = "***"
_SHORTEST: Final = 4
"""Shorter values are parts of ordinary words; cutting them out would make lines unreadable and tell where they are."""
_LONG: Final = 16
"""Characters from which on a part of a secret is one by itself."""
_MOST: Final = 50_000
"""Secrets in all their forms; those of the Stacks that had no pass for the longest time go first."""
_MOST_OF_ONE: Final = 5_000
"""The same of one owner, so that no Stack's secrets push those of all others out."""
_FIELDS: Final = ("stack", "pass_id", "request_id")
_LONGEST_FIELD: Final = 400

_HEADER: Final = r"(?:x-auth-token|x-subject-token|authorization)['\"]?\s*[:=]\s*['\"]?(?:bearer |basic )?"
_NAMED: Final = r"['\"]?\b\w*(?:password|passwd|adminpass|secret|api_key|token)['\"]?\s*[:=]\s*"
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_PATTERNS: Final = (
    (_PRIVATE_KEY, MARK),
    (re.compile(rf"({_HEADER})[^\s'\",]+", re.IGNORECASE), rf"\g<1>{MARK}"),
    (re.compile(rf"({_NAMED})(['\"])(?:(?!\2).)+\2", re.IGNORECASE), rf"\g<1>\g<2>{MARK}\g<2>"),
    (re.compile(r"\bgAAAA[\w-]{40,}={0,2}"), MARK),
)
"""What looks like a secret:

a private key, a header that authenticates, a quoted value after a telling name, a token.
"""

_context: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("kiln_log", default=MappingProxyType({}))


@contextlib.contextmanager
def context(**fields: str) -> Iterator[None]:
    """Within it every line carries these fields too: ``stack``, ``pass_id``, ``request_id``."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class Redactor:
    """Cuts known secrets, and what looks like one, out of texts. Safe to use from any thread.

    What a text costs does not grow with the number of secrets: they are found by how they begin.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._count = 0
        self._index: dict[str, Counter[str]] = {}
        """Secrets by their first characters, each with the number of its owners."""

    def register(self, owner: str, values: Iterable[str]) -> None:
        """From now on these are the secrets of ``owner`` (a Stack, say), in place of earlier ones."""
        forms = frozenset(itertools.islice(_forms(frozenset(values)), _MOST_OF_ONE))
        with self._lock:
            if self._owners.get(owner, frozenset()) == forms:
                if forms:
                    self._owners.move_to_end(owner)
                return
            self._drop(owner)
            if forms:
                self._owners[owner] = forms
                self._count += len(forms)
                for form in forms:
                    self._index.setdefault(form[:_SHORTEST], Counter())[form] += 1
            while self._count > _MOST and len(self._owners) > 1:
                self._drop(next(iter(self._owners)))

    def forget(self, owner: str) -> None:
        """The owner is gone."""
        self.register(owner, ())

    def holds(self, text: str) -> bool:
        """Whether a secret stands in the text: a known one, or a private key."""
        return bool(self._spans(text)) or _PRIVATE_KEY.search(text) is not None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        spans = self._spans(text)
        if spans:
            ends = [0, *(end for _, end in spans)]
            starts = [*(start for start, _ in spans), len(text)]
            text = MARK.join(text[end:start] for end, start in zip(ends, starts, strict=True))
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def _drop(self, owner: str) -> None:
        forms = self._owners.pop(owner, frozenset())
        self._count -= len(forms)
        for form in forms:
            found = self._index[form[:_SHORTEST]]
            found[form] -= 1
            if not found[form]:
                del found[form]
                if not found:
                    del self._index[form[:_SHORTEST]]

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where secrets stand, from the first to the last; those that overlap or touch as one."""
        spans: list[tuple[int, int]] = []
        with self._lock:
            if not self._index:
                return spans
            for start in range(len(text) - _SHORTEST + 1):
                found = self._index.get(text[start : start + _SHORTEST])
                if found is None:
                    continue
                longest = max((len(form) for form in found if text.startswith(form, start)), default=0)
                if not longest:
                    continue
                if spans and start <= spans[-1][1]:
                    spans[-1] = spans[-1][0], max(spans[-1][1], start + longest)
                else:
                    spans.append((start, start + longest))
        return spans


def _forms(values: frozenset[str]) -> Iterator[str]:
    """Secrets as they may stand in a text: first all of them plain, then encoded, and each line of a longer one."""
    values = frozenset(value for value in values if len(value) >= _SHORTEST)
    yield from values
    for value in values:
        yield json.dumps(value)[1:-1]
        yield repr(value)[1:-1]
        yield quote(value, safe="")
        yield quote_plus(value)
        yield html.escape(value)
        yield from _base64(value)
        if "\n" in value:
            yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= _LONG)


def _base64(value: str) -> Iterator[str]:
    """What stands in base64 of any text with this value in it: that depends on how many bytes go before."""
    yield base64.b64encode(value.encode()).decode()
    if len(value) < _LONG // 2:
        return
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value.encode()).decode().rstrip("=")
        # The first and the last characters are made of what stands around the value, too.
        inner = encoded[(before * 8 + 5) // 6 : -1]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


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
