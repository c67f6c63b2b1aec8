"""Properties against their schema: ``check`` before anything is known, ``finalize`` when the values are.

The rules are those of Heat's Property classes and translation rules: what a type accepts and turns a value into,
null standing for the default or for the type's empty value, old names moved to the present ones, constraints.
Each schema is compiled once into a tree of nodes, so that a small resource costs some microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from hot_translator import rules
from hot_translator.budget import refusing
from hot_translator.catalogue.model import TypeSchema
from hot_translator.errors import InvalidTemplate, ResolutionError, TranslationError, under
from hot_translator.expression import NOWHERE, UNKNOWN, dynamic_parts, resolve
from hot_translator.functions.base import Call, Failure, Path
from hot_translator.nodes import MapNode, compile_map
from hot_translator.property_nodes import RefusedError, problem

_COMPILED = 4096  # more than all types together; the schemas of nested templates come and go


def check(
    schema: TypeSchema,
    raw: Any,
    path: Path | str,
    problems: list[TranslationError],
    hidden: frozenset[str] = frozenset(),
) -> dict[str, Any] | None:
    """Append every problem of a compiled property tree that is certain before any resource exists.

    Parts that depend on resources (``Dynamic``) are skipped wherever they stand. ``path`` is that of the
    properties section: ``resources.web.properties``. Of the values of the properties that ``hidden`` names (all, where
    it has "*") nothing is told. Gives the final values as far as they are known, with
    ``UNKNOWN`` for the rest; None when nothing is, or when there are problems.
    """
    if schema.placeholder:
        return None
    values: dict[str, Any] | None = None
    refusal: TranslationError | None = None
    dynamic = dynamic_parts(raw)
    try:
        # A failure is reported where it stands.
        if not any(isinstance(part, Failure) for part in dynamic):
            with refusing(path):
                values = _so_far(schema, raw, hidden)
    except RefusedError as refused:
        refusal = problem(str(path), refused)
    except TranslationError as error:
        refusal = error if error.transient else InvalidTemplate(error.path, error.reason)
    if values is not None and not any(isinstance(part, Call) for part in dynamic):
        return values  # what follows looks for all problems, where there is one, and at what calls give
    before = len(problems)
    _node(schema, hidden).check(raw, str(path), problems)
    if len(problems) > before:
        return None
    if refusal is not None:
        problems.append(refusal)
    return values


def broken_rules(schema: TypeSchema, values: Mapping[str, Any], path: Path | str) -> Iterator[TranslationError]:
    """The rules between properties that final values break, as far as they are known (``check``)."""
    for breach in rules.breaches(schema.name, values):
        yield InvalidTemplate(_below(str(path), breach.path), breach.reason)


def _so_far(schema: TypeSchema, raw: Any, hidden: frozenset[str]) -> dict[str, Any] | None:
    """The final values as far as they are known before anything is created; None when nothing is.

    Raises ``RefusedError`` for a value, ``TranslationError`` for a call that fails whatever the resources give.
    """
    known = resolve(raw, NOWHERE)
    if known is UNKNOWN:
        return None
    if known is not None and not isinstance(known, Mapping):
        raise RefusedError(f"must be a map, got {type(known).__name__}")
    return rules.refine(schema.name, _node(schema, hidden).values(known or {}))


def _below(path: str, keys: Iterable[str | int]) -> str:
    for key in keys:
        path = under(path, key)
    return path


def finalize(
    schema: TypeSchema,
    resolved: Any,
    path: str,
    description: str | None = None,
    hidden: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The properties as the type's code sees them: coerced, defaults filled in, old names gone, constraints met.

    ``resolved`` is plain data in which ``UNKNOWN`` may stand anywhere and stays. A property that was not given and
    has no default is absent. ``description`` is the resource's own, for a type with such a property that can be
    updated, as Heat does it. ``hidden`` is as for ``check``. The input is not changed.

    Raises ``ResolutionError`` with the path of the first value that the schema refuses.
    """
    if schema.placeholder:
        return {}
    if resolved is UNKNOWN:
        return dict.fromkeys(schema.properties, UNKNOWN)
    values = _finalize(_node(schema, hidden), resolved, path, schema.name)
    if description and "description" not in values:
        own = schema.properties.get("description")
        if own is not None and own.update == "in-place":
            values["description"] = description
    return values


def refusal(schema: TypeSchema | None, name: str, value: Any) -> str | None:
    """Why a known value is none for this property, or None when it is one."""
    node = _node(schema).nodes.get(name) if schema is not None else None
    try:
        if node is not None:
            node.value(value)
    except RefusedError as refused:
        return refused.reason
    return None


def check_update_policy(schema: TypeSchema, raw: Any, path: str, problems: list[TranslationError]) -> None:
    """As ``check``, for the update_policy section."""
    if not schema.placeholder:
        _policy_node(schema).check(raw, path, problems)


def finalize_update_policy(schema: TypeSchema, resolved: Any, path: str) -> dict[str, Any]:
    """As ``finalize``, for the update_policy section."""
    return {} if schema.placeholder else _finalize(_policy_node(schema), resolved, path)


def _finalize(node: MapNode, resolved: Any, path: str, type_name: str = "") -> dict[str, Any]:
    if resolved is None:
        resolved = {}
    if not isinstance(resolved, Mapping):
        raise ResolutionError(path, f"must be a map, got {type(resolved).__name__}")
    try:
        return rules.refine(type_name, node.values(resolved))
    except RefusedError as refused:
        raise ResolutionError(_below(path, reversed(refused.keys)), refused.reason) from None


@lru_cache(maxsize=_COMPILED)
def _node(schema: TypeSchema, hidden: frozenset[str] = frozenset()) -> MapNode:
    return compile_map(schema.properties, schema.aliases, hidden=hidden)


@lru_cache(maxsize=_COMPILED)
def _policy_node(schema: TypeSchema) -> MapNode:
    return compile_map(schema.update_policy, ())
