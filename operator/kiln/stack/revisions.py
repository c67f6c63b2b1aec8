"""StackRevisions.

What a Stack asked for, each time that it asked for something else. History, and where a rollback goes.

Hidden parameter values and files out of Secrets are not in a revision but in a Secret that it owns, so that going back
needs nothing that may have changed.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS, STACK_REVISIONS
from kiln.kube.client import Kube
from kiln.stack.inputs import Inputs
from reconcilers.digests import Digester


@dataclass(frozen=True, slots=True)
class Revision:
    """One StackRevision, read."""

    name: str
    number: int
    digest: str
    deployed: bool
    obj: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revisions of one Stack."""

    kube: Kube
    stack: Mapping[str, Any]

    @property
    def _namespace(self) -> str:
        return str(self.stack["metadata"]["namespace"])

    @property
    def _name(self) -> str:
        return str(self.stack["metadata"]["name"])

    async def load(self) -> list[Revision]:
        """All revisions, oldest first."""
        objects = await self.kube.list(STACK_REVISIONS, self._namespace, labels=f"{v1alpha1.LABEL_STACK}={self._name}")
        uid = self.stack["metadata"]["uid"]
        ours = (
            obj for obj in objects if any(o.get("uid") == uid for o in obj["metadata"].get("ownerReferences") or ())
        )
        return sorted((_revision(obj) for obj in ours), key=lambda revision: revision.number)

    async def record(
        self, known: Sequence[Revision], inputs: Inputs, hidden: frozenset[str], digester: Digester
    ) -> Revision:
        """The revision of these inputs: the newest known one if it is the same, else a new object.

        ``hidden`` are the names of parameters whose values stay out of it; so do files that came from Secrets.
        """
        digest = digester.value(
            [_text(inputs.template), [_text(one) for one in inputs.environments], inputs.files, inputs.parameters]
        )
        if known and known[-1].digest == digest:
            return known[-1]
        number = 1 + max((revision.number for revision in known), default=0)
        secret_values = {name: value for name, value in inputs.parameters.items() if name in hidden}
        secret_files = {name: text for name, text in inputs.files.items() if name in inputs.hidden_files}
        secret_data = {
            key: base64.b64encode(json.dumps(values, sort_keys=True).encode()).decode()
            for key, values in (("parameters", secret_values), ("files", secret_files))
            if values
        }
        name = f"{self._name[:50].rstrip('-.')}-{number}-{digest[:8]}"
        spec: dict[str, Any] = {
            "stackName": self._name,
            "number": number,
            "digest": digest,
            "templateBody": _text(inputs.template),
            "environments": [_text(environment) for environment in inputs.environments],
            "files": {name: text for name, text in inputs.files.items() if name not in secret_files},
            "parameters": {key: value for key, value in inputs.parameters.items() if key not in hidden},
            "hiddenParameters": sorted(secret_values),
            **({"hiddenFiles": sorted(secret_files)} if secret_files else {}),
            **({"hiddenParametersSecret": name} if secret_data else {}),
        }
        metadata = {
            "name": name,
            "labels": {v1alpha1.LABEL_STACK: self._name},
            "ownerReferences": [v1alpha1.owner_reference(self.stack)],
        }
        body = {"apiVersion": v1alpha1.API_VERSION, "kind": "StackRevision", "metadata": metadata, "spec": spec}
        created = await self.kube.create(STACK_REVISIONS, self._namespace, body, existing_ok=True)
        if secret_data:
            owner = {
                "apiVersion": v1alpha1.API_VERSION,
                "kind": "StackRevision",
                "name": name,
                "uid": created["metadata"]["uid"],
                "controller": True,
            }
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {**metadata, "ownerReferences": [owner]},
                "data": secret_data,
            }
            await self.kube.create(SECRETS, self._namespace, secret, existing_ok=True)
        return _revision(created)

    async def inputs(self, revision: Revision) -> Inputs:
        """What the revision asked for, hidden values included."""
        spec = revision.obj["spec"]
        parameters = dict(spec.get("parameters") or {})
        files = dict(spec.get("files") or {})
        name = spec.get("hiddenParametersSecret")
        secret = await self.kube.get(SECRETS, self._namespace, name) if name else None
        for key, values in (("parameters", parameters), ("files", files)):
            if secret is not None and key in secret["data"]:
                values.update(json.loads(base64.b64decode(secret["data"][key])))
        return Inputs(
            template=spec["templateBody"],
            environments=tuple(spec.get("environments") or ()),
            files=files,
            parameters=parameters,
            hidden=frozenset(spec.get("hiddenParameters") or ()) & parameters.keys(),
            hidden_files=frozenset(spec.get("hiddenFiles") or ()) & files.keys(),
            references=frozenset(),
        )

    async def mark_deployed(self, revision: Revision, now: str) -> None:
        """The cloud is as this revision asks."""
        if not revision.deployed:
            status = {"status": {"deployed": True, "deployedAt": now}}
            await self.kube.patch(STACK_REVISIONS, self._namespace, revision.name, status, subresource="status")

    async def prune(self, known: Sequence[Revision], keep: frozenset[str], limit: int) -> None:
        """Delete the oldest revisions beyond ``limit``, save those to keep."""
        rest = [revision for revision in known if revision.name not in keep]
        for revision in rest[: max(0, len(rest) - limit)]:
            await self.kube.delete(STACK_REVISIONS, self._namespace, revision.name)


def _text(source: Any) -> str:
    return source if isinstance(source, str) else json.dumps(source, sort_keys=False)


def _revision(obj: Mapping[str, Any]) -> Revision:
    spec = obj["spec"]
    deployed = bool((obj.get("status") or {}).get("deployed"))
    return Revision(obj["metadata"]["name"], int(spec["number"]), spec["digest"], deployed, obj)
