"""Projects to run templates in, each with what templates expect to find, and nothing else.

A template runs alone in its project, so what a project has afterwards shows exactly what was left behind. Everything
here is named kiln-templates...; what an interrupted run left is removed before.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from harness import lab
from harness.cloud import Inventory, inventory
from harness.operator import eventually

PREFIX = "kiln-templates"
PRIVATE = "private"
"""The name under which templates look for a project's network."""
IDENTITIES = ("projects", "users", "roles", "groups", "domains", "regions", "services", "endpoints")


class CloudAccess:
    """One project. ``fixtures`` are values for templates' parameters; the server is made when it is asked for."""

    def __init__(self, number: int, admin: Any, images: Sequence[str]) -> None:
        self.name = f"{PREFIX}-{number}"
        self.password = secrets.token_urlsafe(16)
        self._admin = admin
        identity = admin.identity
        project = identity.create_project(name=self.name, domain_id="default")
        user = identity.create_user(
            name=self.name, password=self.password, domain_id="default", default_project_id=project.id
        )
        identity.assign_project_role_to_user(project, user, identity.find_role("member", ignore_missing=False))
        self.cloud = admin.connect_as(
            username=self.name, password=self.password, project_id=project.id, project_name=self.name
        )
        self.fixtures = {"key": "kiln-templates", **self._network()}
        self.cloud.compute.create_keypair(name=self.fixtures["key"])
        for name in images:
            self.cloud.image.create_image(name=name, disk_format="raw", container_format="bare", data=b"x" * 1024)

    def entry(self, admin: Mapping[str, Any]) -> dict[str, Any]:
        """The project's entry of a clouds.yaml, made of the administrator's."""
        own = {"username": self.name, "password": self.password, "project_name": self.name}
        return {**admin, "auth": {**admin["auth"], **own}}

    def _network(self) -> dict[str, str]:
        network = self.cloud.network
        public = next(iter(network.networks(is_router_external=True)))
        private = network.create_network(name=PRIVATE)
        subnet = network.create_subnet(name=PRIVATE, network_id=private.id, ip_version=4, cidr="10.0.0.0/24")
        router = network.create_router(name=PRIVATE, external_gateway_info={"network_id": public.id})
        network.add_interface_to_router(router, subnet_id=subnet.id)
        return {"network": private.id, "subnet": subnet.id, "public": public.id}

    def value(self, name: str) -> str:
        """A fixture. Raises KeyError for one that is not known."""
        return self._server if name == "server" else self.fixtures[name]

    @cached_property
    def _server(self) -> str:
        compute = self.cloud.compute
        made = compute.create_server(
            name="kiln-templates-existing",
            image_id=self.cloud.image.find_image("cirros", ignore_missing=False).id,
            flavor_id=compute.find_flavor("m1.tiny", ignore_missing=False).id,
            networks=[{"uuid": self.fixtures["network"]}],
        )
        compute.wait_for_server(made, wait=60)
        return str(made.id)

    def listing(self) -> Inventory:
        """Everything in the project."""
        return inventory(self.cloud)

    def remove(self) -> None:
        """All of it, and the project."""
        purge(self.cloud)
        forget(self._admin, self.name)


class AdminSite:
    """The administrator's project: templates of Keystone's types run here."""

    def __init__(self, admin: Any) -> None:
        self.name = "admin"
        self.cloud = admin
        identity = admin.identity
        self.fixtures = {
            "group": identity.create_group(name=f"{PREFIX}-group", domain_id="default").name,
            "role": identity.create_role(name=f"{PREFIX}-role").name,
            "project": identity.create_project(name=f"{PREFIX}-project", domain_id="default").name,
        }

    def value(self, name: str) -> str:
        """A fixture. Raises KeyError for one that is not known."""
        return self.fixtures[name]

    def listing(self) -> Inventory:
        """What the templates may make: identities."""
        found: Inventory = {}
        for kind in IDENTITIES:
            items = self.cloud.identity.get(f"/{kind}").json()[kind]
            found[kind] = {item["id"]: item for item in items}
        return found

    def remove(self) -> None:
        """The fixtures."""
        forget(self.cloud, "")


@contextlib.contextmanager
def sites(count: int, images: Sequence[str], admin_cloud: str) -> Iterator[tuple[list[CloudAccess], AdminSite]]:
    """Projects for as long as the block lasts."""
    admin = lab.connection(admin_cloud)
    remove_leftovers(admin)
    made: list[CloudAccess] = []
    try:
        made += (CloudAccess(number, admin, images) for number in range(count))
        yield made, AdminSite(admin)
    finally:
        for site in made:
            site.remove()
        remove_leftovers(admin)


def remove_leftovers(admin: Any) -> None:
    """Projects and identities of an interrupted run; the administrator sees into them after giving himself a role."""
    identity = admin.identity
    me, role = admin.current_user_id, identity.find_role("admin", ignore_missing=False)
    for project in list(identity.projects()):
        if project.name.startswith(f"{PREFIX}-") and project.name.rpartition("-")[2].isdigit():
            identity.assign_project_role_to_user(project, me, role)
            purge(admin.connect_as(project_id=project.id, project_name=project.name))
    forget(admin, "")


def forget(admin: Any, name: str) -> None:
    """Delete users, projects, groups and roles of this name, or all of this module's."""
    identity = admin.identity
    for kind in ("users", "projects", "groups", "roles"):
        for item in identity.get(f"/{kind}").json()[kind]:
            if item["name"] == name or (not name and item["name"].startswith(f"{PREFIX}-")):
                identity.delete(f"/{kind}/{item['id']}")


def purge(cloud: Any) -> None:
    """Delete everything in a project. What is there is the runner's own: it made the project."""
    network = cloud.network
    for server in list(cloud.compute.servers()):
        cloud.compute.delete_server(server)
    eventually(lambda: not list(cloud.compute.servers()), 60)
    project = {"project_id": cloud.session.get_project_id()}
    for address in list(network.ips(**project)):
        network.delete_ip(address)
    for router in list(network.routers(**project)):
        for port in list(network.ports(device_id=router.id, device_owner="network:router_interface")):
            network.remove_interface_from_router(router, port_id=port.id)
        network.delete_router(router)
    for port in list(network.ports(**project)):
        network.delete_port(port)
    for one in list(network.networks(**project)):
        network.delete_network(one)
    for group in list(network.security_groups(**project)):
        network.delete_security_group(group, ignore_missing=True) if group.name != "default" else None
    for volume in list(cloud.block_storage.volumes()):
        cloud.block_storage.delete_volume(volume)
    for pair in list(cloud.compute.keypairs()):
        if pair.name.startswith(PREFIX):
            cloud.compute.delete_keypair(pair)
    for image in list(cloud.image.images(owner=project["project_id"])):
        cloud.image.delete_image(image)
    end = time.monotonic() + 30
    while list(cloud.block_storage.volumes()) and time.monotonic() < end:
        time.sleep(0.5)
