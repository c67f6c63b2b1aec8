"""Stacks that Flux applies: a Kustomization that waits for their health."""

import json
import time

from gitops.conftest import Steady
from gitops.manifests import BROKEN, KUSTOMIZATION, REFERENCES, chain, network, stack
from gitops.test_argocd import net_of, subnets
from harness.gitops import Kustomization, Repository
from harness.node import Space
from harness.operator import eventually
from harness.project import Project

HOLD = 600.0
"""Seconds for which what nobody touches must not change."""


def test_a_kustomization_is_ready_when_its_stack_is_and_not_before(repository: Repository, flux_shop: Space) -> None:
    revision = repository.commit({"f-slow/stack.yaml": stack("f-slow", chain(6))})
    flux = Kustomization("f-slow", "f-slow", flux_shop)
    early: list[str] = []

    def created() -> bool:
        if flux.ready().get("status") == "True" and revision in flux.ready()["message"]:
            early.append(flux_shop.condition("f-slow").get("status", "none"))
        return flux_shop.condition("f-slow").get("status") == "True"

    eventually(created, 120, 0.2)
    assert set(early) <= {"True"}
    flux.becomes("True", revision)

    # An update counts as done when OpenStack has it, not when it is applied.
    changed = repository.commit({"f-slow/stack.yaml": stack("f-slow", chain(9))})
    flux.becomes("True", changed)
    assert len(flux_shop.resources("f-slow")) == 9
    flux.delete()


def test_a_broken_template_fails_at_once_and_a_revert_heals(repository: Repository, flux_shop: Space) -> None:
    good = repository.commit({"f-broken/stack.yaml": stack("f-broken", network("f-broken"))})
    flux = Kustomization("f-broken", "f-broken", flux_shop, timeout="5m")
    flux.becomes("True", good)
    begin = time.monotonic()
    broken = repository.commit({"f-broken/stack.yaml": stack("f-broken", BROKEN)})
    found = flux.becomes("False", broken, 60)
    assert time.monotonic() - begin < 60  # of a timeout of five minutes
    assert found["reason"] == "HealthCheckFailed"
    assert "f-broken" in found["message"]
    flux.becomes("True", repository.revert())
    flux.delete()


def test_a_template_of_its_own_file_drift_with_kubectl_and_prune(
    repository: Repository, flux_shop: Space, project: Project
) -> None:
    files: dict[str, str | None] = {
        "f-file/stack.yaml": stack("f-file", templateRef={"configMapName": "web-template"}),
        "f-file/kustomization.yaml": KUSTOMIZATION,
        "f-file/kiln.yaml": REFERENCES,
        "f-file/template.yaml": network("f-file"),
    }
    flux = Kustomization("f-file", "f-file", flux_shop)
    flux.becomes("True", repository.commit(files))
    net = net_of(flux_shop, "f-file")
    flux.becomes("True", repository.commit({"f-file/template.yaml": network("f-file", dns="192.0.2.2")}))
    assert subnets(project, net) == ["192.0.2.2"]

    patch = {"spec": {"onFailure": "Halt", "cloudCredentialsRef": {"cloudName": "other"}}}
    flux_shop.kubectl("patch", "stack", "f-file", "--type=merge", "-p", json.dumps(patch))
    flux.reconcile()
    eventually(lambda: flux_shop.get("stack", "f-file")["spec"]["cloudCredentialsRef"]["cloudName"] == "own", 60)
    flux_shop.ready("f-file", 60)
    flux.delete()
    assert project.connection().network.get("/networks", params={"id": net}).json()["networks"] == []


def test_depends_on_orders_two_kustomizations(repository: Repository, flux_shop: Space) -> None:
    files: dict[str, str | None] = {
        "f-base/stack.yaml": stack("f-base", chain(4)),
        "f-top/stack.yaml": stack("f-top", network("f-top")),
    }
    revision = repository.commit(files)
    top = Kustomization("f-top", "f-top", flux_shop, after="f-base")
    base = Kustomization("f-base", "f-base", flux_shop)
    top.becomes("True", revision, 180)
    done = next(one for one in flux_shop.get("stack", "f-base")["status"]["conditions"] if one["type"] == "Ready")
    assert flux_shop.get("stack", "f-top")["metadata"]["creationTimestamp"] >= done["lastTransitionTime"]
    top.delete()
    base.delete()


def test_a_stack_answers_the_annotation_of_flux(steady: Steady) -> None:
    """Asking the same Stack twice, as `flux reconcile` does with its own kinds."""
    for space in steady.spaces:
        for asked in ("first", "second"):
            annotation = f"reconcile.fluxcd.io/requestedAt={asked}"
            space.kubectl("annotate", "stack", "steady", annotation, "--overwrite")
            eventually(lambda: space.get("stack", "steady")["status"].get("lastHandledReconcileAt") == asked, 30, 0.2)  # noqa: B023


def test_what_nobody_touches_does_not_flap(steady: Steady) -> None:
    """The last test: it waits for what is left of ten minutes."""
    generations = [space.get("stack", "steady")["metadata"]["generation"] for space in steady.spaces]
    time.sleep(max(0.0, HOLD - (time.monotonic() - steady.begin)))
    steady.stop()
    # Every commit of the other tests moves the Kustomization to a new revision; its health must not change with it.
    states = {state for _, state, _ in steady.seen}
    assert states == {"Synced/Healthy"}, steady.seen
    assert {ready for *_, ready in steady.seen} <= {"True", "Unknown"}, steady.seen
    assert generations == [1, 1]
