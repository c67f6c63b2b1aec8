"""Commands that look into the cloud, with the Stack's credentials if their user may read that Secret."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from hot_translator import TranslationError
from hot_translator.budget import limited
from kiln.api.kinds import Resource
from kiln.clouds.address_guard import AddressGuard
from kiln.clouds.connections import CloudConnections
from kiln.clouds.credentials import CredentialsError
from kiln.kube.client import Json, Kube
from kiln.kube.errors import KubeError
from kiln.kube.event_recorder import EventRecorder
from kiln.kubectl.session import CommandError
from kiln.stack.inputs import InputsError
from kiln.stack.shared import SharedState
from kiln.stack.validation import format_problems
from reconcilers.errors import CloudError


class Overlay(Kube):
    """A cluster in which some objects are other than they are stored. By kind, namespace and name."""

    def __init__(self, kube: Kube, objects: Mapping[tuple[str, str, str], Json]) -> None:
        super().__init__(kube.config, threads=4, attempts=3)
        self._objects = objects

    @override
    async def get(self, res: Resource, ns: str, name: str) -> Json | None:
        return self._objects.get((res.kind, ns, name)) or await super().get(res, ns, name)


@contextmanager
def clouds(kube: Kube, *, failure: int = 1) -> Iterator[SharedState]:
    """Access to clouds. Errors of inputs, credentials and clouds become a CommandError with this exit code."""
    connections = CloudConnections(AddressGuard())
    shared = SharedState(kube, connections, EventRecorder(kube, redact=str, identity="kubectl-stack"))
    try:
        with limited():
            yield shared
    except TranslationError as error:
        raise CommandError(format_problems(error), failure) from error
    except (InputsError, CredentialsError) as error:
        raise CommandError(f"{error.path}: {error.message}", failure) from error
    except (CloudError, KubeError) as error:
        raise CommandError(str(error), failure) from error
    finally:
        shared.close()
        connections.close()


def overlaid(documents: list[Mapping[str, Any]], namespace: str) -> dict[tuple[str, str, str], Json]:
    """ConfigMaps and Secrets of a manifest as the API server would store them, for :class:`Overlay`."""
    found: dict[tuple[str, str, str], Json] = {}
    for one in documents:
        kind, metadata = one.get("kind"), one.get("metadata") or {}
        if kind in {"ConfigMap", "Secret"} and metadata.get("name"):
            obj = {**one, "metadata": {"namespace": namespace, **metadata}}
            if kind == "Secret" and one.get("stringData"):
                texts = {key: _encoded(text) for key, text in one["stringData"].items()}
                obj["data"] = {**(one.get("data") or {}), **texts}
            found[kind, obj["metadata"]["namespace"], metadata["name"]] = obj
    return found


def _encoded(text: Any) -> str:
    return base64.b64encode(str(text).encode()).decode()
