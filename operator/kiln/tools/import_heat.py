"""``kiln import-heat``: the manifests with which a stack of a live Heat comes under Kiln."""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

from hot_translator import Template, TranslationError, parse_template
from kiln.stack.validation import format_problems
from kiln.tools import heat_api
from kiln.tools.command_line import Document, Inputs, UsageError
from kiln.tools.heat_api import HeatStack
from kiln.tools.pack import Target, pack, to_yaml
from reconcilers import registry

DESCRIPTION = """Read a stack of a live Heat, and print manifests with which Kiln takes it over: the Stack with its
template, environment, files and parameters, a Secret with hidden values, and spec.adopt with the ids of all resources.
It reads Heat's REST API with your own rights and changes nothing, neither in Heat nor in Kubernetes.

  kiln import-heat web --os-cloud prod --read-only > web.yaml
  kubectl apply --server-side -f web.yaml        what differs is in the condition DriftDetected
  kiln import-heat web --os-cloud prod > web.yaml

What has to be done in Heat afterwards is printed on standard error."""

AFTERWARDS = """{count} resources are named in spec.adopt.

Next:
  1. create the Secret {secret!r} with the clouds.yaml that Kiln is to use:
       kubectl create secret generic {secret} --from-file=clouds.yaml
  2. apply the manifests, and wait until the Stack is Ready; look at what differs:
       kubectl wait --for=condition=Ready stk/{name}; kubectl describe stk {name}
  3. make Heat forget the stack WITHOUT deleting its resources. Never run `openstack stack delete` before:
       openstack stack abandon {heat}
     Where Heat's administrators left enable_stack_abandon off: give every resource `deletion_policy: retain`, run
     `openstack stack update` with that template (it changes no resource), and only then `openstack stack delete`.
  Until then neither update nor delete the stack in Heat: both would work on the same resources."""

