"""What goes along with something else is deleted by no call of its own, through all levels, and without circles."""

import random
from graphlib import TopologicalSorter

import pytest

from reconcilers.engine.cascade import deletion_order
from reconcilers.model import Recorded


def recorded(kind: str, name: str, *requires: str, **more: object) -> Recorded:
    fields = {"physical_id": f"id-{name}", "confirmed": True, "state": "Ready", **more}
    return Recorded(name, name, kind, f"token-{name}", name, requires=frozenset(requires), **fields)  # type: ignore[arg-type]


def tree(**more: object) -> dict[str, Recorded]:
    """A load balancer with one of each kind below it, by name."""
    made = (
        recorded("OS::Octavia::LoadBalancer", "lb", "subnet"),
        recorded("OS::Octavia::Listener", "listener", "lb", data={"loadbalancer": "id-lb"}),
        recorded("OS::Octavia::Pool", "pool", "listener", data={"loadbalancer": "id-lb", "listener": "id-listener"}),
        recorded("OS::Octavia::PoolMember", "member", "pool", "subnet", data={"pool": "id-pool"}),
        recorded("OS::Octavia::L7Policy", "policy", "listener", data={"listener": "id-listener"}),
        recorded("OS::Octavia::L7Rule", "rule", "policy", data={"l7policy": "id-policy"}),
        recorded("OS::Neutron::Subnet", "subnet"),
    )
    return {one.name: one for one in made} | {name: one for name, one in more.items() if isinstance(one, Recorded)}


def test_all_of_a_load_balancer_goes_with_it() -> None:
    parents, before = deletion_order(tree())
    assert parents == dict.fromkeys(("listener", "pool", "member", "policy", "rule"), "lb")
    assert before["lb"] == set()
    assert before["rule"] == {"lb"}
    assert before["subnet"] == {"lb", "member"}


def test_a_part_goes_with_the_topmost_of_it() -> None:
    going = {name: one for name, one in tree().items() if name not in ("lb", "subnet", "pool")}
    parents, _ = deletion_order(going)
    assert parents == {"policy": "listener", "rule": "listener"}, "members of a pool that stays go by themselves"


def test_what_stands_on_any_of_it_goes_before_the_load_balancer() -> None:
    alias = recorded("OS::Heat::Value", "value", "rule")
    _, before = deletion_order(tree(value=alias))
    assert before["lb"] == {"value"}


def test_what_would_close_a_circle_goes_by_itself() -> None:
    # The server knows the load balancer's address, and is a member of its pool.
    server = recorded("OS::Nova::Server", "server", "lb")
    member = recorded("OS::Octavia::PoolMember", "member", "pool", "server", data={"pool": "id-pool"})
    parents, before = deletion_order(tree(server=server, member=member))
    assert "member" not in parents
    assert parents["pool"] == "lb"
    assert before["server"] == {"member"}
    assert before["lb"] == {"server", "member"}


def test_what_is_kept_or_belongs_to_others_is_no_part_of_it() -> None:
    kept = recorded("OS::Octavia::Listener", "listener", "lb", data={"loadbalancer": "id-lb"}, retain=True)
    parents, _ = deletion_order(tree(listener=kept))
    assert "listener" not in parents
    assert parents["rule"] == "policy"
    others = recorded("OS::Octavia::LoadBalancer", "lb", "subnet", external=True)
    parents, _ = deletion_order(tree(lb=others))
    assert parents == {"policy": "listener", "rule": "listener", "member": "pool"}


def test_one_of_another_load_balancer_is_no_part_of_it() -> None:
    other = recorded("OS::Octavia::Listener", "listener", "lb", data={"loadbalancer": "id-of-another"})
    parents, _ = deletion_order(tree(listener=other))
    assert "listener" not in parents


def rules(*groups: str) -> dict[str, Recorded]:
    """Security groups in a ring, each letting the next one in by a rule of its own."""
    made = [recorded("OS::Neutron::SecurityGroup", group) for group in groups]
    for group, other in zip(groups, (*groups[1:], groups[0]), strict=True):
        data = {"security_group": f"id-{group}"}
        made.append(recorded("OS::Neutron::SecurityGroupRule", f"{group}-{other}", group, other, data=data))
    return {one.name: one for one in made}


@pytest.mark.parametrize("groups", ["ab", "abc", "abcdefgh"])
def test_groups_that_let_each_other_in_wait_for_each_other_in_no_circle(groups: str) -> None:
    going = rules(*groups)
    parents, before = deletion_order(going)
    order = list(TopologicalSorter(before).static_order())
    assert sorted(order) == sorted(going)
    assert len(parents) == len(groups) - 1, "one rule goes by itself, and the others with their groups"


@pytest.mark.parametrize("seed", range(60))
def test_no_order_has_a_circle_whatever_goes_along_with_what(seed: int) -> None:
    dice = random.Random(seed)
    networks = [recorded("OS::Neutron::Net", f"n{number}") for number in range(4)]
    made = list(networks)
    for number in range(14):
        owner = dice.choice(networks).name
        others = dice.sample([one.name for one in made], dice.randint(0, 3))
        data = {"network": f"id-{owner}"}
        kind = dice.choice(["OS::Neutron::Subnet", "OS::Heat::Value"])
        made.append(recorded(kind, f"x{number}", owner, *others, data=data))
    dice.shuffle(made)
    going = {one.key: one for one in made}
    parents, before = deletion_order(going)
    assert sorted(TopologicalSorter(before).static_order()) == sorted(going)
    assert all(parents[key] != key for key in parents)
