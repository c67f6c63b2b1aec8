"""Stores the records of a Stack's resources (:class:`reconcilers.engine.context.ResourceStore`) as StackResources.

A resource needs at most three writes: the intent (create), the answer of the cloud (status), and readiness (status).
Types that are ready at once need two. The deletion of a whole Stack needs one, and the Stack itself does not wait for
it. Each status write requires the version that was read, so if two operators both believe that they lead, the API
server refuses one of them.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from kiln.api import v1alpha1
from kiln.api.kinds import STACK_RESOURCES
from kiln.kube.client import Kube
from kiln.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound
from kiln.stack.resource_tree import depth_of, parent_of
from kiln.stack.shown_texts import shown
from reconcilers import identifiers
from reconcilers.engine.context import ResourceStore
from reconcilers.engine.control import EndReason, ReconciliationEnded
from reconcilers.errors import request_id_of
from reconcilers.model import Intent, Power, Recorded

log = logging.getLogger(__name__)

READ_AT_ONCE = 200
"""Records that are read before the event loop gets its turn: about ten milliseconds."""
RELEASED_TOGETHER = 500
"""Records that are released together. After a crash in between, their deletions are sent again."""


@dataclass(slots=True)
class StackResourceStore(ResourceStore):
    """The StackResources of one Stack.

    ``now`` returns RFC 3339 timestamps, ``fence`` whether this process may still write. ``deleting_stack``: the Stack
    itself is being deleted, so records wait for :meth:`release`, which deletes many in one call.
    """

    kube: Kube
    stack: Mapping[str, Any]
    now: Callable[[], str]
    fence: Callable[[], bool] = lambda: True
    redact: Callable[[str], str] = str
    deleting_stack: bool = False
    _forgotten: list[str] = field(default_factory=list)
    """Names of records of a Stack that is being deleted, whose finalizers are still to be removed."""
    _gone: list[str] = field(default_factory=list)
    """Names of records without finalizers, still to be deleted."""

    @property
    def _namespace(self) -> str:
        return str(self.stack["metadata"]["namespace"])

    @property
    def _name(self) -> str:
        return str(self.stack["metadata"]["name"])

    @property
    def _selector(self) -> str:
        return f"{v1alpha1.LABEL_STACK}={self._name}"

    async def load(self) -> list[Recorded]:
        """All records of the Stack.

        Objects of an older Stack of the same name are left out: Kubernetes deletes them with their owner.
        """
        objects = await self.kube.list(STACK_RESOURCES, self._namespace, labels=self._selector)
        records = []
        self._gone = []
        for number, obj in enumerate(objects, 1):
            if not self._owns(obj):
                if self._claimed(obj):
                    log.warning("the StackResource %s is ignored: Kiln did not make it", obj["metadata"]["name"])
            elif _is_gone(obj):
                # An earlier reconciliation released it, and ended before it deleted it.
                self._gone.append(obj["metadata"]["name"])
            else:
                records.append(recorded_of(obj))
            if number % READ_AT_ONCE == 0:
                await asyncio.sleep(0)
        return records

    @override
    async def replace(self, recorded: Recorded, intent: Intent) -> Recorded:
        """Raises KubeError if nothing can be created (in a namespace that is being deleted). The old record stays then,
        because it is the only one.
        """
        self._check()
        body = self._object(intent)
        probe = {**body, "metadata": {**body["metadata"], "name": f"{recorded.key[:240]}-probe"}}
        await self.kube.create(STACK_RESOURCES, self._namespace, probe, dry_run=True)
        await self.delete(recorded)
        return await self.create(intent)

    @override
    async def create(self, intent: Intent) -> Recorded:
        self._check()
        body = self._object(intent)
        name = body["metadata"]["name"]
        try:
            return recorded_of(await self.kube.create(STACK_RESOURCES, self._namespace, body))
        except AlreadyExists:
            # An earlier attempt, of this or another process. The name follows from the token, so it is the same
            # resource.
            existing = await self.kube.get(STACK_RESOURCES, self._namespace, name)
            if existing is None or not self._owns(existing):
                raise
            return dataclasses.replace(recorded_of(existing), found=True)

    def _object(self, intent: Intent) -> dict[str, Any]:
        name = identifiers.object_name(self._name, intent.name, intent.token)
        spec: dict[str, Any] = {
            "stackName": self._name,
            "logicalName": intent.name,
            "type": intent.type,
            "token": intent.token,
            "serial": intent.serial,
            "physicalName": intent.physical_name,
            "requires": sorted(intent.requires),
            "data": dict(intent.data),
            "digests": dict(intent.digests),
            "deletionPolicy": _policy(intent),
            "external": intent.external,
            **({"seal": intent.seal} if intent.seal else {}),
        }
        return {
            "apiVersion": v1alpha1.API_VERSION,
            "kind": "StackResource",
            "metadata": {
                "name": name,
                "labels": {v1alpha1.LABEL_STACK: self._name},
                "finalizers": [v1alpha1.RESOURCE_FINALIZER],
                "ownerReferences": [v1alpha1.owner_reference(self.stack)],
            },
            "spec": spec,
        }

    @override
    async def save(self, recorded: Recorded) -> Recorded:
        """Raises ReconciliationEnded if the object was changed since. The next reconciliation reads it again."""
        self._check()
        status = {
            "state": recorded.state,
            "logicalName": recorded.name if recorded.origin else None,
            "parent": parent_of(recorded.name) or None,
            "depth": depth_of(recorded.name) or None,
            "physicalID": recorded.physical_id,
            "confirmed": recorded.confirmed,
            "message": shown(recorded.message, self.redact) or None,
            "fault": recorded.fault or None,
            "digests": dict(sorted(recorded.digests.items())),
            "data": dict(recorded.data),
            "requires": sorted(recorded.requires),
            "deletionPolicy": _policy(recorded),
            "references": dict(sorted(recorded.references.items())) or None,
            "attempts": recorded.attempts,
            "powerState": str(recorded.power) if recorded.power is not Power.RUNNING else None,
            "requestID": request_id_of(recorded.request_id) or None,
            "seal": recorded.seal or None,
            "lastTransitionTime": self.now(),
        }
        # A JSON patch replaces the whole status. A merge patch would keep digests of removed properties.
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": recorded.version},
            {
                "op": "add",
                "path": "/status",
                "value": {key: value for key, value in status.items() if value is not None},
            },
        ]
        try:
            stored = await self.kube.patch(
                STACK_RESOURCES, self._namespace, recorded.key, patch, how="json", subresource="status"
            )
        except (Conflict, NotFound) as error:
            raise ReconciliationEnded(EndReason.OBJECT_CHANGED) from error
        return dataclasses.replace(recorded, version=stored["metadata"]["resourceVersion"])

    @override
    async def delete(self, recorded: Recorded) -> None:
        self._check()
        if not self.deleting_stack:
            if not recorded.deleting:
                await self.kube.delete(STACK_RESOURCES, self._namespace, recorded.key)
            await self._remove_finalizer(recorded.key, {"finalizers": None})
            return
        self._forgotten.append(recorded.key)
        if len(self._forgotten) >= RELEASED_TOGETHER:
            await self.release()

    async def _remove_finalizer(self, key: str, metadata: Mapping[str, Any]) -> None:
        with contextlib.suppress(NotFound):
            await self.kube.patch(STACK_RESOURCES, self._namespace, key, {"metadata": metadata})

    def expect_garbage_collection(self) -> None:
        """Expect Kubernetes to delete the forgotten records with the Stack, so that this is no news."""
        self.kube.expect_deletions(STACK_RESOURCES, self._namespace, self._forgotten)

    async def release(self) -> None:
        """Release the forgotten records and delete them in one call. Kubernetes collects any that remain."""
        self._check()
        keys, self._forgotten = self._forgotten, []
        marked = {"finalizers": None, "labels": {v1alpha1.LABEL_GONE: "true"}}
        await asyncio.gather(*(self._remove_finalizer(key, marked) for key in keys))
        self._gone += keys
        names, self._gone = self._gone, []
        if names:
            with contextlib.suppress(Forbidden):
                selector = f"{self._selector},{v1alpha1.LABEL_GONE}=true"
                await self.kube.delete_all(STACK_RESOURCES, self._namespace, selector, names)

    def _check(self) -> None:
        if not self.fence():
            raise ReconciliationEnded(EndReason.LEASE_LOST)

    def _owns(self, obj: Mapping[str, Any]) -> bool:
        """Whether a record is one that the operator made for this Stack: token and name follow from the Stack's uid.

        The owner does not count: it may have been cut off (a deletion that orphans what the Stack owns), and whoever
        may write a record may write any owner into it.
        """
        spec = obj.get("spec") or {}
        name, serial = spec.get("logicalName"), spec.get("serial")
        if not isinstance(name, str) or not isinstance(serial, int) or serial < 0:
            return False
        token = identifiers.token(self.stack["metadata"]["uid"], name, serial)
        return bool(
            spec.get("token") == token and obj["metadata"]["name"] == identifiers.object_name(self._name, name, token)
        )

    def _claimed(self, obj: Mapping[str, Any]) -> bool:
        """Whether a record says that it is this Stack's; others with the label are of an older Stack of the name."""
        return self.stack["metadata"]["uid"] in v1alpha1.owner_uids(obj)


