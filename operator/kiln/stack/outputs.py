"""A Stack's outputs for its status: values, reasons for missing values, names of hidden outputs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hot_translator import Output, Translation, TranslationError
from hot_translator.expression import AllAttributes, Attribute, Reference, Scope, has_unknown, leaves
from kiln.redaction import Redaction
from kiln.stack.shown_texts import shown

LARGEST = 32 << 10
"""Bytes of one output in a status."""
LARGEST_OF_ALL = 256 << 10
"""Bytes of all outputs of a Stack, and of their errors: all of the status has to fit into one object, which the API
server keeps twice, once as the list of fields with their owner.
"""
LARGEST_OF_HIDDEN = 700_000
"""Bytes of all hidden outputs, as JSON. With those of the status they fit into one Secret."""
LONGEST_ERROR = 1024
"""Characters of an output's error."""
_ESCAPED = "<>&"
"""What the API server stores as six bytes."""
_EVERYTHING = frozenset({"show"})
"""Attributes that show the whole resource, and so each of its properties."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Outputs by name.

    ``values`` may be shown, ``errors`` say why an output has no value, ``hidden`` are the names of outputs that contain
    secrets, ``secrets`` the values of those (as far as they have one). ``without_value`` are outputs that are null. The
    repr omits secrets.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    without_value: frozenset[str] = frozenset()


NONE = Outputs()


def resolve(translation: Translation, scope: Scope, redact: Redaction) -> Outputs:
    """Evaluate all outputs, as far as the resources exist."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    hidden: list[str] = []
    secrets: dict[str, Any] = {}
    without_value: set[str] = set()
    for name, output in translation.outputs.items():
        if output.hidden or _sensitive(translation, scope, output.value, set()):
            hidden.append(name)
            secrets |= _hidden_value(name, output, scope)
            continue
        try:
            value = output.resolve(scope)
            text = json.dumps(value, default=_refuse)
        except TranslationError as error:
            errors[name] = shown(str(error), redact, LONGEST_ERROR)
        except RecursionError:
            errors[name] = "is nested too deeply"
        except (TypeError, ValueError):
            errors[name] = "waits for resources that do not exist yet" if has_unknown(value) else "is not a JSON value"
        else:
            if redact.holds(text):
                hidden.append(name)
                secrets[name] = value
            elif stored_size(text) > LARGEST:
                errors[name] = f"is larger than {LARGEST} bytes"
            elif value is not None:
                values[name] = value
            else:
                without_value.add(name)
    return bounded(Outputs(values, errors, tuple(sorted(hidden)), secrets, frozenset(without_value)))


def _hidden_value(name: str, output: Output, scope: Scope) -> dict[str, Any]:
    """The value of a hidden output by its name; nothing if it has none. Why is not said: that may quote the secret."""
    try:
        value = output.resolve(scope)
        json.dumps(value, default=_refuse)
    except (TranslationError, RecursionError, TypeError, ValueError):
        return {}
    return {name: value} if value is not None else {}


def kept(found: Outputs, before: Mapping[str, Any], hidden_before: tuple[str, ...]) -> Outputs:
    """The outputs after a failed operation. Outputs without a value keep the last known one."""
    values = {**{name: before[name] for name in found.errors if name in before}, **found.values}
    errors = {name: why for name, why in found.errors.items() if name not in before and name not in hidden_before}
    hidden = {*found.hidden, *(name for name in found.errors if name in hidden_before)}
    return replace(found, values=values, errors=errors, hidden=tuple(sorted(hidden)))


def stored_size(text: str) -> int:
    """Bytes that a JSON text takes in the API server's store, at most."""
    return len(text) + 5 * sum(map(text.count, _ESCAPED))


def bounded(outputs: Outputs) -> Outputs:
    """The outputs that fit into a status, small ones first; of the others it is said that they do not fit."""
    outputs = _bounded_secrets(outputs)
    errors = dict(outputs.errors)
    sizes = {name: stored_size(json.dumps({name: value})) for name, value in outputs.values.items()}
    left = LARGEST_OF_ALL
    kept: set[str] = set()
    for name in sorted(sizes, key=sizes.__getitem__):
        left -= sizes[name]
        if left < 0:
            errors[name] = f"is left out: together the outputs are larger than {LARGEST_OF_ALL} bytes"
        else:
            kept.add(name)
    values = {name: value for name, value in outputs.values.items() if name in kept}
    names, more = _fitting(outputs.hidden)
    told, untold = _fitting([f"{name}: {reason}" for name, reason in errors.items()])
    reasons = dict(list(errors.items())[: len(told)])
    if untold or more:
        reasons["..."] = f"{untold + more} more outputs are not named here"
    return replace(outputs, values=values, errors=reasons, hidden=tuple(names))


def _bounded_secrets(outputs: Outputs) -> Outputs:
    left, kept, errors = LARGEST_OF_HIDDEN, dict[str, Any](), dict(outputs.errors)
    sizes = {name: len(json.dumps(value)) for name, value in outputs.secrets.items()}
    for name in sorted(sizes, key=sizes.__getitem__):
        left -= sizes[name]
        if left < 0:
            errors[name] = f"is left out: together the hidden outputs are larger than {LARGEST_OF_HIDDEN} bytes"
        else:
            kept[name] = outputs.secrets[name]
    return replace(outputs, secrets=kept, errors=errors)


def _fitting(texts: Sequence[str]) -> tuple[list[str], int]:
    """The first texts that fit into a status together, and how many do not."""
    left = LARGEST_OF_ALL
    for index, text in enumerate(texts):
        left -= stored_size(json.dumps(text))
        if left < 0:
            return list(texts[:index]), len(texts) - index
    return list(texts), 0


def _sensitive(translation: Translation, scope: Scope, value: Any, seen: set[tuple[str, str]]) -> bool:
    """Whether a value is made of an attribute that holds a secret: a private key, or what a hidden property comes back
    as.

    ``seen`` are the resources and attributes that have been looked at.
    """
    for leaf in leaves(value):
        definition = translation.definitions.get(leaf.resource)
        if definition is None or definition.schema is None:
            continue
        if isinstance(leaf, Attribute):
            names = frozenset({leaf.attribute})
        elif isinstance(leaf, AllAttributes):
            found = scope.attributes(leaf.resource)
            names = frozenset(found) if isinstance(found, Mapping) else frozenset()
        elif isinstance(leaf, Reference):
            # Some types are referred to by their names.
            names = frozenset({"name"})
        else:
            continue
        attributes = definition.schema.attributes
        if any(attributes[name].sensitive for name in names if name in attributes):
            return True
        properties = definition.properties if isinstance(definition.properties, Mapping) else {}
        whole = bool(names & _EVERYTHING) or not isinstance(definition.properties, Mapping)
        hidden = definition.hidden_properties
        if hidden and (whole or "*" in hidden or names & hidden):
            return True
        for name in properties if whole else names & properties.keys():
            if (leaf.resource, name) not in seen:
                seen.add((leaf.resource, name))
                if _sensitive(translation, scope, properties[name], seen):
                    return True
    return False


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is not JSON")
