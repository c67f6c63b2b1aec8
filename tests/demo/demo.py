"""A Stack's life on the lab: created, found broken and repaired, updated, deleted; with proof that nothing is left.

    make demo

What an interrupted run left behind is removed first. The Stack is examples/web.yaml; DEMO_IMAGE, DEMO_FLAVOR and
DEMO_NETWORK (the external one) name what another cloud has instead of the lab's.
"""

import difflib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/demo")]

from harness import lab  # noqa: E402
from harness.cloud import Inventory, difference, inventory  # noqa: E402
from harness.operator import Operator, eventually  # noqa: E402
from harness.stacks import SECRET, Namespace  # noqa: E402
from telling import StackReporter, follow, outputs, tree  # noqa: E402

SPACE = "kiln-demo"
STACK = "web"
MANIFEST = ROOT / "examples/web.yaml"
UPDATED = {"dns": "8.8.8.8", "volume_size": 2, "workers": 3}


class Demo:
    """One run."""

    def __init__(self, tell: StackReporter, directory: Path) -> None:
        self.tell = tell
        self.directory = directory
        self.cloud = lab.connection()
        self.tokens: set[str] = set()
        self.before: Inventory = {}

    def run(self) -> None:
        """From nothing to nothing. Raises RuntimeError or TimeoutError where something is not as it should be."""
        self.tell.step(
            "A namespace with credentials, the CRDs, and the operator",
            "The operator runs as a process of its own with the rights of its ServiceAccount, in this namespace alone.",
            f"Its log: {self.directory / 'operator.log'}",
            f'To watch: eval "$(make -s lab-env)"; watch kubectl -n {SPACE} get stk,stkr',
        )
        self.wait_for_leaving()
        self.space = Namespace(SPACE)
        operator = Operator(self.directory, namespaces=(SPACE,))
        with operator:
            eventually(lambda: "Holding the lease" in operator.log.read_text(), 40)
            self.clean_up()
            self.before = inventory(self.cloud)
            name = lab.environment()["OS_CLOUD"]
            self.tell.say(f"ready; in OpenStack the project of the cloud {name!r} has {self.count(self.before)}")
            self.create()
            self.drift()
            self.update()
            self.delete()
        # Not before: without the credentials in it the Stack could not be deleted.
        lab.kubectl("delete", "namespace", SPACE, "--wait=false")

    def wait_for_leaving(self) -> None:
        """A namespace that is being deleted goes first."""
        phase = lab.kubectl("get", "namespace", SPACE, "-o", "jsonpath={.status.phase}", check=False)
        if phase == "Terminating":
            self.tell.say("the namespace of an earlier run is leaving")
            lab.kubectl("wait", "--for=delete", f"namespace/{SPACE}", "--timeout=60s", timeout=70)

    def clean_up(self) -> None:
        """What an interrupted run left."""
        left = self.space.get("stacks")
        if left:
            self.tell.say(f"deleting what an interrupted run left: {', '.join(o['metadata']['name'] for o in left)}")
            self.space.kubectl("delete", "stacks", "--all", "--timeout=120s", timeout=130)

    # The life.

    def create(self) -> None:
        """From a manifest to Ready."""
        self.tell.step(
            "Create: kubectl apply of examples/web.yaml",
            "A network, a router, a security group, a server with a port, a volume and a floating IP, two workers.",
        )
        self.tell.command("kubectl apply --server-side -f examples/web.yaml")
        self.apply(self.manifest())
        self.until_ready(first=True)
        self.show()

    def drift(self) -> None:
        """A server is deleted behind Kiln's back."""
        old = self.space.resources(STACK)["server"]["status"]["physicalID"]
        self.tell.step(
            "Drift: the server is deleted by hand, with OpenStack's own API",
            "Nobody tells Kiln. It looks every 10 s (spec.resyncInterval) with one list for each kind of resource.",
        )
        self.tell.command(f"openstack server delete {old}")
        self.cloud.compute.delete_server(old)
        eventually(lambda: self.cloud.compute.get(f"/servers/{old}").status_code == 404, 30)
        follow(self.tell, self.look, lambda: self.identity("server") not in {"", old}, 60)
        self.until_ready()
        new = self.identity("server")
        server = self.cloud.compute.get("/servers/" + new).json()["server"]
        check(server["status"] == "ACTIVE", f"the new server is {server['status']}")
        self.tell.say(f"server {old} is now {new}: {server['status']}, volume and floating IP at their places")
        attached = [one["id"] for one in server["os-extended-volumes:volumes_attached"]]
        check(attached == [self.identity("data")], f"the new server has the volumes {attached}")
        told = [event for event in self.space.get("events") if event["reason"] == "DriftCorrected"]
        for event in told[-1:]:
            self.tell.say(f"event {event['reason']}: {event['message']}")

    def update(self) -> None:
        """Three parameters change."""
        old, new = self.manifest(), self.manifest(**UPDATED)
        before = {name: one["status"]["physicalID"] for name, one in self.space.resources(STACK).items()}
        self.tell.step(
            "Update: another name server, a larger volume, one worker more",
            "What can be changed in place is; what did not change is not touched.",
        )
        self.tell.block(diff(old, new))
        self.tell.command("kubectl apply --server-side -f examples/web.yaml")
        self.apply(new)
        self.until_ready()
        after = {name: one["status"]["physicalID"] for name, one in self.space.resources(STACK).items()}
        check(after == before | {"pool/2": after["pool/2"]}, "a resource was replaced that need not have been")
        subnet = self.cloud.network.get(f"/subnets/{after['subnet']}").json()["subnet"]
        volume = self.cloud.block_storage.get(f"/volumes/{after['data']}").json()["volume"]
        check(subnet["dns_nameservers"] == ["8.8.8.8"], "the subnet has the old name server")
        check(volume["size"] == 2, "the volume has the old size")
        self.tell.say("OpenStack says: dns_nameservers 8.8.8.8, volume 2 GiB; every resource has the id that it had")
        self.show()

    def delete(self) -> None:
        """Nothing is left."""
        self.tell.step("Delete: in reverse order of the dependencies, from the StackResources alone")
        self.tell.command(f"kubectl delete stack {STACK}")
        self.space.kubectl("delete", "stack", STACK, "--wait=false")
        follow(self.tell, self.look, lambda: self.space.get("stack", STACK) is None, 90)
        eventually(lambda: not any(self.owned(kind) for kind in OWNED), 20)
        self.tell.say("Kubernetes: no Stack, StackResource, StackRevision or Secret of it is left")
        after = inventory(self.cloud)
        ours = [
            f"{kind}: {item.get('name')} ({key})"
            for kind, items in after.items()
            for key, item in items.items()
            if key in self.tokens or any(token in str(item) for token in self.tokens)
        ]
        check(not ours, f"left in OpenStack: {', '.join(ours)}")
        changes = difference(self.before, after)
        if changes:
            moved = sum(len(lines) for lines in changes.values())
            self.tell.say(f"OpenStack: nothing of this Stack is left; others work in this project ({moved} changes)")
        else:
            self.tell.say(f"OpenStack: the project has exactly what it had before: {self.count(after)}")

    # Looking.

    def manifest(self, **parameters: Any) -> dict[str, Any]:
        """The example with the lab's cloud, and with these parameters."""
        manifest: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
        chosen = {"image": "DEMO_IMAGE", "flavor": "DEMO_FLAVOR", "public_network": "DEMO_NETWORK"}
        named = {name: os.environ[variable] for name, variable in chosen.items() if variable in os.environ}
        manifest["spec"]["parameters"] |= named | parameters
        manifest["spec"]["cloudCredentialsRef"] = {
            "secretName": SECRET,
            "cloudName": lab.environment()["OS_CLOUD"],
        }
        return manifest

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """As the shown command does."""
        self.space.apply(manifest)

    def owned(self, kind: str) -> list[dict[str, Any]]:
        """Objects of a kind that the Stack owns."""
        found: list[dict[str, Any]] = self.space.get(kind)
        return [one for one in found if any(o["name"] == STACK for o in one["metadata"].get("ownerReferences", ()))]

    def look(self) -> dict[str, tuple[str, str, str]]:
        """Each resource's type, state and message."""
        found = self.space.resources(STACK)
        for one in found.values():
            self.tokens |= {one["spec"]["token"], one.get("status", {}).get("physicalID", one["spec"]["token"])}
        return {
            name: (one["spec"]["type"], state_of(one), one.get("status", {}).get("message", ""))
            for name, one in found.items()
        }

    def identity(self, name: str) -> str:
        """A resource's id in OpenStack, empty while there is none."""
        return str(self.space.resources(STACK).get(name, {}).get("status", {}).get("physicalID", ""))

    def until_ready(self, *, first: bool = False) -> None:
        """Show what moves until the Stack is Ready."""
        if first:
            self.tell.command(f"kubectl wait --for=condition=Ready stk/{STACK}")
        seen: dict[str, Any] = {}

        def ready() -> bool:
            seen.update(self.space.condition(STACK))
            # A Stack says that it is not Ready any more within a second after a repair began.
            whole = all(state == "Ready" for _, state, _ in self.look().values())
            return seen.get("status") == "True" and whole

        follow(self.tell, self.look, ready, 170)
        self.tell.say(f"Stack {STACK} is READY: {seen['message']}", "1;32")

    def show(self) -> None:
        """The tree and the outputs."""
        self.tell.command("kubectl get stk")
        self.tell.block(self.space.kubectl("get", "stk"))
        self.tell.block("\n" + tree({kind: self.owned(kind) for kind in OWNED}, STACK) + "\n\noutputs")
        self.tell.block(outputs(self.space.get("stack", STACK)["status"].get("outputs", {})))

    def count(self, found: Inventory) -> str:
        """How much there is of each kind."""
        there = {kind.replace("_", " "): len(items) for kind, items in found.items() if items}
        return ", ".join(f"{number} {kind}" for kind, number in there.items()) or "nothing"


