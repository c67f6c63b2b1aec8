"""What a Stack leaves behind whose finalizer somebody removed by force: records and a key.

Nobody asks for the deletion of what they stand for any more, and nobody may delete on a guess: a backup that is
restored into another cluster looks the same. So they are let go, and what stays in OpenStack is told a last time.

A Stack whose deletion came to its end has released its key before it went. Records that it may have left, because the
operator was killed then, stand for nothing.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from kiln.api import v1alpha1
from kiln.api.v1alpha1 import Key
from kiln.kube.client import SECRETS, STACK_RESOURCES, STACKS, Json, Kube, NotFound
from kiln.kube.event_recorder import Events
from kiln.stack import finalizer
from kiln.stack.resource_store import recorded_of
from reconcilers import registry

log = logging.getLogger(__name__)


async def let_go(kube: Kube, events: Events, key: Key) -> None:
    """Release the records and the keys of Stacks of this name that are no more. Raises KubeError."""
    records = await kube.list(STACK_RESOURCES, key.namespace, labels=f"{v1alpha1.LABEL_STACK}={key.name}")
    secret = await kube.get(SECRETS, key.namespace, finalizer.secret_name(key.name))
    if secret is None and not records:
        return
    # Asked for after what it may own: a new one cannot have made them.
    stack = await kube.get(STACKS, *key)
    living = stack["metadata"]["uid"] if stack is not None else ""
    left = [obj for obj in records if _bereft(obj, living, v1alpha1.RESOURCE_FINALIZER)]
    forced = secret is not None and _bereft(secret, living, v1alpha1.FINALIZER)
    for obj in left:
        told = _stays(obj) if forced else ""
        if told:
            log.warning("The Stack %s was removed by force: %s", key, told)
            events.emit(obj, "LeftInCloud", told, "Warning")
    await asyncio.gather(*(_release(kube, STACK_RESOURCES, obj) for obj in left))
    if secret is not None and forced:
        await _release(kube, SECRETS, secret)


def _bereft(obj: Mapping[str, Any], living: str, finalizer: str) -> bool:
    """Whether this is held, and belongs to a Stack that is not there."""
    metadata = obj["metadata"]
    owners = {owner.get("uid") for owner in metadata.get("ownerReferences") or () if owner.get("kind") == STACKS.kind}
    return bool(owners) and living not in owners and finalizer in (metadata.get("finalizers") or ())


def _stays(obj: Mapping[str, Any]) -> str:
    """What remains of a record, in words; empty where it stands for nothing."""
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
