"""Reads ``spec.adopt``: which existing resources a Stack takes over, and under which rules.

The resources are given as a map of names to ids, or as the file that ``openstack stack abandon`` and
``openstack stack export`` write. Secrets in that file that OpenStack does not show again (a generated password, a
private key) are kept in the Stack's own Secret, so the file is needed only until the resources are taken over.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from hot_translator import GroupState, Translation, TranslationError
from hot_translator.loader import load as load_text
from kiln.api.kinds import CONFIG_MAPS, SECRETS
from kiln.api.stack_status import StackStatus
from kiln.api.v1alpha1 import Reason, is_object_name
from kiln.kube.client import Kube
from kiln.stack import stack_secret, validation
from kiln.stack.inputs import ADOPT_SOURCES, MAX_TEXT, InputsError, Reference
from reconcilers import identifiers, registry
from reconcilers.engine.policy import Adoption, Import
from reconcilers.model import IMPORTED, Recorded

DEFAULT_KEY: Final = "stack.json"
DEPTH: Final = 10
"""How deep the stacks in a file may be nested."""


def rules(stack: Mapping[str, Any], imports: Mapping[str, Import], *, returns: bool = False) -> Adoption:
    """The rules for resources that are taken over. Without ``spec.adopt`` they are as all others."""
    adopt = (stack.get("spec") or {}).get("adopt")
    if adopt is None:
        return Adoption(returns=returns)
    return Adoption(
        imports=imports,
        read_only=bool(adopt.get("readOnly", False)),
        holds=adopt.get("differences", "Report") != "Apply",
        takes_from_others=bool(adopt.get("takeFromOthers", False)),
        returns=returns,
    )


async def load(kube: Kube, stack: Mapping[str, Any]) -> dict[str, Import]:
    """The resources to take over, by logical name. Raises InputsError."""
    spec = stack.get("spec") or {}
    adopt = spec.get("adopt") or {}
    found: dict[str, Import] = {}
    for source, kind in ADOPT_SOURCES.items():
        if source in adopt:
            path, reference = f"spec.adopt.{source}", Reference(kind, adopt[source]["name"])
            key = adopt[source].get("key", DEFAULT_KEY)
            found |= parse(await _text(kube, stack["metadata"]["namespace"], path, reference, key), path)
    for name, physical_id in (adopt.get("resources") or {}).items():
        data = found[name].data if name in found else {}
        found[name] = Import(str(physical_id), f"spec.adopt.resources[{name}]", data)
    return found


def parse(text: str, path: str) -> dict[str, Import]:
    """The resources in Heat's file, by logical name. Nested stacks become names with slashes. Raises InputsError."""
    try:
        content = load_text(text, source=path)
    except TranslationError:
        # Not chained, and without the details: the file may hold secrets.
        raise InputsError(Reason.INVALID_FILE, path, "is neither JSON nor YAML") from None
    resources = content.get("resources") if isinstance(content, Mapping) else None
    if not isinstance(resources, Mapping):
        raise InputsError(Reason.INVALID_FILE, path, "is not the file of a stack: it has no map 'resources'")
    return dict(_flat(resources, "", path, DEPTH))


def _flat(resources: Mapping[str, Any], prefix: str, path: str, depth: int) -> Iterator[tuple[str, Import]]:
    if depth == 0:
        raise InputsError(Reason.INVALID_FILE, path, f"stacks are nested deeper than {DEPTH}")
    for name, one in resources.items():
        if not isinstance(one, Mapping):
            raise InputsError(Reason.INVALID_FILE, path, f"resources.{prefix}{name} is not a map")
        below = one.get("resources")
        if isinstance(below, Mapping):
            yield from _flat(below, f"{prefix}{name}/", path, depth - 1)
        elif one.get("resource_id"):
            data = one.get("resource_data") or {}
            texts = {key: str(value) for key, value in data.items()} if isinstance(data, Mapping) else {}
            yield f"{prefix}{name}", Import(str(one["resource_id"]), f"{path}: resources.{prefix}{name}", texts)


