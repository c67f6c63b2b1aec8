"""What can be wrong with a translated template in this Stack and this cloud, before anything is done."""

from hot_translator import InvalidParameter, InvalidTemplate, Translation
from reconcilers.cloud.lookup import Lookup
from reconcilers.errors import CloudError
from reconcilers.model import Fault, Recorded


async def check_lookups(translation: Translation, lookup: Lookup) -> None:
    """Parameters that must name something in the cloud.

    Raises TranslationError with the path of the first that does not.
    """
    for wanted in translation.lookups:
        try:
            await lookup.exists(wanted.constraint, wanted.value)
        except CloudError as error:
            if error.fault is not Fault.INVALID:
                raise
            raise InvalidParameter(wanted.path, wanted.message or error.message) from error


def check_immutable(translation: Translation, deployed: Translation) -> None:
    """Parameters that may not change once they were deployed. Raises InvalidParameter for the first that did."""
    for name, parameter in translation.parameters.items():
        old = deployed.parameters.get(name)
        if parameter.schema.immutable and old is not None and old.value != parameter.value:
            raise InvalidParameter(f"parameters.{name}", "is immutable: its value cannot change once it is deployed")


def members_of(records: list[Recorded]) -> dict[str, dict[str, str]]:
    """The ids of each group's direct members, oldest first: removal policies may name members by them."""
    found: dict[str, dict[str, str]] = {}
    for recorded in sorted(records, key=lambda one: (one.created_at, one.serial)):
        group, _, member = recorded.name.rpartition("/")
        if group and recorded.physical_id:
            found.setdefault(group, {})[member] = recorded.physical_id
    return found


def check_hooks(translation: Translation) -> None:
    """Hooks pause resources until somebody clears them, which Kiln cannot do yet. Raises InvalidTemplate."""
    for definition in translation.definitions.values():
        if definition.hooks:
            names = ", ".join(sorted(definition.hooks))
            raise InvalidTemplate(
                definition.path, f"the environment sets hooks ({names}), which Kiln does not have yet"
            )
