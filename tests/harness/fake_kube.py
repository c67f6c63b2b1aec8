"""A Kubernetes API server in memory, with the methods of ``kiln.kube.client.Kube``.

It does what the real one does with objects, as far as the operator relies on it: names that are taken, resource
versions, the three kinds of patches, the status subresource, label selectors, finalizers, preconditions of deletions,
garbage collection by owners.
"""

import base64
import copy
import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jsonpatch

from kiln.api.kinds import CONFIG_MAPS, SECRETS, STACKS, Resource
from kiln.api.v1alpha1 import LABEL_STACK
from kiln.kube.errors import AlreadyExists, Conflict, Invalid, KubeError, NotFound

Json = dict[str, Any]
Objects = list[Json]
STAMP = "2026-01-01T00:00:00Z"


class FakeKube:
    """``objects`` by collection, namespace and name. ``fail`` are errors of the next calls. ``refuse`` may raise one
    for a call (verb, collection, body). ``calls`` are verb, collection and name of what was asked.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.fail: list[KubeError] = []
        self.refuse: Callable[[str, str, Any], None] = lambda _verb, _plural, _body: None
        self.calls: list[tuple[str, str, str]] = []
        self._versions = itertools.count(1)
        self._deleted: set[tuple[str, str, str]] = set()
        self._of_stack: dict[tuple[str, str, str], dict[str, None]] = {}

    # For tests.

    def put(self, res: Resource, name: str, namespace: str = "ns", **content: Any) -> Json:
        """Store an object as somebody else would."""
        metadata = {"uid": str(uuid.uuid4()), **content.pop("metadata", {}), "namespace": namespace, "name": name}
        obj = {"apiVersion": res.api_version, "kind": res.kind, **content, "metadata": metadata}
        return self._store((res.plural, namespace, name), copy.deepcopy(obj))

    def config_map(self, name: str, namespace: str = "ns", **data: str) -> Json:
        """Store a ConfigMap."""
        return self.put(CONFIG_MAPS, name, namespace, data=data)

    def secret(self, name: str, namespace: str = "ns", **data: str | bytes) -> Json:
        """Store a Secret with these values."""
        encoded = {
            key: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
            for key, value in data.items()
        }
        return self.put(SECRETS, name, namespace, data=encoded)

    def find(self, plural: str, name: str, namespace: str = "ns") -> Json | None:
        """An object as it is stored."""
        return self.objects.get((plural, namespace, name))

    def named(self, plural: str) -> set[str]:
        """Names of all objects of a collection."""
        return {name for kind, _, name in self.objects if kind == plural}

    # What the operator calls.

    def deleted(self, plural: str, ns: str, name: str) -> bool:
        """See Kube."""
        return (plural, ns, name) in self._deleted

    async def get(self, res: Resource, ns: str, name: str) -> Json | None:
        """See Kube."""
        self._called("get", res, name)
        return copy.deepcopy(self.objects.get((res.plural, ns, name)))

    async def list(self, res: Resource, ns: str = "", *, labels: str = "", fields: str = "") -> Objects:
        """See Kube."""
        self._called("list", res, "")
        if ns and labels.startswith(f"{LABEL_STACK}="):
            # Of thousands of Stacks each asks for its own: not all are looked through each time.
            names = self._of_stack.get((res.plural, ns, labels.partition(",")[0].partition("=")[2]), {})
            found = [self.objects[key] for key in ((res.plural, ns, name) for name in names) if key in self.objects]
        else:
            found = [obj for (plural, at, _), obj in self.objects.items() if plural == res.plural and ns in {"", at}]
        return copy.deepcopy([obj for obj in found if _selected(obj, labels)])

    async def create(
        self, res: Resource, ns: str, body: Mapping[str, Any], *, existing_ok: bool = False, dry_run: bool = False
    ) -> Json:
        """See Kube."""
        name = body["metadata"]["name"]
        self._called("create", res, name, body)
        key = (res.plural, ns, name)
        self._deleted.discard(key)
        if key in self.objects:
            if existing_ok and self.objects[key].get("spec") == body.get("spec"):
                return copy.deepcopy(self.objects[key])
            raise AlreadyExists(409, "AlreadyExists", name)
        content = copy.deepcopy(dict(body))
        content["metadata"] |= {"namespace": ns, "uid": str(uuid.uuid4()), "creationTimestamp": STAMP}
        content.pop("status", None)
        content["metadata"].setdefault("generation", 1)
        return content if dry_run else self._store(key, content)

    async def patch(
        self, res: Resource, ns: str, name: str, body: Any, *, how: str = "merge", subresource: str = "", **_: Any
    ) -> Json:
        """See Kube."""
        self._called("patch", res, name, body)
        key = (res.plural, ns, name)
        before = self.objects.get(key)
        if before is None:
            raise NotFound(404, "NotFound", name)
        if how == "json":
            try:
                after = jsonpatch.JsonPatch(body).apply(before)
            except jsonpatch.JsonPatchTestFailed as error:
                raise Conflict(422, "TestFailed", "a test of the patch failed") from error
            except jsonpatch.JsonPatchException as error:
                raise Invalid(422, "Invalid", str(error)) from error
        elif how == "apply":
            after = {**before, **{part: value for part, value in body.items() if part != "metadata"}}
            self._precondition(before, body.get("metadata") or {})
        else:
            self._precondition(before, body.get("metadata") or {})
            after = _merged(before, body)
        after = copy.deepcopy(after)
        if subresource:
            after = {**before, subresource: after.get(subresource)}
        elif "status" in before or "status" in after:
            after = {**after, "status": before.get("status")}
        if res is STACKS and after.get("spec") != before.get("spec"):
            after["metadata"] = {**after["metadata"], "generation": before["metadata"].get("generation", 0) + 1}
        after["metadata"] = {**after["metadata"], "uid": before["metadata"]["uid"], "name": name, "namespace": ns}
        return self._store(key, copy.deepcopy(after))

    async def delete(self, res: Resource, ns: str, name: str, *, uid: str = "", version: str = "") -> None:
        """See Kube."""
        self._called("delete", res, name)
        self.expect_deletions(res, ns, [name])
        obj = self.objects.get((res.plural, ns, name))
        if obj is None:
            return
        if (uid and obj["metadata"]["uid"] != uid) or (version and obj["metadata"]["resourceVersion"] != version):
            raise Conflict(409, "Conflict", name)
        self._remove((res.plural, ns, name))

    async def delete_all(self, res: Resource, ns: str, labels: str, names: Iterable[str]) -> None:
        """See Kube."""
        self._called("deletecollection", res, labels)
        self.expect_deletions(res, ns, names)
        for key, obj in list(self.objects.items()):
            if key[:2] == (res.plural, ns) and _selected(obj, labels):
                self._remove(key)

    def expect_deletions(self, res: Resource, ns: str, names: Iterable[str]) -> None:
        """See Kube."""
        self._deleted.update((res.plural, ns, name) for name in names)

    # The server.

    def _called(self, verb: str, res: Resource, name: str, body: Any = None) -> None:
        self.calls.append((verb, res.plural, name))
        if self.fail:
            raise self.fail.pop(0)
        self.refuse(verb, res.plural, body)

    @staticmethod
    def _precondition(obj: Json, metadata: Mapping[str, Any]) -> None:
        for field in ("uid", "resourceVersion"):
            if field in metadata and metadata[field] != obj["metadata"][field]:
                raise Conflict(409, "Conflict", f"{field} is {obj['metadata'][field]}")

    def _store(self, key: tuple[str, str, str], obj: Json) -> Json:
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[key] = obj
        stack = (obj["metadata"].get("labels") or {}).get(LABEL_STACK)
        if stack is not None:
            self._of_stack.setdefault((key[0], key[1], stack), {})[key[2]] = None
        if "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers"):
            self._gone(key)
        return copy.deepcopy(obj)

    def _remove(self, key: tuple[str, str, str]) -> None:
        obj = self.objects[key]
        if obj["metadata"].get("finalizers"):
            obj["metadata"].setdefault("deletionTimestamp", STAMP)
            obj["metadata"]["resourceVersion"] = str(next(self._versions))
        else:
            self._gone(key)

    def _gone(self, key: tuple[str, str, str]) -> None:
        """Remove an object, and what nobody else owns."""
        uid = self.objects.pop(key)["metadata"]["uid"]
        for other, obj in list(self.objects.items()):
            owners = {owner.get("uid") for owner in obj["metadata"].get("ownerReferences") or ()}
            if uid not in owners or other not in self.objects:
                continue
            if owners == {uid} or not owners & {one["metadata"]["uid"] for one in self.objects.values()}:
                self._remove(other)


def _selected(obj: Json, labels: str) -> bool:
    held = obj["metadata"].get("labels") or {}
    return all(held.get(key) == value for key, _, value in (one.partition("=") for one in labels.split(",") if one))


def _merged(before: Any, change: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(change, Mapping):
        return change
    held = dict(before) if isinstance(before, Mapping) else {}
    for key, value in change.items():
        if value is None:
            held.pop(key, None)
        else:
            held[key] = _merged(held.get(key), value)
    return held
