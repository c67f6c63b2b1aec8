"""OS::Nova::KeyPair: a public key under a name, made here if none is given."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from reconcilers.compute import ssh_key
from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Ready, Recorded, Replace, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import ResourceType

CLOCKS_APART = timedelta(seconds=60)
"""How much earlier than its record a key pair may seem to be made: the clocks are of two machines."""

WIDER_NAMES = "2.92"
"""The microversion in which names may have ``.`` and ``@`` too."""
_PLAIN = re.compile(r"[-_ a-zA-Z0-9]+")


@register
class KeyPair(ResourceType):
    """Known by its name: the same public key under that name, not older than our record, is ours.

    A pair that is not given is derived from the resource's secret seed: the same each time, and stored nowhere.
    """

    type = "OS::Nova::KeyPair"
    service = "compute"
    listing = "/os-keypairs"
    plural = "keypairs"
    microversion = "2.10"
    delete_first = True
    keeps = frozenset({"private_key"})

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        user = desired.properties.get("user")
        made = {} if desired.properties.get("public_key") else {"made": "here"}
        key = {"key": _digest(_public_key(desired))}
        return {"name": desired.properties["name"], **key, **made, **({"user": user} if user else {})}

    @override
    def identity(self, recorded: Recorded) -> str | None:
        return recorded.data.get("name")

    @override
    def imported_id(self, given: str, draft: Recorded) -> str:
        return self.identity(draft) or given

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is None:
            request = Request(
                self.service,
                "DELETE",
                self._path(recorded),
                params=_whose(recorded),
                microversion=self.microversion,
                done=frozenset({404}),
            )
            return Gone() if observed is None else Send(request)
        return Ready(applies=desired.changed) if observed is not None else self._make(desired)

    def _make(self, desired: Desired) -> Outcome:
        properties = desired.properties
        if properties.get("type") == "x509" and not properties.get("public_key"):
            reason = "an x509 key pair needs a public_key: only ssh keys are made here"
            return Failed(reason, Fault.INVALID, "public_key")
        body = {
            "name": properties["name"],
            "public_key": _public_key(desired),
            **({"type": properties["type"]} if properties.get("type") else {}),
            **({"user_id": properties["user"]} if properties.get("user") else {}),
        }
        version = self.microversion if _PLAIN.fullmatch(properties["name"]) else WIDER_NAMES
        request = Request(self.service, "POST", self.listing, {"keypair": body}, microversion=version)
        return Send(request, applies=desired.changed, creates=True)

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Under another name both can be there."""
        found = super().replacement(desired, recorded, observed)
        if isinstance(found, Replace):
            return Replace(found.why, delete_first=recorded.data.get("name") == desired.properties["name"])
        return found

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        if observed is None:
            return {}
        shown = _unwrapped(observed)
        return {"public_key": shown.get("public_key"), "private_key": _private_key(desired), "show": shown}

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        if desired.kept is not None and not desired.properties.get("public_key"):
            return frozenset()  # it was taken over, so it does not follow from the seed
        shown = _unwrapped(observed).get("public_key")
        same = shown is None or shown.strip() == _public_key(desired)
        return frozenset() if same else frozenset({"public_key"})

    # Reading.

    @override
    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        return (str(_unwrapped(item)["name"]),)

    @override
    def read(self, recorded: Recorded) -> Request:
        return Request(
            self.service, "GET", self._path(recorded), params=_whose(recorded), microversion=self.microversion
        )

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        return body.get("keypair") if isinstance(body, Mapping) else None

    @override
    def find(self, recorded: Recorded) -> Request | None:
        return Request(self.service, "GET", self.listing, params=_whose(recorded), microversion=self.microversion)

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        shown = _unwrapped(item)
        if (
            shown.get("name") != recorded.data.get("name")
            or _digest(shown.get("public_key", "")) != recorded.data["key"]
        ):
            return False
        return "made" in recorded.data or not _older(shown.get("created_at"), recorded.created_at)

    def _path(self, recorded: Recorded) -> str:
        return f"{self.listing}/{quote(recorded.data.get('name') or str(recorded.physical_id), safe='')}"


def _unwrapped(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A key pair of the list stands in an envelope of its own."""
    found: Mapping[str, Any] = item.get("keypair", item)
    return found


def _whose(recorded: Recorded) -> dict[str, str]:
    return {"user_id": recorded.data["user"]} if "user" in recorded.data else {}


def _public_key(desired: Desired) -> str:
    given = desired.properties.get("public_key")
    return str(given).strip() if given else ssh_key.public(ssh_key.derive(desired.seed))


def _private_key(desired: Desired | None) -> str:
    """Heat's: there is one only if the pair was made here and the template asks to keep it."""
    if desired is None or desired.properties.get("public_key") or not desired.properties.get("save_private_key"):
        return ""
    if desired.kept is not None:
        return desired.kept.get("private_key", "")
    return ssh_key.private(ssh_key.derive(desired.seed))


def _digest(public_key: str) -> str:
    return hashlib.sha256(public_key.strip().encode()).hexdigest()


def _older(made: str | None, recorded: str) -> bool:
    """Whether something was made before our record of it; unknown times prove nothing."""
    if not made or not recorded:
        return False
    return _time(made) + CLOCKS_APART < _time(recorded)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
