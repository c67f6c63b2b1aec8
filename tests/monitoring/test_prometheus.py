"""Metrics, alerts and dashboards under a real Prometheus. The tests build on each other, in this order."""

import subprocess
import time
import urllib.request
from typing import Any

import pytest
import yaml
from harness import mistake
from harness.kube_proxy import FORBIDDEN
from harness.operator import eventually
from harness.project import CLOUD
from harness.prometheus import CHART, panels, query
from harness.relay import SLOW, Rule
from monitoring.conftest import BUSY, JOB, Run

Times = list[tuple[str, float]]

HOURS = {"KilnReconciliationHangs"}
"""Alerts of what takes hours. charts/kiln/alerts_test.yaml lets them fire."""
PATIENCE = 1500.0
"""Seconds until the last alert fires: a quarter of an hour is the longest that one waits."""
CALL_SECONDS = 11.0
"""What a call to the slow cloud takes: more than the alert allows."""


def network(name_server: str = "192.0.2.1") -> dict[str, Any]:
    resources = {
        "net": {"type": "OS::Neutron::Net"},
        "subnet": {
            "type": "OS::Neutron::Subnet",
            "properties": {
                "network": {"get_resource": "net"},
                "cidr": "10.0.0.0/24",
                "dns_nameservers": [name_server],
            },
        },
    }
    return {"heat_template_version": "2021-04-16", "resources": resources}


CAUSED = {
    "KilnQueueGrows": {"job": BUSY},
    "KilnOpenStackSlow": {"service": "block_storage"},
    "KilnOpenStackFails": {"service": "network"},
    "KilnKubernetesRefuses": {"resource": "stacks"},
    "KilnHistoryDropped": {"job": JOB},
    "KilnCloudEventsDropped": {"job": JOB},
}
"""What the alert names that the test causes: on a busy machine the cloud may be slow by itself."""
VOLUME = {
    "heat_template_version": "2021-04-16",
    "resources": {"volume": {"type": "OS::Cinder::Volume", "properties": {"size": 1}}},
}


def with_server() -> dict[str, Any]:
    """A network and a server on it."""
    template = network()
    template["resources"]["server"] = {
        "type": "OS::Nova::Server",
        "properties": {
            "image": "cirros",
            "flavor": "m1.tiny",
            "networks": [{"subnet": {"get_resource": "subnet"}}],
        },
    }
    return template


def failing() -> dict[str, Any]:
    """The same, and something that cannot be made."""
    template = network("192.0.2.3")
    template["resources"]["broken"] = {
        "type": "OS::Neutron::Subnet",
        "properties": {"network": {"get_resource": "net"}, "cidr": "10.0.0.0/24"},
    }
    return template


def subnet_of(run: Run, stack: str) -> str:
    return str(run.space.resources(stack)["subnet"]["status"]["physicalID"])


def name_server(run: Run, stack: str) -> str:
    subnet = run.connected().network.get(f"/subnets/{subnet_of(run, stack)}").json()["subnet"]
    return str(subnet["dns_nameservers"][0])


def change(run: Run, stack: str) -> None:
    """Somebody else changes a Stack's subnet in OpenStack."""
    body = {"subnet": {"dns_nameservers": ["198.51.100.1"]}}
    run.connected().network.put(f"/subnets/{subnet_of(run, stack)}", json=body)


