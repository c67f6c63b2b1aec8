"""The rows that have peers: the same graph made and unmade by each, one after the other in one run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.subject import Kiln
from benchmarks.table import Row, Wanted
from benchmarks.work import MEMBERS, Competitor, Taken, Work

_FASTER = Wanted("< 1 x", ratio=1.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``phases``: what is wanted beside the script. Calls are per unit of ``work.count``, seconds per all of it."""

    work: Work
    title: str
    phases: dict[str, Wanted]


def compare(kiln: Kiln, peers: Sequence[Competitor], comparison: Comparison, *, backwards: bool) -> Iterator[Row]:
    """A row for each phase and peer. Who comes first changes from run to run."""
    work = comparison.work
    taken: dict[str, dict[str, Taken]] = {}
    order: list[Competitor] = [*peers, kiln]
    kiln.warm()
    for competitor in reversed(order) if backwards else order:
        if not competitor.can(work):
            continue
        try:
            taken[competitor.name] = dict(competitor.life(work))
        except Exception as error:
            if competitor is kiln:
                raise
            print(f"{competitor.name} failed: {error}", flush=True)
    mine = taken.pop(kiln.name)
    for phase, wanted in comparison.phases.items():
        own = mine[phase]
        note = f"{(own.writes or 0) / work.size:.1f} kube writes a resource"
        title = f"{comparison.title}, {phase}"
        if "script" not in taken:
            yield Row(title, own.seconds, own.calls or 0, wanted, note=note)
        for name, phases in taken.items():
            peer = phases[phase]
            limit = wanted if name == "script" else _FASTER
            yield Row(title, own.seconds, own.calls or 0, limit, name, peer.seconds, peer.calls, note=note)


def networks(count: int) -> Comparison:
    """100 x (network, subnet, port)."""
    calls = int(3.1 * count)
    return Comparison(
        Work("networks", count),
        f"{count} x (network, subnet, port)",
        {
            "create": Wanted(f"<= 1.1 x, <= {calls} calls", ratio=1.1, calls=calls),
            "delete": Wanted("<= 1 x", ratio=1.0),
        },
    )


def servers(count: int, network: str) -> Comparison:
    """30 x (port, server) in a ResourceGroup."""
    calls = max(int(2.5 * count), 1)
    wanted = Wanted(f"<= 1.1 x, <= {calls} calls", ratio=1.1, calls=calls)
    return Comparison(
        Work("servers", count, network),
        f"{count} servers with ports in a ResourceGroup",
        {"create": wanted, "delete": wanted},
    )


def balancer(listeners: int) -> Comparison:
    """A load balancer with 10 listeners, 10 pools with monitors, and 100 members."""
    return Comparison(
        Work("balancer", listeners),
        f"a load balancer with {listeners} listeners, pools, monitors, and {MEMBERS * listeners} members",
        {"create": Wanted("<= 1 x", ratio=1.0), "delete": Wanted("<= 1.1 x", ratio=1.1)},
    )


def strings(count: int, seconds: float) -> Comparison:
    """500 RandomStrings."""
    wanted = Wanted(f"< {seconds:g} s", seconds=seconds)
    return Comparison(Work("strings", count), f"{count} RandomStrings", {"create": wanted})


def chain(count: int) -> Comparison:
    """50 networks, each after another."""
    wanted = Wanted("<= 1.15 x", ratio=1.15)
    return Comparison(
        Work("chain", count), f"chain of {count} networks (script: its calls one by one)", {"create": wanted}
    )
