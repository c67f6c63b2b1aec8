"""``kubectl stack history``: the revisions of a Stack, or what is in one."""

import argparse
import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from kiln.api.kinds import STACK_REVISIONS
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import LABEL_STACK, owner_uids
from kiln.kubectl import output
from kiln.kubectl.output import Cell, Paint, Style
from kiln.kubectl.session import CommandError, Session, add_output_option

DESCRIPTION = """List the revisions of a Stack: what it asked for, each time that it asked for something else.

  kubectl stack history web                        the list
  kubectl stack history web --revision 3           what revision 3 asked for
  kubectl stack history web --revision 3 --diff 2  how it differs from revision 2

Hidden values are in Secrets, and not shown."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack history``."""
    parser = commands.add_parser(
        "history", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("--revision", type=int, metavar="N", help="show this revision")
    parser.add_argument("--diff", type=int, metavar="M", help="how --revision (default: the newest) differs from M")
    add_output_option(parser)
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0; 1 if there is no such revision."""
    stack = await session.stack(arguments.stack)
    revisions = await load(session, stack)
    if arguments.diff is not None:
        newer = revisions[-1] if arguments.revision is None else numbered(revisions, arguments.revision)
        session.print(*_painted(difference(numbered(revisions, arguments.diff), newer), session.paint))
    elif arguments.revision is not None:
        found = content(numbered(revisions, arguments.revision))
        session.print_as("json" if arguments.output == "json" else "yaml", found)
    elif arguments.output != "table":
        session.print_as(arguments.output, [summary(one, stack) for one in revisions])
    else:
        session.print(*lines(revisions, stack, output.utc_now(), session.paint))
    return 0


async def load(session: Session, stack: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The StackRevisions of a Stack, oldest first. Raises CommandError if there is none."""
    selected = f"{LABEL_STACK}={stack['metadata']['name']}"
    found = await session.kube.list(STACK_REVISIONS, session.namespace, labels=selected)
    own = [one for one in found if stack["metadata"]["uid"] in owner_uids(one)]
    if not own:
        raise CommandError(f"the Stack {stack['metadata']['name']!r} has no revisions yet")
    return sorted(own, key=lambda one: int(one["spec"]["number"]))


def numbered(revisions: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
    """The revision with a number. Raises CommandError if there is none."""
    for one in revisions:
        if one["spec"]["number"] == number:
            return one
    there = ", ".join(str(one["spec"]["number"]) for one in revisions)
    raise CommandError(f"there is no revision {number}; there are: {there}")


_MARKS: Final = (("current_revision", "current"), ("target_revision", "target"), ("failed_revision", "failed"))


def marks(revision: Mapping[str, Any], stack: Mapping[str, Any]) -> list[str]:
    """What the Stack's status says of a revision: ``current`` (reached last), ``target``, ``failed``."""
    status, name = StackStatus.parse(stack), revision["metadata"]["name"]
    found = [word for field, word in _MARKS if getattr(status, field) == name]
    return [word for word in found if not (word == "target" and "current" in found)]


def lines(revisions: Sequence[Mapping[str, Any]], stack: Mapping[str, Any], now: datetime, paint: Paint) -> list[str]:
    """The table."""
    return output.table(
        ["REVISION", "NAME", "DEPLOYED", "STATUS", "AGE", "CHANGED"],
        (
            [
                str(one["spec"]["number"]),
                one["metadata"]["name"],
                Cell("yes", Style.GOOD) if (one.get("status") or {}).get("deployed") else Cell("no", Style.DIM),
                ", ".join(marks(one, stack)) or "-",
                output.age(one["metadata"].get("creationTimestamp"), now),
                ", ".join(changed(revisions[index - 1] if index else None, one)),
            ]
            for index, one in enumerate(revisions)
        ),
        paint,
    )


def changed(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """Which of its inputs a revision changed; parameters by name."""
    if before is None:
        return []
    old, new = before["spec"], now["spec"]
    found = []
    if old["templateBody"] != new["templateBody"]:
        found.append("template")
    found += [word for word in ("environments", "files") if (old.get(word) or {}) != (new.get(word) or {})]
    was, has = old.get("parameters") or {}, new.get("parameters") or {}
    found += [f"parameters.{name}" for name in sorted({*was, *has}) if was.get(name) != has.get(name)]
    return found or ["hidden values"]


def summary(revision: Mapping[str, Any], stack: Mapping[str, Any]) -> dict[str, Any]:
    """A revision in the list for programs."""
    status = revision.get("status") or {}
    return {
        "revision": revision["spec"]["number"],
        "name": revision["metadata"]["name"],
        "deployed": bool(status.get("deployed")),
        "deployedAt": status.get("deployedAt", ""),
        "status": marks(revision, stack),
        "created": revision["metadata"].get("creationTimestamp", ""),
    }


def content(revision: Mapping[str, Any]) -> dict[str, Any]:
    """What a revision asked for."""
    spec = revision["spec"]
    keys = (
        "templateBody",
        "environments",
        "files",
        "parameters",
        "hiddenParameters",
        "hiddenFiles",
        "hiddenEnvironments",
    )
    return {"revision": spec["number"], **{key: spec[key] for key in keys if spec.get(key)}}


def difference(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Iterator[str]:
    """Lines of a unified diff from one revision's inputs to another's."""
    texts = [
        output.as_yaml({key: value for key, value in content(one).items() if key != "revision"})
        for one in (older, newer)
    ]
    before, after = (f"revision {one['spec']['number']}" for one in (older, newer))
    return difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), before, after, lineterm="")


_SIGNS: Final = {"+": Style.GOOD, "-": Style.BAD, "@": Style.DIM}


def _painted(diff: Iterator[str], paint: Paint) -> Iterator[str]:
    for line in diff:
        yield paint(line, _SIGNS.get(line[:1], Style.PLAIN))
