"""The Secret of a Stack: only what the operator made is changed or deleted."""

import base64
from typing import Any

import pytest
from harness.fake_kube import FakeKube

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS
from kiln.clouds.credentials import Credential
from kiln.stack import stack_secret
from kiln.stack.stack_secret import SecretTaken

UID, OLDER = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
CREDENTIAL = Credential("demo", "password", {"auth_url": "https://k/v3", "username": "u", "password": "Hunter2"})


def stack(uid: str = UID) -> dict[str, Any]:
    return {
        "apiVersion": "kiln.dev/v1alpha1",
        "kind": "Stack",
        "metadata": {"namespace": "ns", "name": "web", "uid": uid},
    }


class Kube(FakeKube):
    """A Kubernetes with at most one Secret."""

    def __init__(self, secret: dict[str, Any] | None = None) -> None:
        super().__init__()
        if secret is not None:
            self.put(SECRETS, "web-kiln", **secret)

    @property
    def stored(self) -> dict[str, Any]:
        """The Secret."""
        found = self.find("secrets", "web-kiln")
        assert found is not None
        return found

    @property
    def writes(self) -> list[str]:
        """The calls that change something."""
        return [verb for verb, _, _ in self.calls if verb not in {"get", "list"}]


def foreign(**metadata: Any) -> dict[str, Any]:
    held = {"name": "web-kiln", "uid": "u-1", "resourceVersion": "7", "finalizers": ["example.com/keep"], **metadata}
    return {"metadata": held, "data": {"precious": "ZGF0YQ==", "key": base64.b64encode(b"k" * 32).decode()}}


LABEL = {v1alpha1.LABEL_STACK: "web"}
OWNED = [v1alpha1.owner_reference(stack())]
OLD = [v1alpha1.owner_reference(stack(OLDER))]
FOREIGN = {
    "nothing of ours": {},
    "the label alone": {"labels": LABEL},
    "the owner alone": {"ownerReferences": OWNED},
    "an older owner alone": {"ownerReferences": OLD, "finalizers": [v1alpha1.FINALIZER]},
    "another label": {"labels": {v1alpha1.LABEL_STACK: "other"}, "ownerReferences": OWNED},
    "an owner of another kind": {
        "labels": LABEL,
        "ownerReferences": [{**OLD[0], "kind": "Deployment", "apiVersion": "apps/v1"}],
        "finalizers": [v1alpha1.FINALIZER],
    },
    "an older owner without our finalizer": {"labels": LABEL, "ownerReferences": OLD},
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_a_secret_that_kiln_did_not_make_is_left_alone(kind: str) -> None:
    kube: Any = Kube(foreign(**FOREIGN[kind]))
    before = repr(kube.stored)
    with pytest.raises(SecretTaken) as caught:
        await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL)
    assert caught.value.reason == "NameTaken"
    assert caught.value.path == "metadata.name"
    await stack_secret.release(kube, stack())
    assert await stack_secret.stored_credentials(kube, stack()) is None
    assert await stack_secret.load_digest_key(kube, stack()) != b"k" * 32
    assert kube.writes == []
    assert repr(kube.stored) == before


async def test_the_secret_is_made_once_and_read_again() -> None:
    kube: Any = Kube()
    key, new = await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL)
    assert new
    assert await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL) == (key, False)
    assert await stack_secret.load_digest_key(kube, stack()) == key
    assert kube.writes == ["create"]


async def test_the_secret_of_an_older_stack_of_the_name_is_replaced() -> None:
    kube: Any = Kube()
    old, _ = await stack_secret.load_or_create_digest_key(kube, stack(OLDER), CREDENTIAL)
    key, new = await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL)
    assert new
    assert key != old
    assert kube.writes == ["create", "patch", "delete", "create"]


@pytest.mark.parametrize("key", [None, "", "AAAA", "no base64!"])
async def test_a_key_that_somebody_has_changed_is_made_anew(key: str | None) -> None:
    kube: Any = Kube()
    await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL)
    kube.stored["data"]["key"] = key
    made, new = await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL)
    assert new
    assert await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL) == (made, False)


async def test_only_the_operator_s_own_finalizer_is_removed() -> None:
    kube: Any = Kube()
    await stack_secret.load_or_create_digest_key(kube, stack(), CREDENTIAL)
    kube.stored["metadata"]["finalizers"].append("example.com/keep")
    await stack_secret.release(kube, stack())
    assert kube.stored["metadata"]["finalizers"] == ["example.com/keep"]
