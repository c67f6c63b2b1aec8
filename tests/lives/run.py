"""Runs sequences of updates through real Heat and through Kiln, and prints the differences that nothing explains.

    make lives                             # all scenarios: hours
    make lives ONLY="rename-.* port-mac"   # those whose names match
    make lives RESULTS=folder              # keep results there, and take those of Heat from there
    tests/lives/run.py FILE...             # scenarios of one's own

A scenario is a file with ``name``, ``about``, ``admin`` (its user is an administrator) and ``steps``. A step has a
``template`` with ``parameters``, ``files``, ``environment`` and ``rollback``, or ``delete``; ``wait: false`` goes on
after ``sleep`` seconds; ``timeout`` is in seconds. Its ``call`` is done before: a request (service, method, path, json,
admin, save, undo), ``sleep``, or ``until`` a resource has an id. ``@S@`` becomes a word of the side, ``{res:PATH}`` the
id of a resource.

After each step both sides are compared: the outcome, the resources and whether they stayed or were replaced, the live
objects, the outputs, and what else is in the project. ``explained.yaml`` has what docs/deviations.md explains. Exit
code 1: something else differs.
"""

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from harness.operator import Operator  # noqa: E402
from harness.stacks import Namespace  # noqa: E402

from lives.compare import Explanations, compared  # noqa: E402
from lives.heat import Heat  # noqa: E402
from lives.kiln import Kiln  # noqa: E402
from lives.side import Home, Row  # noqa: E402


def scenarios(files: list[Path], only: str) -> Iterator[dict[str, Any]]:
    """The scenarios of these files whose names match one of the patterns in ``only``."""
    for file in files or sorted((HERE / "scenarios").glob("*.yaml")):
        scenario = {"name": file.stem, **yaml.safe_load(file.read_text())}
        if not only or any(re.fullmatch(pattern, scenario["name"]) for pattern in only.split()):
            yield scenario


class Sides:
    """Makes the sides of scenarios, each in a home of its own that serves all of them."""

    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._homes: dict[tuple[str, bool], Home] = {}

    def home(self, side: str, scenario: Mapping[str, Any]) -> Home:
        key = side, bool(scenario.get("admin"))
        if key not in self._homes:
            self._homes[key] = Home(admin=key[1])
        return self._homes[key]

    def heat(self, scenario: Mapping[str, Any]) -> list[Row]:
        return Heat(scenario, self.home("heat", scenario)).run()

    def kiln(self, scenario: Mapping[str, Any]) -> list[Row]:
        home = self.home("kiln", scenario)
        self._space.credentials(home.project.clouds_yaml)
        return Kiln(scenario, home, self._space).run()

    def close(self) -> None:
        for home in self._homes.values():
            home.close()


@contextmanager
def place() -> Iterator[Sides]:
    """A namespace with an operator for it, and projects; all of it goes at the end."""
    with tempfile.TemporaryDirectory() as directory:
        space = Namespace()
        sides = Sides(space)
        with Operator(Path(directory), namespaces=(space.name,), arguments=("--no-lease",)):
            try:
                yield sides
            finally:
                space.close()
                sides.close()


def result_of(
    side: str, scenario: Mapping[str, Any], run: Callable[[Mapping[str, Any]], list[Row]], kept: Path | None
) -> list[Row]:
    """How a side went through a scenario; Heat's result is taken from ``kept`` if it is there."""
    file = kept / f"{scenario['name']}.{side}.json" if kept else None
    if file is not None and side == "heat" and file.exists():
        found: list[Row] = json.loads(file.read_text())
        return found
    rows = run(scenario)
    if file is not None:
        file.write_text(json.dumps(rows, indent=1, default=str))
    return rows


def main(arguments: list[str]) -> int:
    """Run the scenarios; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--only", default="", help="patterns of names, separated by spaces")
    parser.add_argument("--results", type=Path, help="a folder for the results")
    options = parser.parse_args(arguments)
    if options.results:
        options.results.mkdir(parents=True, exist_ok=True)
    explanations, counted = Explanations(), Counter[str]()
    with place() as sides:
        for scenario in scenarios(options.files, options.only):
            name = scenario["name"]
            heat = result_of("heat", scenario, sides.heat, options.results)
            kiln = result_of("kiln", scenario, sides.kiln, options.results)
            found = compared(heat, kiln)
            open_ = [one for one in found if not explanations.of(name, one)]
            counted.update(scenarios=1, steps=len(heat), differing=bool(open_), explained=bool(found) and not open_)
            print(f"{name}: {'differs' if open_ else 'explained' if found else 'agrees'}", flush=True)
            for one in open_:
                print(f"    {one}", flush=True)
    agreeing = counted["scenarios"] - counted["differing"] - counted["explained"]
    print(
        f"{counted['scenarios']} scenarios, {counted['steps']} steps: {agreeing} agree, {counted['explained']} differ "
        f"as docs/deviations.md says, {counted['differing']} differ otherwise"
    )
    return 1 if counted["differing"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
