"""An empty text is no value, for every type and property; and what a schema allows raises no error in a type."""

import itertools
import json

import pytest

from hot_translator.errors import ResolutionError
from reconcilers import registry
from reconcilers.model import Failed, Outcome, Send
from reconcilers.resource_type import Local, RestResource

ID = "11111111-2222-4333-8444-555555555555"
MUST = {
    "OS::Cinder::Volume": {"size": 1},
    "OS::Neutron::FloatingIPAssociation": {"floatingip_id": ID, "port_id": ID},
    "OS::Neutron::RouterInterface": {"router": ID, "subnet": ID},
    "OS::Neutron::RouterGateway": {"router_id": ID, "network": ID},
    "OS::Neutron::Subnet": {"network": ID, "cidr": "10.0.0.0/24"},
    "OS::Nova::Server": {"flavor": "1", "image": ID},
    "OS::Glance::WebImage": {"location": "http://x/y", "disk_format": "raw", "container_format": "bare"},
}
SAMPLES = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "list": [], "map": {}, "any": "x"}
TYPES = sorted(name for name, rtype in registry.load().items() if not isinstance(rtype, Local))


def needed(schema):
    """A value for each property that must be given."""
    given = {}
    for name, how in schema.properties.items():
        if how.required and how.implemented:
            allowed = [one.value for one in how.constraints if one.kind == "allowed_values"]
            given[name] = allowed[0][0] if allowed else SAMPLES[how.type]
    return {**given, **MUST.get(schema.name, {})}


def texts(schema, required=False):
    return [name for name, how in schema.properties.items() if how.type == "string" and how.required is required]


def shape(outcome):
    assert isinstance(outcome, Outcome)
    return json.dumps(outcome.request.body, sort_keys=True) if hasattr(outcome, "request") else repr(outcome)


@pytest.mark.parametrize("name", TYPES)
def test_an_empty_text_is_as_if_the_property_were_not_there(subject, name):
    rtype = registry.load()[name]
    plain = needed(rtype.schema)
    tried = 0
    for prop in texts(rtype.schema):
        if prop in rtype.empty_counts or prop in plain or rtype.schema.renamed(prop) != prop:
            continue
        try:
            emptied = subject(name, {**plain, prop: ""})
        except ResolutionError:
            continue  # the schema refuses it
        tried += 1
        without = subject(name, plain)
        assert emptied.desired == without.desired, prop
        assert shape(emptied.step(None)) == shape(without.step(None)), prop
    assert tried or not texts(rtype.schema) or name in FEW


FEW = frozenset(
    {
        "OS::Cinder::VolumeAttachment",
        "OS::Neutron::FloatingIP",
        "OS::Keystone::GroupRoleAssignment",
        "OS::Keystone::UserRoleAssignment",
        "OS::Neutron::FloatingIPAssociation",
        "OS::Neutron::RouterGateway",
        "OS::Neutron::RouterInterface",
        "OS::Nova::KeyPair",
        "OS::Octavia::AvailabilityZoneProfile",
        "OS::Octavia::FlavorProfile",
        "OS::Octavia::PoolMember",
    }
)
"""Types whose schema refuses an empty text in each of their optional properties, or that have none."""


def odd_values(how, depth=0):
    """Values that a property's schema may allow, and that are at its edges."""
    values = [None]
    if how.type in ("string", "any"):
        values += ["", "x", ID]
    elif how.type in ("integer", "number"):
        values += [0, 1]
    elif how.type == "boolean":
        values += [True, False]
    elif how.type == "list":
        values += [[]]
        if how.items is not None and depth < 3:
            values += [[value] for value in odd_values(how.items, depth + 1)]
        elif how.items is None:
            values += [["x"], ["x", "x"], [{}], [""]]
    elif how.type == "map":
        values += [{}]
        for key, inner in (how.properties or {}).items():
            if depth < 3:
                values += [{key: value} for value in odd_values(inner, depth + 1)]
        if how.properties is None:
            values += [{"x": None}, {"x": ""}, {"x": {"y": [1]}}, {"x": True}]
    return values


@pytest.mark.parametrize("name", TYPES)
def test_what_the_schema_allows_raises_no_error(subject, name):
    rtype = registry.load()[name]
    plain = needed(rtype.schema)
    for prop, how in rtype.schema.properties.items():
        for value in odd_values(how):
            try:
                thing = subject(name, {**plain, prop: value})
            except ResolutionError:
                continue
            outcome = thing.step(None)
            assert isinstance(outcome, Outcome), (prop, value)
            if isinstance(outcome, Failed):
                assert outcome.property, (prop, value)
            assert isinstance(thing.rtype.intent(thing.desired), dict)


@pytest.mark.parametrize("name", TYPES)
def test_what_a_service_shows_as_it_was_sent_is_no_drift(subject, name):
    rtype = registry.load()[name]
    plain = needed(rtype.schema)
    for prop, how in rtype.schema.properties.items():
        for value in odd_values(how):
            try:
                thing = subject(name, {**plain, prop: value})
            except ResolutionError:
                continue
            outcome = thing.step(None)
            if not isinstance(outcome, Send) or not outcome.creates or not isinstance(rtype, RestResource):
                continue
            body = outcome.request.body
            ready = next(iter(sorted(rtype.ready)), "ACTIVE")
            sent = body[rtype.key] if rtype.key else body
            observed = {**BEGINNING.get(name, {}), **sent, "id": thing.recorded.physical_id, rtype.status_key: ready}
            held = {given for given in outcome.applies if given not in LATER.get(name, ())}
            assert not rtype.drift(thing.desired, observed) & held, (prop, value, observed)
            assert isinstance(thing.changing(outcome.applies).step(observed), Outcome), (prop, value)
            thing.rtype.replacement(thing.changing(outcome.applies).desired, thing.recorded, observed)
            assert isinstance(thing.rtype.attributes(thing.desired, thing.recorded, observed), dict)


BEGINNING = {
    "OS::Heat::Stack": {"current": True, "deleting": False, "edited": (), "summary": "", "outputs": {}},
    "OS::Neutron::Port": {
        "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": [],
        "security_groups": [],
        "project_id": ID,
        "floating_ips": {"floatingips": []},
    },
    "OS::Nova::Server": {"addresses": {}, "flavor": {"id": "1"}, "image": {"id": ID}},
}
"""What a service shows of a new resource besides what was sent."""
LATER = {"OS::Neutron::Port": {"fixed_ips"}, "OS::Nova::Server": {"flavor", "image"}}
"""These are never shown as they were sent."""


@pytest.mark.parametrize("name", ["OS::Nova::Server", "OS::Neutron::Port"])
def test_two_odd_values_together_raise_no_error(subject, name):
    rtype = registry.load()[name]
    plain = needed(rtype.schema)
    for (one, how), (two, other) in itertools.combinations(rtype.schema.properties.items(), 2):
        for value, second in itertools.product(odd_values(how, 2)[:4], odd_values(other, 2)[:4]):
            try:
                thing = subject(name, {**plain, one: value, two: second})
            except ResolutionError:
                continue
            assert isinstance(thing.step(None), Outcome), (one, value, two, second)