def promtool(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def alerts() -> set[str]:
    (group,) = yaml.safe_load((CHART / "alerts.yaml").read_text())["groups"]
    return {rule["alert"] for rule in group["rules"]}


def test_lives_of_stacks_without_trouble_fire_no_alert(run: Run) -> None:
    """Create, update, repair, rollback and deletion; drift that is only reported."""
    run.stack("web", with_server(), resyncInterval="10s")
    run.stack("reported", network(), resyncInterval="10s", drift="Report")
    run.stack("short", network())
    run.space.ready("web")
    run.stack("web", with_server() | {"description": "changed"}, resyncInterval="10s")
    run.space.ready("reported")
    run.stack("short", network("192.0.2.2"))
    run.space.ready("short")
    change(run, "web")
    change(run, "reported")
    eventually(lambda: run.space.condition("reported", "DriftDetected").get("status") == "True", 60)
    eventually(lambda: name_server(run, "web") == "192.0.2.1", 60)
    run.stack("short", failing(), onFailure="Rollback")
    eventually(lambda: run.space.condition("short").get("reason", "").startswith("RolledBack"), 120)
    run.space.delete("short")
    run.busy_space.stack("web", network(), cloud=CLOUD)
    run.busy_space.ready("web")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert run.prometheus.firing() == {}
        time.sleep(2)
    assert run.sink.taken > 5


def test_promtool_finds_nothing_wrong(run: Run) -> None:
    rules = promtool("check", "rules", str(run.prometheus.rules))
    assert f"SUCCESS: {len(alerts())} rules found" in rules
    for operator in (*run.replicas, run.busy):
        with urllib.request.urlopen(f"http://127.0.0.1:{operator.metrics_port}/metrics") as answer:
            shown = answer.read().decode()
        assert "kiln_converge_seconds_bucket" in shown
        assert promtool("check", "metrics", stdin=shown).strip() == ""


def test_a_shard_without_a_replica_is_told_of_and_over_when_there_is_one(run: Run, took: Times) -> None:
    run.replicas[1].stop()
    begin = time.monotonic()
    eventually(lambda: "KilnNoLeader" in run.prometheus.firing(), 180, 1)
    run.fired["KilnNoLeader"] = time.monotonic() - begin
    took.append(("one of two replicas stops: KilnNoLeader fires", run.fired["KilnNoLeader"]))
    (alert,) = run.prometheus.firing()["KilnNoLeader"]
    assert alert["labels"]["job"] == JOB
    run.replicas[1].start()
    begin = time.monotonic()
    eventually(lambda: "KilnNoLeader" not in run.prometheus.firing(), 60, 1)
    took.append(("... and is over after the replica's start", time.monotonic() - begin))


def test_each_alert_fires_when_what_it_tells_of_happens(run: Run, took: Times) -> None:
    begin = time.monotonic()
    # One call in three to Neutron fails; what is read often is asked again.
    run.cloud.rules = [Rule(0.33, ("503",), lambda call: call.service == "network" and call.method == "GET")]
    for number in range(8):
        run.stack(f"steady-{number}", network(), resyncInterval="10s")
    # Cinder, which nobody else asks, is slow, and one slot is not enough for what wants to be looked at.
    run.slow_cloud.pause = CALL_SECONDS
    run.slow_cloud.rules = [Rule(1.0, (SLOW,))]
    for number in range(40):
        run.busy_space.stack(f"wants-{number}", VOLUME, cloud=CLOUD, resyncInterval="10s")
    # The API server takes no status of some Stacks, and no histories; the endpoint takes no CloudEvents.
    run.kubernetes.rules = [
        Rule(1.0, ("500",), lambda call: call.method == "PATCH" and "/stacks/refused-" in call.path),
        Rule(1.0, (FORBIDDEN,), lambda call: call.service == "stackhistories" and call.method != "GET"),
    ]
    run.sink.refuses = True
    for number in range(40):
        run.stack(f"refused-{number}", network())
    # A mistake in Kiln; a template that stays broken.
    run.stack(mistake.STACK, network())
    run.stack("stalled", {"heat_template_version": "2021-04-16", "resources": {"x": {"type": "OS::Nova::Nothing"}}})

    wanted = alerts() - HOURS
    said: dict[str, dict[str, Any]] = {}
    while wanted - run.fired.keys() and time.monotonic() - begin < PATIENCE:
        for name, found in run.prometheus.firing().items():
            ours = [one for one in found if CAUSED.get(name, {}).items() <= one["labels"].items()]
            if ours and name not in run.fired:
                run.fired[name] = time.monotonic() - begin
                said[name] = ours[0]
                took.append((f"trouble begins: {name} fires: {ours[0]['annotations']['summary']}", run.fired[name]))
        time.sleep(2)
    assert wanted - run.fired.keys() == set()
    assert run.fired.keys() - wanted == set(), "what nobody caused"
    # What is told is readable: no template of an annotation is left, none is empty.
    for alert in said.values():
        assert all(text and "{{" not in text and "<no value>" not in text for text in alert["annotations"].values())


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel['dashboard']}: {panel['title']}")
def test_every_query_of_a_panel_has_data_of_the_run(run: Run, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        # The 0 in place of no series is no data.
        expression = query(target["expr"]).removesuffix(" or vector(0)")
        assert run.prometheus.since(expression, run.prometheus.began), expression


def test_the_variable_of_the_dashboards_has_the_jobs(run: Run) -> None:
    jobs = {labels["job"] for labels, _ in run.prometheus.now("kiln_leader")}
    assert jobs == {JOB, BUSY}
    for panel in panels():
        for target in panel["targets"]:
            expression = query(target["expr"], JOB).removesuffix(" or vector(0)")
            found = run.prometheus.since(expression, run.prometheus.began)
            assert all(labels.get("job", JOB) == JOB for labels, _ in found)
