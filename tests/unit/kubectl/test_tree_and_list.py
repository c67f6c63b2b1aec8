from harness.stack_views import BEFORE, NOW, READY, STALLED, WORKING, condition, graph, resource, stack, view

from kiln.kubectl import listing, tree
from kiln.kubectl.output import plain
from kiln.kubectl.session import CommandError
from kiln.kubectl.views import StackView


def shown(found: tree.Node, of: object) -> list[str]:
    header, _, *rows = tree.lines(of, found, NOW, plain)  # type: ignore[arg-type]
    return [line[: header.index("TYPE")].rstrip() for line in rows]


def test_members_of_groups_are_below_their_group() -> None:
    one = view(stack(READY), resource("net"), resource("group/0/port"), resource("group/1/port"))
    assert shown(tree.by_template(one), one) == [
        "├─ group",
        "│  ├─ 0",
        "│  │  └─ port",
        "│  └─ 1",
        "│     └─ port",
        "└─ net",
    ]


def test_by_need_each_resource_is_shown_once_below_what_needs_it() -> None:
    known = graph(net=[], subnet=["net"], port=["net", "subnet"])
    one = view(stack(READY), *map(resource, known.needs), known=known)
    assert shown(tree.by_need(one), one) == ["└─ port", "   ├─ net", "   └─ subnet"]


def test_by_need_a_circle_and_a_long_chain_end() -> None:
    chain = {f"r{i:04}": [f"r{i + 1:04}"] for i in range(3000)} | {"r3000": [], "a": ["b"], "b": ["a"]}
    one = view(stack(READY), *map(resource, chain), known=graph(**chain))
    rows = shown(tree.by_need(one), one)
    assert len(rows) == len(chain)


def test_what_is_not_begun_is_pending_and_says_what_it_waits_for() -> None:
    known = graph(net=[], subnet=["net"], port=["net", "subnet"])
    one = view(stack(*WORKING), resource("net"), resource("subnet", "Creating"), known=known)
    text = "\n".join(tree.lines(one, tree.by_template(one), NOW, plain))
    assert "port    OS::Neutron::Net  Pending" in text
    assert "waits for subnet" in text
    value = tree.as_value(one, tree.by_template(one))["resources"]
    assert value[1] == {"name": "port", "type": "OS::Neutron::Net", "state": "Pending", "waitsFor": ["subnet"]}


def test_a_replacement_is_shown_beside_what_it_replaces() -> None:
    one = view(
        stack(*WORKING), resource("net", physicalID="old"), resource("net", "Creating", serial=1, physicalID="new")
    )
    lines = tree.lines(one, tree.by_template(one), NOW, plain)
    assert "old" in lines[2]
    assert "(its replacement)" in lines[3]
    assert "new" in lines[3]
    assert tree.as_value(one, tree.by_template(one))["resources"][0]["replaces"] == ["old"]


def test_a_fault_is_in_the_line_of_its_resource() -> None:
    one = view(stack(*STALLED), resource("net", "Failed", fault="QuotaExceeded", message="no more networks"))
    assert "QuotaExceeded: no more networks" in tree.lines(one, tree.by_template(one), NOW, plain)[2]


def test_the_list_says_in_one_line_whether_it_is_done_and_if_not_why() -> None:
    done = view(stack(READY, lastOperation={"type": "Create", "result": "Succeeded"}, resources={"summary": "3/3"}))
    stalled = view(stack(*STALLED, name="bad"))
    unseen = view(stack(READY, name="new", generation=2, observed=1))
    lines = listing.lines([done, stalled, unseen], NOW, plain, namespaces=True)
    assert lines[0].split() == [
        "NAMESPACE",
        "NAME",
        "READY",
        "OPERATION",
        "RESULT",
        "RESOURCES",
        "DRIFT",
        "AGE",
        "MESSAGE",
    ]
    assert lines[1].split() == ["shop", "web", "True", "Create", "Succeeded", "3/3", "no", "1m"]
    assert "False" in lines[2]
    assert "InvalidProperty: resources.net" in lines[2]
    assert "Unknown" in lines[3]
    assert "has not seen the newest spec" in lines[3]
    assert listing.summary(unseen)["ready"] is False


def test_a_long_message_is_cut_unless_wide_is_asked_for() -> None:
    one = view(stack(condition("Ready", "False", "Conflict", "x" * 500)))
    assert len(listing.lines([one], NOW, plain, namespaces=False)[1]) < 200
    assert "x" * 500 in listing.lines([one], NOW, plain, namespaces=False, limit=None)[1]


def test_a_stack_without_any_status_is_listed() -> None:
    bare = {"metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1, "creationTimestamp": BEFORE}}
    assert "Unknown" in listing.lines([view(bare)], NOW, plain, namespaces=False)[1]
    assert tree.lines(view(bare), tree.by_template(view(bare)), NOW, plain)


def test_groups_and_nested_templates_show_their_type_and_how_many_are_ready() -> None:
    nested = [
        {"name": "group", "type": "OS::Heat::ResourceGroup", "depth": 0, "resources": "1/2"},
        {"name": "group/0", "type": "server.yaml", "depth": 1, "resources": "1/2", "failed": 1},
    ]
    one = view(stack(*STALLED, nested=nested), resource("group/0/net"), resource("group/0/port", "Failed"))
    rows = tree.lines(one, tree.by_template(one), NOW, plain)
    assert rows[2].split() == ["└─", "group", "OS::Heat::ResourceGroup", "1/2"]
    assert rows[3].split() == ["└─", "0", "server.yaml", "1/2"]
    value = tree.as_value(one, tree.by_template(one))["resources"][0]
    assert (value["type"], value["resources"]) == ("OS::Heat::ResourceGroup", "1/2")


class Cluster:
    """Answers for Stacks by name, as a session does."""

    def __init__(self, *views: StackView) -> None:
        self.views = {one.name: one for one in views}

    async def view(self, name: str) -> StackView:
        if name not in self.views:
            raise CommandError(f"there is no Stack {name}")
        return self.views[name]


async def test_resources_of_child_stacks_are_below_them_at_every_depth() -> None:
    outer = view(stack(READY, name="outer"), resource("mid", kind="OS::Heat::Stack", physicalID="mid-1"))
    mid = view(stack(READY, name="mid-1"), resource("low", kind="OS::Heat::Stack", physicalID="low-1"))
    low = view(stack(READY, name="low-1", resources={"summary": "1/1"}), resource("net"))
    foreign = view(stack(READY, name="other"), resource("secret"))
    for child, parent in ((mid, outer), (low, mid)):
        child.stack["metadata"]["uid"] = f"uid-{child.name}"  # type: ignore[index]
        owner = {"kind": "Stack", "uid": parent.stack["metadata"]["uid"]}
        child.stack["metadata"]["ownerReferences"] = [owner]  # type: ignore[index]
    session = Cluster(mid, low, foreign)
    found = await tree.with_children(session, outer, tree.by_template(outer))  # type: ignore[arg-type]
    assert shown(found, outer) == ["└─ mid", "   └─ low", "      └─ net"]
    stolen = view(stack(READY, name="outer"), resource("mid", kind="OS::Heat::Stack", physicalID="other"))
    found = await tree.with_children(session, stolen, tree.by_template(stolen))  # type: ignore[arg-type]
    assert shown(found, stolen) == ["└─ mid"]
