"""``kiln export``: the file with which Heat takes a Stack over (``openstack stack adopt``)."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from hot_translator import TranslationError, parse_environment
from hot_translator.budget import limited
from hot_translator.loader import load
from kiln.api import v1alpha1
from kiln.api.kinds import STACKS
from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import CredentialsError
from kiln.kube.client import Kube, configuration
from kiln.kube.errors import KubeError
from kiln.kube.event_recorder import EventRecorder
from kiln.stack.inputs import Inputs, InputsError
from kiln.stack.planning import Existing, existing
from kiln.stack.shared import SharedState
from kiln.stack.validation import format_problems
from kiln.tools.command_line import UsageError
from reconcilers.errors import CloudError

DESCRIPTION = """Write the file with which Heat takes a Stack over. It reads Kubernetes and OpenStack with your own
rights, and changes nothing. The file holds hidden parameters, generated passwords and private keys in clear.

  kiln export web -o web.json
  kubectl patch stk web --type merge -p '{"spec": {"deletionPolicy": "Orphan"}}'
  kubectl delete stk web
  openstack stack adopt --adopt-file web.json web

Heat has to allow it (enable_stack_adopt). The order is safe: nothing is deleted in OpenStack, and at no time two of
them work on the same resources. Exit code 0: written; 1: the Stack cannot be read, or a resource has no id yet."""

PRIVATE: Final = 0o600


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln export``."""
    parser = commands.add_parser(
        "export", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK", help="the Stack's name")
    parser.add_argument("-n", "--namespace", default="default", metavar="NS", help="its namespace (default: default)")
    parser.add_argument("-o", "--output-file", default="", metavar="FILE", help="default: standard output")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: written; 1: it cannot be read, or a resource has no id yet."""
    try:
        with limited():
            stack, found = asyncio.run(_read(arguments))
        file, missing = abandoned(stack, found)
    except TranslationError as error:
        print(f"kiln export: {format_problems(error)}", file=sys.stderr)
        return 1
    except (InputsError, CredentialsError) as error:
        print(f"kiln export: {error.path}: {error.message}", file=sys.stderr)
        return 1
    except (CloudError, KubeError) as error:
        print(f"kiln export: {error}", file=sys.stderr)
        return 1
    for name in missing:
        print(f"kiln export: resources.{name} has no id yet; Heat would not adopt it", file=sys.stderr)
    text = json.dumps(file, indent=2, default=str)
    if arguments.output_file:
        descriptor = os.open(arguments.output_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        with open(descriptor, "w", encoding="utf-8") as out:  # noqa: PTH123
            out.write(text + "\n")
    else:
        print(text)
    return 1 if missing else 0


async def _read(arguments: argparse.Namespace) -> tuple[Mapping[str, Any], Existing]:
    kube, connections = Kube(configuration()), CloudConnections(AddressGuard())
    try:
        stack = await kube.get(STACKS, arguments.namespace, arguments.stack)
        if stack is None:
            raise UsageError(f"there is no Stack {arguments.namespace}/{arguments.stack}")
        shared = SharedState(kube, connections, EventRecorder(kube, redact=str, identity="kiln export"))
        return stack, await existing(shared, stack)
    finally:
        connections.close()


def abandoned(stack: Mapping[str, Any], found: Existing) -> tuple[dict[str, Any], list[str]]:
    """Heat's file, and the names of resources that have no id. Raises TranslationError."""
    resources: dict[str, Any] = {}
    missing = []
    for name, definition in found.translation.definitions.items():
        place = resources
        *above, last = name.split("/")
        for part in above:
            place = place.setdefault(part, {}).setdefault("resources", {})
        if definition.virtual:
            place.setdefault(last, {}).setdefault("resources", {})
            continue
        ready = found.ready.get(name)
        if ready is None or not ready.recorded.physical_id:
            missing.append(name)
            continue
        shown = ready.attributes() if ready.rtype.keeps else {}
        place[last] = {
            "name": last,
            "resource_id": ready.recorded.physical_id,
            "type": definition.type,
            "action": "CREATE",
            "status": "COMPLETE",
            "metadata": dict(definition.resolve_metadata(found.scope)),
            "resource_data": {key: shown[key] for key in sorted(ready.rtype.keeps) if shown.get(key)},
        }
    tags = (stack.get("spec") or {}).get("tags") or []
    file = {
        "name": v1alpha1.heat_name(stack),
        "id": stack["metadata"].get("uid", ""),
        "action": "CREATE",
        "status": "COMPLETE",
        "template": _map(found.inputs.template, "template"),
        "files": dict(found.inputs.files),
        "environment": environment_of(found.inputs),
        "resources": resources,
        **({"tags": list(tags)} if tags else {}),
    }
    return file, missing


def environment_of(inputs: Inputs) -> dict[str, Any]:
    """All environments and parameters as the one environment that Heat's file has. Later ones win."""
    merged: dict[str, Any] = {"parameters": {}, "parameter_defaults": {}, "resource_registry": {}}
    for index, text in enumerate(inputs.environments):
        name = f"environments[{index}]"
        parse_environment(text, name=name)
        for section, values in _map(text, name).items():
            if section in merged and isinstance(values, Mapping):
                merged[section] |= values
    merged["parameters"] |= inputs.parameters
    return merged


def _map(text: str | Mapping[str, Any], name: str) -> dict[str, Any]:
    content = load(text, source=name) if isinstance(text, str) else text
    return dict(content) if isinstance(content, Mapping) else {}
