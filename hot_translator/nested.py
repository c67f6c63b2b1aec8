"""Resources that are templates: their properties become the inner template's parameters, its outputs attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from hot_translator import properties
from hot_translator.catalogue.model import AttributeSchema, PropertySchema, TypeSchema
from hot_translator.compiler import select
from hot_translator.entities import Facade, Place, UnknownAttributeError, Whole, define
from hot_translator.errors import InvalidTemplate, Problems, TranslationError
from hot_translator.expression import (
    OMITTED,
    UNKNOWN,
    Dynamic,
    Leaf,
    Scope,
    Through,
    has_unknown,
    is_dynamic,
    leaves,
    never,
    resolve,
)
from hot_translator.functions.base import LaterError, Path
from hot_translator.members import nested_stack
from hot_translator.names import did_you_mean
from hot_translator.parameters import ParameterSchema, check_value, missing, unknown
from hot_translator.registry import Implementation
from hot_translator.sections import Sections
from hot_translator.template import Template, parse_file
from hot_translator.tree import Pseudo

if TYPE_CHECKING:
    from hot_translator.compiler import Entity
    from hot_translator.unit import Unit

_ID: Final = "OS::stack_id"
TOO_DEEP: Final = "Templates are nested deeper than {}: each group counts as one more, as in Heat"


class ParameterValue(Dynamic):
    """A nested template's parameter whose value depends on resources: typed and checked when it is known."""

    __slots__ = ("_path", "_schema", "_value")

    def __init__(self, schema: ParameterSchema, value: Any, path: str) -> None:
        self._schema = schema
        self._value = value
        self._path = path

    def resolve(self, scope: Scope) -> Any:
        """The typed value; ``UNKNOWN`` while it, or a part of a list, is not there."""
        value = resolve(self._value, scope)
        if value is OMITTED:
            value = self._schema.default
            if value is None:
                raise missing(self._schema.name, self._path)
        if value is UNKNOWN or (self._schema.kind != "map" and has_unknown(value)):
            return UNKNOWN
        value = as_parameter(self._schema, value)
        if self._schema.kind == "map" and not isinstance(value, str):
            return value
        return check_value(self._schema, value, self._path)[0]

    def leaves(self) -> Iterator[Leaf]:
        """The references in the value."""
        return leaves(self._value)

    def parts(self) -> tuple[Any, ...]:
        """The value."""
        return (self._value,)

    @property
    def referenced(self) -> str | None:
        """The resource whose id the value is."""
        is_text = self._schema.kind == "string" and isinstance(self._value, Dynamic)
        return self._value.referenced if is_text else None

    def never(self, value: Any) -> bool:
        """A text as the value it is made of; a list of one id is never empty."""
        if self._schema.kind == "string":
            return not isinstance(value, str) or (isinstance(self._value, Dynamic) and self._value.never(value))
        return self._schema.kind == "list" and value == [] and never(self._value, "")


_EMPTY: Final[Mapping[str, Any]] = {"string": "", "number": 0, "boolean": False, "list": "", "map": {}}


def as_parameter(schema: ParameterSchema, value: Any) -> Any:
    """A property's value as Heat hands it to the inner template: lists as comma separated text, maps as they are.

    Null is the type's empty value, and not the parameter's default: that counts where the property is not given.
    """
    if value is None:
        return _EMPTY[schema.kind]
    if schema.kind == "list" and isinstance(value, list):
        if value and isinstance(value[0], Mapping):
            items = [item if isinstance(item, Mapping) else {} for item in value]
            return ",".join(f".member.{n}.{key}={one}" for n, item in enumerate(items) for key, one in item.items())
        return ",".join("" if item is None else str(item) for item in value)
    return value


