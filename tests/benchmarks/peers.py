"""The peer of each benchmark: a plain openstacksdk script of the same graph, 16 threads, one call a resource."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness import lab

THREADS = 16


class Script:
    """Runs work on 16 threads and counts its calls to OpenStack."""

    def __init__(self) -> None:
        self.cloud = lab.connection()
        self.cloud.network.get("/networks", params={"limit": 1})
        self.cloud.compute.get("/flavors")
        self.calls = 0

    def timed(self, work: Callable[[Any], Any], items: list[Any]) -> tuple[float, list[Any]]:
        """Seconds for all items, and what the work gave for each."""
        begun = time.monotonic()
        with ThreadPoolExecutor(THREADS) as pool:
            results = list(pool.map(work, items))
        return time.monotonic() - begun, results

    def call(self, service: str, method: str, path: str, body: Any = None) -> Any:
        """One call; the answer's JSON. Raises for an error."""
        self.calls += 1
        answer = getattr(self.cloud, service).request(path, method, json=body, raise_exc=True)
        return answer.json() if answer.content else None

    # 100 x (network, subnet, port)

    def network(self, index: int) -> tuple[str, str, str]:
        """A network with a subnet and a port."""
        net = self.call("network", "POST", "/networks", {"network": {"name": f"bench-script-{index}"}})["network"]["id"]
        subnet = {"network_id": net, "cidr": "10.0.0.0/24", "ip_version": 4}
        made = self.call("network", "POST", "/subnets", {"subnet": subnet})["subnet"]["id"]
        port = self.call("network", "POST", "/ports", {"port": {"network_id": net}})["port"]["id"]
        return net, made, port

    def no_network(self, ids: tuple[str, str, str]) -> None:
        """The same, deleted one by one."""
        net, subnet, port = ids
        self.call("network", "DELETE", f"/ports/{port}")
        self.call("network", "DELETE", f"/subnets/{subnet}")
        self.call("network", "DELETE", f"/networks/{net}")

    # 30 x (port, server)

    def server(self, given: tuple[str, str, str]) -> tuple[str, str]:
        """A port and a server on it; the server is not waited for."""
        net, image, flavor = given
        port = self.call("network", "POST", "/ports", {"port": {"network_id": net}})["port"]["id"]
        body = {"name": "bench-script", "imageRef": image, "flavorRef": flavor, "networks": [{"port": port}]}
        return port, self.call("compute", "POST", "/servers", {"server": body})["server"]["id"]

    def wait_servers(self, there: Callable[[dict[str, str]], bool]) -> None:
        """One list a half second until the statuses by id are as wanted."""
        while True:
            found = {one["id"]: one["status"] for one in self.call("compute", "GET", "/servers/detail")["servers"]}
            if there(found):
                return
            time.sleep(0.5)
