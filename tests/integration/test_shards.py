"""Several replicas that work at the same time, and a change of their number in the middle of work."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.cloud import inventory
from harness.operator import Operator, eventually
from harness.project import CLOUD, Project
from harness.stacks import Namespace

from kiln.api.v1alpha1 import Key
from kiln.kube.shards import shard_of

pytestmark = pytest.mark.lifecycle

STACKS = 50
TEMPLATE = {"heat_template_version": "2021-04-16", "resources": {"net": {"type": "OS::Neutron::Net"}}}


@pytest.fixture
def replicas(space: Namespace, alone: None, tmp_path: Path) -> Iterator[dict[str, Operator]]:
    """Replicas by name: two of two shards, three of three."""
    made = {
        f"{shards}-{number}": Operator(
            tmp_path / f"{shards}-{number}",
            namespaces=(space.name,),
            arguments=("--shards", str(shards), "--log-format", "json"),
        )
        for shards in (2, 3)
        for number in range(shards)
    }
    yield made
    for name in ("2-0", "2-1"):  # the others do nothing as long as these work
        made[name].stop()
    space.close()
    for one in made.values():
        one.stop()


def works_from_to(operator: Operator) -> dict[str, tuple[str, str]]:
    """The first and the last time at which it logged something about each Stack."""
    times = defaultdict(list)
    for line in operator.log.read_text().splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            if "pass_id" in entry:
                times[entry["stack"]].append(entry["time"])
    return {stack: (min(found), max(found)) for stack, found in times.items()}


@pytest.mark.timeout(1200)
def test_from_two_to_three_shards_in_the_middle_of_fifty_stacks_nothing_is_lost_or_doubled(
    space: Namespace, project: Project, replicas: dict[str, Operator]
) -> None:
    names = [f"s{number}" for number in range(STACKS)]
    old = [one for name, one in replicas.items() if name.startswith("2")]
    new = [one for name, one in replicas.items() if name.startswith("3")]
    for one in old:
        one.start()
    eventually(lambda: all("Serving shard" in one.log.read_text() for one in old), 60)
    space.apply(
        *(
            {
                "apiVersion": "kiln.dev/v1alpha1",
                "kind": "Stack",
                "metadata": {"name": name, "namespace": space.name},
                "spec": {"cloudCredentialsRef": {"secretName": "openstack", "cloudName": CLOUD}, "template": TEMPLATE},
            }
            for name in names
        )
    )
    eventually(lambda: ready(space) > 3, 120)
    for one in new:
        one.start()
    for one in old:
        one.stop()
    done_by_old = ready(space)
    eventually(lambda: ready(space) == STACKS, 600, 1)
    assert done_by_old < STACKS, "all was done before the number changed"

    networks = set(inventory(project.connection())["networks"])
    recorded = {one["status"]["physicalID"] for one in space.get("stackresources")}
    assert len(networks) == STACKS
    assert recorded == networks

    # Each Stack was the business of the replica of its shard, and of none of the new ones before the old ones let go.
    before, after = [works_from_to(one) for one in old], [works_from_to(one) for one in new]
    for name in names:
        stack = f"{space.name}/{name}"
        for found, shards in ((before, 2), (after, 3)):
            assert sum(stack in one for one in found) <= 1, name
            served = [one for one in found if any(key.startswith(space.name) for key in one)]
            assert len(served) == shards
        ends = [one[stack][1] for one in before if stack in one]
        begins = [one[stack][0] for one in after if stack in one]
        assert not (ends and begins) or max(ends) <= min(begins), name
    for one in after:
        assert len({shard_of(Key(*stack.split("/")), 3) for stack in one}) == 1


def ready(space: Namespace) -> int:
    """How many Stacks are Ready."""
    return sum(
        condition["type"] == "Ready" and condition["status"] == "True"
        for stack in space.get("stacks")
        for condition in stack.get("status", {}).get("conditions", ())
    )
