"""Outputs in Secrets and ConfigMaps."""

import base64
import json
from typing import Any

import pytest
from harness.one_stack import FAILS, OneStack

from kiln.api.kinds import CONFIG_MAPS, SECRETS
from kiln.api.v1alpha1 import API_VERSION, LABEL_OUTPUTS
from kiln.kube.errors import Invalid
from kiln.stack import published_outputs
from kiln.stack.outputs import Outputs

PASSWORD = "hunter2-hunter2"


def template(outputs: dict[str, Any] | None = None, **resources: Any) -> dict[str, Any]:
    return {
        "heat_template_version": "2021-04-16",
        "parameters": {"password": {"type": "string", "hidden": True, "default": PASSWORD}},
        "resources": resources,
        "outputs": {name: {"value": value} for name, value in (outputs or {}).items()},
    }


HIDDEN = {"get_param": "password"}
OUTPUTS = {"open": "everybody", "list": ["a", {"b": 1}], "secret": HIDDEN, "secrets": [HIDDEN, 2]}


@pytest.fixture
def web() -> OneStack:
    return OneStack()


def data(web: OneStack, name: str) -> dict[str, str] | None:
    """The decoded values of a Secret; None where there is none."""
    found = web.kube.find("secrets", name)
    return found and {key: base64.b64decode(text).decode() for key, text in found["data"].items()}


async def apply(web: OneStack, *destinations: dict[str, Any], outputs: Any = OUTPUTS, **spec: Any) -> None:
    web.apply({}, template=template(outputs), outputsTo=list(destinations), **spec)
    await web.run()


async def test_hidden_outputs_are_in_a_secret_of_the_stack_and_nowhere_else(web: OneStack) -> None:
    await apply(web)
    assert data(web, "web-outputs") == {
        "secret": PASSWORD,
        "secrets": json.dumps([PASSWORD, 2]),
        ".kiln.json": '["secrets"]',
    }
    secret = web.kube.find("secrets", "web-outputs")
    assert secret is not None
    assert secret["metadata"]["labels"] == {LABEL_OUTPUTS: "web"}
    (owner,) = secret["metadata"]["ownerReferences"]
    assert owner["uid"] == web.kube.objects["stacks", "ns", "web"]["metadata"]["uid"]
    others = [obj for (plural, _, _), obj in web.kube.objects.items() if plural != "secrets"]
    stored = json.dumps([{**one, "spec": {}} if one["kind"] == "Stack" else one for one in others])
    assert PASSWORD not in stored
    assert web.status["outputObjects"] == ["Secret/web-outputs"]


async def test_without_hidden_outputs_there_is_no_secret_and_no_call_for_one(web: OneStack) -> None:
    await apply(web, outputs={"open": 1})
    assert web.kube.find("secrets", "web-outputs") is None
    assert "outputObjects" not in web.status
    assert not [call for call in web.kube.calls if call[2] == "web-outputs"]


async def test_the_secret_goes_when_no_output_is_hidden_any_more(web: OneStack) -> None:
    await apply(web)
    await apply(web, outputs={"open": 1})
    assert web.kube.find("secrets", "web-outputs") is None
    assert "outputObjects" not in web.status


async def test_outputs_are_written_into_objects_of_one_s_own_names_with_labels(web: OneStack) -> None:
    labels = {"app": "shop"}
    await apply(
        web,
        {"secret": {"name": "all", "labels": labels, "annotations": {"note": "x"}}},
        {"configMap": {"name": "public", "keys": {"OPEN": "open"}}},
    )
    assert data(web, "all") == {
        "open": "everybody",
        "list": '["a", {"b": 1}]',
        "secret": PASSWORD,
        "secrets": json.dumps([PASSWORD, 2]),
    }
    assert web.kube.find("secrets", "all")["metadata"]["labels"] == {**labels, LABEL_OUTPUTS: "web"}  # type: ignore[index]
    assert web.kube.find("configmaps", "public")["data"] == {"OPEN": "everybody"}  # type: ignore[index]
    assert web.condition() == ("True", "Succeeded")
    # Labels, keys and objects that are not asked for any more go; what others have added stays.
    stored = web.kube.objects["secrets", "ns", "all"]["metadata"]
    stored["labels"]["theirs"] = "1"
    stored["annotations"]["theirs"] = "1"
    await apply(web, {"secret": {"name": "all", "keys": {"password": "secret"}}})
    assert data(web, "all") == {"password": PASSWORD}
    assert web.kube.objects["secrets", "ns", "all"]["metadata"]["labels"] == {LABEL_OUTPUTS: "web", "theirs": "1"}
    assert web.kube.objects["secrets", "ns", "all"]["metadata"]["annotations"] == {"theirs": "1"}
    assert web.kube.find("configmaps", "public") is None


async def test_objects_that_are_right_are_not_written(web: OneStack) -> None:
    await apply(web, {"secret": {"name": "all", "labels": {"a": "b"}}})
    web.kube.calls.clear()
    await web.run()
    assert [call for call in web.kube.calls if call[0] != "get" and call[0] != "list"] == []


async def test_an_object_that_somebody_changed_or_deleted_is_written_again(web: OneStack) -> None:
    await apply(web, {"secret": {"name": "all"}})
    before = data(web, "all")
    web.kube.objects["secrets", "ns", "all"]["data"] = {"open": "AAAA", "more": "AAAA"}
    await web.kube.delete(SECRETS, "ns", "web-outputs")
    await web.run()
    assert data(web, "all") == before
    assert data(web, "web-outputs") is not None


