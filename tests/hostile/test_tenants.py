"""A tenant that tries everything against a running operator, beside one that works as on any other day.

The operator has the rights of its ServiceAccount on a real API server, and the honest tenant's cloud is a real one.
``HOSTILE_ROUNDS`` is how often the honest tenant creates, updates and deletes a Stack in each phase.
"""

import contextlib
import http.server
import itertools
import json
import os
import statistics
import threading
import time
import urllib.request
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import lab
from harness.operator import Operator, eventually, free_port
from harness.project import CLOUD, Project
from harness.stacks import Namespace
from kubernetes import client, config

from hostile import attacks, hostile_clouds
from reconcilers import identifiers

ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "8"))
RATIO = 1.5
"""How much longer the honest tenant's Stacks may take under attack than without it."""
PROBE = 1.0
"""Seconds within which /healthz answers."""
LOOK = 0.05
"""Seconds between looks at a Stack of the honest tenant."""
STEPS = ("create", "update", "delete")
_MB = 1 << 20
_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


def memory_limit() -> int:
    """Bytes that the chart gives the operator."""
    text: str = yaml.safe_load((lab.ROOT / "charts/kiln/values.yaml").read_text())["resources"]["limits"]["memory"]
    return int(text[:-2]) * _UNITS[text[-2:]]


class Every:
    """Does something again and again in a thread, within a ``with`` statement."""

    def __init__(self, seconds: float, what: Callable[[], None]) -> None:
        self._seconds = seconds
        self._what = what
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            self._what()

    def __enter__(self) -> "Every":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


class Watched:
    """An operator that is asked for /healthz all the time, and whose memory is measured."""

    def __init__(self, directory: Path, namespaces: tuple[str, ...], denied: str) -> None:
        self.port = free_port()
        arguments = ("--no-lease", "--health-port", str(self.port), "--log-format", "json", "--deny-cloud-network")
        self.operator = Operator(directory, namespaces=namespaces, log_level="info", arguments=(*arguments, denied))
        self.probes: list[float] = []
        self.memory: list[int] = []

    def probe(self) -> None:
        """Ask for /healthz."""
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=60) as answer:
            assert answer.status == 200
        self.probes.append(time.monotonic() - began)

    def peaks(self) -> tuple[float, int]:
        """The longest probe and the most memory since this was last asked."""
        peaks = max(self.probes), max(self.memory)
        self.probes.clear()
        self.memory.clear()
        return peaks

    def weigh(self) -> None:
        """Add up the memory of the operator's processes; what they share counts once."""
        assert self.operator.process is not None
        session, total = str(self.operator.process.pid), 0
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "stat").read_text().rsplit(")", 1)[1].split()[3] == session:
                    lines = (path / "smaps_rollup").read_text().splitlines()
                    total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            except (OSError, IndexError):
                continue  # it has just ended
        self.memory.append(total << 10)


class Stacks:
    """The Stacks of a namespace, by a client in this process: what is measured holds no start of a kubectl."""

    def __init__(self, space: Namespace) -> None:
        self._place = ("kiln.dev", "v1alpha1", space.name, "stacks")
        self._api = client.CustomObjectsApi(config.new_client_from_config(lab.environment()["KUBECONFIG"]))

    def apply(self, stack: attacks.Object) -> None:
        """Server-side apply."""
        options = {"field_manager": "tenant", "force": True, "_content_type": "application/apply-patch+yaml"}
        self._api.patch_namespaced_custom_object(*self._place, stack["metadata"]["name"], stack, **options)

    def is_ready(self, name: str) -> bool:
        """Whether a Stack is Ready at its present generation."""
        stack = self._api.get_namespaced_custom_object(*self._place, name)
        current = (stack.get("status") or {}).get("observedGeneration") == stack["metadata"]["generation"]
        return current and reason_of(stack) == "Succeeded"

    def delete(self, name: str) -> None:
        """Ask for the deletion of a Stack."""
        self._api.delete_namespaced_custom_object(*self._place, name)

    def is_gone(self, name: str) -> bool:
        """Whether there is no Stack of this name."""
        try:
            self._api.get_namespaced_custom_object(*self._place, name)
        except client.ApiException as error:
            return bool(error.status == 404)
        return False


