"""A tenant that tries everything against a running operator, beside one that works as on any other day.

The operator has the rights of its ServiceAccount on a real API server, and the honest tenant's cloud is a real one.
``HOSTILE_ROUNDS`` is how often the honest tenant creates, updates and deletes a Stack in each phase.
"""

import contextlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from harness import lab
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.stacks import Namespace
from kubernetes import client, config

from hostile import attacks, hostile_clouds
from hostile.tenants import Honest, Hostile, Inside, reason_of
from hostile.watched import Every, Phase, Watched, compared, memory_limit
from reconcilers import identifiers

ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "8"))
RATIO = 1.5
"""How much longer the honest tenant's Stacks may take under attack than without it."""
PROBE = 1.0
"""Seconds within which /healthz answers."""
TURN = 2.0
"""Seconds within which the event loop of the reconciliations, which /healthz does not wait for, has its next turn."""


@pytest.fixture
def inside() -> Iterator[Inside]:
    made = Inside()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def spaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Namespaces of the honest tenant and of the other one."""
    both = Namespace(), Namespace()
    yield both
    for namespace in both:
        namespace.kubectl("delete", "stacks", "--all", "--wait=false", check=False)
        release(namespace)
        lab.kubectl("delete", "namespace", namespace.name, "--wait=false", check=False)


def release(namespace: Namespace) -> None:
    """Take all finalizers off: the operator is gone."""
    api = config.new_client_from_config(lab.environment()["KUBECONFIG"])
    custom, core, patch = client.CustomObjectsApi(api), client.CoreV1Api(api), {"metadata": {"finalizers": None}}
    for kind in ("stacks", "stackresources"):
        for one in namespace.get(kind):
            name = one["metadata"]["name"]
            with contextlib.suppress(client.ApiException):  # it has gone meanwhile
                custom.patch_namespaced_custom_object("kiln.dev", "v1alpha1", namespace.name, kind, name, patch)
    for one in namespace.get("secrets"):
        with contextlib.suppress(client.ApiException):
            core.patch_namespaced_secret(one["metadata"]["name"], namespace.name, patch)


@pytest.fixture
def projects(spaces: tuple[Namespace, Namespace]) -> Iterator[tuple[Project, Project]]:
    """A project in the real cloud for each."""
    both = Project(), Project()
    for namespace, project in zip(spaces, both, strict=True):
        namespace.credentials(project.clouds_yaml)
    yield both
    for project in both:
        project.close()


def dump(namespace: Namespace) -> str:
    """All that can be read in a namespace without a right to its Secrets."""
    kinds = ("stacks", "stackresources", "stackrevisions", "events", "configmaps", "leases")
    return json.dumps([namespace.get(kind) for kind in kinds])


def lines_of(operator: Operator, namespace: Namespace) -> list[str]:
    """The log lines about Stacks of a namespace."""
    lines = operator.log.read_text().splitlines()
    return [line for line in lines if json.loads(line).get("stack", "").startswith(f"{namespace.name}/")]


@pytest.mark.timeout(1800)
def test_a_hostile_tenant_beside_an_honest_one(
    spaces: tuple[Namespace, Namespace],
    projects: tuple[Project, Project],
    inside: Inside,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    canary = f"Honest-{uuid.uuid4().hex}"
    guesses = [*(f"Honest-{uuid.uuid4().hex}" for _ in range(3)), canary]
    honest = Honest(spaces[0], canary)
    watched = Watched(tmp_path, (spaces[0].name, spaces[1].name), "127.0.0.2/32")
    with hostile_clouds.running(inside.url) as urls, watched.operator:
        eventually(watched.ready, 60)
        honest.life()  # the operator has its connections now
        hostile = Hostile(spaces[1], urls, honest)
        with Every(0.1, watched.probe), Every(1.0, watched.weigh):
            quiet = Phase(honest.lives(ROUNDS), *watched.peaks())
            guess(spaces[1], urls["echo"], guesses)
            forge(spaces[1], projects[1])
            hostile.begin()
            with Every(1.0, hostile.again):
                times = honest.lives(ROUNDS)
                hostile.wait_until_tried()
            attacked = Phase(times, *watched.peaks())
        reasons = Counter(reason_of(one) for one in spaces[1].get("stacks"))
        told = dump(spaces[0]), dump(spaces[1])
        verdict(spaces[1], inside)

    with capsys.disabled():
        print(f"\n{compared(quiet, attacked)}")
        print(f"attacks: {len(hostile.names)} Stacks, {hostile.touched} tried again: {dict(reasons)}")
    nothing_shows(watched.operator, spaces, projects, told, honest.names, canary)
    assert attacked.probe < PROBE
    assert attacked.age < TURN
    assert attacked.memory < memory_limit()
    assert attacked.total / quiet.total < RATIO


def nothing_shows(
    operator: Operator,
    spaces: tuple[Namespace, Namespace],
    projects: tuple[Project, Project],
    told: tuple[str, str],
    names: list[str],
    canary: str,
) -> None:
    """Nothing of one tenant is in what the other one can read (``told``), or in log lines about its Stacks."""
    lines = tuple("\n".join(lines_of(operator, space)) for space in spaces)
    for text in (told[0], lines[0]):
        for other in (spaces[1].name, projects[1].name, projects[1].id, "Evil-", canary):
            assert other not in text, other
    # The name of the other namespace is what the tenant itself has written.
    for text in (told[1].replace(spaces[0].name, ""), lines[1].replace(spaces[0].name, "")):
        for other in (projects[0].name, projects[0].id, *names):
            assert other not in text, other
    whole = operator.log.read_text()
    for secret in ("Evil-Password", password(projects[0]), password(projects[1])):
        assert secret not in whole + told[0] + told[1]
    entries = [json.loads(line) for line in whole.splitlines()]
    own = [one for one in entries if one["logger"].startswith(("kiln.", "reconcilers.", "hot_translator."))]
    assert not [one for one in own if one["level"] == "error"]


def password(project: Project) -> str:
    """The password in the project's clouds.yaml."""
    return str(yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]["auth"]["password"])


