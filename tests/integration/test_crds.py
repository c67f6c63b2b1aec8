"""The CRDs in the real API server: what it takes, what it refuses and in which words."""

import json
from typing import Any

import pytest
from harness import lab, operator

CREDENTIALS = {"secretName": "openstack", "cloudName": "demo"}


def stack(name: str = "web", **spec: Any) -> dict[str, Any]:
    spec.setdefault("cloudCredentialsRef", CREDENTIALS)
    return {"apiVersion": "kiln.dev/v1alpha1", "kind": "Stack", "metadata": {"name": name}, "spec": spec}


def dry_run(obj: dict[str, Any]) -> str:
    """What `kubectl apply --dry-run=server` says."""
    return lab.kubectl(
        "apply", "--dry-run=server", "-n", "default", "-o", "json", "-f", "-", stdin=json.dumps(obj), check=False
    )


def test_a_small_stack_is_taken_and_gets_its_defaults(installed: None) -> None:
    found = json.loads(dry_run(stack(templateBody="heat_template_version: 2021-04-16\n")))
    assert found["spec"]["onFailure"] == "Retry"
    assert found["spec"]["resyncInterval"] == "10m"
    assert found["status"] == {"observedGeneration": -1}


def test_parameters_keep_their_types(installed: None) -> None:
    parameters = {"s": "1", "n": 1, "f": 1.5, "b": True, "l": [1, "a"], "m": {"a": {"b": []}}}
    found = json.loads(dry_run(stack(template={"heat_template_version": "2021-04-16"}, parameters=parameters)))
    assert found["spec"]["parameters"] == parameters


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"templateBody": None},
            "give the template in exactly one of template (an object), templateBody (its text) and",
        ),
        ({"template": {}}, "give the template in exactly one of"),
        ({"environments": [{}]}, "spec.environments[0]: Invalid value: give each environment in exactly one of"),
        ({"environments": [{"inline": "a", "environment": {}}]}, "give each environment in exactly one"),
        ({"filesFrom": [{}]}, "give exactly one of configMapRef and secretRef"),
        ({"parametersFrom": [{"name": "p"}]}, "give exactly one of secretKeyRef, configMapKeyRef and stackOutputRef"),
        ({"resyncInterval": "5s"}, "resyncInterval must be a duration of at least 10s"),
        ({"resyncInterval": "10 minutes"}, "resyncInterval must be a duration of at least 10s"),
        ({"timeout": "0s"}, "timeout must be a duration of at least 1s"),
        ({"onFailure": "Explode"}, 'supported values: "Retry", "Rollback", "Halt"'),
        ({"maxConcurrency": 65}, "less than or equal to 64"),
        ({"maxConcurrency": 0}, "greater than or equal to 1"),
        ({"colour": "red"}, 'unknown field "spec.colour"'),
        ({"cloudCredentialsRef": {"secretName": "s"}}, "spec.cloudCredentialsRef.cloudName: Required"),
        ({"environments": [{"inline": ""}] * 33}, "must have at most 32 items"),
    ],
)
def test_a_bad_manifest_is_refused_with_what_to_do(installed: None, spec: dict[str, Any], said: str) -> None:
    whole = {"templateBody": "t", **spec}
    assert said in dry_run(stack(**{name: value for name, value in whole.items() if value is not None}))


def test_the_same_parameter_cannot_come_from_two_places(installed: None) -> None:
    source = {"name": "p", "secretKeyRef": {"name": "s", "key": "k"}}
    assert "Duplicate value" in dry_run(stack(templateBody="t", parametersFrom=[source, source]))


def test_a_name_that_does_not_fit_into_a_label_is_refused(installed: None) -> None:
    assert "at most 63 characters" in dry_run(stack(name="x" * 64, templateBody="t"))
    assert json.loads(dry_run(stack(name="x" * 63, templateBody="t")))


@pytest.mark.parametrize(("kind", "spec", "change"), [
    ("StackResource", {"logicalName": "r", "type": "T", "token": "t" * 36, "serial": 0}, {"type": "U"}),
    ("StackRevision", {"number": 1, "digest": "d", "templateBody": "t"}, {"templateBody": "u"}),
])  # fmt: skip
def test_records_cannot_be_changed(space: Any, kind: str, spec: dict[str, Any], change: dict[str, Any]) -> None:
    spec = {"stackName": "web", **spec}
    obj = {"apiVersion": "kiln.dev/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    space.apply(obj)
    space.apply({**obj, "metadata": {"name": "a", "labels": {"a": "b"}}})
    with pytest.raises(RuntimeError, match="cannot be changed; change the Stack instead"):
        space.apply({**obj, "spec": {**spec, **change}})


def test_kubectl_explain_teaches(installed: None) -> None:
    said = lab.kubectl("explain", "stack.spec.parametersFrom")
    assert "hidden" in said
    assert "-required-" in said


def test_short_names_category_columns_and_field_selectors_work(space: Any) -> None:
    space.apply(stack(templateBody="t"))
    header = space.kubectl("get", "stk").splitlines()[0].split()
    assert header == ["NAME", "READY", "OPERATION", "RESULT", "RESOURCES", "DRIFT", "AGE"]
    assert "stack.kiln.dev/web" in space.kubectl("get", "kiln", "-o", "name")
    assert "web" in space.kubectl("get", "stk", "--field-selector", "spec.cloudCredentialsRef.secretName=openstack")
    assert "web" not in space.kubectl("get", "stk", "--field-selector", "spec.cloudCredentialsRef.secretName=other")
    space.kubectl("get", "stkr", "--field-selector", "spec.stackName=web,spec.type=T,status.physicalID=1")


AS_OPERATOR = "--as=system:serviceaccount:kiln-system:kiln"


@pytest.mark.parametrize(
    "right",
    [
        "patch stacks",
        "create stacks",
        "delete stacks",
        "patch stacks/status",
        "create stackresources",
        "watch secrets",
        "get configmaps",
        "create events",
    ],
)
def test_the_operator_may_do_what_it_needs(installed: None, right: str) -> None:
    lab.kubectl("auth", "can-i", "-q", *right.split(), "-n", "default", AS_OPERATOR)


@pytest.mark.parametrize(
    "right",
    [
        *("update stacks", "deletecollection stacks", "create stackoperations", "list pods"),
        *("get leases", "list customresourcedefinitions", "list namespaces", "impersonate users", "get nodes", "* *"),
    ],
)
def test_the_operator_may_do_no_more(installed: None, right: str) -> None:
    with pytest.raises(RuntimeError):
        lab.kubectl("auth", "can-i", "-q", *right.split(), "-n", "default", AS_OPERATOR)


def test_an_operator_of_some_namespaces_has_no_rights_in_others(space: Any) -> None:
    operator.install(space.name, (space.name,))
    account = f"--as=system:serviceaccount:{space.name}:kiln"
    lab.kubectl("auth", "can-i", "-q", "get", "secrets", "-n", space.name, account)
    with pytest.raises(RuntimeError):
        lab.kubectl("auth", "can-i", "-q", "get", "secrets", "-n", "default", account)
