"""Chaos: kill or stop the operator at random instants while many Stacks live their lives; then count.

After each round (all Stacks are created, updated, replaced, broken, scaled or deleted while operators die) everything
in the project is listed: nothing may be left over, doubled or missing, what others made must be as it was, and every
Stack must have come to its goal without a hand. A seed tells the whole story of goals and kills; instants are real
time, so a run is repeated in kind and not to the microsecond.
"""

import argparse
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos.lives import KINDS, SHARED, Life, Names
from harness.cloud import Inventory, inventory
from harness.operator import Operator, eventually, install
from harness.project import CLOUD, Project
from harness.stacks import Namespace

TURNS = ("update", "replace", "fail", "scale", "update", "replace", "delete")
SETTLES = 240.0
"""Seconds after the last kill within which every Stack must be at its goal, on a machine that does nothing else."""
EVIDENCE = 12
"""Lines of an operator's log that are shown of a Stack that is not at its goal."""
UNNAMED = ("security_group_rules",)
VOLATILE = ("updated_at", "revision_number", "created_at")


class Chaos:
    """One run. ``verdict`` is what was found wrong: empty if all is well."""

    def __init__(self, seed: int, kills: int, stacks: int, directory: Path, settles: float = SETTLES) -> None:
        self.dice = random.Random(seed)
        self.seed, self.kills = seed, kills
        self.settles = settles
        self.done = 0
        self.directory = directory
        self.project = Project()
        self.cloud = self.project.connection()
        self.space = Namespace()
        self.space.credentials(self.project.clouds_yaml)
        self.lives = [
            Life(f"c{number:02}", KINDS[number % len(KINDS)], random.Random(f"{seed}/{number}"))
            for number in range(stacks)
        ]
        self.verdict: list[str] = []
        self.began = time.monotonic()
        self.replicas: list[Operator] = []

    def say(self, text: str) -> None:
        """A line with the time."""
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def run(self) -> bool:
        """All of it; whether all was well."""
        self.say(f"seed {self.seed}: {self.kills} kills, {len(self.lives)} stacks, project {self.project.name}")
        self.bystanders()
        self.before = inventory(self.cloud)
        try:
            number = 0
            while self.done < self.kills and not self.verdict:
                self.round(number, self.dice.randint(4, 8))
                number += 1
            self.last_round()
        finally:
            self.close()
        for line in self.verdict:
            self.say(f"WRONG: {line}")
        self.say(f"{'FAILED' if self.verdict else 'passed'}: seed {self.seed}, {self.done} kills and stops")
        return not self.verdict

    def bystanders(self) -> None:
        """What others made: with the names of ours, and in the same network."""
        network = self.cloud.network
        shared = network.create_network(name=SHARED)
        network.create_subnet(network_id=shared.id, cidr="172.16.0.0/22", ip_version=4, name="c00-subnet")
        for name in ("c00-net", "c01-net", "c04-net"):
            made = network.create_network(name=name)
            network.create_port(network_id=made.id, name=name.replace("net", "port"))
        network.create_port(network_id=shared.id, name="c00-guest")
        network.create_router(name="c00-router")
        network.create_security_group(name="c02-wall")
        self.cloud.block_storage.create_volume(name="c03-volume", size=1)

    # Rounds.

    def round(self, number: int, kills: int) -> None:
        """All Stacks take a turn while operators die."""
        kills = min(kills, self.kills - self.done)
        two = number % 3 == 2
        turn = TURNS[(number - 1) % len(TURNS)] if number else "create"
        turns = Counter(
            self.turn(life, self.dice.choice(TURNS[:-1]) if turn != "delete" and self.dice.random() < 0.3 else turn)
            for life in self.lives
            if number == 0 or self.dice.random() < 0.8
        )
        told = ", ".join(f"{count} x {what}" for what, count in sorted(turns.items()))
        self.say(f"round {number}: {told}; {kills} kills of {'one of two replicas' if two else 'the one replica'}")
        self.staff(2 if two else 1)
        for _ in range(kills):
            time.sleep(self.dice.uniform(0.3, 4.0))
            self.strike()
            if self.dice.random() < 0.25:
                life = self.dice.choice(self.lives)
                self.say(f"   meanwhile {life.name}: {self.turn(life, self.dice.choice(TURNS))}")
        self.settle()
        self.dismiss()

    def last_round(self) -> None:
        """Everything goes."""
        for life in self.lives:
            self.turn(life, "delete")
        self.say("the end: all stacks are deleted")
        self.staff(1)
        self.settle()
        with contextlib.suppress(TimeoutError):
            eventually(lambda: not self.space.get("stackresources"), 60)
        self.dismiss()
        left = self.space.get("stackresources")
        if left:
            self.verdict.append(f"StackResources are left: {[one['metadata']['name'] for one in left]}")

    def turn(self, life: Life, what: str) -> str:
        """One Stack's next goal goes to the API server."""
        before = life.goal
        what = life.next(what)
        if life.goal.exists:
            if what == "create":
                # Under the same name, maybe while the old one still goes.
                self.space.kubectl("wait", "--for=delete", f"stack/{life.name}", "--timeout=90s", check=False)
            policy = "Rollback" if life.goal.fails or self.dice.random() < 0.5 else "Retry"
            if life.goal.fails and not self._was_good(life):
                life.goal = before
                return "nothing"
            self.space.stack(life.name, life.template(), cloud=CLOUD, onFailure=policy)
        else:
            self.space.kubectl("delete", "stack", life.name, "--ignore-not-found", "--wait=false")
        return what

    def _was_good(self, life: Life) -> bool:
        """Whether there is a revision to go back to, and it is the one that must hold in the end."""
        return self.at_goal(life, life.good)

    # Operators.

    def staff(self, count: int) -> None:
        """Start so many replicas. One alone needs no Lease, and so is at work at once after its death."""
        alone = ("--no-lease",) if count == 1 else ()
        self.replicas = [
            Operator(self.directory / f"operator-{count}-{number}", namespaces=(self.space.name,), arguments=alone)
            for number in range(count)
        ]
        for replica in self.replicas:
            replica.start()

    def dismiss(self) -> None:
        """Stop them all, cleanly."""
        for replica in self.replicas:
            replica.stop()
        self.replicas = []

    def strike(self) -> None:
        """A kill, or a stop and a continuation, of one replica or of all."""
        self.keep()
        victims = self.replicas if self.dice.random() < 0.3 else [self.dice.choice(self.replicas)]
        names = " and ".join(str(self.replicas.index(one)) for one in victims)
        self.done += 1
        if self.dice.random() < 0.7:
            self.say(f"   kill {self.done}: SIGKILL of {names}")
            for one in victims:
                one.kill()
            time.sleep(self.dice.choice([0.0, 0.0, 0.5, 2.0]))
        else:
            # Longer than a Lease lasts, now and then: the other one leads meanwhile.
            seconds = self.dice.choice([0.5, 2.0, 5.0, 14.0 if len(self.replicas) > 1 else 3.0])
            self.say(f"   kill {self.done}: SIGSTOP of {names} for {seconds} s")
            for one in victims:
                one.send(signal.SIGSTOP)
            time.sleep(seconds)
            for one in victims:
                one.send(signal.SIGCONT)
        self.keep()

    def keep(self) -> None:
        """What Kubernetes would do: start again what has ended."""
        for replica in self.replicas:
            if not replica.running:
                replica.process = None
                replica.start()

    # Counting.

    def settle(self) -> None:
        """Wait until every Stack is at its goal, then compare with what the cloud shows."""
        end = time.monotonic() + self.settles
        waiting = list(self.lives)
        while waiting and time.monotonic() < end:
            self.keep()
            time.sleep(1.0)
            waiting = self.not_at_goal(waiting)
        for life in waiting:
            status = (self.space.get("stack", life.name) or {}).get("status", {})
            ready = [one for one in status.get("conditions", []) if one["type"] == "Ready"]
            self.verdict.append(f"{life.name} is not at its goal {life.goal}: {ready}")
            self.evidence(life)
        if not waiting:
            self.compare()

    def evidence(self, life: Life) -> None:
        """What is known of a Stack that is not at its goal: its records at work, and the operators' last words."""
        for one in self.space.get("stackresources"):
            state = one.get("status", {}).get("state", "Creating")
            if one["spec"]["stackName"] == life.name and state != "Ready":
                self.say(f"   {one['metadata']['name']}: {state}, {one.get('status', {}).get('message', '')}")
        for replica in self.replicas:
            lines = [line for line in replica.log.read_text().splitlines() if f"/{life.name}" in line]
            for line in lines[-EVIDENCE:]:
                self.say(f"   {replica.log.parent.name}: {line[:400]}")

    def not_at_goal(self, lives: Iterable[Life]) -> list[Life]:
        """Those that are not at their goals, from one listing."""
        found = {one["metadata"]["name"]: one for one in self.space.get("stacks")}
        return [life for life in lives if not reached(life, found.get(life.name))]

    def at_goal(self, life: Life, _goal: Any) -> bool:
        """Whether a Stack is at its goal now."""
        return reached(life, self.space.get("stack", life.name), good=True)

    def compare(self) -> None:
        """Nothing left over, doubled, missing or touched."""
        wrong = self.differences()
        if wrong:
            # A twin of which the operator knows is removed a little later.
            time.sleep(25)
            wrong = self.differences()
        self.verdict += wrong
        self.say(f"   settled; {sum(names.total() for names in self.wanted().values())} resources, {len(wrong)} wrong")

    def wanted(self) -> Names:
        """Names of all that the Stacks must have made, by kind."""
        wanted: Names = {}
        for life in self.lives:
            for kind, names in life.names().items():
                wanted[kind] = wanted.get(kind, Counter()) + names
        return wanted

    def differences(self) -> list[str]:
        """What is not as it must be."""
        now = inventory(self.cloud)
        wanted = self.wanted()
        lines = []
        for kind, items in now.items():
            if kind in UNNAMED:
                continue
            made = Counter(str(item["name"]) for key, item in items.items() if key not in self.before[kind])
            names = wanted.get(kind, Counter())
            lines += [f"{kind}: {count} x {name!r} too many" for name, count in (made - names).items()]
            lines += [f"{kind}: {count} x {name!r} missing" for name, count in (names - made).items()]
        return lines + list(touched(self.before, now))

    def close(self) -> None:
        """Leave nothing behind, unless something is wrong."""
        self.dismiss()
        if self.verdict:
            self.say(f"kept for a look: namespace {self.space.name}, project {self.project.name}, {self.directory}")
            return
        self.space.close()
        for server in self.cloud.compute.servers():
            self.cloud.compute.delete_server(server)
        for router in self.cloud.network.routers():
            self.cloud.network.delete_router(router)
        for port in self.cloud.network.ports():
            self.cloud.network.delete_port(port)
        for network in self.cloud.network.networks(project_id=self.project.id):
            self.cloud.network.delete_network(network)
        for wall in self.cloud.network.security_groups(project_id=self.project.id, name="c02-wall"):
            self.cloud.network.delete_security_group(wall)
        for volume in self.cloud.block_storage.volumes():
            self.cloud.block_storage.delete_volume(volume)
        self.project.close()


