"""``kiln pack``: a Stack manifest of a template and all that it names, ready for ``kubectl apply``."""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from hot_translator import Template, TranslationError, parse_environment, parse_template
from kiln.tools import command_line as given
from kiln.tools.command_line import Inputs, UsageError
from kiln.tools.offline import Outcome
from kiln.tools.validate import print_problems

DESCRIPTION = """Print a Stack manifest: the template's exact text, the environments, parameters and all files.

Large texts go into ConfigMaps beside the Stack, values of hidden parameters that the command line gives into a Secret,
so the output may hold secrets. kubectl keeps a copy of what it applied in an annotation unless it is told not to:

    kiln pack -t web.yaml -e prod.yaml web | kubectl apply --server-side -f -"""

LARGE_FILE: Final = 32 * 1024
"""Bytes of one file from which on it goes into a ConfigMap."""
MOST_INLINE: Final = 224 * 1024
"""Bytes that one manifest may have: client-side apply copies it into annotations, which may have 256 KiB in all."""
MOST: Final = 1024 * 1024
"""Bytes of one text: what a ConfigMap can hold."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_PLAIN: Final = re.compile(r"[A-Za-z][\w./-]*[A-Za-z0-9]", re.ASCII)
_WORDS: Final = frozenset({"yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True)
class Target:
    """What the manifest says besides the inputs."""

    name: str
    namespace: str = ""
    secret: str = "openstack"
    cloud: str = "openstack"
    options: Mapping[str, Any] = field(default_factory=dict)

    def metadata(self, suffix: str = "") -> dict[str, Any]:
        """The metadata of the Stack, or of an object that belongs to it."""
        metadata = {"name": f"{self.name}{suffix}"}
        return {**metadata, "namespace": self.namespace} if self.namespace else metadata


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln pack``."""
    parser = commands.add_parser(
        "pack", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_arguments(parser)
    parser.add_argument("name", metavar="NAME", help="the Stack's name")
    parser.add_argument("-n", "--namespace", default="", help="the namespace; default: kubectl's")
    parser.add_argument("--secret", default="openstack", help="the Secret with the clouds.yaml; default: openstack")
    parser.add_argument(
        "--cloud",
        default=os.environ.get("OS_CLOUD", "openstack"),
        help="the cloud in it; default: $OS_CLOUD, else openstack",
    )
    parser.add_argument("--enable-rollback", action="store_true", help="as Heat's: onFailure: Rollback")
    parser.add_argument("--timeout", type=int, metavar="MINUTES", help="as Heat's: how long a change may take")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: printed; 1: a file is missing, or a text is too large or cannot be read."""
    if not _NAME.fullmatch(arguments.name):
        reason = "at most 63 lower case letters, digits and '-', with a letter or digit at each end"
        raise UsageError(f"{arguments.name!r} cannot be a Stack's name: it has {reason}")
    options: dict[str, Any] = {}
    if arguments.enable_rollback:
        options["onFailure"] = "Rollback"
    if arguments.timeout:
        options["timeout"] = f"{arguments.timeout}m"
    target = Target(arguments.name, arguments.namespace, arguments.secret, arguments.cloud, options)
    inputs = given.read(arguments)
    try:
        template = parse_template(inputs.template.text, name=inputs.template.name)
        environments = [parse_environment(document.text, name=document.name) for document in inputs.environments]
    except TranslationError as error:
        print_problems(Outcome((*inputs.problems, *error.problems)), inputs)
        return 1
    if inputs.problems:
        print_problems(Outcome(inputs.problems), inputs)
        return 1
    too_large = [name for name, text in _texts(inputs) if len(text.encode()) > MOST]
    for name in too_large:
        print(f"{name}: larger than {MOST} bytes, which is more than a ConfigMap can hold", file=sys.stderr)
    if too_large:
        return 1
    for document, environment in zip(inputs.environments, environments, strict=True):
        for name in _hidden(template) & {*environment.parameters, *environment.parameter_defaults}:
            print(f"{document.name}: the hidden parameter {name} has its value here, in clear", file=sys.stderr)
    print(to_yaml(pack(inputs, template, target)), end="")
    return 0


def pack(inputs: Inputs, template: Template, target: Target) -> list[dict[str, Any]]:
    """The manifests: what the Stack refers to, then the Stack."""
    spec: dict[str, Any] = {"cloudCredentialsRef": {"secretName": target.secret, "cloudName": target.cloud}}
    spec |= target.options
    manifests = []
    shown, secret = _parameters(inputs, template)
    if secret:
        metadata = target.metadata("-parameters")
        keys = {name: name if _KEY.fullmatch(name) else f"parameter-{number}" for number, name in enumerate(secret)}
        data = {key: secret[name] for name, key in keys.items()}
        manifests.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        spec["parametersFrom"] = [
            {"name": name, "secretKeyRef": {"name": metadata["name"], "key": key}} for name, key in keys.items()
        ]
    if shown:
        spec["parameters"] = shown

    boxes = _Boxes(target)
    room = MOST_INLINE - _size({**spec, "files": dict.fromkeys(inputs.files, "")})
    large = _too_much(inputs, room)
    if None in large:
        name, key = boxes.put("template", "template.yaml", inputs.template.text)
        spec["templateRef"] = {"configMapName": name, "key": key}
    else:
        spec["templateBody"] = inputs.template.text
    for number, environment in enumerate(inputs.environments):
        item: dict[str, Any] = {"inline": environment.text}
        if number in large:
            name, key = boxes.put("environments", f"{number}.yaml", environment.text)
            item = {"configMapKeyRef": {"name": name, "key": key}}
        spec.setdefault("environments", []).append(item)
    for name, text in inputs.files.items():
        if name in large:
            boxes.put_file(name, text)
        else:
            spec.setdefault("files", {})[name] = text
    if boxes.files_from:
        spec["filesFrom"] = boxes.files_from
    stack = {"apiVersion": "kiln.dev/v1alpha1", "kind": "Stack", "metadata": target.metadata(), "spec": spec}
    return [*manifests, *boxes.manifests, stack]


def to_yaml(manifests: Sequence[Mapping[str, Any]]) -> str:
    """The manifests as YAML that every reader takes alike: lines as blocks, other text quoted unless it is a word."""
    dumps = (
        yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)
        for manifest in manifests
    )
    return "---\n".join(dumps)


class _Dumper(yaml.SafeDumper):
    """Writes text in a way that YAML 1.1 and 1.2 agree on."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out."""
        return True

    def analyze_scalar(self, scalar: str) -> Any:
        """Let texts be blocks that PyYAML would rather escape: lines may end with spaces and hold tabs."""
        analysis = super().analyze_scalar(scalar)
        analysis.allow_block = analysis.allow_block or _is_block(scalar)
        return analysis


def _is_block(text: str) -> bool:
    """Whether a literal block gives back this text to every reader."""
    if text[:1].isspace() or text.rpartition("\n")[2].isspace():
        return False
    return text.replace("\n", "").replace("\t", "").isprintable()


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style: str | None = '"'
    if "\n" in text and _is_block(text):
        style = "|"
    elif _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        style = None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class _Boxes:
    """ConfigMaps, as many as it takes, none larger than a manifest should be."""

    def __init__(self, target: Target) -> None:
        self.manifests: list[dict[str, Any]] = []
        self.files_from: list[dict[str, Any]] = []
        self._target = target
        self._open: dict[str, dict[str, Any]] = {}
        self._count = 0

    def put(self, purpose: str, key: str, text: str) -> tuple[str, str]:
        """Store a text; the names of the ConfigMap and of the key."""
        box = self._open.get(purpose)
        if box is None or _size(box) + _size({key: text}) > MOST_INLINE:
            number = sum(name.startswith(f"{self._target.name}-{purpose}") for name in self._names()) + 1
            metadata = self._target.metadata(f"-{purpose}" + (f"-{number}" if number > 1 else ""))
            box = self._open[purpose] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}
            self.manifests.append(box)
        box["data"][key] = text
        return box["metadata"]["name"], key

    def put_file(self, name: str, text: str) -> None:
        """Store a file, and refer to it."""
        self._count += 1
        is_key = bool(_KEY.fullmatch(name)) and not name.startswith("file-")
        box, key = self.put("files", name if is_key else f"file-{self._count}", text)
        if not self.files_from or self.files_from[-1]["configMapRef"]["name"] != box:
            self.files_from.append({"configMapRef": {"name": box, "items": []}})
        self.files_from[-1]["configMapRef"]["items"].append({"key": key, "path": name})

    def _names(self) -> Iterator[str]:
        return (manifest["metadata"]["name"] for manifest in self.manifests)