OWNED = ("stackresources", "stackrevisions", "secrets")


def state_of(resource: Mapping[str, Any]) -> str:
    """A resource's state; one that is being replaced says so."""
    state = str(resource.get("status", {}).get("state", "Creating"))
    return f"{state} (made anew)" if resource["spec"]["serial"] and state == "Creating" else state


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What changes in the manifest's parameters."""
    texts = [yaml.safe_dump(one["spec"]["parameters"]).splitlines() for one in (old, new)]
    return "\n".join(line for line in difflib.ndiff(*texts) if line[0] in "+-")


def check(fine: bool, otherwise: str) -> None:
    """Raise RuntimeError if it is not so."""
    if not fine:
        raise RuntimeError(otherwise)


def main() -> int:
    """Exit code 0: all of it went as told."""
    tell = StackReporter()
    # A stop by whoever started this ends the operator too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = Path(tempfile.mkdtemp(prefix="kiln-demo-"))
    try:
        Demo(tell, directory).run()
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
        tell.say(f"FAILED: {error}", "1;31")
        tell.say(f"the operator's log: {directory / 'operator.log'}; run it again to clean up")
        return 1
    except KeyboardInterrupt:
        tell.say("interrupted; run it again to clean up")
        return 130
    tell.step("Done: create, repair, update, delete.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
