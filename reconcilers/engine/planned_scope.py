"""The scopes in which a plan evaluates definitions. What the plan changes is unknown in them, or a placeholder."""

from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator import UNKNOWN
from reconcilers.engine.action import Verb
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.foresight import placeholder

RENEWED: Final = frozenset({Verb.CREATE, Verb.REPLACE, Verb.RECREATE})
"""Verbs that give a resource a new id."""
CHANGING: Final = frozenset({Verb.UPDATE, Verb.UNDECIDED, Verb.WAIT})
"""Verbs that may change attributes of a resource."""


@dataclass(slots=True)
class PlannedScope:
    """The scope of definitions: resources as they are now, and unknown values for those that the plan changes."""

    context: ReconcileContext
    renewed: set[str] = field(default_factory=set)
    changing: set[str] = field(default_factory=set)

    def note(self, name: str, verb: Verb) -> None:
        """Note what happens to a resource: its values are unknown to those that depend on it."""
        if verb in RENEWED:
            self.renewed.add(name)
        elif verb in CHANGING:
            self.changing.add(name)

    def reference(self, name: str) -> Any:
        """The value of get_resource."""
        return UNKNOWN if name in self.renewed else self.context.reference(name)

    def attribute(self, name: str, attribute: str) -> Any:
        """The value of get_attr."""
        return UNKNOWN if name in self.renewed | self.changing else self.context.attribute(name, attribute)

    def attributes(self, name: str) -> Any:
        """All attributes."""
        return UNKNOWN if name in self.renewed | self.changing else self.context.attributes(name)


@dataclass(frozen=True, slots=True)
class GuessedScope:
    """The same scope with placeholders for unknown ids, so that requests can be foreseen."""

    planned: PlannedScope

    def reference(self, name: str) -> Any:
        """The value of get_resource."""
        return placeholder(name) if name in self.planned.renewed else self.planned.reference(name)

    def attribute(self, name: str, attribute: str) -> Any:
        """The value of get_attr."""
        found = self.planned.attribute(name, attribute)
        return placeholder(f"{name}.{attribute}") if found is UNKNOWN else found

    def attributes(self, name: str) -> Any:
        """All attributes."""
        return self.planned.attributes(name)
