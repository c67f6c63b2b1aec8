"""Hooks: points at which a resource waits until somebody clears the hook.

Heat's environments set them (``resource_registry: resources: NAME: hooks``), and so does ``spec.hooks`` of a Stack. A
``pre-`` hook waits before the first request of an action, a ``post-`` hook after the last one. Only the resource and
what depends on it wait. The reconciliation ends meanwhile.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconcilers.model import HOOK, HOOKS, Recorded


class HookPending(Exception):  # noqa: N818
    """A resource waits at a hook."""

    def __init__(self, name: str, hook: str) -> None:
        super().__init__(f"resources.{name} waits at the hook {hook}")
        self.name = name
        self.hook = hook


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a Stack.

    ``patterns`` are shell patterns of resource names, each with a hook; ``cleared`` are names with the hooks that
    somebody cleared since the operation began.
    """

    patterns: tuple[tuple[str, str], ...] = ()
    cleared: frozenset[tuple[str, str]] = frozenset()

    def of(self, name: str, given: frozenset[str] = frozenset()) -> frozenset[str]:
        """The hooks of a resource. ``given`` are those of its definition."""
        if not self.patterns:
            return given
        return given | {hook for pattern, hook in self.patterns if fnmatch.fnmatchcase(name, pattern)}

    def before(self, phase: str, recorded: Recorded, given: frozenset[str]) -> Recorded:
        """The record of a resource on which a create, update or delete begins, with the hook that follows it.

        Raises HookPending if the action has to wait.
        """
        if not phase:
            return recorded
        self._wait(f"pre-{phase}", recorded.name, given)
        after = f"post-{phase}"
        if phase == "delete" or after not in self.of(recorded.name, given):
            return recorded
        return replace(recorded, data={**recorded.data, HOOK: after})

    def after(self, recorded: Recorded) -> Recorded:
        """The record of a resource that is ready, without the mark of a hook. Raises HookPending."""
        hook = recorded.data.get(HOOK)
        if hook is None:
            return recorded
        if (recorded.name, hook) not in self.cleared:
            raise HookPending(recorded.name, hook)
        return replace(recorded, data={key: value for key, value in recorded.data.items() if key != HOOK})

    def after_deletion(self, recorded: Recorded) -> None:
        """Raise HookPending if the record of a deleted resource has to stay."""
        self._wait("post-delete", recorded.name, recorded_hooks(recorded))

    def _wait(self, hook: str, name: str, given: frozenset[str]) -> None:
        if hook in self.of(name, given) and (name, hook) not in self.cleared:
            raise HookPending(name, hook)


NO_HOOKS: Final = Hooks()


def recorded_hooks(recorded: Recorded) -> frozenset[str]:
    """The hooks of a deletion, which the record keeps, since a deletion needs no template."""
    return frozenset(recorded.data.get(HOOKS, "").split(",")) - {""}


def with_deletion_hooks(data: Mapping[str, str], hooks: str) -> Mapping[str, str]:
    """A record's data with the hooks of the deletion."""
    if data.get(HOOKS, "") == hooks:
        return data
    return {**data, HOOKS: hooks} if hooks else {key: value for key, value in data.items() if key != HOOKS}
