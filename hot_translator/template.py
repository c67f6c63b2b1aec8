"""A template as its author wrote it, with its sections checked for shape. HOT and CloudFormation become one model."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hot_translator import versions
from hot_translator.budget import limited
from hot_translator.errors import InvalidTemplate, TranslationError, raise_all
from hot_translator.loader import check_plain, forget_places, load, locate
from hot_translator.parameters import ParameterSchema, check_default, parse_schema
from hot_translator.versions import Version


@dataclass(frozen=True, slots=True)
class ResourceSnippet:
    """A resource as written. Sections that were not written are None; ``has_*`` tell where null differs from that."""

    name: str
    type: str
    properties: Any = None
    metadata: Any = None
    depends_on: tuple[str, ...] = ()
    deletion_policy: Any = None
    update_policy: Any = None
    description: str = ""
    external_id: Any = None
    condition: Any = None


@dataclass(frozen=True, slots=True)
class OutputSnippet:
    """An output as written."""

    name: str
    value: Any
    description: str = ""
    condition: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A parsed template. Nothing in it is compiled; ``translate`` does that, with parameters and files at hand.

    ``text`` is the source when there was one, and ``source`` the name of its file: for messages. ``warnings`` are
    what was read over, as Heat does.
    """

    version: Version
    description: str
    parameters: Mapping[str, ParameterSchema]
    parameter_groups: tuple[Mapping[str, Any], ...]
    resources: Mapping[str, ResourceSnippet]
    outputs: Mapping[str, OutputSnippet]
    conditions: Mapping[str, Any]
    mappings: Mapping[str, Any]
    text: str | None = field(default=None, repr=False)
    source: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    warnings: tuple[TranslationError, ...] = ()

    def hiding(self, names: Collection[str]) -> Template:
        """The template with the parameters of these names hidden, whatever it says of them."""
        told = {
            name: replace(schema, hidden=True)
            for name, schema in self.parameters.items()
            if name in names and not schema.hidden
        }
        return replace(self, parameters={**self.parameters, **told}) if told else self

    def located(self, error: TranslationError) -> TranslationError:
        """The error with the line and column of its path, where the text is at hand."""
        return locate_error(error, self.text, self.source)


def locate_error(error: TranslationError, text: str | None, source: str | None) -> TranslationError:
    """Fill in line, column and file of an error that has none yet. Errors of nested templates keep their own."""
    for problem in error.problems:
        if problem.source is None:
            problem.source = source
            if problem.line is None and text is not None and (place := locate(text, problem.path)):
                problem.line, problem.column = place
    if len(error.problems) > 1 or error.problems[0] is not error:
        first = error.problems[0]
        error.line, error.column, error.source = first.line, first.column, first.source
    return error


@limited()
def parse_template(
    source: str | Mapping[str, Any], *, name: str | None = None, problems: list[TranslationError] | None = None
) -> Template:
    """A template from text (JSON or YAML) or from data.

    ``name`` is the file's, for messages. Raises ``InvalidTemplate``, or ``Problems`` when there are several. With a
    list of ``problems`` they are appended to it instead, unless nothing can be read at all, so that the rest can be
    checked: a parameter that is wrong is then one without a value, a resource without a type an OS::Heat::None.
    """
    text = source if isinstance(source, str) else None
    if isinstance(source, str):
        data: Mapping[str, Any] = load(source, source=name)
    else:
        check_plain(source, "template")
        data = source
    try:
        parser = _Parser(data, lenient=problems is not None)
        template = parser.parse(text, name)
    except TranslationError as error:
        raise locate_error(error, text, name) from None
    else:
        for warning in template.warnings:
            locate_error(warning, text, name)
        if problems is not None:
            problems += [locate_error(problem, text, name) for problem in parser.problems]
        return template
    finally:
        forget_places()