async def _text(kube: Kube, namespace: str, path: str, reference: Reference, key: str) -> str:
    kind = SECRETS if reference.kind == "Secret" else CONFIG_MAPS
    obj = await kube.get(kind, namespace, reference.name) if is_object_name(reference.name) else None
    if obj is None:
        missing = Reason.SECRET_NOT_FOUND if reference.kind == "Secret" else Reason.CONFIG_MAP_NOT_FOUND
        message = f"there is no {reference.kind} {reference.name!r} in namespace {namespace!r}"
        raise InputsError(missing, path, message)
    data = obj.get("data") or {}
    if key not in data:
        there = ", ".join(sorted(data)[:10]) or "none"
        raise InputsError(
            Reason.KEY_NOT_FOUND, path, f"the {reference.kind} {reference.name!r} has no key {key!r}; its keys: {there}"
        )
    text = data[key]
    if reference.kind == "Secret":
        try:
            text = base64.b64decode(text).decode()
        except ValueError:
            raise InputsError(Reason.INVALID_FILE, path, f"the key {key!r} does not hold UTF-8 text") from None
    if len(text) > MAX_TEXT:
        raise InputsError(Reason.INPUTS_TOO_LARGE, path, f"more than {MAX_TEXT} bytes")
    return str(text)


def members(imports: Mapping[str, Import], records: Iterable[Recorded]) -> list[Recorded]:
    """Records of the resources to take over that have none yet: the members of groups follow from their names."""
    known = {one.name for one in records}
    blank = Recorded("", "", "", "", "")
    return [
        Recorded(blank.key, name, blank.type, blank.token, blank.physical_name, one.physical_id)
        for name, one in imports.items()
        if name not in known and "/" in name
    ]


def removed(names: Iterable[str], groups: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Names that groups lost before they were taken over: a member 2 without a member 1 means that 1 was removed.

    ``groups`` are those that are known to be removed; they win.
    """
    numbers: dict[str, set[int]] = {}
    for name in names:
        path = name.split("/")
        for depth in range(1, len(path)):
            if path[depth].isdecimal():
                numbers.setdefault("/".join(path[:depth]), set()).add(int(path[depth]))
    found = {group: [str(one) for one in range(max(held)) if one not in held] for group, held in numbers.items()}
    known = {name: list(names) for name, names in groups.items()}
    return {**{group: missing for group, missing in found.items() if missing and len(missing) < 1000}, **known}


def group_states(records: list[Recorded], status: StackStatus, imports: Mapping[str, Import]) -> dict[str, GroupState]:
    """What is known of each group. Until the first revision is reached, members to take over count as existing."""
    if not imports or status.current_revision:
        return validation.group_states(records, status.groups)
    expected = members(imports, records)
    gaps = removed([one.name for one in (*records, *expected)], status.groups)
    return validation.group_states([*records, *expected], gaps)


def check_names(imports: Mapping[str, Import], translation: Translation) -> None:
    """Refuse names that the template does not have: a typing error would create a second resource.

    Names in a file may be left over. Raises InputsError for the first.
    """
    for name, one in imports.items():
        definition = translation.definitions.get(name)
        if one.path.startswith("spec.adopt.resources") and (definition is None or definition.virtual):
            raise InputsError(Reason.INVALID_SPEC, one.path, "the template has no resource of this name")


def secrets_of(
    imports: Mapping[str, Import], records: Iterable[Recorded], translation: Translation, stack_uid: str
) -> dict[str, dict[str, str]]:
    """Secrets of resources that are taken over, by the token that they get. Those with a record have theirs already."""
    known = {one.name for one in records}
    found = {}
    for name, one in imports.items():
        definition = translation.definitions.get(name)
        rtype = registry.find(definition.type) if definition is not None else None
        if rtype is not None and rtype.keeps and name not in known:
            token = identifiers.token(stack_uid, name, 0)
            found[token] = {key: one.data[key] for key in sorted(rtype.keeps) if key in one.data}
    return found


async def keep(
    kube: Kube, stack: Mapping[str, Any], new: Mapping[str, Mapping[str, str]], records: Iterable[Recorded]
) -> Mapping[str, Mapping[str, str]]:
    """All secrets that were taken over with resources, by token; ``new`` ones are stored first.

    They are in the Stack's own Secret. It is read only if the Stack has such resources.
    """
    if not new and not _has_kept(records):
        return {}
    return await stack_secret.keep_adopted(kube, stack, new)


def _has_kept(records: Iterable[Recorded]) -> bool:
    for one in records:
        rtype = registry.find(one.type) if IMPORTED in one.data else None
        if rtype is not None and rtype.keeps:
            return True
    return False
