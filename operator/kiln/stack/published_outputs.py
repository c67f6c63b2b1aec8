"""Outputs in Secrets and ConfigMaps: ``NAME-outputs`` for hidden ones, and what ``spec.outputsTo`` asks for.

The objects belong to the Stack, and Kubernetes deletes them with it. Only objects that the operator made for this very
Stack are changed or deleted. An object whose content is right costs one read and no write.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kiln.api import v1alpha1
from kiln.api.kinds import CONFIG_MAPS, SECRETS, Resource
from kiln.api.v1alpha1 import Reason, is_object_name
from kiln.kube.client import Kube
from kiln.kube.errors import AlreadyExists, Conflict, KubeError
from kiln.stack import stack_secret
from kiln.stack.outputs import Outputs

JSON_KEYS: Final = ".kiln.json"
"""The key of ``NAME-outputs`` that lists, as JSON, the keys whose values are JSON and no plain texts."""
MOST_BYTES: Final = 1_000_000
"""Bytes of all values of one object; Kubernetes accepts 1 MiB."""
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_UNFIT: Final = re.compile(r"[^-._a-zA-Z0-9]")
_TRIES: Final = 3
_REFUSALS: Final = frozenset({400, 403, 413, 422})
_RESOURCES: Final = {"secret": SECRETS, "configMap": CONFIG_MAPS}
_BY_KIND: Final = {one.kind: one for one in _RESOURCES.values()}


@dataclass(frozen=True, slots=True)
class Problem:
    """Outputs cannot be written as the spec asks."""

    reason: Reason
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Published:
    """What came of it: the objects that are to exist, and the first problem."""

    objects: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """One object as it is to be. ``keep`` are keys that keep the values that they have. The repr omits values."""

    resource: Resource
    name: str
    path: str
    data: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    keep: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """As ``status.outputObjects`` names it."""
        return f"{self.resource.kind}/{self.name}"


def secret_name(stack: str) -> str:
    """The name of the Secret with the hidden outputs of the Stack of this name."""
    return f"{stack}-outputs"


def key_of(output: str) -> str:
    """The key of an output. A name that is no key of a Secret gets a digest at its end, so that it stays unique."""
    if _KEY.fullmatch(output) and output not in {".", "..", JSON_KEYS} and not output.startswith(".."):
        return output
    digest = hashlib.sha256(output.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{_UNFIT.sub('_', output)[:200].lstrip('.')}-{digest}"


def text_of(value: Any) -> str:
    """An output as text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def contents(
    stack: Mapping[str, Any], shown: Outputs, *, keep_hidden: bool = False
) -> tuple[list[Content], list[Problem]]:
    """The objects that are to exist, and what is wrong with ``spec.outputsTo``.

    ``keep_hidden``: hidden outputs that have no value at the moment keep the one that they had.
    """
    name = stack["metadata"]["name"]
    lost = frozenset(shown.hidden) - shown.secrets.keys() if keep_hidden else frozenset()
    made: list[Content] = []
    problems: list[Problem] = []
    taken = {("Secret", secret_name(name)), ("Secret", stack_secret.secret_name(name))}
    if shown.secrets or lost:
        made.append(_hidden_outputs(name, shown, lost))
    for index, item in enumerate((stack.get("spec") or {}).get("outputsTo") or ()):
        source = next(one for one in _RESOURCES if one in item)
        path, wanted, resource = f"spec.outputsTo[{index}].{source}", item[source], _RESOURCES[source]
        found = _content(resource, path, wanted, shown, lost)
        if isinstance(found, Problem):
            problems.append(found)
        elif (resource.kind, found.name) in taken:
            message = f"the {resource.kind} {found.name!r} is used for something else already; choose another name"
            problems.append(Problem(Reason.NAME_TAKEN, f"{path}.name", message))
        else:
            taken.add((resource.kind, found.name))
            made.append(found)
    return made, problems


def _hidden_outputs(stack: str, shown: Outputs, lost: frozenset[str]) -> Content:
    data = {key_of(output): text_of(value) for output, value in shown.secrets.items()}
    as_json = sorted(key_of(output) for output, value in shown.secrets.items() if not isinstance(value, str))
    if as_json:
        data[JSON_KEYS] = json.dumps(as_json)
    keep = frozenset(map(key_of, lost)) | ({JSON_KEYS} if lost and not as_json else set())
    return Content(SECRETS, secret_name(stack), "metadata.name", data, keep=keep)


