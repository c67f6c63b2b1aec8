"""Fills the lab's OpenStack: users and endpoints, flavors and images; and says when all of it is healthy.

Each command can be run again: what is there stays. It reads OS_CLIENT_CONFIG_FILE and acts as the cloud "admin".
"""

import argparse
import sys
import time

import keystoneauth1.exceptions
import openstack
import openstack.exceptions
from openstack.connection import Connection

ROLES = ("service", "heat_stack_owner", "heat_stack_user", "load-balancer_member", "creator")
USER_ROLES = ("member", "heat_stack_owner", "load-balancer_member", "creator")
PROJECTS = ("demo", "alt")  # each with a user of the same name and password

# name: (RAM in MiB, disk in GiB, vCPUs)
FLAVORS = {
    "m1.nano": (64, 0, 1),
    "m1.tiny": (512, 1, 1),
    "m1.small": (2048, 20, 1),
    "m1.medium": (4096, 40, 2),
    "m1.large": (8192, 80, 4),
}
IMAGES = ("cirros", "cirros2")

# Which daemons a service must report as "up". Agents write that every ten seconds.
NOVA_DAEMONS = {"nova-conductor", "nova-scheduler", "nova-compute"}
CINDER_DAEMONS = {"cinder-scheduler", "cinder-volume"}
HEALTH_TIMEOUT = 120  # seconds


def seed_identity(cloud: Connection, options: argparse.Namespace) -> None:
    """Roles, the service users, the catalogue, the users' projects."""
    identity = cloud.identity
    for name in ROLES:
        if not identity.find_role(name):
            identity.create_role(name=name)
    roles = {role.name: role for role in identity.roles()}

    service_project = identity.find_project("service") or identity.create_project(name="service", domain_id="default")
    for name in options.user:
        user = identity.find_user(name) or identity.create_user(
            name=name, password=options.password, domain_id="default", default_project_id=service_project.id
        )
        for role in ("admin", "service"):
            identity.assign_project_role_to_user(service_project, user, roles[role])

    for name, kind, url in options.endpoint:
        _seed_endpoint(cloud, name, kind, url, options.region)

    for name in PROJECTS:
        project = identity.find_project(name) or identity.create_project(name=name, domain_id="default")
        user = identity.find_user(name) or identity.create_user(
            name=name, password=name, domain_id="default", default_project_id=project.id
        )
        for role in USER_ROLES:
            identity.assign_project_role_to_user(project, user, roles[role])
    if not identity.find_domain("second"):
        identity.create_domain(name="second")

    for domain_name, user_name in options.domain_admin:
        domain = identity.find_domain(domain_name) or identity.create_domain(name=domain_name)
        user = identity.find_user(user_name, domain_id=domain.id) or identity.create_user(
            name=user_name, password=options.password, domain_id=domain.id
        )
        identity.assign_domain_role_to_user(domain, user, roles["admin"])


def _seed_endpoint(cloud: Connection, name: str, kind: str, url: str, region: str) -> None:
    identity = cloud.identity
    services = list(identity.services(type=kind))
    service = services[0] if services else identity.create_service(name=name, type=kind)
    if not list(identity.endpoints(service_id=service.id)):
        identity.create_endpoint(service_id=service.id, interface="public", region_id=region, url=url)


def seed_objects(cloud: Connection, options: argparse.Namespace) -> None:
    """Flavors, images, the external network, a volume type."""
    for number, (name, (ram, disk, vcpus)) in enumerate(FLAVORS.items(), 1):
        if not cloud.compute.find_flavor(name):
            cloud.compute.create_flavor(name=name, ram=ram, disk=disk, vcpus=vcpus, id=str(number))
    for name in IMAGES:
        if not cloud.image.find_image(name):
            cloud.image.create_image(
                name=name,
                disk_format="raw",
                container_format="bare",
                visibility="public",
                data=b"x" * 65536,
                min_disk=0,
                min_ram=0,
                os_distro="fedora-coreos",  # what Magnum asks of an image
            )
    network = cloud.network.find_network("public") or cloud.network.create_network(
        name="public",
        is_router_external=True,
        is_shared=False,
        provider_network_type="flat",
        provider_physical_network="public",
    )
    if not cloud.network.find_subnet("public-subnet"):
        cloud.network.create_subnet(
            name="public-subnet",
            network_id=network.id,
            ip_version=4,
            cidr="172.24.0.0/16",
            gateway_ip="172.24.0.1",
            is_dhcp_enabled=False,
        )
    if not cloud.block_storage.find_type("lvmdriver-1"):
        cloud.block_storage.create_type(name="lvmdriver-1")


def wait_for_health(cloud: Connection, options: argparse.Namespace) -> None:
    """Wait until every daemon of the services is up, or say after two minutes which is not."""
    deadline = time.monotonic() + HEALTH_TIMEOUT
    while True:
        try:
            missing = _find_missing(cloud, set(options.services))
        except (openstack.exceptions.SDKException, keystoneauth1.exceptions.ClientException) as error:
            missing = [str(error)]
        if not missing:
            return
        if time.monotonic() > deadline:
            sys.exit(f"not healthy after {HEALTH_TIMEOUT} s: {', '.join(missing)}")
        time.sleep(1)


def _find_missing(cloud: Connection, services: set[str]) -> list[str]:
    """The daemons that are not up; an API that does not answer raises."""
    missing = NOVA_DAEMONS - {service.binary for service in cloud.compute.services() if service.state == "up"}
    missing |= CINDER_DAEMONS - {service.binary for service in cloud.block_storage.services() if service.state == "up"}
    if not list(cloud.compute.hypervisors()):
        missing.add("a hypervisor")
    list(cloud.network.networks())
    list(cloud.image.images())
    if "heat" in services:
        # The API answers 503 to what it asked before the engines listened.
        engines = cloud.orchestration.get("/services").json().get("services", [])
        if not any(engine["status"] == "up" for engine in engines):
            missing.add("heat-engine")
    return sorted(missing)


def main() -> None:
    """Run the command of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    identity = commands.add_parser("identity", help=seed_identity.__doc__)
    identity.set_defaults(run=seed_identity)
    identity.add_argument("--region", required=True)
    identity.add_argument("--password", required=True, help="of the service users")
    identity.add_argument("--user", action="append", default=[], help="a service's user")
    identity.add_argument("--endpoint", action="append", default=[], nargs=3, metavar=("NAME", "TYPE", "URL"))
    identity.add_argument("--domain-admin", action="append", default=[], nargs=2, metavar=("DOMAIN", "USER"))

    objects = commands.add_parser("objects", help=seed_objects.__doc__)
    objects.set_defaults(run=seed_objects)

    health = commands.add_parser("health", help=wait_for_health.__doc__)
    health.set_defaults(run=wait_for_health)
    health.add_argument("services", nargs="+")

    options = parser.parse_args()
    options.run(openstack.connect(cloud="admin"), options)


if __name__ == "__main__":
    main()
