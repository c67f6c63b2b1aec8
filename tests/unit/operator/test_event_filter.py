"""Which events are news."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from kiln.api.v1alpha1 import Key
from kiln.controller.event_filter import EventFilter

NOW = 1_800_000_000.0
WEB = Key("ns", "web")


def stamp(seconds_ago: float) -> str:
    return datetime.fromtimestamp(NOW - seconds_ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Queue:
    def __init__(self):
        self.calls = []

    def add(self, key):
        self.calls.append(("add", key))

    def add_after(self, key, delay):
        self.calls.append(("after", key, round(delay)))

    def interrupt(self, key):
        self.calls.append(("interrupt", key))

    def taken(self):
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def own():
    return set()


@pytest.fixture
def shell(queue, own):
    made = EventFilter(queue, lambda *identity: identity in own, now=lambda: NOW)
    made.lead()
    return made


@pytest.fixture
def rested(stack):
    """A Stack that was Ready 100 s ago."""

    def make(*, ago=100.0, generation=1, observed=1, ready="True", interval="10m", **spec):
        obj = stack(resyncInterval=interval, **spec)
        obj["metadata"]["generation"] = generation
        obj["status"] = {
            "observedGeneration": observed,
            "lastSyncTime": stamp(ago),
            "conditions": [{"type": "Ready", "status": ready}],
        }
        return obj

    return make


def config_map(name="cm", value="1", ago=1000.0, namespace="ns"):
    metadata = {"namespace": namespace, "name": name, "uid": name, "creationTimestamp": stamp(5000)}
    metadata["managedFields"] = [{"time": stamp(ago)}]
    return {"metadata": metadata, "data": {"k": value}}


def resource(**metadata):
    return {"metadata": {"namespace": "ns", "name": "web-net", "uid": "r", **metadata}, "spec": {"stackName": "web"}}


def test_a_new_stack_is_looked_at(shell, queue, stack):
    shell.observe("stacks", "ADDED", stack())
    assert queue.taken() == [("interrupt", WEB)]


def test_an_echo_of_our_own_status_is_ignored(shell, queue, stack, rested):
    shell.observe("stacks", "ADDED", stack())
    queue.taken()
    shell.observe("stacks", "MODIFIED", rested())
    assert queue.taken() == []


@pytest.mark.parametrize("change", [
    {"generation": 2}, {"uid": "another"}, {"deletionTimestamp": "2026-01-01T00:00:00Z"},
    {"annotations": {"kiln.dev/reconcile-at": "now"}}, {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}},
])  # fmt: skip
def test_new_intent_interrupts(shell, queue, rested, change):
    shell.observe("stacks", None, rested())
    queue.taken()
    obj = rested()
    obj["metadata"] |= change
    shell.observe("stacks", "MODIFIED", obj)
    assert queue.taken() == [("interrupt", WEB)]


def test_other_annotations_and_finalizers_are_no_news(shell, queue, rested):
    shell.observe("stacks", None, rested())
    queue.taken()
    obj = rested()
    obj["metadata"] |= {"annotations": {"a": "b"}, "finalizers": ["x"]}
    shell.observe("stacks", "MODIFIED", obj)
    assert queue.taken() == []


def test_a_stack_at_rest_waits_for_its_resync_after_a_restart(shell, queue, rested):
    shell.observe("stacks", None, rested(ago=100))
    ((kind, key, delay),) = queue.taken()
    assert (kind, key) == ("after", WEB)
    assert 500 <= delay <= 560


def test_overdue_resyncs_are_spread_over_the_whole_interval(shell, queue, rested):
    delays = set()
    for _ in range(200):
        shell.observe("stacks", None, rested(ago=100_000))
        ((kind, _, delay),) = queue.taken()
        assert kind == "after"
        assert 0 <= delay <= 600
        delays.add(delay)
        shell.observe("stacks", "DELETED", rested())
        queue.taken()
    # All of 200 in one half would be a chance of 1 in 10^60.
    assert min(delays) < 300 < max(delays)


def test_a_stack_that_never_resyncs_is_left_alone(shell, queue, rested):
    shell.observe("stacks", None, rested(interval="0s"))
    assert queue.taken() == []


@pytest.mark.parametrize("unrest", [{"observed": 0}, {"ready": "False"}, {"ready": "Unknown"}])
def test_a_stack_that_is_not_at_rest_is_looked_at_after_a_restart(shell, queue, rested, unrest):
    shell.observe("stacks", None, rested(**unrest))
    assert queue.taken() == [("interrupt", WEB)]


def test_a_listing_after_a_broken_watch_is_no_news(shell, queue, rested):
    shell.observe("stacks", None, rested())
    queue.taken()
    shell.observe("stacks", None, rested(ago=50))
    assert queue.taken() == []


def test_a_deleted_stack_gets_one_last_look_and_is_forgotten(shell, queue, rested):
    shell.observe("stacks", None, rested(templateRef={"configMapName": "cm", "key": "k"}))
    queue.taken()
    shell.observe("stacks", "DELETED", rested())
    assert queue.taken() == [("interrupt", WEB)]
    assert (shell._stacks, dict(shell._users)) == ({}, {})


def test_a_changed_input_interrupts_the_stacks_that_refer_to_it(shell, queue, rested):
    shell.observe("stacks", None, rested(templateRef={"configMapName": "cm", "key": "k"}))
    shell.observe("configmaps", None, config_map())
    queue.taken()
    shell.observe("configmaps", "MODIFIED", config_map(value="2"))
    shell.observe("configmaps", "MODIFIED", config_map(name="other", value="2"))
    shell.observe("configmaps", "MODIFIED", config_map(namespace="other", value="2"))
    assert queue.taken() == [("interrupt", WEB)]


def test_an_input_whose_content_is_the_same_is_no_news(shell, queue, rested):
    shell.observe("stacks", None, rested(templateRef={"configMapName": "cm", "key": "k"}))
    shell.observe("configmaps", None, config_map())
    queue.taken()
    shell.observe("configmaps", "MODIFIED", config_map(ago=0))
    shell.observe("configmaps", None, config_map(ago=0))
    assert queue.taken() == []


def test_an_input_that_appears_or_goes_interrupts(shell, queue, rested):
    shell.observe("stacks", None, rested(parametersFrom=[{"name": "p", "secretKeyRef": {"name": "cm", "key": "k"}}]))
    queue.taken()
    shell.observe("secrets", "ADDED", config_map())
    shell.observe("secrets", "DELETED", config_map())
    assert queue.taken() == [("interrupt", WEB)] * 2


def test_the_credentials_are_an_input(shell, queue, rested):
    shell.observe("stacks", None, rested())
    shell.observe("secrets", None, config_map(name="openstack"))
    queue.taken()
    shell.observe("secrets", "MODIFIED", config_map(name="openstack", value="2"))
    assert queue.taken() == [("interrupt", WEB)]


@pytest.mark.parametrize("input_first", [True, False])
def test_an_input_that_changed_while_no_operator_ran_is_noticed(shell, queue, rested, input_first):
    events = [
        ("configmaps", None, config_map(ago=50)),
        ("stacks", None, rested(ago=100, templateRef={"configMapName": "cm", "key": "k"})),
    ]
    for event in events if input_first else reversed(events):
        shell.observe(*event)
    assert queue.taken()[-1] == ("interrupt", WEB)


def test_an_input_that_is_no_longer_referred_to_is_no_news(shell, queue, rested):
    shell.observe("stacks", None, rested(templateRef={"configMapName": "cm", "key": "k"}))
    shell.observe("configmaps", None, config_map())
    shell.observe("stacks", "MODIFIED", rested(generation=2, templateBody="t"))
    queue.taken()
    shell.observe("configmaps", "MODIFIED", config_map(value="2"))
    assert queue.taken() == []


def test_our_own_writes_of_stack_resources_are_no_news(shell, queue, own):
    shell.observe("stackresources", "ADDED", resource())
    shell.observe("stackresources", "MODIFIED", resource())
    own.add(("stackresources", "ns", "web-net"))
    shell.observe("stackresources", "MODIFIED", resource(deletionTimestamp="x"))
    shell.observe("stackresources", "DELETED", resource())
    assert queue.taken() == []


def test_a_stack_resource_that_somebody_else_deletes_interrupts_its_stack(shell, queue):
    shell.observe("stackresources", "MODIFIED", resource(deletionTimestamp="x"))
    shell.observe("stackresources", "DELETED", resource())
    assert queue.taken() == [("interrupt", WEB)] * 2


def test_a_replica_that_stands_by_acts_only_when_it_leads(queue, rested):
    shell = EventFilter(queue, lambda *_: False, now=lambda: NOW)
    shell.observe("stacks", None, rested())
    busy = rested(ready="False")
    busy["metadata"] |= {"name": "busy", "uid": "busy"}
    shell.observe("stacks", "ADDED", busy)
    assert queue.taken() == []
    shell.lead()
    calls = queue.taken()
    assert ("add", Key("ns", "busy")) in calls
    assert [call[0] for call in calls if call[1] == WEB] == ["after"]


def test_what_is_left_of_a_stack_that_was_removed_by_force_while_no_operator_ran_is_released(queue):
    shell = EventFilter(queue, lambda *_: False, now=lambda: NOW)
    shell.observe("stackresources", None, resource(deletionTimestamp="x"))
    shell.observe("stackoperations", None, {
        "metadata": {"namespace": "ns", "name": "o", "uid": "o", "creationTimestamp": stamp(9)},
        "spec": {"stackName": "gone"},
    })  # fmt: skip
    secret = {
        "namespace": "ns",
        "name": "bare-kiln",
        "uid": "b",
        "creationTimestamp": stamp(9),
        "deletionTimestamp": "x",
    }
    secret |= {"finalizers": ["kiln.dev/stack"], "labels": {"kiln.dev/stack": "bare"}}
    shell.observe("secrets", None, {"metadata": secret, "data": {}})
    shell.lead()
    assert queue.taken() == [("add", WEB), ("add", Key("ns", "gone")), ("add", Key("ns", "bare"))]


def test_what_the_leader_settled_meanwhile_is_at_rest_for_the_one_that_takes_over(queue, rested, stack):
    shell = EventFilter(queue, lambda *_: False, now=lambda: NOW)
    shell.observe("stacks", "ADDED", stack())
    shell.observe("stacks", "MODIFIED", rested(ago=-5))
    shell.lead()
    assert [call[0] for call in queue.taken()] == ["after"]


def test_stacks_are_counted_by_condition(shell, rested):
    shell.observe("stacks", None, rested())
    assert shell.conditions() == {("Ready", "True"): 1}


@pytest.mark.parametrize("spec", [
    {"templateRef": {}}, {"environments": ["text"]}, {"parametersFrom": [{"name": "p", "secretKeyRef": {}}]},
    {"filesFrom": 3}, {"cloudCredentialsRef": "text"}, {"resyncInterval": 600}, {"resyncInterval": "often"},
])  # fmt: skip
def test_a_stack_with_a_malformed_spec_is_queued_so_that_its_reconciliation_can_report_it(shell, queue, stack, spec):
    shell.observe("stacks", "ADDED", {**stack(), "spec": spec})
    assert queue.taken() == [("interrupt", WEB)]


@pytest.mark.parametrize(("plural", "obj"), [
    ("stacks", {"metadata": {"namespace": "ns", "name": "web", "uid": "u"}, "status": {"conditions": ["text"]}}),
    ("stacks", {}),
    ("stackresources", {"metadata": {"deletionTimestamp": "x"}, "spec": {"stackName": "web"}}),
    ("configmaps", {"metadata": None}),
])  # fmt: skip
def test_an_object_that_cannot_be_read_is_logged_and_skipped(shell, queue, stack, caplog, plural, obj):
    shell.observe(plural, "ADDED", obj)
    assert f"An event of {plural} has an unexpected form" in caplog.text
    shell.observe("stacks", "ADDED", stack())
    assert queue.taken() == [("interrupt", WEB)]


@pytest.fixture
def child(rested):
    """A child of ``web``."""

    def make(*, generation=1, ready="True", last="Succeeded", **spec):
        obj = rested(generation=generation, observed=generation, ready=ready, **spec)
        obj["metadata"] |= {
            "name": "web-inner",
            "uid": "uid-inner",
            "labels": {"kiln.dev/stack": "web"},
            "annotations": {"kiln.dev/token": "t"},
        }
        obj["status"]["lastOperation"] = {"type": "Update", "result": last}
        return obj

    return make


def test_a_child_that_changed_or_settled_queues_its_parent_and_interrupts_nothing(shell, queue, rested, child):
    shell.observe("stacks", "ADDED", rested())
    shell.observe("stacks", "ADDED", child())
    queue.taken()
    shell.observe("stacks", "MODIFIED", child())
    assert queue.taken() == []
    shell.observe("stacks", "MODIFIED", child(generation=2, ready="False", last="Running"))
    assert queue.taken() == [("add", WEB), ("interrupt", Key("ns", "web-inner"))]
    moving = child(generation=2, ready="False", last="Running")
    moving["status"]["resources"] = {"summary": "1/2"}
    shell.observe("stacks", "MODIFIED", moving)
    assert queue.taken() == []
    shell.observe("stacks", "MODIFIED", child(generation=2, ready="False", last="Failed"))
    assert queue.taken() == [("add", WEB)]
    shell.observe("stacks", "MODIFIED", child(generation=2))
    assert queue.taken() == [("add", WEB)]
    shell.observe("stacks", "DELETED", child(generation=2))
    assert queue.taken() == [("add", WEB), ("interrupt", Key("ns", "web-inner"))]


def test_a_stack_that_only_has_the_label_of_a_child_queues_nobody(shell, queue, rested, child):
    shell.observe("stacks", "ADDED", rested())
    foreign = child()
    foreign["metadata"]["annotations"] = {}
    shell.observe("stacks", "ADDED", foreign)
    queue.taken()
    gone = child()
    gone["metadata"]["annotations"] = {}
    shell.observe("stacks", "DELETED", gone)
    assert queue.taken() == [("interrupt", Key("ns", "web-inner"))]


def test_child_stacks_are_counted_by_namespace(queue, rested, child):
    counts = Counter()
    shell = EventFilter(queue, lambda *_: False, children=counts, now=lambda: NOW)
    shell.observe("stacks", None, rested())
    shell.observe("stacks", "ADDED", child())
    shell.observe("stacks", "MODIFIED", child())
    assert counts == {"ns": 1}
    shell.observe("stacks", "DELETED", child())
    assert counts == {}


def test_news_of_a_child_on_standby_reach_the_parent_when_the_replica_leads(queue, own, rested, child):
    standby = EventFilter(queue, lambda *identity: identity in own, now=lambda: NOW)
    standby.observe("stacks", "ADDED", rested())
    standby.observe("stacks", "ADDED", child())
    standby.observe("stacks", "MODIFIED", child(ready="False", last="Failed"))
    assert queue.taken() == []
    standby.lead()
    assert ("add", WEB) in queue.taken()