def _content(
    resource: Resource, path: str, wanted: Mapping[str, Any], shown: Outputs, lost: frozenset[str]
) -> Content | Problem:
    name, may_hide = str(wanted["name"]), resource is SECRETS
    if not is_object_name(name):
        return Problem(Reason.INVALID_SPEC, f"{path}.name", f"{name!r} is not a name that Kubernetes allows")
    marks = [*(wanted.get("labels") or ()), *(wanted.get("annotations") or ())]
    own = next((one for one in marks if one.startswith(f"{v1alpha1.GROUP}/")), None)
    if own is not None:
        return Problem(Reason.INVALID_SPEC, path, f"{own!r} is a label or annotation of Kiln's own")
    values = {**shown.values, **shown.secrets} if may_hide else dict(shown.values)
    keys: Mapping[str, str] = wanted.get("keys") or {
        key_of(output): output for output in sorted({*values, *(lost if may_hide else ())})
    }
    data: dict[str, str] = {}
    size = 0
    for key, output in keys.items():
        at = f"{path}.keys[{key}]"
        if not _KEY.fullmatch(key):
            return Problem(Reason.INVALID_SPEC, at, "a key has letters, digits, '-', '_' and '.' only")
        if output in shown.hidden and not may_hide:
            return Problem(Reason.INVALID_SPEC, at, f"the output {output!r} is hidden: only a Secret can hold it")
        if output not in values:
            if output not in shown.errors and output not in shown.hidden and output not in shown.without_value:
                there = ", ".join(sorted({*shown.values, *shown.hidden, *shown.errors})[:10]) or "none"
                return Problem(Reason.INVALID_SPEC, at, f"there is no output {output!r}; there are: {there}")
            continue
        data[key] = text_of(values[output])
        size += len(data[key].encode(errors="replace"))
        if size > MOST_BYTES:
            return Problem(Reason.INVALID_SPEC, path, f"the outputs have more than {MOST_BYTES} bytes: choose keys")
    keep = frozenset(key for key, output in keys.items() if output in lost)
    labels, annotations = (dict(wanted.get(part) or {}) for part in ("labels", "annotations"))
    return Content(resource, name, path, data, labels, annotations, keep)


class OutputPublisher:
    """Writes the objects of one Stack. ``fence`` says whether this process may still write."""

    def __init__(self, kube: Kube, stack: Mapping[str, Any], fence: Callable[[], bool]) -> None:
        self._kube = kube
        self._stack = stack
        self._namespace: str = stack["metadata"]["namespace"]
        self._name: str = stack["metadata"]["name"]
        self._fence = fence

    async def publish(self, wanted: Sequence[Content], known: Sequence[str]) -> list[Problem]:
        """Write what differs, and delete objects among ``known`` that are not wanted any more."""
        problems: list[Problem] = []
        if not self._fence():
            return problems
        for content in wanted:
            try:
                problem = await self._write(content)
            except KubeError as error:
                if error.status not in _REFUSALS:
                    raise
                problem = Problem(Reason.KUBERNETES_REFUSED, content.path, str(error))
            if problem is not None:
                problems.append(problem)
        names = {content.identity for content in wanted}
        for identity in known:
            if identity not in names:
                await self._remove(identity)
        return problems

    async def _write(self, content: Content) -> Problem | None:
        taken = Problem(
            Reason.NAME_TAKEN,
            content.path,
            f"there is a {content.resource.kind} {content.name!r} that Kiln did not make for this Stack's outputs; "
            "rename it, or choose another name",
        )
        for _ in range(_TRIES):
            found = await self._kube.get(content.resource, self._namespace, content.name)
            try:
                if found is not None and self._of_older_stack(found):
                    uid = found["metadata"]["uid"]
                    await self._kube.delete(content.resource, self._namespace, content.name, uid=uid)
                    found = None
                if found is None:
                    await self._kube.create(content.resource, self._namespace, self._body(content))
                    return None
                if not self._ours(found):
                    return taken
                patch = self._patch(content, found)
                if patch:
                    await self._kube.patch(content.resource, self._namespace, content.name, patch)
            except AlreadyExists:
                return taken
            except Conflict:
                continue  # somebody has just changed it
            return None
        return None

    async def _remove(self, identity: str) -> None:
        kind, _, name = identity.partition("/")
        resource = _BY_KIND.get(kind)
        if resource is None or not is_object_name(name):
            return
        found = await self._kube.get(resource, self._namespace, name)
        if found is None or not self._ours(found):
            return
        try:
            await self._kube.delete(resource, self._namespace, name, uid=found["metadata"]["uid"])
        except Conflict:
            return  # another object has the name now

    def _body(self, content: Content) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "name": content.name,
            "labels": {**content.labels, v1alpha1.LABEL_OUTPUTS: self._name},
            "annotations": {**content.annotations, **_managed(content)},
            "ownerReferences": [v1alpha1.owner_reference(self._stack)],
        }
        body = {"apiVersion": "v1", "kind": content.resource.kind, "metadata": metadata, "data": _encoded(content)}
        return {**body, "type": "Opaque"} if content.resource is SECRETS else body

    def _patch(self, content: Content, found: Mapping[str, Any]) -> dict[str, Any]:
        """A merge patch to the content; empty if there is no difference."""
        metadata = found["metadata"]
        held = {part: metadata.get(part) or {} for part in ("labels", "annotations")}
        before = _managed_before(held["annotations"])
        wanted = {
            "labels": {**content.labels, v1alpha1.LABEL_OUTPUTS: self._name},
            "annotations": {**content.annotations, **_managed(content)},
        }
        changes = {
            part: _changes(held[part], wanted[part], frozenset(before.get(part) or ()) | _OWN[part]) for part in wanted
        }
        data = found.get("data") or {}
        changed = _changes(data, _encoded(content), frozenset(data) - content.keep)
        if not changed and not any(changes.values()):
            return {}
        same = {part: metadata[part] for part in ("uid", "resourceVersion")}
        return {
            "metadata": {**same, **{part: change for part, change in changes.items() if change}},
            **({"data": changed} if changed else {}),
        }

    def _ours(self, found: Mapping[str, Any]) -> bool:
        return self._labelled(found) and self._stack["metadata"]["uid"] in v1alpha1.owner_uids(found)

    def _labelled(self, found: Mapping[str, Any]) -> bool:
        return bool((found["metadata"].get("labels") or {}).get(v1alpha1.LABEL_OUTPUTS) == self._name)

    def _of_older_stack(self, found: Mapping[str, Any]) -> bool:
        """Whether the operator made it for an older Stack of the same name: Kubernetes has not deleted it yet."""
        mine = v1alpha1.owner_reference(self._stack)
        owners = found["metadata"].get("ownerReferences") or ()
        same = [(one.get("kind"), one.get("apiVersion"), one.get("name")) for one in owners]
        uids = v1alpha1.owner_uids(found)
        return (
            self._labelled(found)
            and same == [(mine["kind"], mine["apiVersion"], mine["name"])]
            and mine["uid"] not in uids
        )