class Honest:
    """A tenant that creates, updates and deletes a Stack; ``times`` are the seconds of each step."""

    def __init__(self, space: Namespace, canary: str) -> None:
        self.space = space
        self._stacks = Stacks(space)
        self._serial = itertools.count()
        self.names: list[str] = []
        space.apply(attacks.secret("own-secret", {"token": canary}))

    def _stack(self, name: str, cidr: str, more: str = "") -> attacks.Object:
        template = f"""heat_template_version: 2021-04-16
parameters: {{secret: {{type: string, hidden: true}}}}
resources:
  net: {{type: OS::Neutron::Net}}
  subnet: {{type: OS::Neutron::Subnet, properties: {{network: {{get_resource: net}}, cidr: {cidr}}}}}
  word: {{type: OS::Heat::RandomString}}
  kept: {{type: OS::Heat::Value, properties: {{value: {{get_param: secret}}}}}}
{more}outputs:
  words: {{value: {{yaql: {{expression: "$.data.len()", data: {{get_attr: [word, value]}}}}}}}}
  kept: {{value: {{get_attr: [kept, value]}}}}
"""
        given = [{"name": "secret", "secretKeyRef": {"name": "own-secret", "key": "token"}}]
        return attacks.stack(name, template, parametersFrom=given)

    def life(self) -> dict[str, float]:
        """The seconds of each step of one Stack's life."""
        number = next(self._serial)
        name, cidr = f"honest-{number}", f"10.77.{number % 250}.0/24"
        self.names.append(name)
        second = "  second: {type: OS::Neutron::Net}\n"
        steps = (
            lambda: self._ready(self._stack(name, cidr)),
            lambda: self._ready(self._stack(name, cidr, second)),
            lambda: self._delete(name),
        )
        times = {}
        for step, work in zip(STEPS, steps, strict=True):
            began = time.monotonic()
            work()
            times[step] = time.monotonic() - began
        return times

    def _ready(self, stack: attacks.Object) -> None:
        self._stacks.apply(stack)
        eventually(lambda: self._stacks.is_ready(stack["metadata"]["name"]), 300, LOOK)

    def _delete(self, name: str) -> None:
        self._stacks.delete(name)
        eventually(lambda: self._stacks.is_gone(name), 300, LOOK)

    def lives(self, rounds: int) -> dict[str, float]:
        """The median seconds of each step over some Stacks, one after the other."""
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for step, seconds in self.life().items():
                found[step].append(seconds)
        return {step: statistics.median(seconds) for step, seconds in found.items()}


class Hostile:
    """A tenant with Stacks of every kind of attack, which it has tried again and again."""

    def __init__(self, space: Namespace, urls: Mapping[str, str], honest: Honest) -> None:
        self.space = space
        self._stacks = Stacks(space)
        self._objects = [
            *attacks.of_templates(),
            *attacks.of_clouds(urls),
            *attacks.of_secrets(),
            *attacks.of_deputies(honest.space.name, "own-secret"),
            *attacks.of_numbers(),
        ]
        self._turn = itertools.cycle([one for one in self._objects if one["kind"] == "Stack"])
        self.touched = 0

    @property
    def names(self) -> set[str]:
        """Names of its Stacks."""
        return {one["metadata"]["name"] for one in self._objects if one["kind"] == "Stack"}

    def begin(self) -> None:
        """Apply everything."""
        self.space.apply(*self._objects)

    def wait_until_tried(self) -> None:
        """Wait until something was said of every Stack."""
        eventually(lambda: not [one for one in self.space.get("stacks") if not reason_of(one)], 600, 1.0)

    def again(self) -> None:
        """Have the next Stack translated and tried once more: a text that is new defeats what is kept of the old."""
        stack = next(self._turn)
        text = f"{stack['spec']['templateBody']}\n# {uuid.uuid4()}\n"
        self._stacks.apply({**stack, "spec": {**stack["spec"], "templateBody": text}})
        self.touched += 1


class Inside:
    """A place where no cloud may be; ``connections`` are those that came in all the same."""

    url = ""

    def __init__(self) -> None:
        self.connections: list[Any] = []
        connections = self.connections

        class Handler(http.server.BaseHTTPRequestHandler):
            def setup(self) -> None:
                connections.append(self.client_address)
                super().setup()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
        self.url = f"http://127.0.0.2:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


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
        eventually(lambda: _answers(watched.port), 60)
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
    assert attacked.memory < memory_limit()
    assert attacked.total / quiet.total < RATIO


@dataclass(frozen=True, slots=True)
class Phase:
    """The honest tenant's median seconds of each step, the longest probe (seconds), the most memory (bytes)."""

    times: Mapping[str, float]
    probe: float
    memory: int

    @property
    def total(self) -> float:
        """Seconds of one Stack's life."""
        return sum(self.times.values())


def compared(quiet: Phase, attacked: Phase) -> str:
    """The figures of both phases."""
    rows = [(step, quiet.times[step], attacked.times[step]) for step in STEPS] + [("all", quiet.total, attacked.total)]
    lines = [f"{step:8}{one:8.2f} s quiet{other:8.2f} s under attack  x {other / one:.2f}" for step, one, other in rows]
    lines.append(f"/healthz{quiet.probe:8.2f} s quiet{attacked.probe:8.2f} s under attack, at the longest")
    lines.append(f"memory  {quiet.memory / _MB:8.0f} MB quiet{attacked.memory / _MB:7.0f} MB under attack, at the most")
    return "\n".join(lines)


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


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def password(project: Project) -> str:
    """The password in the project's clouds.yaml."""
    return str(yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]["auth"]["password"])


def reason_of(stack: Mapping[str, Any]) -> str:
    """Why a Stack is not Ready, or that it is; "" while nothing was said of it."""
    conditions = (stack.get("status") or {}).get("conditions") or []
    return next((str(one["reason"]) for one in conditions if one["type"] == "Ready"), "")


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
