"""What passes share: the ways into the clouds, translations, and how long to wait after failures."""

import asyncio
import functools
import hashlib
import json
import random
import weakref
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hot_translator import Pseudo, Translation, parse_environment, parse_template, translate
from hot_translator.allowance import limited
from kiln import logs, metrics
from kiln.api.v1alpha1 import Key
from kiln.clouds import credentials
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import Credential, CredentialsError
from kiln.clouds.fair_executor import FairThreadPoolExecutor
from kiln.kube.client import Kube
from kiln.kube.event_recorder import EventRecorder
from kiln.stack import stack_secret
from kiln.stack.inputs import Inputs
from reconcilers.cloud.lookup import Lookup
from reconcilers.cloud.observer import Observer
from reconcilers.cloud.session import Cloud
from reconcilers.cloud.unconfirmed_creates import UnconfirmedCreates
from reconcilers.engine.context import Superseded

T = TypeVar("T")

CACHED_TRANSLATIONS = 256
TRANSLATORS = 2
"""Templates that are translated at one time, one of a namespace."""
FIRST_RETRY = 5.0
LONGEST_RETRY = 300.0
"""Seconds between attempts at a Stack that failed."""


@dataclass(frozen=True, slots=True)
class CloudAccess:
    """One credential's way into its cloud, shared by all Stacks that use it."""

    cloud: Cloud
    observer: Observer
    lookup: Lookup
    credential: Credential


class SharedState:
    """One a process; ``fence`` says whether this process may act (it holds the Lease)."""

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
        self._sites: weakref.WeakKeyDictionary[Any, CloudAccess] = weakref.WeakKeyDictionary()
        self._translations: OrderedDict[str, Translation] = OrderedDict()
        self._failures: dict[Key, int] = {}
        self.attempts = UnconfirmedCreates()

    async def site(self, stack: Mapping[str, Any]) -> CloudAccess:
        """The way into the Stack's cloud. Raises CredentialsError, CloudError."""
        return await self._site(await credentials.load(self.kube, stack))

    async def last_site(self, stack: Mapping[str, Any]) -> CloudAccess:
        """The same for a Stack that goes; where its namespace goes with all in it, its credentials may be gone before.

        Then the way that it last went serves once more. Raises CredentialsError, CloudError.
        """
        try:
            return await self.site(stack)
        except CredentialsError:
            kept = await stack_secret.stored_credentials(self.kube, stack)
            if kept is None:
                raise
            return await self._site(await credentials.of_secret(kept, credentials.KEPT))

    async def _site(self, credential: Credential) -> CloudAccess:
        connection = await self._clouds.get(credential)
        site = self._sites.get(connection)
        if site is None:
            cloud = Cloud(connection, self._executor, metrics.cloud_call, fence=self.fence, redact=logs.redact)
            site = self._sites[connection] = CloudAccess(cloud, Observer(cloud), Lookup(cloud), credential)
        return site

    async def translation(
        self,
        inputs: Inputs,
        pseudo: Pseudo,
        groups: Mapping[str, Any],
        members: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Translation:
        """The inputs translated; equal inputs are translated once. ``groups`` are the names that are never used again.

        ``members`` (of groups, by name, with their ids) only counts where a removal policy may name one by its id.
        Raises TranslationError.
        """
        told = members if members and "removal_policies" in json.dumps([inputs.template, inputs.files]) else {}
        identity = [
            inputs.template,
            list(inputs.environments),
            inputs.files,
            inputs.parameters,
            sorted(inputs.hidden),
            list(map(str, _fields(pseudo))),
            groups,
            told,
        ]
        digest = hashlib.blake2b(json.dumps(identity, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
        found = self._translations.get(digest)
        if found is None:
            work = functools.partial(_translate, inputs, pseudo, groups, told)
            found = await asyncio.get_running_loop().run_in_executor(self._translators, work)
            self._translations[digest] = found
            if len(self._translations) > CACHED_TRANSLATIONS:
                self._translations.popitem(last=False)
        self._translations.move_to_end(digest)
        return found

    def retry_after(self, key: Key, at_least: float = 0.0) -> float:
        """Seconds until the next attempt at a Stack that failed: doubling, jittered, bounded."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        backoff = min(FIRST_RETRY * 2.0 ** min(count - 1, 10), LONGEST_RETRY)
        return max(backoff * random.uniform(0.8, 1.2), at_least)  # noqa: S311

    def succeeded(self, key: Key) -> None:
        """The Stack is as desired, or gone: its next failure is a first one."""
        self._failures.pop(key, None)

    def close(self) -> None:
        """Let go of the threads."""
        for pool in (self._executor, self._translators):
            pool.shutdown(wait=False, cancel_futures=True)


async def abandon_if_superseded(superseded: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives. Once the pass is superseded nobody waits for it any more: it may hang, and changes nothing.

    Raises Superseded then.
    """
    task = asyncio.ensure_future(work)
    end = asyncio.ensure_future(superseded.wait())
    try:
        await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        end.cancel()
        if not task.done():
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
    if not task.done():
        raise Superseded
    return task.result()


@limited()
def _translate(
    inputs: Inputs, pseudo: Pseudo, groups: Mapping[str, Any], members: Mapping[str, Mapping[str, str]]
) -> Translation:
    return translate(
        parse_template(inputs.template),
        environment=[parse_environment(environment) for environment in inputs.environments],
        parameters=inputs.parameters,
        files=inputs.files,
        pseudo=pseudo,
        group_state={name: frozenset(gone) for name, gone in groups.items()},
        group_references=members,
        hidden=inputs.hidden,
    )


def _fields(pseudo: Pseudo) -> tuple[str, str, str, str]:
    return (pseudo.stack_name, pseudo.stack_id, pseudo.project_id, pseudo.region)