class _Parser:
    """Reads the sections, and collects what is wrong with them."""

    def __init__(self, data: Mapping[str, Any], *, lenient: bool) -> None:
        self._data = data
        self._lenient = lenient
        self._version = versions.of(data)
        self._words = self._version.words
        self.problems: list[TranslationError] = []
        self.warnings: list[TranslationError] = []

    def parse(self, text: str | None, source: str | None) -> Template:
        """The template, or all its problems."""
        words = self._words
        for key in self._data:
            if key not in self._version.sections:
                hint = _did_you_mean(key, self._version.sections)
                self._refuse(str(key), f"The template section is invalid: {key}{hint}")
        template = Template(
            version=self._version,
            description=str(self._data.get(words.description) or "No description"),
            parameters=self._parameters(),
            parameter_groups=self._parameter_groups(),
            resources=self._resources(),
            outputs=self._outputs(),
            conditions=self._section(words.conditions) if self._version.has_conditions else {},
            mappings=self._section(words.mappings) if words.mappings else {},
            text=text,
            source=source,
            raw=self._data,
            warnings=tuple(self.warnings),
        )
        for name in template.parameters.keys() & template.resources.keys():
            self._refuse(f"{words.resources}.{name}", f"Duplicate names: {name} is a parameter and a resource")
        if not self._lenient:
            raise_all(self.problems)
        return template

    def _refuse(self, path: str, reason: str) -> None:
        self.problems.append(InvalidTemplate(path, reason))

    def _section(self, key: str) -> Mapping[str, Any]:
        section = self._data.get(key)
        if not section:
            return {}
        if not isinstance(section, Mapping):
            self._refuse(key, f'"{key}" must be a map, not a {type(section).__name__}')
            return {}
        return {self._name(key, name): value for name, value in section.items()}

    def _name(self, section: str, name: Any) -> str:
        if not isinstance(name, str):
            shown = str(name).lower() if isinstance(name, bool) else str(name)
            if isinstance(name, int | float) and not isinstance(name, bool):
                return shown
            self._refuse(f"{section}.{shown}", f"The name {shown} is not text: put it in quotes")
            return shown
        return name

    def _parameters(self) -> dict[str, ParameterSchema]:
        schemas: dict[str, ParameterSchema] = {}
        section = self._words.parameters
        for name, raw in self._section(section).items():
            try:
                schemas[name] = parse_schema(name, raw, self._version)
                check_default(schemas[name], section)
            except TranslationError as error:
                self.problems += error.problems
                schemas[name] = ParameterSchema(name, "string", "string")
        return schemas

    def _parameter_groups(self) -> tuple[Mapping[str, Any], ...]:
        key = self._words.parameter_groups
        groups = self._data.get(key) if key else None
        if not groups or key is None:
            return ()
        if not isinstance(groups, list):
            self._refuse(key, "The parameter_groups should be a list")
            return ()
        seen: set[str] = set()
        declared = self._section(self._words.parameters)
        for index, group in enumerate(groups):
            path = f"{key}[{index}]"
            if not isinstance(group, Mapping) or not isinstance(group.get("parameters"), list):
                self._refuse(path, "The parameters of a parameter group should be a list")
                continue
            for position, name in enumerate(group["parameters"]):
                here = f"{path}.parameters[{position}]"
                if not isinstance(name, str) or name not in declared:
                    self._refuse(here, f"The grouped parameter {name} does not reference a valid parameter")
                elif name in seen:
                    self._refuse(here, f"The {name} parameter must be assigned to one parameter group only")
                else:
                    seen.add(name)
        return tuple(group for group in groups if isinstance(group, Mapping))

    def _resources(self) -> dict[str, ResourceSnippet]:
        snippets = {}
        for name, raw in self._section(self._words.resources).items():
            snippet = self._resource(name, raw, f"{self._words.resources}.{name}")
            if snippet is not None:
                snippets[name] = snippet
        return snippets

    def _resource(self, name: str, raw: Any, path: str) -> ResourceSnippet | None:
        words, before = self._words, len(self.problems)
        if not isinstance(raw, Mapping) or not raw:
            self._refuse(path, f"Each resource must be a map with a {words.type} key")
            return None
        if not name or "/" in name:
            self._refuse(path, f'The resource name "{name}" is invalid: it must not be empty or contain "/"')
        if self._version.refuses_unknown_resource_keys:
            self._check_keys(raw, path)
        type_name = raw.get(words.type)
        if not type_name:
            self._refuse(path, f'Resource {name} is missing "{words.type}"')
        elif not isinstance(type_name, str):
            self._refuse(f"{path}.{words.type}", f"Resource {name} {words.type} type must be string")
        self._check_nulls(raw, name, path)
        depends_on = self._depends_on(raw, name, path)
        description = raw.get(words.resource_description)
        if description is not None and not isinstance(description, str):
            self._refuse(f"{path}.{words.resource_description}", "The description must be text")
        if len(self.problems) > before and not self._lenient:
            return None
        has = self._version.has_conditions
        return ResourceSnippet(
            name=name,
            type=type_name if type_name and isinstance(type_name, str) else "OS::Heat::None",
            properties=raw.get(words.properties),
            metadata=raw.get(words.metadata),
            depends_on=depends_on,
            deletion_policy=raw.get(words.deletion_policy),
            update_policy=raw.get(words.update_policy),
            description=description if isinstance(description, str) else "",
            external_id=raw.get(words.external_id) if has and words.external_id else None,
            condition=raw.get(words.condition) if has else None,
        )

    def _check_keys(self, raw: Mapping[str, Any], path: str) -> None:
        known = self._version.resource_keys
        for key in raw:
            if key not in known:
                hint = _did_you_mean(key, known)
                self._refuse(f"{path}.{key}", f"Invalid keyword(s) inside a resource definition: {key}{hint}")

    def _check_nulls(self, raw: Mapping[str, Any], name: str, path: str) -> None:
        """Refuse a section that is there and null: a key whose value was forgotten, or commented out."""
        if None not in raw.values():
            return
        words = self._words
        wanted = {words.properties: "a map", words.metadata: "a map", words.update_policy: "a map"}
        wanted |= {words.deletion_policy: "a string", words.resource_description: "a string"}
        if self._version.has_conditions:
            wanted |= {words.condition: "a string or a boolean"}
            wanted |= {words.external_id: "a string"} if words.external_id else {}
        for key, kind in wanted.items():
            if key in raw and raw[key] is None:
                reason = f"Resource {name} {key} must be {kind}, and is null: leave it out, or give it a value"
                self._refuse(f"{path}.{key}", reason)

    def _depends_on(self, raw: Mapping[str, Any], name: str, path: str) -> tuple[str, ...]:
        key = self._words.depends_on
        names = raw.get(key)
        if names is None and key in raw:
            self._refuse(f"{path}.{key}", f"Resource {name} {key} type must be list or string")
        names = [names] if isinstance(names, str) else names or []
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            self._refuse(f"{path}.{key}", f"Resource {name} {key} must be a list of strings")
            return ()
        return tuple(names)

    def _outputs(self) -> dict[str, OutputSnippet]:
        words = self._words
        outputs: dict[str, OutputSnippet] = {}
        keys = {words.value, words.description if self._version.is_hot else words.resource_description}
        keys |= {words.condition} if self._version.has_conditions else set()
        for name, raw in self._section(words.outputs).items():
            path = f"{words.outputs}.{name}"
            if not isinstance(raw, Mapping):
                self._refuse(path, f"Output definitions must be a map. Found a {type(raw).__name__} instead")
                continue
            if words.value not in raw:
                self._refuse(path, f"Each output must contain a {words.value} key")
                continue
            if self._version.is_hot:
                for key in [key for key in raw if key not in keys]:
                    hint = _did_you_mean(key, keys)
                    reason = f'"{key}" means nothing inside an output definition, and is ignored{hint}'
                    self.warnings.append(InvalidTemplate(f"{path}.{key}", reason))
            condition = raw.get(words.condition) if self._version.has_conditions else None
            description = str(raw.get(words.resource_description) or "")
            outputs[name] = OutputSnippet(name, raw[words.value], description, condition)
        return outputs


def _did_you_mean(word: Any, known: frozenset[str] | set[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


@functools.lru_cache(maxsize=256)
def parse_file(text: str, name: str) -> Template:
    """A nested template's text, parsed once for all the places that use it."""
    return parse_template(text, name=name)
