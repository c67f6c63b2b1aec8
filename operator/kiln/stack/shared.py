"""State that reconciliations share: access to clouds, and translations."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hot_translator import GroupState, Pseudo, Translation
from kiln import logs, tracing
from kiln.api.v1alpha1 import Key
from kiln.clouds import credentials
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential, CredentialsError
from kiln.clouds.fair_executor import FairThreadPoolExecutor
from kiln.kube.client import Kube
from kiln.kube.event_recorder import EventRecorder
from kiln.stack import stack_secret
from kiln.stack.history import HistoryWriter
from kiln.stack.inputs import Inputs
from kiln.stack.large_stacks import LargeStacks
from kiln.stack.other_stacks import StackReferences
from kiln.stack.requests import RequestIndex
from kiln.stack.translation_cache import TranslationCache
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Observer
from reconcilers.cloud.session import Cloud
from reconcilers.cloud.transports import Transport, Transports
from reconcilers.cloud.unconfirmed_creates import UnconfirmedCreates
from reconcilers.model import OPENSTACK

T = TypeVar("T")

TRANSLATORS = 2
"""Concurrent translations; one of each namespace."""
EVALUATORS = 2
"""Concurrent evaluations of template functions; one of each namespace."""


@dataclass(frozen=True, slots=True)
class CloudAccess:
    """Access to a cloud with one credential. All Stacks that use the credential share it."""

    cloud: Cloud
    observer: Observer
    lookup: Lookup
    credential: Credential

    @property
    def transports(self) -> Transports:
        """The transports of whoever reaches nothing but OpenStack."""
        return {OPENSTACK: Transport(self.cloud, self.observer)}


class SharedState:
    """There is one in a process. ``fence`` says whether this process may act (it holds the Lease)."""

    def __init__(
        self,
        kube: Kube,
        clouds: CloudConnections,
        events: EventRecorder,
        fence: Callable[[], bool] = lambda: True,
        *,
        threads: int = 96,
        share: int = 24,
    ) -> None:
        self.kube = kube
        self.events = events
        self.fence = fence
        self._clouds = clouds
        self._executor = FairThreadPoolExecutor(threads, share, "cloud")
        # It is work for the one CPU that Python has: more of it at one time would only hold up everything else.
        self._translators = FairThreadPoolExecutor(TRANSLATORS, 1, "translator")
        self.evaluators = FairThreadPoolExecutor(EVALUATORS, 1, "evaluator")
        self._sites: dict[str, CloudAccess] = {}
        """By the digests of credentials, as long as their connections are kept."""
        clouds.closed = self._forget_site
        self._translations = TranslationCache(self._translators)
        self.large = LargeStacks()
        self.unconfirmed = UnconfirmedCreates()
        self.requests = RequestIndex()
        self.references = StackReferences()
        self.children: Counter[str] = Counter()
        """Child Stacks by namespace. The event filter counts them."""
        self.history = HistoryWriter(kube, fence)

    async def access(self, stack: Mapping[str, Any]) -> CloudAccess:
        """The way into the Stack's cloud. Raises CredentialsError, CloudError."""
        return await self._access(await credentials.load(self.kube, stack))

    async def last_access(self, stack: Mapping[str, Any]) -> CloudAccess:
        """The same for a Stack that goes; where its namespace goes with all in it, its credentials may be gone before.

        Then the way that it last went serves once more. Raises CredentialsError, CloudError.
        """
        try:
            return await self.access(stack)
        except CredentialsError:
            kept = await stack_secret.stored_credentials(self.kube, stack)
            if kept is None:
                raise
            return await self._access(await credentials.of_secret(kept, credentials.KEPT))

    async def _access(self, credential: Credential) -> CloudAccess:
        connection = await self._clouds.get(credential)
        site = self._sites.get(credential.digest)
        if site is None or site.cloud.connection is not connection:
            cloud = Cloud(connection, self._executor, tracing.cloud_call, fence=self.fence, limits=self._clouds.limits)
            site = CloudAccess(cloud, Observer(cloud), Lookup(cloud), credential)
            # It may have been closed while it was made; then this one is for the caller alone.
            if self._clouds.keeps(credential.digest):
                self._sites[credential.digest] = site
        return site

    def _forget_site(self, digest: str) -> None:
        """Its connection is closed; passes under way still hold what they use."""
        self._sites.pop(digest, None)

    async def translation(
        self, key: Key, inputs: Inputs, pseudo: Pseudo, groups: Mapping[str, GroupState]
    ) -> Translation:
        """The inputs of a Stack translated; equal inputs are translated once. Raises TranslationError."""
        return await self._translations.get(key, inputs, pseudo, groups)

    def forget(self, key: Key) -> None:
        """The Stack does not exist any more: forget its secrets and its translations."""
        self._translations.forget(key)
        self.large.forget(key)
        self.history.forget(key)
        logs.redact.forget(str(key))
        logs.redact.forget(f"{key}#made")

    def close(self) -> None:
        """Let go of the threads."""
        for pool in (self._executor, self._translators, self.evaluators):
            pool.shutdown(wait=False, cancel_futures=True)