def _too_much(inputs: Inputs, room: int) -> set[str | int | None]:
    """What does not stay in the Stack: files by name, environments by number, the template as None.

    Large files, then the largest of the others, then environments; the template only when it alone is too large.
    """
    large: set[str | int | None] = {name for name, text in inputs.files.items() if len(text.encode()) > LARGE_FILE}
    template = _size(inputs.template.text)
    if template > room:
        large.add(None)
        template = 0
    files = [(_size(text), name) for name, text in inputs.files.items() if name not in large]
    environments = [(_size(document.text), number) for number, document in enumerate(inputs.environments)]
    used = template + sum(size for size, _ in (*files, *environments))
    candidates: list[tuple[int, str | int]] = [*sorted(files, reverse=True), *sorted(environments, reverse=True)]
    for size, name in candidates:
        if used <= room:
            break
        large.add(name)
        used -= size
    return large


def _texts(inputs: Inputs) -> Iterator[tuple[str, str]]:
    for document in (inputs.template, *inputs.environments):
        yield document.name, document.text
    for name, text in inputs.files.items():
        yield inputs.origins[name], text


def _parameters(inputs: Inputs, template: Template) -> tuple[dict[str, Any], dict[str, str]]:
    """The command line's parameters: those to show, and the hidden ones as text."""
    hidden = _hidden(template)
    shown = {name: value for name, value in inputs.parameters.items() if name not in hidden}
    secret = {
        name: value if isinstance(value, str) else ",".join(value)
        for name, value in inputs.parameters.items()
        if name in hidden
    }
    return shown, secret


def _hidden(template: Template) -> set[str]:
    return {name for name, schema in template.parameters.items() if schema.hidden}


def _size(value: Any) -> int:
    """Bytes of a value in JSON, which is what the annotation and the API server hold."""
    return len(json.dumps(value, ensure_ascii=False).encode())
