"""Commands with the one in-memory API server: what they print, what they write, and how they end."""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from harness.fake_kube import FakeKube
from harness.stack_views import BEFORE, NOW, READY, UID, stack

from kiln.api.kinds import SECRETS, STACK_HISTORIES, STACK_REVISIONS, STACKS
from kiln.kubectl import cli, completion, edit, events, graphs, history, outputs
from kiln.kubectl.clouds import overlaid
from kiln.kubectl.diff import documents
from kiln.kubectl.output import plain
from kiln.kubectl.session import CommandError, Session, stack_name

TEMPLATE = """
heat_template_version: 2021-04-16
parameters:
  size: {type: string, default: small, constraints: [{allowed_values: [small, large]}]}
  count: {type: number}
  password: {type: string, hidden: true}
resources:
  net: {type: OS::Neutron::Net}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 10.0.0.0/24}}
  value: {type: OS::Heat::Value, properties: {value: {get_param: password}}}
"""


@pytest.fixture
def session() -> Session:
    return Session(FakeKube(), "shop")  # type: ignore[arg-type]


def put(session: Session, found: dict[str, Any]) -> FakeKube:
    kube: FakeKube = session.kube  # type: ignore[assignment]
    content = {key: value for key, value in found.items() if key != "metadata"}
    kube.put(STACKS, found["metadata"]["name"], "shop", metadata=found["metadata"], **content)
    return kube


def run(session: Session, *argv: str) -> int:
    arguments = cli.parsed(argv)
    return int(asyncio.run(arguments.handler(session, arguments)))


def revision(number: int, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"web-{number}",
            "labels": {"kiln.dev/stack": "web"},
            "creationTimestamp": BEFORE,
            "ownerReferences": [{"kind": "Stack", "uid": UID}],
        },
        "spec": {"number": number, "templateBody": TEMPLATE, **spec},
        "status": {"deployed": number < 3},
    }


