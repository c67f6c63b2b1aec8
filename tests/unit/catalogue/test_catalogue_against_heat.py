"""The catalogue says what Heat's own schemas say, but for the differences listed here.

``reference/types.txt`` and ``reference/translation_rules.txt`` are digests of what Heat's classes declare.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hot_translator import catalogue
from hot_translator.catalogue import PropertySchema, TypeSchema

REFERENCE = Path(__file__).parent / "reference"

FROM_TEMPLATES = {"AWS::CloudWatch::Alarm", "AWS::RDS::DBInstance"}
"""Types that Heat's default environment maps to a template: their properties are that template's parameters."""

MEANT = {
    # Heat's test-only constraint calls no cloud; it does not exist outside of Heat.
    'OS::Heat::TestResource constraint_prop_secs: number in-place default=0 custom="test_constr"': (
        "OS::Heat::TestResource constraint_prop_secs: number in-place default=0"
    ),
    # Heat's default of this list is a map, which its code takes as an empty list.
    "OS::Neutron::NetworkGateway connections: list in-place default={}": (
        "OS::Neutron::NetworkGateway connections: list in-place default=[]"
    ),
}
"""Line of the reference to line of the catalogue."""

ADDED = {
    # Octavia has it since 2.26, Heat's type does not.
    "OS::Octavia::LoadBalancer additional_vips: list replace",
    "OS::Octavia::LoadBalancer additional_vips[]: map",
    'OS::Octavia::LoadBalancer additional_vips[].ip_address: string custom="ip_addr"',
    'OS::Octavia::LoadBalancer additional_vips[].subnet: string required custom="neutron.subnet"',
    "OS::Octavia::LoadBalancer @additional_vips: list",
    # Octavia has had it from the beginning, and a published template of Heat's own project uses it.
    'OS::Octavia::HealthMonitor max_retries_down: integer in-place range={"max": 10, "min": 1}',
    # Whether it works, which is what one wants to know of it.
    *(
        f"OS::Octavia::{name} @operating_status: string"
        for name in ("HealthMonitor", "L7Policy", "L7Rule", "Listener", "LoadBalancer", "Pool", "PoolMember")
    ),
}
"""What Kiln's types have beyond those of Heat."""

MEANT_MOVES = {
    # `masters` is the deprecated name; Heat keeps it because its client did. The present name is the one to keep.
    "OS::Designate::Zone primaries[] -> masters[]": "OS::Designate::Zone masters -> primaries",
    # What is left of the old map goes with the values that moved out of it.
    "OS::Mistral::Workflow tasks[].policies -> nothing": None,
}

ADDED_MOVES = {
    # Heat adds these two only when the old property has a value, so a listing of its rules lacks them.
    "OS::Heat::RandomString sequence -> character_classes",
    "OS::Neutron::Router l3_agent_id -> l3_agent_ids",
}

LEFT_OUT_LOOKUPS = {("OS::Neutron::ProviderNet", "qos_policy")}
"""Rules for properties that the type does not have: it inherits them from another class."""

ADDED_LOOKUPS = {
    # Heat's classes look these names up themselves, when they build the request.
    "AWS::EC2::Instance": {"ImageId", "InstanceType", "SecurityGroups[]"},
    "AWS::EC2::NetworkInterface": {"GroupSet[]"},
    "OS::Cinder::EncryptedVolumeType": {"volume_type"},
    "OS::Cinder::Volume": {"image"},
    "OS::Cinder::VolumeType": {"projects[]"},
    "OS::Designate::RecordSet": {"zone"},
    "OS::Keystone::Group": {"roles[].role", "roles[].project", "roles[].domain"},
    "OS::Keystone::GroupRoleAssignment": {"group", "roles[].role", "roles[].project", "roles[].domain"},
    "OS::Keystone::User": {"roles[].role", "roles[].project", "roles[].domain"},
    "OS::Keystone::UserRoleAssignment": {"user", "roles[].role", "roles[].project", "roles[].domain"},
    "OS::Manila::Share": {"share_network", "share_type", "snapshot"},
    "OS::Manila::ShareNetwork": {"security_services[]"},
    "OS::Neutron::Port": {"qos_policy", "security_groups[]"},
    "OS::Neutron::SubnetPool": {"address_scope"},
    "OS::Nova::FloatingIP": {"pool"},
    "OS::Nova::Server": {"networks[].port_extra_properties.qos_policy", "security_groups[]"},
    "OS::Octavia::LoadBalancer": {"additional_vips[].subnet", "tenant_id"},
    "OS::Trove::Instance": {"networks[].network", "networks[].port"},
    "OS::Neutron::QoSBandwidthLimitRule": {"policy"},
    "OS::Neutron::QoSDscpMarkingRule": {"policy"},
    "OS::Neutron::QoSMinimumBandwidthRule": {"policy"},
    "OS::Neutron::QoSMinimumPacketRateRule": {"policy"},
}


