"""What one pass decides: from a Stack to conditions, revisions and what comes next."""

import asyncio
import copy
from typing import Any

import pytest
from harness.fake_connection import Refused
from harness.one_stack import FAILS, NET, OneStack

from kiln.api.v1alpha1 import Key, Reason
from kiln.clouds.credentials import CredentialsError
from kiln.controller.workqueue import Run
from kiln.kube.errors import Forbidden
from kiln.stack.reconciliation import OUTPUTS_CHECK_INTERVAL, ROLLBACK_NOW
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.surroundings import CREDENTIALS_RETRY


@pytest.fixture
def web() -> OneStack:
    return OneStack()


async def test_a_stack_becomes_ready_and_is_looked_at_again_later(web: OneStack) -> None:
    web.apply({"net": NET}, resyncInterval="100s")
    requeue = await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert requeue.end is PassEnd.AT_REST
    assert 90 <= (requeue.after or 0) <= 110
    assert web.status["lastOperation"]["type"] == "Create"
    assert web.nets() == ["net"]


@pytest.mark.parametrize("shows", [True, False], ids=["with an output", "without outputs"])
async def test_a_stack_whose_outputs_show_resources_is_looked_at_once_more_soon(web: OneStack, shows: bool) -> None:
    def template(name: str) -> dict[str, Any]:
        net = {"type": "OS::Neutron::Net", "properties": {"name": name}}
        outputs = {"outputs": {"where": {"value": {"get_attr": ["net", "name"]}}}} if shows else {}
        return {"heat_template_version": "2021-04-16", "resources": {"net": net}, **outputs}

    for name in ("old", "new"):
        web.apply({}, template=template(name), resyncInterval="100s")
        assert ((await web.run()).after == OUTPUTS_CHECK_INTERVAL) is shows
        assert ((await web.run()).after or 0) > OUTPUTS_CHECK_INTERVAL
    web.apply({}, template=template("last"), resyncInterval="0s")
    assert (await web.run()).after == (OUTPUTS_CHECK_INTERVAL if shows else None)
    assert (await web.run()).after is None


async def test_a_failed_update_is_rolled_back_and_then_rests(web: OneStack) -> None:
    web.apply({"net": NET}, onFailure="Rollback")
    await web.run()
    good = web.status["currentRevision"]
    more = {"type": "OS::Neutron::Net", "properties": {"name": "more"}}
    web.apply({"net": NET, "more": more, "bad": {**FAILS, "depends_on": "more"}}, onFailure="Rollback")
    assert (await web.run()).after == ROLLBACK_NOW
    assert web.nets() == ["more", "net"]
    await web.run()
    assert web.condition() == ("False", "RolledBack")
    assert web.condition("Stalled")[0] == "True"
    assert (web.nets(), web.status["currentRevision"]) == (["net"], good)
    before, events = copy.deepcopy(web.status), len(web.services.told.reasons)
    await web.run()
    assert [one["lastTransitionTime"] for one in web.status["conditions"]] == [
        one["lastTransitionTime"] for one in before["conditions"]
    ]
    assert len(web.services.told.reasons) == events


VOLUME = {"type": "OS::Cinder::Volume", "properties": {"name": "a", "size": 1}}


async def test_a_rollback_goes_on_beside_what_cannot_be_undone_and_ends(web: OneStack) -> None:
    web.apply({"volume": VOLUME, "net": NET}, onFailure="Rollback")
    await web.run()
    good = web.status["currentRevision"]
    grown = {**VOLUME, "properties": {"name": "b", "size": 2}}
    renamed = {**NET, "properties": {"name": "renamed"}}
    more = {"type": "OS::Neutron::Net", "properties": {"name": "more"}}
    bad = {**FAILS, "depends_on": ["volume", "net", "more"]}
    web.apply({"volume": grown, "net": renamed, "more": more, "bad": bad}, onFailure="Rollback")
    assert (await web.run()).after == ROLLBACK_NOW
    assert [(one["name"], one["size"]) for one in web.cloud.all("volumes")] == [("b", 2)]
    requeue = await web.run()
    assert web.condition() == ("False", "RollbackIncomplete")
    assert (web.condition("Stalled")[0], requeue.end) == ("True", PassEnd.STALLED)
    message = next(one["message"] for one in web.status["conditions"] if one["type"] == "Ready")
    assert "resources.volume.properties.size: a volume of 2 GiB cannot shrink to 1" in message
    assert web.nets() == ["net"], "what else was changed is as it was, and what was new is gone"
    assert [(one["name"], one["size"]) for one in web.cloud.all("volumes")] == [("a", 2)]
    assert web.status["currentRevision"] == good
    calls, events = len([one for one in web.cloud.calls if one.method != "GET"]), len(web.services.told.reasons)
    await web.run()
    assert len([one for one in web.cloud.calls if one.method != "GET"]) == calls
    assert len(web.services.told.reasons) == events
    web.apply({"volume": grown, "net": renamed}, onFailure="Rollback")
    await web.run()
    assert web.condition() == ("True", "Succeeded")


