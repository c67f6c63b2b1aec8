"""A Stack whose namespace is deleted uses the credentials that it last used; one whose user took them away does not."""

from typing import Any

import pytest
from harness.fake_kube import FakeKube
from harness.one_stack import CREDENTIAL, Told

from kiln.api.kinds import SECRETS, STACKS
from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential, CredentialsError
from kiln.stack import stack_secret
from kiln.stack.shared import SharedState


class Shared(SharedState):
    """A shared state that connects to nothing: the credential is what it would use."""

    async def _access(self, credential: Credential) -> Any:
        return credential


async def stack_with_a_secret_of_its_own() -> tuple[FakeKube, dict[str, Any], Shared]:
    kube = FakeKube()
    spec = {"cloudCredentialsRef": {"secretName": "openstack", "cloudName": "own"}}
    stack = kube.put(STACKS, "web", metadata={"generation": 1}, spec=spec)
    await stack_secret.load_or_create_digest_key(kube, stack, CREDENTIAL)  # type: ignore[arg-type]
    shared = Shared(kube, CloudConnections(AddressGuard()), Told())  # type: ignore[arg-type]
    return kube, stack, shared


async def test_in_a_namespace_that_is_deleted_the_kept_credentials_serve() -> None:
    kube, stack, shared = await stack_with_a_secret_of_its_own()
    await kube.delete(SECRETS, "ns", "web-kiln")
    found: Any = await shared.last_access(stack)
    assert found.auth["password"] == CREDENTIAL.auth["password"]


async def test_credentials_that_were_taken_away_alone_are_not_replaced() -> None:
    _, stack, shared = await stack_with_a_secret_of_its_own()
    with pytest.raises(CredentialsError, match="openstack"):
        await shared.last_access(stack)


async def test_credentials_that_are_there_go_before_kept_ones() -> None:
    kube, stack, shared = await stack_with_a_secret_of_its_own()
    clouds = "clouds: {own: {auth: {auth_url: 'https://other/v3', username: u, password: n3wer, project_name: p}}}"
    kube.secret("openstack", **{"clouds.yaml": clouds})
    await kube.delete(SECRETS, "ns", "web-kiln")
    found: Any = await shared.last_access(stack)
    assert found.auth["password"] == "n3wer"
