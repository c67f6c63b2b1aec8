"""A cloud that is not the limit: Keystone and Neutron of the tests' fake OpenStack, by HTTP, in a process of its own.

    python -m benchmarks.fake_cloud PORT LATENCY

Each answer comes LATENCY seconds after its request, without work in between: as many at a time as are asked.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import yaml
from aiohttp import web
from harness.fake_connection import Refused
from harness.fake_openstack import FakeOpenStack

from reconcilers.model import Request

CLOUD = "fake"


def clouds_yaml(port: int) -> str:
    """A clouds.yaml that leads to the process at this port."""
    auth = {"auth_url": f"http://127.0.0.1:{port}/identity/v3", "username": "u", "password": "p"}
    scope = {"project_name": "p", "user_domain_id": "default", "project_domain_id": "default"}
    return yaml.safe_dump({"clouds": {CLOUD: {"auth": {**auth, **scope}, "region_name": "RegionOne"}}})


class Service:
    """Answers requests below /identity and /network."""

    def __init__(self, port: int, latency: float) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._latency = latency
        self._cloud = FakeOpenStack()

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        await asyncio.sleep(self._latency)
        path = urlsplit(request.path).path.rstrip("/")
        if path.endswith("/auth/tokens"):
            return web.json_response(self._token(), status=201, headers={"X-Subject-Token": "token"})
        if path in {"/identity", "/identity/v3"}:
            return web.json_response({"version": self._version("v3.14", "/identity/v3/")})
        if path in {"/network", "/network/v2.0"}:
            return web.json_response({"versions": [self._version("v2.0", "/network/v2.0/")]})
        body = await request.json() if request.can_read_body else None
        asked = Request(
            "network",
            request.method,  # type: ignore[arg-type]
            path.removeprefix("/network/v2.0"),
            body=body,
            params=dict(request.query),
        )
        try:
            status, found = self._cloud.carry_out(asked)
        except Refused as refused:
            status, found = refused.status, {"NeutronError": {"message": str(refused)}}
        if found is None:
            return web.Response(status=status)
        return web.Response(status=status, body=json.dumps(found).encode(), content_type="application/json")

    def _version(self, name: str, path: str) -> dict[str, Any]:
        links = [{"rel": "self", "href": self._address + path}]
        return {"id": name, "status": "stable" if name.startswith("v3") else "CURRENT", "links": links}

    def _token(self) -> dict[str, Any]:
        endpoint = {"interface": "public", "region_id": "RegionOne", "region": "RegionOne", "id": "1"}
        catalog = [
            {"type": kind, "name": kind, "id": kind, "endpoints": [{**endpoint, "url": f"{self._address}{path}"}]}
            for kind, path in (("network", "/network"), ("identity", "/identity/v3"))
        ]
        domain = {"id": "default", "name": "Default"}
        return {
            "token": {
                "methods": ["password"],
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "user": {"id": "u", "name": "u", "domain": domain},
                "project": {"id": "project", "name": "p", "domain": domain},
                "roles": [{"id": "member", "name": "member"}],
                "catalog": catalog,
            }
        }


def main() -> None:
    """Serve until the process is ended."""
    port, latency = int(sys.argv[1]), float(sys.argv[2])
    service = Service(port, latency)
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", service.answer)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main()
