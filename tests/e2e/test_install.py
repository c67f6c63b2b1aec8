"""Kiln as its users have it: an image, Helm, pods on a node, a cloud. The tests build on each other, in this order."""

import json
import re
import shutil
import subprocess
import threading
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import lab, node
from harness.cloud import inventory
from harness.node import Release, Space
from harness.operator import eventually
from harness.project import CLOUD, Project

Times = list[tuple[str, float]]


def template(width: int, dns: str = "192.0.2.1") -> dict[str, Any]:
    """Networks with subnets, ports and servers; ``width`` adds and removes, ``dns`` changes in place."""
    resources: dict[str, Any] = {}
    for i in range(width):
        net = {"get_resource": f"net{i}"}
        resources |= {
            f"net{i}": {"type": "OS::Neutron::Net"},
            f"subnet{i}": {
                "type": "OS::Neutron::Subnet",
                "properties": {"network": net, "cidr": f"10.{i}.0.0/24", "dns_nameservers": [dns]},
            },
            f"port{i}": {
                "type": "OS::Neutron::Port",
                "properties": {"network": net, "fixed_ips": [{"subnet": {"get_resource": f"subnet{i}"}}]},
            },
            f"server{i}": {
                "type": "OS::Nova::Server",
                "properties": {
                    "image": "cirros",
                    "flavor": "m1.tiny",
                    "networks": [{"port": {"get_resource": f"port{i}"}}],
                },
            },
        }
    return {"heat_template_version": "2021-04-16", "resources": resources}


def small(length: int) -> dict[str, Any]:
    """A Stack's worth of one network, whose name has ``length`` characters."""
    name = "n" * length
    resources = {"net": {"type": "OS::Neutron::Net", "properties": {"name": name}}}
    return {
        "heat_template_version": "2021-04-16",
        "resources": resources,
        "outputs": {"net": {"value": {"get_resource": "net"}}},
    }


def ids(space: Space, stack: str) -> dict[str, str]:
    return {name: one["status"]["physicalID"] for name, one in space.resources(stack).items()}


def check_nothing_lost_or_doubled(space: Space, project: Project, width: int) -> None:
    """What the records name is what the cloud has, one of each."""
    found = inventory(project.connection())
    names = ids(space, "web")
    assert len(names) == 4 * width
    for kind, prefix in (("networks", "net"), ("subnets", "subnet"), ("servers", "server"), ("ports", "port")):
        recorded = {one for name, one in names.items() if name.startswith(prefix)}
        cloud = {key for key, item in found[kind].items() if item.get("device_owner", "") != "network:dhcp"}
        assert cloud == recorded, kind


def ready_resources(space: Space, stack: str) -> int:
    return sum(one.get("status", {}).get("state") == "Ready" for one in space.resources(stack).values())


def test_the_quick_start_works_as_written(project: Project, tmp_path: Path) -> None:
    """Its commands, with the image under the name that they use, and the cloud's name in the manifest."""
    subprocess.run([lab.ROOT / "tests/lab/lab", "node", "tag", f"{node.IMAGE}:dev", quick_start_image()], check=True)
    shutil.copytree(lab.ROOT / "charts", tmp_path / "charts")
    (tmp_path / "clouds.yaml").write_text(node.clouds(project))
    first = (lab.ROOT / "examples/first-stack.yaml").read_text().replace("cloudName: demo", f"cloudName: {CLOUD}")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/first-stack.yaml").write_text(first)
    blocks = re.findall(r"<!-- quick start -->\n```sh\n(.*?)```", (lab.ROOT / "docs/quick-start.md").read_text(), re.S)
    shown = ""
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path,
            env=node.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not done.returncode, f"{block}\n{done.stdout}{done.stderr}"
        shown += done.stdout
    assert "2/2" in shown
    assert "parameters.cidr" in shown
    node.helm("uninstall", "kiln", "-n", "kiln-system", "--wait")
    found = inventory(project.connection())
    assert not found["networks"]


def quick_start_image() -> str:
    """The image that `helm install` of the quick start pulls."""
    version = tomllib.loads((lab.ROOT / "pyproject.toml").read_text())["project"]["version"]
    return f"registry.example/kiln:{version}"


