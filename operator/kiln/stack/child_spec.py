"""The spec of a child Stack, and how a child is shown to its parent's resource (OS::Heat::Stack). Pure.

A child has the template, the parameters and the context of the resource's properties. Everything else comes from its
parent, as in Heat: the environments without their parameters, the files, the policies. What is hidden is in a Secret.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hot_translator.environment import SECTIONS, parse_environment
from kiln.api import v1alpha1
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Condition, Operation
from kiln.stack.inputs import Inputs
from kiln.stack.published_outputs import key_of
from reconcilers.digests import Digester
from reconcilers.heat.stack import parameter_text

Json = dict[str, Any]

DEEPEST: Final = 5
"""How deep Stacks may be nested: ``max_nested_stack_depth`` of Heat."""
MOST: Final = 512
"""How many child Stacks a namespace may have: as many as Heat lets a project have Stacks (``max_stacks_per_tenant``).
Without a bound, a template that nests itself would make thousands."""
INHERITED: Final[Mapping[str, Any]] = {
    "deletionPolicy": "Delete",
    "drift": "Correct",
    "resyncInterval": "10m",
    "maxConcurrency": 16,
    "revisionHistoryLimit": 10,
}
"""Policies that a child has from its parent, with the CRD's defaults."""
OWN: Final[Mapping[str, Any]] = {"onFailure": "Retry", "updateApproval": "Automatic", "paused": False}
"""Policies that every child has: its parent decides about rollbacks and approval."""
_DEFAULT_TIMEOUT: Final = "60m"
_PARAMETER: Final = "parameter."
_MOST_BITS: Final = 63
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Content:
    """A spec, and the texts that are in the child's Secret, by key. The repr omits texts, because they are hidden."""

    spec: Json
    data: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a child has from its parent. ``basis`` is the same as one value, to see that it changed."""

    credentials: Mapping[str, Any]
    timeout: str
    content: Content
    basis: Any = field(repr=False)


def secret_name(child: str) -> str:
    """The name of the Secret with a child's hidden inputs."""
    return f"{child}-inputs"


def inherited(parent: Mapping[str, Any], inputs: Inputs) -> Inherited:
    """What the children of a Stack have from it. Reads the environments: do not call it on the event loop."""
    spec: Mapping[str, Any] = parent.get("spec") or {}
    made: Json = {name: spec.get(name, default) for name, default in INHERITED.items()} | dict(OWN)
    data: dict[str, str] = {}
    environments: list[tuple[str, bool]] = []
    for index, given in enumerate(inputs.environments):
        text = _without_parameters(given)
        if text is not None:
            environments.append((text, index in inputs.hidden_environments))
    files = {name: text for name, text in inputs.files.items() if name not in inputs.hidden_files}
    made |= {"files": files} if files else {}
    basis = [dict(made), environments, dict(inputs.files), sorted(inputs.hidden_files)]
    made["environments"] = environments
    hidden = {name: inputs.files[name] for name in sorted(inputs.hidden_files)}
    data |= {key_of(f"file.{name}"): text for name, text in hidden.items()}
    made["filesFrom"] = [{"key": key_of(f"file.{name}"), "path": name} for name in hidden]
    credentials = dict(spec.get("cloudCredentialsRef") or {})
    timeout = str(spec.get("timeout", _DEFAULT_TIMEOUT))
    return Inherited(credentials, timeout, Content(made, data), [basis, credentials, timeout])


def content(child: str, body: Mapping[str, Any], parent: Inherited) -> Content:
    """The spec and the Secret of a child. ``body`` is as :mod:`reconcilers.heat.stack` sends it."""
    secret = secret_name(child)
    spec, data = dict(parent.content.spec), dict(parent.content.data)
    items = spec.pop("filesFrom")
    if items:
        spec["filesFrom"] = [{"secretRef": {"name": secret, "items": items}}]
    environments: list[Json] = []
    for index, (text, hidden) in enumerate(spec.pop("environments")):
        if hidden:
            data[f"environment.{index}"] = text
            environments.append({"secretKeyRef": {"name": secret, "key": f"environment.{index}"}})
        else:
            environments.append({"inline": text})
    if environments:
        spec["environments"] = environments
    hidden_names = frozenset(body["hidden"])
    plain = {name: _plain(value) for name, value in body["parameters"].items() if name not in hidden_names}
    if plain:
        spec["parameters"] = plain
    sources = []
    for name in sorted(hidden_names):
        key = key_of(f"{_PARAMETER}{name}")
        data[key] = parameter_text(body["parameters"][name])
        sources.append({"name": name, "secretKeyRef": {"name": secret, "key": key}})
    if sources:
        spec["parametersFrom"] = sources
    spec |= {
        "templateBody": body["template"],
        "cloudCredentialsRef": credentials(parent.credentials, body["context"]),
        "timeout": f"{body['timeout']}m" if body["timeout"] is not None else parent.timeout,
        "powerState": body["power_state"],
    }
    if v1alpha1.is_heat_name(body["name"]):
        spec["stackName"] = body["name"]
    return Content(spec, data)


