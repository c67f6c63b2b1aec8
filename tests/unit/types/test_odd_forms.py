"""What a service made of an accepted request is what was asked for: a table of odd forms, by type and property.

Each row has the template's form and the service's. Neutron's are as a real one gave them.
"""

import pytest

from reconcilers import registry
from reconcilers.model import Pause, Ready
from reconcilers.resource_type import RestResource

A = "11111111-2222-4333-8444-555555555555"
B = "22222222-2222-4333-8444-555555555555"
MAC = "fa:16:3e:aa:bb:01"

BASES = {
    "OS::Cinder::Volume": ({"size": 1}, {"status": "available", "size": 1, "metadata": {}}),
    "OS::Glance::WebImage": (
        {"container_format": "bare", "disk_format": "raw", "location": "http://x/y"},
        {"status": "active", "visibility": "private", "protected": False},
    ),
    "OS::Keystone::Domain": ({}, {}),
    "OS::Keystone::Endpoint": ({"service": A, "interface": "public", "url": "http://x"}, {}),
    "OS::Keystone::Group": ({}, {}),
    "OS::Keystone::Project": ({}, {"tags": []}),
    "OS::Keystone::Region": ({}, {}),
    "OS::Keystone::Role": ({}, {}),
    "OS::Keystone::Service": ({"type": "compute"}, {}),
    "OS::Keystone::User": ({}, {}),
    "OS::Neutron::FloatingIP": ({"floating_network": A}, {"floating_network_id": A}),
    "OS::Neutron::Net": ({}, {"status": "ACTIVE", "tags": [], "shared": False}),
    "OS::Neutron::Port": (
        {"network": A},
        {
            "status": "DOWN",
            "network_id": A,
            "mac_address": MAC,
            "fixed_ips": [{"subnet_id": B, "ip_address": "10.0.0.5"}],
            "security_groups": [A],
            "allowed_address_pairs": [],
            "tags": [],
            "port_security_enabled": True,
        },
    ),
    "OS::Neutron::Router": ({}, {"status": "ACTIVE", "tags": [], "external_gateway_info": None}),
    "OS::Neutron::SecurityGroup": ({}, {"stateful": True, "security_group_rules": []}),
    "OS::Neutron::SecurityGroupRule": (
        {"security_group": A},
        {"security_group_id": A, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "description": ""},
    ),
    "OS::Neutron::Subnet": (
        {"network": A, "cidr": "10.0.0.0/24"},
        {"network_id": A, "cidr": "10.0.0.0/24", "ip_version": 4, "enable_dhcp": True, "tags": []},
    ),
    "OS::Nova::Flavor": (
        {"ram": 64, "vcpus": 1},
        {"ram": 64, "vcpus": 1, "disk": 0, "swap": "", "OS-FLV-EXT-DATA:ephemeral": 0, "extra_specs": {}},
    ),
}
TEXT = [("two words ", "two words"), ("  x", "x"), ("lines\n", "lines"), ("", None)]
DESCRIPTION = [*((said, shown and f"{shown} kiln:TOKEN") for said, shown in TEXT), ("", "kiln:TOKEN")]
NAME = [(said, shown) for said, shown in TEXT if said]
SWITCH = [("true", True), ("False", False)]
REFERENCE = [(A, A), ("", None)]
TAGS = [(["b", "a"], ["a", "b"]), (["a"], ["theirs", "a"]), ([], ["theirs"]), (["a", "a"], ["a"]), ([""], [])]
NUMBER = [("64", 64), (64, "64"), (64, 64.0)]
ZONES = [(["b", "a"], ["a", "b"]), ([], [])]

