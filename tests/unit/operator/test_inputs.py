"""Inputs of a Stack, by value and by reference."""

import base64

import pytest

from kiln.stack import inputs
from kiln.stack.inputs import InputsError, Reference


async def refusal(kube, stack) -> InputsError:
    with pytest.raises(InputsError) as caught:
        await inputs.load(kube, stack)
    return caught.value


async def test_a_template_s_text_is_kept_exactly(kube, stack):
    text = "heat_template_version: 2021-04-16\n# n: 22:22\n"
    assert (await inputs.load(kube, stack(templateBody=text))).template == text


async def test_a_template_may_be_an_object(kube, stack):
    template = {"heat_template_version": "2021-04-16", "resources": {}}
    assert (await inputs.load(kube, stack(template=template))).template == template


async def test_a_template_may_be_in_a_config_map(kube, stack):
    kube.config_map("templates", **{"template.yaml": "text"})
    found = await inputs.load(kube, stack(templateRef={"configMapName": "templates", "key": "template.yaml"}))
    assert found.template == "text"
    assert found.references == {Reference("ConfigMap", "templates")}


async def test_environments_keep_their_order(kube, stack):
    kube.config_map("envs", second="two")
    spec = [
        {"inline": "one"},
        {"configMapKeyRef": {"name": "envs", "key": "second"}},
        {"environment": {"parameters": {"a": 3}}},
    ]
    found = await inputs.load(kube, stack(templateBody="t", environments=spec))
    assert found.environments == ("one", "two", {"parameters": {"a": 3}})


async def test_later_sources_of_files_win_and_inline_files_win_over_all(kube, stack):
    kube.config_map("files", a="1", b="1", c="1")
    kube.secret("more", b="2", c="2")
    sources = [{"configMapRef": {"name": "files"}}, {"secretRef": {"name": "more"}}]
    found = await inputs.load(kube, stack(templateBody="t", filesFrom=sources, files={"c": "3"}))
    assert found.files == {"a": "1", "b": "2", "c": "3"}


async def test_keys_can_be_files_of_other_names_and_then_only_they_are_files(kube, stack):
    kube.config_map("files", a="1", b="2")
    source = {"name": "files", "items": [{"key": "a", "path": "lib/a.yaml"}, {"key": "a", "path": "../a.yaml"}]}
    found = await inputs.load(kube, stack(templateBody="t", filesFrom=[{"configMapRef": source}]))
    assert found.files == {"lib/a.yaml": "1", "../a.yaml": "1"}


async def test_a_key_that_is_to_be_a_file_must_exist(kube, stack):
    kube.config_map("files", a="1")
    source = {"name": "files", "items": [{"key": "z", "path": "z"}]}
    with pytest.raises(InputsError, match="has no key 'z'"):
        await inputs.load(kube, stack(templateBody="t", filesFrom=[{"configMapRef": source}]))


async def test_a_binary_file_arrives_in_base64_as_heat_s_client_sends_it(kube, stack):
    content = bytes(range(256))
    kube.secret("files", blob=content)
    found = await inputs.load(kube, stack(templateBody="t", filesFrom=[{"secretRef": {"name": "files"}}]))
    assert found.files["blob"] == base64.encodebytes(content).decode()


async def test_parameters_from_secrets_are_hidden_and_others_are_not(kube, stack):
    kube.secret("passwords", db="s3cret")
    kube.config_map("settings", size="10")
    sources = [
        {"name": "password", "secretKeyRef": {"name": "passwords", "key": "db"}},
        {"name": "size", "configMapKeyRef": {"name": "settings", "key": "size"}},
    ]
    found = await inputs.load(kube, stack(templateBody="t", parameters={"count": 2}, parametersFrom=sources))
    assert found.parameters == {"count": 2, "password": "s3cret", "size": "10"}
    assert found.hidden == {"password"}
    assert "s3cret" not in repr(found)


async def test_each_object_is_read_once(kube, stack):
    kube.config_map("all", a="1", b="2")
    sources = [{"name": name, "configMapKeyRef": {"name": "all", "key": name}} for name in ("a", "b")]
    await inputs.load(kube, stack(templateBody="t", parametersFrom=sources))
    assert kube.calls == [("get", "configmaps", "all")]


async def test_only_the_stack_s_own_namespace_is_read(kube, stack):
    kube.config_map("templates", namespace="other", **{"template.yaml": "text"})
    error = await refusal(kube, stack(templateRef={"configMapName": "templates", "key": "template.yaml"}))
    assert (error.reason, error.path) == ("ConfigMapNotFound", "spec.templateRef")
    assert "'ns'" in error.message


async def test_a_missing_secret_is_named_with_the_path(kube, stack):
    sources = [{"name": "password", "secretKeyRef": {"name": "passwords", "key": "db"}}]
    error = await refusal(kube, stack(templateBody="t", parametersFrom=sources))
    assert (error.reason, error.path) == ("SecretNotFound", "spec.parametersFrom[password].secretKeyRef")


async def test_a_missing_key_names_those_that_are_there(kube, stack):
    kube.config_map("templates", **{"web.yaml": "text"})
    error = await refusal(kube, stack(templateRef={"configMapName": "templates", "key": "template.yaml"}))
    assert error.reason == "KeyNotFound"
    assert "web.yaml" in error.message


async def test_a_parameter_with_two_values_is_refused(kube, stack):
    kube.config_map("settings", size="10")
    sources = [{"name": "size", "configMapKeyRef": {"name": "settings", "key": "size"}}]
    error = await refusal(kube, stack(templateBody="t", parameters={"size": 1}, parametersFrom=sources))
    assert (error.reason, error.path) == ("InvalidParameter", "spec.parametersFrom[size]")


async def test_a_secret_that_is_no_text_is_refused_without_showing_it(kube, stack):
    kube.secret("passwords", db=b"\xff\xfehidden")
    sources = [{"name": "password", "secretKeyRef": {"name": "passwords", "key": "db"}}]
    error = await refusal(kube, stack(templateBody="t", parametersFrom=sources))
    assert error.reason == "InvalidFile"
    assert "hidden" not in str(error)
    assert error.__cause__ is None


async def test_one_input_is_bounded(kube, stack):
    error = await refusal(kube, stack(templateBody="t", files={"big": "x" * (inputs.MAX_TEXT + 1)}))
    assert (error.reason, error.path) == ("InputsTooLarge", "spec.files[big]")


async def test_all_inputs_together_are_bounded(kube, stack):
    files = {str(number): "x" * inputs.MAX_TEXT for number in range(9)}
    error = await refusal(kube, stack(templateBody="t", files=files))
    assert error.reason == "InputsTooLarge"


def test_references_are_known_without_reading_anything(stack):
    spec = stack(
        templateRef={"configMapName": "a", "key": "k"},
        environments=[{"configMapKeyRef": {"name": "b", "key": "k"}}, {"inline": ""}],
        filesFrom=[{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "d"}}],
        parametersFrom=[{"name": "p", "secretKeyRef": {"name": "e", "key": "k"}}],
    )
    plain = {("ConfigMap", "a"), ("ConfigMap", "b"), ("ConfigMap", "c"), ("Secret", "d"), ("Secret", "e")}
    assert inputs.references(spec) == plain
    assert inputs.references(spec, credentials=True) == plain | {("Secret", "openstack")}
