"""Names into ids: flavors, images, networks, ... that a template refers to by name.

Ids that are recognisable as such cost no call. What was found is kept for a short time, so a thousand servers of one
flavor ask once. What was not found is not kept: it may be made at any moment. What the cloud refutes (a call says that
the thing is not there, or deletes it) is dropped at once.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from reconcilers import registry
from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.faults import expected_form
from reconcilers.cloud.session import Answer, Cloud
from reconcilers.errors import CloudError
from reconcilers.finders import Finder
from reconcilers.model import Fault, Request

KEPT = 20.0
"""Seconds for which what was found is believed."""

MOST_KNOWN = 50_000
"""Names remembered, at most."""

DOMAIN = "keystone.domain"
_IN_DOMAIN = re.compile(r"(?P<name>.+)\{(?P<domain>.*?)\}")
_NO_WORD = re.compile(r"[^0-9A-Za-z_-]+")
_GONE = 404
_REFUSED = frozenset({400, 404})


class UnresolvedNameError(CloudError):
    """No thing of this ``kind`` has the name or id ``value``, or several have."""

    def __init__(self, kind: str, value: str, reason: str) -> None:
        super().__init__(Fault.INVALID, reason, status=_GONE)
        self.kind = kind
        self.value = value

    def without_value(self) -> "UnresolvedNameError":
        """The same error for a value that nobody may see."""
        return UnresolvedNameError(self.kind, self.value, f"there is no single {words(self.kind)} of this name")

    @override
    def of(self, service: str) -> CloudError:
        """The template's value is wrong, whichever service said so."""
        return self


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list of candidates: when it was asked for (loop time, seconds), and its items."""

    asked_at: float
    items: "asyncio.Task[list[dict[str, Any]]]"

    @property
    def failed(self) -> bool:
        """Whether there is an error instead of items."""
        return self.items.done() and (self.items.cancelled() or self.items.exception() is not None)


class Lookup:
    """Resolves names in one cloud, each at most once at a time."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lists: dict[tuple[str, str], _Listing] = {}
        self._ids: dict[tuple[str, str], tuple[float, str]] = {}
        self._names: dict[str, set[tuple[str, str]]] = {}
        """Kinds and names by the ids that they mean."""

    def known(self, kind: str, value: str) -> str | None:
        """The id that this name had when it was last looked up, without a call; None if it never was."""
        finder = registry.finder(kind)
        if finder is None or finder.is_id(value):
            return value
        held = self._ids.get((kind, value))
        return held[1] if held else None

    async def resolve(self, kind: str, value: Any, caller: Caller = ANYBODY) -> Any:
        """The id for a name or id of this kind.

        Raises :class:`UnresolvedNameError` if there is none, or more than one, and :class:`CloudError` if the cloud
        gives no answer. Values that are no text, or of a kind that nothing here finds, stay as they are.
        """
        finder = registry.finder(kind)
        if finder is None or not isinstance(value, str) or not value or finder.is_id(value):
            return value
        learned = self._ids.get((kind, value))
        if learned and _now() - learned[0] < KEPT:
            return learned[1]
        if finder.opaque and not finder.whole and await self._is_id(finder, value, caller):
            return self._learn(kind, value, value)
        name, domain = await self._split(finder, value, caller)
        started = _now()
        found: set[str] = set()
        # Only a list that was asked for after this began can tell that there is none.
        for since in (started - KEPT, started):
            items = await self._items(kind, finder, name, domain, since=since, caller=caller)
            with expected_form(finder.service):
                found = _matching(finder, name, items)
            if len(found) == 1:
                return self._learn(kind, value, found.pop())
        if found:
            raise UnresolvedNameError(
                kind, value, f"there are {len(found)} of kind {words(kind)} named {value!r}: give the id"
            )
        raise UnresolvedNameError(kind, value, f"there is no {words(kind)} {value!r}")

    async def exists(self, kind: str, value: Any, caller: Caller = ANYBODY) -> None:
        """Check a custom constraint: the thing of this name or id is there.

        Raises :class:`UnresolvedNameError` if not.
        """
        finder = registry.finder(kind)
        if finder is None or not isinstance(value, str) or not value:
            return
        if not finder.is_id(value):
            await self.resolve(kind, value, caller)
        elif not await self._is_id(finder, value, caller):
            raise UnresolvedNameError(kind, value, f"there is no {words(kind)} {value!r}")

    # What the cloud refutes.

    def watch(self, send: Callable[[Request], Awaitable[Answer]]) -> Callable[[Request], Awaitable[Answer]]:
        """``send``, whose answers teach this look-up what is gone.

        A call that is refused because of an id that was looked up, and whose name means something else by now, counts
        as a conflict: it is tried again, with the name looked up anew.
        """

        async def watched(request: Request) -> Answer:
            try:
                answer = await send(request)
            except CloudError as error:
                if error.status in _REFUSED and error.fault is Fault.INVALID:
                    refuted = self._drop(f"{request.path} {error.message}")
                    if any([await self._moved(kind, value, old) for (kind, value), old in refuted.items()]):
                        error.fault = Fault.CONFLICT
                raise
            if request.method == "DELETE" or answer.status == _GONE:
                self._drop(request.path)
            return answer

        return watched

    async def _moved(self, kind: str, value: str, old: str) -> bool:
        """Whether a name means something else than it did."""
        try:
            return bool(await self.resolve(kind, value) != old)
        except CloudError:
            return False

    def _drop(self, text: str) -> dict[tuple[str, str], str]:
        """Forget the names of what the text speaks of by its id: kinds and names with what they meant."""
        said = set(_NO_WORD.split(text)) & self._names.keys()
        refuted = {key: identity for identity in said for key in self._names.pop(identity)}
        kinds = {kind for kind, _ in refuted}
        for key in refuted:
            self._ids.pop(key, None)
        if kinds:
            self._lists = {key: listing for key, listing in self._lists.items() if key[0] not in kinds}
        return refuted

    # Asking.

    def _learn(self, kind: str, value: str, identity: str) -> str:
        if len(self._ids) > MOST_KNOWN:
            self._ids.clear()
            self._names.clear()
        self._ids[(kind, value)] = (_now(), identity)
        self._names.setdefault(identity, set()).add((kind, value))
        return identity

    async def _split(self, finder: Finder, value: str, caller: Caller) -> tuple[str, str]:
        """The name, and the id of the domain in braces behind it; empty if there is none."""
        match = _IN_DOMAIN.fullmatch(value) if finder.domains else None
        if match is None:
            return value, ""
        return match["name"], str(await self.resolve(DOMAIN, match["domain"], caller))

    async def _is_id(self, finder: Finder, value: str, caller: Caller) -> bool:
        answer = await self._cloud.send(
            Request(finder.service, "GET", f"{finder.path}/{quote(value, safe='')}", done=frozenset({_GONE})), caller
        )
        return answer.status != _GONE

    async def _items(
        self, kind: str, finder: Finder, name: str, domain: str, *, since: float, caller: Caller
    ) -> "list[dict[str, Any]]":
        """The candidates, from a list that was asked for at ``since`` (loop time) or later."""
        key = (kind, "" if finder.whole else f"{name}{{{domain}}}")
        params = dict(finder.params)
        if not finder.whole:
            params |= {"name": name, **({"domain_id": domain} if domain else {})}
        if finder.own:
            params["project_id"] = await self._cloud.project_id()
        listing = self._lists.get(key)
        if listing is None or listing.asked_at < since or listing.failed:
            now = _now()
            request = Request(finder.service, "GET", finder.path, params=params)
            listing = _Listing(now, asyncio.create_task(self._cloud.list(request, finder.plural)))
            self._lists = {other: held for other, held in self._lists.items() if now - held.asked_at <= KEPT}
            self._lists[key] = listing
        items = await caller.wait(asyncio.shield(listing.items))
        return [item.get(finder.envelope, item) for item in items]


def _matching(finder: Finder, name: str, items: "list[dict[str, Any]]") -> set[str]:
    """What is given for the items that have this id; if none has, for those that have this name."""
    for key in ("id", "name"):
        found = {str(item[finder.key]) for item in items if str(item.get(key)) == name}
        if found:
            return found
    return set()


def _now() -> float:
    return asyncio.get_running_loop().time()


def words(kind: str) -> str:
    """The kind in words: ``neutron.security_group`` is a security group."""
    return kind.partition(".")[2].replace("_", " ")
