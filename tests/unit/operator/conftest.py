"""A Kubernetes API in memory, as far as the operator's parts need one."""

import base64
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from kiln.api.kinds import CONFIG_MAPS, SECRETS, Resource
from kiln.kube.client import AlreadyExists, Conflict, KubeError, NotFound

Json = dict[str, Any]


class FakeKube:
    """Objects by collection, namespace and name; ``fail`` makes the next calls raise; ``calls`` are what was asked."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.fail: list[KubeError] = []
        self.calls: list[tuple[str, str, str]] = []
        self._versions = itertools.count(1)

    def put(self, res: Resource, name: str, namespace: str = "ns", **content: Any) -> Json:
        obj = {"kind": res.kind, "metadata": {"namespace": namespace, "name": name}, **content}
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[res.plural, namespace, name] = obj
        return obj

    def config_map(self, name: str, namespace: str = "ns", **data: str) -> Json:
        return self.put(CONFIG_MAPS, name, namespace, data=data)

    def secret(self, name: str, namespace: str = "ns", **data: str | bytes) -> Json:
        encoded = {
            key: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
            for key, value in data.items()
        }
        return self.put(SECRETS, name, namespace, data=encoded)

    def _called(self, verb: str, res: Resource, name: str) -> None:
        self.calls.append((verb, res.plural, name))
        if self.fail:
            raise self.fail.pop(0)

    async def get(self, res: Resource, ns: str, name: str) -> Json | None:
        self._called("get", res, name)
        return self.objects.get((res.plural, ns, name))

    async def create(self, res: Resource, ns: str, body: Json, *, existing_ok: bool = False) -> Json:
        name = body["metadata"]["name"]
        self._called("create", res, name)
        if (res.plural, ns, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", name)
        content = {key: value for key, value in body.items() if key not in {"metadata", "kind"}}
        return self.put(res, name, ns, **content)

    async def patch(self, res: Resource, ns: str, name: str, body: Json, **_: Any) -> Json:
        self._called("patch", res, name)
        obj = self.objects.get((res.plural, ns, name))
        if obj is None:
            raise NotFound(404, "NotFound", name)
        if (
            body.get("metadata", {}).get("resourceVersion", obj["metadata"]["resourceVersion"])
            != (obj["metadata"]["resourceVersion"])
        ):
            raise Conflict(409, "Conflict", name)
        merged = {
            key: {**value, **body.get(key, {})} if isinstance(value, dict) else value for key, value in obj.items()
        }
        content = {**body, **merged} | {key: value for key, value in body.items() if not isinstance(value, dict)}
        content.pop("metadata")
        content.pop("kind", None)
        return self.put(res, name, ns, **content)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def stack() -> Callable[..., Json]:
    """Makes a Stack object with this spec."""

    def make(name: str = "web", namespace: str = "ns", **spec: Any) -> Json:
        spec.setdefault("cloudCredentialsRef", {"secretName": "openstack", "cloudName": "demo"})
        return {
            "apiVersion": "kiln.dev/v1alpha1",
            "kind": "Stack",
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1},
            "spec": spec,
        }

    return make
