"""One template of a translation: the root, or one that a resource stands for. Names are found here, resources made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hot_translator import versions
from hot_translator.budget import refusing
from hot_translator.compiler import Compiler, Entity
from hot_translator.conditional import Undecided, both
from hot_translator.entities import Facade, Place, make_entity
from hot_translator.errors import InvalidTemplate, TranslationError
from hot_translator.expression import NOWHERE, Choice, Dynamic, is_dynamic, resolve
from hot_translator.functions.base import Failure, Path, failures, strip
from hot_translator.names import did_you_mean
from hot_translator.parameters import Parameter, ParameterSchema, check_value, missing
from hot_translator.sections import Written
from hot_translator.template import OutputSnippet, ResourceSnippet, Template, locate_error
from hot_translator.translation import Output
from hot_translator.tree import Pseudo


class Unit:
    """A template with its parameters, compiled. The names of its resources begin with the place's prefix."""

    def __init__(
        self, template: Template, place: Place, values: Mapping[str, Any], facade: Facade | None = None
    ) -> None:
        self.template = template
        self.place = place
        self.tree = place.tree
        self._facade = facade
        self._values = values
        self.compiler = Compiler(template, self, self.report, place.path)
        self.parameters: dict[str, Parameter] = {}
        self._refused: dict[str, Failure] = {}
        self._pseudo = _pseudo_parameters(template, place.pseudo)
        self._read_parameters()
        self.compiler.check_conditions()
        self._conditions = {name: self._condition(snippet) for name, snippet in template.resources.items()}
        self._enabled = {
            name: snippet for name, snippet in template.resources.items() if self._conditions[name] is not False
        }
        self._entities: dict[str, Entity] = self.tree.made_by_name()
        self._outputs: dict[str, tuple[Any, bool]] = self.tree.made_by_name()
        self._open: list[str] = []

    def report(self, error: TranslationError) -> None:
        """Record a problem, with its place in this template's text."""
        self._locate(error)
        self.tree.report(error)

    def warn(self, warning: TranslationError) -> None:
        """Record a warning, with its place in this template's text."""
        self._locate(warning)
        self.tree.warn(warning)

    def break_rule(self, error: TranslationError) -> None:
        """Record a broken rule between properties, with its place in this template's text."""
        self._locate(error)
        self.tree.break_rule(error)

    def _locate(self, error: TranslationError) -> None:
        if self.place.path is None:
            return
        prefix = f"{self.place.path}."
        for problem in error.problems:
            if problem.source is None and problem.path.startswith(prefix):
                whole, problem.path = problem.path, problem.path.removeprefix(prefix)
                locate_error(problem, self.template.text, self.template.source)
                problem.path = whole

    # parameters

    def _read_parameters(self) -> None:
        for schema in self.template.parameters.values():
            path = str(self.compiler.section(self.template.version.words.parameters, schema.name))
            try:
                value = self._value(schema, path)
            except TranslationError as error:
                if self.place.path is None or schema.name in self._values:
                    self.report(error)  # else the property that is missing has been reported already
                self._refused[schema.name] = Failure(error, reported=True)
                continue
            self.parameters[schema.name] = Parameter(schema.name, value, schema)
            self.tree.hide(schema, value)

    def _value(self, schema: ParameterSchema, path: str) -> Any:
        given = self._values.get(schema.name)
        if given is None:
            given = self.place.defaults.get(schema.name)
        if given is None:
            given = schema.default
        if given is None:
            raise missing(schema.name, path)
        if is_dynamic(given):
            return given
        value, lookups = check_value(schema, given, path)
        if self.place.path is None:
            self.tree.lookups += lookups
        return value

    def parameter(self, name: str) -> Any:
        """A parameter's value; KeyError when there is none."""
        if name in self._pseudo:
            return self._pseudo[name]
        parameter = self.parameters.get(name)
        if parameter is None:
            return self._refused[name]
        if parameter.hidden:
            self.tree.hidden_reads += 1
        return parameter.value

    # resources

    def _condition(self, snippet: ResourceSnippet) -> Any:
        """Whether a resource exists: a bool, or ``Dynamic`` when that depends on another resource."""
        if snippet.condition is None:
            return True
        words = self.template.version.words
        path = self.compiler.section(words.resources, snippet.name, words.condition)
        try:
            return self.compiler.evaluate(snippet.condition, path)
        except TranslationError as error:
            self.report(error)
            return True

    def has_resource(self, name: str) -> bool:
        """Whether a resource that is not certain to be switched off has this name."""
        return name in self._enabled

    def entity(self, name: str) -> Entity:
        """An enabled resource, made when it is first asked for; KeyError when there is none."""
        entity = self._entities.get(name)
        if entity is None:
            entity = self._entities[name] = self._make(self._enabled[name])
        return entity

    def _make(self, snippet: ResourceSnippet) -> Entity:
        words = self.template.version.words
        path = self.compiler.section(words.resources, snippet.name)
        condition = self._conditions[snippet.name]
        if not isinstance(condition, Dynamic):
            return make_entity(snippet.name, snippet.type, self.place, Written(self, snippet, path))
        place = replace(self.place, condition=both(self.place.condition, condition))
        entity = make_entity(snippet.name, snippet.type, place, Written(self, snippet, path))
        return Undecided(entity, condition, snippet.name, path)

    def expand(self) -> frozenset[str]:
        """Make the definitions of all enabled resources; their names."""
        self.tree.count(len(self._enabled), str(self.compiler.section(self.template.version.words.resources)))
        for name in self._enabled:
            self.entity(name).define()
        return frozenset(self.place.name(name) for name in self._enabled)

    def needs(self, snippet: ResourceSnippet, path: Path) -> frozenset[str]:
        """The names of what a resource's depends_on names. What a condition switched off is left out."""
        found = set()
        for name in snippet.depends_on:
            if name in self._enabled:
                found.add(self.place.name(name))
            elif name not in self.template.resources:
                hint = did_you_mean(name, self.template.resources)
                words = self.template.version.words
                where = str(Path(path, words.depends_on))
                self.report(InvalidTemplate(where, f'The specified reference "{name}" is incorrect{hint}'))
        return frozenset(found)

    # outputs

    def output(self, name: str) -> Any:
        """An output as an expression; KeyError when there is none."""
        if name not in self._outputs:
            snippet = self.template.outputs[name]
            words = self.template.version.words
            if name in self._open:
                where = str(self.compiler.section(words.outputs, name))
                raise InvalidTemplate(where, f'The output "{name}" is made of itself')
            self._open.append(name)
            before = self.tree.hidden_reads
            try:
                value = self._compile_output(snippet)
            finally:
                self._open.pop()
            self._outputs[name] = value, self.tree.hidden_reads > before
        value, hidden = self._outputs[name]
        self.tree.hidden_reads += hidden
        return value

    def _compile_output(self, snippet: OutputSnippet) -> Any:
        words = self.template.version.words
        enabled: Any = True
        try:
            if snippet.condition is not None:
                path = self.compiler.section(words.outputs, snippet.name, words.condition)
                enabled = self.compiler.evaluate(snippet.condition, path)
                if not enabled:
                    return None
        except TranslationError as error:
            return self.compiler.report(error)
        path = self.compiler.section(words.outputs, snippet.name, words.value)
        if isinstance(enabled, Dynamic):
            return Choice(enabled, strip(self.compiler.compile_branch(snippet.value, path)), None)
        return strip(self.compiler.compile(snippet.value, path))

    def outputs(self) -> dict[str, Output]:
        """All outputs."""
        made = {}
        for name, snippet in self.template.outputs.items():
            value = self.output(name)
            made[name] = Output(name, snippet.description, value, hidden=self._outputs[name][1])
        return made

    def warn_of_outputs(self) -> None:
        """Warn of the calls in outputs that are certain to fail: such an output will have no value."""
        for name, (value, _) in self._outputs.items():
            found = failures(value)
            for failure in found:
                if not failure.reported:
                    self.warn(type(failure.error)(failure.error.path, failure.error.reason))
            try:
                if not found:
                    with refusing(f"outputs.{name}.value"):
                        resolve(value, NOWHERE)
            except TranslationError as error:
                self.warn(error)

    # what functions look up besides

    @property
    def hidden_reads(self) -> int:
        """How often a hidden parameter or file was read until now, in the whole tree."""
        return self.tree.hidden_reads

    def file(self, key: str) -> str:
        """The text of a file; KeyError when it was not given."""
        return self.tree.file(key, self.template.source)

    def facade(self, section: str) -> Any:
        """A section of the resource that this template stands for."""
        if self._facade is None:
            msg = "resource_facade has a meaning only in a template that stands for a resource of another"
            raise LookupError(msg)
        return getattr(self._facade, section)


def _pseudo_parameters(template: Template, pseudo: Pseudo) -> dict[str, str]:
    if template.version.key == versions.HOT:
        return {
            "OS::stack_name": pseudo.stack_name,
            "OS::stack_id": pseudo.stack_id,
            "OS::project_id": pseudo.project_id,
            "OS::region": pseudo.region,
        }
    return {"AWS::StackName": pseudo.stack_name, "AWS::StackId": pseudo.arn, "AWS::Region": "ap-southeast-1"}
