"""The Secret of a Stack: the key of its digests, and the credentials that it last used."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS
from kiln.clouds.credentials import Credential
from kiln.kube.client import Kube, NotFound


async def load_or_create_digest_key(kube: Kube, stack: Mapping[str, Any], credential: Credential) -> tuple[bytes, bool]:
    """The Stack's secret key (32 bytes), and whether it was made just now.

    Beside the key its Secret keeps the credentials: see :func:`stored_credentials`.
    """
    metadata = stack["metadata"]
    name = secret_name(stack["metadata"]["name"])
    secret = await kube.get(SECRETS, metadata["namespace"], name)
    if secret is not None:
        owners = secret["metadata"].get("ownerReferences") or ()
        if any(owner.get("uid") == metadata["uid"] for owner in owners):
            kept = credential.as_data
            if any(secret["data"].get(name, "") != kept.get(name, "") for name in ("clouds.yaml", "cacert")):
                data = {"clouds.yaml": None, "cacert": None, **kept}
                await kube.patch(SECRETS, metadata["namespace"], name, {"data": data})
            return base64.b64decode(secret["data"]["key"]), False
        # It belongs to an older Stack of this name.
        await release(kube, stack)
        await kube.delete(SECRETS, metadata["namespace"], name)
    key = secrets.token_bytes(32)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {v1alpha1.LABEL_STACK: metadata["name"]},
            "finalizers": [v1alpha1.FINALIZER],
            "ownerReferences": [v1alpha1.owner_reference(stack)],
        },
        "data": {"key": base64.b64encode(key).decode(), **credential.as_data},
    }
    await kube.create(SECRETS, metadata["namespace"], body)
    return key, True


async def digest_key(kube: Kube, stack: Mapping[str, Any]) -> bytes | None:
    """The Stack's secret key, or None where there is none yet."""
    metadata = stack["metadata"]
    secret = await kube.get(SECRETS, metadata["namespace"], secret_name(metadata["name"]))
    owners = {owner.get("uid") for owner in (secret or {}).get("metadata", {}).get("ownerReferences") or ()}
    if secret is None or metadata.get("uid") not in owners:
        return None
    return base64.b64decode(secret["data"]["key"])


async def stored_credentials(kube: Kube, stack: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A Secret with the credentials that the Stack last used, where its namespace is being deleted; else None.

    Kubernetes deletes all objects of a namespace at once. The user's Secret goes then, before the Stack could use it;
    ours waits for the Stack, and that somebody wants to delete it tells what goes on. A Secret that its user took away
    alone is not replaced: that may have been meant.
    """
    metadata = stack["metadata"]
    secret = await kube.get(SECRETS, metadata["namespace"], secret_name(stack["metadata"]["name"]))
    if secret is None or "deletionTimestamp" not in secret["metadata"] or "clouds.yaml" not in secret["data"]:
        return None
    owners = secret["metadata"].get("ownerReferences") or ()
    return secret if any(owner.get("uid") == metadata["uid"] for owner in owners) else None


async def release(kube: Kube, stack: Mapping[str, Any]) -> None:
    """Remove the finalizer of the Stack's Secret."""
    metadata = stack["metadata"]
    try:
        await kube.patch(
            SECRETS, metadata["namespace"], secret_name(metadata["name"]), {"metadata": {"finalizers": None}}
        )
    except NotFound:
        return


def secret_name(stack: str) -> str:
    """The name of the Secret of the Stack of this name."""
    return f"{stack}-kiln"
