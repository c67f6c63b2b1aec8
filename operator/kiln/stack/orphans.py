"""Cleans up StackResources and the Secret of a Stack whose finalizer was removed by force.

The OpenStack resources are left alone: a backup that was restored into another cluster looks the same, so deleting them
would be a guess. A last Event says which resources remain.

A normal deletion releases the Secret before the Stack. If the operator is killed in between, the remaining records have
no OpenStack resources.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS, STACK_RESOURCES, STACKS
from kiln.api.v1alpha1 import Key
from kiln.kube.client import Json, Kube
from kiln.kube.errors import NotFound
from kiln.kube.event_recorder import EventRecorder
from kiln.stack import stack_secret
from kiln.stack.resource_store import recorded_of
from reconcilers import registry

log = logging.getLogger(__name__)


async def release_orphans(kube: Kube, events: EventRecorder, key: Key) -> None:
    """Release records and Secrets of Stacks of this name that do not exist any more. Raises KubeError."""
    records = await kube.list(STACK_RESOURCES, key.namespace, labels=f"{v1alpha1.LABEL_STACK}={key.name}")
    secret = await kube.get(SECRETS, key.namespace, stack_secret.secret_name(key.name))
    if secret is None and not records:
        return
    # Read the Stack after the objects: a Stack that is created in between cannot own them.
    stack = await kube.get(STACKS, *key)
    living = stack["metadata"]["uid"] if stack is not None else ""
    left = [obj for obj in records if is_orphaned(obj, living, v1alpha1.RESOURCE_FINALIZER)]
    forced = secret is not None and is_orphaned(secret, living, v1alpha1.FINALIZER)
    for obj in left:
        leftover = describe_leftover(obj) if forced else ""
        if leftover:
            log.warning("The Stack %s was removed by force: %s", key, leftover)
            events.emit(obj, "LeftInCloud", leftover, "Warning")
    await asyncio.gather(*(_release(kube, STACK_RESOURCES, obj) for obj in left))
    if secret is not None and forced:
        await _release(kube, SECRETS, secret)


def is_orphaned(obj: Mapping[str, Any], living: str, finalizer: str) -> bool:
    """Whether the object has the finalizer, and its Stack does not exist."""
    metadata = obj["metadata"]
    owners = v1alpha1.owner_uids(obj, STACKS.kind)
    return bool(owners) and living not in owners and finalizer in (metadata.get("finalizers") or ())


def describe_leftover(obj: Mapping[str, Any]) -> str:
    """Describe the OpenStack resource of a record; empty if there is none."""
    recorded = recorded_of(obj)
    rtype = registry.find(recorded.type)
    if rtype is None or not rtype.service:
        return ""
    if not recorded.physical_id:
        return f"resources.{recorded.name}: a {recorded.type} named {recorded.physical_name} may be in OpenStack"
    return f"resources.{recorded.name}: the {recorded.type} {recorded.physical_id} stays in OpenStack"


async def _release(kube: Kube, res: Any, obj: Json) -> None:
    metadata = obj["metadata"]
    body = {"metadata": {"finalizers": None, "uid": metadata["uid"]}}
    try:
        await kube.patch(res, metadata["namespace"], metadata["name"], body)
    except NotFound:
        return
