"""The Secret of a Stack: the key of its digests, and the credentials that it last used."""

import base64
import contextlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS
from kiln.api.v1alpha1 import Reason
from kiln.clouds.credentials import Credential, CredentialsError
from kiln.kube.client import Kube
from kiln.kube.errors import AlreadyExists, Conflict, NotFound
from kiln.kube.patches import finalizer_patch

_KEY_BYTES: Final = 32
_TRIES: Final = 5


class SecretTaken(CredentialsError):  # noqa: N818
    """A name that the operator needs for a Secret belongs to one that it did not make."""

    def __init__(self, name: str) -> None:
        message = f"there is a Secret {name!r} that Kiln did not make for this Stack; rename it or the Stack"
        super().__init__(Reason.NAME_TAKEN, "metadata.name", message)


async def load_or_create_digest_key(kube: Kube, stack: Mapping[str, Any], credential: Credential) -> tuple[bytes, bool]:
    """The Stack's digest key (32 bytes), and whether it is new.

    Beside the key its Secret keeps the credentials: see :func:`stored_credentials`. Raises :class:`SecretTaken`:
    only Secrets that this operator made are changed or deleted.
    """
    metadata = stack["metadata"]
    name = secret_name(metadata["name"])
    secret = await kube.get(SECRETS, metadata["namespace"], name)
    if secret is not None and not _ours(secret, stack):
        await _remove_older(kube, stack, secret)
        secret = None
    if secret is None:
        return await _create(kube, stack, credential)
    data = secret.get("data") or {}
    key = _key_of(data)
    wanted = {"clouds.yaml": "", "cacert": "", **credential.as_data}
    if key is None:
        # Somebody has changed it. What was recorded under the old one is digested anew.
        wanted["key"] = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    changes = {field: text or None for field, text in wanted.items() if data.get(field, "") != text}
    if changes:
        same = {field: secret["metadata"][field] for field in ("uid", "resourceVersion")}
        await kube.patch(SECRETS, metadata["namespace"], name, {"metadata": same, "data": changes})
    return (key, False) if key is not None else (base64.b64decode(wanted["key"]), True)


async def load_digest_key(kube: Kube, stack: Mapping[str, Any]) -> bytes:
    """The key for a Stack that goes: where there is none any more, one that nothing was recorded under."""
    metadata = stack["metadata"]
    secret = await kube.get(SECRETS, metadata["namespace"], secret_name(metadata["name"]))
    key = _key_of(secret.get("data") or {}) if secret is not None and _ours(secret, stack) else None
    return key or secrets.token_bytes(_KEY_BYTES)


async def _create(kube: Kube, stack: Mapping[str, Any], credential: Credential) -> tuple[bytes, bool]:
    metadata = stack["metadata"]
    key = secrets.token_bytes(_KEY_BYTES)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(metadata["name"]),
            "labels": {v1alpha1.LABEL_STACK: metadata["name"]},
            "finalizers": [v1alpha1.FINALIZER],
            "ownerReferences": [v1alpha1.owner_reference(stack)],
        },
        "data": {"key": base64.b64encode(key).decode(), **credential.as_data},
    }
    try:
        await kube.create(SECRETS, metadata["namespace"], body)
    except AlreadyExists:
        raise SecretTaken(secret_name(metadata["name"])) from None
    return key, True


async def digest_key(kube: Kube, stack: Mapping[str, Any]) -> bytes | None:
    """The Stack's secret key, or None where there is none (of this Stack)."""
    metadata = stack["metadata"]
    secret = await kube.get(SECRETS, metadata["namespace"], secret_name(metadata["name"]))
    return _key_of(secret.get("data") or {}) if secret is not None and _ours(secret, stack) else None


