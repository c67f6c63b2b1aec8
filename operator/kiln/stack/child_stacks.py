"""The transport of child Stacks: what the resource type OS::Heat::Stack observes and changes.

It carries out the requests of :mod:`reconcilers.heat.stack` on Stack objects of the parent's namespace. ``/stacks`` are
the children of one Stack. A child is shown as

    id, name        the object's name, and the stack's name in Heat's sense
    status          READY, IN_PROGRESS or FAILED, with summary; reason, fault and lasting of a failure
    deleting        it is being deleted
    current         it has what its parent hands down now; edited: properties that somebody else changed
    power_state     as in its spec; retain: it stays when its parent goes
    metadata        kiln-token: the ownership token
    outputs         all outputs; the hidden ones are kept out of all texts
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS, STACK_RESOURCES, STACKS
from kiln.api.stack_status import StackStatus
from kiln.kube.client import Json, Kube, Objects
from kiln.kube.errors import Conflict, KubeError, NotFound
from kiln.stack import child_spec, published_outputs
from kiln.stack.child_spec import Content, Inherited
from kiln.stack.inputs import Inputs
from reconcilers import identifiers
from reconcilers.cloud.calls import ANYBODY, Caller
from reconcilers.cloud.observer import Observer
from reconcilers.cloud.session import Answer
from reconcilers.cloud.transports import Transport
from reconcilers.digests import Digester
from reconcilers.engine.context import Evaluate
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Request

_REFUSALS: Final = frozenset({400, 403, 413, 422})


class ChildStacks:
    """The children of one Stack (:class:`reconcilers.cloud.channel.Channel`).

    ``inputs`` are those that the Stack converges to; None if it is being deleted. ``key`` makes digests, ``hide`` is
    called with texts that must not be shown, ``fence`` says whether this process may still write. ``counts`` has the
    number of child Stacks of each namespace.
    """

    def __init__(
        self,
        kube: Kube,
        parent: Mapping[str, Any],
        inputs: Inputs | None,
        key: bytes,
        *,
        evaluate: Evaluate,
        fence: Callable[[], bool],
        hide: Callable[[Iterable[str]], None],
        counts: Counter[str],
    ) -> None:
        self._kube = kube
        self._parent = parent
        self._namespace: str = parent["metadata"]["namespace"]
        self._name: str = parent["metadata"]["name"]
        self._inputs = inputs
        self._digester = Digester(key)
        self._evaluate = evaluate
        self._fence = fence
        self._hide = hide
        self._counts = counts
        self._inherited: Inherited | None = None
        self._reading = asyncio.Lock()

    @property
    def transport(self) -> Transport:
        """The children as a transport of a reconciliation."""
        return Transport(self, Observer(self))

    # The channel.

    async def send(self, request: Request, caller: Caller = ANYBODY) -> Answer:
        """Carry out a request. Raises CloudError, and what ``caller.check`` raises."""
        caller.check()
        name = unquote(request.path.removeprefix("/stacks").removeprefix("/"))
        with _as_cloud_errors(request):
            if request.method != "GET" and not self._fence():
                raise CloudError(Fault.TRANSIENT, "this replica leads no longer")
            match request.method:
                case "GET":
                    shown = await self._shown(await self._get(name))
                case "POST":
                    shown = await self._shown(await self._create(request.body["stack"]))
                case "PUT":
                    shown = await self._shown(await self._update(name, request.body["stack"]))
                case "PATCH":
                    shown = await self._shown(await self._set_power(name, request.body["stack"]["power_state"]))
                case _:
                    await self._delete(name)
                    return Answer(202, None, "")
            return Answer(200, {"stack": shown}, "")

    async def list(self, request: Request, plural: str, caller: Caller = ANYBODY) -> Objects:
        """All children of the Stack. Raises CloudError, and what ``caller.check`` raises."""
        caller.check()
        with _as_cloud_errors(request):
            return [await self._shown(child) for child in await self._children()]

    async def leave_all(self) -> None:
        """Let the resources of all children stay in the cloud: Kubernetes deletes the children with their parent."""
        if not self._fence():
            return
        patch = [{"op": "add", "path": "/spec/deletionPolicy", "value": "Orphan"}]
        uid = self._parent["metadata"]["uid"]
        for child in await self._children():
            if uid in v1alpha1.owner_uids(child):
                await self._patch(child, patch)

    # Reading.

    async def _children(self) -> Objects:
        found = await self._kube.list(STACKS, self._namespace, labels=f"{v1alpha1.LABEL_STACK}={self._name}")
        return [child for child in found if _token(child) is not None]

    async def _get(self, name: str) -> Json:
        found = await self._kube.get(STACKS, self._namespace, name) if v1alpha1.is_object_name(name) else None
        if found is None:
            raise CloudError(Fault.INVALID, f"there is no Stack {name!r}", status=404)
        return found

    async def _shown(self, child: Mapping[str, Any]) -> Json:
        metadata, spec = child["metadata"], child.get("spec") or {}
        parent = await self._handed_down()
        held = _annotation(child)
        secret = await self._kube.get(SECRETS, self._namespace, child_spec.secret_name(metadata["name"]))
        content = Content(spec, _texts(secret) if secret is not None and self._ours(secret, child) else {})
        complete = metadata.get("uid") in v1alpha1.owner_uids(secret) if secret is not None and content.data else True
        current = parent is None or (held.get("basis") == self._digester.value(parent.basis) and complete)
        own = self._parent["metadata"]["uid"] in v1alpha1.owner_uids(child)
        return {
            "id": metadata["name"],
            "name": v1alpha1.heat_name(child),
            "metadata": {"kiln-token": _token(child)},
            "current": current,
            "edited": child_spec.edited(held, content, self._digester) if held and parent is not None else [],
            "power_state": spec.get("powerState", "Running"),
            "retain": not own,
            "outputs": await self._outputs(child),
            **child_spec.state(child),
        }

    async def _outputs(self, child: Mapping[str, Any]) -> Json:
        status = child.get("status") or {}
        outputs = dict(status.get("outputs") or {})
        hidden = StackStatus.parse(child).hidden_outputs
        if hidden:
            name = published_outputs.secret_name(child["metadata"]["name"])
            secret = await self._kube.get(SECRETS, self._namespace, name)
            found = {output: published_outputs.hidden_value(child, secret, output) for output in hidden}
            secrets = {output: value for output, (there, value) in found.items() if there}
            self._hide(child_spec.hidden_texts(secrets.values()))
            outputs |= secrets
        return outputs

    async def _handed_down(self) -> Inherited | None:
        """What children have from the Stack, computed once; None if it is being deleted."""
        if self._inputs is None:
            return None
        async with self._reading:
            if self._inherited is None:
                inputs, parent = self._inputs, self._parent
                self._inherited = await self._evaluate(lambda: child_spec.inherited(parent, inputs))
        return self._inherited

    # Writing.

    async def _create(self, body: Mapping[str, Any]) -> Json:
        name, parent = body["id"], await self._needed()
        depth = _depth(self._parent) + 1
        if depth > child_spec.DEEPEST:
            raise CloudError(Fault.INVALID, f"Stacks are nested deeper than {child_spec.DEEPEST}, as Heat allows")
        if self._counts[self._namespace] >= child_spec.MOST:
            raise CloudError(Fault.QUOTA, f"the namespace has {child_spec.MOST} child Stacks, and may have no more")
        content = child_spec.content(name, body, parent)
        owners = [] if body["retain"] else await self._owners(body["record"])
        await self._write_secret(name, content, owners)
        metadata = {
            "name": name,
            "labels": {v1alpha1.LABEL_STACK: self._name},
            "annotations": self._annotations(body, content, parent, depth),
            "ownerReferences": owners,
        }
        child = {"apiVersion": v1alpha1.API_VERSION, "kind": "Stack", "metadata": metadata, "spec": content.spec}
        made = await self._kube.create(STACKS, self._namespace, child)
        if content.data:
            await self._write_secret(name, content, [v1alpha1.owner_reference(made)])
        return made

    async def _update(self, name: str, body: Mapping[str, Any]) -> Json:
        child, parent = await self._child(name), await self._needed()
        content = child_spec.content(name, body, parent)
        await self._write_secret(name, content, [v1alpha1.owner_reference(child)])
        metadata = child["metadata"]
        depth = _depth(self._parent) + 1
        annotations = {**(metadata.get("annotations") or {}), **self._annotations(body, content, parent, depth)}
        uid = self._parent["metadata"]["uid"]
        owners = metadata.get("ownerReferences") or []
        if body["retain"]:
            owners = []
        elif uid not in v1alpha1.owner_uids(child):
            owners = await self._owners(body["record"])
        wanted = {
            "/metadata/annotations": annotations,
            "/metadata/labels": {**(metadata.get("labels") or {}), v1alpha1.LABEL_STACK: self._name},
            "/metadata/ownerReferences": owners,
            "/spec": content.spec,
        }
        return await self._patch(child, [{"op": "add", "path": at, "value": value} for at, value in wanted.items()])

    async def _set_power(self, name: str, power: str) -> Json:
        patch = [{"op": "add", "path": "/spec/powerState", "value": power}]
        return await self._patch(await self._child(name), patch)

    async def _delete(self, name: str) -> None:
        child = await self._child(name)
        secret = child_spec.secret_name(name)
        found = await self._kube.get(SECRETS, self._namespace, secret)
        if found is not None and self._ours(found, child):
            await self._kube.delete(SECRETS, self._namespace, secret, uid=found["metadata"]["uid"])
        await self._kube.delete(STACKS, self._namespace, name, uid=child["metadata"]["uid"])

    async def _child(self, name: str) -> Json:
        """A Stack that Kiln made for a resource. Others are never changed. Raises CloudError."""
        found = await self._get(name)
        if _token(found) is None or name == self._name:
            raise CloudError(Fault.INVALID, f"the Stack {name} was not made by a Stack; refer to it with external_id")
        return found

    async def _patch(self, child: Mapping[str, Any], patch: Objects) -> Json:
        """Change this very child. Raises CloudError if there is another one of its name by now."""
        metadata = child["metadata"]
        test = {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}
        return await self._kube.patch(STACKS, self._namespace, metadata["name"], [test, *patch], how="json")

    async def _needed(self) -> Inherited:
        found = await self._handed_down()
        if found is None:
            raise CloudError(Fault.INVALID, "the Stack is being deleted, so it makes no others")
        return found

    def _annotations(
        self, body: Mapping[str, Any], content: Content, parent: Inherited, depth: int
    ) -> Mapping[str, str]:
        marks = child_spec.marks(content, parent, self._digester)
        return {
            v1alpha1.ANNOTATION_TOKEN: body["metadata"]["kiln-token"],
            v1alpha1.ANNOTATION_CHILD: json.dumps(marks, sort_keys=True),
            v1alpha1.ANNOTATION_DEPTH: str(depth),
        }

    async def _owners(self, record: str) -> Objects:
        """The Stack, and the StackResource, which may be replaced: the child must not go with that."""
        owners = [v1alpha1.owner_reference(self._parent)]
        found = await self._kube.get(STACK_RESOURCES, self._namespace, record)
        if found is not None:
            uid = found["metadata"]["uid"]
            api, kind = STACK_RESOURCES.api_version, STACK_RESOURCES.kind
            owners.append({"apiVersion": api, "kind": kind, "name": record, "uid": uid})
        return owners

    async def _write_secret(self, child: str, content: Content, owners: Objects) -> None:
        """Write the Secret with a child's hidden inputs, or delete it if there are none."""
        name = child_spec.secret_name(child)
        found = await self._kube.get(SECRETS, self._namespace, name)
        if found is not None and (found["metadata"].get("labels") or {}).get(v1alpha1.LABEL_INPUTS) != child:
            reason = f"there is a Secret {name!r} that Kiln did not make for this child Stack; rename it"
            raise CloudError(Fault.INVALID, reason)
        if not content.data:
            if found is not None:
                await self._kube.delete(SECRETS, self._namespace, name, uid=found["metadata"]["uid"])
            return
        data = {key: base64.b64encode(text.encode(errors="replace")).decode() for key, text in content.data.items()}
        metadata: Json = {"labels": {v1alpha1.LABEL_INPUTS: child}, "ownerReferences": owners}
        if found is None:
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **metadata}, "data": data}
            await self._kube.create(SECRETS, self._namespace, {**body, "type": "Opaque"})
        elif found.get("data") != data or found["metadata"].get("ownerReferences") != owners:
            patch: Json = {"metadata": {"uid": found["metadata"]["uid"], **metadata}}
            gone: Json = {key: None for key in found.get("data") or {} if key not in data}
            await self._kube.patch(SECRETS, self._namespace, name, {**patch, "data": {**gone, **data}})

    @staticmethod
    def _ours(secret: Mapping[str, Any], child: Mapping[str, Any]) -> bool:
        labels = secret["metadata"].get("labels") or {}
        return bool(labels.get(v1alpha1.LABEL_INPUTS) == child["metadata"]["name"])