def reached(life: Life, stack: Any, *, good: bool = False) -> bool:
    """Whether a Stack says that it is at its goal; ``good``: at the last goal that does not fail."""
    goal = life.good if good else life.goal
    if not goal.exists or stack is None:
        return not goal.exists and stack is None
    status = stack.get("status", {})
    if status.get("observedGeneration") != stack["metadata"]["generation"] or "deletionTimestamp" in stack["metadata"]:
        return False
    ready = next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})
    return bool(ready.get("reason") == "RolledBack") if goal.fails else bool(ready.get("status") == "True")


def touched(before: Inventory, now: Inventory) -> Iterable[str]:
    """What was there before, and is gone or changed."""
    for kind, items in before.items():
        for key, item in items.items():
            held = now[kind].get(key)
            if held is None:
                yield f"{kind}: {item.get('name')!r} of others is gone"
            else:
                changed = [name for name, value in item.items() if held.get(name) != value and name not in VOLATILE]
                if changed and kind not in {"subnets", "networks", "volumes", "security_groups"}:
                    yield f"{kind}: {item.get('name')!r} of others is changed: {', '.join(changed)}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many kills and stops")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of goals, victims and pauses")
    parser.add_argument("--stacks", type=int, default=20, help="how many Stacks live at one time")
    parser.add_argument("--settles", type=float, default=SETTLES, help="seconds until all are at their goals")
    given = parser.parse_args()
    install()
    directory = Path(tempfile.mkdtemp(prefix="kiln-chaos-"))
    return 0 if Chaos(given.seed, given.kills, given.stacks, directory, given.settles).run() else 1


if __name__ == "__main__":
    sys.exit(main())
