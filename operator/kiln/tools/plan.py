"""``kiln plan``: what the operator would do about a Stack, before it does it."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hot_translator import TranslationError
from hot_translator.budget import limited
from kiln.api.kinds import STACKS
from kiln.clouds import credentials
from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential, CredentialsError
from kiln.kube.client import Kube, configuration
from kiln.kube.errors import KubeError
from kiln.kube.event_recorder import EventRecorder
from kiln.stack import inputs as stack_inputs
from kiln.stack import plan_report
from kiln.stack.inputs import Inputs, InputsError
from kiln.stack.planning import StackPlan, plan_stack
from kiln.stack.shared import CloudAccess, SharedState
from kiln.stack.validation import format_problems
from kiln.tools import command_line as given
from kiln.tools.command_line import UsageError
from kiln.tools.offline import Outcome
from kiln.tools.validate import print_problems
from reconcilers.errors import CloudError

CHANGES: Final = 2
"""The exit code where something would change, as with `terraform plan -detailed-exitcode`."""
DESCRIPTION = """Print what the operator would do about a Stack: create, update (which properties), replace (why),
delete. It reads Kubernetes and OpenStack with your own rights, and changes nothing.

  kiln plan --against web                        what a reconciliation would do now: drift, pending changes
  kiln plan -t new.yaml --against web            what an update to this template would do
  kiln plan --against web --delete               what a deletion would do
  kiln plan -t new.yaml --os-cloud demo          what a new Stack would do

With --against, what is not given (environments, parameters, files) is what the Stack has. Exit code 0: nothing would
change; 2: something would; 1: no plan can be made."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln plan``."""
    parser = commands.add_parser(
        "plan", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given.add_arguments(parser, template_required=False)
    parser.add_argument("--against", default="", metavar="STACK", help="the Stack that exists")
    parser.add_argument("-n", "--namespace", default="default", metavar="NS", help="its namespace (default: default)")
    parser.add_argument("--delete", action="store_true", help="plan the Stack's deletion")
    parser.add_argument("--os-cloud", default=os.environ.get("OS_CLOUD", ""), metavar="CLOUD", help="for a new Stack")
    parser.add_argument("-o", "--output", choices=["text", "json", "diff"], default="text")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: nothing would change; 2: something would; 1: no plan can be made."""
    if not arguments.against and not arguments.template:
        raise UsageError("give a template (-t), a Stack (--against), or both")
    files = given.read(arguments) if arguments.template else None
    if files is not None and files.problems:
        print_problems(Outcome(tuple(files.problems)), files)
        return 1
    try:
        with limited():
            planned = asyncio.run(_planned(arguments, files))
    except TranslationError as error:
        print(f"kiln plan: {format_problems(error)}", file=sys.stderr)
    except (InputsError, CredentialsError) as error:
        print(f"kiln plan: {error.path}: {error.message}", file=sys.stderr)
    except (CloudError, KubeError) as error:
        print(f"kiln plan: {error}", file=sys.stderr)
    else:
        print(_printed(arguments.output, planned.report(), planned.template))
        return CHANGES if planned.plan.changes else 0
    return 1


def _printed(output: str, found: Mapping[str, Any], template: str | None) -> str:
    if output == "json":
        return json.dumps(found, indent=2)
    return "\n".join(plan_report.diff(found, template) if output == "diff" else plan_report.lines(found))


async def _planned(arguments: argparse.Namespace, files: given.Inputs | None) -> StackPlan:
    kube = Kube(configuration()) if arguments.against else None
    connections = CloudConnections(AddressGuard())
    try:
        if kube is None:
            credential = _local_credential(arguments.os_cloud)
            shared: SharedState = _LocalState(connections, credential)
            name = Path(arguments.template).stem
            stack: Mapping[str, Any] = {"metadata": {"name": name, "namespace": arguments.namespace}, "spec": {}}
            return await plan_stack(shared, stack, _proposed(files, None))
        shared = SharedState(kube, connections, EventRecorder(kube, redact=str, identity="kiln plan"))
        found = await kube.get(STACKS, arguments.namespace, arguments.against)
        if found is None:
            raise UsageError(f"there is no Stack {arguments.namespace}/{arguments.against}")
        current = await stack_inputs.load(kube, found) if files is not None else None
        proposed = _proposed(files, current) if files is not None else None
        return await plan_stack(shared, found, proposed, delete=arguments.delete)
    finally:
        connections.close()


def _proposed(files: given.Inputs | None, current: Inputs | None) -> Inputs:
    """The inputs of the command line; what it does not give is as it is now."""
    if files is None:
        raise UsageError("give a template (-t)")
    base = current or Inputs(files.template.text)
    environments = tuple(document.text for document in files.environments) or base.environments
    return replace(
        base,
        template=files.template.text,
        environments=environments,
        files={**base.files, **files.files},
        parameters={**base.parameters, **files.parameters},
        hidden=base.hidden - files.parameters.keys(),
        hidden_files=base.hidden_files - files.files.keys(),
        hidden_environments=frozenset() if files.environments else base.hidden_environments,
    )


class _LocalState(SharedState):
    """For a Stack that does not exist: one cloud, and no Kubernetes."""

    def __init__(self, connections: CloudConnections, credential: Credential) -> None:
        super().__init__(_NoKube(), connections, None)  # type: ignore[arg-type]
        self._credential = credential

    async def access(self, stack: Mapping[str, Any]) -> CloudAccess:
        """The way into the cloud of the command line."""
        return await self._access(self._credential)


class _NoKube:
    """A cluster in which nothing exists."""

    async def get(self, *_: Any) -> None:
        """Nothing."""

    async def list(self, *_: Any, **__: Any) -> list[Any]:
        """Nothing."""
        return []


def _local_credential(cloud: str) -> Credential:
    """The cloud of a clouds.yaml where openstackclient looks for one. Raises UsageError, CredentialsError."""
    if not cloud:
        raise UsageError("a plan of a new Stack needs a cloud: give --os-cloud or set OS_CLOUD")
    folders = (Path(), Path.home() / ".config/openstack", Path("/etc/openstack"))
    named = os.environ.get("OS_CLIENT_CONFIG_FILE")
    places = [Path(named)] if named else [folder / "clouds.yaml" for folder in folders]
    for place in places:
        if place.is_file():
            return credentials.parse(place.read_text(), cloud)
    raise UsageError(f"there is no clouds.yaml at {', '.join(map(str, places))}")