HIDDEN: Final = "******"
"""What Heat shows instead of the value of a hidden parameter."""
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_NOT_INPUTS: Final = frozenset({"parameters", "encrypted_param_names", "event_sinks"})


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", help_text: str) -> None:
    """Add ``kiln import-heat``."""
    parser = commands.add_parser(
        "import-heat", help=help_text, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", metavar="STACK", help="the stack's name or id in Heat")
    parser.add_argument("--os-cloud", default=os.environ.get("OS_CLOUD", ""), metavar="CLOUD", help="the cloud of Heat")
    parser.add_argument("--name", default="", help="the Stack's name; default: made of Heat's")
    parser.add_argument("-n", "--namespace", default="", help="the namespace; default: kubectl's")
    parser.add_argument("--secret", default="openstack", help="the Secret with the clouds.yaml; default: openstack")
    parser.add_argument("--cloud", default="", help="the cloud in it; default: that of --os-cloud")
    parser.add_argument("--read-only", action="store_true", help="with spec.adopt.readOnly: nothing is written")
    parser.set_defaults(handler=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit code 0: printed; 1: the stack cannot be read."""
    if not arguments.os_cloud:
        raise UsageError("which Heat? Give --os-cloud or set OS_CLOUD")
    try:
        connection = openstack.connect(cloud=arguments.os_cloud)
        found = heat_api.read(_getter(connection), arguments.stack)
        target = Target(
            arguments.name or object_name(found.stack["stack_name"]),
            arguments.namespace,
            arguments.secret,
            arguments.cloud or arguments.os_cloud,
            options(found),
        )
        manifests, notes = manifests_of(found, target, read_only=arguments.read_only)
    except (SDKException, ClientException) as error:
        print(f"kiln import-heat: {error}", file=sys.stderr)
        return 1
    except TranslationError as error:
        print(f"kiln import-heat: {format_problems(error)}", file=sys.stderr)
        return 1
    print(to_yaml(manifests), end="")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    adopt = manifests[-1]["spec"].get("adopt", {})
    count, heat = len(adopt.get("resources") or {}), found.stack["stack_name"]
    text = AFTERWARDS.format(count=count, secret=target.secret, name=target.name, heat=heat)
    print(text, file=sys.stderr)
    return 0


def _getter(connection: Any) -> heat_api.Get:
    def get(path: str) -> Any:
        answer = connection.orchestration.get(path, headers={"Accept": "application/json"})
        openstack.exceptions.raise_from_response(answer)
        return answer.json()

    return get


def object_name(heat_name: str) -> str:
    """The name of a Kubernetes object for a stack of this name."""
    return _NOT_A_NAME.sub("-", heat_name.lower()).strip("-")[:63].rstrip("-") or "stack"


def options(found: HeatStack) -> dict[str, Any]:
    """What the Stack's spec says besides its inputs."""
    stack = found.stack
    rollback = {"onFailure": "Rollback"} if stack.get("disable_rollback") is False else {}
    timeout = {"timeout": f"{stack['timeout_mins']}m"} if stack.get("timeout_mins") else {}
    tags = {"tags": list(stack["tags"])} if stack.get("tags") else {}
    return {"stackName": stack["stack_name"], **tags, **rollback, **timeout}


def manifests_of(found: HeatStack, target: Target, *, read_only: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """The manifests, the Stack last, and notes for the user. Raises TranslationError."""
    text = json.dumps(found.template, indent=2, ensure_ascii=False)
    template = parse_template(text, name="template")
    parameters, defaults, notes = _values(found, template)
    rest = {key: value for key, value in found.environment.items() if key not in _NOT_INPUTS and value}
    if "parameter_defaults" in rest:
        rest["parameter_defaults"] = defaults
    rest = {key: value for key, value in rest.items() if value and value != {"resources": {}}}
    environments = (Document("environment", json.dumps(rest, indent=2, ensure_ascii=False)),) if rest else ()
    files = dict(found.files)
    inputs = Inputs(Document("template", text), environments, files, {name: name for name in files}, parameters)
    manifests = pack(inputs, template, target)
    adopt: dict[str, Any] = {"resources": {}}
    secret = False
    for name, kind, one in _leaves(found.resources):
        rtype = registry.find(kind)
        if rtype is None:
            notes.append(f"resources.{name}: Kiln cannot converge {kind} yet; take it out of the template first")
        elif one.get("resource_id") and (rtype.service or rtype.keeps):
            missing = sorted(rtype.keeps - one["resource_data"].keys()) if not rtype.service else []
            if missing:
                notes.append(f"resources.{name}: Heat does not show its {missing[0]}; it would be made anew")
                continue
            adopt["resources"][name] = str(one["resource_id"])
            secret = secret or bool(one["resource_data"])
        elif rtype.service:
            notes.append(f"resources.{name}: Heat has no id for it, so Kiln will create it")
    if secret:
        metadata = target.metadata("-heat")
        data = {"stack.json": json.dumps({"resources": found.resources}, indent=1)}
        manifests.insert(0, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
        adopt["fromSecret"] = {"name": metadata["name"], "key": "stack.json"}
    if read_only:
        adopt["readOnly"] = True
    if adopt["resources"]:
        manifests[-1]["spec"]["adopt"] = adopt
    return manifests, notes


def _values(found: HeatStack, template: Template) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The values of parameters, the defaults that are not hidden, and notes about hidden values that Heat keeps."""
    hidden = {name for name, schema in template.parameters.items() if schema.hidden}
    defaults = dict(found.environment.get("parameter_defaults") or {})
    parameters = {
        **{name: defaults.pop(name) for name in sorted(hidden & defaults.keys())},
        **(found.environment.get("parameters") or {}),
    }
    notes = [
        f"parameters.{name}: Heat does not show its value; put it into the Secret"
        for name in sorted(hidden & parameters.keys())
        if parameters[name] == HIDDEN
    ]
    return {name: _text(value) for name, value in parameters.items()}, defaults, notes


def _text(value: Any) -> Any:
    """Lists of texts stay lists; other values as the text that Heat's client sends."""
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        return value
    return json.dumps(value)


def _leaves(resources: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name, one in resources.items():
        if "resources" in one:
            yield from _leaves(one["resources"], f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", str(one["type"]), one
