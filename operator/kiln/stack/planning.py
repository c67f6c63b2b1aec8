"""Plans a Stack without changing anything: what an update, a repair or its deletion would do."""

import asyncio
import secrets as random_bytes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from typing_extensions import override

from hot_translator import GroupState, Pseudo, Translation, TranslationError, has_unknown
from hot_translator.budget import tenant
from hot_translator.errors import raise_all
from hot_translator.expression import Scope
from hot_translator.loader import forget_places
from kiln.api import v1alpha1
from kiln.api.stack_status import StackStatus
from kiln.kube.errors import KubeError
from kiln.redaction import Redaction, Redactor
from kiln.stack import adoption, inputs, moves, plan_report, power, restores, stack_secret, validation
from kiln.stack.child_stacks import ChildStacks
from kiln.stack.inputs import Inputs
from kiln.stack.plan_report import UNLIMITED, Limits
from kiln.stack.resource_store import StackResourceStore
from kiln.stack.revisions import Revisions, digest_of
from kiln.stack.shared import CloudAccess, SharedState
from reconcilers.digests import Digester
from reconcilers.engine.context import ReconcileContext, ResourceStore, in_executor
from reconcilers.engine.control import Control
from reconcilers.engine.engine import Engine
from reconcilers.engine.guard import Guard
from reconcilers.engine.plan import Plan
from reconcilers.engine.policy import Policy
from reconcilers.engine.preview import Preview
from reconcilers.engine.progress import ProgressTracker, ReadyResource
from reconcilers.heat.stack import CHILD_STACKS
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


class PlanSecrets:
    """Collects the hidden values of a plan, so that its errors can be redacted too. ``owner`` is namespace/name."""

    def __init__(self, owner: str) -> None:
        self.redact = Redactor()
        self._owner = owner
        self._values: set[str] = set()

    def add(self, values: Iterable[str]) -> None:
        """Redact these values too."""
        self._values.update(values)
        self.redact.register(self._owner, self._values)


@dataclass(frozen=True, slots=True)
class StackPlan:
    """A plan with the translation that it leads to (None for a deletion), and what it is based on.

    All digests are keyed with the Stack's key: ``digest`` of what the plan changes, ``inputs_digest`` of the inputs
    (empty for a deletion), ``records_digest`` of the records. ``template`` is the template's text, if there is one.
    """

    plan: Plan
    translation: Translation | None
    digest: str
    inputs_digest: str
    records_digest: str
    template: str | None = field(repr=False)
    redact: Redaction = field(repr=False)

    def report(self, limits: Limits = UNLIMITED) -> dict[str, Any]:
        """The plan as data, without hidden values: see :func:`kiln.stack.plan_report.report`.

        It reads the template's text once more: do not call it on the operator's event loop.
        """
        definitions = self.translation.definitions if self.translation is not None else {}
        paths = {name: definition.path for name, definition in definitions.items()}
        try:
            return plan_report.report(self.plan, self.redact, paths=paths, template=self.template, limits=limits)
        finally:
            forget_places()


async def plan_stack(
    shared: SharedState,
    stack: Mapping[str, Any],
    proposed: Inputs | None = None,
    *,
    delete: bool = False,
    control: Control | None = None,
    secrets: PlanSecrets | None = None,
) -> StackPlan:
    """What the operator would do about this Stack now.

    ``proposed`` stands for the inputs of its spec; ``delete`` plans its deletion. ``control`` may end the planning;
    ``secrets`` collects the hidden values.
    Raises InputsError, CredentialsError, TranslationError, CloudError, KubeError, and what the control raises.
    """
    preview, loaded = await _preview(shared, stack, proposed, delete=delete, control=control, collector=secrets)
    plan = await preview.plan(loaded.translation)
    digester = preview.context.digester
    given = loaded.inputs
    return StackPlan(
        plan,
        loaded.translation,
        plan.digest(digester),
        digest_of(given, digester) if given is not None else "",
        _records_digest(preview.engine.all_records(), digester),
        given.template if given is not None and isinstance(given.template, str) else None,
        loaded.redact,
    )


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """Values of outputs by name, and reasons for missing values. The repr omits values, because they may be hidden."""

    values: Mapping[str, Any] = field(repr=False)
    errors: Mapping[str, str]


async def stack_outputs(shared: SharedState, stack: Mapping[str, Any]) -> StackOutputs:
    """All outputs of a Stack, hidden ones too, computed from its spec and from the cloud as it is now.

    Raises the same errors as :func:`plan_stack`.
    """
    preview, loaded = await _preview(shared, stack)
    translation = loaded.translation
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


@dataclass(frozen=True, slots=True)
class Existing:
    """A Stack as it is: its inputs, its translation, and its resources that exist. The values may be secret."""

    inputs: Inputs = field(repr=False)
    translation: Translation = field(repr=False)
    ready: Mapping[str, ReadyResource] = field(repr=False)
    scope: Scope = field(repr=False)


