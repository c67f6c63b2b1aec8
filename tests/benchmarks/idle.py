"""Many small Stacks at rest: memory, writes, and how soon a restarted operator is at work."""

import time
from collections.abc import Iterator

from benchmarks.subject import Kiln
from benchmarks.table import Row, Wanted
from benchmarks.work import strings, template
from harness.operator import eventually

_WATCHED = 60
"""Seconds for which the operator is watched at rest."""
_RESYNC = 120
"""Seconds. Half of the Stacks are looked at while the operator is watched, and most are due when it starts again: as it
is with the default of ten minutes after a day."""
_MEMORY = 200


def idle(kiln: Kiln, count: int) -> Iterator[Row]:
    """``count`` Stacks of one RandomString."""
    names = [f"idle-{i}" for i in range(count)]

    def create() -> None:
        kiln.many(names, template(strings(1)), resyncInterval=f"{_RESYNC}s")
        eventually(lambda: kiln.metric("kiln_stacks", condition="Ready", status="True") == count, 1800, 1)

    # Resyncs go on all the time: there is no moment without a pass to wait for.
    created = kiln.taken(create, quiet=False)
    note = f"{(created.writes or 0) / count:.1f} kube writes a Stack"
    yield Row(f"{count} small Stacks, create", created.seconds, created.calls or 0, Wanted("works"), note=note)
    time.sleep(5)  # the last one's Event is written after its status
    before = kiln.memory()

    calls, changes, writes, cpu = kiln.calls(), kiln.changes(), kiln.writes(), kiln.cpu()
    passes = kiln.metric("kiln_passes_total")
    time.sleep(_WATCHED)
    writes, memory = kiln.writes() - writes, max(before, kiln.memory())
    looked = kiln.metric("kiln_passes_total") - passes
    yield Row(
        f"{count} small Stacks, {_WATCHED} s at rest, CPU",
        kiln.cpu() - cpu,
        kiln.calls() - calls,
        Wanted(f"0 writes, < {_MEMORY} MB"),
        held=writes == 0 and kiln.changes() == changes and memory < _MEMORY,
        note=f"{writes} writes, {memory:.0f} MB, {looked:.0f} passes",
    )

    kiln.operator.stop()
    # One Stack changes while nobody looks: the last one, so that the first come, first served would come late.
    kiln.many(names[-1:], template(strings(2)), resyncInterval=f"{_RESYNC}s")
    begun = time.monotonic()
    kiln.operator.start()
    eventually(kiln.ready, 120, 0.05)
    ready = time.monotonic() - begun
    kiln.wait(names[-1], 600)
    seconds = time.monotonic() - begun
    time.sleep(_WATCHED / 2)
    memory, calls = kiln.memory(), kiln.calls()
    yield Row(
        f"{count} small Stacks, restart until a changed one is Ready",
        seconds,
        calls,
        Wanted(f"< 10 s, < {_MEMORY} MB", seconds=10.0),
        held=memory < _MEMORY,
        note=f"readyz after {ready:.1f} s, {memory:.0f} MB",
    )

    def delete() -> None:
        kiln.space.kubectl("delete", "stacks", "--all", "--wait=false", timeout=1800)
        eventually(lambda: not kiln.space.kubectl("get", "stacks", "-o", "name").strip(), 1800, 2)

    deleted = kiln.taken(delete, quiet=False)
    note = f"{(deleted.writes or 0) / count:.1f} kube writes a Stack"
    yield Row(f"{count} small Stacks, delete", deleted.seconds, deleted.calls or 0, Wanted("works"), note=note)
