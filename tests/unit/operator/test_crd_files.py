"""The CRDs as files: what can be said of them without an API server."""

from pathlib import Path

import pytest
import yaml

from kiln.api import v1alpha1
from kiln.api.kinds import OWN_KINDS
from reconcilers.model import DriftPolicy

FOLDER = Path(__file__).parents[3] / "crds"
CRDS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}


def schema_of(crd):
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(schema, path=""):
    """Each schema below this one, with its path."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}".lstrip("."), child
        yield from walk(child, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from walk(schema[part], f"{path}[]")


def test_every_kind_of_the_operator_has_a_crd_and_every_crd_a_kind():
    assert {name: crd["spec"]["names"]["kind"] for name, crd in CRDS.items()} == {
        kind.plural: kind.kind for kind in OWN_KINDS
    }


@pytest.mark.parametrize("name", CRDS)
def test_group_version_and_scope_are_the_operator_s(name):
    spec = CRDS[name]["spec"]
    assert (spec["group"], spec["versions"][0]["name"], spec["scope"]) == (
        v1alpha1.GROUP,
        v1alpha1.VERSION,
        "Namespaced",
    )
    assert CRDS[name]["metadata"]["name"] == f"{spec['names']['plural']}.{v1alpha1.GROUP}"
    assert spec["names"]["categories"] == ["kiln"]
    assert spec["names"]["shortNames"]
    with_status = "status" in schema_of(CRDS[name])["properties"]
    assert spec["versions"][0].get("subresources") == ({"status": {}} if with_status else None)


@pytest.mark.parametrize("name", CRDS)
def test_every_field_says_what_it_is(name):
    own = [
        (path, child) for path, child in walk(schema_of(CRDS[name])) if path not in {"apiVersion", "kind", "metadata"}
    ]
    assert [path for path, child in own if not child.get("description")] == []


@pytest.mark.parametrize("name", CRDS)
def test_every_rule_has_a_message(name):
    schema = schema_of(CRDS[name])
    children = [child for _, child in walk(schema)] + [
        child["items"] for _, child in walk(schema) if isinstance(child.get("items"), dict)
    ]
    rules = [rule for child in [schema, *children] for rule in child.get("x-kubernetes-validations", [])]
    assert rules
    assert all(rule["message"] for rule in rules)


def test_what_users_write_is_bounded():
    spec = schema_of(CRDS["stacks"])["properties"]["spec"]
    unbounded = [
        path
        for path, child in walk(spec)
        if (child["type"] == "array" and "maxItems" not in child)
        or (child["type"] == "string" and not {"maxLength", "enum"} & child.keys())
        or (child["type"] == "object" and "additionalProperties" in child and "maxProperties" not in child)
    ]
    assert unbounded == []


def test_a_status_is_there_before_the_operator_has_seen_the_stack():
    assert schema_of(CRDS["stacks"])["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_the_columns_are_those_of_the_design():
    columns = CRDS["stacks"]["spec"]["versions"][0]["additionalPrinterColumns"]
    shown = [column["name"].upper() for column in columns if not column.get("priority")]
    assert shown == ["READY", "OPERATION", "RESULT", "RESOURCES", "DRIFT", "AGE"]


@pytest.mark.parametrize(
    ("field", "values"),
    [("onFailure", v1alpha1.OnFailure), ("deletionPolicy", v1alpha1.DeletionPolicy), ("drift", DriftPolicy)],
)
def test_the_policies_are_spelled_alike_in_crd_and_operator(field, values):
    schema = schema_of(CRDS["stacks"])["properties"]["spec"]["properties"][field]
    assert set(schema["enum"]) == {str(value) for value in values}


def test_the_defaults_are_alike_in_crd_and_operator():
    properties = schema_of(CRDS["stacks"])["properties"]["spec"]["properties"]
    given = {name: child["default"] for name, child in properties.items() if "default" in child}
    bare = {"spec": {"cloudCredentialsRef": {"secretName": "s", "cloudName": "c"}}}
    full = {"spec": {**bare["spec"], **given}}
    assert v1alpha1.stack_spec(bare) == v1alpha1.stack_spec(full)


def test_inputs_can_be_proposed_in_every_form_that_a_stack_takes():
    stack = schema_of(CRDS["stacks"])["properties"]["spec"]["properties"]
    proposed = schema_of(CRDS["stackchangesets"])["properties"]["spec"]["properties"]["proposed"]["properties"]
    names = ("template", "templateBody", "templateRef", "environments", "files", "filesFrom", "parameters")
    assert proposed == {name: stack[name] for name in (*names, "parametersFrom")}
