"""Validates a translated template against the Stack and the cloud, before anything changes, and words its problems."""

from collections.abc import Mapping, Sequence
from typing import Final

from hot_translator import GroupState, InvalidParameter, Translation, TranslationError
from reconcilers.cloud.lookup import Lookup
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded

MOST_PROBLEMS: Final = 20
"""Problems of a template that a message names."""


async def check_lookups(translation: Translation, lookup: Lookup) -> None:
    """Check parameters that must name something in the cloud.

    Raises TranslationError with the path of the first that does not.
    """
    for wanted in translation.lookups:
        try:
            await lookup.exists(wanted.constraint, wanted.value)
        except CloudError as error:
            if error.fault is not Fault.INVALID:
                raise
            reason = f"does not validate {wanted.constraint}" if wanted.hidden else error.message
            raise InvalidParameter(wanted.path, wanted.message or reason) from error


def check_immutable(translation: Translation, deployed: Translation) -> None:
    """Refuse changes of immutable parameters after their deployment. Raises InvalidParameter for the first."""
    for name, parameter in translation.parameters.items():
        old = deployed.parameters.get(name)
        if parameter.schema.immutable and old is not None and old.value != parameter.value:
            raise InvalidParameter(f"parameters.{name}", "is immutable: its value cannot change once it is deployed")


def group_states(records: list[Recorded], removed: Mapping[str, Sequence[str]]) -> dict[str, GroupState]:
    """What is known of each group: the members that exist, oldest first, and ``removed`` as the status keeps it.

    A member is a resource with an id, or a nested template of which a resource exists. Removal policies may name the
    former by its id.
    """
    members: dict[str, dict[str, str]] = {}
    for recorded in sorted(records, key=lambda one: (one.created_at, one.serial)):
        path = recorded.name.split("/")
        for depth in range(1, len(path)):
            held = members.setdefault("/".join(path[:depth]), {})
            if depth == len(path) - 1:
                held[path[depth]] = recorded.physical_id or held.get(path[depth], "")
            else:
                held.setdefault(path[depth], "")
    names = members.keys() | removed.keys()
    return {name: GroupState(members.get(name, {}), frozenset(removed.get(name, ()))) for name in names}


def format_problems(error: TranslationError) -> str:
    """A translation's problems as text, each with its path and, if known, line and column."""
    lines = []
    for problem in error.problems[:MOST_PROBLEMS]:
        where = f" (line {problem.line}, column {problem.column})" if problem.line else ""
        lines.append(f"{problem}{where}")
    more = len(error.problems) - MOST_PROBLEMS
    return "; ".join([*lines, *([f"and {more} more"] if more > 0 else [])])
