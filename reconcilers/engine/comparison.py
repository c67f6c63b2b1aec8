"""What an action changes of a resource's properties: old and new values, for plans. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hot_translator import Definition
from hot_translator.expression import has_unknown
from reconcilers import secret_values
from reconcilers.digests import WHOLE
from reconcilers.engine.action import Action, Verb
from reconcilers.engine.target import Target
from reconcilers.model import Recorded


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """One property. A value is None if the property is not given, and UNKNOWN if nobody knows it, or a part of it.

    ``hidden``: it is a secret, and must not be shown. ``drifted``: somebody else changed it. ``later``: the new value
    is known only after other resources have changed. There is no repr, since values may be secrets.
    """

    name: str
    old: Any
    new: Any
    hidden: bool = False
    drifted: bool = False
    later: bool = False


def compare(
    target: Target,
    recorded: Recorded,
    observed: Any,
    action: Action,
    old: Mapping[str, Any],
    deployed: Definition | None,
) -> tuple[Change, ...]:
    """The properties of an action, in the order of their names.

    ``old`` are the values of the definition ``deployed``, which was reached last. They count as far as the record has
    their digests.
    """
    hidden = target.definition.hidden_properties | (deployed.hidden_properties if deployed is not None else frozenset())
    found = []
    for name in sorted(action.properties):
        new = target.template.get(name)
        before = None if action.verb is Verb.CREATE else _before(name, target, recorded, observed, action, old)
        secret = any(True for value in (before, new) for _ in _secrets(target, name, value, hidden))
        later = name in action.unknown or has_unknown(new)
        found.append(Change(name, before, new, secret, name in action.drifted, later))
    return tuple(found)


def _before(
    name: str, target: Target, recorded: Recorded, observed: Any, action: Action, old: Mapping[str, Any]
) -> Any:
    """The value that the resource has now."""
    if name not in action.drifted:
        if name not in recorded.digests and WHOLE in recorded.digests:
            return None
        if name in old and target.salted(recorded).matches(name, old[name], recorded.digests.get(name)):
            return old[name]
    return target.rtype.current_value(name, observed)


def _secrets(target: Target, name: str, value: Any, hidden: frozenset[str]) -> Any:
    return secret_values.of_properties(target.rtype.schema, {name: value}, hidden)
