"""Resources that were restored from copies: which properties take the place of the template's, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from reconcilers.digests import Digester

RESTORED: Final = "restored"
"""In a record's data: the restore that the resource was last made or changed by."""
_KEY: Final = "@key"
"""Among the digests of the template's values: shows with which key they were made."""


@dataclass(frozen=True, slots=True)
class Restore:
    """One resource's restore.

    ``properties`` take the place of the template's until one of those changes: ``given`` are keyed digests of the
    template's values when the restore began, empty before that. ``nonce`` is another one for each restore.
    """

    type: str
    nonce: str
    properties: Mapping[str, Any]
    given: Mapping[str, str] = field(default_factory=dict)

    def begun(self, template: Mapping[str, Any], digester: Digester) -> "Restore":
        """The restore with the digests of the template's values."""
        given = {name: digester.property(name, template.get(name)) for name in self.properties}
        return replace(self, given={**given, _KEY: digester.value(_KEY)})

    def holds(self, type_name: str, template: Mapping[str, Any], digester: Digester) -> bool:
        """Whether the template still gives what it gave when the restore began.

        Digests of a key that was lost cannot be compared. Then the restore holds, because its end would lose data.
        """
        if type_name != self.type:
            return False
        now = self.begun(template, digester).given
        return self.given in ({}, now) or self.given.get(_KEY) != now[_KEY]
