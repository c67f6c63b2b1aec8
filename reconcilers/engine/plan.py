"""The plan of a reconciliation: what it would do with each resource, as a value that people approve."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconcilers.digests import Digester
from reconcilers.engine.action import Action, Verb
from reconcilers.engine.comparison import Change
from reconcilers.engine.foresight import NO_CALLS, Foreseen


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with each resource, in dependency order; deletions come last.

    ``calls`` are the requests that an action sends, and ``values`` those that it changes, old and new. ``identities``
    tell a plan from another one whose actions look the same: digests of the values, and ids of the resources.
    """

    actions: Mapping[str, Action]
    types: Mapping[str, str]
    calls: Mapping[str, Foreseen] = field(default_factory=dict)
    values: Mapping[str, tuple[Change, ...]] = field(default_factory=dict, repr=False)
    identities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def changes(self) -> dict[str, Action]:
        """The actions that change anything."""
        return {name: action for name, action in self.actions.items() if action.changes}

    def counts(self) -> dict[str, int]:
        """The number of resources of each verb, without those at rest."""
        found: dict[str, int] = {}
        for action in self.actions.values():
            if action.verb not in {Verb.NONE, Verb.RECORD}:
                found[str(action.verb)] = found.get(str(action.verb), 0) + 1
        return found

    def digest(self, digester: Digester) -> str:
        """A keyed digest of all that the plan changes: equal for plans that do the same."""
        return digester.value(
            [
                [
                    *(name, self.types[name], str(action.verb), sorted(action.properties), sorted(action.drifted)),
                    *(sorted(action.unknown), self.identities.get(name, ())),
                    list(map(str, self.calls.get(name, NO_CALLS).calls)),
                ]
                for name, action in sorted(self.changes.items())
            ]
        )