@pytest.mark.parametrize("name", ["web-outputs", "mine"])
async def test_an_object_of_somebody_else_is_left_alone_and_the_condition_names_it(web: OneStack, name: str) -> None:
    web.kube.secret(name, open="theirs")
    await apply(web, {"secret": {"name": "mine"}})
    assert data(web, name) == {"open": "theirs"}
    assert web.condition() == ("False", "NameTaken")
    assert web.condition("Stalled")[0] == "True"
    assert name in web.status["conditions"][0]["message"]
    assert web.status["currentRevision"]
    await web.kube.delete(SECRETS, "ns", name)
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    await apply(web, outputs={"open": 1})
    web.kube.secret(name, open="theirs")
    await web.run()
    assert data(web, name) == {"open": "theirs"}


async def test_objects_of_an_older_stack_of_the_same_name_are_replaced(web: OneStack) -> None:
    owner = {"apiVersion": API_VERSION, "kind": "Stack", "name": "web", "uid": "older", "controller": True}
    metadata = {"labels": {LABEL_OUTPUTS: "web"}, "ownerReferences": [owner]}
    web.kube.put(CONFIG_MAPS, "public", metadata=metadata, data={"open": "old"})
    await apply(web, {"configMap": {"name": "public"}})
    found = web.kube.objects["configmaps", "ns", "public"]
    assert found["data"]["open"] == "everybody"
    assert found["metadata"]["ownerReferences"][0]["uid"] != "older"


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ({"configMap": {"name": "c", "keys": {"k": "secret"}}}, "keys[k]: the output 'secret' is hidden"),
        ({"secret": {"name": "c", "keys": {"k": "opne"}}}, "there is no output 'opne'; there are: list, open"),
        ({"secret": {"name": "c", "keys": {"a b": "open"}}}, "a key has letters"),
        ({"secret": {"name": "../c"}}, "is not a name that Kubernetes allows"),
        ({"secret": {"name": "c", "labels": {"kiln.dev/stack": "x"}}}, "label or annotation of Kiln's own"),
        ({"secret": {"name": "web-kiln"}}, "is used for something else already"),
        ({"secret": {"name": "other"}}, "is used for something else already"),
    ],
)
async def test_what_cannot_be_written_is_said_with_its_path_and_nothing_is_removed(
    web: OneStack, destination: Any, message: str
) -> None:
    await apply(web, {"secret": {"name": "other"}}, {"configMap": {"name": "c"}})
    await apply(web, {"secret": {"name": "other"}}, destination)
    assert web.condition()[0] == "False"
    text = web.status["conditions"][0]["message"]
    assert text.startswith("spec.outputsTo[1].")
    assert message in text
    assert data(web, "other") is not None
    assert web.kube.find("configmaps", "c") is not None


async def test_a_refusal_of_kubernetes_is_a_condition(web: OneStack) -> None:
    def refuse(verb: str, plural: str, _body: Any) -> None:
        if (verb, plural) == ("create", "configmaps"):
            raise Invalid(422, "Invalid", "metadata.labels: Invalid value")

    web.kube.refuse = refuse
    await apply(web, {"configMap": {"name": "c", "labels": {"a": "b c"}}})
    assert web.condition() == ("False", "KubernetesRefused")


async def test_after_a_failed_update_outputs_keep_the_values_that_they_had(web: OneStack) -> None:
    value = {"type": "OS::Heat::RandomString"}
    shown = {
        "secret": {"list_join": ["", [HIDDEN, {"get_attr": ["r", "value"]}]]},
        "open": {"get_attr": ["r", "value"]},
    }
    web.apply({}, template=template(shown, r=value), outputsTo=[{"secret": {"name": "all"}}])
    await web.run()
    before, hidden = data(web, "all"), data(web, "web-outputs")
    assert hidden is not None
    assert hidden["secret"].startswith(PASSWORD)
    changed = {**value, "properties": {"length": 40}, "depends_on": "bad"}
    web.apply({}, template=template(shown, r=changed, bad=FAILS), outputsTo=[{"secret": {"name": "all"}}])
    await web.run()
    assert web.condition()[0] == "False"
    assert (data(web, "all"), data(web, "web-outputs")) == (before, hidden)


async def test_whatever_hidden_outputs_there_are_they_fit_into_a_secret(web: OneStack) -> None:
    large = {f"o{number}": {"list_join": ["", [HIDDEN, "x" * 100_000]]} for number in range(12)}
    await apply(web, outputs={**large, "small": HIDDEN})
    found = data(web, "web-outputs")
    assert found is not None
    assert "small" in found
    assert sum(map(len, found.values())) < 1_000_000
    left_out = {name for name, why in web.status["outputErrors"].items() if "left out" in why}
    assert left_out == {*large} - found.keys()
    assert left_out


def test_names_of_outputs_that_are_no_keys_become_unique_keys() -> None:
    names = ["fine.name-1_", "with space", "with/space", "..", ".", "..x", ".kiln.json", "ü" * 300, ""]
    keys = [published_outputs.key_of(name) for name in names]
    assert keys[0] == names[0]
    assert len(set(keys)) == len(keys)
    assert all(published_outputs._KEY.fullmatch(key) and not key.startswith("..") for key in keys)


def test_the_values_of_hidden_outputs_are_in_no_repr() -> None:
    shown = Outputs(secrets={"a": PASSWORD}, hidden=("a",))
    made, _ = published_outputs.contents({"metadata": {"name": "web"}, "spec": {}}, shown)
    assert PASSWORD not in repr((shown, made))
