"""What Octavia's types have in common: the load balancer as a lock, statuses, the token among the tags.

A load balancer takes one change at a time, and answers 409 to others meanwhile. So every request that changes it or
something below it names its lane; the dispatch sends one after another. Octavia marks what changes as PENDING_CREATE,
PENDING_UPDATE or PENDING_DELETE, and in the end as ACTIVE or ERROR.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Failed, Fault, Lane, Outcome, Ready, Recorded, Replace, Request, Send, Wait
from reconcilers.resource_type import TOKEN, RestResource

LOAD_BALANCERS = "/lbaas/loadbalancers"
LISTENERS = "/lbaas/listeners"
POOLS = "/lbaas/pools"
POLICIES = "/lbaas/l7policies"

STACK = "kiln-stack:"
"""What stands before the uid of the Stack in a tag: who may delete a load balancer with all that is below it."""

PENDING = "PENDING_"
"""How the provisioning statuses begin in which something cannot be changed."""


@dataclass(frozen=True, slots=True)
class BalancerLane(Lane):
    """The lane of a load balancer, for changes of it or of what is below it."""

    @property
    @override
    def service(self) -> str:
        return "load_balancer"

    @override
    def locks(self, path: str) -> bool:
        return path.startswith(f"{LOAD_BALANCERS}/")

    @override
    def above(self, body: Any) -> str:
        """Listeners and pools show their load balancer, policies their listener."""
        (item,) = body.values()
        if item.get("loadbalancers"):
            return f"{LOAD_BALANCERS}/{item['loadbalancers'][0]['id']}"
        return f"{LISTENERS}/{item['listener_id']}"

    @override
    def condition(self, body: Any) -> Ready | Wait | Failed:
        item = body["loadbalancer"]
        status = str(item["provisioning_status"])
        if status.startswith(PENDING):
            return Wait(f"has been {status}")
        if status == "ERROR":
            return Failed(f"load balancer {item['id']} is in ERROR and takes no changes", Fault.RESOURCE)
        return Ready()


class Octavia(RestResource):
    """Something that is, or is below, a load balancer. Its tags hold the ownership token.

    ``parent`` is the property that names what it is below, ``parents`` the collection of that. Deleting the parent
    deletes it too.
    """

    service: ClassVar[str] = "load_balancer"
    status_key: ClassVar[str] = "provisioning_status"
    ready: ClassVar[frozenset[str]] = frozenset({"ACTIVE"})
    delete_is_final: ClassVar[bool] = False
    patience: ClassVar[float] = 1800.0
    token_field: ClassVar[str] = "tags"
    parent: ClassVar[str] = ""
    parents: ClassVar[str] = ""

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {self.parent: str(desired.properties[self.parent])} if self.parent else {}

    def above(self, recorded: Recorded) -> str:
        """The path of the nearest resource above that is known; the load balancer itself is its own."""
        return f"{self.parents}/{recorded.data[self.parent]}" if self.parent else self.path(recorded)

    def lane(self, recorded: Recorded) -> Lane | None:
        """What a change of this resource locks."""
        return BalancerLane(path=self.above(recorded), shown=self.key)

    # Steps.

    @override
    def create(self, desired: Desired, recorded: Recorded) -> Outcome:
        body = self.wrap(self.stamp(self.body(desired), recorded))
        request = Request(self.service, "POST", self.place(recorded), body, lane=self.lane(recorded))
        return Send(request, applies=self.applied_by_create(desired), creates=True)

    def place(self, recorded: Recorded) -> str:
        """The collection that the resource is made in."""
        return self.collection

    @override
    def update(self, desired: Desired, recorded: Recorded, observed: Any) -> Outcome:
        body = self.update_body(desired, recorded, observed)
        if not body:
            return Ready(applies=desired.changed)
        request = Request(self.service, "PUT", self.path(recorded), self.wrap(body), lane=self.lane(recorded))
        return Send(request, applies=desired.changed)

    @override
    def update_body(self, desired: Desired, recorded: Recorded, observed: Any) -> dict[str, Any]:
        """Tags are sent with those of ours."""
        body = super().update_body(desired, recorded, observed)
        return self.stamp(body, recorded) if self.token_field in body else body

    @override
    def remove(self, recorded: Recorded, observed: Any) -> Outcome:
        """What is being made or changed cannot be deleted yet: the lane waits for it."""
        outcome = super().remove(recorded, observed)
        if isinstance(outcome, Send):
            path = self.path(recorded)
            return Send(Request(self.service, "DELETE", path, done=frozenset({404}), lane=self.lane(recorded)))
        return outcome

    @override
    def failure(self, observed: Mapping[str, Any]) -> str:
        return f"went to provisioning status {observed.get(self.status_key)}"

    # The token.

    @override
    def stamp(self, body: dict[str, Any], recorded: Recorded) -> dict[str, Any]:
        marks = [TOKEN + recorded.token, *([STACK + recorded.stack] if recorded.stack else [])]
        return {**body, "tags": [*(body.get("tags") or []), *marks]}

    @override
    def owned(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        return TOKEN + recorded.token in (item.get("tags") or [])

    @override
    def claim(self, recorded: Recorded, observed: Any) -> Send | None:
        if self.owned(observed, recorded):
            return None
        body = self.wrap(self.stamp({"tags": tags(observed.get("tags"))}, recorded))
        return Send(Request(self.service, "PUT", self.path(recorded), body, lane=self.lane(recorded)))

    def same_stack(self, item: Mapping[str, Any], recorded: Recorded) -> bool:
        """Whether an item was made by the Stack that ``recorded`` belongs to."""
        held = item.get("tags") or []
        if not recorded.stack:
            return self.token_of(item) is not None
        return STACK + recorded.stack in held

    def token_of(self, item: Mapping[str, Any]) -> str | None:
        """The token among the tags."""
        return next((tag.removeprefix(TOKEN) for tag in item.get("tags") or [] if tag.startswith(TOKEN)), None)

    # Replacement.

    def unique(self, desired: Desired) -> frozenset[str]:
        """Properties that no two resources can have in common, all of them together; empty: they can."""
        return frozenset()

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Where the new one would claim what the old one holds, the old one goes first."""
        verdict = super().replacement(desired, recorded, observed)
        if isinstance(verdict, Replace):
            claimed = self.unique(desired)
            return Replace(verdict.why, delete_first=bool(claimed) and not claimed & desired.changed)
        return verdict


def tags(shown: Any) -> list[str]:
    """Tags without those of ours."""
    return sorted(tag for tag in shown or [] if not tag.startswith((TOKEN, STACK)))
