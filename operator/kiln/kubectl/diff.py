"""``kubectl stack diff``: what an apply would do to the cloud."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from kiln.api.kinds import STACKS
from kiln.kube.client import Kube
from kiln.kubectl.clouds import Overlay, clouds, overlaid
from kiln.kubectl.output import Paint, Style
from kiln.kubectl.session import USAGE, CommandError, Session, add_output_option, stack_name
from kiln.stack import inputs, plan_report
from kiln.stack.planning import StackPlan, plan_stack

CHANGES: Final = 1
FAILED: Final = 2
DESCRIPTION = """Say what an apply would do to the cloud: create, update (which properties), replace (why), delete.
The planner is the operator's own. Kubernetes and OpenStack are read with your own rights; nothing is changed.

  kubectl stack diff -f web.yaml                        the Stacks of a manifest, with its ConfigMaps and Secrets
  kustomize build . | kubectl stack diff -f -           of standard input
  kubectl stack diff web                                what a reconciliation would do now: drift, pending changes
  kubectl stack diff web --delete                       what a deletion would do

Exit code as with kubectl diff: 0: nothing would change; 1: something would; 2: it cannot be said."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kubectl stack diff``."""
    parser = commands.add_parser(
        "diff", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK", nargs="?", default="", help="a Stack as it is")
    parser.add_argument("-f", "--filename", action="append", default=[], metavar="FILE", help="a manifest; - for stdin")
    parser.add_argument("--delete", action="store_true", help="plan the deletion of STACK")
    add_output_option(parser)
    parser.set_defaults(handler=main)


async def main(session: Session, arguments: argparse.Namespace) -> int:
    """Exit code 0: nothing would change; 1: something would; 2: it cannot be said."""
    if bool(arguments.stack) == bool(arguments.filename):
        raise CommandError("give a Stack, or a manifest (-f)", USAGE)
    if arguments.delete and not arguments.stack:
        raise CommandError("--delete needs a Stack", USAGE)
    if arguments.filename:
        plans = await _of_manifest(session, documents(arguments.filename))
    else:
        with clouds(session.kube, failure=FAILED) as shared:
            found = await session.kube.get(STACKS, session.namespace, stack_name(arguments.stack))
            if found is None:
                raise CommandError(f"there is no Stack {session.namespace}/{stack_name(arguments.stack)}", FAILED)
            plans = [(found, await plan_stack(shared, found, delete=arguments.delete))]
    reports = [{**_identity(stack), **one.report()} for stack, one in plans]
    if arguments.output == "table":
        session.print(*lines(reports, session.paint))
    else:
        session.print_as(arguments.output, reports)
    return CHANGES if any(one.plan.changes for _, one in plans) else 0


Plans = list[tuple[Mapping[str, Any], StackPlan]]


async def _of_manifest(session: Session, manifest: list[Mapping[str, Any]]) -> Plans:
    """The plan of each Stack of a manifest, as the API server would store it."""
    stacks = [one for one in manifest if one.get("kind") == "Stack"]
    if not stacks:
        raise CommandError("there is no Stack in the manifest", FAILED)
    kube = Overlay(session.kube, overlaid(manifest, session.namespace))
    plans: Plans = []
    try:
        with clouds(kube, failure=FAILED) as shared:
            for one in stacks:
                stored = await _stored(kube, one, session.namespace)
                plans.append((stored, await plan_stack(shared, stored, await inputs.load(kube, stored))))
    finally:
        kube.close()
    return plans


async def _stored(kube: Kube, manifest: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    """The Stack as an apply would store it, with the status that it has now. Raises KubeError if it is refused."""
    metadata = manifest.get("metadata") or {}
    namespace, name = metadata.get("namespace", namespace), metadata.get("name", "")
    if not name:
        raise CommandError("a Stack of the manifest has no name", FAILED)
    body = {"metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
    body["spec"] = manifest.get("spec") or {}
    existing = await kube.get(STACKS, namespace, name)
    applied = await kube.try_apply(STACKS, namespace, name, body, manager="kubectl")
    if existing is None:
        # The uid of a dry run is that of no object.
        return {**applied, "metadata": {key: value for key, value in applied["metadata"].items() if key != "uid"}}
    # Server-side apply keeps fields that other managers own; a spec is given whole.
    return {**existing, "spec": applied["spec"], "metadata": {**existing["metadata"], **_generation(applied)}}


def _generation(applied: Mapping[str, Any]) -> dict[str, Any]:
    return {key: applied["metadata"][key] for key in ("generation",) if key in applied["metadata"]}


def documents(names: Iterable[str]) -> list[Mapping[str, Any]]:
    """The objects of manifests; items of Lists one by one. Raises CommandError for what is no manifest."""
    found: list[Mapping[str, Any]] = []
    for name in names:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text()
            parsed = list(yaml.safe_load_all(text))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise CommandError(f"{name}: {error}", FAILED) from error
        for one in parsed:
            if one is None:
                continue
            if not isinstance(one, Mapping):
                raise CommandError(f"{name}: a document is no object", FAILED)
            found += one["items"] if str(one.get("kind", "")).endswith("List") and "items" in one else [one]
    return found


def lines(reports: list[dict[str, Any]], paint: Paint) -> list[str]:
    """A heading and the lines of each resource that changes, Stack by Stack."""
    shown: list[str] = []
    for one in reports:
        shown += [""] if shown else []
        shown.append(paint(f"Stack {one['namespace']}/{one['name']}", Style.STRONG))
        shown += [paint(line, _STYLES.get(line[:2].strip()[:1], Style.PLAIN)) for line in plan_report.lines(one)]
    return shown


_STYLES: Final = {"+": Style.GOOD, "~": Style.BUSY, "-": Style.BAD, "!": Style.BAD, "?": Style.BUSY}


def _identity(stack: Mapping[str, Any]) -> dict[str, str]:
    metadata = stack["metadata"]
    return {"namespace": str(metadata.get("namespace", "")), "name": str(metadata["name"])}
