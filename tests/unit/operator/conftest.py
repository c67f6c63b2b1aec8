"""What the tests of the operator's parts share."""

from collections.abc import Callable
from typing import Any

import pytest
from harness.fake_kube import FakeKube

Json = dict[str, Any]


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
