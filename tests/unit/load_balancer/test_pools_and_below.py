"""Pools, members, monitors, policies and rules."""

from dataclasses import replace
from typing import Any

import pytest

from reconcilers.load_balancer.health_monitor import HealthMonitor
from reconcilers.load_balancer.l7_policy import L7Policy
from reconcilers.load_balancer.l7_rule import L7Rule
from reconcilers.load_balancer.octavia import BalancerLane
from reconcilers.load_balancer.pool import Pool
from reconcilers.load_balancer.pool_member import TOGETHER, PoolMember
from reconcilers.model import Desired, Failed, Outcome, Ready, Recorded, Replace, Send

RECORDED = Recorded(
    key="k", name="n", type="t", token="token", physical_name="web-n-x", physical_id="id", confirmed=True, state="Ready"
)
ACTIVE = {"id": "id", "provisioning_status": "ACTIVE", "tags": ["kiln:token"]}


def recorded(*, new: bool = False, **data: str) -> Recorded:
    fresh = {"physical_id": None, "confirmed": False, "state": "Creating"} if new else {}
    return replace(RECORDED, data=data, **fresh)


def desired(changed: set[str] | None = None, **properties: Any) -> Desired:
    return Desired("n", "web-n-x", properties, frozenset(properties if changed is None else changed))


def sent(outcome: Outcome) -> Send:
    assert isinstance(outcome, Send)
    return outcome


def call(outcome: Outcome) -> tuple[str, str, Any]:
    request = sent(outcome).request
    return request.method, request.path, request.body


def lane(outcome: Outcome) -> str:
    found = sent(outcome).request.lane
    assert found is not None
    return found.path


