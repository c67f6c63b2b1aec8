import pytest

from reconcilers import own_items
from reconcilers.compute.flavor import Flavor
from reconcilers.compute.server_group import ServerGroup
from reconcilers.model import Fault, Gone, Ready, Replace

GROUP = "OS::Nova::ServerGroup"
FLAVOR = "OS::Nova::Flavor"
SHOWN = {
    "id": "tok",
    "name": "stack-web-abc",
    "ram": 64,
    "vcpus": 1,
    "disk": 0,
    "swap": "",
    "OS-FLV-EXT-DATA:ephemeral": 0,
    "rxtx_factor": 1.0,
    "os-flavor-access:is_public": True,
    "extra_specs": {},
    "description": "kiln:tok",
}


@pytest.fixture
def unborn(record):
    return record(physical_id=None, confirmed=False)


def test_a_group_whose_name_we_choose_is_known_by_it(desire, unborn):
    outcome = ServerGroup().step(desire(GROUP, {"rules": {"max_server_per_host": 2.0}}), unborn, None)
    assert outcome.request.body == {
        "server_group": {"name": "stack-web-abc", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}
    }
    assert ServerGroup().owned({"id": "g", "name": "stack-web-abc"}, unborn)


def test_a_named_group_notes_the_others_of_that_name_first(desire, unborn, record):
    desired = desire(GROUP, {"name": "g", "policies": ["affinity"]})
    look = ServerGroup().step(desired, unborn, None)
    assert look.request.method == "GET"
    groups = [{"id": "1", "name": "g"}, {"id": "2", "name": "x"}]
    outcome = ServerGroup().step(desired, unborn, {look.into: {"server_groups": groups}})
    assert outcome.creates
    assert outcome.remember == {"name": "g", "others": "1"}
    noted = record(data=dict(outcome.remember))
    assert not ServerGroup().owned({"id": "1", "name": "g"}, noted)
    assert ServerGroup().owned({"id": "3", "name": "g"}, noted)


def test_a_named_group_that_was_never_asked_for_is_nobody(unborn):
    assert not ServerGroup().owned({"id": "3", "name": "g"}, unborn)


def test_a_group_without_a_policy_is_refused(desire, unborn):
    outcome = ServerGroup().step(desire(GROUP, {"policies": []}), unborn, None)
    assert (outcome.fault, outcome.property) == (Fault.INVALID, "policies")


def test_a_group_is_ready_at_once_and_any_change_replaces_it(desire, record):
    assert ServerGroup().step(desire(GROUP, {}, set()), record(), {"id": "g"}) == Ready()
    assert isinstance(ServerGroup().replacement(desire(GROUP, {}, {"policies"}), record(), {}), Replace)
    assert ServerGroup().step(None, record(), None) == Gone()


def test_a_flavors_id_is_chosen_before_it_exists(desire, record):
    for given, expected in (({}, "tok"), ({"flavorid": "auto"}, "tok"), ({"flavorid": "7"}, "7")):
        desired = desire(FLAVOR, {"ram": 64, "vcpus": 1, **given})
        noted = record(data=Flavor().intent(desired))
        assert Flavor().identity(noted) == expected
        body = Flavor().step(desired, noted, None).request.body["flavor"]
        assert (body["id"], body["description"]) == (expected, "kiln:tok")


def test_extra_specs_follow_the_creation(desire, record):
    specs = {"hw:a": 1, "b": True}
    desired = desire(FLAVOR, {"ram": 64, "vcpus": 1, "extra_specs": specs})
    created = Flavor().step(desired, record(), None)
    assert not created.applies & {"extra_specs", "tenants"}
    added = Flavor().step(desired, record(physical_id="tok"), SHOWN)
    assert (added.request.path, added.request.body) == (
        "/flavors/tok/os-extra_specs",
        {"extra_specs": {"hw:a": "1", "b": "True"}},
    )
    before = desire(FLAVOR, {"ram": 64, "vcpus": 1, "extra_specs": {"hw:a": 1, "old:x": 1}})
    made = Flavor().step(before, record(physical_id="tok"), SHOWN)
    shown = {**SHOWN, "extra_specs": {"hw:a": "1", "b": "True", "old:x": "1", "theirs": "1"}}
    dropped = Flavor().step(desired, record(physical_id="tok", data=made.remember), shown)
    assert (dropped.request.method, dropped.request.path) == ("DELETE", "/flavors/tok/os-extra_specs/old%3Ax")


def test_the_projects_of_a_private_flavor_are_brought_in_line(desire, record):
    given = {"ram": 64, "vcpus": 1, "is_public": False, "tenants": ["a"]}
    desired = desire(FLAVOR, given, {"tenants"})
    both = desire(FLAVOR, {**given, "tenants": ["a", "b"]})
    noted = record(physical_id="tok", data=own_items.noted("tenants", ["a", "b"], both))
    look = Flavor().step(desired, noted, SHOWN)
    assert look.request.path == "/flavors/tok/os-flavor-access"
    shown = {**SHOWN, look.into: {"flavor_access": [{"tenant_id": "b"}]}}
    assert Flavor().step(desired, noted, shown).request.body == {"addTenantAccess": {"tenant": "a"}}
    shown[look.into]["flavor_access"].append({"tenant_id": "a"})
    assert Flavor().step(desired, noted, shown).request.body == {"removeTenantAccess": {"tenant": "b"}}
    shown[look.into] = {"flavor_access": [{"tenant_id": "a"}, {"tenant_id": "theirs"}]}
    noted = record(physical_id="tok", data=Flavor().step(desired, noted, shown).remember)
    assert Flavor().step(desired, noted, shown) == Ready(applies=frozenset({"tenants"}))


def test_a_private_flavor_without_projects_is_for_the_stacks_own(desire, record):
    desired = desire(FLAVOR, {"ram": 64, "vcpus": 1, "is_public": False}, {"tenants"})
    look = Flavor().step(desired, record(physical_id="tok"), SHOWN)
    shown = {**SHOWN, look.into: {"project": {"project_id": "us"}}, "access": {"flavor_access": []}}
    assert Flavor().step(desired, record(physical_id="tok"), shown).request.body == {
        "addTenantAccess": {"tenant": "us"}
    }


def test_a_flavor_as_made_has_not_drifted(desire):
    desired = desire(FLAVOR, {"ram": 64, "vcpus": 1, "extra_specs": {}})
    assert Flavor().drift(desired, SHOWN) == set()
    assert Flavor().drift(desired, {**SHOWN, "extra_specs": {"theirs": "1"}, "ram": 1}) == {"ram"}
    given = desire(FLAVOR, {"ram": 64, "vcpus": 1, "extra_specs": {"x": 1}})
    assert Flavor().drift(given, {**SHOWN, "extra_specs": {"x": "2"}}) == {"extra_specs"}


def test_a_named_flavors_successor_waits_for_the_name(desire, record):
    plain = desire(FLAVOR, {"ram": 65, "vcpus": 1}, {"ram"})
    named = desire(FLAVOR, {"ram": 65, "vcpus": 1, "name": "n"}, {"ram"})
    assert Flavor().replacement(plain, record(), SHOWN) == Replace("ram changed")
    assert Flavor().replacement(named, record(), SHOWN) == Replace("ram changed", delete_first=True)
