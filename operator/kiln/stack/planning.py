"""Plans a Stack without changing anything: what an update, a repair or its deletion would do."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from typing_extensions import override

from hot_translator import Pseudo, Translation, TranslationError, has_unknown
from hot_translator.budget import tenant
from hot_translator.errors import raise_all
from kiln.api import v1alpha1
from kiln.api.stack_status import StackStatus
from kiln.stack import inputs, power, stack_secret, validation
from kiln.stack.inputs import Inputs
from kiln.stack.resource_store import StackResourceStore
from kiln.stack.shared import CloudAccess, SharedState
from reconcilers.engine.context import Policy, ReconcileContext, ResourceStore, in_executor
from reconcilers.engine.control import Control
from reconcilers.engine.engine import Engine
from reconcilers.engine.guard import Guard
from reconcilers.engine.preview import Plan, Preview
from reconcilers.engine.progress import ProgressTracker
from reconcilers.model import Intent, Recorded


class ReadOnlyStore(ResourceStore):
    """The store of a plan: nothing may be written."""

    @override
    async def create(self, intent: Intent) -> Recorded:
        raise RuntimeError(f"a plan would write the record of {intent.name}")

    @override
    async def save(self, recorded: Recorded) -> Recorded:
        raise RuntimeError(f"a plan would write the record of {recorded.name}")

    @override
    async def replace(self, recorded: Recorded, intent: Intent) -> Recorded:
        raise RuntimeError(f"a plan would write the record of {recorded.name}")

    @override
    async def delete(self, recorded: Recorded) -> None:
        raise RuntimeError(f"a plan would delete the record of {recorded.name}")


@dataclass(frozen=True, slots=True)
class StackPlan:
    """A plan with the translation that it leads to; None for a deletion."""

    plan: Plan
    translation: Translation | None


async def plan_stack(
    shared: SharedState, stack: Mapping[str, Any], proposed: Inputs | None = None, *, delete: bool = False
) -> StackPlan:
    """What the operator would do about this Stack now.

    ``proposed`` stands for the inputs of its spec; ``delete`` plans its deletion. Raises InputsError, CredentialsError,
    TranslationError, CloudError, KubeError.
    """
    preview, translation = await _preview(shared, stack, proposed, delete=delete)
    return StackPlan(await preview.plan(translation), translation)


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """Values of outputs by name, and reasons for missing values. The repr omits values, because they may be hidden."""

    values: Mapping[str, Any] = field(repr=False)
    errors: Mapping[str, str]


async def stack_outputs(shared: SharedState, stack: Mapping[str, Any]) -> StackOutputs:
    """All outputs of a Stack, hidden ones too, computed from its spec and from the cloud as it is now.

    Raises the same errors as :func:`plan_stack`.
    """
    preview, translation = await _preview(shared, stack)
    await preview.plan(translation)
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, output in translation.outputs.items() if translation is not None else ():
        try:
            value = await preview.context.evaluate(partial(output.resolve, preview.scope))
        except TranslationError as error:
            errors[name] = str(error)
        else:
            if has_unknown(value):
                errors[name] = "is known only after the resources that it is made of have changed"
            else:
                values[name] = value
    return StackOutputs(values, errors)


async def _preview(
    shared: SharedState, stack: Mapping[str, Any], proposed: Inputs | None = None, *, delete: bool = False
) -> tuple[Preview, Translation | None]:
    tenant.set(stack["metadata"]["namespace"])
    access = await shared.last_access(stack) if delete else await shared.access(stack)
    records = await StackResourceStore(shared.kube, stack, str, fence=lambda: False).load()
    translation = None
    if not delete:
        given = proposed or await inputs.load(shared.kube, stack)
        translation = await _translated(shared, stack, access, given, records)
    context = await _context(shared, stack, access, translation, records)
    return Preview(Engine(context, records)), translation


async def _translated(
    shared: SharedState, stack: Mapping[str, Any], access: CloudAccess, given: Inputs, records: list[Recorded]
) -> Translation:
    metadata = stack["metadata"]
    project = await access.cloud.project_id()
    pseudo = Pseudo(metadata["name"], metadata.get("uid", ""), project, access.cloud.region)
    status = StackStatus.parse(stack)
    translation = await shared.translation(given, pseudo, validation.group_states(records, status.groups))
    raise_all(list(translation.broken_rules))
    await validation.check_lookups(translation, access.lookup)
    return translation


async def _context(
    shared: SharedState,
    stack: Mapping[str, Any],
    access: CloudAccess,
    translation: Translation | None,
    records: list[Recorded],
) -> ReconcileContext:
    spec = v1alpha1.stack_spec(stack)
    key = await stack_secret.digest_key(shared.kube, stack)
    names = frozenset(translation.definitions) if translation is not None else frozenset()
    status = StackStatus.parse(stack)
    wished = power.wish(spec, status)
    policy = Policy(
        stack=stack["metadata"]["name"],
        stack_uid=stack["metadata"].get("uid") or "00000000-0000-0000-0000-000000000000",
        key=key or secrets.token_bytes(32),
        drift=spec.drift,
        concurrency=spec.max_concurrency,
        guard=Guard(spec.protected_resources),
        rekeyed=key is None and bool(records),
        known=names if status.last_operation else frozenset(),
        all_suspended=wished.whole,
        suspended=wished.resources,
    )
    return ReconcileContext(
        policy,
        Control(),
        access.cloud,
        access.observer,
        access.lookup,
        ReadOnlyStore(),
        ProgressTracker(),
        started=asyncio.get_running_loop().time(),
        evaluate=in_executor(shared.evaluators),
    )
