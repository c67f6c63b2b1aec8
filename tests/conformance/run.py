"""Run vectors of Heat's own results against the translator: ``python tests/conformance/run.py a.json b.json``.

Prints the id of each vector that differs, with what was expected and what came, and ``N passed, N failed`` at the end.
The exit code is 1 when any failed. The shapes of the files: functions (an object with ``vectors``) and parameters (a
list of ``{schema, value, version, result}``). Deliberate deviations stand in deviations.json, with the reason.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hot_translator import Environment, Pseudo, TranslationError, parse_template, translate
from hot_translator.catalogue import lookup
from hot_translator.expression import UNKNOWN

PSEUDO = Pseudo(stack_name="stk", stack_id="None", project_id="test_tenant_id", region="RegionOne")
DEVIATIONS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "deviations.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Case:
    """One vector: its id, its content, and the file's common part."""

    id: str
    vector: Mapping[str, Any]
    common: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stubs:
    """The resources as the vectors describe them. A group's attributes are those of its members, one each."""

    stubs: Mapping[str, Any]

    def reference(self, name: str) -> Any:
        """What get_resource gives."""
        group, _, member = name.partition("/")
        stub = self.stubs[group]
        return stub["attrs"]["refs_map"][member] if member else stub["ref"]

    def attribute(self, name: str, attribute: str) -> Any:
        """An attribute's value. What a stub does not list is made up from the attribute's type."""
        group, _, member = name.partition("/")
        stub = self.stubs[group]
        if attribute not in stub["attrs"]:
            return self._made_up(name, attribute)
        value = stub["attrs"][attribute]
        if not member:
            return value
        return value[int(member)] if isinstance(value, list) else None

    def _made_up(self, name: str, attribute: str) -> Any:
        schema = lookup(self.stubs[name.partition("/")[0]]["type"])
        kind = schema.attributes[attribute].type if schema and attribute in schema.attributes else ""
        text = f"attr:{name}.{attribute}"
        return {"map": {"k": f"{text}.k"}, "list": [f"{text}.0", f"{text}.1"]}.get(kind, text)

    def attributes(self, name: str) -> Any:
        """All attributes but ``show``."""
        schema = lookup(self.stubs[name]["type"])
        names = schema.attributes if schema else self.stubs[name]["attrs"]
        return {key: self.attribute(name, key) for key in names if key != "show"}


