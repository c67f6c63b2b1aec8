"""Loads what a reconciliation begins with: inputs, access to the cloud, records, translations."""

import logging
from dataclasses import dataclass

from hot_translator import Pseudo, Translation, TranslationError
from hot_translator.errors import raise_all
from kiln.api import v1alpha1
from kiln.api.v1alpha1 import Reason
from kiln.clouds.credentials import CredentialsError
from kiln.stack import conditions, inputs, objective, other_stacks, status, validation
from kiln.stack.inputs import Inputs, InputsError
from kiln.stack.objective import Objective, Refusal
from kiln.stack.requeue import PassEnd, Requeue
from kiln.stack.revisions import Revision, Revisions
from kiln.stack.shared import CloudAccess
from kiln.stack.surroundings import CREDENTIALS_RETRY, LOOK_AGAIN, Refused, Surroundings
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
        groups = validation.group_states(records, self._here.old.groups)
        try:
            translation = await self._here.shared.translation(self._here.key, found, pseudo, groups)
        except TranslationError as error:
            raise self._here.refusal(error.kind, status.format_problems(error)) from error
        self._here.reporter.add_secrets(translation.hidden_values)
        return Loaded(found, access, pseudo, records, translation)

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
                raise self._here.refusal(error.kind, status.format_problems(error)) from error
        return loaded.translation, deployed

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
            groups = validation.group_states(loaded.records, self._here.old.groups)
            translation = await self._here.shared.translation(self._here.key, found, loaded.pseudo, groups)
        except (TranslationError, InputsError) as error:
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
