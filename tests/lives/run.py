"""Runs sequences of updates through real Heat and through Kiln, and prints the differences that nothing explains.

    make lives                             # all scenarios: an hour or more, most of it in Heat
    make lives ONLY="rename-.* port-mac"   # those whose names match
    make lives RESULTS=folder              # what both sides showed, in a folder
    tests/lives/run.py FILE...             # scenarios of one's own

What Heat did is kept in the folder ``lives`` below KILN_HOME (default: ~/.cache/kiln), by the content of the scenario:
a second run goes through Kiln's side alone. ``--fresh`` asks Heat again. ``--at-once`` scenarios run beside each other,
each with projects and a namespace of its own.

A scenario is a file with ``name``, ``about``, ``admin`` (its user is an administrator) and ``steps``. A step has a
``template`` with ``parameters``, ``files``, ``environment`` and ``rollback``, or ``delete``; ``wait: false`` goes on
after ``sleep`` seconds; ``timeout`` is in seconds. Its ``call`` is done before: a request (service, method, path, json,
admin, save, undo), ``sleep``, or ``until`` a resource has an id. ``@S@`` becomes a word of the side, ``{res:PATH}`` the
id of a resource.

After each step both sides are compared: the outcome, the resources and whether they stayed or were replaced, the live
objects, the outputs, and what else is in the project. ``explained.yaml`` has what docs/deviations.md explains. Exit
code 1: something else differs, or a scenario could not be run.
"""

import argparse
import hashlib
import json
import os
import queue
import re
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
CACHE = Path(os.environ.get("KILN_HOME") or Path.home() / ".cache/kiln") / "lives"
FORMAT = 1
"""Of what a side notes: a higher number makes what was kept of Heat worthless."""

from harness import lab  # noqa: E402
from harness.operator import Operator  # noqa: E402
from harness.stacks import Namespace  # noqa: E402

from lives.compare import Difference, Explanations, compared  # noqa: E402
from lives.heat_side import Heat  # noqa: E402
from lives.kiln_side import Kiln  # noqa: E402
from lives.side import Home, Row  # noqa: E402


def scenarios(files: list[Path], only: str) -> Iterator[dict[str, Any]]:
    """The scenarios of these files whose names match one of the patterns in ``only``."""
    for file in files or sorted((HERE / "scenarios").glob("*.yaml")):
        scenario = {"name": file.stem, **yaml.safe_load(file.read_text())}
        if not only or any(re.fullmatch(pattern, scenario["name"]) for pattern in only.split()):
            yield scenario


class Lane:
    """Goes through one scenario after the other, in projects and a namespace of its own."""

    def __init__(self, number: int) -> None:
        self.space = Namespace()
        self._letter = "abcdefghijklmnopqrstuvwxyz"[number]
        self._homes: dict[tuple[str, bool], Home] = {}

    def _home(self, side: str, scenario: Mapping[str, Any]) -> Home:
        key = side, bool(scenario.get("admin"))
        if key not in self._homes:
            self._homes[key] = Home(admin=key[1])
        return self._homes[key]

    def heat(self, scenario: Mapping[str, Any]) -> list[Row]:
        """How Heat goes through it."""
        return Heat(scenario, self._home("heat", scenario), self._letter).run()

    def kiln(self, scenario: Mapping[str, Any]) -> list[Row]:
        """How Kiln goes through it."""
        home = self._home("kiln", scenario)
        self.space.credentials(home.project.clouds_yaml)
        return Kiln(scenario, home, self._letter, self.space).run()

    def close(self) -> None:
        """Delete the namespace and the projects."""
        self.space.close()
        for home in self._homes.values():
            home.close()


@contextmanager
def lanes(count: int) -> Iterator[list[Lane]]:
    """So many lanes, with an operator for all of them."""
    lab.environment()
    made = [Lane(number) for number in range(count)]
    try:
        with (
            tempfile.TemporaryDirectory() as directory,
            Operator(Path(directory), namespaces=tuple(lane.space.name for lane in made), arguments=("--no-lease",)),
        ):
            try:
                yield made
            finally:
                for lane in made:
                    lane.close()
    except BaseException:
        print("a lane was not cleaned up; see the projects test-* of the lab", file=sys.stderr)
        raise