_OWN: Final = {"labels": frozenset[str](), "annotations": frozenset({v1alpha1.ANNOTATION_OUTPUTS_METADATA})}
"""What the operator itself sets."""


def _managed(content: Content) -> dict[str, str]:
    """The annotation that says which labels and annotations come from the spec, so that they can be removed again."""
    if not content.labels and not content.annotations:
        return {}
    named = {"labels": sorted(content.labels), "annotations": sorted(content.annotations)}
    return {v1alpha1.ANNOTATION_OUTPUTS_METADATA: json.dumps(named)}


def _managed_before(annotations: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    try:
        found = json.loads(annotations.get(v1alpha1.ANNOTATION_OUTPUTS_METADATA, "{}"))
    except ValueError:
        return {}
    return {part: [str(one) for one in names] for part, names in found.items()} if isinstance(found, dict) else {}


def _changes(held: Mapping[str, Any], wanted: Mapping[str, Any], ours: frozenset[str]) -> dict[str, Any]:
    """A merge patch from what is there to what is wanted. Of the rest, what is ``ours`` is removed."""
    changed: dict[str, Any] = {key: value for key, value in wanted.items() if held.get(key) != value}
    return changed | {key: None for key in held if key in ours and key not in wanted}


def _encoded(content: Content) -> dict[str, str]:
    if content.resource is not SECRETS:
        return dict(content.data)
    return {key: base64.b64encode(text.encode(errors="replace")).decode() for key, text in content.data.items()}


def hidden_value(stack: Mapping[str, Any], secret: Mapping[str, Any] | None, output: str) -> tuple[bool, Any]:
    """Whether the Secret ``NAME-outputs`` of a Stack has an output, and its value.

    A Secret that is not the Stack's own counts as missing.
    """
    if secret is None or stack["metadata"]["uid"] not in v1alpha1.owner_uids(secret):
        return False, None
    data = secret.get("data") or {}
    key = key_of(output)
    if key not in data:
        return False, None
    try:
        text = base64.b64decode(data[key]).decode()
        as_json = json.loads(base64.b64decode(data.get(JSON_KEYS, ""))) if JSON_KEYS in data else []
        return True, json.loads(text) if key in as_json else text
    except ValueError:
        return False, None