async def existing(shared: SharedState, stack: Mapping[str, Any]) -> Existing:
    """What exists of a Stack. Raises the same errors as :func:`plan_stack`."""
    preview, loaded = await _preview(shared, stack)
    await preview.plan(loaded.translation)
    if loaded.inputs is None or loaded.translation is None:
        raise RuntimeError("a plan that is no deletion has inputs")
    return Existing(loaded.inputs, loaded.translation, preview.context.ready, preview.scope)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a plan is made of. ``inputs`` and ``translation`` are None for a deletion."""

    redact: Redactor
    inputs: Inputs | None = None
    translation: Translation | None = None


async def _preview(
    shared: SharedState,
    stack: Mapping[str, Any],
    proposed: Inputs | None = None,
    *,
    delete: bool = False,
    control: Control | None = None,
    collector: PlanSecrets | None = None,
) -> tuple[Preview, _Loaded]:
    tenant.set(stack["metadata"]["namespace"])
    access = await shared.last_access(stack) if delete else await shared.access(stack)
    records = await StackResourceStore(shared.kube, stack, str, fence=lambda: False).load()
    renames = moves.parse(stack.get("spec") or {})
    imports = await adoption.load(shared.kube, stack) if not delete else {}
    groups = adoption.group_states(moves.both_ways(records, renames), StackStatus.parse(stack), imports)
    secrets_of = collector or PlanSecrets(str(v1alpha1.namespaced_name(stack)))
    secrets_of.add(access.credential.hidden)
    loaded, deployed = _Loaded(secrets_of.redact), None
    if not delete:
        given = proposed or await inputs.load(shared.kube, stack)
        secrets_of.add(given.hidden_values)
        translation = await _translated(shared, stack, access, given, groups)
        records = moves.towards(records, renames, translation.definitions)
        raise_all(list(translation.broken_rules))
        await validation.check_lookups(translation, access.lookup)
        secrets_of.add(translation.hidden_values)
        loaded = _Loaded(secrets_of.redact, given, translation)
        deployed = await _deployed(shared, stack, access, groups)
        if deployed is not None:
            secrets_of.add(deployed.hidden_values)
    context = await _context(shared, stack, access, loaded, records, control or Control(), secrets_of)
    kept = await stack_secret.adopted(shared.kube, stack)
    uid = context.policy.stack_uid
    if loaded.translation is not None:
        kept = {**adoption.secrets_of(imports, records, loaded.translation, uid), **kept}
    secrets_of.add(text for values in kept.values() for text in values.values() if text)
    context.policy = replace(context.policy, adoption=adoption.rules(stack, imports), kept=kept)
    return Preview(Engine(context, records), deployed), loaded


async def _translated(
    shared: SharedState, stack: Mapping[str, Any], access: CloudAccess, given: Inputs, groups: Mapping[str, GroupState]
) -> Translation:
    metadata = stack["metadata"]
    project = await access.cloud.project_id()
    pseudo = Pseudo(v1alpha1.heat_name(stack), metadata.get("uid", ""), project, access.cloud.region)
    return await shared.translation(v1alpha1.namespaced_name(stack), given, pseudo, groups)


async def _deployed(
    shared: SharedState, stack: Mapping[str, Any], access: CloudAccess, groups: Mapping[str, GroupState]
) -> Translation | None:
    """The translation of the revision that was reached last; None if it cannot be read or does not translate.

    It only provides old values, so whoever may not read it gets a plan without them.
    """
    name = StackStatus.parse(stack).current_revision
    if not name:
        return None
    revisions = Revisions(shared.kube, stack)
    try:
        found = next((one for one in await revisions.load() if one.name == name), None)
        if found is None:
            return None
        return await _translated(shared, stack, access, await revisions.inputs(found), groups)
    except (TranslationError, KubeError):
        return None


def _records_digest(records: Iterable[Recorded], digester: Digester) -> str:
    """A digest of what the records say of the cloud: which resources exist, and what was applied to them."""
    return digester.value(
        sorted([one.key, one.physical_id or "", one.confirmed, sorted(one.digests.items())] for one in records)
    )


async def _context(
    shared: SharedState,
    stack: Mapping[str, Any],
    access: CloudAccess,
    loaded: _Loaded,
    records: list[Recorded],
    control: Control,
    secrets_of: PlanSecrets,
) -> ReconcileContext:
    translation, given = loaded.translation, loaded.inputs
    spec = v1alpha1.stack_spec(stack)
    key = await stack_secret.digest_key(shared.kube, stack)
    names = frozenset(translation.definitions) if translation is not None else frozenset()
    status = StackStatus.parse(stack)
    wished = power.wish(spec, status)
    policy = Policy(
        stack=v1alpha1.heat_name(stack),
        stack_uid=stack["metadata"].get("uid") or "00000000-0000-0000-0000-000000000000",
        key=key or random_bytes.token_bytes(32),
        drift=spec.drift,
        concurrency=spec.max_concurrency,
        guard=Guard(spec.protected_resources),
        rekeyed=key is None and bool(records),
        known=names if status.last_operation else frozenset(),
        all_suspended=wished.whole,
        suspended=wished.resources,
        restores=restores.parse(status.restored),
    )
    evaluate = in_executor(shared.evaluators)
    children = ChildStacks(
        shared.kube,
        stack,
        given,
        policy.key,
        evaluate=evaluate,
        fence=lambda: False,
        hide=secrets_of.add,
        counts=shared.children,
    )
    return ReconcileContext(
        policy,
        control,
        {**access.transports, CHILD_STACKS: children.transport},
        access.lookup,
        ReadOnlyStore(),
        ProgressTracker(),
        started=asyncio.get_running_loop().time(),
        evaluate=evaluate,
        add_secrets=secrets_of.add,
    )
