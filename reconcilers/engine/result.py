"""The result of a reconciliation of a Stack's resources."""

from dataclasses import dataclass, field

from reconcilers.engine.action import Action
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.hooks import HookPending
from reconcilers.engine.progress import ResourceError, ResourceProgress
from reconcilers.engine.restore import Restore


@dataclass(slots=True)
class Result:
    """The result of a reconciliation.

    ``failures`` are in the order in which they happened. ``blocked`` are resources whose requirements did not become
    ready, because of a failure or a hook. ``actions`` are the first decisions for the resources that were not at rest.
    """

    failures: list[ResourceError] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    actions: dict[str, Action] = field(default_factory=dict)
    restored: dict[str, Restore] = field(default_factory=dict)
    """The restores that hold."""
    overtaken: set[str] = field(default_factory=set)
    """Resources whose template has changed since they were restored, so that it counts again."""
    hooks: set[tuple[str, str]] = field(default_factory=set)
    """Resources that wait, each with its hook."""

    @property
    def complete(self) -> bool:
        """Whether all resources are as desired."""
        return not self.failures and not self.blocked and not self.hooks

    def wait(self, context: ReconcileContext, pending: HookPending, type_name: str) -> None:
        """Note that a resource waits at a hook."""
        self.hooks.add((pending.name, pending.hook))
        progress = ResourceProgress(type_name, "Pending", f"waits at the hook {pending.hook}")
        context.progress.move(pending.name, progress)

    def fail(self, context: ReconcileContext, error: ResourceError) -> None:
        """Note that a resource has failed."""
        self.failures.append(error)
        progress = ResourceProgress(error.rtype, "Failed", error.reason, error.fault, error.request_id)
        context.progress.move(error.name, progress)