def cases(path: Path) -> Iterator[Case]:
    """The vectors of a file, each with an id that tells where it stands."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, list):
        for index, vector in enumerate(content):
            yield Case(f"{path.stem}[{index}]", vector, {})
        return
    common = {key: value for key, value in content.items() if key != "vectors"}
    for index, vector in enumerate(content["vectors"]):
        yield Case(f"{path.stem}[{index}] {vector.get('group', '')}", vector, common)


def outcome(case: Case) -> dict[str, Any]:
    """What the translator makes of a vector: ``{value}`` (with ``str`` for a parameter) or ``{error}``."""
    try:
        return _function(case) if "snippet" in case.vector else _parameter(case)
    except TranslationError as error:
        return {"error": str(error), "error_type": error.kind}


def _function(case: Case) -> dict[str, Any]:
    vector, common = case.vector, case.common
    types = {
        name: {**stub, "type": common["resources"].get(name, {}).get("type")} for name, stub in common["stubs"].items()
    }
    stubs = Stubs(types)
    key, _, value = vector["version"].rpartition(" ")
    parameters: dict[str, Any] = {}
    if key:
        template = _cfn_template(key, value, vector, common)
    else:
        template = {
            "heat_template_version": value,
            "parameters": common["parameters"],
            "resources": common["resources"],
            "outputs": {"o": {"value": _with_keys(vector["snippet"])}},
        }
        if "conditions" in vector:
            template["conditions"] = vector["conditions"]
        parameters["nodef"] = common["nodef_value"]
    translation = translate(
        parse_template(template),
        environment=Environment(parameters=parameters),
        files=common["files"],
        pseudo=PSEUDO,
    )
    resolved = translation.outputs["o"].resolve(stubs)
    if resolved is UNKNOWN:
        return {"unknown": True}
    own = {
        definition.reference.resolve(stubs): common["stubs"][name]["ref"]
        for name, definition in translation.definitions.items()
        if definition.virtual
    }
    return {"value": _with_references(resolved, own)}


def _with_references(value: Any, references: Mapping[str, str]) -> Any:
    """A result in which a group has the id of its stub, where the translator gives it one of its own."""
    if isinstance(value, dict):
        return {_with_references(key, references): _with_references(item, references) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_references(item, references) for item in value]
    if isinstance(value, str):
        for own, stub in references.items():
            value = value.replace(own, stub)
    return value


def _cfn_template(key: str, value: str, vector: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    server = common["resources"]["srv"]
    template = {
        key: value,
        "Parameters": {
            "s": {"Type": "String", "Default": "str"},
            "l": {"Type": "CommaDelimitedList", "Default": "a,b,c"},
            "n": {"Type": "Number", "Default": "7"},
        },
        **common["cfn"],
        "Resources": {"srv": {"Type": server["type"], "Properties": server["properties"]}},
        "Outputs": {"o": {"Value": _with_keys(vector["snippet"])}},
    }
    if "conditions" in vector:
        template["Conditions"] = vector["conditions"]
    return template


def _with_keys(snippet: Any) -> Any:
    """A snippet with the keys that it had before it was written as JSON, which knows only text for a key."""
    if isinstance(snippet, list):
        return [_with_keys(item) for item in snippet]
    if not isinstance(snippet, dict):
        return snippet
    return {_key(key): _with_keys(item) for key, item in snippet.items()}


def _key(key: str) -> Any:
    if key == "null":
        return None
    return int(key) if key.isdigit() else key


def _parameter(case: Case) -> dict[str, Any]:
    vector = case.vector
    template = {"heat_template_version": vector["version"], "parameters": {"p": vector["schema"]}}
    given = {} if vector["value"] == "<absent>" else {"p": vector["value"]}
    translation = translate(parse_template(template), environment=Environment(parameters=given), pseudo=PSEUDO)
    parameter = translation.parameters["p"]
    return {"value": parameter.value, "str": parameter.text}


def agrees(expected: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    """Whether a result is the expected one. An error agrees with any error."""
    if "error" in expected or "validate_error" in expected:
        return "error" in got
    if "value" not in got:
        return False
    if not _same(expected["value"], got["value"]) and not _same_url(expected["value"], got["value"]):
        return False
    return "str" not in expected or expected["str"] == got.get("str")


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: true is not 1, and 1 is not 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        other = {str(key): value for key, value in other.items()}
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(left, right) for left, right in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _same_url(one: Any, other: Any) -> bool:
    """Equal but for the order of the query: the files sort the keys of a map, Heat keeps the order of the text."""
    if not (isinstance(one, str) and isinstance(other, str) and "://" in one and "?" in one):
        return False
    return sorted(re.split(r"([?&#])", one)) == sorted(re.split(r"([?&#])", other))


def deviation(case: Case) -> Mapping[str, Any] | None:
    """What is wanted instead of Heat's result, with the reason, when this is such a case."""
    return next(
        (one for one in DEVIATIONS if all(case.vector.get(key) == value for key, value in one["vector"].items())), None
    )


def failure(case: Case) -> str | None:
    """What is wrong with a vector's result, or None."""
    got = outcome(case)
    expected: Mapping[str, Any] = (deviation(case) or case.vector)["result"]
    if agrees(expected, got):
        return None
    return f"{case.id}\n  case     {_shown(case.vector)}\n  expected {_shown(expected)}\n  got      {_shown(got)}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        value = {key: item for key, item in value.items() if key not in ("result", "group")}
    return json.dumps(value, default=repr)[:600]


def main(paths: list[str]) -> int:
    """Run the files; the exit code."""
    passed = failed = 0
    for path in paths:
        for case in cases(Path(path)):
            reason = failure(case)
            if reason is None:
                passed += 1
            else:
                failed += 1
                print(reason)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
