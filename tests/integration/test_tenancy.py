"""Tenants (namespaces) reach nothing of each other, nothing of the operator, and do not hold each other up."""

import http.server
import json
import os
import socket
import statistics
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.stacks import SECRET, Namespace

FAILING = int(os.environ.get("TENANCY_FAILING", "300"))
"""How many failing Stacks the other tenant has."""
GOOD = """
heat_template_version: 2021-04-16
resources:
  net: {type: OS::Neutron::Net}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.30.0.0/24}}
"""
BAD_PROPERTY = "{type: OS::Neutron::Port, properties: {network: no-such-network}}"
HEADER = "heat_template_version: 2021-04-16\n"


@pytest.fixture
def other(installed: None) -> Iterator[Namespace]:
    """Another tenant's namespace."""
    namespace = Namespace()
    yield namespace
    namespace.close()


@pytest.fixture
def tenants(space: Namespace, other: Namespace, alone: None, tmp_path: Path) -> Iterator[Operator]:
    """An operator that serves both."""
    operator = Operator(tmp_path, namespaces=(space.name, other.name), log_level="info", arguments=("--no-lease",))
    operator.start()
    yield operator
    for namespace in (space, other):
        namespace.kubectl("delete", "stacks", "--all", "--timeout=120s", check=False, timeout=140)
    operator.stop()


@pytest.fixture
def silence() -> Iterator[str]:
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v3"


def credentials(namespace: Namespace, name: str, clouds: dict) -> None:
    text = yaml.safe_dump({"clouds": clouds})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"clouds.yaml": text}}
    namespace.apply(secret)


def stack(name: str, template: str, secret: str = SECRET, **spec: object) -> dict:
    reference = {"cloudCredentialsRef": {"secretName": secret, "cloudName": CLOUD}}
    body = {**reference, "templateBody": template, **spec}
    return {"apiVersion": "kiln.dev/v1alpha1", "kind": "Stack", "metadata": {"name": name}, "spec": body}


def ready_of(obj: dict) -> dict:
    conditions = obj.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == "Ready"), {})


def reasons(namespace: Namespace) -> Counter[str]:
    """How many Stacks have which reason; "" while nothing was said of one."""
    return Counter(ready_of(one).get("reason", "") for one in namespace.get("stacks"))


def seconds_to_ready(space: Namespace, name: str) -> float:
    started = time.monotonic()
    space.stack(name, GOOD, cloud=CLOUD)
    eventually(lambda: space.condition(name).get("status") == "True", 90, 0.1)
    return time.monotonic() - started


@pytest.mark.faults
def test_a_tenant_s_failing_stacks_do_not_slow_another_s(
    space: Namespace, other: Namespace, project: Project, tenants: Operator, silence: str
) -> None:
    own = yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]
    alone = statistics.median(seconds_to_ready(space, f"alone-{number}") for number in range(3))

    secrets = []
    for number in range(10):
        wrong = {**own, "auth": {**own["auth"], "password": f"wrong-{number}"}}
        credentials(other, f"wrong-{number}", {CLOUD: wrong})
        hanging = {**own, "auth": {**own["auth"], "password": f"p-{number}", "auth_url": silence}}
        credentials(other, f"hanging-{number}", {CLOUD: hanging})
        secrets += [f"hanging-{number}", f"wrong-{number}", "good"]
    credentials(other, "good", {CLOUD: own})
    template = f"{HEADER}resources: {{port: {BAD_PROPERTY}}}\n"
    other.apply(*(stack(f"bad-{n}", template, secrets[n % len(secrets)]) for n in range(FAILING)))
    eventually(lambda: FAILING - reasons(other)[""] >= FAILING // 10, 120)
    before = reasons(other)

    beside = statistics.median(seconds_to_ready(space, f"beside-{number}") for number in range(3))
    after = reasons(other)
    print(f"\nto Ready alone {alone:.1f} s, beside {FAILING} failing Stacks {beside:.1f} s; these: {before} -> {after}")
    assert after.total() == FAILING
    # They were being tried all the while: some that hang were not through with their first attempt.
    assert after[""] + after["CloudUnavailable"] > 0, after
    # And whoever fails is told why, though others hang.
    eventually(lambda: {"AuthenticationFailed", "CloudUnavailable", "InvalidProperty"} <= reasons(other).keys(), 120)


@pytest.mark.faults
def test_a_tenant_s_heavy_templates_hold_up_nobody(
    space: Namespace, other: Namespace, project: Project, tenants: Operator
) -> None:
    # Each costs seconds of CPU to find that it cannot be carried out.
    heavy = HEADER + "resources:\n"
    heavy += "".join(
        f"  r{n}: {{type: OS::Nova::Server, properties: {{imag: {{get_resource: x{n}}}}}}}\n" for n in range(6000)
    )
    credentials(other, SECRET, {CLOUD: yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]})
    alone = seconds_to_ready(space, "alone")
    # Every text is another one, so that none is translated for all.
    other.apply(*(stack(f"heavy-{n}", f"{heavy}# {n}\n") for n in range(10)))
    eventually(lambda: reasons(other)["InvalidTemplate"] > 0, 90)
    waits: list[float] = []
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(tenants.metrics_port, waits, done))
    watcher.start()
    try:
        beside = seconds_to_ready(space, "beside")
        left = 10 - reasons(other)["InvalidTemplate"]
    finally:
        done.set()
        watcher.join()
    print(f"\nto Ready alone {alone:.1f} s, beside heavy templates {beside:.1f} s, {left} of them left;")
    print(f"the event loop answers in {statistics.median(waits):.2f} s, at the worst {max(waits):.2f} s")
    assert left > 0, "the heavy templates were not heavy enough to prove anything"


