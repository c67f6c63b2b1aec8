"""Hidden values stay hidden: through a translation, in outputs, revisions and what services say."""

import base64
import json
import logging
import sys

import pytest

from hot_translator import InvalidParameter, InvalidTemplate, Pseudo, TranslationError, parse_template, translate
from kiln import logs
from kiln.redaction import MARK, Redactor
from kiln.stack import outputs
from kiln.stack.inputs import Inputs
from kiln.stack.revisions import Revisions
from kiln.stack.stack_secret import SecretTaken
from reconcilers.digests import Digester
from reconcilers.errors import without_secrets

CANARY = "canary-4711-feed"
PSEUDO = Pseudo("web", "uid", "project", "RegionOne")


def translated(template, *, hidden=(), **parameters):
    given = {"heat_template_version": "2021-04-16", **template}
    return translate(parse_template(given), parameters=parameters, pseudo=PSEUDO, hidden=hidden)


class Scope:
    """Resources are there, with what the test says."""

    def __init__(self, **attributes):
        self._attributes = attributes

    def reference(self, name):
        return f"id-of-{name}"

    def attribute(self, name, attribute):
        return self._attributes[name].get(attribute)

    def attributes(self, name):
        return self._attributes[name]


# Redaction.


@pytest.mark.parametrize("before", range(7))
def test_a_secret_inside_of_a_text_in_base64_is_found_wherever_it_begins(before):
    redactor = Redactor()
    redactor.register("a", [CANARY])
    encoded = base64.b64encode(b"#" * before + f"{CANARY}, and what follows".encode()).decode()
    assert redactor.holds(encoded)
    assert base64.b64encode(CANARY.encode()[3:9]).decode() not in redactor(encoded)


def test_secrets_that_overlap_go_as_one():
    redactor = Redactor()
    redactor.register("a", ["abcdef", "defghi"])
    assert redactor("xabcdefghix") == f"x{MARK}x"


def test_secrets_in_use_outlast_any_number_of_others():
    redactor = Redactor()
    redactor.register("in use", [CANARY])
    for number in range(1000):
        redactor.register(f"other-{number}", [f"secret-{number}-{index:04}" for index in range(30)])
        redactor.register("in use", [CANARY])
    assert not redactor.holds("secret-0-0001")
    assert redactor.holds(CANARY)


def test_one_stack_with_a_flood_of_secrets_pushes_nobody_s_out():
    redactor = Redactor()
    redactor.register("modest", [CANARY])
    redactor.register("flood", [f"flood-{number:06}" for number in range(100_000)])
    assert redactor.holds(CANARY)


def test_a_secret_that_two_owners_have_stays_until_both_are_gone():
    redactor = Redactor()
    redactor.register("a", [CANARY])
    redactor.register("b", [CANARY])
    redactor.forget("a")
    assert redactor(CANARY) == MARK
    redactor.forget("b")
    assert redactor(CANARY) == CANARY


def test_a_line_that_cannot_be_written_is_not_shown_in_another_way(capsys):
    handler = logs._Handler(sys.stderr)
    handler.setFormatter(logs.TextFormatter())
    handler.handle(logging.LogRecord("kiln.test", logging.INFO, "f.py", 1, "%d", (CANARY,), None))
    shown = capsys.readouterr().err
    assert "kiln.test" in shown
    assert CANARY not in shown


# Translation.


def test_a_parameter_out_of_a_secret_is_hidden_though_the_template_does_not_say_so():
    template = {"parameters": {"token": {"type": "string"}}, "outputs": {"shown": {"value": {"get_param": "token"}}}}
    found = translated(template, hidden={"token"}, token=CANARY)
    assert CANARY in found.hidden_values
    assert found.outputs["shown"].hidden
    assert found.parameters["token"].hidden