def kept(scenario: Mapping[str, Any]) -> Path:
    """The file for what Heat did with exactly this scenario."""
    content = {key: value for key, value in scenario.items() if key not in ("name", "about")}
    text = json.dumps([FORMAT, content], sort_keys=True, default=str)
    return CACHE / f"{scenario['name']}.{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def both(lane: Lane, scenario: Mapping[str, Any], *, fresh: bool) -> tuple[list[Row], list[Row]]:
    """How Heat and Kiln go through a scenario, beside each other."""
    file = kept(scenario)
    if file.exists() and not fresh:
        return json.loads(file.read_text()), lane.kiln(scenario)
    with ThreadPoolExecutor(1) as other:
        heat = other.submit(lane.heat, scenario)
        kiln = lane.kiln(scenario)
    CACHE.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(heat.result(), indent=1, default=str))
    return json.loads(file.read_text()), kiln


def went(
    scenarios_: list[dict[str, Any]], made: list[Lane], *, fresh: bool
) -> Iterator[tuple[str, tuple[list[Row], list[Row]] | Exception]]:
    """The name of each scenario with how both sides went through it, as they end."""
    free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
    for lane in made:
        free.put(lane)

    def one(scenario: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
        lane = free.get()
        try:
            return both(lane, scenario, fresh=fresh)
        finally:
            free.put(lane)

    with ThreadPoolExecutor(len(made)) as pool:
        begun = {pool.submit(one, scenario): scenario["name"] for scenario in scenarios_}
        for future in as_completed(begun):
            failure = future.exception()
            if isinstance(failure, Exception):
                yield begun[future], failure
            else:
                yield begun[future], future.result()


def outcomes(heat: list[Row], kiln: list[Row]) -> Iterator[str]:
    """Of each step that was waited for: which side completed it."""
    for left, right in zip(heat, kiln, strict=False):
        if "begun" not in left:
            done = [side for side, row in (("heat", left), ("kiln", right)) if row["outcome"] in ("complete", "gone")]
            yield {2: "both", 1: f"only {done[0]}" if done else "", 0: "neither"}[len(done)]


def report(name: str, found: list[Difference], open_: list[Difference]) -> None:
    """Print how a scenario compares."""
    print(f"{name}: {'differs' if open_ else 'explained' if found else 'agrees'}", flush=True)
    for one in open_:
        print(f"    {one}", flush=True)


def main(arguments: list[str]) -> int:
    """Run the scenarios; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--only", default="", help="patterns of names, separated by spaces")
    parser.add_argument("--results", type=Path, help="a folder for the results")
    parser.add_argument("--fresh", action="store_true", help="ask Heat again, also where its result is kept")
    parser.add_argument("--at-once", type=int, default=4, help="scenarios beside each other (default: 4)")
    options = parser.parse_args(arguments)
    if options.results:
        options.results.mkdir(parents=True, exist_ok=True)
    wanted = list(scenarios(options.files, options.only))
    explanations, verdicts, steps = Explanations(), Counter[str](), Counter[str]()
    with lanes(max(1, min(options.at_once, len(wanted), 26))) as made:
        for name, result in went(wanted, made, fresh=options.fresh):
            if isinstance(result, Exception):
                verdicts["broken"] += 1
                print(f"{name}: broke", *traceback.format_exception(result), sep="\n    ", flush=True)
                continue
            if options.results:
                for side, rows in zip(("heat", "kiln"), result, strict=True):
                    file = options.results / f"{name}.{side}.json"
                    file.write_text(json.dumps(rows, indent=1, default=str))
            found = compared(*result)
            open_ = [one for one in found if not explanations.of(name, one)]
            verdicts["differing" if open_ else "explained" if found else "agreeing"] += 1
            steps.update(outcomes(*result))
            report(name, found, open_)
    print(
        f"{len(wanted)} scenarios: {verdicts['agreeing']} agree, {verdicts['explained']} differ as docs/deviations.md "
        f"says, {verdicts['differing']} differ otherwise, {verdicts['broken']} could not be run"
    )
    print(f"steps completed: {', '.join(f'{count} by {who}' for who, count in sorted(steps.items()))}")
    return 1 if verdicts["differing"] + verdicts["broken"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
