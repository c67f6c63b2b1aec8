"""Converges one resource: creates, updates, replaces or repairs it, or leaves it alone."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from reconcilers import secret_values
from reconcilers.digests import CREATED, WHOLE
from reconcilers.engine import adoption, attribute_reads, intents, planner, power, replacement, seals
from reconcilers.engine.action import Verb
from reconcilers.engine.adoption import Existing
from reconcilers.engine.cleanup import Cleanup
from reconcilers.engine.context import ReconcileContext
from reconcilers.engine.driver import NOT_OBSERVED, ResourceDriver, identified
from reconcilers.engine.planner import Decision
from reconcilers.engine.policy import READ_ONLY
from reconcilers.engine.progress import ReadyResource, ResourceError, ResourceProgress
from reconcilers.engine.references import ReferenceResolver
from reconcilers.engine.target import Target
from reconcilers.errors import CloudError
from reconcilers.model import (
    HOOK,
    POSSIBLE_DUPLICATE,
    Failed,
    Fault,
    Gone,
    Intent,
    Outcome,
    Pause,
    Ready,
    Recorded,
    Replace,
    Send,
    Wait,
)


class ResourceConverger(ResourceDriver):
    """Converges a resource to its target. ``candidates`` are the records of its name."""

    verb = "Updating"

    def __init__(self, context: ReconcileContext, target: Target, candidates: Iterable[Recorded]) -> None:
        self.candidates = list(candidates)
        chosen = planner.choose(self.candidates, target)
        super().__init__(context, target.rtype, chosen or target.blank_record())
        self.target = target
        self.references = ReferenceResolver(
            target.rtype,
            target.template,
            context.lookup,
            context.digester,
            context.caller,
            context.local,
            target.definition.hidden_properties,
        )
        self.properties: Mapping[str, Any] | None = None
        """The target's properties with names resolved."""
        self.same: frozenset[str] = frozenset()
        """Properties that were unchanged since they were applied, when names were resolved."""
        self.recreated = False
        """The resource went to ERROR in this reconciliation and was recreated."""
        self.accepted: frozenset[str] = frozenset()
        """Properties that the cloud has accepted in this reconciliation."""
        self.cleanup: Cleanup | None = None
        """Removes what leaves the Stack: at the end, or earlier to make room."""
        self.room_made = 0
        """How many resources went to make room, when that was asked for last."""
        self.taken_over = False
        """An earlier reconciliation already recorded that the resource exists."""
        if chosen is not None:
            self.adopt_record(self.rekeyed(chosen) if context.policy.rekeyed else chosen)

    def rekeyed(self, recorded: Recorded) -> Recorded:
        """The record with digests under the new key, as if the template had not changed."""
        if recorded.state != "Ready":
            return recorded
        digests = self.target.digests(recorded).each(self.target.template)
        return replace(recorded, digests={WHOLE: "", **digests}, references={})

    def adopt_record(self, recorded: Recorded) -> None:
        """Continue with this record."""
        self.recorded, self.saved = identified(self.rtype, recorded), recorded
        self.observed = NOT_OBSERVED
        self.reads = {}
        self.verb = "Updating" if recorded.confirmed else "Creating"
        self.taken_over = recorded.confirmed

    @property
    @override
    def hooks(self) -> frozenset[str]:
        return self.target.definition.hooks

    # Deciding.

    def at_rest(self) -> ReadyResource | None:
        """The ready resource, if there is nothing to do for it. Makes no call."""
        rtype, recorded = self.rtype, self.recorded
        if not planner.fits(self.target, recorded):
            return None
        try:
            with self.expected_form():
                observed = self.context.seen(rtype, recorded.physical_id or "") if rtype.service else None
                if observed is None and rtype.service:
                    return None
                properties = self.known_properties()
                if properties is None:
                    return None
                decision = adoption.decide(self.target, properties, recorded, observed, self.context.policy)
        except CloudError:
            return None  # the driver meets it again, and says so
        if decision.action.verb is not Verb.NONE or attribute_reads.needed(
            self.target, decision.desired, recorded, observed
        ):
            return None
        return ReadyResource(rtype, decision.desired, recorded, observed)

    def known_properties(self) -> Mapping[str, Any] | None:
        """The target's properties with names resolved; None if that needs a call."""
        self.same = planner.unchanged(self.target, self.recorded)
        return self.references.known(self.recorded.references, self.same)

    # One step.

    async def prepare(self) -> Mapping[str, Any]:
        """Make sure that there is a record. Returns the properties. Sends only look-ups of names."""
        if self.properties is None:
            self.same = planner.unchanged(self.target, self.recorded)
            self.add_secrets(self.target.template)  # a cloud may quote what is looked up
            self.properties = await self.references.look_up(self.recorded.references, self.same)
            self.add_secrets(self.properties)
        if not self.recorded.key:
            await self.create_record()
        if self.recorded.deleting:
            await self.replace_record()
        if len(self.candidates) > 1:
            self._supersede_others()
        return self.properties

    def add_secrets(self, properties: Mapping[str, Any]) -> None:
        """Keep the secrets among these properties out of messages."""
        hidden = self.target.definition.hidden_properties
        self.context.add_secrets(list(secret_values.of_properties(self.rtype.schema, properties, hidden)))

    @override
    async def advance(self) -> ReadyResource | None:
        properties = await self.prepare()
        if self.observed is NOT_OBSERVED:
            self.observed = await self.look()
        with self.expected_form():
            policy = self.context.policy
            decision = adoption.decide(self.target, properties, self.recorded, self.view(), policy, self.accepted)
        self.recorded = decision.recorded
        self.begin(decision.action)
        if decision.drift:
            self.context.progress.drifted[self.recorded.name] = decision.drift
        outcome = _first(decision.outcome)
        match outcome:
            case Send():
                await self.change(outcome)
            case Wait():
                await self.wait(outcome)
            case Pause():
                await self.pause(outcome)
            case Ready():
                return await self.settle(decision)
            case Replace():
                await replacement.replace(self, outcome)
            case Failed(fault=Fault.RESOURCE, kept=False):
                await replacement.recreate(self, outcome)
            case Failed():
                raise self.failure(outcome.reason, outcome.fault, outcome.property)
            case Gone():
                self.observed = None
                await self.context.control.pause(0)
        return None

    async def change(self, outcome: Send) -> None:
        """Send a request of the type, after the record says what it has to."""
        self.report()
        if self.rtype.needs_running:
            await power.wake(self.context, self.target.requires)
        if self.recorded.power != self.saved.power or (self.recorded != self.saved and not outcome.into):
            await self.save()
        await self.send(outcome)

    # Records.

    def intent(self, properties: Mapping[str, Any], serial: int, attempts: int = 0) -> Intent:
        """The intent of the resource with this serial number."""
        return intents.of(self.context, self.target, properties, serial, attempts)

    @property
    def spent(self) -> set[int]:
        """Serial numbers of this name that resources have which were renamed since."""
        return self.context.spent.get(self.target.name, set())

    @property
    def next_serial(self) -> int:
        """The serial number of a new resource of this name."""
        return 1 + max([*(other.serial for other in self.candidates), *self.spent], default=-1)

    async def create_record(self, *, attempts: int = 0) -> None:
        """Store the intent to create a resource. Sends nothing."""
        properties = self.properties or {}
        if not self.candidates:
            existing = await adoption.find(self.context, self.target, properties, self.next_serial)
            if existing is not None:
                await self.create_import(existing)
                return
        if self.context.policy.adoption.read_only and self.rtype.service:
            raise self.failure(f"{READ_ONLY}, and spec.adopt names no resource for this one", Fault.INVALID)
        lost = [] if self.candidates else await intents.lost_serials(self.context, self.target, properties)
        lost = [serial for serial in lost if serial not in self.spent]
        serial = lost[-1] if lost else self.next_serial
        for older in lost[:-1]:
            # It is removed at the end, like every record of a resource that is not desired.
            surplus = await self.context.store.create(self.intent(properties, older))
            self.context.written[surplus.key] = surplus
        intent = self.intent(properties, serial, attempts)
        self.context.progress.move(self.target.name, ResourceProgress(intent.type, "Creating"))
        recorded = await self.context.store.create(intent)
        self.adopt_record(recorded if recorded.attempts else replace(recorded, attempts=attempts))
        self.candidates.append(self.recorded)
        begun_before = recorded.confirmed or recorded.state != "Creating" or lost or recorded.found
        renamed = self.cleanup is not None and self.cleanup.holds(self.rtype, self.recorded.physical_id)
        self.fresh = not begun_before and not renamed
        if self.fresh:
            self.context.unconfirmed.intended(recorded.token)

    async def create_import(self, existing: Existing) -> None:
        """Store the intent to take over a resource. Sends nothing."""
        self.context.progress.move(self.target.name, ResourceProgress(existing.intent.type, "Creating"))
        self.adopt_record(await self.context.store.create(existing.intent))
        self.observed = existing.observed
        self.candidates.append(self.recorded)

    async def replace_record(self) -> None:
        """Somebody deleted the StackResource by hand. A new record takes over the existing resource."""
        old, proven = self.recorded, self.is_proven()
        recorded = await self.context.store.replace(old, self.intent(self.properties or {}, old.serial))
        self.candidates = [*(other for other in self.candidates if other.key != old.key), recorded]
        self.adopt_record(recorded if proven else replace(recorded, seal=seals.NONE))
        self.recorded = replace(
            self.recorded,
            physical_id=old.physical_id,
            confirmed=old.confirmed,
            digests=old.digests,
            references=old.references,
            data={**self.recorded.data, **old.data},
        )

    @override
    def apply_response(self, step: Send, body: Any, request_id: str) -> None:
        super().apply_response(step, body, request_id)
        # The resource was complete, but no longer matches that digest.
        digests = {**self.recorded.digests, **({WHOLE: ""} if WHOLE in self.recorded.digests else {})}
        if step.creates:
            self.proven = True
            digests = {CREATED: ""}
            shown = self.observed if self.observed is not NOT_OBSERVED else None
            identity = self.rtype.identity(self.recorded)
            physical_id = identity or (next(iter(self.rtype.identify(shown)), None) if shown else None)
            self.recorded = replace(self.recorded, physical_id=physical_id, confirmed=physical_id is not None)
        elif not self.recorded.confirmed:
            self.recorded = replace(self.recorded, confirmed=self.recorded.physical_id is not None)
        self.accepted |= step.applies
        for name in step.applies:
            digests.pop(name, None)
        digests.update(self.target.digests(self.recorded).each(step.applies))
        self.recorded = replace(self.recorded, digests=digests)

    async def settle(self, decision: Decision) -> ReadyResource:
        """The resource is as desired. Record that, and read referenced attributes that cost a call."""
        if POSSIBLE_DUPLICATE in self.recorded.data and self.taken_over:
            await self.remove_duplicates()
        progress, target, name = self.context.progress, self.target, self.recorded.name
        if decision.action.verb is Verb.IMPORT:
            progress.imported[name] = decision.drift
        if decision.action.verb is not Verb.REPORT:
            drift = "" if decision.action.verb is Verb.IMPORT else progress.drifted.pop(name, "")
            if drift:
                progress.repaired[name] = drift
            references = self.references.recorded(self.recorded.references, self.same)
            self.recorded = target.reached(self.recorded, self.properties or {}, references)
        desired = replace(decision.desired, changed=frozenset())
        if replace(self.recorded, request_id=self.saved.request_id) != self.saved:
            if HOOK in self.recorded.data or attribute_reads.needed(target, desired, self.recorded, self.observed):
                await self.save()  # the hook waits, the reads may fail
            else:
                # Dependants need not wait: until it is stored, the token identifies the resource.
                self.context.background.begin(self.save())
        read = await attribute_reads.send(self.context, target, desired, self.recorded, self.observed)
        return ReadyResource(self.rtype, desired, self.recorded, self.observed, read)

    @override
    async def handle_cloud_error(self, error: CloudError) -> None:
        """If a new resource is refused, first remove leaving ones that may hold its name, address or link.

        Resolve names again, mostly without a call: a name may have got another meaning.
        """
        self.properties = None
        refused = error.fault in {Fault.CONFLICT, Fault.INVALID} and not self.recorded.confirmed
        if refused and self.cleanup is not None:
            before = self.room_made
            self.room_made = await self.cleanup.make_room(self.target.definition.type)
            if self.room_made > before:
                self.observed, self.stale_list = NOT_OBSERVED, True
                return
        await super().handle_cloud_error(error)

    # Resources of the same name.

    def _supersede_others(self) -> None:
        """Tell that the other resources of this name have a successor. They go at the end, or to make room."""
        for other in self.candidates:
            if self.cleanup is not None and other.key not in self.context.deleted | {self.recorded.key}:
                self.cleanup.supersede(other)

    @override
    def foreign(self) -> Mapping[str, Any] | None:
        """What another resource of the Stack still has goes soon."""
        owner = self.cleanup.owner(self.rtype, self.recorded.physical_id or "") if self.cleanup else ""
        if owner:
            raise CloudError(Fault.CONFLICT, f"{self.recorded.physical_id} still belongs to resources.{owner}")
        return super().foreign()

    @override
    def failure(self, reason: str, fault: Fault, prop: str = "", request_id: str = "") -> ResourceError:
        # The same request was accepted a moment ago. If it is refused now, something that it refers to is gone: a
        # failed boot may delete its port. The next reconciliation comes soon and reads everything again.
        again = self.recreated and fault is Fault.INVALID
        return super().failure(reason, Fault.RESOURCE if again else fault, prop, request_id)


def _first(outcome: Outcome) -> Outcome:
    """What is done first: before a replacement its release."""
    return outcome.release if isinstance(outcome, Replace) and outcome.release is not None else outcome
