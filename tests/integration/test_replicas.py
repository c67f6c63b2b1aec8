"""The operator's process: replicas and their Lease, its pages, what it notices and what it leaves alone."""

import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.operator import Operator, eventually
from harness.stacks import Namespace

TEMPLATE = """
heat_template_version: 2021-04-16
parameters:
  length: {type: number, default: 8}
resources:
  text: {type: OS::Heat::RandomString, properties: {length: {get_param: length}}}
outputs:
  text: {value: {get_attr: [text, value]}}
"""


@pytest.fixture
def replicas(space: Namespace, alone: None, tmp_path: Path) -> Iterator[tuple[Operator, Operator]]:
    """Two replicas; the first one leads, the second one stands by."""
    first = Operator(tmp_path / "first", namespaces=(space.name,))
    second = Operator(tmp_path / "second", namespaces=(space.name,))
    first.start()
    eventually(lambda: leads(first))
    second.start()
    eventually(lambda: "Waiting for the lease" in second.log.read_text())
    yield first, second
    space.close()
    first.stop()
    second.stop()


def leads(operator: Operator) -> bool:
    return "Holding the lease" in operator.log.read_text()


def length_becomes(space: Namespace, length: int, within: float) -> float:
    """Ask for another length; the seconds until the output has it."""
    asked = time.monotonic()
    space.stack("web", TEMPLATE, parameters={"length": length})
    eventually(
        lambda: len(space.get("stack", "web")["status"].get("outputs", {}).get("text", "")) == length, within, 0.1
    )
    return time.monotonic() - asked


def test_after_a_clean_stop_the_other_replica_takes_over_at_once(
    space: Namespace, replicas: tuple[Operator, Operator]
) -> None:
    first, second = replicas
    length_becomes(space, 8, 20)
    assert not leads(second)
    stopped = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - stopped < 30
    length_becomes(space, 9, 6)
    eventually(lambda: leads(second), 5)


def test_after_a_kill_the_other_replica_takes_over_within_15_seconds(
    space: Namespace, replicas: tuple[Operator, Operator]
) -> None:
    first, second = replicas
    length_becomes(space, 8, 20)
    killed = time.monotonic()
    first.kill()
    eventually(lambda: leads(second), 20, 0.1)
    assert time.monotonic() - killed < 15
    length_becomes(space, 9, 10)


def test_a_leader_that_was_stopped_and_continued_ends_by_itself(
    space: Namespace, replicas: tuple[Operator, Operator]
) -> None:
    first, second = replicas
    length_becomes(space, 8, 20)
    first.send(signal.SIGSTOP)
    length_becomes(space, 9, 25)
    assert leads(second)
    first.send(signal.SIGCONT)
    assert first.process is not None
    assert first.process.wait(10) == 1
    first.process = None
    assert length_becomes(space, 10, 10) < 10


def test_it_serves_its_health_and_its_metrics(space: Namespace, alone: None, tmp_path: Path) -> None:
    port = str(Operator(tmp_path, namespaces=(space.name,)).metrics_port)
    own = Operator(tmp_path, namespaces=(space.name,), arguments=("--metrics-port", port, "--health-port", port))
    with own:
        eventually(lambda: leads(own))
        assert page(port, "healthz").startswith("ok, the event loop ran ")
        assert page(port, "readyz") == "ok\n"
        length_becomes(space, 8, 20)
        metrics = page(port, "metrics")
        assert "kiln_leader 1.0" in metrics
        assert 'kiln_stacks{condition="Ready",status="True"} 1.0' in metrics
        assert "test-" not in metrics
        space.close()


def page(port: str, name: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=5) as answer:
        return str(answer.read().decode())


def test_inputs_that_appear_or_change_are_applied_and_the_operator_writes_nothing_but_its_own(
    space: Namespace, own_kiln: Operator
) -> None:
    own_kiln.start()
    source = {"name": "length", "configMapKeyRef": {"name": "settings", "key": "length"}}
    space.stack("web", TEMPLATE, parametersFrom=[source])
    assert "spec.parametersFrom[length]" in space.reason("web", "ConfigMapNotFound")["message"]
    space.apply(settings("8"))
    assert len(space.ready("web")["status"]["outputs"]["text"]) == 8
    space.apply(settings("12"))
    eventually(lambda: len(space.get("stack", "web")["status"]["outputs"]["text"]) == 12, 20)
    shown = space.kubectl(
        "get", "stack", "web", "--show-managed-fields", "-o", "jsonpath={.metadata.managedFields[*].manager}"
    )
    assert set(shown.split()) == {"kubectl", "kiln"}
    found = space.get("stack", "web")["metadata"]
    assert found["finalizers"] == ["kiln.dev/stack"]
    assert "annotations" not in found
    assert space.get("configmap", "settings")["metadata"].keys().isdisjoint({"annotations", "finalizers"})


def settings(length: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"length": length}}


def test_a_change_of_the_credentials_heals_a_stack(space: Namespace, own_kiln: Operator) -> None:
    own_kiln.start()
    good = space.get("secret", "openstack")
    space.kubectl("delete", "secret", "openstack")
    space.stack("web", TEMPLATE)
    assert "there is no Secret 'openstack'" in space.reason("web", "CredentialsNotFound")["message"]
    space.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openstack"}, "stringData": {"clouds.yaml": "[]"}}
    )
    space.reason("web", "InvalidCredentials")
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openstack"}, "data": good["data"]})
    space.ready("web")