def guess(space: Namespace, url: str, guesses: list[str]) -> None:
    """Have a cloud say again what it gets: the guess that is another tenant's secret looks as the others do."""
    space.apply(*attacks.of_guesses(url, guesses))
    for number, text in enumerate(guesses):
        assert text in space.reason(f"guess-{number}", "InvalidProperty", 300)["message"]


def forge(space: Namespace, project: Project) -> None:
    """Write records for a network that no Stack made, as if one of the tenant's Stacks had: one with a token that is
    made up, one with the token that follows from the Stack's uid. The network outlives the Stack.
    """
    cloud = project.connection()
    network = cloud.network.create_network(name="precious").id
    space.apply(attacks.stack("forged", f"{attacks.HEADER}resources: {{v: {{type: OS::Heat::None}}}}\n"))
    uid = space.ready("forged", 300)["metadata"]["uid"]
    owner = {"apiVersion": "kiln.dev/v1alpha1", "kind": "Stack", "name": "forged", "uid": uid}
    for token in (str(uuid.uuid4()), identifiers.token(uid, "net", 1)):
        spec = {"stackName": "forged", "logicalName": "net", "type": "OS::Neutron::Net", "token": token, "serial": 1}
        name = identifiers.object_name("forged", "net", token)
        metadata = {"name": name, "labels": {"kiln.dev/stack": "forged"}, "ownerReferences": [owner]}
        kind = {"apiVersion": "kiln.dev/v1alpha1", "kind": "StackResource", "metadata": metadata, "spec": spec}
        space.apply(kind)
        status = {"status": {"state": "Ready", "physicalID": network, "confirmed": True, "digests": {}, "data": {}}}
        space.kubectl("patch", "stackresource", name, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    space.delete("forged", 120)
    assert cloud.network.find_network(network) is not None, "a forged record had a network deleted"
    cloud.network.delete_network(network)


def verdict(space: Namespace, inside: Inside) -> None:
    """What every single attack has come to."""
    found = {one["metadata"]["name"]: one for one in space.get("stacks")}
    reasons = {name: reason_of(one) for name, one in found.items()}
    assert "InternalError" not in reasons.values(), [name for name in reasons if reasons[name] == "InternalError"]
    assert inside.connections == []
    assert reasons[attacks.PRECIOUS] == "NameTaken"
    taken = space.get("secret", f"{attacks.PRECIOUS}-kiln")
    assert taken["metadata"]["finalizers"] == ["example.com/keep"]
    assert "deletionTimestamp" not in taken["metadata"]
    foreign = {name: reasons[name] for name in reasons if name.startswith("foreign-")}
    assert set(foreign.values()) <= {"SecretNotFound", "CredentialsNotFound", "InvalidCredentials"}, foreign
    broken = {name: reasons[name] for name in reasons if name.startswith("broken-")}
    assert set(broken.values()) <= {"InvalidCredentials"}, broken