async def keep_adopted(
    kube: Kube, stack: Mapping[str, Any], new: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Secrets that were taken over with resources, by token. ``new`` ones are stored and never replace any."""
    metadata = stack["metadata"]
    name = secret_name(metadata["name"])
    secret = await kube.get(SECRETS, metadata["namespace"], name)
    if secret is None or not _ours(secret, stack):
        return {token: dict(values) for token, values in new.items()}
    held = _adopted_of(secret.get("data") or {})
    wanted = {**{token: dict(values) for token, values in new.items()}, **held}
    if wanted != held:
        same = {field: secret["metadata"][field] for field in ("uid", "resourceVersion")}
        text = base64.b64encode(json.dumps(wanted, sort_keys=True).encode()).decode()
        await kube.patch(SECRETS, metadata["namespace"], name, {"metadata": same, "data": {"adopted": text}})
    return wanted


async def adopted(kube: Kube, stack: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Secrets that were taken over with resources, by ownership token."""
    metadata = stack["metadata"]
    secret = await kube.get(SECRETS, metadata["namespace"], secret_name(metadata["name"]))
    return _adopted_of(secret.get("data") or {}) if secret is not None and _ours(secret, stack) else {}


def _adopted_of(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What somebody has broken counts as absent."""
    try:
        held = json.loads(base64.b64decode(data.get("adopted") or "", validate=True) or "{}")
    except ValueError:
        return {}
    return (
        {token: values for token, values in held.items() if isinstance(values, dict)} if isinstance(held, dict) else {}
    )


def _key_of(data: Mapping[str, Any]) -> bytes | None:
    try:
        key = base64.b64decode(data.get("key") or "", validate=True)
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def _labelled(secret: Mapping[str, Any], stack: Mapping[str, Any]) -> bool:
    labels = secret["metadata"].get("labels") or {}
    return bool(labels.get(v1alpha1.LABEL_STACK) == stack["metadata"]["name"])


def _ours(secret: Mapping[str, Any], stack: Mapping[str, Any]) -> bool:
    """Whether the operator made a Secret for this very Stack: by its label and its owner."""
    return _labelled(secret, stack) and stack["metadata"]["uid"] in v1alpha1.owner_uids(secret)


def _of_older_stack(secret: Mapping[str, Any], stack: Mapping[str, Any]) -> bool:
    """Whether the operator made it for an older Stack of the same name."""
    mine = v1alpha1.owner_reference(stack)
    owners = secret["metadata"].get("ownerReferences") or ()
    return (
        _labelled(secret, stack)
        and v1alpha1.FINALIZER in (secret["metadata"].get("finalizers") or ())
        and [(one.get("kind"), one.get("apiVersion"), one.get("name")) for one in owners]
        == [(mine["kind"], mine["apiVersion"], mine["name"])]
    )


async def _remove_older(kube: Kube, stack: Mapping[str, Any], secret: Mapping[str, Any]) -> None:
    """Delete the Secret of an older Stack of this name. Raises :class:`SecretTaken` for every other."""
    metadata = stack["metadata"]
    if not _of_older_stack(secret, stack):
        raise SecretTaken(secret_name(metadata["name"]))
    uid = secret["metadata"]["uid"]
    await _remove_finalizer(kube, metadata["namespace"], secret)
    try:
        await kube.delete(SECRETS, metadata["namespace"], secret["metadata"]["name"], uid=uid)
    except Conflict:
        raise SecretTaken(secret_name(metadata["name"])) from None


async def _remove_finalizer(kube: Kube, namespace: str, secret: Mapping[str, Any]) -> None:
    """Take the operator's own finalizer off that very object; those of others stay."""
    held = list(secret["metadata"].get("finalizers") or ())
    if v1alpha1.FINALIZER not in held:
        return
    patch = finalizer_patch(secret, [one for one in held if one != v1alpha1.FINALIZER])
    with contextlib.suppress(NotFound):
        await kube.patch(SECRETS, namespace, secret["metadata"]["name"], patch, how="json")


async def stored_credentials(kube: Kube, stack: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The Secret with the credentials that the Stack used last, if its namespace is being deleted; else None.

    Kubernetes deletes all objects of a namespace at once, so the user's Secret is gone before the Stack can use it. Our
    copy has a finalizer, so it survives; its deletionTimestamp shows that the namespace is being deleted. If a user
    deletes only the Secret, the copy is not used, because the user may want that.
    """
    metadata = stack["metadata"]
    secret = await kube.get(SECRETS, metadata["namespace"], secret_name(stack["metadata"]["name"]))
    if secret is None or not _ours(secret, stack) or "deletionTimestamp" not in secret["metadata"]:
        return None
    return secret if "clouds.yaml" in (secret.get("data") or {}) else None


async def release(kube: Kube, stack: Mapping[str, Any]) -> None:
    """Remove the operator's finalizer from the Stack's Secret; a Secret that it did not make is left alone."""
    metadata = stack["metadata"]
    for _ in range(_TRIES):
        secret = await kube.get(SECRETS, metadata["namespace"], secret_name(metadata["name"]))
        if secret is None or not _ours(secret, stack):
            return
        try:
            await _remove_finalizer(kube, metadata["namespace"], secret)
        except Conflict:
            continue  # somebody has just changed it
        return


def secret_name(stack: str) -> str:
    """The name of the Secret of the Stack of this name."""
    return f"{stack}-kiln"
