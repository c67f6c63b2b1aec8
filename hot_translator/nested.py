"""Resources that are templates: their properties become the inner template's parameters, its outputs attributes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from hot_translator import properties
from hot_translator.catalogue.model import AttributeSchema, PropertySchema, TypeSchema
from hot_translator.compiler import select
from hot_translator.entities import Facade, Place, UnknownAttributeError, Whole, define
from hot_translator.errors import InvalidTemplate, Problems, TranslationError
from hot_translator.expression import Through
from hot_translator.functions.base import Path
from hot_translator.inner_stack import TOO_DEEP, inner_attribute, inner_place, nested_pseudo
from hot_translator.parameter_values import parameter_value
from hot_translator.registry import Implementation
from hot_translator.sections import Sections
from hot_translator.template import Template, parse_file
from hot_translator.tree import Pseudo

if TYPE_CHECKING:
    from hot_translator.unit import Unit

_ID: Final = "OS::stack_id"


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
        inner = inner_place(self._place, sections, self._implementation, self.local_name)
        inner = replace(inner, path=self._inner_path, source=template.source)
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
                values[name] = parameter_value(schema, value, f"{path}.{name}")
        return values

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
