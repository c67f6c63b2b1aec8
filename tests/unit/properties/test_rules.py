"""Rules between the properties of one resource."""

from __future__ import annotations

from typing import Any

import pytest

from hot_translator import catalogue
from hot_translator.errors import TranslationError
from hot_translator.expression import UNKNOWN, Reference
from hot_translator.properties import broken_rules, check
from hot_translator.rules import _RULES

LATER = Reference("other")
BOOT = {"image": "i", "flavor": "f"}
V2 = "block_device_mapping_v2"


def broken(type_name: str, **properties: Any) -> dict[str, str]:
    schema = catalogue.lookup(f"OS::{type_name}")
    assert schema is not None
    problems: list[TranslationError] = []
    values = check(schema, properties, "p", problems)
    assert problems == []
    assert values is not None
    return {one.path.removeprefix("p").lstrip("."): one.reason for one in broken_rules(schema, values, "p")}


@pytest.mark.parametrize(
    ("type_name", "properties", "path", "reason"),
    [
        ("Nova::Server", {"flavor": "f"}, "", "nothing to boot from"),
        ("Nova::Server", {"flavor": "f", "image": ""}, "", "nothing to boot from"),
        ("Nova::Server", {"flavor": "f", V2: [{"volume_id": "v", "boot_index": 1}]}, "", "nothing to boot"),
        (
            "Nova::Server",
            {**BOOT, V2: [{"volume_id": LATER, "image": "i"}, {"volume_id": "v"}]},
            V2,
            "Multiple bootable",
        ),
        ("Nova::Server", {**BOOT, V2: [{"volume_id": "v", "boot_index": 0}]}, V2, "Multiple bootable sources (2)"),
        (
            "Nova::Server",
            {**BOOT, V2: [{"volume_id": "v", "image_id": "x", "boot_index": 1}]},
            f"{V2}[0].image",
            "same",
        ),
        ("Nova::Server", {**BOOT, V2: [{"boot_index": -1}]}, f"{V2}[0]", "One of"),
        (
            "Nova::Server",
            {**BOOT, V2: [{"swap_size": 1}], "block_device_mapping": [{"device_name": "vdb", "volume_id": "v"}]},
            V2,
            "same time",
        ),
        (
            "Nova::Server",
            {"flavor": "f", "block_device_mapping": [{"device_name": "vda"}]},
            "block_device_mapping[0]",
            "Either",
        ),
        ("Nova::Server", {**BOOT, "networks": [{"fixed_ip": "1.2.3.4"}]}, "networks[0]", "One of network, port"),
        ("Nova::Server", {**BOOT, "networks": [{"network": "", "tag": "t"}]}, "networks[0]", "One of network, port"),
        ("Nova::Server", {**BOOT, "networks": [{"port": "p", "fixed_ip": "1.2.3.4"}]}, "networks[0].fixed_ip", "same"),
        ("Nova::Server", {**BOOT, "networks": [{"uuid": "n", "floating_ip": "f"}]}, "networks[0].floating_ip", "alone"),
        (
            "Nova::Server",
            {**BOOT, "networks": [{"network": "n", "allocate_network": "auto"}]},
            "networks[0].network",
            "beside",
        ),
        ("Nova::Server", {**BOOT, "networks": [{"allocate_network": "auto"}, LATER]}, "networks", "beside other"),
        ("Nova::Server", {**BOOT, "networks": [{"port": "p"}], "security_groups": ["g"]}, "security_groups", "its own"),
        ("Nova::ServerGroup", {"policies": []}, "policies", "exactly one policy, not 0"),
        ("Nova::ServerGroup", {"policies": ["affinity", "soft-affinity"]}, "policies", "exactly one"),
        ("Nova::KeyPair", {"name": "k", "type": "x509"}, "public_key", "certificate"),
        ("Nova::Quota", {"project": "p"}, "", "At least one quota"),
        ("Neutron::Net", {"value_specs": {"name": "x"}}, "value_specs", "name not allowed in value_specs"),
        ("Neutron::Net", {"value_specs": {"shared": True, "tenant_id": "t"}}, "value_specs", "shared, tenant_id not"),
        (
            "Neutron::Port",
            {"network": "n", "fixed_ips": [{"subnet": "s"}], "no_fixed_ips": True},
            "no_fixed_ips",
            "same",
        ),
        ("Neutron::Subnet", {"network": "n"}, "", "subnetpool, cidr"),
        ("Neutron::Subnet", {"network": "n", "cidr": "10.0.0.0/24", "subnetpool": "p"}, "cidr", "same time"),
        ("Neutron::Subnet", {"network": "n", "cidr": "10.0.0.0/24", "prefixlen": 24}, "cidr", "same time"),
        ("Neutron::Subnet", {"network": "n", "cidr": "fd00::/64"}, "cidr", "is of IPv6"),
        ("Neutron::Subnet", {"network": "n", "cidr": "10.0.0.0/24", "ipv6_ra_mode": "slaac"}, "ipv6_ra_mode", "IPv4"),
        ("Neutron::Subnet", {"network": "n", "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0"}, "gateway_ip", "invalid"),
        ("Neutron::Router", {"distributed": True, "ha": True}, "distributed", "same time"),
        ("Neutron::Router", {"l3_agent_ids": ["a", "b"]}, "l3_agent_ids", "only have one"),
        ("Neutron::RouterInterface", {"router": "r"}, "", "subnet, port"),
        ("Neutron::RouterInterface", {"router": "r", "subnet": "s", "port": "p"}, "port", "same time"),
        ("Neutron::SecurityGroup", {"name": "default"}, "name", "cannot be assigned"),
        (
            "Neutron::SecurityGroup",
            {"rules": [{"protocol": "tcp", "port_range_min": 9, "port_range_max": 1}]},
            "rules[0].port_range_max",
            "minimum port",
        ),
        (
            "Neutron::SecurityGroupRule",
            {"security_group": "g", "remote_group": "h", "remote_ip_prefix": "0.0.0.0/0"},
            "remote_ip_prefix",
            "same time",
        ),
        (
            "Neutron::SecurityGroupRule",
            {"security_group": "g", "protocol": "udp", "port_range_min": 2, "port_range_max": 1},
            "port_range_max",
            "minimum port",
        ),
        (
            "Neutron::FloatingIP",
            {"floating_network": "n", "fixed_ip_address": "10.0.0.1"},
            "fixed_ip_address",
            "without",
        ),
        ("Neutron::ProviderNet", {"network_type": "flat", "segmentation_id": "5"}, "segmentation_id", "not allowed"),
        (
            "Neutron::Segment",
            {"network": "n", "network_type": "vlan", "physical_network": "p"},
            "segmentation_id",
            "required",
        ),
        (
            "Neutron::SubnetPool",
            {"prefixes": ["10.0.0.0/8"], "min_prefixlen": 20, "max_prefixlen": 10},
            "min_prefixlen",
            "Illegal prefix bounds",
        ),
        ("Cinder::Volume", {}, "size", "size is needed"),
        ("Cinder::Volume", {"image": "i"}, "size", "size is needed"),
        ("Cinder::Volume", {"size": 1, "image": "i", "snapshot_id": "s"}, "image", "from one source"),
        ("Cinder::VolumeType", {"name": "t", "projects": ["p"]}, "projects", "public"),
        (
            "Glance::WebImage",
            {"location": "http://x", "container_format": "ami", "disk_format": "raw"},
            "disk_format",
            "must be ami",
        ),
        ("Heat::RandomString", {"length": 1, "character_classes": [{"class": "digits", "min": 2}]}, "length", "is 1"),
        (
            "Keystone::UserRoleAssignment",
            {"user": "u", "roles": [{"role": "r"}]},
            "roles[0]",
            "Either project or domain",
        ),
        (
            "Keystone::GroupRoleAssignment",
            {"group": "g", "roles": [{"role": "r", "project": "p", "domain": "d"}]},
            "roles[0].domain",
            "same time",
        ),
        (
            "Octavia::Listener",
            {"protocol": "TERMINATED_HTTPS", "loadbalancer": "l", "protocol_port": 443},
            "default_tls_container_ref",
            "required",
        ),
        ("Octavia::Pool", {"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}, "", "listener, loadbalancer"),
    ],
)
def test_a_rule_that_is_broken(type_name: str, properties: dict[str, Any], path: str, reason: str) -> None:
    found = broken(type_name, **properties)
    assert path in found
    assert reason in found[path]


@pytest.mark.parametrize(
    ("type_name", "properties"),
    [
        ("Nova::Server", {"flavor": "f", "image": LATER}),
        ("Nova::Server", {"flavor": "f", V2: [{"volume_id": LATER, "boot_index": 0}]}),
        ("Nova::Server", {"flavor": "f", V2: [{"volume_id": "v"}, {"swap_size": 1}, {"ephemeral_size": 1}]}),
        ("Nova::Server", {"flavor": "f", V2: [{"image": "i"}, {"ephemeral_size": 1, "ephemeral_format": "xfs"}]}),
        ("Nova::Server", {"flavor": "f", V2: LATER}),
        ("Nova::Server", {**BOOT, V2: [{"volume_id": "v", "boot_index": 1}]}),
        ("Nova::Server", {"flavor": "f", "block_device_mapping": [{"device_name": "vda", "volume_id": "v"}]}),
        (
            "Nova::Server",
            {**BOOT, "networks": [{"network": LATER, "fixed_ip": LATER}, {"subnet": "s", "floating_ip": "f"}]},
        ),
        ("Nova::Server", {**BOOT, "networks": [{"port": LATER}], "security_groups": []}),
        ("Nova::Server", {**BOOT, "networks": LATER}),
        ("Nova::ServerGroup", {}),
        ("Nova::Quota", {"project": "p", "cores": 0}),
        ("Neutron::Net", {"value_specs": {"provider:network_type": "vlan"}}),
        ("Neutron::Subnet", {"network": "n", "cidr": LATER}),
        ("Neutron::Subnet", {"network": "n", "subnetpool": "p", "prefixlen": 24}),
        ("Neutron::Subnet", {"network": "n", "cidr": "fd00::/64", "ip_version": 6, "ipv6_ra_mode": "slaac"}),
        ("Neutron::Subnet", {"network": "n", "cidr": "10.0.0.0/24", "gateway_ip": ""}),
        ("Neutron::RouterInterface", {"router": "r", "subnet_id": LATER}),
        ("Neutron::SecurityGroup", {"rules": [{"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}]}),
        ("Neutron::FloatingIP", {"floating_network": "n", "fixed_ip_address": "10.0.0.1", "port_id": LATER}),
        ("Cinder::Volume", {"snapshot_id": LATER}),
        ("Cinder::Volume", {"backup_id": "b"}),
        ("Cinder::Volume", {"size": LATER, "image": "i"}),
        ("Heat::RandomString", {}),
        ("Heat::RandomString", {"length": LATER, "character_classes": [{"class": "digits", "min": 200}]}),
        ("Octavia::Pool", {"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN", "listener": LATER}),
    ],
)
def test_no_rule_is_broken(type_name: str, properties: dict[str, Any]) -> None:
    assert broken(type_name, **properties) == {}


def test_every_rule_is_of_a_type_and_of_properties_that_are_there() -> None:
    assert [name for name in _RULES if catalogue.lookup(name) is None] == []


@pytest.mark.parametrize("type_name", sorted(_RULES))
def test_nothing_known_breaks_nothing(type_name: str) -> None:
    schema = catalogue.lookup(type_name)
    assert schema is not None
    everything = dict.fromkeys(schema.properties, UNKNOWN)
    assert list(broken_rules(schema, everything, "p")) == []
