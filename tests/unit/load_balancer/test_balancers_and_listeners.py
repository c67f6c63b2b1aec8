"""Load balancers and listeners: what is sent, what waits for what, when one is made anew or not deleted."""

from dataclasses import replace
from typing import Any

import pytest

from reconcilers.load_balancer.listener import Listener
from reconcilers.load_balancer.load_balancer import FAILED_OVER, LoadBalancer
from reconcilers.load_balancer.octavia import BalancerLane
from reconcilers.model import Desired, Failed, Fault, Gone, Outcome, Pause, Ready, Recorded, Replace, Send, Wait

RECORDED = Recorded(
    key="k",
    name="n",
    type="t",
    token="token",
    physical_name="web-n-x",
    physical_id="id",
    confirmed=True,
    state="Ready",
    stack="uid",
    data={"loadbalancer": "lb"},
)
NEW = replace(RECORDED, physical_id=None, confirmed=False, state="Creating")
BALANCER = {"id": "id", "provisioning_status": "ACTIVE", "listeners": [], "pools": [], "tags": ["kiln:token"]}
LISTENER = {"id": "id", "provisioning_status": "ACTIVE", "tags": ["kiln:token"]}


def desired(changed: set[str] | None = None, **properties: Any) -> Desired:
    return Desired("n", "web-n-x", properties, frozenset(properties if changed is None else changed))


def sent(outcome: Outcome) -> Send:
    assert isinstance(outcome, Send)
    return outcome


def call(outcome: Outcome) -> tuple[str, str, Any]:
    request = sent(outcome).request
    return request.method, request.path, request.body


def test_a_load_balancer_is_made_with_its_tags_and_without_a_lane() -> None:
    vips = [{"subnet": "s2", "ip_address": "2001:DB8::1"}]
    outcome = LoadBalancer().step(desired(vip_subnet="s1", flavor="f", additional_vips=vips), NEW, None)
    body = {
        "name": "web-n-x",
        "vip_subnet_id": "s1",
        "flavor_id": "f",
        "additional_vips": [{"subnet_id": "s2", "ip_address": "2001:db8::1"}],
        "tags": ["kiln:token", "kiln-stack:uid"],
    }
    assert call(outcome) == ("POST", "/lbaas/loadbalancers", {"loadbalancer": body})
    assert sent(outcome).request.lane is None


def test_it_is_waited_for_and_then_ready() -> None:
    wanted = desired(set(), vip_subnet="s1")
    assert LoadBalancer().step(wanted, RECORDED, {**BALANCER, "provisioning_status": "PENDING_CREATE"}) == Wait(
        "is PENDING_CREATE"
    )
    assert LoadBalancer().step(wanted, RECORDED, BALANCER) == Ready()


def test_a_change_is_sent_in_the_lane_of_the_load_balancer_itself() -> None:
    outcome = LoadBalancer().step(desired({"description"}, description="new"), RECORDED, BALANCER)
    assert call(outcome) == ("PUT", "/lbaas/loadbalancers/id", {"loadbalancer": {"description": "new"}})
    assert sent(outcome).request.lane == BalancerLane(path="/lbaas/loadbalancers/id", shown="loadbalancer")


def test_a_change_that_holds_already_costs_no_call() -> None:
    outcome = LoadBalancer().step(
        desired({"description"}, description="new"), RECORDED, {**BALANCER, "description": "new"}
    )
    assert outcome == Ready(applies=frozenset({"description"}))


def test_one_in_error_is_failed_over_once_and_then_made_anew() -> None:
    broken = {**BALANCER, "provisioning_status": "ERROR"}
    outcome = LoadBalancer().step(desired(set()), RECORDED, broken)
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.RESOURCE
    mending = LoadBalancer().mend(RECORDED, broken)
    assert mending is not None
    assert (mending.request.method, mending.request.path) == ("PUT", "/lbaas/loadbalancers/id/failover")
    assert mending.request.done == {403}  # a user who may not: then it is made anew
    after = replace(RECORDED, data={**RECORDED.data, **mending.remember})
    assert LoadBalancer().mend(after, broken) is None
    assert LoadBalancer().step(desired(set()), after, BALANCER) == Pause(0, "works again", {FAILED_OVER: ""})


def test_one_that_never_worked_is_not_failed_over() -> None:
    assert LoadBalancer().mend(replace(RECORDED, state="Creating"), BALANCER) is None


def test_it_is_deleted_by_itself_or_with_all_that_is_below_it() -> None:
    outcome = LoadBalancer().step(None, RECORDED, BALANCER)
    assert call(outcome) == ("DELETE", "/lbaas/loadbalancers/id", None)
    assert sent(outcome).request.params == {}
    parent = {**BALANCER, "pools": [{"id": "p"}]}
    look = sent(LoadBalancer().step(None, RECORDED, parent))
    assert (look.request.path, look.request.params) == ("/lbaas/pools", {"loadbalancer_id": "id"})
    seen = {**parent, look.into: {"pools": [{"id": "p", "tags": ["kiln:other", "kiln-stack:uid"]}]}}
    assert sent(LoadBalancer().step(None, RECORDED, seen)).request.params == {"cascade": "true"}