class Nested:
    """A resource that is a template."""

    def __init__(
        self, name: str, written_type: str, implementation: Implementation, place: Place, sections: Sections
    ) -> None:
        self.local_name = name
        self.name = place.name(name)
        self._written_type = written_type
        self._given_implementation = implementation
        self._place = place
        self._sections = sections
        self._making = False

    @property
    def _implementation(self) -> Implementation:
        """The template that it stands for."""
        return self._given_implementation

    @cached_property
    def _pseudo(self) -> Pseudo:
        return nested_pseudo(self._place, self.local_name)

    @cached_property
    def template(self) -> Template | None:
        """The inner template, None when it is missing or wrong (which is reported)."""
        key, path = self._implementation.name, self._named_at
        if not key:
            return None
        tree = self._place.tree
        try:
            found = tree.file_key(key, self._place.source)
        except KeyError:
            reason = f'The template "{key}" of the type {self._written_type} is not among the files'
            self._sections.report(InvalidTemplate(str(path), reason))
            return None
        if self._place.too_deep:
            self._sections.report(InvalidTemplate(str(path), TOO_DEEP.format(tree.limits.depth)))
            return None
        try:
            template = parse_file(tree.file(found, None), found)
        except TranslationError as error:
            self._sections.report(_moved(error, self._inner_path))
            return None
        for warning in template.warnings:
            tree.warn(_moved(warning, self._inner_path))
        return template

    @property
    def _named_at(self) -> Path:
        """Where the template is named."""
        return Path(self._sections.path, "type")

    @cached_property
    def _inner_path(self) -> Path:
        path = self._sections.path
        return Path(path.parent, f"{path.key}<{self._implementation.name}>")

    @cached_property
    def unit(self) -> Unit | None:
        """The inner template with its parameters."""
        from hot_translator.unit import Unit  # noqa: PLC0415 - a unit holds resources, which may be nested templates

        template = self.template
        if template is None:
            return None
        if self._making:
            reason = f"Circular dependency found: the properties of {self.local_name} are made of its own outputs"
            raise InvalidTemplate(str(self._sections.properties_path), reason)
        self._making = True
        try:
            values = self._values(template)
            hidden = self._sections.hidden_properties
            hidden |= self._place.tree.hidden_defaults
            template = template.hiding(template.parameters if "*" in hidden else hidden)
        finally:
            self._making = False
        sections = self._sections
        place = self._place
        requires = {leaf.resource for leaf in leaves(sections.properties)}
        inner = replace(
            place,
            registry=place.registry.child(self._implementation, self.local_name),
            pseudo=self._pseudo,
            prefix=f"{self.name}/",
            path=self._inner_path,
            depth=place.depth + 1,
            parent=self.name,
            needs=place.needs | sections.needs | requires,
            source=template.source,
        )
        facade = Facade(sections.metadata, sections.deletion_policy, sections.update_policy)
        return Unit(template, inner, values, facade)

    @cached_property
    def schema(self) -> TypeSchema:
        """The inner template as a resource type."""
        template = self.template
        if template is None:
            return TypeSchema(self._written_type, placeholder=True)
        defaults = self._place.defaults
        return TypeSchema(
            name=self._written_type,
            properties={
                name: PropertySchema(
                    type=schema.kind,
                    required=schema.default is None and defaults.get(name) is None,
                    update="in-place",
                    sensitive=schema.hidden,
                    convert=True,
                )
                for name, schema in template.parameters.items()
            },
            attributes={name: AttributeSchema() for name in template.outputs},
        )

    def _values(self, template: Template) -> dict[str, Any]:
        compiled = self._sections.properties
        path = str(self._sections.properties_path)
        if not isinstance(compiled, dict):
            reason = "The properties of a nested template must be a map that is known before anything is created"
            self._sections.report(InvalidTemplate(path, reason))
            return {}
        problems: list[TranslationError] = []
        properties.check(self.schema, compiled, path, problems, self._sections.hidden_properties)
        for problem in problems:
            self._sections.report(problem)
        values = {}
        for name, value in compiled.items():
            schema = template.parameters.get(name)
            if schema is not None:
                values[name] = self._value(schema, value, f"{path}.{name}")
        return values

    @staticmethod
    def _value(schema: ParameterSchema, value: Any, path: str) -> Any:
        if not is_dynamic(value):
            return as_parameter(schema, value)
        if schema.kind == "map" and not isinstance(value, Dynamic):
            return value
        if schema.kind == "list" and isinstance(value, list) and not any(isinstance(item, dict) for item in value):
            items = replace(schema, kind="string", constraints=())
            return [ParameterValue(items, item, path) if is_dynamic(item) else str(item) for item in value]
        return ParameterValue(schema, value, path)

    def reference(self) -> Any:
        """The output OS::stack_id, or else the nested stack's identifier."""
        unit = self.unit
        value: Any = self._pseudo.arn
        if unit is not None and _ID in unit.template.outputs:
            value = unit.output(_ID)
        return Through(self.name, value)

    def attribute(self, attribute: str, path: list[Any]) -> Any:
        """An output, or ``resource.NAME`` and ``resource.NAME.ATTRIBUTE`` of what is inside."""
        unit = self.unit
        if unit is None:
            return None
        if attribute in unit.template.outputs:
            return Through(self.name, select(unit.output(attribute), path))
        if attribute.startswith("resource."):
            return Through(self.name, inner_attribute(self.local_name, attribute, path, unit.has_resource, unit.entity))
        if attribute == "show":
            shown = {"id": self._pseudo.stack_id, "stack_name": self._pseudo.stack_name}
            return Through(self.name, select(shown, path))
        raise UnknownAttributeError(self.local_name, self._written_type, attribute, unit.template.outputs)

    def all_attributes(self) -> Any:
        """All outputs."""
        unit = self.unit
        return Through(self.name, {name: unit.output(name) for name in unit.template.outputs} if unit else {})

    def define(self) -> None:
        """Make the definitions of all that is inside, and of the resource itself."""
        unit = self.unit
        members: frozenset[str] = frozenset()
        if unit is not None:
            members = unit.expand()
            unit.outputs()
            unit.warn_of_outputs()
        sections = self._sections
        define(
            self._place,
            self.local_name,
            self._written_type,
            self._written_type,
            self.schema,
            sections,
            whole=Whole("nested", members, self.reference()),
        )


