"""Environments: what comes with a template, and how several of them become one, as Heat's server merges them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator.errors import InvalidParameter, InvalidTemplate
from hot_translator.loader import check_plain, load
from hot_translator.parameters import ParameterSchema
from hot_translator.registry import check_registry

SECTIONS: Final = (
    "parameters",
    "parameter_defaults",
    "parameter_merge_strategies",
    "resource_registry",
    "encrypted_param_names",
    "event_sinks",
)
STRATEGIES: Final = ("overwrite", "merge", "deep_merge")


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment. The fields are its sections, as written; ``source`` names the file for messages."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_defaults: Mapping[str, Any] = field(default_factory=dict)
    parameter_merge_strategies: Mapping[str, Any] = field(default_factory=dict)
    resource_registry: Mapping[str, Any] = field(default_factory=dict)
    event_sinks: Sequence[Any] = ()
    encrypted_param_names: Sequence[str] = ()
    source: str | None = None


def parse_environment(source: str | Mapping[str, Any], *, name: str | None = None) -> Environment:
    """An environment from text or from data; raises ``InvalidTemplate``. ``name`` is the file's, for messages."""
    if isinstance(source, str):
        data: Mapping[str, Any] = load(source, what="environment", source=name)
    else:
        check_plain(source, "environment")
        data = source
    for section, value in data.items():
        if section not in SECTIONS:
            raise InvalidTemplate(str(section), f'environment has wrong section "{section}"', source=name)
        if value is None:
            raise InvalidTemplate(section, f'environment has empty section "{section}"', source=name)
        wanted: tuple[type, str] = (dict, "map")
        if section in ("event_sinks", "encrypted_param_names"):
            wanted = (list, "list")
        if not isinstance(value, wanted[0]):
            raise InvalidTemplate(section, f"{section} must be a {wanted[1]}", source=name)
    _check_sinks(data.get("event_sinks", ()), name)
    check_registry(data.get("resource_registry", {}), name)
    sections = {section: _named(section, value, name) for section, value in data.items()}
    return Environment(**sections, source=name)


def _named(section: str, value: Any, source: str | None) -> Any:
    """A section with names that are text: numbers count as the text that they are, as in a template."""
    if not isinstance(value, dict) or section == "resource_registry":
        return value
    for key in value:
        if isinstance(key, bool) or not isinstance(key, str | int | float):
            shown = str(key).lower() if isinstance(key, bool) else str(key)
            raise InvalidTemplate(
                f"{section}.{shown}", f"The name {shown} is not text: put it in quotes", source=source
            )
    return {str(key): item for key, item in value.items()}


def _check_sinks(sinks: Sequence[Any], source: str | None) -> None:
    for index, sink in enumerate(sinks):
        if not isinstance(sink, Mapping) or not isinstance(sink.get("type"), str):
            path = f"event_sinks[{index}]"
            raise InvalidTemplate(path, "an event sink is a map with at least a type", source=source)


def merge_environments(environments: Sequence[Environment], schemas: Mapping[str, ParameterSchema]) -> Environment:
    """One environment from several, in order, as Heat's server does it.

    ``schemas`` are the parameters of every template of the tree: values of others are left out of all but the first
    file. Raises ``InvalidTemplate`` when two files want a parameter merged in different ways, or in one that its type
    cannot be.
    """
    if len(environments) == 1:
        return environments[0]
    merger = _Merger(schemas)
    parameters: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    registry: dict[str, Any] = {}
    sinks: list[Any] = []
    for environment in environments:
        parameters = merger.parameters(parameters, environment.parameters, environment)
        defaults = merger.parameters(defaults, environment.parameter_defaults, environment)
        registry = _merge_registry(registry, environment.resource_registry)
        sinks += environment.event_sinks
    return Environment(parameters, defaults, {}, registry, sinks)


def _merge_registry(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    if not old:
        return dict(new)
    return {**old, **{key: value for key, value in new.items() if value is not None}}


class _Merger:
    """The strategies that the files so far have fixed."""

    def __init__(self, schemas: Mapping[str, ParameterSchema]) -> None:
        self._schemas = schemas
        self._fixed: dict[str, str] = {}

    def parameters(self, old: dict[str, Any], new: Mapping[str, Any], environment: Environment) -> dict[str, Any]:
        """The parameters (or defaults) so far with those of one more file."""
        known = {name: value for name, value in new.items() if name in self._schemas and value is not None}
        for name in known:
            self._fix(name, environment)
        if not old:
            return dict(new)
        merged = dict(old)
        for name, value in known.items():
            strategy = self._fixed[name]
            if strategy == "overwrite":
                merged[name] = value
            else:
                deep = strategy == "deep_merge"
                merged[name] = self._merge(self._schemas[name], copy.deepcopy(merged.get(name)), value, deep=deep)
        return merged

    def _fix(self, name: str, environment: Environment) -> None:
        wanted = self._strategy(name, environment.parameter_merge_strategies)
        if self._fixed.setdefault(name, wanted) != wanted:
            where = f" in {environment.source}" if environment.source else ""
            reason = f"Conflicting merge strategy '{wanted}' for parameter '{name}'{where}"
            raise InvalidTemplate(f"parameter_merge_strategies.{name}", reason, source=environment.source)

    def _strategy(self, name: str, strategies: Mapping[str, Any]) -> str:
        default = strategies.get("default", "overwrite")
        wanted = strategies.get(name, self._fixed.get(name, default))
        if wanted not in STRATEGIES:
            wanted = default
        return wanted if wanted in STRATEGIES else "overwrite"

    @staticmethod
    def _merge(schema: ParameterSchema, old: Any, new: Any, *, deep: bool) -> Any:
        path = f"parameters.{schema.name}"
        try:
            if schema.kind == "map":
                return _merge_map(_parsed(old) or {}, _parsed(new), deep=deep)
            if schema.kind == "list":
                return _merge_list(old, new)
            if schema.kind == "string":
                return (old or "") + new
            if schema.kind == "number":
                return (old or 0) + new
        except (TypeError, ValueError, AttributeError) as error:
            raise InvalidParameter(path, f"the values of the environments cannot be merged: {error}") from error
        raise InvalidTemplate(path, f"Invalid merge strategy 'merge' for parameter '{schema.name}'")


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value else value


def _merge_list(old: Any, new: Any) -> Any:
    if not old:
        return new
    if isinstance(new, list):
        return [*(old.split(",") if isinstance(old, str) else old), *new]
    return ",".join([*old, new]) if isinstance(old, list) else f"{old},{new}"


def _merge_map(old: dict[str, Any], new: Any, *, deep: bool) -> Any:
    if not old:
        return new
    merged = dict(old)
    for key, value in new.items():
        if value is None:
            continue
        before = old.get(key)
        if not deep or not before:
            merged[key] = value
        elif isinstance(value, Mapping):
            merged[key] = _merge_map(before, value, deep=deep)
        elif isinstance(value, list):
            merged[key] = _merge_list(before, value)
        else:
            merged[key] = before + value if isinstance(value, str) else value
    return merged


def with_flat_parameters(environment: Environment, values: Mapping[str, Any]) -> Environment:
    """The environment with parameters given beside it: those win, whatever the strategies say."""
    parameters = {**environment.parameters, **values}
    return Environment(
        parameters,
        environment.parameter_defaults,
        {},
        environment.resource_registry,
        environment.event_sinks,
        environment.encrypted_param_names,
        environment.source,
    )
