"""Large Stacks: what a pass over one at rest costs, and what one change among a thousand resources does."""

import copy
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.subject import Kiln
from benchmarks.table import Row, Wanted
from benchmarks.work import mixed, template
from harness.operator import eventually

_OWN = 10
"""Calls that one server's repair may take besides those of two passes: its creation and looks at it."""


def large(kiln: Kiln, connection: Any, sizes: Sequence[int]) -> Iterator[Row]:
    """Stacks of these sizes; the last is also updated, damaged and repaired. Of each kind there is one at least."""
    first: int | None = None
    for size in sizes:
        name, resources = f"bench-large{size}", mixed(size)
        created = kiln.create(name, template(resources))
        cpu, resynced = kiln.resync(name)
        calls = resynced.calls or 0
        first = calls if first is None else first
        last = size == sizes[-1]
        if last:
            note = f"{(created.writes or 0) / size:.1f} kube writes a resource"
            there = _ports(connection) == (size - 1) // 3
            yield Row(
                f"one Stack of {size} resources, create",
                created.seconds,
                created.calls or 0,
                _WORKS,
                held=there,
                note=note,
            )
        yield Row(
            f"no-op resync of {size} resources, CPU",
            cpu,
            calls,
            Wanted("< 1 s CPU, the same calls for each size", seconds=1.0),
            held=calls == first and not resynced.writes,
            note=f"{resynced.seconds:.1f} s in all, {resynced.writes} kube writes",
        )
        if last:
            yield _update(kiln, name, resources, calls)
            yield _drift(kiln, connection, name, size, calls)
        deleted = kiln.delete(name)
        if last:
            note = f"{(deleted.writes or 0) / size:.1f} kube writes a resource"
            yield Row(
                f"one Stack of {size} resources, delete",
                deleted.seconds,
                deleted.calls or 0,
                _WORKS,
                held=_ports(connection) == 0,
                note=note,
            )


_WORKS = Wanted("works")


def _update(kiln: Kiln, name: str, resources: dict[str, Any], resync: int) -> Row:
    changed = copy.deepcopy(resources)
    changed["net0"]["properties"] = {"name": "renamed"}
    changes = kiln.changes()
    updated = kiln.create(name, template(changed))
    resources.update(changed)
    made = kiln.changes() - changes
    return Row(
        f"one Stack of {len(resources)} resources, update of one property",
        updated.seconds,
        updated.calls or 0,
        Wanted("the calls of one resource", calls=resync + 3),
        held=made == 1,
        note=f"{made} changing call; a no-op resync has {resync} calls",
    )


def _drift(kiln: Kiln, connection: Any, name: str, size: int, resync: int) -> Row:
    (old,) = _servers(connection)
    connection.compute.delete(f"/servers/{old}")
    eventually(lambda: old not in _servers(connection))
    time.sleep(1)
    changes = kiln.changes()

    def repair() -> None:
        kiln.space.resync(name)
        eventually(lambda: "ACTIVE" in _servers(connection).values(), 300, 0.25)
        kiln.wait(name)

    repaired = kiln.taken(repair)
    made = kiln.changes() - changes
    return Row(
        f"a server deleted by hand among {size} resources, repaired",
        repaired.seconds,
        repaired.calls or 0,
        Wanted("in a resync, no calls for the others", calls=2 * resync + _OWN),
        held=made == 1,
        note=f"{made} changing call; a no-op resync has {resync} calls",
    )


def _servers(connection: Any) -> dict[str, str]:
    """Statuses by id."""
    return {one["id"]: one["status"] for one in connection.compute.get("/servers/detail").json()["servers"]}


def _ports(connection: Any) -> int:
    """How many ports with a Stack's address there are; those of the networks' own services do not count."""
    project = connection.session.get_project_id()
    ports = connection.network.get("/ports", params={"project_id": project}).json()["ports"]
    return sum(1 for port in ports if not port["device_owner"].startswith("network:"))
