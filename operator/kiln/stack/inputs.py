"""Reads the inputs of a Stack: template, environments, files and parameters, by value or by reference.

References can name ConfigMaps, Secrets and Stacks of the Stack's own namespace only. All sizes are bounded, because all
users share the operator's memory.
"""

import asyncio
import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from kiln.api.kinds import CONFIG_MAPS, SECRETS, Resource
from kiln.api.v1alpha1 import Reason, is_object_name
from kiln.kube.client import Json, Kube
from kiln.stack import other_stacks, published_outputs
from kiln.stack.other_stacks import OutputMissing

MAX_TEXT: Final = 1 << 20
"""Bytes of one template, environment or file: the size that fits into one Kubernetes object."""
MAX_TOTAL: Final = 1_250_000
"""Bytes of all inputs of one Stack. A StackRevision holds them, and Kubernetes accepts objects of up to 1.5 MiB."""


ADOPT_SOURCES: Final = {"fromSecret": "Secret", "fromConfigMap": "ConfigMap"}
"""Keys of ``spec.adopt`` that refer to objects, with the kind of the object."""


class Reference(NamedTuple):
    """A ConfigMap, Secret or other Stack in the Stack's namespace."""

    kind: str
    name: str


class InputsError(Exception):
    """An input is missing or invalid. ``path`` is its place in the spec, ``reason`` the reason of conditions.

    ``waits``: it may become there without anybody's doing.
    """

    def __init__(self, reason: Reason, path: str, message: str, *, waits: bool = False) -> None:
        super().__init__(f"{path}: {message}")
        self.reason = reason
        self.path = path
        self.message = message
        self.waits = waits


@dataclass(frozen=True, slots=True)
class Inputs:
    """All inputs of one reconciliation.

    ``template`` and ``environments`` are exact texts, or mappings if the Stack holds them as objects. ``hidden`` are
    the names of parameters whose values come from Secrets, ``hidden_files`` the names of such files,
    ``hidden_environments`` the places of such environments. ``references`` are all objects that were read. The repr
    omits values, because some of them are hidden.
    """

    template: str | Mapping[str, Any] = field(repr=False)
    environments: tuple[str | Mapping[str, Any], ...] = field(default=(), repr=False)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    hidden: frozenset[str] = frozenset()
    hidden_files: frozenset[str] = frozenset()
    hidden_environments: frozenset[int] = frozenset()
    references: frozenset[Reference] = frozenset()

    @property
    def hidden_values(self) -> frozenset[str]:
        """All values that come from Secrets, but those in environments: a translation knows them."""
        given = (str(self.parameters[name]) for name in self.hidden)
        return frozenset({*given, *(self.files[name] for name in self.hidden_files)})


_KEY_SOURCES: Final = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))


def references(stack: Mapping[str, Any], *, credentials: bool = False) -> frozenset[Reference]:
    """The objects that a Stack's spec refers to; with ``credentials`` the Secret of the clouds.yaml too.

    Another Stack whose outputs it uses is there with the Secret of its hidden outputs.
    """
    spec: Mapping[str, Any] = stack.get("spec") or {}
    found = {reference for _, reference in _references(spec)}
    adopt = spec.get("adopt") or {}
    found |= {Reference(kind, adopt[key]["name"]) for key, kind in ADOPT_SOURCES.items() if key in adopt}
    secret = (spec.get("cloudCredentialsRef") or {}).get("secretName")
    if credentials and secret:
        found.add(Reference("Secret", secret))
    for stack_name in other_stacks.used_stacks(spec):
        found |= {Reference("Stack", stack_name), Reference("Secret", published_outputs.secret_name(stack_name))}
    return frozenset(found)


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, Reference]]:
    """The references in a spec, each with its path."""
    if "templateRef" in spec:
        yield "spec.templateRef", Reference("ConfigMap", spec["templateRef"]["configMapName"])
    for index, item in enumerate(spec.get("environments") or ()):
        for source, kind in _KEY_SOURCES:
            if source in item:
                yield f"spec.environments[{index}].{source}", Reference(kind, item[source]["name"])
    for index, item in enumerate(spec.get("filesFrom") or ()):
        for source, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if source in item:
                yield f"spec.filesFrom[{index}].{source}", Reference(kind, item[source]["name"])
    for item in spec.get("parametersFrom") or ():
        for source, kind in _KEY_SOURCES:
            if source in item:
                yield f"spec.parametersFrom[{item['name']}].{source}", Reference(kind, item[source]["name"])


