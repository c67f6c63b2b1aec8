"""A small OpenStack in memory, with the manners of Neutron, Nova and Cinder that the engine has to live with.

It is reached through ``harness.fake_connection``, below ``Cloud``: so throttling, paging, retries of lists, fences,
bounds on answers and the reading of errors take part in whatever is tested with it. It fails as it is told to.
"""

import asyncio
import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from keystoneauth1.exceptions import ConnectFailure

from harness.fake_connection import Connection, Network, Refused, Response
from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.session import Answer, Cloud
from reconcilers.model import Request

Item = dict[str, Any]
Items = list[Item]
Names = list[str]
Requests = list[Request]

KEYS = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "floatingips": "floatingip",
    "servers": "server",
    "volumes": "volume",
    "flavors": "flavor",
    "images": "",
    "backups": "backup",
    "snapshots": "snapshot",
}
BUILDING = 1.0
"""Seconds until a server or volume is there, or gone."""
LOST = "lost"
"""As a fault: the request is carried out, and its answer does not arrive."""
LATE = "late"
"""The connection breaks, and the request is carried out LATENESS seconds later."""
LATENESS = 55.0


class FakeOpenStack:
    """``fault`` is asked before each request: None, LOST, or a Refused to answer with.

    ``lag`` are the seconds for which lists do not show what is new. ``point`` is awaited before and after each effect.
    ``page`` is the most that one answer lists. ``session`` is the ``Cloud`` that leads here.
    """

    region = "RegionOne"

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Item]] = {plural: {} for plural in KEYS}
        self.calls: list[Request] = []
        self.fault: Callable[[Request], Refused | str | None] = lambda _request: None
        self.lag = 0.0
        self.latency = 0.05
        self.page = 1000
        self.point: Callable[[], Any] = _nothing
        self._ids = itertools.count(1)
        self.tables["flavors"]["1"] = {"id": "1", "name": "m1.tiny"}
        image = str(uuid.UUID(int=999))
        self.tables["images"][image] = {"id": image, "name": "cirros"}
        self.connect()

    def connect(self, **options: Any) -> Cloud:
        """A new session, as a new process has: it remembers nothing of earlier calls."""
        self.session = Cloud(Connection(self._request), Network(self), **options)
        return self.session

    # What the engine calls: as a ``Cloud``, for tests that replace some of it.

    async def send(self, request: Request, caller: Caller = ANYBODY) -> Answer:
        """See Cloud."""
        return await self.session.send(request, caller)

    async def list(self, request: Request, plural: str, caller: Caller = ANYBODY) -> Items:
        """See Cloud."""
        return await self.session.list(request, plural, caller)

    async def project_id(self) -> str:
        """See Cloud."""
        return await self.session.project_id()

    def _request(
        self, service: str, path: str, method: str, *, json: Any, params: Mapping[str, Any], **_: Any
    ) -> Response:
        request = Request(service, method, path, body=json, params=params)
        self.calls.append(request)
        headers = {"x-openstack-request-id": f"req-{uuid.UUID(int=len(self.calls))}"}
        fault = self.fault(request)
        try:
            if isinstance(fault, Refused):
                raise fault
            if fault == LATE:
                asyncio.get_running_loop().call_later(LATENESS, self.carry_out, request)
                raise ConnectFailure("no answer in time")
            status, body = self.carry_out(request)
        except Refused as refused:
            headers |= refused.headers
            envelope = "NeutronError" if service == "network" else "error"
            status, body = refused.status, {envelope: {"message": str(refused)}}
        if fault == LOST:
            raise ConnectFailure("the connection broke")
        return Response(status, _encoded(body), headers)

    # For tests.

    def all(self, plural: str) -> Items:
        """Everything of a kind that really exists."""
        return [item for item in self.tables[plural].values() if not self._gone(item)]

    def sent(self, method: str, plural: str = "") -> Requests:
        """The requests of this method, as far as they are about this collection."""
        return [one for one in self.calls if one.method == method and one.path.startswith(f"/{plural}")]

    def make(self, plural: str, **fields: Any) -> Item:
        """Something that exists without anybody having asked for it here."""
        return self._made(plural, fields)

    def drop(self, plural: str, identity: str) -> None:
        """Somebody else deletes something, and it is gone at once."""
        self._delete(plural, self.tables[plural][identity])
        self.tables[plural].pop(identity, None)

    # The services.

    def carry_out(self, request: Request) -> tuple[int, Any]:
        """The status and the body of the answer."""
        parts = request.path.strip("/").split("/")
        plural = parts[0]
        table = self.tables[plural]
        if request.method == "GET":
            if len(parts) == 1 or parts[1] == "detail":
                return 200, self._page(plural, request.params)
            return 200, _wrapped(plural, self._shown(plural, self._held(table, parts[1])))
        if request.method == "POST" and len(parts) == 1 and plural in request.body:
            # All or none, as in Neutron.
            several = [self._made(plural, body) for body in request.body[plural]]
            return 201, {plural: [_wrapped(plural, made)[KEYS[plural]] for made in several]}
        if request.method == "POST" and len(parts) == 1:
            made = self._made(plural, request.body[KEYS[plural]])
            return 201, _wrapped(plural, made if plural != "servers" else {"id": made["id"]})
        item = self._held(table, parts[1])
        act = self._act if plural == "servers" else self._volume_action
        below = {
            "action": lambda request, item, _: act(request, item),
            "os-volume_attachments": self._attachment,
            "os-interface": self._interface,
        }
        if len(parts) > 2 and parts[2] in below:
            return below[parts[2]](request, item, parts[3:])
        if plural == "backups" and parts[2:3] == ["restore"]:
            volume = self._held(self.tables["volumes"], request.body["restore"]["volume_id"])
            volume.setdefault("_restored", []).append(item["id"])
            return 202, {"restore": {"backup_id": item["id"], "volume_id": volume["id"]}}
        if len(parts) > 2 and parts[2] in {"metadata", "tags"}:
            return self._entries(request, item, parts[2], parts[3:])
        if request.method == "DELETE":
            self._delete(plural, item)
            return 204, None
        if request.method == "PUT" and len(parts) == 2:
            item.update(request.body[KEYS[plural]])
            if plural == "ports":
                self._address(item, request.body["port"])
            return 200, _wrapped(plural, self._shown(plural, item))
        interfaces = {"add_router_interface": self._add_interface, "remove_router_interface": self._remove_interface}
        if parts[2] in interfaces:
            return 200, interfaces[parts[2]](item, request.body["subnet_id"])
        raise Refused(404, f"no such path {request.path}")

    def _act(self, request: Request, server: Item) -> tuple[int, Any]:
        """An action of Nova: it is accepted only in the right status, and takes BUILDING seconds."""
        action, arguments = next(iter(request.body.items()))
        shown = self._shown("servers", server)
        power = {"suspend": ("ACTIVE", "SUSPENDED"), "resume": ("SUSPENDED", "ACTIVE")}
        begins, ends = power.get(action, (shown["status"] if action == "createImage" else "ACTIVE", ""))
        if shown["status"] != begins or shown["OS-EXT-STS:task_state"]:
            raise Refused(409, f"Cannot '{action}' instance {server['id']} while it is in vm_state {shown['status']}")
        if action == "createImage":
            image = {"name": arguments["name"], "status": "active", "size": 1024, **arguments["metadata"]}
            made = self._made("images", {**image, "_there": _now() + BUILDING, "_source": server["id"]})
            return 202, {"image_id": made["id"]}
        if action == "rebuild":
            server["image"] = {"id": arguments["imageRef"]}
            server["_rebuilt"] = server.get("_rebuilt", 0) + 1
            return 202, None
        if not ends:
            raise Refused(400, f"no such action {action}")
        server.update(status=ends, _was=begins, _acting=action, _acted=_now() + BUILDING)
        return 202, None

    def _volume_action(self, request: Request, volume: Item) -> tuple[int, Any]:
        """Cinder's actions here: a volume grows, or goes back to a snapshot."""
        if "revert" in request.body:
            volume.setdefault("_reverted", []).append(request.body["revert"]["snapshot_id"])
            return 202, None
        volume["size"] = request.body["os-extend"]["new_size"]
        return 202, None

    def _attachment(self, request: Request, server: Item, names: "Names") -> tuple[int, Any]:
        """Attach a volume to a server, or detach it."""
        volume = self._held(self.tables["volumes"], names[0] if names else request.body["volumeAttachment"]["volumeId"])
        if request.method == "DELETE":
            volume.pop("attachments", None)
            return 202, None
        if self._shown("servers", server)["status"] == "SUSPENDED":
            raise Refused(409, f"Cannot 'attach_volume' instance {server['id']} while it is in vm_state suspended")
        if volume.get("attachments"):
            raise Refused(409, f"volume {volume['id']} is in use")
        volume["attachments"] = [{"server_id": server["id"], "device": request.body["volumeAttachment"].get("device")}]
        return 200, {"volumeAttachment": {"volumeId": volume["id"], "serverId": server["id"]}}

    def _interface(self, request: Request, server: Item, names: "Names") -> tuple[int, Any]:
        """Plug a port into a server, or take it out."""
        port = self._held(self.tables["ports"], names[0] if names else request.body["interfaceAttachment"]["port_id"])
        if request.method == "DELETE":
            port.update(device_id="", device_owner="")
            return 202, None
        self._plug(port, server)
        return 200, {"interfaceAttachment": {"port_id": port["id"]}}

    def _plug(self, port: Item, server: Item) -> None:
        if port["device_id"]:
            raise Refused(409, f"Port {port['id']} is still in use.")
        port.update(device_id=server["id"], device_owner="compute:nova")

    def _entries(self, request: Request, item: Item, kind: str, names: "Names") -> tuple[int, Any]:
        """Metadata and tags: one by one, added to, or the whole of them."""
        held = item.setdefault(kind, {} if kind == "metadata" else [])
        if names and request.method == "DELETE":
            if names[0] not in held:
                raise Refused(404, f"no {kind} {names[0]}")
            _ = held.pop(names[0]) if kind == "metadata" else held.remove(names[0])
            return 204, None
        if names:
            item[kind] = sorted({*held, names[0]})
            return 201, None
        item[kind] = {**held, **request.body[kind]} if request.method == "POST" else request.body[kind]
        return 200, {kind: item[kind]}

    def _page(self, plural: str, params: Mapping[str, Any]) -> Item:
        found = self._list(plural, params)
        marker = params.get("marker")
        begin = 1 + next((index for index, item in enumerate(found) if item["id"] == marker), -1)
        page = found[begin : begin + self.page]
        following = {f"{plural}_links": [{"rel": "next", "href": "..."}]} if found[begin + self.page :] else {}
        return {plural: page, **following}

    def _list(self, plural: str, params: Mapping[str, Any]) -> Items:
        now = _now()
        shown = [
            self._shown(plural, item)
            for item in self.all(plural)
            if now - item.get("_made", now - self.lag) >= self.lag
        ]
        filters = {key: value for key, value in params.items() if key not in {"is_public", "limit", "fields", "marker"}}
        return [item for item in shown if all(item.get(key) == value for key, value in filters.items())]

    def _held(self, table: dict[str, Item], identity: str) -> Item:
        item = table.get(identity)
        if item is None or self._gone(item):
            raise Refused(404, f"{identity} could not be found")
        return item

    def _gone(self, item: Item) -> bool:
        return "_gone" in item and _now() >= item["_gone"]

    def _shown(self, plural: str, item: Item) -> Item:
        shown = {key: value for key, value in item.items() if not key.startswith("_")}
        building = _now() < item.get("_there", 0.0)
        if plural == "servers":
            shown["OS-EXT-STS:task_state"] = "deleting" if "_gone" in item else None
            shown["status"] = "BUILD" if building else item.get("status", "ACTIVE")
            if _now() < item.get("_acted", 0.0):
                shown |= {"status": item["_was"], "OS-EXT-STS:task_state": f"{item['_acting'].removesuffix('e')}ing"}
            shown["addresses"] = self._addresses(item)
        elif plural == "images" and building:
            shown["status"] = "queued"
        elif plural in {"backups", "snapshots"}:
            shown["status"] = "creating" if building else item.get("status", "available")
        elif plural == "volumes":
            there = item.get("status") or ("in-use" if item.get("attachments") else "available")
            shown["status"] = "deleting" if "_gone" in item else "creating" if building else there
        return shown

    def _addresses(self, server: Item) -> dict[str, Items]:
        found: dict[str, Items] = {}
        for port in self.all("ports"):
            if port["device_id"] == server["id"]:
                shown = [
                    {"addr": ip["ip_address"], "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]}
                    for ip in port["fixed_ips"]
                ]
                found.setdefault(port["network_id"], []).extend(shown)
        return found

    def _made(self, plural: str, body: Mapping[str, Any]) -> Item:
        number = next(self._ids)
        item: Item = {
            "id": str(uuid.UUID(int=number)),
            "name": "",
            "description": "",
            "tags": [],
            "project_id": "project",
            "created_at": f"2026-01-01T00:00:00.{number:06}",
            "_made": _now(),
            **body,
        }
        if plural in {"networks", "routers"}:
            item = {"admin_state_up": True, "status": "ACTIVE", **item}
        elif plural == "subnets":
            self._held(self.tables["networks"], item["network_id"])
            item = {"enable_dhcp": True, "dns_nameservers": [], "ip_version": 4, **item}
        elif plural == "ports":
            self._held(self.tables["networks"], item["network_id"])
            subnets = [one["id"] for one in self.all("subnets") if one["network_id"] == item["network_id"]]
            ips = [{"subnet_id": subnet, "ip_address": f"10.0.0.{number}"} for subnet in subnets[:1]]
            item = {
                "admin_state_up": True,
                "status": "DOWN",
                "mac_address": f"fa:16:3e:00:00:{number % 256:02x}",
                "device_id": "",
                "device_owner": "",
                "security_groups": [],
                "fixed_ips": ips,
                **item,
            }
            self._address(item, body)
        elif plural == "servers":
            self._boot(item)
        elif plural == "volumes":
            item["_there"] = _now() + BUILDING
        elif plural in {"backups", "snapshots"}:
            volume = self._held(self.tables["volumes"], item["volume_id"])
            item |= {"_there": _now() + BUILDING, "size": volume["size"]}
        self.tables[plural][item["id"]] = item
        return item

    def _address(self, port: Item, asked: Mapping[str, Any]) -> None:
        """Fill addresses in. Refuse those that were asked for and that another port of the network has."""
        claimed = [(ip["subnet_id"], ip["ip_address"]) for ip in asked.get("fixed_ips") or () if "ip_address" in ip]
        for other in self.all("ports") if claimed or "mac_address" in asked else ():
            if other["id"] == port["id"] or other["network_id"] != port["network_id"]:
                continue
            if other["mac_address"] == asked.get("mac_address"):
                raise Refused(409, f"The mac address {other['mac_address']} is in use.")
            if any((ip["subnet_id"], ip["ip_address"]) in claimed for ip in other["fixed_ips"]):
                raise Refused(409, f"IP address {claimed[0][1]} already allocated in subnet {claimed[0][0]}")
        for ip in port["fixed_ips"]:
            self._held(self.tables["subnets"], ip["subnet_id"])
            ip.setdefault("ip_address", f"10.0.0.{int(port['id'][-4:], 16)}")

    def _boot(self, server: Item) -> None:
        networks = server.pop("networks", None)
        for nic in networks if isinstance(networks, list) else ():
            self._plug(self._held(self.tables["ports"], nic["port"]), server)
        server["flavor"] = {"id": server.pop("flavorRef", "1")}
        server["image"] = {"id": server.pop("imageRef", "")}
        server["_there"] = _now() + BUILDING

    def _delete(self, plural: str, item: Item) -> None:
        identity = item["id"]
        if plural == "networks":
            if any(port["network_id"] == identity for port in self.all("ports")):
                raise Refused(409, f"Unable to complete operation on network {identity}: ports are still in use")
            for subnet in [one["id"] for one in self.all("subnets") if one["network_id"] == identity]:
                del self.tables["subnets"][subnet]
        elif plural == "subnets":
            if any(ip["subnet_id"] == identity for port in self.all("ports") for ip in port["fixed_ips"]):
                raise Refused(409, f"Unable to complete operation on subnet {identity}: One or more ports have an IP")
        elif plural == "ports" and item["device_owner"].startswith("compute:"):
            raise Refused(403, f"(rule:delete_port) is disallowed by policy: {identity}")
        elif plural == "ports" and item["device_owner"].startswith("network:"):
            raise Refused(409, f"Port {identity} cannot be deleted directly via the port API")
        elif plural == "volumes" and any(one["volume_id"] == identity for one in self.all("snapshots")):
            raise Refused(400, f"Volume {identity} has dependent snapshots")
        elif plural == "routers" and any(port["device_id"] == identity for port in self.all("ports")):
            raise Refused(409, f"Router {identity} still has ports")
        elif plural in {"servers", "volumes"}:
            for port in self.all("ports"):
                if port["device_id"] == identity:
                    port.update(device_id="", device_owner="")
            item.setdefault("_gone", _now() + BUILDING)
            return
        del self.tables[plural][identity]

    def _add_interface(self, router: Item, subnet_id: str) -> Item:
        subnet = self._held(self.tables["subnets"], subnet_id)
        if any(
            port["device_owner"] == "network:router_interface" and ip["subnet_id"] == subnet_id
            for port in self.all("ports")
            for ip in port["fixed_ips"]
        ):
            raise Refused(400, f"Router already has a port on subnet {subnet_id}")
        port = self._made(
            "ports",
            {
                "network_id": subnet["network_id"],
                "device_id": router["id"],
                "device_owner": "network:router_interface",
                "fixed_ips": [{"subnet_id": subnet_id, "ip_address": "10.0.0.1"}],
            },
        )
        return {"id": router["id"], "port_id": port["id"], "subnet_id": subnet_id, "subnet_ids": [subnet_id]}

    def _remove_interface(self, router: Item, subnet_id: str) -> Item:
        for port in self.all("ports"):
            if port["device_id"] == router["id"] and any(ip["subnet_id"] == subnet_id for ip in port["fixed_ips"]):
                del self.tables["ports"][port["id"]]
                return {"id": router["id"], "port_id": port["id"], "subnet_id": subnet_id}
        raise Refused(404, f"Router {router['id']} has no interface on subnet {subnet_id}")


def _wrapped(plural: str, item: Item) -> Item:
    shown = {key: value for key, value in item.items() if not key.startswith("_")}
    return {KEYS[plural]: shown} if KEYS[plural] else shown


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


def _encoded(body: Any) -> bytes:
    return json.dumps(body).encode() if body is not None else b""


async def _nothing() -> None:
    return
