"""A plan as data and as text, without hidden values: for ``kiln plan`` and for StackChangeSets. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hot_translator import UNKNOWN
from hot_translator.loader import locate
from kiln.stack.shown_texts import Redacts, shown
from reconcilers.engine.action import Verb
from reconcilers.engine.comparison import Change
from reconcilers.engine.foresight import NO_CALLS
from reconcilers.engine.plan import Plan

LONGEST_VALUE: Final = 256
"""Characters of a value."""
HIDDEN: Final = "(hidden)"
LATER: Final = "(known later)"
SILENT: Final = frozenset({Verb.NONE, Verb.RECORD, Verb.REFER})
"""Verbs that a report only counts."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The size of a report. ``size`` is in characters of JSON."""

    changes: int = 20_000
    properties: int = 1_000
    calls: int = 1_000
    size: int = 64 << 20


UNLIMITED: Final = Limits()


def report(
    plan: Plan,
    redact: Redacts,
    *,
    paths: Mapping[str, str] | None = None,
    template: str | None = None,
    limits: Limits = UNLIMITED,
) -> dict[str, Any]:
    """``{counts, unchanged, changes, omitted}``. ``omitted`` is the number of changes beyond the limits.

    ``paths`` are the places of resources in the template, whose text is ``template``: for the numbers of lines.
    """
    named = [name for name, action in plan.actions.items() if action.verb not in SILENT]
    changes: list[dict[str, Any]] = []
    left = limits.size
    for name in named[: limits.changes]:
        change = _change(plan, name, redact, limits)
        line = locate(template, paths[name]) if template is not None and paths and name in paths else None
        if line is not None:
            change["line"] = line[0]
        left -= len(json.dumps(change))
        if left < 0:
            break
        changes.append(change)
    omitted = len(named) - len(changes)
    return {
        "counts": plan.counts(),
        "unchanged": sum(1 for action in plan.actions.values() if action.verb in {Verb.NONE, Verb.RECORD}),
        "changes": changes,
        **({"omitted": omitted} if omitted else {}),
    }


def _change(plan: Plan, name: str, redact: Redacts, limits: Limits) -> dict[str, Any]:
    action, calls = plan.actions[name], plan.calls.get(name, NO_CALLS)
    properties = [_property(one, redact) for one in plan.values.get(name, ())[: limits.properties]]
    listed = [shown(str(call), redact, LONGEST_VALUE) for call in calls.calls[: limits.calls]]
    more = len(calls.calls) > limits.calls or not calls.complete
    return {
        "resource": name,
        "type": plan.types[name],
        "action": str(action.verb),
        **({"why": shown(action.why, redact)} if action.why else {}),
        **({"properties": properties} if properties else {}),
        **({"drifted": sorted(action.drifted)[: limits.properties]} if action.drifted else {}),
        **({"knownLater": sorted(action.unknown)[: limits.properties]} if action.unknown else {}),
        **({"calls": listed} if listed else {}),
        **({"moreCalls": True} if more and action.changes else {}),
    }


def _property(change: Change, redact: Redacts) -> dict[str, Any]:
    """One property with its old and new value as texts; a value that is not given, or not known, is absent."""
    old, new = _text(change.old), _text(change.new)
    texts = [text for text in (old, new) if text is not None]
    if change.hidden or any(map(redact.holds, texts)):
        return {"name": change.name, "hidden": True}
    found = {"name": change.name}
    if old is not None and change.old is not UNKNOWN:
        found["old"] = shown(old, redact, LONGEST_VALUE)
    if new is not None:
        found["new"] = shown(new, redact, LONGEST_VALUE)
    return found


def _text(value: Any) -> str | None:
    """A value as a text: strings as they are, others as JSON. None if it is not given."""
    if value is None or isinstance(value, str):
        return value
    return LATER if value is UNKNOWN else json.dumps(_known(value), default=str, ensure_ascii=False)


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value]
    return LATER if value is UNKNOWN else value


def summary(counts: Mapping[str, int]) -> str:
    """``1 Create, 2 Update``."""
    return ", ".join(f"{count} {verb}" for verb, count in sorted(counts.items())) or "nothing to do"


# For people.

SIGNS: Final[Mapping[str, str]] = {
    "Create": " +",
    "Update": " ~",
    "Replace": "-+",
    "Recreate": "-+",
    "Delete": " -",
    "Undecided": " ?",
    "Refuse": " !",
}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a report for people: each change with its properties and requests, then the counts."""
    for change in found["changes"]:
        yield f"{SIGNS.get(change['action'], '  ')} {headline(change)}"
        yield from (f"      {line}" for line in _details(change))
    if found.get("omitted"):
        yield f"    and {found['omitted']} more"
    yield f"Plan: {summary(found['counts'])}"


def headline(change: Mapping[str, Any]) -> str:
    """``server (OS::Nova::Server): Update flavor (drifted: flavor)``."""
    names = [one["name"] for one in change.get("properties", ())]
    parts = [change["action"]]
    if names and change["action"] != Verb.CREATE:
        parts.append(", ".join(names))
    notes = [change["why"]] if change.get("why") else []
    if change.get("drifted"):
        notes.append(f"drifted: {', '.join(change['drifted'])}")
    if change.get("knownLater"):
        notes.append(f"known later: {', '.join(change['knownLater'])}")
    line = f", line {change['line']}" if "line" in change else ""
    told = " ".join(parts) + (f" ({'; '.join(notes)})" if notes else "")
    return f"{change['resource']} ({change['type']}{line}): {told}"


def _details(change: Mapping[str, Any]) -> Iterator[str]:
    for one in change.get("properties", ()):
        yield f"{one['name']}: {values(one, created=change['action'] == Verb.CREATE)}"
    for call in change.get("calls", ()):
        yield f"> {call}"
    if change.get("moreCalls"):
        yield "> and what follows from the answers"


def values(one: Mapping[str, Any], *, created: bool) -> str:
    """A property's old and new value in a line."""
    if one.get("hidden"):
        return HIDDEN
    new = one.get("new", "(not given)")
    return new if created else f"{one.get('old', '(unknown)')} -> {new}"


def diff(found: Mapping[str, Any], template: str | None = None) -> Iterator[str]:
    """The lines of a report in the form of a unified diff: a resource is a section, with its line of the template."""
    source: Sequence[str] = template.splitlines() if template is not None else ()
    for change in found["changes"]:
        name, number = change["resource"], change.get("line")
        before = "/dev/null" if change["action"] == Verb.CREATE else name
        after = "/dev/null" if change["action"] == Verb.DELETE else name
        yield f"--- {before}"
        yield f"+++ {after}"
        told = source[number - 1].strip() if number is not None and number <= len(source) else change["type"]
        yield f"@@ line {number if number is not None else '-'} @@ {told}"
        yield f" {headline(change)}"
        for one in change.get("properties", ()):
            if one.get("hidden"):
                yield f" {one['name']}: {HIDDEN}"
                continue
            yield from (f"-{one['name']}: {one['old']}" for _ in (0,) if "old" in one)
            yield from (f"+{one['name']}: {one['new']}" for _ in (0,) if "new" in one)