@pytest.mark.parametrize("tags", [[], ["kiln:other"], ["kiln:other", "kiln-stack:another"]])
def test_with_something_below_it_that_is_not_of_this_stack_it_is_not_deleted(tags: list[str]) -> None:
    seen = {**BALANCER, "listeners": [{"id": "l"}], "all listeners": {"listeners": [{"id": "l", "tags": tags}]}}
    outcome = LoadBalancer().step(None, RECORDED, seen)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "has listeners that this Stack did not make: l"


def test_while_it_is_deleted_it_is_waited_for_and_then_it_is_gone() -> None:
    leaving = {**BALANCER, "provisioning_status": "PENDING_DELETE"}
    assert LoadBalancer().step(None, RECORDED, leaving) == Wait("being deleted")
    assert LoadBalancer().step(None, RECORDED, None) == Gone()


def test_an_address_that_is_asked_for_is_free_only_when_the_old_load_balancer_is_gone() -> None:
    verdict = LoadBalancer().replacement(desired({"flavor"}, vip_address="10.0.0.9", flavor="f"), RECORDED, BALANCER)
    assert verdict == Replace("flavor changed", delete_first=True)
    verdict = LoadBalancer().replacement(desired({"flavor"}, flavor="f"), RECORDED, BALANCER)
    assert verdict == Replace("flavor changed", delete_first=False)


def test_a_listener_is_made_in_the_lane_of_its_load_balancer() -> None:
    refs = ["https://keys/containers/a"]
    wanted = desired(
        loadbalancer="lb",
        protocol="TERMINATED_HTTPS",
        protocol_port=443,
        default_tls_container_ref="https://keys/containers/b",
        sni_container_refs=refs,
    )
    assert Listener().intent(wanted) == {"loadbalancer": "lb"}
    outcome = Listener().step(wanted, NEW, None)
    body = {
        "name": "web-n-x",
        "loadbalancer_id": "lb",
        "protocol": "TERMINATED_HTTPS",
        "protocol_port": 443,
        "default_tls_container_ref": "https://keys/containers/b",
        "sni_container_refs": refs,
        "tags": ["kiln:token", "kiln-stack:uid"],
    }
    assert call(outcome) == ("POST", "/lbaas/listeners", {"listener": body})
    assert sent(outcome).request.lane == BalancerLane(path="/lbaas/loadbalancers/lb", shown="listener")


def test_what_a_listener_is_no_longer_given_goes_back_to_the_default() -> None:
    observed = {**LISTENER, "allowed_cidrs": ["10.0.0.0/8"], "sni_container_refs": ["a"], "default_pool_id": "p"}
    wanted = desired({"allowed_cidrs", "sni_container_refs", "default_pool"}, loadbalancer="lb", protocol="HTTP")
    body = {"allowed_cidrs": [], "sni_container_refs": [], "default_pool_id": None}
    assert call(Listener().step(wanted, RECORDED, observed)) == ("PUT", "/lbaas/listeners/id", {"listener": body})


def test_another_listener_can_have_the_port_only_when_the_old_one_is_gone() -> None:
    given = {"loadbalancer": "lb", "protocol": "TCP", "protocol_port": 80}
    verdict = Listener().replacement(desired({"protocol"}, **given), RECORDED, LISTENER)
    assert verdict == Replace("protocol changed", delete_first=True)
    verdict = Listener().replacement(desired({"protocol_port"}, **given), RECORDED, LISTENER)
    assert verdict == Replace("protocol_port changed", delete_first=False)


def test_a_listener_is_known_by_its_token_and_by_no_other() -> None:
    assert Listener().owned({"tags": ["blue", "kiln:token"]}, RECORDED)
    assert not Listener().owned({"tags": ["kiln:token2"]}, RECORDED)
    assert not Listener().owned({"tags": None}, RECORDED)
    assert Listener().token_of({"tags": ["blue", "kiln:token"]}) == "token"


def test_drift_is_what_differs_from_what_is_given() -> None:
    wanted = desired(set(), connection_limit=-1, allowed_cidrs=["10.0.0.0/8"], default_pool=None)
    observed = {**LISTENER, "name": "web-n-x", "connection_limit": -1, "allowed_cidrs": ["10.0.0.0/8"]}
    assert Listener().drift(wanted, {**observed, "default_pool_id": "theirs"}) == frozenset()
    assert Listener().drift(wanted, {**observed, "connection_limit": 5, "allowed_cidrs": None}) == {
        "connection_limit",
        "allowed_cidrs",
    }


def test_a_lane_is_found_by_climbing_from_policy_to_listener_to_load_balancer() -> None:
    lane = BalancerLane(path="/lbaas/l7policies/p")
    assert not lane.locks(lane.path)
    assert lane.above({"l7policy": {"id": "p", "listener_id": "l"}}) == "/lbaas/listeners/l"
    assert lane.above({"listener": {"id": "l", "loadbalancers": [{"id": "lb"}]}}) == "/lbaas/loadbalancers/lb"
    assert lane.locks("/lbaas/loadbalancers/lb")
    assert lane.condition({"loadbalancer": {"id": "lb", "provisioning_status": "PENDING_UPDATE"}}) == Wait(
        "has been PENDING_UPDATE"
    )
    failed = lane.condition({"loadbalancer": {"id": "lb", "provisioning_status": "ERROR"}})
    assert isinstance(failed, Failed)
    assert failed.fault is Fault.RESOURCE
