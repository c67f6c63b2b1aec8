"""One side of the comparison: it goes through a scenario, and notes what there is in its project after each step."""

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cloud import COLLECTIONS
from harness.project import Project

from lives import live
from lives.values import UUID, Normalizer

MICROVERSIONS = {"compute": "2.96", "block_storage": "3.60"}
SERVICES = {"volume": "block_storage"}
"""Services that scenarios name otherwise than openstacksdk."""
NETWORKS = {"private": "10.9.0.0/24", "private2": "10.10.0.0/24"}
KEY = Path(__file__).with_name("demo-key.pub").read_text().strip()
PASSING = ("network:dhcp", "network:distributed")
NO_LABEL = frozenset({"OS::Cinder::VolumeAttachment", "OS::Neutron::FloatingIPAssociation"})
"""Types whose id is that of another resource."""
LEAVES_TIME = 40.0

BUSY = "busy"
"""The state of a resource that something is being done with."""

Row = dict[str, Any]


class Home:
    """A project with two private networks and two key pairs: what scenarios find when they begin."""

    def __init__(self, *, admin: bool) -> None:
        self.project = Project(roles=("admin", "member") if admin else ("member",))
        self.cloud = self.project.connection()
        for name, cidr in NETWORKS.items():
            network = self.cloud.network.create_network(name=name)
            self.cloud.network.create_subnet(name=f"{name}-subnet", network_id=network.id, ip_version=4, cidr=cidr)
        for name in ("demo-key", "demo-key2"):
            self.cloud.compute.create_keypair(name=name, public_key=KEY)

    def close(self) -> None:
        """Delete all of it."""
        for name in ("demo-key", "demo-key2"):
            self.cloud.compute.delete_keypair(name)
        for network in list(self.cloud.network.networks(project_id=self.project.id)):
            self.cloud.network.delete_network(network)
        self.project.close()