def credentials(parent: Mapping[str, Any], context: Mapping[str, Any]) -> Json:
    """The reference to the child's credentials: the parent's, as far as ``context`` does not say otherwise.

    ``credential_secret_id`` is the name of a Secret with a clouds.yaml, or ``SECRET/CLOUD``.
    """
    found = dict(parent)
    secret, _, cloud = str(context.get("credential_secret_id") or "").partition("/")
    if secret:
        found = {"secretName": secret, "cloudName": cloud or parent.get("cloudName", "")}
    given = {"regionName": context.get("region_name"), "caCert": context.get("ca_cert")}
    found |= {name: value for name, value in given.items() if value}
    return found | ({"insecure": True} if context.get("insecure") else {})


def marks(content: Content, parent: Inherited, digester: Digester) -> Json:
    """What a child's annotation says of what was written into it: keyed digests of its parts, and of the basis."""
    return {"basis": digester.value(parent.basis), **_parts(content, digester)}


def _parts(content: Content, digester: Digester) -> dict[str, str]:
    spec, data = content.spec, content.data
    of_parameters = {key: text for key, text in data.items() if key.startswith(_PARAMETER)}
    named = {"templateBody", "parameters", "parametersFrom", "timeout", "powerState"}
    rest = {name: value for name, value in spec.items() if name not in named}
    parts = {
        "template": spec.get("templateBody"),
        "parameters": [spec.get("parameters") or {}, spec.get("parametersFrom") or [], of_parameters],
        "timeout": spec.get("timeout"),
        "context": [rest, {key: text for key, text in data.items() if key not in of_parameters}],
    }
    return {name: digester.value(value) for name, value in parts.items()}


def edited(held: Mapping[str, Any], content: Content, digester: Digester) -> list[str]:
    """The properties whose part of the spec somebody else changed. ``held`` is the annotation.

    What comes from the parent counts as part of ``context``.
    """
    return sorted(name for name, digest in _parts(content, digester).items() if held.get(name) != digest)


def state(child: Mapping[str, Any]) -> Json:
    """A child's state as its parent sees it: ``status``, ``summary``, and for a failure ``reason``, ``fault`` and
    ``lasting`` (nothing changes until somebody acts).

    The deepest reason comes first: each level adds where it was to the end.
    """
    parsed, raw = StackStatus.parse(child), child.get("status") or {}
    ready = parsed.conditions.get(Condition.READY, {})
    deleting = "deletionTimestamp" in child["metadata"]
    last = parsed.last_operation
    over = last is not None and last.failed
    lasting = parsed.is_true(Condition.STALLED)
    if deleting:
        found = "FAILED" if over and last is not None and last.type == Operation.DELETE else "IN_PROGRESS"
    elif parsed.observed_generation != child["metadata"].get("generation"):
        found = "IN_PROGRESS"
    elif parsed.is_true(Condition.READY):
        found = "READY"
    else:
        found = "FAILED" if over or lasting else "IN_PROGRESS"
    message = str(ready.get("message") or "the operator has not seen it yet")
    shown: Json = {"status": found, "deleting": deleting, "summary": message[:_LONGEST]}
    if found != "FAILED":
        return shown
    return shown | {"reason": _reason(child, ready, raw), "fault": str(ready.get("reason", "")), "lasting": lasting}


def _reason(child: Mapping[str, Any], ready: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    name = child["metadata"]["name"]
    failed: Sequence[Mapping[str, Any]] = status.get("failedResources") or ()
    first = next((one for one in failed if one.get("reason") == ready.get("reason") and one.get("message")), None)
    if first is None:
        return f"{ready.get('reason')}: {ready.get('message')}; in the Stack {name}"
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{first['message']}; in resources.{first.get('name')} of the Stack {name}{more}"


def hidden_texts(values: Iterable[Any]) -> set[str]:
    """The texts of hidden outputs, for redaction."""
    return {parameter_text(value) for value in values}


def _without_parameters(given: str | Mapping[str, Any]) -> str | None:
    """An environment as JSON without its parameters, which are the parent's; None if nothing is left."""
    parsed = parse_environment(given)
    sections = {name: getattr(parsed, name) for name in SECTIONS if name != "parameters"}
    left = {name: value for name, value in sections.items() if value}
    return json.dumps(left, sort_keys=True, ensure_ascii=False, default=str) if left else None


def _plain(value: Any) -> Any:
    """A parameter's value in a form that the API server gives back as it is."""
    if isinstance(value, list) and not any(isinstance(item, list | dict | None) for item in value):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= _MOST_BITS):
        return value
    return parameter_text(value)