def test_helm_installs_it_under_restricted_pod_security(release: Release, took: Times) -> None:
    took.append(("helm install --wait: two replicas are ready", release.install()))
    pods = release.pods()
    assert len(pods) == 2
    eventually(lambda: release.leader() in {pod["metadata"]["name"] for pod in pods}, 20)
    begin = time.monotonic()
    said = node.helm("test", "kiln", "-n", release.namespace, "--timeout", "90s")
    assert "Phase:          Succeeded" in said
    took.append(("helm test", time.monotonic() - begin))


def test_the_container_can_write_nothing_but_its_own_tmp(release: Release) -> None:
    tried = """
import os, pathlib
for path in ("/app/x", "/x", "/etc/x", "/tmp/x"):
    try:
        pathlib.Path(path).write_text("")
        print(path)
    except OSError:
        pass
print(os.getuid(), *[name for name in ("sh", "bash", "apt", "pip") if any(
    os.path.exists(f"{folder}/{name}") for folder in os.environ["PATH"].split(":"))])
"""
    said = node.kubectl("-n", release.namespace, "exec", "deploy/kiln", "--", "python", "-c", tried)
    assert said.split() == ["/tmp/x", "65532"]
    assert node.kubectl("-n", release.namespace, "exec", "deploy/kiln", "--", "kiln", "version").startswith("kiln 0.")


def test_a_stack_becomes_ready(release: Release, shop: Space, took: Times) -> None:
    begin = time.monotonic()
    shop.stack("first", small(4))
    net = shop.ready("first", 90)["status"]["outputs"]["net"]
    took.append(("a first Stack of one network is Ready", time.monotonic() - begin))
    assert net == ids(shop, "first")["net"]
    shop.delete("first", 60)


def test_a_killed_leader_in_the_middle_of_a_create_loses_nothing(
    release: Release, shop: Space, project: Project, took: Times
) -> None:
    width = 8
    shop.stack("web", template(width))
    eventually(lambda: ready_resources(shop, "web") >= 4, 90)
    killed = release.leader()
    node.kubectl("-n", release.namespace, "delete", "pod", killed, "--grace-period=0", "--force")
    begin = time.monotonic()
    assert shop.condition("web").get("status") != "True"
    eventually(lambda: release.leader() not in {"", killed}, 30, 0.2)
    took.append(("the leader's pod is killed: another one leads", time.monotonic() - begin))
    shop.ready("web", 480)
    took.append((f"... and a Stack of {4 * width} resources is Ready", time.monotonic() - begin))
    check_nothing_lost_or_doubled(shop, project, width)


