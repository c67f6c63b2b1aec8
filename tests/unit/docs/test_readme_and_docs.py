"""README, docs and examples say what is so: manifests are valid, commands and files exist, tables are complete."""

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hot_translator import Pseudo, ResolutionError, parse_environment, parse_template, translate
from kiln import cli, metrics, settings
from kiln.api.v1alpha1 import Condition, Reason
from kiln.kubectl import cli as plugin
from kiln.stack.requeue import PassEnd
from reconcilers.model import Fault, Send
from reconcilers.resource_type import RestResource

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
CRDS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in (yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml"))
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPES = {"string": str, "integer": int, "boolean": bool, "object": Mapping, "array": list}


def blocks(language: str) -> list[Any]:
    """Code blocks of a language in all pages, named by page and number."""
    return [
        pytest.param(block[1], id=f"{name}#{number}")
        for name, text in TEXTS.items()
        for number, block in enumerate(re.findall(BLOCK, text))
        if block[0] == language
    ]


def faults(schema: Mapping[str, Any], value: Any, path: str, *, whole: bool = True) -> Iterator[str]:
    """What a structural schema has against a value; ``whole`` False: required fields may be left out."""
    wanted = schema.get("type")
    if wanted and not isinstance(value, TYPES[wanted]):
        yield f"{path}: not of type {wanted}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value} is not one of {schema['enum']}"
    if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: too short or too long"
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from faults(schema["items"], item, f"{path}[{number}]")
    if isinstance(value, Mapping) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        known = schema.get("properties", {})
        if whole:
            yield from (f"{path}.{name}: is missing" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            if name in known:
                yield from faults(known[name], item, f"{path}.{name}", whole=whole)
            elif isinstance(schema.get("additionalProperties"), Mapping):
                yield from faults(schema["additionalProperties"], item, f"{path}.{name}")
            elif path != ".metadata":
                yield f"{path}.{name}: no such field"


def check(manifest: Mapping[str, Any]) -> None:
    """A manifest of ours is one that the API server takes, and its template one that the translator takes."""
    if not str(manifest.get("apiVersion", "")).startswith("kiln.dev/"):
        return
    assert list(faults(CRDS[manifest["kind"]], manifest, "")) == []
    if manifest["kind"] != "Stack":
        return
    spec = manifest["spec"]
    given = sum(name in spec for name in ("template", "templateBody", "templateRef"))
    assert given == 1
    if "templateRef" in spec:
        return
    parameters = dict(spec.get("parameters", {}))
    parameters |= {item["name"]: "Abc12345" for item in spec.get("parametersFrom", ())}
    environments = [item.get("inline", item.get("environment")) for item in spec.get("environments", ())]
    found = translate(
        parse_template(spec.get("templateBody", spec.get("template"))),
        environment=[parse_environment(one) for one in environments],
        parameters=parameters,
        files=spec.get("files", {}),
        pseudo=Pseudo("stack", "11111111-2222-3333-4444-555555555555", "project", "region"),
    )
    assert found.definitions


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_is_a_manifest_that_would_be_taken(path: Path) -> None:
    manifests = list(yaml.safe_load_all(path.read_text()))
    assert any(manifest["kind"] == "Stack" for manifest in manifests)
    for manifest in manifests:
        check(manifest)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_manifest_in_a_page_would_be_taken(text: str) -> None:
    for found in yaml.safe_load_all(text):
        if "apiVersion" in found:
            check(found)
        else:
            assert list(faults(CRDS["Stack"], found, "", whole=False)) == []


def test_the_check_of_manifests_finds_what_is_wrong() -> None:
    stack = yaml.safe_load((ROOT / "examples/first-stack.yaml").read_text())
    wrong = {**stack, "spec": {**stack["spec"], "onFailure": "Explode", "colour": "red"}}
    del wrong["spec"]["cloudCredentialsRef"]
    assert sorted(faults(CRDS["Stack"], wrong, "")) == [
        ".spec.cloudCredentialsRef: is missing",
        ".spec.colour: no such field",
        ".spec.onFailure: Explode is not one of ['Retry', 'Rollback', 'Halt']",
    ]


def test_the_first_stack_of_the_readme_is_the_example() -> None:
    shown = [yaml.safe_load(block) for language, block in re.findall(BLOCK, TEXTS["README.md"]) if language == "yaml"]
    assert yaml.safe_load((ROOT / "examples/first-stack.yaml").read_text()) in shown


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of the pages' shell blocks, with its page."""
    for name, text in TEXTS.items():
        for language, block in re.findall(BLOCK, text):
            if language == "sh":
                for line in block.replace("\\\n", " ").splitlines():
                    for part in re.split(r"\s\|\s|&&|;", line.partition(" #")[0]):
                        words = shlex.split(
                            re.sub(r"\$\(.*?\)", "", part).replace('"$', "$").replace("'", ""), posix=False
                        )
                        if words:
                            yield name, words


def test_commands_and_options_of_kiln_exist() -> None:
    used = 0
    for page, words in commands():
        if words[0].rpartition("/")[2] == "kiln":
            used += 1
            assert words[1] in cli.COMMANDS, f"{page}: kiln {words[1]}"
            known = cli._parser(words[1]).format_help() + _help(words[1])
            for option in (word.partition("=")[0] for word in words[2:] if word.startswith("-") and word != "-"):
                assert re.search(rf"(^|[\s\[,]){re.escape(option)}\b", known), f"{page}: kiln {words[1]} {option}"
    assert used


def test_commands_and_options_of_the_plugin_exist_and_all_are_described() -> None:
    used = set()
    for page, words in commands():
        if words[:2] == ["kubectl", "stack"]:
            assert words[2] in plugin.COMMANDS, f"{page}: kubectl stack {words[2]}"
            used.add(words[2])
            known = plugin.command_parser(words[2]).format_help()
            for option in (word.partition("=")[0] for word in words[3:] if word.startswith("-") and word != "-"):
                assert re.search(rf"(^|[\s\[,]){re.escape(option)}\b", known), f"{page}: {words[2]} {option}"
    assert {"why", "diff", "undo"} <= used
    assert set(re.findall(r"^\| `([a-z-]+)` \|", TEXTS["docs/kubectl.md"], re.M)) == set(plugin.COMMANDS)


def test_options_of_the_operator_in_pages_and_chart_exist() -> None:
    known = {name for option in settings.add_options(argparse.ArgumentParser()) for name in option.option_strings}
    operations = set(re.findall(r"`(--[a-z-]+)", TEXTS["docs/operations.md"]))
    foreign = {"--cascade"}  # of kubectl
    chart = set(re.findall(r"^\s+- (--[a-z-]+)=", (ROOT / "charts/kiln/templates/deployment.yaml").read_text(), re.M))
    assert {"--namespace", "--lease-name"} <= chart
    assert (operations - foreign) | chart <= known


def _help(command: str) -> str:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    importlib.import_module(cli.COMMANDS[command].module).add_command(commands, "")
    return str(commands.choices[command].format_help())


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {
        target
        for text in TEXTS.values()
        for target in re.findall(r"(?:`|^\s{4}|\()make (?:-s )?([a-z0-9-]+)", text, re.M)
    }
    assert named >= {"demo", "test", "help", "lab-env"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"


def test_files_and_sections_that_are_linked_exist() -> None:
    for name, text in TEXTS.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            assert target.exists(), f"{name}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", target.read_text(), re.M)
                anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{name}: {link}"


def test_no_page_names_a_file_that_is_not_there() -> None:
    for name, text in TEXTS.items():
        for path in re.findall(
            r"`((?:examples|docs|tests|crds|charts|reconcilers|operator|hot_translator)/[\w./-]+)`", text
        ):
            assert (ROOT / path).exists(), f"{name}: {path}"


def test_the_code_of_types_in_the_docs_is_that_of_the_files() -> None:
    page = TEXTS["docs/adding-a-type.md"]
    declaration, power = [block for language, block in re.findall(BLOCK, page) if language == "python"]
    assert declaration in (ROOT / "reconcilers/load_balancer/health_monitor.py").read_text()
    assert power in (ROOT / "reconcilers/compute/server_power.py").read_text()


def test_what_the_docs_say_that_a_type_can_declare_exists() -> None:
    tables = TEXTS["docs/adding-a-type.md"].split("A `Send` can say more")
    types = {word for cell in re.findall(r"^\| (`[^|]+) \|", tables[0], re.M) for word in re.findall(r"`(\w+)`", cell)}
    known = set(dir(RestResource)) | set(RestResource.__annotations__)
    assert types - {"lookups"} <= known
    sends = {word for cell in re.findall(r"^\| (`[^|]+) \|", tables[1], re.M) for word in re.findall(r"`(\w+)`", cell)}
    assert sends <= set(Send.__dataclass_fields__)
    assert types
    assert sends


def first_column(page: str, heading: str) -> set[str]:
    """What stands in backticks in the first column of the table below a heading."""
    section = TEXTS[page].split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", section, re.M)
    return {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}


def test_operations_explains_every_reason_and_no_other() -> None:
    shown = first_column("docs/operations.md", "Conditions and their reasons")
    spare = {"Valid", "Reachable", "InSync", "Drifted", *Condition}
    assert shown - spare == {ResolutionError.kind, *map(str, (*Reason, *Fault))} - spare


def test_operations_lists_every_metric_and_no_other() -> None:
    families = {family.name for family in metrics.REGISTRY.collect()} | {"kiln_stacks"}
    ours = {name for name in families if name.startswith("kiln_")}
    shown = {name.removesuffix("_total") for name in first_column("docs/operations.md", "Metrics")}
    assert shown == ours


def test_operations_lists_every_result_of_a_reconciliation() -> None:
    row = next(line for line in TEXTS["docs/operations.md"].splitlines() if line.startswith("| `kiln_passes_total`"))
    assert re.findall(r"\b[A-Z][A-Za-z]+\b(?=,| \(| \|)", row.partition("`result`:")[2]) == list(PassEnd)
    named = set(re.findall(r'kiln_passes_total\{result="(\w+)"', TEXTS["docs/operations.md"]))
    assert named <= set(PassEnd)


def test_generated_pages_are_up_to_date() -> None:
    scope: dict[str, Any] = {"__file__": str(ROOT / "docs/generate.py"), "__name__": "generate"}
    exec(compile((ROOT / "docs/generate.py").read_text(), "docs/generate.py", "exec"), scope)
    for name, page in scope["PAGES"].items():
        assert (ROOT / "docs" / name).read_text() == page(), (
            f"run .venv/bin/python docs/generate.py: docs/{name} is old"
        )