def test_a_pool_by_its_listener_first_finds_the_load_balancer_and_remembers_it() -> None:
    wanted = desired(listener="li", protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    before = recorded(new=True, **Pool().intent(wanted))
    look = sent(Pool().step(wanted, before, None))
    assert (look.request.method, look.request.path, look.request.lane) == ("GET", "/lbaas/listeners/li", None)
    assert look.applies == {"listener", "protocol", "lb_algorithm"}  # an intent says what the creation will carry
    seen = {look.into: {"listener": {"id": "li", "loadbalancers": [{"id": "lb"}]}}}
    outcome = sent(Pool().step(wanted, before, seen))
    body = {
        "name": "web-n-x",
        "listener_id": "li",
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "tags": ["kiln:token"],
    }
    assert call(outcome) == ("POST", "/lbaas/pools", {"pool": body})
    assert outcome.remember == {"loadbalancer": "lb"}
    assert outcome.creates
    assert lane(outcome) == "/lbaas/loadbalancers/lb"


def test_a_pool_by_its_load_balancer_is_made_at_once() -> None:
    wanted = desired(loadbalancer="lb", protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    outcome = Pool().step(wanted, recorded(new=True, **Pool().intent(wanted)), None)
    assert call(outcome)[:2] == ("POST", "/lbaas/pools")


def test_a_session_persistence_is_compared_without_what_is_not_given() -> None:
    wanted = desired(set(), listener="li", session_persistence={"type": "SOURCE_IP", "cookie_name": None})
    shown = {"type": "SOURCE_IP", "cookie_name": None, "persistence_timeout": None}
    observed = {**ACTIVE, "name": "web-n-x", "session_persistence": shown}
    assert Pool().drift(wanted, observed) == frozenset()
    assert Pool().drift(wanted, {**observed, "session_persistence": {"type": "HTTP_COOKIE"}}) == {"session_persistence"}
    body = {"pool": {"session_persistence": None}}
    removed = Pool().step(desired({"session_persistence"}, listener="li"), recorded(loadbalancer="lb"), observed)
    assert call(removed) == ("PUT", "/lbaas/pools/id", body)


def test_the_default_pool_of_a_listener_goes_before_another_one_is_made() -> None:
    by_listener = desired({"protocol"}, listener="li", protocol="TCP")
    assert Pool().replacement(by_listener, RECORDED, ACTIVE) == Replace("protocol changed", delete_first=True)
    by_balancer = desired({"protocol"}, loadbalancer="lb", protocol="TCP")
    assert Pool().replacement(by_balancer, RECORDED, ACTIVE) == Replace("protocol changed", delete_first=False)


def test_a_member_lives_below_its_pool_and_goes_together_with_others() -> None:
    wanted = desired(pool="p", address="2001:DB8::5", protocol_port=80, subnet="s", tags=["blue"], weight=3)
    outcome = PoolMember().step(wanted, recorded(new=True, **PoolMember().intent(wanted)), None)
    body = {
        "address": "2001:db8::5",
        "protocol_port": 80,
        "subnet_id": "s",
        "tags": ["blue", "kiln:token"],
        "weight": 3,
    }
    assert call(outcome) == ("POST", "/lbaas/pools/p/members", {"member": body})
    assert sent(outcome).request.batch == TOGETHER
    assert lane(outcome) == "/lbaas/pools/p"
    gone = PoolMember().step(None, recorded(pool="p"), ACTIVE)
    assert call(gone) == ("DELETE", "/lbaas/pools/p/members/id", None)
    found = PoolMember().find(recorded(new=True, pool="p"))
    assert found is not None
    assert found.path == "/lbaas/pools/p/members"


def test_new_tags_of_a_member_keep_the_token_and_tags_of_ours_are_no_drift() -> None:
    observed = {**ACTIVE, "tags": ["blue", "kiln:token", "kiln-stack:uid"]}
    wanted = desired({"tags"}, pool="p", tags=["green"])
    body = {"member": {"tags": ["green", "kiln:token"]}}
    assert call(PoolMember().step(wanted, recorded(pool="p"), observed)) == ("PUT", "/lbaas/pools/p/members/id", body)
    assert PoolMember().drift(desired(set(), tags=["blue"]), observed) == frozenset()
    assert PoolMember().drift(desired(set(), tags=["red"]), observed) == {"tags"}
    none = desired({"tags"}, pool="p")
    body = {"member": {"tags": ["kiln:token"]}}
    assert call(PoolMember().step(none, recorded(pool="p"), observed)) == ("PUT", "/lbaas/pools/p/members/id", body)


def test_a_member_of_the_same_address_and_port_is_made_when_the_old_one_is_gone() -> None:
    given = {"pool": "p", "address": "10.0.0.5", "protocol_port": 80, "monitor_port": 81}
    verdict = PoolMember().replacement(desired({"monitor_port"}, **given), recorded(pool="p"), ACTIVE)
    assert verdict == Replace("monitor_port changed", delete_first=True)
    verdict = PoolMember().replacement(desired({"address"}, **given), recorded(pool="p"), ACTIVE)
    assert verdict == Replace("address changed", delete_first=False)


def test_a_monitor_goes_back_to_the_defaults_for_what_is_no_longer_given() -> None:
    observed = {**ACTIVE, "url_path": "/x", "delay": 5}
    outcome = HealthMonitor().step(desired({"url_path", "delay"}, delay=9), recorded(pool="p"), observed)
    body = {"healthmonitor": {"url_path": None, "delay": 9}}
    assert call(outcome) == ("PUT", "/lbaas/healthmonitors/id", body)
    assert sent(outcome).request.lane == BalancerLane(path="/lbaas/pools/p", shown="healthmonitor")
    verdict = HealthMonitor().replacement(desired({"type"}, pool="p", type="TCP"), recorded(pool="p"), ACTIVE)
    assert verdict == Replace("type changed", delete_first=True)


def test_a_policy_gets_its_new_target_and_no_empty_one() -> None:
    observed = {**ACTIVE, "action": "REDIRECT_TO_URL", "redirect_url": "http://a", "redirect_pool_id": None}
    wanted = desired({"action", "redirect_url", "redirect_pool"}, action="REDIRECT_TO_POOL", redirect_pool="p")
    body = {"l7policy": {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "p"}}
    assert call(L7Policy().step(wanted, recorded(listener="li"), observed)) == ("PUT", "/lbaas/l7policies/id", body)


def test_the_position_of_a_policy_is_no_drift() -> None:
    wanted = desired(set(), name="a", position=3.0, action="REJECT")
    assert L7Policy().drift(wanted, {**ACTIVE, "name": "a", "position": 1, "action": "REJECT"}) == frozenset()


def test_a_rule_lives_below_its_policy() -> None:
    wanted = desired(l7policy="po", type="PATH", compare_type="EQUAL_TO", value="/a")
    outcome = L7Rule().step(wanted, recorded(new=True, **L7Rule().intent(wanted)), None)
    body = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/a", "tags": ["kiln:token"]}
    assert call(outcome) == ("POST", "/lbaas/l7policies/po/rules", {"rule": body})
    assert lane(outcome) == "/lbaas/l7policies/po"


@pytest.mark.parametrize("rtype", [Pool(), PoolMember(), HealthMonitor(), L7Policy(), L7Rule()])
def test_one_in_error_is_to_be_made_anew(rtype: Any) -> None:
    given = {"listener": "x", "loadbalancer": "x", "pool": "x", "l7policy": "x", "action": "REJECT"}
    broken = {**ACTIVE, "provisioning_status": "ERROR"}
    outcome = rtype.step(desired(set(), **given), recorded(**given), broken)
    assert outcome == Failed("went to provisioning status ERROR")
    assert rtype.step(desired(set(), **given), recorded(**given), ACTIVE) == Ready()