ODD = {
    "OS::Cinder::Volume": {
        "name": NAME,
        "description": TEXT,
        "availability_zone": [("", "nova"), ("nova", "nova")],
        "snapshot_id": REFERENCE,
        "source_volid": REFERENCE,
        "backup_id": [("", None)],
        "image": [("", None)],
    },
    "OS::Glance::WebImage": {
        "architecture": TEXT,
        "kernel_id": [(A, A)],
        "os_distro": TEXT,
        "os_version": [("22.04", "22.04"), (22, "22")],
        "owner": REFERENCE,
        "protected": SWITCH,
        "ramdisk_id": [(A, A)],
        "visibility": [("private", "private")],
        "tags": TAGS,
    },
    "OS::Keystone::Domain": {"name": NAME, "description": DESCRIPTION, "enabled": SWITCH},
    "OS::Keystone::Endpoint": {
        "name": NAME,
        "enabled": SWITCH,
        "interface": [("public", "public")],
        "url": [("http://x/%(project_id)s ", "http://x/%(project_id)s")],
        "region": REFERENCE,
        "service": [(A, A)],
    },
    "OS::Keystone::Group": {"name": NAME, "description": DESCRIPTION},
    "OS::Keystone::Project": {"name": NAME, "description": DESCRIPTION, "enabled": SWITCH, "tags": TAGS},
    "OS::Keystone::Region": {"description": DESCRIPTION, "enabled": SWITCH, "parent_region": REFERENCE},
    "OS::Keystone::Role": {"name": NAME},
    "OS::Keystone::Service": {
        "name": NAME,
        "description": DESCRIPTION,
        "type": [("compute ", "compute")],
        "enabled": SWITCH,
    },
    "OS::Keystone::User": {
        "name": NAME,
        "description": DESCRIPTION,
        "enabled": SWITCH,
        "email": TEXT,
        "default_project": REFERENCE,
    },
    "OS::Neutron::FloatingIP": {
        "port_id": REFERENCE,
        "fixed_ip_address": [("10.0.0.5", "10.0.0.5")],
        "floating_network": [(A, A)],
        "floating_subnet": [("", None)],
        "floating_ip_address": [("2001:DB8::00FF", "2001:db8::ff"), ("172.24.0.9", "172.24.0.9")],
    },
    "OS::Neutron::Net": {
        "name": NAME,
        "admin_state_up": SWITCH,
        "tenant_id": REFERENCE,
        "port_security_enabled": SWITCH,
        "qos_policy": REFERENCE,
        "dns_domain": [("example.org.", "Example.org."), ("", "")],
        "availability_zone_hints": ZONES,
        "tags": TAGS,
    },
    "OS::Neutron::Port": {
        "name": NAME,
        "admin_state_up": SWITCH,
        "binding:vnic_type": [("normal", "normal")],
        "network": [(A, A)],
        "mac_address": [(form, MAC) for form in ("FA-16-3E-AA-BB-01", "fa163eaabb01", "FA16.3EAA.BB01", MAC.upper())]
        + [("fa:16:3e:aa:bb:1", MAC)],
        "fixed_ips": [
            ([{"ip_address": "2001:DB8:0::5"}], [{"subnet_id": B, "ip_address": "2001:db8::5"}]),
            ([{"subnet": B}], [{"subnet_id": B, "ip_address": "10.0.0.5"}]),
            ([], [{"subnet_id": B, "ip_address": "10.0.0.5"}]),
            (
                [{"subnet": A}, {"subnet": B}],
                [{"subnet_id": B, "ip_address": "10.1.0.5"}, {"subnet_id": A, "ip_address": "10.0.0.5"}],
            ),
        ],
        "allowed_address_pairs": [
            ([{"ip_address": "10.1.1.9/24"}], [{"ip_address": "10.1.1.9/24", "mac_address": MAC}]),
            (
                [{"ip_address": "2001:DB8::00/64", "mac_address": "FA-16-3E-00-00-01"}],
                [{"mac_address": "FA-16-3E-00-00-01", "ip_address": "2001:DB8::00/64"}],
            ),
            (
                [{"ip_address": "2001:DB8::00/64", "mac_address": "FA-16-3E-00-00-01"}],
                [{"mac_address": "fa:16:3e:00:00:01", "ip_address": "2001:db8::/64"}],
            ),
            (
                [{"ip_address": "10.2.0.1"}, {"ip_address": "10.1.0.1"}],
                [{"ip_address": "10.1.0.1", "mac_address": MAC}, {"ip_address": "10.2.0.1", "mac_address": MAC}],
            ),
            ([], []),
        ],
        "security_groups": [([A, B], [B, A]), ([A, A], [A]), ([], []), ([""], [])],
        "dns_name": [("web", "Web"), ("", "")],
        "port_security_enabled": [("true", True)],
        "propagate_uplink_status": SWITCH,
        "qos_policy": REFERENCE,
        "tags": TAGS,
    },
    "OS::Neutron::Router": {
        "name": NAME,
        "admin_state_up": SWITCH,
        "availability_zone_hints": ZONES,
        "tenant_id": REFERENCE,
        "distributed": SWITCH,
        "ha": SWITCH,
        "external_gateway_info": [
            ({"network": A}, {"network_id": A, "enable_snat": True, "external_fixed_ips": [{"ip_address": "1.2.3.4"}]}),
            ({"network": A, "enable_snat": "false"}, {"network_id": A, "enable_snat": False, "external_fixed_ips": []}),
            (
                {"network": A, "external_fixed_ips": [{"ip_address": "2001:DB8::0A"}]},
                {"network_id": A, "external_fixed_ips": [{"subnet_id": B, "ip_address": "2001:db8::a"}]},
            ),
            ({"network": A, "external_fixed_ips": []}, {"network_id": A, "external_fixed_ips": [{"subnet_id": B}]}),
            ({"network": A, "enable_snat": True}, {"network_id": A}),
            ({"network": ""}, None),
        ],
        "tags": TAGS,
    },
    "OS::Neutron::SecurityGroup": {"name": NAME, "description": DESCRIPTION, "stateful": SWITCH},
    "OS::Neutron::SecurityGroupRule": {
        "description": DESCRIPTION,
        "direction": [("ingress", "ingress")],
        "ethertype": [("IPv4", "IPv4")],
        "protocol": [(6, "tcp"), ("6", "tcp"), ("tcp", "6")],
        "port_range_min": [("22", 22), (22, "22")],
        "port_range_max": [("22", 22), (22, "22")],
        "security_group": [(A, A)],
        "remote_group": REFERENCE,
        "remote_ip_prefix": [("10.0.0.5/8", "10.0.0.0/8"), ("0.0.0.0/0", None), ("10.0.0.5/32", "10.0.0.5/32")],
    },
    "OS::Neutron::Subnet": {
        "name": NAME,
        "enable_dhcp": SWITCH,
        "network": [(A, A)],
        "tenant_id": REFERENCE,
        "cidr": [("10.0.0.7/24", "10.0.0.0/24"), ("10.0.0.0/24", "10.0.0.0/24")],
        "ip_version": [("4", 4)],
        "ipv6_address_mode": [("slaac", "slaac")],
        "ipv6_ra_mode": [("slaac", "slaac")],
        "subnetpool": [("", None)],
        "prefixlen": [],
        "segment": REFERENCE,
        "gateway_ip": [("auto", "10.0.0.1"), ("", None), ("~", None), ("2001:DB8:0::00FF", "2001:db8::ff")],
        "dns_nameservers": [(["2001:DB8::1", "8.8.8.8"], ["2001:db8::1", "8.8.8.8"]), ([], [])],
        "allocation_pools": [
            (
                [{"start": "10.0.0.20", "end": "10.0.0.30"}, {"start": "10.0.0.2", "end": "10.0.0.9"}],
                [{"start": "10.0.0.2", "end": "10.0.0.9"}, {"start": "10.0.0.20", "end": "10.0.0.30"}],
            ),
            ([{"start": "2001:DB8::0002", "end": "2001:DB8::9"}], [{"start": "2001:db8::2", "end": "2001:db8::9"}]),
            ([], [{"start": "10.0.0.2", "end": "10.0.0.254"}]),
        ],
        "host_routes": [
            (
                [
                    {"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"},
                    {"destination": "::00/0", "nexthop": "FE80::1"},
                ],
                [{"nexthop": "fe80::1", "destination": "::/0"}, {"nexthop": "10.0.0.9", "destination": "10.9.0.0/16"}],
            ),
            ([], []),
        ],
        "tags": TAGS,
    },
    "OS::Nova::Flavor": {
        "name": NAME,
        "ram": NUMBER,
        "vcpus": NUMBER,
        "disk": NUMBER,
        "swap": [(0, ""), ("64", 64)],
        "ephemeral": NUMBER,
        "rxtx_factor": [(1, 1.0), ("1.0", 1), (2, "2.0")],
        "is_public": SWITCH,
        "extra_specs": [
            ({"a": 1, "b": True}, {"a": "1", "b": "True"}),
            ({"a": "x"}, {"a": "x", "theirs": "y"}),
            ({}, {}),
        ],
        "tenants": [],
    },
}
UNCHANGING = frozenset({"ipv6_address_mode", "ipv6_ra_mode", "port_range_min", "port_range_max", "fixed_ip_address"})
"""They can only be given together with others."""
ROWS = [
    pytest.param(name, prop, said, shown, id=f"{name.rpartition('::')[2]}-{prop}-{said}-{shown}")
    for name, properties in ODD.items()
    for prop, forms in properties.items()
    for said, shown in forms
]


