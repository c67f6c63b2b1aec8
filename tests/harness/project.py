"""A project of its own in the cloud, so that what is counted in it was made by nobody else."""

import contextlib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openstack
import yaml

from harness import lab

ADMIN = "admin"
CLOUD = "own"
"""The name of the project's entry in its clouds.yaml."""
_UNLIMITED = -1


class Project:
    """A project with one user, made by the lab's admin and without quotas. Deleted at the end."""

    def __init__(self, roles: Sequence[str] = ("member", "load-balancer_member")) -> None:
        path = Path(lab.environment()["OS_CLIENT_CONFIG_FILE"])
        settings: dict[str, Any] = yaml.safe_load(path.read_text())["clouds"][ADMIN]
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        password = uuid.uuid4().hex
        self.admin = lab.connection(ADMIN)
        identity = self.admin.identity
        self._project = identity.create_project(name=self.name, domain_id="default")
        self._user = identity.create_user(name=self.name, password=password, domain_id="default")
        for role in roles:
            found = identity.find_role(role)
            if found is not None:
                identity.assign_project_role_to_user(self._project, self._user, found)
        auth = {"auth_url": settings["auth"]["auth_url"], "username": self.name, "password": password}
        scope = {"project_name": self.name, "user_domain_id": "default", "project_domain_id": "default"}
        self._settings = {**settings, "auth": {**auth, **scope}}
        self.id: str = self._project.id
        self.unlimited()

    @property
    def clouds_yaml(self) -> str:
        """A clouds.yaml with the one cloud ``own``."""
        return yaml.safe_dump({"clouds": {CLOUD: self._settings}})

    def connection(self) -> Any:
        """An openstacksdk connection as the project's user."""
        options = {key: value for key, value in self._settings.items() if key != "auth"}
        return openstack.connect(load_yaml_config=False, load_envvars=False, auth=self._settings["auth"], **options)

    def unlimited(self) -> None:
        """Take all quotas away."""
        network = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
        compute = ("instances", "cores", "ram", "key_pairs", "server_groups", "server_group_members")
        volume = ("volumes", "gigabytes", "snapshots")
        admin = self.admin
        admin.network.put(f"/quotas/{self.id}", json={"quota": dict.fromkeys(network, _UNLIMITED)})
        admin.compute.put(f"/os-quota-sets/{self.id}", json={"quota_set": dict.fromkeys(compute, _UNLIMITED)})
        admin.block_storage.put(f"/os-quota-sets/{self.id}", json={"quota_set": dict.fromkeys(volume, _UNLIMITED)})

    def close(self) -> None:
        """Delete the project and its user, and the security group that Neutron made for it."""
        with contextlib.suppress(openstack.exceptions.SDKException):
            for group in self.admin.network.security_groups(project_id=self.id, name="default"):
                self.admin.network.delete_security_group(group)
        self.admin.identity.delete_user(self._user)
        self.admin.identity.delete_project(self._project)
