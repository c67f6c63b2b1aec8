"""Outputs of other Stacks as parameters (``parametersFrom[].stackOutputRef``): values, users, circles."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS, STACKS
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Condition, Key, Reason
from kiln.kube.client import Kube
from kiln.stack import published_outputs

_MOST_NAMED: Final = 10


class OutputMissing(Exception):  # noqa: N818
    """An output of another Stack has no value. ``waits``: it may get one without anybody's doing."""

    def __init__(self, reason: Reason, message: str, *, waits: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.waits = waits


@dataclass(frozen=True, slots=True)
class OutputValue:
    """The value of an output, as the other Stack's status has it, or as its Secret has it if it is hidden."""

    value: Any
    hidden: bool

    def __repr__(self) -> str:
        """The value may be hidden."""
        return f"OutputValue(hidden={self.hidden})"


def used_stacks(spec: Mapping[str, Any]) -> frozenset[str]:
    """The names of the Stacks whose outputs a spec uses."""
    sources = (item["stackOutputRef"] for item in spec.get("parametersFrom") or () if "stackOutputRef" in item)
    return frozenset(str(source["stack"]) for source in sources)


async def output_of(kube: Kube, namespace: str, stack: str, output: str) -> OutputValue:
    """The value of another Stack's output. Raises OutputMissing."""
    found = await kube.get(STACKS, namespace, stack) if v1alpha1.is_object_name(stack) else None
    if found is None:
        raise _waiting(f"there is no Stack {stack!r} in namespace {namespace!r}")
    status: Mapping[str, Any] = found.get("status") or {}
    values = status.get("outputs") or {}
    if output in values:
        return OutputValue(values[output], hidden=False)
    hidden = frozenset(status.get("hiddenOutputs") or ())
    if output in hidden:
        secret = await kube.get(SECRETS, namespace, published_outputs.secret_name(stack))
        there, value = published_outputs.hidden_value(found, secret, output)
        if there:
            return OutputValue(value, hidden=True)
        raise _waiting(f"the hidden output {output!r} of the Stack {stack!r} has no value yet")
    errors = status.get("outputErrors") or {}
    if output in errors:
        raise _waiting(f"the output {output!r} of the Stack {stack!r} has no value yet: {errors[output]}")
    ready = StackStatus.parse(found).conditions.get(Condition.READY, {})
    if ready.get("status") == "True" and status.get("observedGeneration") == found["metadata"].get("generation"):
        names = ", ".join(sorted({*values, *hidden})[:_MOST_NAMED]) or "none"
        message = f"the Stack {stack!r} has no output {output!r} with a value; it has: {names}"
        raise OutputMissing(Reason.KEY_NOT_FOUND, message, waits=False)
    raise _waiting(f"the Stack {stack!r} has no output {output!r} yet ({ready.get('reason') or 'it is new'})")


def _waiting(message: str) -> OutputMissing:
    return OutputMissing(Reason.WAITING_FOR_STACK, message, waits=True)


class StackReferences:
    """Which Stacks use outputs of which others. The event filter keeps it; it belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._uses: dict[Key, frozenset[str]] = {}
        self._users: defaultdict[Key, set[Key]] = defaultdict(set)

    def put(self, key: Key, names: frozenset[str]) -> frozenset[str]:
        """A Stack uses outputs of these. Returns the Stacks that it used before, and uses no more."""
        before = self._uses.get(key, frozenset())
        for name in before - names:
            users = self._users[Key(key.namespace, name)]
            users.discard(key)
            if not users:
                del self._users[Key(key.namespace, name)]
        for name in names - before:
            self._users[Key(key.namespace, name)].add(key)
        if names:
            self._uses[key] = names
        else:
            self._uses.pop(key, None)
        return before - names

    def users(self, key: Key) -> list[Key]:
        """The Stacks that use outputs of this one."""
        return sorted(self._users.get(key, ()))

    def circle(self, key: Key, names: Iterable[str]) -> list[str]:
        """The names on the way from a Stack that uses ``names`` back to itself; empty if there is none."""
        came_from: dict[str, str] = {}
        waiting = deque((name, key.name) for name in sorted(names))
        while waiting:
            name, before = waiting.popleft()
            if name in came_from:
                continue
            came_from[name] = before
            if name == key.name:
                way = [name]
                while len(way) == 1 or way[-1] != key.name:
                    way.append(came_from[way[-1]])
                return way[::-1]
            waiting.extend((one, name) for one in sorted(self._uses.get(Key(key.namespace, name), ())))
        return []

    def blocking(self, key: Key) -> list[Key]:
        """The Stacks that use outputs of this one, but for those in a circle with it: one of those has to go first."""
        return [user for user in self.users(key) if user != key and not self._leads(key, user)]

    def _leads(self, key: Key, to: Key) -> bool:
        seen, waiting = {key}, deque([key])
        while waiting:
            for name in self._uses.get(waiting.popleft(), ()):
                used = Key(key.namespace, name)
                if used == to:
                    return True
                if used not in seen:
                    seen.add(used)
                    waiting.append(used)
        return False


async def still_using(kube: Kube, key: Key, users: Iterable[Key]) -> list[str]:
    """The names of those of ``users`` that exist and use outputs of this Stack; at most ten."""
    found: list[str] = []
    for user in users:
        stack = await kube.get(STACKS, *user)
        if stack is not None and key.name in used_stacks(stack.get("spec") or {}):
            found.append(user.name)
        if len(found) == _MOST_NAMED:
            break
    return found


def deletion_is_forced(stack: Mapping[str, Any]) -> bool:
    """Whether the deletion goes on although other Stacks use outputs of this one."""
    annotations = stack["metadata"].get("annotations") or {}
    return bool(annotations.get(v1alpha1.ANNOTATION_FORCE_DELETE) == "true")