async def load(kube: Kube, stack: Mapping[str, Any]) -> Inputs:
    """Read a Stack's inputs.

    Raises ``InputsError`` for inputs that are missing, malformed or too large, and ``KubeError`` if the API server does
    not answer.
    """
    spec: Mapping[str, Any] = stack.get("spec") or {}
    namespace = stack["metadata"]["namespace"]
    wanted: dict[Reference, str] = {}
    for path, reference in _references(spec):
        wanted.setdefault(reference, path)
    objects = await asyncio.gather(*(_read(kube, namespace, path, reference) for reference, path in wanted.items()))
    reader = _Reader(dict(zip(wanted, objects, strict=True)))

    template = reader.template(spec)
    environments = tuple(reader.environments(spec))
    hidden_environments = frozenset(
        index for index, item in enumerate(spec.get("environments") or ()) if "secretKeyRef" in item
    )
    files, hidden_files = reader.files(spec)
    parameters, hidden = reader.parameters(spec)
    others, more_hidden = await _outputs_of_others(kube, namespace, spec, reader)
    parameters, hidden = parameters | others, hidden | more_hidden
    return Inputs(
        template, environments, files, parameters, hidden, hidden_files, hidden_environments, frozenset(wanted)
    )


async def _outputs_of_others(
    kube: Kube, namespace: str, spec: Mapping[str, Any], reader: "_Reader"
) -> tuple[dict[str, Any], frozenset[str]]:
    """Parameters from outputs of other Stacks, and the names of those that are hidden."""
    found: dict[str, Any] = {}
    hidden: set[str] = set()
    for item in spec.get("parametersFrom") or ():
        if "stackOutputRef" not in item:
            continue
        name, source = item["name"], item["stackOutputRef"]
        path = f"spec.parametersFrom[{name}].stackOutputRef"
        try:
            output = await other_stacks.output_of(kube, namespace, source["stack"], source["output"])
        except OutputMissing as missing:
            raise InputsError(missing.reason, path, missing.message, waits=missing.waits) from None
        reader.count(published_outputs.text_of(output.value), path)
        found[name] = output.value
        if output.hidden:
            hidden.add(name)
    return found, frozenset(hidden)


async def _read(kube: Kube, namespace: str, path: str, reference: Reference) -> Json:
    collections: Mapping[str, tuple[Resource, Reason]] = {
        "ConfigMap": (CONFIG_MAPS, Reason.CONFIG_MAP_NOT_FOUND),
        "Secret": (SECRETS, Reason.SECRET_NOT_FOUND),
    }
    collection, missing = collections[reference.kind]
    found = await kube.get(collection, namespace, reference.name) if is_object_name(reference.name) else None
    if found is None:
        raise InputsError(missing, path, f"there is no {reference.kind} {reference.name!r} in namespace {namespace!r}")
    return found


def _text_of(kind: str, obj: Mapping[str, Any], key: str, path: str, *, binary: bool) -> str | None:
    """The text of a key of a ConfigMap or Secret; None if there is no such key.

    With ``binary``, data that is not UTF-8 becomes base64 in lines, as Heat's client sends such files. Otherwise it is
    refused.
    """
    data = obj.get("data") or {}
    if kind == "ConfigMap" and key in data:
        return str(data[key])
    encoded = (data if kind == "Secret" else obj.get("binaryData") or {}).get(key)
    if encoded is None:
        return None
    content = base64.b64decode(encoded)
    try:
        return content.decode()
    except UnicodeDecodeError:
        if binary:
            return base64.encodebytes(content).decode()
        # Not chained: the original error contains the bytes, which may be secret.
        raise InputsError(Reason.INVALID_FILE, path, f"the key {key!r} does not hold UTF-8 text") from None


