"""OS::Keystone::UserRoleAssignment and OS::Keystone::GroupRoleAssignment."""

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from reconcilers.identity.base import ROLES, Relations, grants, held_roles, noted, read_roles, recall, refused
from reconcilers.model import Desired, Failed, Gone, Outcome, Ready, Recorded, Replace, Request
from reconcilers.registry import register
from reconcilers.resource_type import ResourceType


class RoleAssignment(ResourceType):
    """Roles of a user or group that need not be the Stack's. It has no id of its own: the holder's serves.

    Assignments that are there but not in the record are somebody else's and stay.
    """

    service = "identity"
    holder: ClassVar[str]
    """The property that names the holder: user or group."""

    @override
    def intent(self, desired: Desired) -> Mapping[str, str]:
        return {self.holder: desired.properties[self.holder], ROLES: noted(grants(desired.properties.get(ROLES)))}

    @override
    def identity(self, recorded: Recorded) -> str | None:
        return recorded.data.get(self.holder)

    @override
    def imported_id(self, given: str, draft: Recorded) -> str:
        return self.identity(draft) or given

    @override
    def step(self, desired: Desired | None, recorded: Recorded, observed: Any) -> Outcome:
        if desired is None:
            return self.relations(frozenset(), recorded, observed).end() or Gone()
        problem = refused(desired.properties.get(ROLES))
        if problem is not None:
            return problem
        if observed is not None and "role_assignments" in observed and ROLES not in desired.changed:
            return Ready(applies=desired.changed)
        relations = self.relations(grants(desired.properties.get(ROLES)), recorded, observed)
        return relations.advance(self.read(recorded)) or Ready(applies=desired.changed)

    def relations(self, wanted: frozenset[str], recorded: Recorded, observed: Mapping[str, Any] | None) -> Relations:
        """How far the assignments are from those wanted."""
        seen = observed or {}
        return Relations(
            ROLES, self.where(recorded), wanted, held_roles(seen.get(ROLES) or seen), recall(recorded, ROLES), seen
        )

    def where(self, recorded: Recorded) -> str:
        """The holder's path."""
        return f"{self.holder}s/{recorded.data.get(self.holder) or recorded.physical_id}"

    @override
    def replacement(self, desired: Desired, recorded: Recorded, observed: Any) -> Replace | Failed | None:
        """Another holder gets a record of its own: so the former one loses the roles."""
        if self.holder in desired.changed:
            return Replace(f"{self.holder} changed")
        return super().replacement(desired, recorded, observed)

    @override
    def drift(self, desired: Desired, observed: Any) -> frozenset[str]:
        return frozenset() if grants(desired.properties.get(ROLES)) <= held_roles(observed) else frozenset({ROLES})

    @override
    def read(self, recorded: Recorded) -> Request:
        return read_roles(self.where(recorded))

    @override
    def extract(self, body: Any, recorded: Recorded) -> Any:
        """It exists while one of its assignments does, or when it has none."""
        if not isinstance(body, Mapping) or "role_assignments" not in body:
            return None
        known = recall(recorded, ROLES)
        return {**body, "id": recorded.physical_id} if not known or known & held_roles(body) else None


@register
class UserRoleAssignment(RoleAssignment):
    """Roles of a user."""

    type = "OS::Keystone::UserRoleAssignment"
    holder = "user"


@register
class GroupRoleAssignment(RoleAssignment):
    """Roles of a group."""

    type = "OS::Keystone::GroupRoleAssignment"
    holder = "group"
