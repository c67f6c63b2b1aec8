"""What administrators make: flavors, availability zones, their profiles, quotas."""

from dataclasses import replace
from typing import Any

import pytest

from reconcilers.load_balancer.availability_zone import AvailabilityZone
from reconcilers.load_balancer.availability_zone_profile import AvailabilityZoneProfile
from reconcilers.load_balancer.flavor import Flavor
from reconcilers.load_balancer.flavor_profile import FlavorProfile
from reconcilers.load_balancer.quota import Quota
from reconcilers.model import Desired, Gone, Outcome, Ready, Recorded, Replace, Send

RECORDED = Recorded(
    key="k", name="n", type="t", token="token", physical_name="web-n-x", physical_id="id", confirmed=True
)


def desired(changed: set[str] | None = None, **properties: Any) -> Desired:
    return Desired("n", "web-n-x", properties, frozenset(properties if changed is None else changed))


def sent(outcome: Outcome) -> Send:
    assert isinstance(outcome, Send)
    return outcome


def call(outcome: Outcome) -> tuple[str, str, Any]:
    request = sent(outcome).request
    return request.method, request.path, request.body


def test_the_description_of_a_flavor_carries_its_token() -> None:
    outcome = Flavor().step(desired(description="fast", flavor_profile="p"), RECORDED, None)
    body = {"name": "web-n-x", "description": "fast kiln:token", "flavor_profile_id": "p"}
    assert call(outcome) == ("POST", "/lbaas/flavors", {"flavor": body})
    verdict = Flavor().replacement(desired({"flavor_profile"}, flavor_profile="q"), RECORDED, {"id": "id"})
    assert verdict == Replace("flavor_profile changed")


def test_a_profile_with_a_name_of_ours_is_known_by_it() -> None:
    outcome = FlavorProfile().step(desired(provider_name="amphora", flavor_data="{}"), RECORDED, None)
    body = {"name": "web-n-x", "provider_name": "amphora", "flavor_data": "{}"}
    assert call(outcome) == ("POST", "/lbaas/flavorprofiles", {"flavorprofile": body})
    assert FlavorProfile().owned({"id": "1", "name": "web-n-x"}, RECORDED)


def test_a_profile_with_a_name_of_the_template_is_known_from_those_that_had_it_before() -> None:
    profile, wanted = AvailabilityZoneProfile(), desired(name="zone", provider_name="p", availability_zone_data="{}")
    look = sent(profile.step(wanted, RECORDED, None))
    assert look.request.method == "GET"
    seen = {look.into: {"availability_zone_profiles": [{"id": "1", "name": "zone"}, {"id": "2", "name": "else"}]}}
    outcome = sent(profile.step(wanted, RECORDED, seen))
    assert outcome.creates
    after = replace(RECORDED, data=outcome.remember)
    assert profile.owned({"id": "9", "name": "zone"}, after)
    assert not profile.owned({"id": "1", "name": "zone"}, after)
    assert not profile.owned({"id": "9", "name": "else"}, after)


def test_spaces_and_order_in_the_settings_of_a_profile_are_no_drift() -> None:
    wanted = desired(set(), name="a", flavor_data='{"a": 1, "b": 2}')
    assert FlavorProfile().drift(wanted, {"id": "1", "name": "a", "flavor_data": '{"b":2,"a":1}'}) == frozenset()
    assert FlavorProfile().drift(wanted, {"id": "1", "name": "a", "flavor_data": '{"b":3,"a":1}'}) == {"flavor_data"}


def test_the_name_of_a_zone_is_its_id() -> None:
    wanted = desired(name="zone", availability_zone_profile="p", description="")
    named = replace(RECORDED, data=AvailabilityZone().intent(wanted))
    assert AvailabilityZone().identity(named) == "zone"
    assert AvailabilityZone().identity(RECORDED) == "web-n-x"
    body = {"name": "zone", "availability_zone_profile_id": "p", "description": "kiln:token"}
    assert call(AvailabilityZone().step(wanted, named, None)) == (
        "POST",
        "/lbaas/availabilityzones",
        {"availability_zone": body},
    )
    assert AvailabilityZone().extract({"availability_zone": {"name": "zone"}}, named) == {"name": "zone"}
    assert AvailabilityZone().replacement(desired({"name"}, name="other"), named, {}) == Replace("name changed")
    verdict = AvailabilityZone().replacement(desired({"availability_zone_profile"}), named, {})
    assert verdict == Replace("availability_zone_profile changed", delete_first=True)


QUOTA = replace(RECORDED, data={"project": "p"}, physical_id="p")


def test_a_quota_sets_what_is_given_and_resets_what_is_not() -> None:
    assert Quota().identity(QUOTA) == "p"
    made = Quota().step(desired(project="p", member=7), QUOTA, None)
    assert call(made) == ("PUT", "/lbaas/quotas/p", {"quota": {"member": 7}})
    changed = Quota().step(desired({"pool", "member"}, project="p", member=9), QUOTA, {"member": 7, "pool": 3})
    assert call(changed) == ("PUT", "/lbaas/quotas/p", {"quota": {"member": 9, "pool": None}})
    assert Quota().step(desired({"member"}, project="p", member=9), QUOTA, {"member": 9}) == Ready(
        applies=frozenset({"member"})
    )
    assert call(Quota().step(None, QUOTA, {"member": 9})) == ("DELETE", "/lbaas/quotas/p", None)
    assert Quota().step(None, QUOTA, None) == Gone()


def test_a_quota_sees_what_others_set() -> None:
    wanted = desired(set(), project="p", member=7)
    assert Quota().drift(wanted, {"project_id": "p", "member": 7, "pool": 5}) == frozenset()
    assert Quota().drift(wanted, {"project_id": "p", "member": 8}) == {"member"}


@pytest.mark.parametrize(
    "body",
    [{"quotas": [{"project_id": "p", "member": 1}]}, {"quota": {"project_id": "p", "member": 1}}],
)
def test_a_quota_is_read_from_the_list_and_from_the_answer_to_a_change(body: dict[str, Any]) -> None:
    assert Quota().extract(body, QUOTA) == {"project_id": "p", "member": 1}
    assert Quota().extract({"quotas": []}, QUOTA) is None
