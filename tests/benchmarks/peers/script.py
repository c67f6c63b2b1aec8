"""A plain script of the same graph on openstacksdk's adapters: 16 threads, one call a resource."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.peers import stopwatch
from benchmarks.work import CIDR, FLAVOR, IMAGE, MEMBERS, Taken, Work
from harness.octavia_trees import CHECK, ROUND_ROBIN
from keystoneauth1.session import TCPKeepAliveAdapter

THREADS = 16
POLL = 0.5
"""Seconds between two lists of servers."""
PENDING_POLL = 0.2
"""Seconds between two looks at a load balancer that changes."""
NAME = "bench-script"


class Script:
    """Runs work on 16 threads and counts its calls to OpenStack."""

    name = "script"

    def __init__(self, connection: Any) -> None:
        self.cloud = connection
        # As many connections as threads: with the default of 10 the rest would connect anew for each call.
        self.cloud.session.mount("http://", TCPKeepAliveAdapter(pool_maxsize=THREADS))
        self.cloud.session.mount("https://", TCPKeepAliveAdapter(pool_maxsize=THREADS))
        self.image = self.cloud.image.find_image(IMAGE).id
        self.flavor = self.cloud.compute.find_flavor(FLAVOR).id
        self.cloud.network.get("/networks", params={"limit": 1})
        self.calls = 0

    def can(self, work: Work) -> bool:
        """All that OpenStack has a part in."""
        return work.kind != "strings"

    def life(self, work: Work) -> Mapping[str, Taken]:
        """Do it and undo it."""
        create, delete = _PHASES[work.kind]
        made, created = self.taken(lambda: create(self, work))
        _, deleted = self.taken(lambda: delete(self, made))
        return {"create": created, "delete": deleted}

    def taken(self, phase: Callable[[], Any]) -> tuple[Any, Taken]:
        """A phase's result, and what it took."""
        calls = self.calls
        with stopwatch() as seconds:
            result = phase()
        return result, Taken(seconds[0], self.calls - calls)

    def each(self, work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        """Do something for all items, on all threads."""
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(work, items))

    def call(self, service: str, method: str, path: str, body: Any = None) -> Any:
        """One call; the answer's JSON. Raises for an error."""
        self.calls += 1
        answer = getattr(self.cloud, service).request(path, method, json=body, raise_exc=True)
        return answer.json() if answer.content else None

    # N x (network, subnet, port)

    def networks(self, work: Work) -> list[tuple[str, str, str]]:
        """All of them; each is made one after the other."""
        return self.each(self.network, list(range(work.count)))

    def network(self, index: int) -> tuple[str, str, str]:
        """A network with a subnet and a port."""
        net = self.call("network", "POST", "/networks", {"network": {"name": f"{NAME}-{index}"}})["network"]["id"]
        subnet = {"network_id": net, "cidr": CIDR, "ip_version": 4}
        made = self.call("network", "POST", "/subnets", {"subnet": subnet})["subnet"]["id"]
        port = {"network_id": net, "fixed_ips": [{"subnet_id": made}]}
        return net, made, self.call("network", "POST", "/ports", {"port": port})["port"]["id"]

    def no_networks(self, made: list[tuple[str, str, str]]) -> None:
        """The same, deleted one by one."""
        self.each(self.no_network, made)

    def no_network(self, ids: tuple[str, str, str]) -> None:
        """A port, a subnet, a network."""
        net, subnet, port = ids
        self.call("network", "DELETE", f"/ports/{port}")
        self.call("network", "DELETE", f"/subnets/{subnet}")
        self.call("network", "DELETE", f"/networks/{net}")

    # N x (port, server)

    def servers(self, work: Work) -> list[tuple[str, str]]:
        """All of them, until they are ACTIVE."""
        net = self.call("network", "GET", f"/networks?name={work.network}")["networks"][0]["id"]
        made = self.each(lambda _: self.server(net), list(range(work.count)))
        wanted = {server for _, server in made}
        self.wait(lambda found: all(found.get(one) == "ACTIVE" for one in wanted))
        return made

    def server(self, net: str) -> tuple[str, str]:
        """A port and a server on it, which is not waited for."""
        port = self.call("network", "POST", "/ports", {"port": {"network_id": net}})["port"]["id"]
        body = {"name": NAME, "imageRef": self.image, "flavorRef": self.flavor, "networks": [{"port": port}]}
        return port, self.call("compute", "POST", "/servers", {"server": body})["server"]["id"]

    def no_servers(self, made: list[tuple[str, str]]) -> None:
        """Servers, and when they are gone their ports."""
        servers = {server for _, server in made}
        self.each(lambda one: self.call("compute", "DELETE", f"/servers/{one}"), sorted(servers))
        self.wait(lambda found: not servers & found.keys())
        self.each(lambda one: self.call("network", "DELETE", f"/ports/{one}"), [port for port, _ in made])

    def wait(self, there: Callable[[dict[str, str]], bool]) -> None:
        """One list a half second until the statuses by id are as wanted."""
        while True:
            found = {one["id"]: one["status"] for one in self.call("compute", "GET", "/servers/detail")["servers"]}
            if there(found):
                return
            if "ERROR" in found.values():
                raise RuntimeError("a server of the script is in ERROR")
            time.sleep(POLL)

    # A chain of networks: its critical path is one call after the other.

    def chain(self, work: Work) -> list[str]:
        """One network after the other."""
        return [
            self.call("network", "POST", "/networks", {"network": {"name": f"{NAME}-{i}"}})["network"]["id"]
            for i in range(work.count)
        ]

    def no_chain(self, made: list[str]) -> None:
        """The last first."""
        for one in reversed(made):
            self.call("network", "DELETE", f"/networks/{one}")

    # A load balancer takes one change at a time: one call after the other, each once the one before is done.

    def balancer(self, work: Work) -> list[str]:
        """A network, a load balancer, and all that is below it."""
        net = self.call("network", "POST", "/networks", {"network": {"name": NAME}})["network"]["id"]
        subnet = {"network_id": net, "cidr": "10.9.1.0/24", "ip_version": 4}
        made = self.call("network", "POST", "/subnets", {"subnet": subnet})["subnet"]["id"]
        top = self.below("", "loadbalancer", {"vip_subnet_id": made})
        for one in range(work.count):
            given = {"loadbalancer_id": top, "protocol": "HTTP", "protocol_port": 80 + one}
            listener = self.below(top, "listener", given)
            pool = self.below(top, "pool", {"listener_id": listener, **ROUND_ROBIN})
            self.below(top, "healthmonitor", {"pool_id": pool, **CHECK})
            for other in range(MEMBERS):
                given = {"address": f"10.9.1.{20 + other}", "protocol_port": 8000 + one}
                self.below(top, "member", given, f"/lbaas/pools/{pool}/members")
        return [net, top]

    def below(self, top: str, kind: str, given: dict[str, Any], path: str = "") -> str:
        """Make one, and wait until the load balancer takes the next change."""
        made: str = self.call("load_balancer", "POST", path or f"/lbaas/{kind}s", {kind: given})[kind]["id"]
        while self.call("load_balancer", "GET", f"/lbaas/loadbalancers/{top or made}")["loadbalancer"][
            "provisioning_status"
        ].startswith("PENDING"):
            time.sleep(PENDING_POLL)
        return made

    def no_balancer(self, made: list[str]) -> None:
        """Everything at once, and when it is gone the network."""
        net, top = made
        self.call("load_balancer", "DELETE", f"/lbaas/loadbalancers/{top}?cascade=true")
        while self.call("load_balancer", "GET", "/lbaas/loadbalancers")["loadbalancers"]:
            time.sleep(PENDING_POLL)
        self.call("network", "DELETE", f"/networks/{net}")


_PHASES: dict[str, tuple[Callable[[Script, Work], Any], Callable[[Script, Any], None]]] = {
    "networks": (Script.networks, Script.no_networks),
    "servers": (Script.servers, Script.no_servers),
    "chain": (Script.chain, Script.no_chain),
    "balancer": (Script.balancer, Script.no_balancer),
}
