"""The progress of a Stack as lines for a terminal, and when a wait for it ends. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from kiln.api.v1alpha1 import Condition
from kiln.kubectl import output
from kiln.kubectl.output import Paint, Style
from kiln.kubectl.views import ResourceView, StackView
from reconcilers.cloud.limits import printable

BAR: Final = 30
"""Columns of the progress bar."""
MOST_NAMED: Final = 3
"""Resources that a line names."""
FAILED: Final = 1
TIMED_OUT: Final = 3


class Goal(StrEnum):
    """What is waited for."""

    READY = "ready"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The wait is over: exit code and message."""

    code: int
    message: str


def verdict(view: StackView | None, goal: Goal, uid: str) -> Verdict | None:
    """Whether the wait is over. ``view`` is None if there is no such Stack; ``uid`` is that of the awaited one."""
    gone = view is None or view.stack["metadata"]["uid"] != uid
    if goal is Goal.DELETED:
        if gone or view is None:
            return Verdict(0, "deleted")
        if view.deleting and _stalled(view):
            return Verdict(FAILED, f"cannot be deleted: {_said(view)}")
        return None
    if gone or view is None:
        return Verdict(FAILED, "was deleted")
    if view.deleting:
        return Verdict(FAILED, "is being deleted")
    if not view.observed:
        return None
    if view.status.is_true(Condition.READY):
        return Verdict(0, "ready")
    if view.status.is_true(Condition.PAUSED):
        return Verdict(FAILED, "is paused (spec.paused)")
    return Verdict(FAILED, f"stalled: {_said(view)}") if _stalled(view) else None


def _stalled(view: StackView) -> bool:
    return view.observed and view.status.is_true(Condition.STALLED)


def _said(view: StackView) -> str:
    return printable(f"{view.status.reason(Condition.READY)}: {view.status.message(Condition.READY)}")


def screen(view: StackView, now: datetime, paint: Paint, columns: int, rows: int) -> list[str]:
    """The lines of a live view, at most ``rows`` of at most ``columns``."""
    title = _title(view, now)
    lines = [paint(output.cut(title, columns), Style.STRONG), _bar(view, paint, columns)]
    if not view.observed:
        lines.append(paint("waiting for the operator to see the newest spec", Style.DIM))
    details = list(_details(view, now))
    room = max(1, rows - len(lines))
    shown = details if len(details) <= room else details[: room - 1]
    lines += [paint(output.cut(text, columns), style) for text, style in shown]
    if len(details) > len(shown):
        lines.append(paint(f"  ... and {len(details) - len(shown)} more", Style.DIM))
    return [line for line in lines if line][: max(1, rows)]


def _title(view: StackView, now: datetime) -> str:
    last = view.status.last_operation
    words = [f"{view.namespace}/{view.name}"]
    if last is not None and view.observed:
        words.append(f"{last.type} {last.result}")
        if last.running and last.started is not None:
            words.append(output.duration((now - last.started).total_seconds()))
    return "  ".join(words)


def _bar(view: StackView, paint: Paint, columns: int) -> str:
    counts = view.raw_status.get("resources") or {}
    total, ready = int(counts.get("total", 0)), int(counts.get("ready", 0))
    if view.deleting:
        total, ready = max(total, len(view.objects)), max(total, len(view.objects)) - len(view.objects)
    if not total:
        return ""
    failed = " ".join(f"{counts[word]} {word}" for word in ("changing", "failed") if counts.get(word))
    word = "gone" if view.deleting else "ready"
    text = output.cut(f" {ready}/{total} {word}  {failed}".rstrip(), columns)
    size = min(BAR, columns - len(text))
    full = size * ready // total
    return f"{paint('█' * full, Style.GOOD)}{'░' * (size - full)}{text}"


def _details(view: StackView, now: datetime) -> Iterator[tuple[str, Style]]:
    """A line for each resource at work, those with faults first, then one for each that waits."""
    busy = sorted((one for one in view.resources if not one.ready), key=lambda one: (not one.fault, one.name))
    for one in busy:
        yield _busy_line(view, one, now), Style.BAD if one.fault else Style.BUSY
    for name, needs in sorted(view.pending.items()):
        yield f"  · {name} ({view.type_of(name)}){_waits(needs)}", Style.DIM


def _busy_line(view: StackView, one: ResourceView, now: datetime) -> str:
    sign = "!" if one.fault else "~"
    what = ": ".join(word for word in (one.fault, one.message) if word)
    request = f" [{one.request_id}]" if one.fault and one.request_id and one.request_id not in one.message else ""
    if view.deleting and not one.fault and one.state != "Deleting":
        what = _waits(_dependants(view, one)).strip() or what
    text = f"  {sign} {one.name} ({one.type}) {one.state} {output.age(one.since, now)}"
    return printable(f"{text}  {what}{request}" if what else text)


def _dependants(view: StackView, one: ResourceView) -> frozenset[str]:
    """The resources that have to be gone before this one."""
    return frozenset(other.name for other in view.resources if one.name in other.needs)


def _waits(needs: frozenset[str]) -> str:
    names = sorted(needs)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f" waits for {', '.join(names[:MOST_NAMED])}{more}" if names else ""


def news(before: StackView | None, now: StackView, at: datetime) -> list[str]:
    """What changed between two views, a line each: for logs, where a live view makes no sense."""
    lines = []
    old = before.newest if before else {name: one for name, one in now.newest.items() if one.ready}
    for name, one in sorted(now.newest.items()):
        then = old.get(name)
        if then is None or (then.state, then.fault) != (one.state, one.fault):
            lines.append(_busy_line(now, one, at).strip() if not one.ready else f"{name} ({one.type}) Ready")
    there = now.newest.keys()
    lines += [f"{name} ({old[name].type}) gone" for name in sorted(old.keys() - there)]
    if now.observed and (before is None or not before.observed or _milestone(before) != _milestone(now)):
        lines.append(_said(now))
    return lines


def _milestone(view: StackView) -> tuple[str, str]:
    """What has to change for another line about the whole Stack. The message alone changes too often."""
    return view.status.reason(Condition.READY), str((view.raw_status.get("resources") or {}).get("summary"))
