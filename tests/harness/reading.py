"""Reads of Kubernetes objects without a kubectl process: one costs a third of a second of CPU, and tests read often."""

import json
from functools import cache
from typing import Any

from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

from kiln.api.kinds import KINDS, Resource


@cache
def _api(kubeconfig: str) -> kubernetes_client.ApiClient:
    settings = kubernetes_client.Configuration()
    kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
        config_file=kubeconfig, client_configuration=settings, persist_config=False
    )
    return kubernetes_client.ApiClient(settings)


def find(kind: str) -> Resource | None:
    """The kind of this singular or plural name, if the operator knows it."""
    return next((one for one in KINDS if kind.lower() in {one.plural, one.kind.lower()}), None)


def get(kubeconfig: str, resource: Resource, namespace: str, name: str = "") -> Any:
    """An object as JSON, or all of a kind as a list; None where there is none. Raises RuntimeError."""
    api = _api(kubeconfig)
    headers = {"Accept": "application/json"}
    for setting in api.configuration.auth_settings().values():
        headers[setting["key"]] = setting["value"]
    url = f"{api.configuration.host}{resource.path(namespace, name)}"
    answer = api.rest_client.pool_manager.request("GET", url, headers=headers, timeout=30.0, redirect=False)
    if answer.status == 404 and name:
        return None
    if answer.status != 200:
        raise RuntimeError(f"GET {resource.path(namespace, name)}: {answer.status} {answer.data[:500]!r}")
    found = json.loads(answer.data)
    return found if name else found["items"]
