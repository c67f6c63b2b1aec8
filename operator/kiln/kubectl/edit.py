"""``kubectl stack edit-param``: changes parameters of a Stack, after a check against the template's declarations."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hot_translator import ParameterSchema
from kiln.api.kinds import STACKS
from kiln.kube.errors import Conflict
from kiln.kubectl import output
from kiln.kubectl.session import CommandError, Session
from kiln.stack import inputs as stack_inputs
from kiln.stack.inputs import InputsError
from kiln.tools import offline
from kiln.tools.command_line import Document, Inputs
from kiln.tools.validate import line_of
from reconcilers.cloud.limits import printable

DESCRIPTION = """Change parameters of a Stack. Without NAME=VALUE, edit all in an editor (KUBE_EDITOR, EDITOR).

  kubectl stack edit-param web size=large
  kubectl stack edit-param web size-            remove it, so that the template's default counts
  kubectl stack edit-param web

Values are checked against the template's declarations first. Parameters whose values come from a Secret or ConfigMap
are changed there."""
_MANAGERS: Final[Mapping[str, str]] = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
"""Labels and annotations of what sets the spec anew."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack edit-param``."""
    parser = commands.add_parser(
        "edit-param", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("changes", metavar="NAME=VALUE", nargs="*", help="a new value; NAME- removes one")
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0; 1 if values are refused."""
    stack = await session.stack(arguments.stack)
    name = stack["metadata"]["name"]
    if manager := managed_by(stack):
        print(f"warning: {manager} manages this Stack, and may undo the change", file=sys.stderr)
    editable = await load(session, stack)
    if arguments.changes:
        wanted = changed(editable, arguments.changes)
        problems = check(editable, wanted)
        if problems:
            raise CommandError("\n".join(problems))
    else:
        wanted = _edited(editable)
    patch = {key: wanted.get(key) for key in sorted({*editable.given, *wanted})}
    patch = {key: value for key, value in patch.items() if key not in editable.given or value != editable.given[key]}
    if not patch:
        session.print(f"stack/{name}: nothing is changed")
        return 0
    body = {"metadata": {"resourceVersion": stack["metadata"]["resourceVersion"]}, "spec": {"parameters": patch}}
    try:
        await session.kube.patch(STACKS, session.namespace, name, body, manager="kubectl-stack")
    except Conflict as error:
        raise CommandError("the Stack was changed meanwhile: try again") from error
    session.print(f"stack/{name}: changed {', '.join(patch)}")
    session.print(f"To watch: kubectl stack wait {name} -n {session.namespace}")
    return 0


@dataclass(frozen=True, slots=True)
class Editable:
    """A Stack's parameters: those that its spec gives, declarations, and where others come from."""

    given: Mapping[str, Any]
    declared: Mapping[str, ParameterSchema]
    elsewhere: Mapping[str, str]
    inputs: Inputs


async def load(session: Session, stack: Mapping[str, Any]) -> Editable:
    """Read what is needed to check parameters; no Secret is read. Raises CommandError for inputs that are missing."""
    spec = stack["spec"]
    references = spec.get("parametersFrom") or []
    public = {
        **spec,
        "parametersFrom": [one for one in references if "configMapKeyRef" in one],
        "environments": [one for one in spec.get("environments") or () if "secretKeyRef" not in one],
        "filesFrom": [one for one in spec.get("filesFrom") or () if "secretRef" not in one],
    }
    try:
        found = await stack_inputs.load(session.kube, {**stack, "spec": public})
    except InputsError as error:
        raise CommandError(f"{error.path}: {error.message}") from error
    inputs = Inputs(
        Document("template", _text(found.template)),
        tuple(Document(f"environments[{index}]", _text(text)) for index, text in enumerate(found.environments)),
        found.files,
        parameters=found.parameters,
    )
    template = offline.run(inputs, stand_in=True).template
    return Editable(
        spec.get("parameters") or {},
        template.parameters if template is not None else {},
        {one["name"]: _source(one) for one in references},
        inputs,
    )


def _text(source: str | Mapping[str, Any]) -> str:
    return source if isinstance(source, str) else json.dumps(source)


def _source(reference: Mapping[str, Any]) -> str:
    for kind, field in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
        if field in reference:
            return f"the key {reference[field]['key']} of the {kind} {reference[field]['name']}"
    if "stackOutputRef" in reference:
        source = reference["stackOutputRef"]
        return f"the output {source['output']} of the Stack {source['stack']}"
    return "another object"


def managed_by(stack: Mapping[str, Any]) -> str:
    """What sets the Stack's spec anew; empty if nothing is known to."""
    metadata = stack["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    return next((manager for mark, manager in _MANAGERS.items() if mark in marks), "")


def changed(editable: Editable, changes: Sequence[str]) -> dict[str, Any]:
    """The parameters after changes as ``NAME=VALUE`` and ``NAME-``. Raises CommandError for invalid changes."""
    wanted = dict(editable.given)
    for change in changes:
        name, sign, value = change.partition("=")
        removed = not sign and name.endswith("-")
        name = name.removesuffix("-") if removed else name
        if not name or not (sign or removed):
            raise CommandError(f"{change!r} is neither NAME=VALUE nor NAME-")
        if name in editable.elsewhere:
            raise CommandError(f"the parameter {name!r} comes from {editable.elsewhere[name]}: change it there")
        if removed:
            if name not in wanted:
                raise CommandError(f"the Stack gives no value to the parameter {name!r}")
            del wanted[name]
        else:
            wanted[name] = value
    return wanted


def check(editable: Editable, wanted: Mapping[str, Any]) -> list[str]:
    """What is wrong with parameters, a line each. What only the cloud knows is not checked."""
    moved = [name for name in wanted if name in editable.elsewhere]
    if moved:
        return [f"the parameter {name!r} comes from {editable.elsewhere[name]}: change it there" for name in moved]
    kept = {name: value for name, value in editable.inputs.parameters.items() if name in editable.elsewhere}
    inputs = Inputs(
        editable.inputs.template, editable.inputs.environments, editable.inputs.files, parameters={**kept, **wanted}
    )
    outcome = offline.run(inputs, stand_in=True)
    missing = [name for name in outcome.missing if name not in editable.elsewhere]
    lines = [line_of(problem, inputs) for problem in outcome.problems]
    return lines + [f"the parameter {name!r} has no value, and no default" for name in missing]


def sheet(editable: Editable, values: Mapping[str, Any], problems: Sequence[str] = ()) -> str:
    """The text for an editor: values as YAML, declarations as comments."""
    lines = ["# Parameters of the Stack. Save an empty file, or the same, to change nothing."]
    lines += [f"# error: {line}" for problem in problems for line in problem.splitlines()]
    for name, schema in editable.declared.items():
        lines.append("#")
        about = f": {printable(schema.description)}" if schema.description else ""
        lines.append(f"# {name} ({schema.type}){about}")
        if name in editable.elsewhere:
            lines.append(f"#   from {editable.elsewhere[name]}")
        elif schema.default is not None:
            lines.append(f"#   default: {'hidden' if schema.hidden else json.dumps(schema.default)}")
    return "\n".join([*lines, output.as_yaml(dict(values)) if values else "{}", ""])


def _edited(editable: Editable) -> dict[str, Any]:
    """Have the parameters edited until they are valid. Raises CommandError if the user gives up."""
    values, problems = dict(editable.given), list[str]()
    while True:
        before = sheet(editable, values, problems)
        after = _in_editor(before)
        if after == before and problems:
            raise CommandError("nothing is changed, since the parameters are not valid")
        try:
            parsed = yaml.safe_load(after)
        except yaml.YAMLError as error:
            problems = [f"this is not YAML: {error}"]
            continue
        if parsed is None:
            return dict(editable.given)
        if not isinstance(parsed, dict) or not all(isinstance(name, str) for name in parsed):
            problems = ["give a name and a value in each line"]
            continue
        values = parsed
        problems = check(editable, values)
        if not problems:
            return values


def _in_editor(text: str) -> str:
    """The text after the user's editor had it."""
    editor = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parameters.yaml"
        path.write_text(text)
        try:
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603 - the user's own editor
        except OSError as error:
            raise CommandError(f"the editor {editor!r} cannot be run: {error}") from error
        if done.returncode:
            raise CommandError(f"the editor {editor!r} failed with exit code {done.returncode}: nothing is changed")
        return path.read_text()
