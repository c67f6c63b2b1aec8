"""The finalizer that keeps a Stack until none of its resources is left in the cloud."""

from collections.abc import Mapping
from typing import Any

from kiln.api import v1alpha1
from kiln.api.kinds import STACKS
from kiln.kube.client import Kube
from kiln.kube.errors import Conflict, NotFound
from kiln.kube.patches import finalizer_patch
from reconcilers.engine.control import EndReason, ReconciliationEnded


async def add_finalizer(kube: Kube, stack: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add our finalizer if it is missing, before anything is created. Returns the updated Stack."""
    metadata = stack["metadata"]
    finalizers = metadata.get("finalizers") or ()
    if v1alpha1.FINALIZER in finalizers:
        return stack
    patch = finalizer_patch(stack, [*finalizers, v1alpha1.FINALIZER])
    try:
        return await kube.patch(STACKS, metadata["namespace"], metadata["name"], patch, how="json")
    except Conflict as error:
        # Somebody changed the Stack. The next reconciliation reads it again.
        raise ReconciliationEnded(EndReason.OBJECT_CHANGED) from error


def has_finalizer(stack: Mapping[str, Any]) -> bool:
    """Whether the Stack has our finalizer."""
    return v1alpha1.FINALIZER in (stack["metadata"].get("finalizers") or ())


async def remove_finalizer(kube: Kube, stack: Mapping[str, Any]) -> bool:
    """Remove our finalizer, so that Kubernetes deletes the Stack and its objects. False if the Stack is gone."""
    metadata = stack["metadata"]
    while True:
        finalizers = [one for one in stack["metadata"].get("finalizers") or () if one != v1alpha1.FINALIZER]
        patch = finalizer_patch(stack, finalizers)
        try:
            await kube.patch(STACKS, metadata["namespace"], metadata["name"], patch, how="json")
        except NotFound:
            return False
        except Conflict:
            # Somebody changed it since it was read. Nothing is left in the cloud, so it need not be looked at again.
            newer = await kube.get(STACKS, metadata["namespace"], metadata["name"])
            if newer is None or newer["metadata"]["uid"] != metadata["uid"] or not has_finalizer(newer):
                return False
            stack = newer
        else:
            return True
