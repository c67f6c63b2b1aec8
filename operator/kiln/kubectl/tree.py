"""``kubectl stack tree``: a Stack's resources as a tree."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kiln.api.v1alpha1 import owner_uids
from kiln.kubectl import output
from kiln.kubectl.output import Cell, Paint, Style
from kiln.kubectl.session import CommandError, Session, add_output_option
from kiln.kubectl.views import ResourceView, StackView, ready_cell, state_cell

DESCRIPTION = """Show a Stack's resources as a tree.

By template (the default): members of groups and of nested templates are below the resource that has them, and the
resources of a child Stack (OS::Heat::Stack) below it.
By need (--by need): below each resource are those that it needs; what was shown before is not repeated.
Resources that are not begun are Pending, with what they wait for."""

DEEPEST: Final = 50
"""Levels of the tree by need."""
DEEPEST_CHILD: Final = 5
"""Levels of child Stacks."""
CHILD_TYPE: Final = "OS::Heat::Stack"


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack tree``."""
    parser = commands.add_parser(
        "tree", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument("--by", choices=("template", "need"), default="template")
    add_output_option(parser)
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0."""
    view = await session.view(arguments.stack)
    root = by_need(view) if arguments.by == "need" else await with_children(session, view, by_template(view))
    if arguments.output == "table":
        session.print(*lines(view, root, output.utc_now(), session.paint))
    else:
        session.print_as(arguments.output, as_value(view, root))
    return 0


async def with_children(session: Session, view: StackView, root: "Node", depth: int = 1) -> "Node":
    """The tree with the resources of child Stacks below those that they are."""
    uid = view.stack["metadata"]["uid"]
    for node in _descendants(root) if depth <= DEEPEST_CHILD else ():
        newest = node.resources[-1] if node.resources else None
        if newest is None or newest.type != CHILD_TYPE or not newest.physical_id:
            continue
        try:
            child = await session.view(newest.physical_id)
        except CommandError:
            continue  # it is not made yet, or gone
        if uid in owner_uids(child.stack):
            below = await with_children(session, child, by_template(child), depth + 1)
            node.children += below.children
            node.summary = node.summary or below.summary
    return root


def _descendants(node: "Node") -> list["Node"]:
    return [one for child in node.children for one in (child, *_descendants(child))]


@dataclass(slots=True)
class Node:
    """A name with what is below it. ``resources``: the StackResources of the name; two during a replacement."""

    label: str
    name: str = ""
    resources: tuple[ResourceView, ...] = ()
    waits_for: frozenset[str] | None = None
    """What a resource that is not begun waits for; None if it was begun."""
    children: list["Node"] = field(default_factory=list)
    type: str = ""
    """The type of a resource that is not begun, of a group, or of a nested template."""
    summary: str = ""
    """Of a group, nested template or child Stack: ready and total of the resources below it."""


def by_template(view: StackView) -> Node:
    """Paths with slashes as a tree."""
    root = Node(view.name, summary=str((view.raw_status.get("resources") or {}).get("summary", "")))
    nodes: dict[str, Node] = {"": root}
    for name, resources, waits_for in _all(view):
        node = _node(nodes, name)
        node.name, node.resources, node.waits_for, node.type = name, resources, waits_for, view.type_of(name)
    for one in view.raw_status.get("nested") or ():
        if found := nodes.get(str(one.get("name"))):
            found.type, found.summary = str(one.get("type", "")), str(one.get("resources", ""))
    return root


def _node(nodes: dict[str, Node], path: str) -> Node:
    if path not in nodes:
        parent, _, label = path.rpartition("/")
        nodes[path] = Node(label)
        _node(nodes, parent).children.append(nodes[path])
    return nodes[path]


def by_need(view: StackView) -> Node:
    """Resources that nothing needs, with what they need below. Each is shown once, in chains of at most ``DEEPEST``."""
    found = {name: (resources, waits_for) for name, resources, waits_for in _all(view)}
    needs = {name: sorted(view.needs_of(name) & found.keys()) for name in found}
    needed = {other for names in needs.values() for other in names}
    shown: set[str] = set()

    def node(name: str, depth: int = 1) -> Node:
        shown.add(name)
        made = Node(name, name, *found[name], type=view.type_of(name))
        for other in needs[name] if depth < DEEPEST else ():
            if other not in shown:
                made.children.append(node(other, depth + 1))
        return made

    tops = [name for name in sorted(found) if name not in needed]
    root = Node(view.name, children=[node(name) for name in tops])
    for name in sorted(found):
        if name not in shown:  # a circle, or what follows in a long chain
            root.children.append(node(name))
    return root


def _all(view: StackView) -> Iterator[tuple[str, tuple[ResourceView, ...], frozenset[str] | None]]:
    """All names in order, each with its resources, or with what it waits for."""
    there: dict[str, list[ResourceView]] = {}
    for one in view.resources:
        there.setdefault(one.name, []).append(one)
    pending = view.pending
    for name in sorted({*there, *pending}):
        yield name, tuple(there.get(name, ())), None if name in there else pending[name]


def lines(view: StackView, root: Node, now: datetime, paint: Paint) -> list[str]:
    """The tree as a table: names with branches, then types, states, ids, ages and messages."""
    status = view.status
    summary = str((view.raw_status.get("resources") or {}).get("summary", ""))
    ready = ready_cell(status)
    rows: list[list[Cell | str]] = [
        [Cell(f"Stack/{view.name}", Style.STRONG), "", Cell(f"Ready={ready.text}", ready.style), summary, "", ""]
    ]
    rows += list(_rows(root, "", now))
    return output.table(["NAME", "TYPE", "STATE", "ID", "AGE", "MESSAGE"], rows, paint)


def _rows(node: Node, indent: str, now: datetime) -> Iterator[list[Cell | str]]:
    for child in node.children:
        last = child is node.children[-1]
        branch = indent + ("└─ " if last else "├─ ") + child.label
        below = indent + ("   " if last else "│  ")
        if child.waits_for is not None:
            waits = f"waits for {', '.join(sorted(child.waits_for))}" if child.waits_for else ""
            yield [branch, child.type, Cell("Pending", Style.DIM), "", "", waits]
        elif not child.resources:
            yield [branch, child.type, child.summary, "", "", ""]
        for index, one in enumerate(child.resources):
            label = branch if index == 0 else f"{below}(its replacement)"
            yield [label, one.type, state_cell(one), one.physical_id, output.age(one.created, now), _message(one)]
        yield from _rows(child, below, now)


def _message(one: ResourceView) -> str:
    if one.ready:
        return ""
    return ": ".join(word for word in (one.fault, one.message) if word)


def as_value(view: StackView, root: Node) -> dict[str, Any]:
    """The tree for programs."""
    return {"stack": view.name, "namespace": view.namespace, "resources": [_value(one) for one in root.children]}


def _value(node: Node) -> Mapping[str, Any]:
    value: dict[str, Any] = {"name": node.name or node.label}
    if node.waits_for is not None:
        value |= {"type": node.type, "state": "Pending", "waitsFor": sorted(node.waits_for)}
    elif node.resources:
        newest = node.resources[-1]
        value |= {"type": newest.type, "state": newest.state, "id": newest.physical_id}
        value |= {key: text for key, text in (("fault", newest.fault), ("message", newest.message)) if text}
        if len(node.resources) > 1:
            value["replaces"] = [one.physical_id for one in node.resources[:-1]]
    elif node.type:
        value["type"] = node.type
    if node.summary:
        value["resources"] = node.summary
    if node.children:
        value["children"] = [_value(one) for one in node.children]
    return value
