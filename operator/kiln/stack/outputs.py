"""A Stack's outputs for its status: what has a value, what has none yet and why, and what is hidden."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hot_translator import Translation, TranslationError
from hot_translator.expression import AllAttributes, Attribute, Scope, has_unknown, leaves
from kiln.logs import Redactor

_PASSES_ON = "OS::Heat::Value"
"""The type whose attribute is its property."""
LARGEST = 32 << 10
"""Bytes of one output in a status: all of it has to fit into one object."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """``values`` can be shown, ``errors`` say why an output has no value, ``hidden`` are names of outputs with
    secrets in them.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()


NONE = Outputs()


def resolve(translation: Translation, scope: Scope, redact: Redactor) -> Outputs:
    """All outputs, as far as the resources are there."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    hidden: list[str] = []
    for name, output in translation.outputs.items():
        if output.hidden or _sensitive(translation, scope, output.value, set()):
            hidden.append(name)
            continue
        try:
            value = output.resolve(scope)
            text = json.dumps(value, default=_refuse)
        except TranslationError as error:
            errors[name] = redact(str(error))
        except (TypeError, ValueError):
            errors[name] = "waits for resources that are not there yet" if has_unknown(value) else "is not a JSON value"
        else:
            if redact.holds(text):
                hidden.append(name)
            elif len(text) > LARGEST:
                errors[name] = f"is larger than {LARGEST} bytes"
            elif value is not None:
                values[name] = value
    return Outputs(values, errors, tuple(sorted(hidden)))


def kept(found: Outputs, before: Mapping[str, Any], hidden_before: tuple[str, ...]) -> Outputs:
    """The outputs after a failed operation: where there is no value now, the last known one stays."""
    values = {**{name: before[name] for name in found.errors if name in before}, **found.values}
    errors = {name: why for name, why in found.errors.items() if name not in before and name not in hidden_before}
    hidden = {*found.hidden, *(name for name in found.errors if name in hidden_before)}
    return Outputs(values, errors, tuple(sorted(hidden)))


def _sensitive(translation: Translation, scope: Scope, value: Any, seen: set[str]) -> bool:
    """Whether a value is made of an attribute that holds a secret: a private key, or what was made of a secret.

    ``seen`` are the resources whose properties have been looked at.
    """
    for leaf in leaves(value):
        definition = translation.definitions.get(leaf.resource)
        if definition is None or definition.schema is None:
            continue
        names: list[str] = []
        if isinstance(leaf, Attribute):
            names = [leaf.attribute]
        elif isinstance(leaf, AllAttributes):
            found = scope.attributes(leaf.resource)
            names = [name for name, held in found.items() if held] if isinstance(found, Mapping) else []
        attributes = definition.schema.attributes
        if any(attributes[name].sensitive for name in names if name in attributes):
            return True
        if names and definition.type == _PASSES_ON and definition.name not in seen:
            seen.add(definition.name)
            if definition.hidden_properties or _sensitive(translation, scope, definition.properties, seen):
                return True
    return False


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is not JSON")