def words(schema: PropertySchema, *, top: bool) -> str:
    parts: list[str] = [schema.type]
    if schema.required:
        parts.append("required")
    if top:
        parts.append(schema.update)
    if schema.default is not None:
        parts.append(f"default={json.dumps(schema.default, sort_keys=True)}")
    parts += [f"{limit.kind}={json.dumps(limit.value, sort_keys=True)}" for limit in schema.constraints]
    if not schema.implemented:
        parts.append("unimplemented")
    if schema.support.status != "supported":
        parts.append(schema.support.status)
    return " ".join(parts)


def walk(schemas: Mapping[str, PropertySchema], prefix: str = "", *, top: bool = True) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield from walk_one(schema, f"{prefix}.{name}" if prefix else name, top=top)


def walk_one(schema: PropertySchema, path: str, *, top: bool = False) -> Iterator[str]:
    yield f"{path}: {words(schema, top=top)}"
    if schema.items:
        yield from walk_one(schema.items, f"{path}[]")
    yield from walk(schema.properties or {}, path, top=False)


def describe(schema: TypeSchema) -> Iterator[str]:
    status = [] if schema.support.status == "supported" else [schema.support.status]
    limit = [] if schema.name_limit == 255 else [f"name_limit={schema.name_limit}"]
    yield " ".join([schema.name, *status, *limit])
    for line in walk(schema.properties):
        yield f"{schema.name} {line}"
    for name, attribute in sorted(schema.attributes.items()):
        kind = f" {attribute.type}" if attribute.type else ""
        yield f"{schema.name} @{name}:{kind}{' fresh' if attribute.fresh else ''}"
    for line in walk(schema.update_policy, top=False):
        yield f"{schema.name} %{line}"


def reference_lines() -> list[str]:
    lines, name = [], ""
    for line in (REFERENCE / "types.txt").read_text().splitlines():
        if line.startswith("  "):
            lines.append(f"{name} {line.strip()}")
        elif " alias=" not in line:
            name = line.split()[0]
            lines.append(line)
    return lines


def test_every_type_property_attribute_and_constraint_is_as_heat_declares_it() -> None:
    wanted = [MEANT.get(line, line) for line in reference_lines()]
    found = [
        line
        for name in catalogue.names()
        if catalogue.canonical(name) == name and name not in FROM_TEMPLATES
        for line in describe(catalogue.lookup(name))
    ]
    assert sorted(found) == sorted([*wanted, *ADDED])


@pytest.mark.parametrize("line", MEANT)
def test_a_meant_difference_is_still_a_difference(line: str) -> None:
    assert line in reference_lines()


def test_every_alias_of_heats_default_environment_is_known() -> None:
    aliases = dict(
        line.split(" alias=") for line in (REFERENCE / "types.txt").read_text().splitlines() if " alias=" in line
    )
    registry = catalogue.default_registry()
    assert registry.keys() == aliases.keys()
    for name, target in aliases.items():
        if target.startswith("file:"):
            assert registry[name] == catalogue.TEMPLATE_SCHEME + target.rsplit("/")[-1]
            assert "Resources:" in catalogue.default_files()[registry[name]]
        else:
            assert registry[name] == target


def test_old_names_move_where_heat_moves_them() -> None:
    rules = (REFERENCE / "translation_rules.txt").read_text().splitlines()
    wanted = {MEANT_MOVES.get(line, line) for line in rules if " -> " in line} - {None} | ADDED_MOVES
    found = {
        f"{name} {'.'.join(alias.old)} -> {'.'.join(alias.new) if alias.new else 'nothing'}"
        for name in catalogue.names()
        for alias in catalogue.lookup(name).aliases
    }
    assert found == wanted


def test_names_are_looked_up_where_heat_does_and_nowhere_else() -> None:
    wanted: dict[str, set[str]] = {name: set(paths) for name, paths in ADDED_LOOKUPS.items()}
    for line in (REFERENCE / "translation_rules.txt").read_text().splitlines():
        if " by " in line:
            name, path, *_ = line.split()
            if (name, path) not in LEFT_OUT_LOOKUPS:
                wanted.setdefault(name, set()).add(path)
    found = {name: set(catalogue.lookup(name).lookups) for name in catalogue.names()}
    assert {name: paths for name, paths in found.items() if paths} == wanted


def test_every_path_of_an_alias_or_a_lookup_names_a_property() -> None:
    for name in catalogue.names():
        schema = catalogue.lookup(name)
        paths = [*(path.split(".") for path in schema.lookups), *(list(alias.old) for alias in schema.aliases)]
        for path in paths:
            schemas = schema.properties
            for part in path:
                step = schemas.get(part.removesuffix("[]"))
                assert step is not None, (name, path)
                assert part.endswith("[]") <= (step.type == "list"), (name, path)
                schemas = ((step.items.properties if step.items else step.properties) or {}) if step else {}
                if step.type == "map" and step.properties is None:
                    break  # Mistral's policies: free content
