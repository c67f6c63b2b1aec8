import pytest
from harness.stack_views import BEFORE, NOW, READY, REQUEST, STALLED, WORKING, condition, graph, resource, stack, view

from kiln.api.v1alpha1 import Reason
from kiln.kubectl import why
from kiln.kubectl.advice import ADVICE, next_step, service_of
from kiln.kubectl.diagnosis import diagnose
from kiln.kubectl.output import plain
from reconcilers.model import Fault

CHAIN = graph(net=[], subnet=["net"], port=["subnet"], server=["port"], other=[])


def test_a_ready_stack_has_no_cause() -> None:
    found = diagnose(view(stack(READY)), NOW)
    assert (found.causes, found.blocked) == ((), False)
    assert "nothing blocks it" in found.summary


def test_the_deepest_cause_comes_first_with_its_request_and_what_it_blocks() -> None:
    quota = {"name": "subnet", "type": "OS::Neutron::Subnet", "reason": "QuotaExceeded", "message": "no more subnets"}
    minor = {"name": "other", "type": "OS::Cinder::Volume", "reason": "Conflict", "message": "in use"}
    found = diagnose(
        view(
            stack(*STALLED, failedResources=[minor, {**quota, "requestID": REQUEST}]),
            resource("net"),
            resource("subnet", "Failed", fault="QuotaExceeded", message="no more subnets"),
            known=CHAIN,
        ),
        NOW,
    )
    first, second = found.causes
    assert (first.where, first.reason, first.request_id) == ("resources.subnet", "QuotaExceeded", REQUEST)
    assert (first.blocks, first.service) == (("port", "server"), "Neutron")
    assert "kubectl stack retry web -n shop" in first.next_step
    assert second.where == "resources.other"
    assert found.blocked


def test_a_fault_that_the_status_does_not_name_is_found_in_its_record() -> None:
    broken = [resource(f"r{i:02}", "Failed", fault="Conflict", message="taken") for i in range(30)]
    assert len(diagnose(view(stack(*STALLED), *broken), NOW).causes) == 30


def test_work_in_progress_is_named_where_it_waits_for_nothing_else_and_blocks_nobody_for_good() -> None:
    found = diagnose(
        view(stack(*WORKING), resource("net"), resource("subnet", "Creating", message="is BUILD"), known=CHAIN), NOW
    )
    assert [cause.where for cause in found.causes] == ["resources.subnet"]
    assert found.causes[0].blocks == ("port", "server")
    assert not found.blocked


def test_one_resource_is_explained_by_what_it_needs() -> None:
    failed = [
        {"name": "net", "type": "OS::Neutron::Net", "reason": "QuotaExceeded", "message": "m"},
        {"name": "other", "type": "OS::Cinder::Volume", "reason": "Conflict", "message": "m"},
    ]
    one = view(stack(*STALLED, failedResources=failed), known=CHAIN)
    assert [cause.where for cause in diagnose(one, NOW, "server").causes] == ["resources.net"]
    assert [cause.where for cause in diagnose(one, NOW, "other").causes] == ["resources.other"]


@pytest.mark.parametrize(("kind", "where"), [("TemplateValid", "spec"), ("CloudReachable", "spec.cloudCredentialsRef")])
def test_inputs_and_credentials_are_causes(kind: str, where: str) -> None:
    bad = condition(kind, "False", "SecretNotFound", "spec.parametersFrom[x]: there is no Secret 'db'")
    ready = condition("Ready", "False", "SecretNotFound", bad["message"])
    found = diagnose(view(stack(ready, bad, condition("Stalled", "True"))), NOW)
    assert [(one.where, one.reason) for one in found.causes] == [(where, "SecretNotFound")]


def test_what_only_the_ready_condition_knows_is_a_cause() -> None:
    ready = condition("Ready", "False", "TimedOut", f"not done within 60 s [{REQUEST}]")
    (cause,) = diagnose(view(stack(ready)), NOW).causes
    assert (cause.reason, cause.request_id, cause.message) == ("TimedOut", REQUEST, "not done within 60 s")


def test_a_stack_that_no_operator_looks_at_says_so() -> None:
    waiting = stack(observed=-1)
    waiting["metadata"]["managedFields"] = [{"time": BEFORE}]
    found = diagnose(view(waiting), NOW)
    assert found.blocked
    assert "no operator has looked at it" in found.summary
    assert "kubectl get pods" in found.causes[0].next_step
    waiting["metadata"]["managedFields"] = [{"time": "2026-01-01T11:59:58Z"}]
    assert not diagnose(view(waiting), NOW).blocked


def test_a_paused_stack_says_so_first() -> None:
    paused = stack(condition("Ready", "False", "Paused"), condition("Paused", "True", "Paused"))
    assert diagnose(view(paused), NOW).causes[0].where == "spec.paused"


def test_a_deletion_is_blocked_by_what_cannot_go() -> None:
    going = stack(condition("Ready", "False", "Conflict", "x"), condition("Reconciling", "True"))
    going["metadata"]["deletionTimestamp"] = BEFORE
    found = diagnose(
        view(going, resource("net"), resource("port", "Deleting", needs=["net"], fault="Conflict", message="in use")),
        NOW,
    )
    assert found.causes[0].where == "resources.port"
    assert found.causes[0].blocks == ("net",)
    assert "2 resources are left" in found.summary


def test_drift_and_outputs_without_values_are_notes() -> None:
    drifted = condition("DriftDetected", "True", "Drifted", "net: name changed")
    notes = diagnose(view(stack(READY, drifted, outputErrors={"url": "no such attribute"})), NOW).notes
    assert notes == ("drift: net: name changed", "outputs.url has no value: no such attribute")


@pytest.mark.parametrize("reason", [*Reason, *Fault])
def test_each_reason_has_a_next_step(reason: str) -> None:
    assert reason in ADVICE
    assert "{" not in next_step(reason, "web", "shop")


def test_an_unknown_reason_leads_to_the_events() -> None:
    assert "kubectl stack events web -n shop" in next_step("Unheard", "web", "shop")


def test_the_service_of_a_type_is_where_to_look_for_the_request() -> None:
    assert service_of("OS::Nova::Server") == "Nova"
    assert service_of("AWS::EC2::Instance") == "Nova"
    assert service_of("Something") == "the service"


def test_the_text_has_all_of_a_cause_and_the_value_too() -> None:
    failed = {"name": "net", "type": "OS::Neutron::Net", "reason": "Conflict", "message": "taken", "requestID": REQUEST}
    found = diagnose(view(stack(*STALLED, failedResources=[failed]), known=CHAIN), NOW)
    text = "\n".join(why.lines(found, plain))
    for word in ("1. resources.net: Conflict", "taken", REQUEST, "Neutron", "blocks    port, server, subnet", "next  "):
        assert word in text
    value = why.as_value(found)
    assert value["blocked"] is True
    assert value["causes"][0]["requestID"] == REQUEST