def _policy(one: Recorded | Intent) -> str:
    return "Retain" if one.retain else "Snapshot" if one.copied else "Delete"


def _is_gone(obj: Mapping[str, Any]) -> bool:
    return v1alpha1.LABEL_GONE in (obj["metadata"].get("labels") or {})


def recorded_of(obj: Mapping[str, Any]) -> Recorded:
    """Parse a StackResource."""
    metadata, spec = obj["metadata"], obj["spec"]
    status: Mapping[str, Any] = obj.get("status") or {}
    return Recorded(
        key=metadata["name"],
        name=status.get("logicalName", spec["logicalName"]),
        origin=spec["logicalName"] if "logicalName" in status else "",
        type=spec["type"],
        token=spec["token"],
        physical_name=spec.get("physicalName", ""),
        physical_id=status.get("physicalID"),
        data={**(spec.get("data") or {}), **(status.get("data") or {})},
        digests=(status if "digests" in status else spec).get("digests") or {},
        references=status.get("references") or {},
        requires=frozenset((status if "requires" in status else spec).get("requires") or ()),
        confirmed=bool(status.get("confirmed")),
        state=status.get("state", "Creating"),
        message=status.get("message", ""),
        retain=status.get("deletionPolicy", spec.get("deletionPolicy")) == "Retain",
        copied=status.get("deletionPolicy", spec.get("deletionPolicy")) == "Snapshot",
        external=bool(spec.get("external")),
        created_at=metadata.get("creationTimestamp", ""),
        version=metadata["resourceVersion"],
        serial=int(spec["serial"]),
        fault=status.get("fault", ""),
        request_id=status.get("requestID", ""),
        deleting="deletionTimestamp" in metadata,
        attempts=int(status.get("attempts", 0)),
        power=Power(status.get("powerState", Power.RUNNING)),
        seal=(status if "digests" in status else spec).get("seal", ""),
        stack=next((one["uid"] for one in metadata.get("ownerReferences") or () if one.get("kind") == "Stack"), ""),
    )
