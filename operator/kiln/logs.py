"""Structured logs without secrets.

Each line carries the Stack, the pass and the OpenStack request that it belongs to, as far as they are known where it is
written (``context``). Whatever is hidden is registered with ``redact`` while it is in use, and is cut out of every line
and traceback as the last step before it is written, at every level.
"""

import base64
import contextlib
import contextvars
import json
import logging
import re
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import quote

MARK: Final = "***"
_SHORTEST: Final = 4
"""Shorter values are parts of ordinary words; cutting them out would make lines unreadable and tell where they are."""
_MOST: Final = 20_000
_FIELDS: Final = ("stack", "pass_id", "request_id")

_HEADER: Final = r"(?:x-auth-token|x-subject-token|authorization)['\"]?\s*[:=]\s*['\"]?(?:bearer |basic )?"
_NAMED: Final = r"['\"]?\b\w*(?:password|passwd|adminpass|secret|api_key|token)['\"]?\s*[:=]\s*"
_PATTERNS: Final = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MARK),
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
    """Cuts known secrets, and what looks like one, out of texts. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._values: tuple[str, ...] = ()

    def register(self, owner: str, values: Iterable[str]) -> None:
        """From now on these are the secrets of ``owner`` (a Stack, say), in place of earlier ones."""
        forms = frozenset(form for value in values for form in _forms(value))
        with self._lock:
            if self._owners.get(owner, frozenset()) == forms:
                return
            self._owners.pop(owner, None)
            if forms:
                self._owners[owner] = forms
            while sum(map(len, self._owners.values())) > _MOST and len(self._owners) > 1:
                self._owners.popitem(last=False)
            # Longest first, so that a secret that contains another goes as a whole.
            self._values = tuple(sorted(set().union(*self._owners.values()), key=len, reverse=True))

    def forget(self, owner: str) -> None:
        """The owner is gone."""
        self.register(owner, ())

    def holds(self, text: str) -> bool:
        """Whether a known secret stands in the text."""
        return any(value in text for value in self._values)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for value in self._values:
            if value in text:
                text = text.replace(value, MARK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _forms(value: str) -> Iterator[str]:
    """A secret as it may stand in a text: plain, in JSON, a repr, a URL or base64, and each line of a longer one."""
    if len(value) < _SHORTEST:
        return
    yield value
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")
    yield base64.b64encode(value.encode()).decode()
    if "\n" in value:
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= 4 * _SHORTEST)


redact: Final = Redactor()
"""The one of this process."""


class _Formatter(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        bound = _context.get()
        found = {name: getattr(record, name, None) or bound.get(name) for name in _FIELDS}
        return {name: str(value) for name, value in found.items() if value}


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **self.fields(record),
        }
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(_Formatter):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        bound = " ".join(self.fields(record).values())
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        where = f" [{bound}]" if bound else ""
        return redact(f"{moment}.{int(record.msecs):03d} {record.levelname:7} {record.name}{where} {text}")


def configure(level: str, style: Literal["json", "text"]) -> None:
    """Send all logs to standard error in this style.

    Libraries stay at warnings at every level: keystoneauth's debug lines hold request bodies with user data and
    passwords, and the Kubernetes client's hold Secrets.
    """
    handler = logging.StreamHandler(sys.stderr)
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
