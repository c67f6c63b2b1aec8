"""Translations, kept as long as their inputs stay the same.

What is kept is bounded in bytes, in all and for each namespace: a template of some hundred bytes may become 20,000
definitions. Equal requests at one time share one translation. Each translation has a budget of its own.
"""

import asyncio
import contextvars
import functools
import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Final, NamedTuple

from hot_translator import (
    Environment,
    GroupState,
    InvalidTemplate,
    Pseudo,
    Translation,
    TranslationError,
    parse_environment,
    parse_template,
    translate,
)
from hot_translator.budget import Budget, limited
from hot_translator.sizes import size_of
from kiln.api.v1alpha1 import Key
from kiln.stack.inputs import Inputs

CAPACITY: Final = 128 << 20
"""Bytes of all translations that are kept."""
SHARE: Final = 32 << 20
"""The same of one namespace. A larger translation is not kept at all."""
_DEFINITION: Final = 2_048
"""Bytes of a definition beside its properties and metadata."""


class _Entry(NamedTuple):
    owner: Key
    translation: Translation
    size: int


class TranslationCache:
    """Translates on the threads of an executor, and keeps what came of it. One an event loop."""

    def __init__(self, executor: Executor, *, capacity: int = CAPACITY, share: int = SHARE) -> None:
        self._executor = executor
        self._capacity = capacity
        self._share = share
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        """By the digests of their inputs; the one that was used last comes last."""
        self._used: Counter[str] = Counter()
        """Bytes of each namespace."""
        self._running: dict[str, asyncio.Task[Translation]] = {}

    @property
    def size(self) -> int:
        """Bytes that are kept, as far as they can be estimated."""
        return self._used.total()

    async def get(self, owner: Key, inputs: Inputs, pseudo: Pseudo, groups: Mapping[str, GroupState]) -> Translation:
        """The inputs of a Stack translated; ``groups`` is what is known of its groups. Raises TranslationError."""
        digest = _digest(owner, inputs, pseudo, groups)
        entry = self._entries.get(digest)
        if entry is not None:
            self._entries.move_to_end(digest)
            return entry.translation
        task = self._running.get(digest)
        if task is None:
            work = functools.partial(_translate, inputs, pseudo, groups)
            task = self._running[digest] = asyncio.ensure_future(self._run(digest, owner, work))
            task.add_done_callback(functools.partial(self._ended, digest))
        return await asyncio.shield(task)  # others may wait for it too

    def forget(self, owner: Key) -> None:
        """The Stack does not exist any more."""
        for digest in [digest for digest, entry in self._entries.items() if entry.owner == owner]:
            self._drop(digest)

    async def _run(self, digest: str, owner: Key, work: "functools.partial[tuple[Translation, int]]") -> Translation:
        # The thread sees for whom it works (the tenant, the fields of log lines), as its caller does.
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        translation, size = await loop.run_in_executor(self._executor, lambda: context.run(work))
        self._keep(digest, _Entry(owner, translation, size))
        return translation

    def _ended(self, digest: str, task: "asyncio.Task[Translation]") -> None:
        del self._running[digest]
        if not task.cancelled():
            task.exception()  # whoever still waits gets it

    def _keep(self, digest: str, entry: _Entry) -> None:
        if entry.size > self._share:
            return
        namespace = entry.owner.namespace
        self._entries[digest] = entry
        self._used[namespace] += entry.size
        while self._used[namespace] > self._share:
            self._drop_oldest(namespace)
        while self.size > self._capacity:
            self._drop_oldest(max(self._used, key=lambda name: self._used[name]))

    def _drop_oldest(self, namespace: str) -> None:
        self._drop(next(digest for digest, entry in self._entries.items() if entry.owner.namespace == namespace))

    def _drop(self, digest: str) -> None:
        entry = self._entries.pop(digest)
        namespace = entry.owner.namespace
        self._used[namespace] -= entry.size
        if not self._used[namespace]:
            del self._used[namespace]


def estimated_size(translation: Translation) -> int:
    """About how many bytes a translation holds, what it keeps of resolved values included."""
    size = size_of(list(translation.hidden_values)) + size_of([one.value for one in translation.parameters.values()])
    for definition in translation.definitions.values():
        values = size_of([definition.properties, definition.metadata, definition.update_policy])
        size += _DEFINITION + 2 * values + 64 * len(definition.requires)
    return size + size_of([output.value for output in translation.outputs.values()])


def _translate(inputs: Inputs, pseudo: Pseudo, groups: Mapping[str, GroupState]) -> tuple[Translation, int]:
    with limited(Budget()):
        translation = translate(
            parse_template(inputs.template),
            environment=[_environment(inputs, index) for index in range(len(inputs.environments))],
            parameters=inputs.parameters,
            files=inputs.files,
            pseudo=pseudo,
            groups=groups,
            hidden=inputs.hidden,
            hidden_files=inputs.hidden_files,
            hidden_environments=inputs.hidden_environments,
        )
    return translation, estimated_size(translation)


def _environment(inputs: Inputs, index: int) -> Environment:
    """Parse an environment. What is wrong with one from a Secret is said without quoting it."""
    try:
        return parse_environment(inputs.environments[index])
    except TranslationError:
        if index not in inputs.hidden_environments:
            raise
        reason = "the environment of a Secret is not valid; kiln validate says why"
        raise InvalidTemplate(f"environments[{index}]", reason) from None


def _digest(owner: Key, inputs: Inputs, pseudo: Pseudo, groups: Mapping[str, GroupState]) -> str:
    """One text for all that a translation depends on, and for whom it is."""
    identity = [
        owner,
        inputs.template,
        list(inputs.environments),
        inputs.files,
        inputs.parameters,
        sorted(inputs.hidden),
        sorted(inputs.hidden_files),
        sorted(inputs.hidden_environments),
        [pseudo.stack_name, pseudo.stack_id, pseudo.project_id, pseudo.region],
        {name: [state.members, sorted(state.removed), state.desired_size] for name, state in groups.items()},
    ]
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