def inner_attribute(group: str, attribute: str, path: list[Any], has: Any, entity: Any) -> Any:
    """``resource.NAME`` or ``resource.NAME.ATTRIBUTE`` of a group or nested template."""
    _, name, *rest = attribute.split(".", 2)
    incorrect = f"The Referenced Attribute ({group} {attribute}) is incorrect"
    if not has(name):
        msg = f"{incorrect}: it has no member {name}"
        raise LaterError(msg)
    inner: Entity = entity(name)
    keys = [*rest, *path]
    if not keys:
        return inner.reference()
    if not isinstance(keys[0], str):
        msg = f"{incorrect}: {keys[0]} is no attribute's name"
        raise LaterError(msg)
    try:
        return inner.attribute(keys[0], keys[1:])
    except UnknownAttributeError as error:
        hint = did_you_mean(error.attribute, error.known)
        msg = f"{incorrect}: the member {name} ({error.type}) has no attribute {error.attribute}{hint}"
        raise LaterError(msg) from None


def nested_pseudo(place: Place, local_name: str) -> Pseudo:
    """The pseudo parameters inside of a group or nested template."""
    outer = place.pseudo
    name, inner_id = nested_stack(outer.stack_name, outer.stack_id, local_name)
    return replace(outer, stack_name=name, stack_id=inner_id)


def _moved(error: TranslationError, path: Path) -> TranslationError:
    """The errors of an inner template's text, with the way to it in front of their paths."""
    moved = []
    for problem in error.problems:
        one = type(problem)(
            f"{path}.{problem.path}",
            problem.reason,
            line=problem.line,
            column=problem.column,
            source=problem.source,
        )
        moved.append(one)
    return moved[0] if len(moved) == 1 else Problems(moved)


def from_url(name: str, written_type: str, place: Place, sections: Sections) -> Entity:
    """``AWS::CloudFormation::Stack``: the template is named by TemplateURL, its outputs are ``Outputs.NAME``."""
    return _ByUrl(name, written_type, Implementation("", is_template=True), place, _ByUrlSections(sections))


class _ByUrlSections:
    """The sections of an AWS::CloudFormation::Stack, with its Parameters as the properties."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sections, name)

    @property
    def whole(self) -> Any:
        """The properties of the resource."""
        return self._sections.properties

    @property
    def properties(self) -> Any:
        """The Parameters."""
        return (self.whole.get("Parameters") or {}) if isinstance(self.whole, dict) else {}

    @property
    def properties_path(self) -> Path:
        """Their place."""
        return Path(self._sections.properties_path, "Parameters")


class _ByUrl(Nested):
    """A nested stack by its template's URL. What it is given is taken as a stack's own parameters are: a map for a text
    parameter becomes text, null counts as not given.
    """

    @cached_property
    def _implementation(self) -> Implementation:
        sections = self._sections
        compiled = sections.whole  # type: ignore[attr-defined]
        url = compiled.get("TemplateURL") if isinstance(compiled, dict) else None
        if not isinstance(url, str):
            reason = "TemplateURL must be text that is known before anything is created"
            sections.report(InvalidTemplate(str(self._named_at), reason))
            url = ""
        return Implementation(url, is_template=True)

    @property
    def _named_at(self) -> Path:
        return Path(self._sections.properties_path.parent, "TemplateURL")

    def _values(self, template: Template) -> dict[str, Any]:
        compiled = self._sections.properties
        path = str(self._sections.properties_path)
        if not isinstance(compiled, dict):
            reason = "The parameters of a nested stack must be a map that is known before anything is created"
            self._sections.report(InvalidTemplate(path, reason))
            return {}
        given = {name: value for name, value in compiled.items() if value is not None}
        for name in given.keys() - template.parameters.keys():
            self._sections.report(unknown(name, template.parameters, f"{path}.{name}"))
        values = {}
        for name, schema in template.parameters.items():
            if name in given:
                value = given[name]
                values[name] = ParameterValue(schema, value, f"{path}.{name}") if is_dynamic(value) else value
            elif schema.default is None and self._place.defaults.get(name) is None:
                self._sections.report(missing(name, path))
        return values

    def attribute(self, attribute: str, path: list[Any]) -> Any:
        """``Outputs.NAME``."""
        return super().attribute(attribute.removeprefix("Outputs."), path)