def _token(child: Mapping[str, Any]) -> str | None:
    """The ownership token; None of one that somebody wrote on a Stack which is no child."""
    metadata = child["metadata"]
    found = str((metadata.get("annotations") or {}).get(v1alpha1.ANNOTATION_TOKEN) or "")
    return found if identifiers.is_child_name(metadata["name"], found) else None


def _annotation(child: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was written into a child, by digests; empty if it cannot be read."""
    text = (child["metadata"].get("annotations") or {}).get(v1alpha1.ANNOTATION_CHILD, "{}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _depth(stack: Mapping[str, Any]) -> int:
    text = str((stack["metadata"].get("annotations") or {}).get(v1alpha1.ANNOTATION_DEPTH, "0"))
    return int(text[:3]) if text.isdecimal() and text.isascii() else 0


def _texts(secret: Mapping[str, Any]) -> dict[str, str]:
    data: Mapping[str, str] = secret.get("data") or {}
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


@contextmanager
def _as_cloud_errors(request: Request) -> Iterator[None]:
    """Turn errors of the API server into those that the engine acts on."""
    try:
        yield
    except NotFound as error:
        raise CloudError(Fault.CONFLICT, str(error), status=404) from error
    except Conflict as error:
        raise CloudError(Fault.CONFLICT, str(error), status=409) from error
    except KubeError as error:
        fault = Fault.INVALID if error.status in _REFUSALS else Fault.TRANSIENT
        if "exceeded quota" in error.message:
            fault = Fault.QUOTA
        ambiguous = fault is Fault.TRANSIENT and request.method != "GET"
        wait = error.retry_after or None
        raise CloudError(fault, str(error), status=error.status, retry_after=wait, ambiguous=ambiguous) from error