def test_helm_upgrade_in_the_middle_of_an_update_loses_nothing(
    release: Release, shop: Space, project: Project, took: Times
) -> None:
    width = 12
    before = ids(shop, "web")
    old = {pod["metadata"]["name"] for pod in release.pods()}
    # A cluster whose CRDs are of an older chart: the upgrade brings the new ones.
    column = [{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns/0"}]
    node.kubectl("patch", "crd", "stacks.kiln.dev", "--type=json", "-p", json.dumps(column))
    assert "READY" not in shop.kubectl("get", "stk").splitlines()[0]

    shop.stack("web", template(width, "192.0.2.2"))
    eventually(lambda: ready_resources(shop, "web") > 4 * 8, 90)
    looks: list[bool] = []
    upgrade = threading.Thread(target=lambda: took.append(("helm upgrade --wait", release.upgrade(logLevel="debug"))))
    upgrade.start()
    while upgrade.is_alive():
        looks.append(shop.condition("web").get("status") == "True")
        upgrade.join(0.5)
    assert looks[0] is False, "the update was done before the upgrade began"
    shop.ready("web", 480)
    assert not old & {pod["metadata"]["name"] for pod in release.pods()}
    assert "READY" in shop.kubectl("get", "stk").splitlines()[0]
    check_nothing_lost_or_doubled(shop, project, width)
    kept = {name: one for name, one in ids(shop, "web").items() if name in before}
    assert kept == before, "what only changes in place was replaced"


def test_two_to_three_shards_in_the_middle_of_fifty_stacks_lose_and_double_nothing(
    release: Release, shop: Space, project: Project, took: Times
) -> None:
    release.upgrade(shards="2")
    eventually(lambda: len(holders(release)) == 2, 90)
    count = 50
    before = set(inventory(project.connection())["networks"])
    for number in range(count):
        shop.stack(f"many-{number}", small(4))
    eventually(lambda: ready_stacks(shop, "many-") > 3, 120, 0.5)
    upgrade = threading.Thread(
        target=lambda: took.append(("helm upgrade --wait: 2 to 3 shards", release.upgrade(shards="3")))
    )
    begin = time.monotonic()
    upgrade.start()
    assert ready_stacks(shop, "many-") < count, "all was done before the upgrade began"
    upgrade.join()
    eventually(lambda: len(holders(release)) == 3, 120)
    eventually(lambda: ready_stacks(shop, "many-") == count, 500, 2)
    took.append((f"... and {count} Stacks are Ready", time.monotonic() - begin))
    made = set(inventory(project.connection())["networks"]) - before
    recorded = {
        one["status"]["physicalID"]
        for one in shop.get("stackresources")
        if one["spec"]["stackName"].startswith("many-")
    }
    assert len(made) == count
    assert recorded == made
    shop.kubectl("delete", "stacks", *(f"many-{number}" for number in range(count)), "--timeout=300s", timeout=320)
    assert set(inventory(project.connection())["networks"]) == before
    release.upgrade(shards="1")
    eventually(lambda: len(holders(release)) == 1, 90)


def holders(release: Release) -> set[str]:
    """The pods that hold Leases of the release. One that a pod could not release before its end has expired."""
    held = [one for one in node.items("leases", release.namespace) if one["spec"].get("holderIdentity")]
    return {one["spec"]["holderIdentity"] for one in held if not expired(one)}


def expired(lease: dict[str, Any]) -> bool:
    """Whether the holder has not renewed it in time."""
    renewed = datetime.fromisoformat(lease["spec"]["renewTime"])
    return datetime.now(UTC) - renewed > timedelta(seconds=lease["spec"]["leaseDurationSeconds"])


def ready_stacks(shop: Space, prefix: str) -> int:
    """How many Stacks with this prefix are Ready."""
    return sum(
        condition["type"] == "Ready" and condition["status"] == "True"
        for stack in shop.get("stacks")
        if stack["metadata"]["name"].startswith(prefix)
        for condition in stack.get("status", {}).get("conditions", ())
    )


@pytest.fixture
def tenant(shop: Space) -> str:
    """A user with the `edit` role in the shop, and with every right on Kiln's kinds that RBAC can give."""
    rule = {"apiGroups": ["kiln.dev"], "resources": ["*"], "verbs": ["*"]}
    subjects = [{"kind": "User", "name": "tenant", "apiGroup": "rbac.authorization.k8s.io"}]
    rbac = "rbac.authorization.k8s.io/v1"
    shop.apply(
        {"apiVersion": rbac, "kind": "Role", "metadata": {"name": "all"}, "rules": [rule]},
        *(
            {
                "apiVersion": rbac,
                "kind": "RoleBinding",
                "metadata": {"name": f"tenant-{name}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
                "subjects": subjects,
            }
            for kind, name in (("ClusterRole", "edit"), ("Role", "all"))
        ),
    )
    return "--as=tenant"


def test_only_the_operator_writes_its_records(shop: Space, tenant: str) -> None:
    refused = "are the operator's records; change the Stack's spec instead"
    record = shop.get("stackresources")[0]
    name = record["metadata"]["name"]
    forged = {**record, "metadata": {"name": "forged"}}
    assert refused in shop.kubectl("create", tenant, "-f", "-", stdin=json.dumps(forged), check=False)
    for kind, one, what in (
        ("stackresource", name, ["--subresource=status", "-p", '{"status": {"physicalID": "other"}}']),
        ("stackresource", name, ["-p", '{"metadata": {"labels": {"kiln.dev/stack": "other"}}}']),
        (
            "stackrevision",
            shop.get("stackrevisions")[0]["metadata"]["name"],
            ["-p", '{"metadata": {"labels": {"a": "b"}}}'],
        ),
        ("stack", "web", ["--subresource=status", "-p", '{"status": {"outputs": {"forged": true}}}']),
    ):
        assert refused in shop.kubectl("patch", kind, one, tenant, "--type=merge", *what, check=False), (kind, what)
    # What is the user's stays so.
    shop.kubectl("annotate", "stack", "web", tenant, "note=mine")
    assert shop.may("create stacks", "tenant")
    # A record may be deleted: it comes back with the same resource.
    before = ids(shop, "web")
    shop.kubectl("delete", "stackresource", name, tenant, "--wait=false")
    eventually(lambda: ids_or_none(shop) == before, 60)


def ids_or_none(shop: Space) -> dict[str, str] | None:
    try:
        return ids(shop, "web")
    except KeyError:  # one has no id yet
        return None


def test_a_user_who_may_view_sees_stacks_and_changes_none(shop: Space, release: Release) -> None:
    shop.kubectl("create", "rolebinding", "reader", "--clusterrole=view", "--user=reader")
    eventually(lambda: shop.may("list stackresources", "reader"), 20)
    assert not shop.may("patch stacks", "reader")
    assert not shop.may("get secrets", "reader")


def test_uninstall_keeps_stacks_and_an_install_goes_on_where_it_was(
    release: Release, shop: Space, project: Project, took: Times
) -> None:
    before = ids(shop, "web")
    release.uninstall()
    assert node.items("deployments", release.namespace) == []
    assert set(shop.resources("web")) == set(before)
    shop.stack("web", template(12, "192.0.2.3"))
    took.append(("helm install again", release.install()))
    begin = time.monotonic()
    shop.ready("web", 120)
    took.append(("... and a change made meanwhile is applied", time.monotonic() - begin))
    assert ids(shop, "web") == before
    check_nothing_lost_or_doubled(shop, project, 12)
    subnets = inventory(project.connection())["subnets"].values()
    assert {one["dns_nameservers"][0] for one in subnets} == {"192.0.2.3"}


def test_a_namespace_is_deleted_with_its_stacks_and_nothing_stays_in_the_cloud(
    release: Release, shop: Space, project: Project, took: Times
) -> None:
    begin = time.monotonic()
    node.kubectl("delete", "namespace", shop.name, "--timeout=240s", timeout=260)
    took.append(("kubectl delete namespace with a Stack of 48 resources", time.monotonic() - begin))
    found = inventory(project.connection())
    left = {kind: list(items) for kind, items in found.items() if kind in {"networks", "subnets", "ports", "servers"}}
    assert not any(left.values()), left


def certificate() -> str:
    """A certificate that nobody else trusts."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=extra-ca"]
    made = subprocess.run([*command, "-keyout", "/dev/null"], capture_output=True, text=True, check=True)
    return made.stdout


def test_a_release_for_one_namespace_cannot_see_others(release: Release, project: Project) -> None:
    release.uninstall()
    mine, other = Space("team-a", project), Space("team-b", project)
    team = Release(
        "team",
        "kiln-team",
        **{
            "fullnameOverride": "team",
            "watchNamespaces": "{team-a}",
            "crds.enabled": "false",
            "rbac.aggregateClusterRoles": "false",
            "caBundle.configMapName": "extra-ca",
            "proxy.https": "http://192.0.2.1:3128",
            "logFormat": "text",
        },
    )
    authority = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra-ca", "namespace": "kiln-team"}}
    node.apply({**authority, "data": {"ca.crt": certificate()}})
    team.install()
    other.stack("web", small(4))
    mine.stack("web", small(4))
    mine.ready("web", 90)
    time.sleep(5)
    assert other.get("stack", "web")["status"] == {"observedGeneration": -1}
    assert "finalizers" not in other.get("stack", "web")["metadata"]
    for right in ("get secrets", "list stacks", "patch stacks --subresource=status", "create events"):
        assert mine.may(right, "system:serviceaccount:kiln-team:team"), right
        assert not other.may(right, "system:serviceaccount:kiln-team:team"), right
    assert "Forbidden" not in team.logs()
    assert "team-b" not in team.logs()

    # The policy of this release is for its namespace only.
    forged = {**mine.get("stackresources")[0], "metadata": {"name": "forged"}}
    for space, refused in ((mine, True), (other, False)):
        space.kubectl("create", "rolebinding", "all", "--clusterrole=cluster-admin", "--user=tenant")
        said = space.kubectl(
            "create", "--as=tenant", "--dry-run=server", "-f", "-", stdin=json.dumps(forged), check=False
        )
        assert ("operator's records" in said) is refused, said

    # The extra authority is trusted besides the public ones; the API server is reached past the proxy.
    asked = """
import os, ssl
authorities = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"]).get_ca_certs()
print(len(authorities) > 50, any("extra-ca" in str(one["subject"]) for one in authorities), os.environ["NO_PROXY"])
"""
    said = node.kubectl("-n", "kiln-team", "exec", "deploy/team", "-c", "kiln", "--", "python", "-c", asked).split()
    assert said[:2] == ["True", "True"]
    assert said[2] == f"{node.get('service', 'kubernetes', 'default')['spec']['clusterIP']},.svc,.cluster.local"

    mine.delete("web", 60)
    team.uninstall()
    release.install()
    other.ready("web", 90)
    other.delete("web", 60)