@pytest.mark.parametrize("word", ["web", "stack/web", "stk/web", "stacks.kiln.dev/web"])
def test_a_stack_is_named_as_kubectl_names_it(word: str) -> None:
    assert stack_name(word) == "web"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_has_help_and_the_options_of_kubectl(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.parsed([command, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"kubectl stack {command}" in shown
    assert all(option in shown for option in ("--namespace", "--context", "--kubeconfig"))


def test_options_may_stand_between_arguments() -> None:
    found = cli.parsed(["edit-param", "web", "-n", "shop", "size=large", "count-"])
    assert (found.stack, found.namespace, found.changes) == ("web", "shop", ["size=large", "count-"])


def test_a_stack_that_does_not_exist_is_an_error_with_its_namespace(session: Session) -> None:
    with pytest.raises(CommandError, match="no Stack 'web' in the namespace 'shop'"):
        run(session, "tree", "web")


# Graphs.


def test_the_graph_of_a_revision_needs_no_hidden_value() -> None:
    found = graphs.graph_of(revision(1, parameters={"count": 2}, hiddenParameters=["password"]), "web")
    assert found is not None
    assert found.needs == {"net": frozenset(), "subnet": frozenset({"net"}), "value": frozenset()}
    assert found.types["subnet"] == "OS::Neutron::Subnet"


@pytest.mark.parametrize(
    "spec", [{"templateBody": "# hidden: it is in the Secret of the same name"}, {"templateBody": "a"}]
)
def test_a_revision_that_cannot_be_translated_has_no_graph(spec: dict[str, Any]) -> None:
    assert graphs.graph_of(revision(1, **spec), "web") is None


# History.


def test_the_history_says_what_each_revision_changed(session: Session) -> None:
    now = stack(READY, currentRevision="web-2", targetRevision="web-3", failedRevision="web-3")
    revisions = [
        revision(1, parameters={"count": 1}),
        revision(2, parameters={"count": 2}, environments=["a"]),
        revision(3, parameters={"count": 2}, environments=["a"]),
    ]
    lines = history.lines(revisions, now, NOW, plain)
    assert lines[2].split() == ["2", "web-2", "yes", "current", "1m", "environments,", "parameters.count"]
    assert lines[3].split() == ["3", "web-3", "no", "target,", "failed", "1m", "hidden", "values"]
    assert list(history.difference(revisions[0], revisions[1]))[-1] == "+  count: 2"


def test_a_revision_is_shown_by_its_number(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    kube = put(session, stack(READY))
    for number in (1, 2):
        one = revision(number, parameters={"count": number}, hiddenParameters=["password"])
        kube.put(STACK_REVISIONS, one["metadata"]["name"], "shop", **one)
    assert run(session, "history", "web", "--revision", "2") == 0
    assert yaml.safe_load(capsys.readouterr().out)["parameters"] == {"count": 2}
    with pytest.raises(CommandError, match="no revision 7; there are: 1, 2"):
        run(session, "history", "web", "--revision", "7")


# Outputs.


def test_hidden_outputs_are_named_and_not_shown(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    put(session, stack(READY, outputs={"a": "x", "b": [1]}, hiddenOutputs=["c"], outputErrors={"d": "no such"}))
    assert run(session, "outputs", "web") == 0
    shown = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown == [["a", "x"], ["b", "[1]"], ["c", "<hidden>"], ["d", "<no value: no such>"]]
    run(session, "outputs", "web", "a")
    assert capsys.readouterr().out == "x\n"
    run(session, "outputs", "web", "-o", "json")
    assert json.loads(capsys.readouterr().out) == {"a": "x", "b": [1]}


def test_hidden_outputs_are_read_from_the_secret_of_the_stack(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    kube = put(session, stack(READY, outputs={"a": "x"}, hiddenOutputs=["c", "d"]))
    owner = {"kind": "Stack", "uid": UID}
    data = {"c": "s3cret", "d": '["s3cret"]', ".kiln.json": '["d"]'}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    kube.put(SECRETS, "web-outputs", "shop", metadata={"ownerReferences": [owner]}, data=encoded)
    assert run(session, "outputs", "web", "--show-hidden", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"a": "x", "c": "s3cret", "d": ["s3cret"]}


def test_the_history_is_shown_in_its_order(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    kube = put(session, stack(READY))
    metadata = {"labels": {"kiln.dev/stack": "web"}, "ownerReferences": [{"kind": "Stack", "uid": UID}]}
    update = {"seq": 10, "time": BEFORE, "action": "Update", "status": "InProgress", "requestedBy": "kubectl"}
    made = {"seq": 9, "time": BEFORE, "path": "net", "action": "create", "status": "Complete", "physicalID": "id-1"}
    for name, entry in (("web-history-1", update), ("web-history-0", made)):
        kube.put(STACK_HISTORIES, name, "shop", metadata=metadata, spec={"entries": [entry]})
    assert run(session, "events", "web", "--history") == 0
    lines = [line.split()[1:] for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["net", "create", "Complete", "-", "id-1"]
    assert lines[2] == ["-", "Update", "InProgress", "-", "by", "kubectl"]


@pytest.mark.parametrize(("name", "why"), [("c", "--show-hidden"), ("d", "no such"), ("e", "there are: a, c, d")])
def test_an_output_without_a_value_to_show_is_an_error(name: str, why: str) -> None:
    found = outputs.of_status({"outputs": {"a": "x"}, "hiddenOutputs": ["c"], "outputErrors": {"d": "no such"}})
    with pytest.raises(CommandError, match=why):
        outputs.one(found, name)


# Parameters.


def editable(session: Session, **spec: Any) -> edit.Editable:
    found = {**stack(READY), "spec": {"templateBody": TEMPLATE, **spec}}
    return asyncio.run(edit.load(session, found))


SECRET = [{"name": "password", "secretKeyRef": {"name": "db", "key": "pw"}}]


def test_parameters_are_checked_against_their_declarations_without_reading_secrets(session: Session) -> None:
    found = editable(session, parameters={"count": 1}, parametersFrom=SECRET)
    assert edit.check(found, edit.changed(found, ["size=large"])) == []
    assert "allowed" in edit.check(found, edit.changed(found, ["size=huge"]))[0]
    assert "colour" in edit.check(found, edit.changed(found, ["colour=red"]))[0]
    assert "'count' has no value" in edit.check(found, edit.changed(found, ["count-"]))[0]
    kube: FakeKube = session.kube  # type: ignore[assignment]
    assert not [call for call in kube.calls if call[1] == "secrets"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("password=x", "the key pw of the Secret db"),
        ("size", "neither NAME=VALUE nor NAME-"),
        ("=x", "neither NAME=VALUE nor NAME-"),
        ("size-", "gives no value"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(session: Session, change: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        edit.changed(editable(session, parameters={"count": 1}, parametersFrom=SECRET), [change])


def test_only_what_changes_is_written_and_only_to_what_was_read(session: Session) -> None:
    kube = put(
        session, {**stack(READY), "spec": {"templateBody": TEMPLATE, "parameters": {"count": 1, "size": "small"}}}
    )
    kube.objects["stacks", "shop", "web"]["spec"]["parametersFrom"] = SECRET
    version = kube.objects["stacks", "shop", "web"]["metadata"]["resourceVersion"]
    assert run(session, "edit-param", "web", "count=2", "size-") == 0
    assert kube.objects["stacks", "shop", "web"]["spec"]["parameters"] == {"count": "2"}
    assert kube.objects["stacks", "shop", "web"]["metadata"]["resourceVersion"] != version


def test_the_editor_gets_declarations_and_values_and_again_with_problems(
    session: Session, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube = put(session, {**stack(READY), "spec": {"templateBody": TEMPLATE, "parameters": {"count": 1}}})
    kube.objects["stacks", "shop", "web"]["spec"]["parametersFrom"] = SECRET
    seen = tmp_path / "seen"
    script = tmp_path / "editor"
    script.write_text(f"""#!/bin/sh
cat "$1" >> {seen}
if grep -q 'size: huge' "$1"; then sed -i 's/size: huge/size: large/' "$1"; else echo 'size: huge' >> "$1"; fi
""")
    script.chmod(0o755)
    monkeypatch.setenv("KUBE_EDITOR", str(script))
    assert run(session, "edit-param", "web") == 0
    text = seen.read_text()
    assert "# size (string)" in text
    assert "from the key pw of the Secret db" in text
    assert "# error:" in text
    assert kube.objects["stacks", "shop", "web"]["spec"]["parameters"] == {"count": 1, "size": "large"}


@pytest.mark.parametrize(
    ("metadata", "manager"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}, "Flux"),
        ({"annotations": {"meta.helm.sh/release-name": "x"}}, "Helm"),
        ({}, ""),
    ],
)
def test_what_sets_the_spec_anew_is_known(metadata: dict[str, Any], manager: str) -> None:
    assert edit.managed_by({"metadata": metadata}) == manager


# Events, manifests.


def test_events_are_in_order_and_counted() -> None:
    def event(name: str, at: str, **more: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "lastTimestamp": at, "type": "Warning", "reason": name, **more}

    found = events.in_order([event("b", "2026-01-01T11:59:30Z", count=3), event("a", "2026-01-01T11:59:00Z")])
    lines = events.lines(found, NOW, plain)
    assert [line.split()[:4] for line in lines[1:]] == [["1m", "Warning", "a", "1"], ["30s", "Warning", "b", "3"]]


def test_a_manifest_gives_its_own_config_maps_and_secrets(tmp_path: Any) -> None:
    path = tmp_path / "all.yaml"
    path.write_text("""
apiVersion: v1
kind: List
items:
- {kind: Secret, metadata: {name: db}, stringData: {pw: x}}
---
---
{kind: ConfigMap, metadata: {name: t, namespace: other}, data: {a: b}}
""")
    found = overlaid(documents([str(path)]), "shop")
    assert base64.b64decode(found["Secret", "shop", "db"]["data"]["pw"]) == b"x"
    assert found["ConfigMap", "other", "t"]["data"] == {"a": "b"}


@pytest.mark.parametrize("text", ["a: [", "just text", "- 1"])
def test_what_is_no_manifest_is_refused(tmp_path: Any, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(CommandError) as refused:
        documents([str(path)])
    assert refused.value.code == 2
    assert "x.yaml" in str(refused.value)


# Completion.


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_names", lambda res, words: [("web", "Create Succeeded"), ("work", "")])


@pytest.mark.parametrize(
    ("words", "prefix", "first"),
    [
        ([], "tr", "tree"),
        (["tree"], "we", "web\tCreate Succeeded"),
        (["tree", "-n", "shop"], "wo", "work"),
        (["tree", "web", "--by"], "n", "need"),
        (["tree", "web"], "--b", "--by"),
        (["wait", "--timeout", "5m"], "w", "web\tCreate Succeeded"),
        (["list", "-n"], "w", "web\tCreate Succeeded"),
    ],
)
def test_words_are_completed(named: None, words: list[str], prefix: str, first: str) -> None:
    found, directive = completion.complete(words, prefix)
    assert found[0].split("\t")[0] == first.split("\t", maxsplit=1)[0]
    assert "\t" not in first or found[0] == first
    assert directive == completion.NO_FILES


def test_files_are_left_to_the_shell_and_nothing_follows_the_last_argument(named: None) -> None:
    assert completion.complete(["diff", "-f"], "") == ([], completion.FILES)
    assert completion.complete(["tree", "web"], "") == ([], completion.NO_FILES)
    assert completion.complete(["nonsense"], "") == ([], completion.NO_FILES)


def test_completion_ends_with_the_directive_that_kubectl_reads(named: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.main(["tree", ""]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == ":4"


def test_every_command_takes_a_namespace_after_its_name() -> None:
    for command in cli.COMMANDS:
        assert isinstance(cli.command_parser(command), argparse.ArgumentParser)


def test_completion_and_quick_commands_do_without_the_translator() -> None:
    script = (
        "import sys; from kiln.kubectl import cli, completion, listing, tree, wait, why, events, history;"
        "print([name for name in sys.modules if name.split('.')[0] in ('hot_translator', 'openstack', 'kopf')])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
