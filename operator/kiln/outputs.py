"""A Stack's outputs for its status: what has a value, what has none yet and why, and what is hidden."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hot_translator import Translation, TranslationError
from hot_translator.expression import Attribute, Scope, has_unknown, leaves
from hot_translator.translation import Output
from kiln.logs import Redactor

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
        if output.hidden or _sensitive(translation, output):
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


def _sensitive(translation: Translation, output: Output) -> bool:
    """Whether the value is made of an attribute that holds a secret (a private key)."""
    for leaf in leaves(output.value):
        definition = translation.definitions.get(leaf.resource)
        if isinstance(leaf, Attribute) and definition is not None and definition.schema is not None:
            schema = definition.schema.attributes.get(leaf.attribute)
            if schema is not None and schema.sensitive:
                return True
    return False


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is not JSON")
