"""Compares how two sides went through one scenario, step by step."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lives.values import differences

FAILED = frozenset({"failed", "refused"})
EXPLAINED = Path(__file__).with_name("explained.yaml")
_MEMBER = re.compile(r"(?:^|(?<=/))[a-z0-9]{12}(?=/|$)")
"""The name of a member of an AutoScalingGroup."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: ``what`` is outcome, resource, change, state, live, output or left; ``where`` says of which.

    Of an outcome it says how it went on both sides, Heat first (failed/complete): what explains that Heat fails does
    not explain that Kiln does.
    """

    step: int
    what: str
    where: str
    heat: Any
    kiln: Any

    def __str__(self) -> str:
        at = f"step {self.step} {self.what} {self.where}".rstrip()
        return f"{at}\n      heat: {str(self.heat)[:300]}\n      kiln: {str(self.kiln)[:300]}"


def compared(heat: Sequence[Mapping[str, Any]], kiln: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """All differences. Where one side failed, what follows from that is not told again."""
    found: list[Difference] = []
    apart: set[str] = set()
    begun = False
    for number, (left, right) in enumerate(zip(heat, kiln, strict=False)):
        before, begun = begun, bool(left.get("begun") or right.get("begun"))
        if begun:
            continue
        outcomes = {left["outcome"], right["outcome"]}
        if len(outcomes) > 1 and not outcomes <= FAILED:
            told = [f"{side['outcome']}: {side['reason']}" for side in (left, right)]
            found.append(Difference(number, "outcome", f"{left['outcome']}/{right['outcome']}", *told))
        failed = bool(outcomes & FAILED)
        # Whether something was there already in the middle of the step before depends on the moment of that look.
        alike = {"none", "new", "same"} if before else {"none", "new"}
        for one in _of_resources(number, left, right, apart, alike):
            if failed:
                apart.add(one.where.split(" ")[0])
            else:
                found.append(one)
        if not failed:
            for what in ("outputs", "left"):
                seen = differences(left[what], right[what])
                found += [Difference(number, what, where, one, other) for where, one, other in seen]
    return found


def _of_resources(
    number: int, left: Mapping[str, Any], right: Mapping[str, Any], apart: set[str], alike: set[str]
) -> Iterator[Difference]:
    ours, theirs = _renamed(left["resources"]), _renamed(right["resources"])
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            only = one or other or {}
            if only["change"] != "none" or only["state"] == "ready":
                yield Difference(number, "resource", name, one and one["state"], other and other["state"])
            continue
        if one["state"] != other["state"]:
            yield Difference(number, "state", name, one["state"], other["state"])
        same = {one["change"], other["change"]} <= alike and one["state"] == other["state"] == "ready"
        if one["change"] != other["change"] and name not in apart and not same:
            yield Difference(number, "change", name, one["change"], other["change"])
        for where, value, another in differences(one["live"], other["live"]):
            yield Difference(number, "live", f"{name} {where}", value, another)


def _renamed(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Members of AutoScalingGroups in the order of what they are: each side has its own names for them."""

    def key(name: str) -> tuple[str, str]:
        row = {word: value for word, value in resources[name].items() if word != "id"}
        return _MEMBER.sub("*", name), json.dumps(row, sort_keys=True, default=str)

    found: dict[str, Any] = {}
    for name in sorted(resources, key=key):
        number = 0
        while (numbered := _MEMBER.sub(f"*{number}", name)) in found:
            number += 1
        found[numbered] = resources[name]
    return found


class Explanations:
    """Differences that docs/deviations.md explains: ``scenario``, ``what`` and ``where`` are patterns."""

    def __init__(self, path: Path = EXPLAINED) -> None:
        self._rows = yaml.safe_load(path.read_text()) or []

    def of(self, scenario: str, difference: Difference) -> str:
        """The words of deviations.md that explain the difference; empty if none do."""
        for row in self._rows:
            values = (scenario, difference.what, difference.where)
            patterns = (row.get("scenario", ".*"), row.get("what", ".*"), row.get("where", ".*"))
            if all(re.fullmatch(pattern, value) for pattern, value in zip(patterns, values, strict=True)):
                return str(row["because"])
        return ""

    def unfounded(self, deviations: str) -> list[str]:
        """Explanations that are not in the text of deviations.md."""
        text = " ".join(deviations.split())
        return [row["because"] for row in self._rows if " ".join(row["because"].split()) not in text]