@pytest.mark.parametrize(("parameter", "value"), [
    ({"type": "number"}, CANARY), ({"type": "json"}, f'{{"a": "{CANARY}'), ({"type": "boolean"}, CANARY),
    ({"type": "string", "constraints": [{"allowed_pattern": "[0-9]+"}]}, CANARY),
    ({"type": "string", "constraints": [{"allowed_values": ["a", "b"]}]}, CANARY),
    ({"type": "string", "constraints": [{"custom_constraint": "net_cidr"}]}, CANARY),
    ({"type": "string", "constraints": [{"length": {"max": 3}}]}, CANARY),
])  # fmt: skip
def test_the_refusal_of_a_hidden_parameter_does_not_quote_it(parameter, value):
    with pytest.raises(InvalidParameter) as refused:
        translated({"parameters": {"secret": {**parameter, "hidden": True}}}, secret=value)
    assert CANARY not in str(refused.value)
    with pytest.raises(InvalidParameter) as refused:
        translated({"parameters": {"secret": parameter}}, hidden={"secret"}, secret=value)
    assert CANARY not in str(refused.value)


def test_the_refusal_of_a_hidden_default_does_not_quote_it():
    schema = {"type": "string", "hidden": True, "default": CANARY, "constraints": [{"allowed_pattern": "[0-9]+"}]}
    with pytest.raises(InvalidTemplate) as refused:
        translated({"parameters": {"secret": schema}})
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("value", [
    {"str_split": [{"get_param": "secret"}, {"get_param": "secret"}, "x"]},
    {"list_join": [{"get_param": "secret"}, {"get_param": "secret"}]},
    {"get_file": {"get_param": "secret"}},
    {"digest": [{"get_param": "secret"}, "text"]},
    {"yaql": {"expression": {"get_param": "secret"}, "data": {}}},
    {"map_merge": [{"get_param": "secret"}]},
])  # fmt: skip
def test_the_refusal_of_a_function_does_not_quote_a_hidden_value(value):
    template = {
        "parameters": {"secret": {"type": "string", "hidden": True}},
        "resources": {"one": {"type": "OS::Heat::Value", "properties": {"value": value}}},
    }
    with pytest.raises(TranslationError) as refused:
        translated(template, secret=CANARY)
    assert CANARY not in str(refused.value)
    assert CANARY not in repr(refused.value)


# Outputs.

PASSED = {"passed": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["key", "private_key"]}}}}
KEY = {"key": {"type": "OS::Nova::KeyPair", "properties": {"name": "k", "save_private_key": True}}}


@pytest.mark.parametrize("value", [
    {"get_attr": ["key", "private_key"]}, {"get_attr": ["passed", "value"]}, {"get_attr": ["passed"]},
    {"digest": ["sha512", {"get_attr": ["passed", "value"]}]}, {"list_join": ["", ["a", {"get_attr": ["key"]}]]},
])  # fmt: skip
def test_an_output_made_of_a_private_key_is_hidden(value):
    found = translated({"resources": {**KEY, **PASSED}, "outputs": {"out": {"value": value}, "id": {"value": "x"}}})
    scope = Scope(key={"private_key": "PEM", "public_key": "ssh"}, passed={"value": "PEM"})
    shown = outputs.resolve(found, scope, Redactor())
    assert shown.hidden == ("out",)
    assert shown.values == {"id": "x"}


def test_an_output_made_of_what_was_made_of_a_hidden_parameter_is_hidden():
    part = {"str_split": ["-", {"get_param": "secret"}, 2]}
    template = {
        "parameters": {"secret": {"type": "string", "hidden": True}},
        "resources": {
            "one": {"type": "OS::Heat::Value", "properties": {"value": part}},
            "two": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": ["one", "value"]}}},
        },
        "outputs": {"out": {"value": {"get_attr": ["two", "value"]}}},
    }
    found = translated(template, secret=CANARY)
    assert outputs.resolve(found, Scope(one={"value": "feed"}, two={"value": "feed"}), Redactor()).hidden == ("out",)


# Revisions.


class Kept:
    """Keeps what is created."""

    def __init__(self):
        self.objects = {}

    async def create(self, res, _ns, body, **_):
        made = {**body, "metadata": {**body["metadata"], "uid": "uid"}}
        self.objects[res.plural] = made
        return made

    async def get(self, res, _ns, _name):
        return self.objects.get(res.plural)


