"""Loads what a reconciliation begins with: inputs, access to the cloud, records, translations."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from hot_translator import GroupState, Pseudo, Translation, TranslationError
from hot_translator.errors import raise_all
from kiln.api import v1alpha1
from kiln.api.v1alpha1 import Reason
from kiln.clouds.credentials import CredentialsError
from kiln.stack import adoption, conditions, inputs, moves, objective, other_stacks, validation
from kiln.stack.inputs import Inputs, InputsError
from kiln.stack.moves import Move
from kiln.stack.objective import Objective, Refusal
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.revisions import Revision, Revisions
from kiln.stack.shared import CloudAccess
from kiln.stack.surroundings import CREDENTIALS_RETRY, LOOK_AGAIN, Refused, Surroundings
from reconcilers.engine.policy import Adoption, Import
from reconcilers.model import Recorded

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The inputs of a reconciliation."""

    inputs: Inputs
    access: CloudAccess
    pseudo: Pseudo
    records: list[Recorded]
    translation: Translation
    imports: Mapping[str, Import]
    """The resources to take over (``spec.adopt``), by logical name."""
    groups: Mapping[str, GroupState]
    moves: tuple[Move, ...]
    stored: list[Recorded]
    """The records under the names that are stored; ``records`` have those of the template."""


class Loader:
    """Loads for one reconciliation. Every method may raise Refused, CloudError and KubeError."""

    def __init__(self, here: Surroundings) -> None:
        self._here = here

    async def load(self) -> Loaded:
        """What the spec refers to, and its translation."""
        circle = self._here.shared.references.circle(self._here.key, other_stacks.used_stacks(self._here.stack["spec"]))
        if circle:
            message = f"spec.parametersFrom: Stacks use outputs of each other in a circle: {' -> '.join(circle)}"
            raise self._here.refusal(Reason.CIRCULAR_REFERENCE, message)
        try:
            found = await inputs.load(self._here.kube, self._here.stack)
            imports = await adoption.load(self._here.kube, self._here.stack)
            renames = moves.parse(self._here.stack.get("spec") or {})
        except InputsError as error:
            if error.waits:
                message = f"{error.path}: {error.message}"
                update = conditions.waiting_for_stack(self._here.generation, error.reason, message)
                raise Refused(update, Requeue(PassEnd.WAITING_FOR_STACK, LOOK_AGAIN)) from error
            raise self._here.refusal(error.reason, f"{error.path}: {error.message}") from error
        self._here.reporter.add_secrets(found.hidden_values)
        try:
            access = await self._here.shared.access(self._here.stack)
        except CredentialsError as error:
            message = f"{error.path}: {error.message}"
            raise self._here.refusal(error.reason, message, cloud=True, retry=CREDENTIALS_RETRY) from error
        self._here.reporter.add_secrets(access.credential.hidden)
        pseudo = await self._pseudo(access)
        records = await self._here.store.load()
        groups = adoption.group_states(moves.both_ways(records, renames), self._here.old, imports)
        try:
            translation = await self._here.shared.translation(self._here.key, found, pseudo, groups)
        except TranslationError as error:
            raise self._here.untranslatable(error) from error
        self._here.reporter.add_secrets(translation.hidden_values)
        self._here.shared.large.note(self._here.key, len(translation.definitions))
        self._here.check_room()
        try:
            if not self._here.old.current_revision:
                adoption.check_names(imports, translation)
            moved = moves.towards(records, renames, translation.definitions)
        except InputsError as error:
            raise self._here.refusal(error.reason, f"{error.path}: {error.message}") from error
        return Loaded(found, access, pseudo, moved, translation, imports, groups, renames, records)

    async def rename(self, loaded: Loaded, target: Translation | None) -> None:
        """Store new names of records, before anything is planned with them. A rollback may have the old names."""
        if target is not None and loaded.moves:
            loaded.records[:] = moves.towards(loaded.records, loaded.moves, target.definitions, strict=False)
        for one in moves.changed(loaded.stored, loaded.records):
            stored = await self._here.store.save(one)
            loaded.records[:] = [stored if held.key == stored.key else held for held in loaded.records]
            log.info("resources.%s: renamed in the template", one.name)

    async def adopted(self, decided: Objective, loaded: Loaded) -> tuple[Adoption, Mapping[str, Mapping[str, str]]]:
        """The rules of ``spec.adopt``, and secrets that were taken over with resources, by token."""
        stack, records = self._here.stack, loaded.records
        new = adoption.secrets_of(loaded.imports, records, loaded.translation, stack["metadata"]["uid"])
        kept = await adoption.keep(self._here.kube, stack, new, records)
        self._here.reporter.add_made_secrets(text for values in kept.values() for text in values.values() if text)
        return adoption.rules(stack, loaded.imports, returns=decided.rolling_back), kept

    async def _pseudo(self, access: CloudAccess) -> Pseudo:
        control = self._here.control(float("inf"))
        return Pseudo(
            stack_name=v1alpha1.heat_name(self._here.stack),
            stack_id=self._here.stack["metadata"]["uid"],
            project_id=await control.wait_for(access.cloud.project_id()),
            region=access.cloud.region,
        )

    async def translations(
        self, decided: Objective, loaded: Loaded, revisions: Revisions
    ) -> tuple[Translation, Translation | None]:
        """The translations of the target and of the revision that was reached last. Raises Refused."""
        if decided.rolling_back:
            if decided.target is None:
                return loaded.translation, None
            target, why = await self._translated(decided.target, decided, loaded, revisions)
            if target is None:
                raise impossible(self._here, objective.rollback_to_untranslatable(decided, why), decided.wanted)
            deployed, _ = await self._translated(decided.current, decided, loaded, revisions)
            return target, deployed
        deployed, _ = await self._translated(decided.current, decided, loaded, revisions)
        if decided.wanted is not None and not decided.wanted.deployed:
            try:
                raise_all(list(loaded.translation.broken_rules))
                await validation.check_lookups(loaded.translation, loaded.access.lookup)
                if deployed is not None:
                    validation.check_immutable(loaded.translation, deployed)
            except TranslationError as error:
                raise self._here.untranslatable(error) from error
        return loaded.translation, deployed

    async def inputs_of(self, decided: Objective, loaded: Loaded, revisions: Revisions) -> Inputs | None:
        """The inputs of the target, None if there is none. Child Stacks have files and environments from them."""
        if decided.target is None or not decided.rolling_back:
            return loaded.inputs if decided.target is not None else None
        return await revisions.inputs(decided.target)

    async def _translated(
        self, revision: Revision | None, decided: Objective, loaded: Loaded, revisions: Revisions
    ) -> tuple[Translation | None, str]:
        """The translation of a revision, or None and the reason."""
        if revision is None:
            return None, ""
        if revision is decided.wanted:
            return loaded.translation, ""
        try:
            found = await revisions.inputs(revision)
            self._here.reporter.add_secrets(found.hidden_values)
            translation = await self._here.shared.translation(self._here.key, found, loaded.pseudo, loaded.groups)
        except (TranslationError, InputsError) as error:
            if isinstance(error, TranslationError) and error.transient:
                raise self._here.untranslatable(error) from error
            why = self._here.reporter.redact(str(error))
            log.warning("the StackRevision %s does not translate any more: %s", revision.name, why)
            return None, why
        self._here.reporter.add_secrets(translation.hidden_values)
        return translation, ""


def impossible(here: Surroundings, refusal: Refusal, wanted: Revision | None) -> Refused:
    """The end of a reconciliation whose objective cannot be determined."""
    if refusal.reason is Reason.CANCELLED:
        update = conditions.cancelled(here.generation, wanted.name if wanted else "", refusal.message, here.old)
        return Refused(update, Requeue.on_events(PassEnd.STALLED))
    update = conditions.impossible(here.generation, wanted.name if wanted else "", refusal, here.old)
    return Refused(update, Requeue.on_events(PassEnd.STALLED))
