"""Stacks that Argo CD syncs: what it shows of them, and what it does with them."""

import json
import time

from gitops.manifests import BROKEN, KUSTOMIZATION, REFERENCES, chain, network, stack
from harness import node
from harness.gitops import Application, Repository
from harness.node import Space
from harness.operator import eventually
from harness.project import Project

CHART = {
    "helm/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    "helm/templates/stack.yaml": """apiVersion: kiln.dev/v1alpha1
kind: Stack
metadata: {name: helm}
spec:
  cloudCredentialsRef: {secretName: openstack, cloudName: own}
  templateBody: |
    {{- .Files.Get "template.yaml" | nindent 4 }}
""",
}


def subnets(project: Project, net: str) -> list[str]:
    """The first name server of each subnet in the network, in OpenStack."""
    found = project.connection().network.get("/subnets", params={"network_id": net}).json()["subnets"]
    return [one["dns_nameservers"][0] for one in found]


def net_of(space: Space, name: str) -> str:
    return str(space.get("stack", name)["status"]["outputs"]["net"])


def test_a_plain_manifest_is_healthy_and_the_tree_shows_each_resource(repository: Repository, argo_shop: Space) -> None:
    revision = repository.commit({"plain/stack.yaml": stack("plain", network("plain"))})
    app = Application("plain", "plain", argo_shop)
    seen = app.becomes("Synced", "Healthy", revision)
    assert ("Synced", "Progressing") in seen
    tree = eventually(lambda: [one for one in app.tree() if one["kind"] == "StackResource"], 30)
    assert {one["health"]["status"] for one in tree} == {"Healthy"}
    assert {one["parentRefs"][0]["name"] for one in tree} == {"plain"}
    assert len(tree) == 2
    app.delete()
    assert argo_shop.get("stack", "plain") is None


def test_a_template_in_a_file_of_its_own_by_kustomize_is_applied_and_updated(
    repository: Repository, argo_shop: Space, project: Project
) -> None:
    files = {
        "kustomize/stack.yaml": stack("kustomized", templateRef={"configMapName": "web-template"}),
        "kustomize/kustomization.yaml": KUSTOMIZATION,
        "kustomize/kiln.yaml": REFERENCES,
        "kustomize/template.yaml": network("kustomized"),
    }
    app = Application("kustomize", "kustomize", argo_shop)
    app.becomes("Synced", "Healthy", repository.commit(files))
    net = net_of(argo_shop, "kustomized")
    changed = repository.commit({"kustomize/template.yaml": network("kustomized", dns="192.0.2.2")})
    seen = app.becomes("Synced", "Healthy", changed)
    assert any(health == "Progressing" for _, health in seen), seen
    assert subnets(project, net) == ["192.0.2.2"]
    assert net_of(argo_shop, "kustomized") == net
    # The ConfigMap of the old template is pruned.
    eventually(
        lambda: len([one for one in argo_shop.get("configmaps") if "web-template" in one["metadata"]["name"]]) == 1
    )

    app.becomes("Synced", "Healthy", repository.revert())
    assert subnets(project, net) == ["192.0.2.1"]
    app.delete()


def test_a_template_in_a_file_of_its_own_by_helm_is_applied(repository: Repository, argo_shop: Space) -> None:
    app = Application("helm", "helm", argo_shop)
    app.becomes("Synced", "Healthy", repository.commit({**CHART, "helm/template.yaml": network("helm")}))
    assert net_of(argo_shop, "helm")
    app.delete()


def test_a_broken_template_is_degraded_with_the_reason_and_healthy_after_a_revert(
    repository: Repository, argo_shop: Space
) -> None:
    app = Application("broken", "broken", argo_shop)
    app.becomes("Synced", "Healthy", repository.commit({"broken/stack.yaml": stack("broken", network("broken"))}))
    begin = time.monotonic()
    app.becomes("Synced", "Degraded", repository.commit({"broken/stack.yaml": stack("broken", BROKEN)}))
    assert time.monotonic() - begin < 60
    message = app.resource("Stack", "broken")["health"]["message"]
    assert message.startswith("InvalidTemplate: ")
    assert "OS::Neutron::Nett" in message
    app.becomes("Synced", "Healthy", repository.revert())
    app.delete()


def test_drift_in_openstack_is_repaired_without_argo_cd_noticing(
    repository: Repository, argo_shop: Space, project: Project
) -> None:
    manifest = stack("drift", network("drift"), resyncInterval="10s")
    app = Application("drift", "drift", argo_shop)
    app.becomes("Synced", "Healthy", repository.commit({"drift/stack.yaml": manifest}))
    net = net_of(argo_shop, "drift")
    subnet = project.connection().network.get("/subnets", params={"network_id": net}).json()["subnets"][0]["id"]
    change = {"subnet": {"dns_nameservers": ["198.51.100.1"]}}
    project.connection().network.put(f"/subnets/{subnet}", json=change)
    seen = set()

    def repaired() -> bool:
        seen.add(app.state()[0])
        return subnets(project, net) == ["192.0.2.1"]

    eventually(repaired, 90, 0.5)
    assert seen == {"Synced"}
    app.becomes("Synced", "Healthy")
    app.delete()


def test_drift_made_with_kubectl_is_healed(repository: Repository, argo_shop: Space, project: Project) -> None:
    app = Application("healed", "healed", argo_shop)
    app.becomes("Synced", "Healthy", repository.commit({"healed/stack.yaml": stack("healed", network("healed"))}))
    net = net_of(argo_shop, "healed")
    mine = argo_shop.get("stack", "healed")["spec"]["templateBody"].replace("192.0.2.1", "192.0.2.9")
    patch = json.dumps({"spec": {"templateBody": mine}})
    argo_shop.kubectl("patch", "stack", "healed", "--type=merge", "-p", patch)
    eventually(lambda: "192.0.2.9" not in argo_shop.get("stack", "healed")["spec"]["templateBody"], 60)
    app.becomes("Synced", "Healthy")
    assert subnets(project, net) == ["192.0.2.1"]
    app.delete()


def test_prune_deletes_the_stack_and_waits_for_the_cloud(
    repository: Repository, argo_shop: Space, project: Project
) -> None:
    keep = stack("kept", network("kept"))
    app = Application("prune", "prune", argo_shop)
    files: dict[str, str | None] = {"prune/kept.yaml": keep, "prune/gone.yaml": stack("gone", network("gone"))}
    app.becomes("Synced", "Healthy", repository.commit(files))
    net = net_of(argo_shop, "gone")
    repository.commit({"prune/gone.yaml": None})
    eventually(lambda: argo_shop.get("stack", "gone") is None, 90, 0.2)
    # When the object is gone, so is everything in OpenStack.
    left = project.connection().network.get("/networks", params={"id": net}).json()["networks"]
    assert left == []
    app.becomes("Synced", "Healthy")
    app.delete()


def test_sync_waves_order_two_stacks(repository: Repository, argo_shop: Space) -> None:
    files = {
        "waves/a.yaml": stack("second", network("second"), wave=1),
        "waves/b.yaml": stack("first", chain(4), wave=0),
    }
    app = Application("waves", "waves", argo_shop)
    app.becomes("Synced", "Healthy", repository.commit(files))
    first, second = argo_shop.get("stack", "first"), argo_shop.get("stack", "second")
    done = next(one for one in first["status"]["conditions"] if one["type"] == "Ready")["lastTransitionTime"]
    assert second["metadata"]["creationTimestamp"] >= done
    app.delete()


def test_the_operator_leaves_what_git_owns_alone(repository: Repository, argo_shop: Space) -> None:
    app = Application("owned", "owned", argo_shop)
    app.becomes("Synced", "Healthy", repository.commit({"owned/stack.yaml": stack("owned", network("owned"))}))
    found = node.get("stack", "owned", argo_shop.name)
    record = argo_shop.get("stackresources")
    tracking = "argocd.argoproj.io/tracking-id"
    assert tracking in found["metadata"]["annotations"]
    assert all(tracking not in one["metadata"].get("annotations", {}) for one in record)
    app.delete()
