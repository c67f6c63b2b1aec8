"""AWS::CloudFormation::Stack: a nested template that is named by its URL."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from hot_translator.entities import Place
from hot_translator.errors import InvalidTemplate
from hot_translator.expression import is_dynamic
from hot_translator.functions.base import Path
from hot_translator.nested import Nested
from hot_translator.parameter_values import ParameterValue
from hot_translator.parameters import missing, unknown
from hot_translator.registry import Implementation
from hot_translator.sections import Sections
from hot_translator.template import Template

if TYPE_CHECKING:
    from hot_translator.compiler import Entity


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