async def test_a_request_in_flux_s_words_is_answered_when_the_reconciliation_has_ended(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    assert "lastHandledReconcileAt" not in web.status
    web.kube.objects["stacks", "ns", "web"]["metadata"]["annotations"] = {
        "reconcile.fluxcd.io/requestedAt": "2026-01-01"
    }
    await web.run()
    assert web.status["lastHandledReconcileAt"] == "2026-01-01"
    web.kube.objects["stacks", "ns", "web"]["metadata"]["annotations"] = {}
    await web.run()
    assert web.status["lastHandledReconcileAt"] == "2026-01-01"


async def test_a_failed_creation_is_rolled_back_to_nothing(web: OneStack) -> None:
    web.apply({"net": NET, "bad": {**FAILS, "depends_on": "net"}}, onFailure="Rollback")
    assert (await web.run()).after == ROLLBACK_NOW
    await web.run()
    assert web.condition() == ("False", "RolledBack")
    assert web.nets() == []


async def test_a_halted_stack_waits_for_a_change(web: OneStack) -> None:
    web.apply({"net": NET, "bad": FAILS}, onFailure="Halt")
    assert await web.run() == Requeue.on_events(PassEnd.STALLED)
    assert web.condition("Stalled")[0] == "True"
    assert web.nets() == ["net"]


async def test_what_may_pass_is_tried_again_later_and_later(web: OneStack) -> None:
    web.cloud.fault = lambda request: Refused(403, "Quota exceeded") if request.method == "POST" else None
    web.apply({"net": NET})
    requeue = await web.run()
    waits = [requeue.delay(failures, 1.0) or 0.0 for failures in range(1, 5)]
    assert requeue.end is PassEnd.RETRY
    assert web.condition() == ("False", "QuotaExceeded")
    assert web.condition("Reconciling")[0] == "True"
    assert 4 <= waits[0] <= 6
    assert waits == sorted(waits)
    assert web.status["failedResources"][0]["name"] == "net"


async def test_a_broken_template_is_told_and_nothing_is_touched(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.apply({"net": {"type": "OS::Neutron::Nett"}})
    assert await web.run() == Requeue.on_events(PassEnd.STALLED)
    assert web.condition() == ("False", "InvalidTemplate")
    assert web.condition("TemplateValid")[0] == "False"
    assert web.nets() == ["net"]


async def test_a_lost_key_is_no_reason_to_change_anything(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    del web.kube.objects["secrets", "ns", "web-kiln"]
    calls = len(web.cloud.calls)
    await web.run()
    assert web.condition() == ("True", "Succeeded")
    assert {one.method for one in web.cloud.calls[calls:]} == {"GET"}


async def test_a_deleted_stack_goes_when_nothing_is_left(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    await web.delete()
    await web.run()
    assert web.nets() == []
    assert web.kube.objects == {}


async def test_orphans_stay_and_need_no_credentials(web: OneStack) -> None:
    web.apply({"net": NET}, deletionPolicy="Orphan")
    await web.run()
    web.services.error = CredentialsError(Reason.CREDENTIALS_NOT_FOUND, "spec", "no Secret")
    await web.delete()
    await web.run()
    assert web.nets() == ["net"]
    assert web.kube.find("stacks", "web") is None


async def test_without_credentials_a_deletion_waits_and_says_how_to_go_on(web: OneStack) -> None:
    web.apply({"net": NET})
    await web.run()
    web.services.error = CredentialsError(Reason.CREDENTIALS_NOT_FOUND, "spec", "no Secret")
    await web.delete()
    assert (await web.run()).after == CREDENTIALS_RETRY
    assert web.condition() == ("False", "CredentialsNotFound")
    told = next(one for one in web.status["conditions"] if one["type"] == "Ready")["message"]
    assert "1 resources remain: restore them, or set spec.deletionPolicy to Orphan" in told
    web.services.error = None
    await web.run()
    assert web.nets() == []


@pytest.mark.looptime
async def test_a_superseded_pass_says_nothing_more_once_it_has_ended(web: OneStack) -> None:
    web.cloud.latency = 0.3
    web.apply({"net": NET, "other": NET, "last": {**NET, "depends_on": "net"}})
    run = Run()
    asyncio.get_running_loop().call_later(0.45, run.superseded.set)
    requeue = await web.reconciler.run(Key("ns", "web"), run)
    assert requeue == Requeue.on_events(PassEnd.SUPERSEDED)
    assert web.condition() == ("False", "Progressing")
    web.cloud.latency = 0.0
    await web.run()
    await asyncio.sleep(5)
    assert web.condition() == ("True", "Succeeded")


async def test_what_kubernetes_refuses_is_told_at_the_stack(web: OneStack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def create(*_: Any, **__: Any) -> Any:
        raise Forbidden(403, "Forbidden", "exceeded quota: count/stackresources.kiln.dev")

    web.apply({"net": NET})
    monkeypatch.setattr(web.kube, "create", create)
    requeue = await web.run()
    assert requeue.end is PassEnd.KUBERNETES_FAILED
    assert 0 < (requeue.delay(1, 1.0) or 0) <= 30
    assert web.condition() == ("False", "KubernetesRefused")
    assert web.nets() == []
    monkeypatch.undo()
    await web.run()
    assert web.condition() == ("True", "Succeeded")


async def test_a_pass_that_waits_for_a_cloud_that_does_not_answer_ends_when_something_new_comes(web: OneStack) -> None:
    answer = asyncio.Event()

    async def project_id() -> str:
        await answer.wait()
        return "project"

    web.cloud.project_id = project_id  # type: ignore[method-assign]
    web.apply({"net": NET})
    run = Run()
    running = asyncio.ensure_future(web.reconciler.run(Key("ns", "web"), run))
    await asyncio.sleep(0.01)
    run.superseded.set()
    assert (await asyncio.wait_for(running, 5)).end is PassEnd.SUPERSEDED
    answer.set()
    await web.run()
    assert web.condition() == ("True", "Succeeded")