class Side(ABC):
    """Goes through one scenario.

    ``word`` replaces ``@S@`` in its texts, with a ``letter``, so that names differ on both sides and between scenarios
    that run at the same time.
    """

    word: str

    def __init__(self, scenario: Mapping[str, Any], home: Home, letter: str) -> None:
        self.scenario = scenario
        self.word += letter
        self.home = home
        self.project = home.project.id
        self.stack = re.sub("[^a-z0-9-]", "-", str(scenario["name"]).lower())[:40].strip("-")
        words = {self.word: "@S@", home.project.name: "<project>"}
        self.normalizer = Normalizer(json.dumps(scenario["steps"]), self.stack, words)
        self.saved: dict[str, str] = {}
        self._undo: list[tuple[bool, str, str, str, Any]] = []
        self._before: dict[str, str] = {}
        self._now: dict[str, Row] = {}
        self._label_what_is_there()
        self._there = self.inventory()

    # What a side can do.

    @abstractmethod
    def apply(self, step: Mapping[str, Any]) -> str:
        """Ask for a step's template. Returns why that is refused; empty if it is not."""

    @abstractmethod
    def wait(self, step: Mapping[str, Any]) -> tuple[str, str]:
        """Wait for the end: complete, failed, rolledback, gone or timeout, and why."""

    @abstractmethod
    def delete(self, timeout: float) -> tuple[str, str]:
        """Delete the Stack: gone, failed or timeout, and why."""

    @abstractmethod
    def resources(self) -> dict[str, Row]:
        """``type``, ``id``, ``state`` (ready, failed, none or busy) and ``why`` of each resource by path."""

    @abstractmethod
    def outputs(self) -> dict[str, Any]:
        """The outputs; one without a value is ``{"error": True}``."""

    @abstractmethod
    def abandon(self) -> None:
        """Give the Stack up, whatever is left of it."""

    # Going through.

    def run(self) -> list[Row]:
        """What was there after each step, and after the deletion at the end."""
        rows: list[Row] = []
        try:
            for step in self.scenario["steps"]:
                rows.append(self._step(step))
            if not self.scenario["steps"][-1].get("delete"):
                rows.append(self._seen(*self.delete(60.0)))
        finally:
            self.undo()
            self.abandon()
            self.sweep()
        return rows

    def _step(self, step: Mapping[str, Any]) -> Row:
        for call in step.get("call") or ():
            self.call(call)
        if step.get("delete"):
            return self._seen(*self.delete(float(step.get("timeout", 60))))
        refused = self.apply(step) if "template" in step else ""
        if step.get("wait") is False:
            time.sleep(float(step.get("sleep", 0)))
            self._before = {name: row["id"] for name, row in self.resources().items()}
            return {"begun": True, "outcome": "begun", "reason": refused}
        return self._seen(*(("refused", refused) if refused else self.wait(step)))

    def _seen(self, outcome: str, reason: str) -> Row:
        self._now = self.resources()
        for name, row in self._now.items():
            if UUID.fullmatch(row["id"]) and row["type"] not in NO_LABEL:
                self.normalizer.labels[row["id"]] = f"<{name}>"
        rows = {name: self._row(name, row) for name, row in sorted(self._now.items())}
        self._before = {name: row["id"] for name, row in self._now.items()}
        return {
            "outcome": outcome,
            "reason": reason,
            "resources": rows,
            "outputs": self.normalizer.normal(self.outputs()),
            "left": self._left({row["id"] for row in self._now.values()}),
        }

    def _row(self, name: str, row: Row) -> Row:
        before, own = self._before.get(name), UUID.fullmatch(row["id"])
        change = "none" if not row["id"] else "new" if not before or not own else "same"
        if before and own and before != row["id"]:
            change = "replaced"
        shown = live.fetched(self, row["type"], row["id"])
        return {**row, "change": change, "live": self.normalizer.normal(shown)}

    def _left(self, resources: set[str]) -> dict[str, list[str]]:
        """What there is beside the Stack's resources and what was there before, by kind."""
        found = {
            kind: sorted(self.normalizer.normal(name) for identity, name in items.items() if identity not in resources)
            for kind, items in self._new().items()
        }
        return {kind: names for kind, names in found.items() if names}

    # The cloud.

    def send(self, service: str, method: str, path: str, body: Any = None, *, admin: bool = True, **more: Any) -> Any:
        """A request as the lab's admin, or as the side's own user; the response, whatever its status."""
        cloud = self.home.project.admin if admin else self.home.cloud
        service = SERVICES.get(service, service)
        version = more.pop("version", None) or MICROVERSIONS.get(service)
        options = {**({"json": body} if body is not None else {}), **({"microversion": version} if version else {})}
        return getattr(cloud, service).request(path, method, raise_exc=False, **options)

    def read(self, service: str, path: str, *, admin: bool = True) -> Any:
        """What the service has there; None if there is nothing."""
        answer = self.send(service, "GET", path, admin=admin)
        return answer.json() if answer.status_code < 400 else None

    def label(self, identity: str) -> str:
        """The word for an id."""
        return self.normalizer.labels.get(identity, "<own>")

    def inventory(self) -> dict[str, dict[str, str]]:
        """Names of all that the project has, by kind and id."""
        found: dict[str, dict[str, str]] = {}
        for service, path, plural in COLLECTIONS:
            query = f"?project_id={self.project}" if service == "network" else ""
            items = (self.read(service, path + query, admin=service == "network") or {})[plural]
            items = [item.get("keypair", item) for item in items]
            found[plural] = {
                str(item.get("id") or item["name"]): item.get("name") or ""
                for item in items
                if item.get("owner", self.project) == self.project and item.get("device_owner") not in PASSING
            }
        return found

    def _new(self) -> dict[str, dict[str, str]]:
        now = self.inventory()
        return {
            kind: {key: name for key, name in items.items() if key not in self._there[kind]}
            for kind, items in now.items()
            if kind != "security_group_rules"
        }

    def _label_what_is_there(self) -> None:
        labels = self.normalizer.labels
        labels[self.project] = "<project>"
        for network in self.read("network", "/networks")["networks"]:
            if network["project_id"] == self.project or network["router:external"]:
                labels[network["id"]] = f"<net:{network['name']}>"
                labels.update(dict.fromkeys(network["subnets"], f"<subnet:{network['name']}>"))
        for group in self.read("network", f"/security-groups?project_id={self.project}")["security_groups"]:
            labels[group["id"]] = f"<group:{group['name']}>"
        for image in self.read("image", "/images")["images"]:
            labels[image["id"]] = f"<image:{image['name']}>"

    # What scenarios do behind the Stack's back.

    def text(self, text: str) -> str:
        """A text of the scenario on this side."""
        return text.replace("@S@", self.word)

    def filled(self, value: Any) -> Any:
        """A value of the scenario with the ids of this side: ``{res:PATH}``, ``{saved:NAME}``, ``{net:NAME}``, ..."""
        if isinstance(value, Mapping):
            return {self.filled(key): self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, str):
            return value
        ids = {word: identity for identity, word in self.normalizer.labels.items()}
        text = self.text(value).replace("{project}", self.project)
        text = re.sub(r"\{res:([^}]+)\}", lambda found: self._now.get(found[1], {}).get("id") or "nothing", text)
        text = re.sub(r"\{saved:([^}]+)\}", lambda found: self.saved.get(found[1], "nothing"), text)
        return re.sub(r"\{((?:net|image):[^}]+)\}", lambda found: ids.get(f"<{found[1]}>", "nothing"), text)

    def call(self, call: Mapping[str, Any]) -> None:
        """One call, or a wait (``sleep``; ``until`` a resource has an id)."""
        if "sleep" in call:
            time.sleep(call["sleep"])
            return
        self._now = self.resources()
        if "until" in call:
            end = time.monotonic() + call.get("timeout", LEAVES_TIME)
            while not self._now.get(call["until"], {}).get("id") and time.monotonic() < end:
                time.sleep(0.3)
                self._now = self.resources()
            return
        admin, service = bool(call.get("admin")), call["service"]
        path, body = self.filled(call["path"]), self.filled(call.get("json"))
        answer = self.send(service, call.get("method", "GET"), path, body, admin=admin, version=call.get("version"))
        if call.get("save") and answer.status_code < 300:
            made = next(iter(answer.json().values()))
            self.saved[call["save"]] = made["id"]
            self.normalizer.labels[made["id"]] = f"<saved:{call['save']}>"
        if call.get("undo"):
            self._undo.append((admin, service, "DELETE", self.filled(call["undo"]), None))
        if call.get("undo_call"):
            undo = call["undo_call"]
            self._undo.append(
                (admin, service, undo["method"], self.filled(undo["path"]), self.filled(undo.get("json")))
            )

    def undo(self) -> None:
        """Take back what the scenario did."""
        for admin, service, method, path, body in reversed(self._undo):
            self.send(service, method, path, body, admin=admin)
        self._undo.clear()

    def sweep(self) -> None:
        """Delete what is left in the project."""
        for _ in range(4):
            new = self._new()
            if not any(new.values()):
                return
            for router in new["routers"]:
                for port in self.read("network", f"/ports?device_id={router}")["ports"]:
                    leg = {"port_id": port["id"]}
                    self.send("network", "PUT", f"/routers/{router}/remove_router_interface", leg)
            for volume in new["volumes"]:
                self.send("block_storage", "POST", f"/volumes/{volume}/action", {"os-force_delete": {}})
            for service, path, plural in COLLECTIONS:
                for identity in new.get(plural, ()):
                    where = f"{path.removesuffix('/detail')}/{identity}"
                    self.send(service, "DELETE", where, admin=plural not in ("keypairs", "server_groups"))
            time.sleep(2)
