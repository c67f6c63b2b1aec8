"""Log lines say where they belong, and hide what is hidden."""

import base64
import json
import logging

import pytest

from kiln import logs
from kiln.logs import JsonFormatter, TextFormatter
from kiln.redaction import MARK, Redactor


def record(message, *args, error=None):
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("kiln.test", logging.INFO, "f.py", 1, message, args, info)


@pytest.fixture
def secret():
    logs.redact.register("ns/web", ["s3cret-canary", 'with "quotes"\nand lines that are long'])
    yield
    logs.redact.forget("ns/web")


@pytest.mark.parametrize("text", [
    "password is s3cret-canary.", "s3cret-canary", base64.b64encode(b"s3cret-canary").decode(), "x=s3cret%2Dcanary",
    json.dumps({"v": 'with "quotes"\nand lines that are long'}), repr('with "quotes"\nand lines that are long'),
    "and lines that are long",
])  # fmt: skip
def test_a_hidden_value_is_cut_out_in_each_form(secret, text):
    text = text.replace("%2D", "-")
    shown = logs.redact(text)
    assert MARK in shown
    assert "canary" not in shown
    assert "quotes" not in shown
    assert "lines that" not in shown


@pytest.mark.parametrize("text", [
    "X-Auth-Token: canary", "'X-Subject-Token': 'canary'", "Authorization: Bearer canary", '"adminPass": "canary"',
    "{'password': 'canary'}", "db_password='canary'", "token gAAAAABcanarycanarycanarycanarycanarycanarycanarycanary",
    "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\ncanary",
])  # fmt: skip
def test_what_looks_like_a_secret_is_cut_out_unasked(text):
    assert "canary" not in logs.redact(text)


def test_ordinary_text_stays():
    text = "resources.web: the token bucket is empty; password is missing; secret 'openstack' not found"
    assert logs.redact(text) == text


def test_a_longer_secret_goes_before_one_that_it_contains():
    redactor = Redactor()
    redactor.register("a", ["abcd", "abcdefgh"])
    assert redactor("abcdefgh abcd") == f"{MARK} {MARK}"


def test_short_values_are_not_cut_out_of_words():
    redactor = Redactor()
    redactor.register("a", ["no"])
    assert redactor("nothing") == "nothing"


def test_an_owner_s_secrets_are_replaced_and_forgotten():
    redactor = Redactor()
    redactor.register("a", ["first-secret"])
    redactor.register("a", ["second-secret"])
    assert redactor("first-secret") == "first-secret"
    redactor.forget("a")
    assert redactor("second-secret") == "second-secret"


def test_a_json_line_carries_stack_pass_and_request(secret):
    with logs.context(stack="ns/web", pass_id="req-1"), logs.context(request_id="req-2"):
        line = json.loads(JsonFormatter().format(record("made %s", "s3cret-canary")))
    assert (line["stack"], line["pass_id"], line["request_id"]) == ("ns/web", "req-1", "req-2")
    assert line["message"] == f"made {MARK}"
    assert "stack" not in json.loads(JsonFormatter().format(record("later")))


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_tracebacks_are_redacted(secret, formatter):
    value = "s3cret-canary"
    with pytest.raises(ValueError, match=value) as caught:
        int(value)
    line = formatter.format(record("failed", error=caught.value))
    assert "ValueError" in line
    assert "canary" not in line


def test_libraries_do_not_log_bodies_even_at_debug():
    before = logging.getLogger().handlers[:]
    try:
        logs.configure("debug", "json")
        assert logging.getLogger("kiln.controller.workqueue").isEnabledFor(logging.DEBUG)
        for name in ("keystoneauth.session.body", "urllib3.connectionpool", "kubernetes.client.rest", "kopf.objects"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger("kiln").setLevel(logging.NOTSET)
        logging.captureWarnings(capture=False)


FORGED = "first\n12:00:00.000 ERROR   kiln.forged [ns/other] second\r\x1b[31mred\x9b2J\u2028third\u202edrawkcab\x00"


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.TextFormatter()])
def test_no_text_forges_a_line_or_reaches_the_terminal_as_more_than_text(formatter):
    forged = record("%s", FORGED)
    forged.stack = FORGED
    line = formatter.format(forged)
    assert line.isprintable()
    assert "first" in line
    assert "third" in line


def test_the_lines_of_a_traceback_are_indented_and_clean():
    broken = record("broke", error=ValueError(FORGED))
    first, *more = logs.TextFormatter().format(broken).split("\n")
    assert first.endswith("broke")
    assert all(line.startswith("    ") and line.isprintable() for line in more)
    assert all(line.isprintable() for line in json.loads(logs.JsonFormatter().format(broken))["error"].split("\n"))
