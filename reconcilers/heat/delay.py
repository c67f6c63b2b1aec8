"""OS::Heat::TestResource and OS::Heat::Delay: resources that let time pass."""

import hashlib
import hmac
import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Pause, Ready, Recorded, Replace
from reconcilers.registry import register
from reconcilers.resource_type import Local

_DONE = "waited"
"""In the record: a keyed digest of the properties for which the time has passed; "deleted" for the deletion's."""
_DELETION = "deletion_seconds"
"""In the record: how long a deletion will wait, since then the properties are gone."""


class Waiting(Local):
    """Waits when it is created, changed and deleted, as long as the subclass says."""

    why: ClassVar[str]

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {_DELETION: str(self.seconds("delete", desired))}

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is None:
            seconds = float(recorded.data.get(_DELETION, "0"))
            if not seconds or recorded.data.get(_DONE) == "deleted":
                return Gone()
            return Pause(seconds, self.why, {_DONE: "deleted"})
        mark = _digest(desired, "done").hex()[:16]
        if not desired.changed or recorded.data.get(_DONE) == mark:
            return self.end(desired)
        seconds = self.seconds("update" if _DONE in recorded.data else "create", desired)
        return Pause(seconds, self.why, {_DONE: mark, **self.intent(desired)})

    @abstractmethod
    def seconds(self, action: str, desired: Desired) -> float:
        """How long to wait for create, update or delete; the same for the same properties. Negative: without end."""

    def end(self, desired: Desired) -> Outcome:
        """What comes after the wait."""
        return Ready(applies=desired.changed)


@register
class TestResource(Waiting):
    """Heat's resource for tests of the engine. The work that it simulates in clients and constraints is left out."""

    __test__ = False
    type = "OS::Heat::TestResource"
    why = "is being tested"

    @override
    def seconds(self, action: str, desired: Desired) -> float:
        """An update waits when the value changes."""
        if action == "update" and "value" not in desired.changed:
            return 0.0
        own = (desired.properties.get("action_wait_secs") or {}).get(action)
        seconds = float(desired.properties["wait_secs"] if own is None else own)
        return float("inf") if seconds < 0 else seconds

    @override
    def end(self, desired: Desired) -> Outcome:
        if desired.changed and desired.properties.get("fail"):
            return Failed(f"Test Resource failed {desired.name}", Fault.INVALID, "fail")
        return super().end(desired)

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        if "value" in desired.changed and desired.properties.get("update_replace"):
            return Replace("value changed")
        return super().replacement(desired, recorded, observed)

    @override
    def attributes(self, desired: Desired | None, recorded: Recorded, observed: Any) -> dict[str, Any]:
        return {} if desired is None else {"output": desired.properties.get("value")}


@register
class Delay(Waiting):
    """Lets a time pass, with a jitter, when it is made or deleted."""

    type = "OS::Heat::Delay"
    why = "is letting time pass"

    @override
    def seconds(self, action: str, desired: Desired) -> float:
        properties = desired.properties
        if action.upper() not in properties["actions"]:
            return 0.0
        share = int.from_bytes(_digest(desired, action)[:8], "big") / 2**64
        return float(properties["min_wait"] + properties["max_jitter"] * properties["jitter_multiplier"] * share)


def _digest(desired: Desired, purpose: str) -> bytes:
    """A keyed digest of the properties, so that nothing of them can be read or guessed from it."""
    text = json.dumps([purpose, desired.properties], sort_keys=True, default=str)
    return hmac.new(desired.seed, text.encode(), hashlib.sha256).digest()