async def test_what_came_from_secrets_is_in_the_revision_s_secret_and_comes_back_from_there():
    kube = Kept()
    revisions = Revisions(kube, {"metadata": {"name": "web", "namespace": "ns", "uid": "uid"}})
    given = Inputs(
        "text", (), {"open": "o", "key.pem": CANARY}, {"p": CANARY, "q": 1}, frozenset("p"), frozenset({"key.pem"})
    )
    revision = await revisions.record([], given, frozenset("p"), Digester(b"k" * 32))
    assert CANARY not in json.dumps(kube.objects["stackrevisions"])
    again = await revisions.inputs(revision)
    assert (again.files, again.parameters) == (given.files, given.parameters)
    assert (again.hidden, again.hidden_files) == (given.hidden, given.hidden_files)


async def test_every_text_with_a_hidden_value_is_in_the_revision_s_secret():
    kube = Kept()
    revisions = Revisions(kube, {"metadata": {"name": "web", "namespace": "ns", "uid": "uid"}})
    redact = Redactor()
    redact.register("ns/web", [CANARY])
    given = Inputs(
        f"parameters: {{p: {{default: {CANARY}}}}}",
        ("parameters: {q: open}", f"parameters: {{p: {CANARY}}}", {"parameters": {"p": CANARY}}),
        {"open": "o", "inner": f"x{CANARY}y"},
        {"r": {"deep": [CANARY]}, "open": "o"},
    )
    revision = await revisions.record([], given, frozenset(), Digester(b"k" * 32), redact.holds)
    spec = kube.objects["stackrevisions"]["spec"]
    assert CANARY not in json.dumps(kube.objects["stackrevisions"])
    assert spec["environments"][0] == given.environments[0]
    assert (spec["files"], spec["parameters"]) == ({"open": "o"}, {"open": "o"})
    again = await revisions.inputs(revision)
    assert again.template == given.template
    assert again.environments == (*given.environments[:2], json.dumps(given.environments[2]))
    assert (again.files, again.parameters) == (given.files, given.parameters)


async def test_a_revision_whose_secret_was_not_made_gets_it_in_the_next_pass():
    kube = Kept()
    revisions = Revisions(kube, {"metadata": {"name": "web", "namespace": "ns", "uid": "uid"}})
    given = Inputs("text", (), {}, {"p": CANARY}, frozenset("p"))
    revision = await revisions.record([], given, frozenset("p"), Digester(b"k" * 32))
    del kube.objects["secrets"]
    assert await revisions.record([revision], given, frozenset("p"), Digester(b"k" * 32)) is revision
    assert (await revisions.inputs(revision)).parameters == {"p": CANARY}
    kube.objects["secrets"]["metadata"]["ownerReferences"] = []
    with pytest.raises(SecretTaken):
        await revisions.record([revision], given, frozenset("p"), Digester(b"k" * 32))


async def test_a_secret_that_is_not_the_revision_s_is_not_read():
    kube = Kept()
    revisions = Revisions(kube, {"metadata": {"name": "web", "namespace": "ns", "uid": "uid"}})
    given = Inputs("text", (), {}, {"p": CANARY}, frozenset("p"))
    revision = await revisions.record([], given, frozenset("p"), Digester(b"k" * 32))
    kube.objects["secrets"]["metadata"]["ownerReferences"] = []
    assert (await revisions.inputs(revision)).parameters == {}


# What services say.


@pytest.mark.parametrize("body", [
    {"server": {"adminPass": CANARY}}, {"user": {"password": CANARY}}, {"list": [{"server": {"user_data": CANARY}}]},
])  # fmt: skip
def test_what_a_service_quotes_of_passwords_is_cut_out(body):
    said = json.dumps({"badRequest": {"message": f"Invalid input for field. Value: {CANARY}."}})
    assert CANARY not in without_secrets(said, body)
    assert without_secrets(said, {"server": {"name": CANARY}}) == said


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.TextFormatter()])
def test_the_traceback_of_an_error_that_came_of_another_is_redacted_as_a_whole(formatter):
    logs.redact.register("ns/web", [CANARY])
    try:
        try:
            json.loads(f"{{{CANARY}", object_hook=str)
        except ValueError as error:
            raise KeyError(f"while reading {CANARY!r}") from error
    except KeyError as error:
        info = (type(error), error, error.__traceback__)
    line = formatter.format(
        logging.LogRecord("kiln.controller.workqueue", logging.ERROR, "f.py", 1, "%r", (CANARY,), info)
    )
    logs.redact.forget("ns/web")
    assert "JSONDecodeError" in line
    assert "KeyError" in line
    assert CANARY not in line
