"""OS::Octavia::Quota: how much of Octavia a project may have."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.model import Desired, Outcome, Ready, Recorded, Request, Send
from reconcilers.registry import register
from reconcilers.resource_type import UNDONE, Association

QUOTAS = "/lbaas/quotas"


@register
class Quota(Association):
    """It is there as soon as the project has limits of its own, and gone when it has the cloud's defaults again.

    A limit that the template no longer gives goes back to the default.
    """

    type = "OS::Octavia::Quota"
    service = "load_balancer"
    listing = QUOTAS
    plural = "quotas"
    limits: ClassVar[tuple[str, ...]] = ("healthmonitor", "listener", "loadbalancer", "member", "pool")

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {"project": str(desired.properties["project"])}

    @override
    def identity(self, recorded: Recorded) -> str:
        return recorded.data["project"]

    @override
    def identify(self, item: Mapping[str, Any]) -> Iterable[str]:
        return (str(item["project_id"]),)

    @override
    def read(self, recorded: Recorded) -> Request:
        """The quota by itself is shown for every project: only the list tells whose are not the defaults."""
        return Request(self.service, "GET", QUOTAS, params={"project_id": self.identity(recorded)})

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        if not isinstance(body, Mapping):
            return None
        items = body.get("quotas") or ([body["quota"]] if "quota" in body else [])
        return next((item for item in items if self.identity(recorded) in self.identify(item)), None)

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        exists = desired is not None and observed is not None
        if desired is not None and exists and any(not self.holds(name, desired, observed) for name in desired.changed):
            return self.link(desired, recorded)
        return super().step(desired, recorded, observed)

    def holds(self, name: str, desired: Desired, observed: Mapping[str, Any]) -> bool:
        """Whether the project has the limit; one that is not given is not looked at, but set at a change."""
        return name not in self.limits or observed.get(name) == desired.properties.get(name)

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        given = (name for name in self.limits if desired.properties.get(name) is not None)
        return frozenset(name for name in given if not self.holds(name, desired, observed))

    @override
    def link(self, desired: Desired, recorded: Recorded) -> Outcome:
        limits = {name: desired.properties.get(name) for name in self.limits if name in desired.changed}
        if not limits:
            return Ready(applies=desired.changed)
        path = f"{QUOTAS}/{self.identity(recorded)}"
        return Send(Request(self.service, "PUT", path, {"quota": limits}), applies=desired.changed)

    @override
    def unlink(self, recorded: Recorded, observed: Any) -> Outcome:
        path = f"{QUOTAS}/{self.identity(recorded)}"
        return Send(Request(self.service, "DELETE", path, done=frozenset({404})), into=UNDONE)