class _Reader:
    """Takes the inputs from the spec and the objects that it refers to, and sums up their size."""

    def __init__(self, objects: Mapping[Reference, Json]) -> None:
        self._objects = objects
        self._total = 0

    def template(self, spec: Mapping[str, Any]) -> str | Mapping[str, Any]:
        if "templateRef" in spec:
            source = spec["templateRef"]
            reference = Reference("ConfigMap", source["configMapName"])
            return self._key(reference, source.get("key", "template.yaml"), "spec.templateRef")
        if "templateBody" in spec:
            return self.count(str(spec["templateBody"]), "spec.templateBody")
        if isinstance(spec.get("template"), Mapping):
            template: Mapping[str, Any] = spec["template"]
            return template
        raise InputsError(Reason.INVALID_TEMPLATE, "spec", "there is no template, templateBody or templateRef")

    def environments(self, spec: Mapping[str, Any]) -> Iterator[str | Mapping[str, Any]]:
        for index, item in enumerate(spec.get("environments") or ()):
            path = f"spec.environments[{index}]"
            source, kind = next(((source, kind) for source, kind in _KEY_SOURCES if source in item), ("", ""))
            if source:
                where = item[source]
                yield self._key(Reference(kind, where["name"]), where["key"], f"{path}.{source}")
            elif "inline" in item:
                yield self.count(item["inline"], f"{path}.inline")
            else:
                yield item.get("environment") or {}

    def files(self, spec: Mapping[str, Any]) -> tuple[dict[str, str], frozenset[str]]:
        files: dict[str, str] = {}
        hidden: set[str] = set()
        for index, item in enumerate(spec.get("filesFrom") or ()):
            kind, source = ("Secret", "secretRef") if "secretRef" in item else ("ConfigMap", "configMapRef")
            reference = Reference(kind, item[source]["name"])
            obj = self._objects[reference]
            keys = sorted({*(obj.get("data") or ()), *(obj.get("binaryData") or ())})
            names = {entry["path"]: entry["key"] for entry in item[source].get("items") or ()}
            for name, key in (names or dict(zip(keys, keys, strict=True))).items():
                files[name] = self._key(reference, key, f"spec.filesFrom[{index}].{source}", binary=True)
                (hidden.add if kind == "Secret" else hidden.discard)(name)
        for name, text in (spec.get("files") or {}).items():
            files[name] = self.count(text, f"spec.files[{name}]")
            hidden.discard(name)
        return files, frozenset(hidden)

    def parameters(self, spec: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
        parameters = dict(spec.get("parameters") or {})
        hidden = set()
        for item in spec.get("parametersFrom") or ():
            name = item["name"]
            path = f"spec.parametersFrom[{name}]"
            if name in parameters:
                message = f"the parameter {name!r} has a value already: give it in parameters or in parametersFrom"
                raise InputsError(Reason.INVALID_PARAMETER, path, message)
            if "stackOutputRef" in item:
                continue
            kind, source = ("Secret", "secretKeyRef") if "secretKeyRef" in item else ("ConfigMap", "configMapKeyRef")
            reference = Reference(kind, item[source]["name"])
            parameters[name] = self._key(reference, item[source]["key"], f"{path}.{source}")
            if kind == "Secret":
                hidden.add(name)
        return parameters, frozenset(hidden)

    def _key(self, reference: Reference, key: str, path: str, *, binary: bool = False) -> str:
        obj = self._objects[reference]
        text = _text_of(reference.kind, obj, key, path, binary=binary)
        if text is None:
            there = ", ".join(sorted({*(obj.get("data") or ()), *(obj.get("binaryData") or ())})[:10]) or "none"
            message = f"the {reference.kind} {reference.name!r} has no key {key!r}; its keys: {there}"
            raise InputsError(Reason.KEY_NOT_FOUND, path, message)
        return self.count(text, path)

    def count(self, text: str, path: str) -> str:
        """The text, once its size is added to that of all inputs. Raises InputsError."""
        size = len(text.encode())
        self._total += size
        if size > MAX_TEXT:
            message = f"{size} bytes are too many: one input may have at most {MAX_TEXT}"
            raise InputsError(Reason.INPUTS_TOO_LARGE, path, message)
        if self._total > MAX_TOTAL:
            message = f"with this, the Stack's inputs have more than {MAX_TOTAL} bytes"
            raise InputsError(Reason.INPUTS_TOO_LARGE, path, message)
        return text
