"""No string of a status shows a hidden value, in whichever field it is; and all of it fits into one object."""

import json
from dataclasses import fields
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiln.api.v1alpha1 import Operation, Result
from kiln.redaction import Redactor
from kiln.stack import outputs, shown_texts, status
from kiln.stack.outputs import Outputs
from kiln.stack.redacted_status import redacted
from kiln.stack.status import ReadyState, StatusUpdate

SECRET = "Hunter2-Secret"
FREE = {
    *("current_revision", "target_revision", "failed_revision", "rollback", "cancelled_revision"),
    *("handled_update_request", "handled_operation", "pending_hooks", "cleared_hooks", "groups", "pass_id"),
    *("suspended_resources", "output_objects", "restored", "nested"),
}
"""Fields that hold what the operator or the template's author named."""

texts = st.builds(lambda before, after, has: before + SECRET * has + after, st.text(), st.text(), st.booleans())
names = st.sampled_from(["web", "db", "net"])
condition = st.none() | st.tuples(st.booleans(), texts, texts)
json_values: st.SearchStrategy[Any] = st.recursive(
    texts | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=5
)
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "generation": st.integers(0, 9),
    "state": st.builds(ReadyState, st.booleans(), st.booleans(), texts, texts, st.booleans()),
    "template_valid": condition,
    "cloud_reachable": condition,
    "suspended": condition,
    "drifted": st.dictionaries(names, texts),
    "operation": st.sampled_from(Operation),
    "result": st.sampled_from(Result),
    "operation_message": texts,
    "requested_by": texts,
    "counts": st.none() | st.fixed_dictionaries({"total": st.integers(), "summary": texts}),
    "failed": st.none()
    | st.lists(st.fixed_dictionaries({"name": names, "reason": texts, "message": texts, "requestID": texts})).map(
        tuple
    ),
    "outputs": st.none() | st.dictionaries(names, json_values),
    "output_errors": st.none() | st.dictionaries(names, texts),
    "hidden_outputs": st.none() | st.just(("other",)),
    "paused": st.booleans(),
    "synced": st.booleans(),
    "resync_interval": st.just(600.0),
    "handled_request": texts,
}


def test_the_property_goes_over_every_field() -> None:
    assert {one.name for one in fields(StatusUpdate)} == STRATEGIES.keys() | FREE


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries(STRATEGIES))
def test_no_field_shows_a_hidden_value(given: dict[str, Any]) -> None:
    redact = Redactor()
    redact.register("ns/web", [SECRET])
    report = redacted(StatusUpdate(**given), redact)
    built = status.build_status({}, report, "2026-01-01T00:00:00Z")
    assert SECRET not in json.dumps(built)
    assert built.get("observedGeneration") == given["generation"] or given["generation"] == 0
    if given["outputs"] is not None:
        for name, value in given["outputs"].items():
            hidden = name in (report.hidden_outputs or ())
            assert hidden if SECRET in json.dumps(value) else report.outputs[name] == value  # type: ignore[index]


def test_messages_are_of_one_line_and_bounded() -> None:
    message = "\x1b[2Jfirst\nsecond\r\u202e" + "x" * 100_000
    report = StatusUpdate(1, ReadyState(False, True, "Reason", message), failed=({"name": "a", "message": message},))
    shown = redacted(report, Redactor())
    assert len(shown.state.message) <= shown_texts.LONGEST_MESSAGE
    assert shown.failed is not None
    assert len(shown.failed[0]["message"]) <= shown_texts.LONGEST_DETAIL
    assert shown.state.message.isprintable()
    assert shown.state.message.startswith(" [2Jfirst second x")


def test_a_text_is_cut_after_the_secrets_have_gone() -> None:
    redact = Redactor()
    redact.register("ns/web", [SECRET])
    text = "x" * (shown_texts.LONGEST_DETAIL - 6) + SECRET
    assert "Hun" not in shown_texts.shown(text, redact)


def test_outputs_that_do_not_fit_together_are_named_in_the_errors() -> None:
    values = {f"o{number:03}": "x" * 30_000 for number in range(60)}
    shown = outputs.bounded(Outputs({**values, "small": 1}, {"late": "waits"}))
    assert shown.values["small"] == 1
    assert shown.errors["late"] == "waits"
    assert len(shown.values) == 9
    assert shown.values.keys() | shown.errors.keys() == {*values, "small", "late"}
    assert "left out" in shown.errors["o059"]


def test_an_output_counts_as_large_as_the_api_server_stores_it() -> None:
    shown = outputs.bounded(Outputs({f"o{number}": "<" * 30_000 for number in range(9)}))
    assert len(shown.values) == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 300), st.integers(0, 3000))
def test_whatever_outputs_there_are_their_status_stays_small(errors: int, size: int, hidden: int) -> None:
    given = Outputs(
        {f"v{number}": "é" * size for number in range(errors)},
        {f"e{number}": "x" * size for number in range(errors)},
        tuple(f"h{number}" + "y" * size for number in range(hidden)),
    )
    shown = outputs.bounded(given)
    assert len(json.dumps([shown.values, shown.errors, shown.hidden])) < 4 * outputs.LARGEST_OF_ALL
    told = len(shown.values) + len(shown.errors.keys() - {"..."}) + len(shown.hidden)
    dropped = len(given.errors) + len(given.values) + hidden - told
    assert ("..." in shown.errors) == (dropped > 0)