@pytest.mark.parametrize(("name", "prop", "said", "shown"), ROWS)
def test_what_the_service_made_of_it_is_what_was_asked_for(subject, name, prop, said, shown):
    given, base = BASES[name]
    thing = subject(name, {**given, prop: said})
    assert isinstance(thing.rtype, RestResource)
    key = thing.rtype.fields[prop].api
    stamp = {"description": f"kiln:{thing.recorded.token}"} if thing.rtype.token_field == "description" else {}
    shown = shown.replace("TOKEN", thing.recorded.token) if isinstance(shown, str) else shown
    observed = {"id": thing.recorded.physical_id, "name": "stack-thing-abc", **stamp, **base, key: shown}
    # What needs reads of its own is there.
    observed |= {"floating_ips": {"floatingips": []}}
    assert thing.rtype.drift(thing.desired, observed) == frozenset()
    again = thing.changing({prop})
    if thing.desired.properties.get(prop) in (None, []) or prop in UNCHANGING:
        return
    # Written in another form than before, it is no change.
    assert again.rtype.replacement(again.desired, again.recorded, observed) is None or said == "auto"
    outcome = again.step(observed)
    if isinstance(outcome, Pause):
        again = again.knowing(outcome.remember)
        outcome = again.step(observed)
    assert outcome == Ready(applies=frozenset({prop}))


SERVICES = frozenset({"Neutron", "Nova", "Cinder", "Glance", "Keystone"})


def test_the_table_has_every_property_that_is_compared():
    for name, rtype in registry.load().items():
        if isinstance(rtype, RestResource) and name.split("::")[1] in SERVICES:
            compared = {prop for prop, how in rtype.fields.items() if how.drift}
            assert compared == ODD.get(name, {}).keys(), name