def watch(port: int, waits: list[float], done: threading.Event) -> None:
    """Ask the operator's event loop for a page again and again."""
    while not done.wait(0.05):
        started = time.monotonic()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).read()
        waits.append(time.monotonic() - started)


class Inside:
    """A service inside of the cluster, that nobody has any business to ask."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"inside")

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def inside() -> Iterator[Inside]:
    made = Inside()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_template_reaches_neither_the_operator_s_files_nor_urls(
    space: Namespace, project: Project, own_kiln: Operator, inside: Inside, tmp_path: Path
) -> None:
    canary = tmp_path / "canary.yaml"
    canary.write_text(
        "heat_template_version: 2021-04-16\ndescription: canary\nresources: {r: {type: OS::Heat::None}}\n"
    )
    places = [
        f"file://{canary}",
        str(canary),
        f"../../../../../../{canary}",
        f"{inside.url}/canary.yaml",
        "/etc/passwd",
    ]
    stacks = []
    for number, place in enumerate(places):
        quoted = json.dumps(place)
        body = f"{HEADER}resources: {{v: {{type: OS::Heat::Value, properties: {{value: {{get_file: {quoted}}}}}}}}}\n"
        stacks.append(stack(f"file-{number}", body))
        stacks.append(stack(f"type-{number}", f"{HEADER}resources: {{v: {{type: {quoted}}}}}\n"))
        registry = {"inline": yaml.safe_dump({"resource_registry": {"My::Type": place}})}
        mine = f"{HEADER}resources: {{v: {{type: My::Type}}}}\n"
        stacks.append(stack(f"registry-{number}", mine, environments=[registry]))
        group = f"{{count: 1, resource_def: {{type: {quoted}}}}}"
        body = f"{HEADER}resources: {{v: {{type: OS::Heat::ResourceGroup, properties: {group}}}}}\n"
        stacks.append(stack(f"group-{number}", body))
    own_kiln.start()
    space.apply(*stacks)
    eventually(lambda: reasons(space)["InvalidTemplate"] == len(stacks), 60)
    assert inside.asked == []
    told = json.dumps([space.get("stacks"), space.get("stackrevisions"), space.get("events")])
    assert "description: canary" not in told
    assert "root:" not in told


def test_a_clouds_yaml_reaches_neither_files_nor_programs_nor_the_inside(
    space: Namespace, project: Project, inside: Inside, alone: None, tmp_path: Path
) -> None:
    own = yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]
    url = {"auth_url": f"{inside.url}/v3"}
    cases = {
        **{key: {**own, key: "/etc/hostname"} for key in ("cacert", "cert", "key")},
        **{key: {**own, key: f"{inside.url}/profile"} for key in ("profile", "cloud")},
        "hook": {**own, "vendor_hook": "os:system"},
        "oidc": {**own, "auth_type": "v3oidcpassword", "auth": {**own["auth"], "discovery_endpoint": inside.url}},
        "token-file": {**own, "auth_type": "v3oidcaccesstoken", "auth": {**own["auth"], "access_token": "x"}},
        "kerberos": {**own, "auth_type": "v3kerberos"},
        "adfs": {
            **own,
            "auth_type": "v3adfspassword",
            "auth": {**own["auth"], "service_provider_endpoint": inside.url},
        },
        "multi": {**own, "auth_type": "v3multifactor", "auth": {**own["auth"], "auth_methods": ["v3password"]}},
        "file-url": {**own, "auth": {**own["auth"], "auth_url": f"file://{tmp_path}"}},
        "no-http": {**own, "auth": {**own["auth"], "auth_url": "gopher://127.0.0.1:6379/_x"}},
    }
    denied = {
        "metadata": {**own, "auth": {**own["auth"], "auth_url": "http://169.254.169.254/latest/meta-data"}},
        "mapped": {**own, "auth": {**own["auth"], "auth_url": "http://[::ffff:169.254.169.254]/v3"}},
        "inside": {**own, "auth": {**own["auth"], **url}},
        "decimal": {**own, "auth": {**own["auth"], "auth_url": f"http://2130706433:{inside.server.server_port}/v3"}},
        "override": {**own, "identity_endpoint_override": inside.url},
    }
    for name, cloud in {**cases, **denied}.items():
        credentials(space, name, {CLOUD: cloud})
    # What a pod denies by itself; here the real cloud is at 127.0.0.1, so it is the "inside" that gets another address.
    arguments = ("--no-lease", "--deny-cloud-network=127.0.0.0/8", "--deny-cloud-network=::1/128")
    operator = Operator(tmp_path, namespaces=(space.name,), arguments=arguments)
    template = f"{HEADER}resources: {{v: {{type: OS::Heat::None}}}}\n"
    with operator:
        space.apply(*(stack(name, template, name) for name in {**cases, **denied}))
        eventually(lambda: not reasons(space)[""], 90)
        found = {one["metadata"]["name"]: ready_of(one) for one in space.get("stacks")}
        space.kubectl("delete", "stacks", "--all", "--timeout=60s")
    assert {name: found[name]["reason"] for name in cases} == dict.fromkeys(cases, "InvalidCredentials")
    assert {name: "settings forbid" in found[name]["message"] for name in denied} == dict.fromkeys(denied, True), found
    assert inside.asked == []


def test_a_stack_reaches_only_its_own_namespace(
    space: Namespace, other: Namespace, project: Project, tenants: Operator
) -> None:
    theirs = {"token": "canary-of-others"}
    for kind, field in (("Secret", "stringData"), ("ConfigMap", "data")):
        other.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "theirs"}, field: theirs})
    credentials(other, "theirs-openstack", {CLOUD: yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]})
    template = f"{HEADER}parameters: {{p: {{type: string}}}}\noutputs: {{o: {{value: {{get_param: p}}}}}}\n"
    names = [
        "theirs",
        f"{other.name}/theirs",
        f"../../{other.name}/{{}}/theirs",
        f"x/../../../{other.name}/{{}}/theirs",
        "..%2F..%2F" + other.name + "%2F{}%2Ftheirs",
        "..",
        ".",
        f"theirs?namespace={other.name}",
    ]
    stacks = []
    for number, name in enumerate(names):
        for kind, source in (("secrets", "secretKeyRef"), ("configmaps", "configMapKeyRef")):
            given = {"name": "p", source: {"name": name.format(kind), "key": "token"}}
            stacks.append(stack(f"{kind}-{number}", template, parametersFrom=[given]))
        away = f"{name.format('secrets')}-openstack" if "theirs" in name and "?" not in name else name
        stacks.append(stack(f"clouds-{number}", template, away, parameters={"p": "x"}))
    # Fields that would name another namespace do not exist: the API server leaves them out, or refuses them.
    space.apply(*stacks)
    eventually(lambda: not reasons(space)[""], 60)
    allowed = {"SecretNotFound", "ConfigMapNotFound", "KeyNotFound", "CredentialsNotFound", "InvalidCredentials"}
    assert reasons(space).keys() <= allowed, reasons(space)
    told = json.dumps([space.get("stacks"), space.get("stackrevisions"), space.get("events")])
    assert "canary-of-others" not in told
    away = stack("elsewhere", template, parameters={"p": "x"})
    away["spec"]["cloudCredentialsRef"]["namespace"] = other.name
    with pytest.raises(RuntimeError, match=r"unknown field|field not declared"):
        space.apply(away)


def test_tls_is_verified_and_what_is_not_is_said(space: Namespace, project: Project, own_kiln: Operator) -> None:
    own = yaml.safe_load(project.clouds_yaml)["clouds"][CLOUD]
    credentials(space, "unverified", {CLOUD: {**own, "verify": False}})
    own_kiln.start()
    template = f"{HEADER}resources: {{v: {{type: OS::Heat::None}}}}\n"
    space.apply(stack("unverified", template, "unverified"))
    space.ready("unverified", 60)
    assert "not verified" in space.condition("unverified", "CloudReachable")["message"]
    space.apply(stack("verified", template))
    space.ready("verified", 60)
    assert not space.condition("verified", "CloudReachable").get("message")
    assert "is not verified" in own_kiln.log.read_text()
