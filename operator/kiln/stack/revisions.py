"""StackRevisions.

What a Stack asked for, each time that it asked for something else. History, and where a rollback goes.

Hidden parameter values, files out of Secrets, and every other text in which a hidden value is found (an environment
that gives one, a template with one as the default) are not in a revision but in a Secret that it owns, so that going
back needs nothing that may have changed.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiln.api import v1alpha1
from kiln.api.kinds import SECRETS, STACK_REVISIONS
from kiln.kube.client import Kube
from kiln.kube.errors import AlreadyExists
from kiln.stack.inputs import Inputs
from kiln.stack.stack_secret import SecretTaken
from reconcilers.digests import Digester

HIDDEN: Final = "# hidden: it is in the Secret of the same name"
"""What is in a revision in the place of a text with a hidden value."""


def _never(_text: str) -> bool:
    """Nothing is hidden."""
    return False


@dataclass(frozen=True, slots=True)
class Revision:
    """One StackRevision, parsed."""

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
        ours = [_revision(obj) for obj in objects if uid in v1alpha1.owner_uids(obj)]
        return sorted(ours, key=lambda revision: revision.number)

    async def record(
        self,
        known: Sequence[Revision],
        inputs: Inputs,
        hidden: frozenset[str],
        digester: Digester,
        holds: Callable[[str], bool] = _never,
    ) -> Revision:
        """The revision of these inputs: the newest known one if it is the same, else a new object.

        ``hidden`` are the names of parameters whose values stay out of it; so do files that came from Secrets, and
        texts of which ``holds`` says that a hidden value is in them.
        """
        digest = digest_of(inputs, digester)
        same = known[-1] if known and known[-1].digest == digest else None
        if same is not None and same.deployed:
            return same
        number = 1 + max((revision.number for revision in known), default=0)
        secret_values = {
            name: value for name, value in inputs.parameters.items() if name in hidden or holds(_text(value))
        }
        secret_files = {name: text for name, text in inputs.files.items() if name in inputs.hidden_files or holds(text)}
        environments = [_text(environment) for environment in inputs.environments]
        secret_environments = {
            str(index): text
            for index, text in enumerate(environments)
            if index in inputs.hidden_environments or holds(text)
        }
        template = _text(inputs.template)
        secret_template = {"body": template} if holds(template) else {}
        secret_data = {
            key: base64.b64encode(json.dumps(values, sort_keys=True).encode()).decode()
            for key, values in (
                ("parameters", secret_values),
                ("files", secret_files),
                ("environments", secret_environments),
                ("template", secret_template),
            )
            if values
        }
        if same is not None:
            await self._keep_hidden(same.obj, secret_data)
            return same
        name = f"{self._name[:50].rstrip('-.')}-{number}-{digest[:8]}"
        spec: dict[str, Any] = {
            "stackName": self._name,
            "number": number,
            "digest": digest,
            "templateBody": HIDDEN if secret_template else template,
            "environments": [
                HIDDEN if str(index) in secret_environments else text for index, text in enumerate(environments)
            ],
            "files": {name: text for name, text in inputs.files.items() if name not in secret_files},
            "parameters": {key: value for key, value in inputs.parameters.items() if key not in secret_values},
            "hiddenParameters": sorted(secret_values),
            **({"hiddenFiles": sorted(secret_files)} if secret_files else {}),
            **({"hiddenEnvironments": sorted(inputs.hidden_environments)} if inputs.hidden_environments else {}),
            **({"hiddenParametersSecret": name} if secret_data else {}),
        }
        metadata = {
            "name": name,
            "labels": {v1alpha1.LABEL_STACK: self._name},
            "ownerReferences": [v1alpha1.owner_reference(self.stack)],
        }
        body = {"apiVersion": v1alpha1.API_VERSION, "kind": "StackRevision", "metadata": metadata, "spec": spec}
        created = await self.kube.create(STACK_REVISIONS, self._namespace, body, existing_ok=True)
        await self._keep_hidden(created, secret_data)
        return _revision(created)

    async def _keep_hidden(self, revision: Mapping[str, Any], data: Mapping[str, str]) -> None:
        """Create the revision's Secret, unless it is there: a process may have ended between the two.

        Raises SecretTaken where its name belongs to something else.
        """
        name = revision["spec"].get("hiddenParametersSecret")
        if not name or not data:
            return
        found = await self.kube.get(SECRETS, self._namespace, name)
        if found is not None:
            if revision["metadata"]["uid"] not in v1alpha1.owner_uids(found):
                raise SecretTaken(name)
            return
        owner = {
            "apiVersion": v1alpha1.API_VERSION,
            "kind": "StackRevision",
            "name": name,
            "uid": revision["metadata"]["uid"],
            "controller": True,
        }
        metadata = {"name": name, "labels": {v1alpha1.LABEL_STACK: self._name}, "ownerReferences": [owner]}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": dict(data)}
        try:
            await self.kube.create(SECRETS, self._namespace, body, existing_ok=True)
        except AlreadyExists:
            raise SecretTaken(name) from None

    async def inputs(self, revision: Revision) -> Inputs:
        """The inputs of the revision, hidden values included."""
        spec = revision.obj["spec"]
        parameters = dict(spec.get("parameters") or {})
        files = dict(spec.get("files") or {})
        environments = list(spec.get("environments") or ())
        hidden = await self._hidden(revision)
        parameters.update(hidden.get("parameters") or {})
        files.update(hidden.get("files") or {})
        for index, text in (hidden.get("environments") or {}).items():
            environments[int(index)] = text
        return Inputs(
            template=(hidden.get("template") or {}).get("body", spec["templateBody"]),
            environments=tuple(environments),
            files=files,
            parameters=parameters,
            hidden=frozenset(spec.get("hiddenParameters") or ()) & parameters.keys(),
            hidden_files=frozenset(spec.get("hiddenFiles") or ()) & files.keys(),
            hidden_environments=frozenset(spec.get("hiddenEnvironments") or ()),
            references=frozenset(),
        )

    async def _hidden(self, revision: Revision) -> dict[str, Any]:
        """What the revision's own Secret holds; nothing where there is none, or one that is not the revision's."""
        name = revision.obj["spec"].get("hiddenParametersSecret")
        secret = await self.kube.get(SECRETS, self._namespace, name) if name == revision.name else None
        if secret is None or revision.obj["metadata"]["uid"] not in v1alpha1.owner_uids(secret):
            return {}
        return {key: json.loads(base64.b64decode(text)) for key, text in (secret.get("data") or {}).items()}

    async def mark_deployed(self, revision: Revision, now: str) -> None:
        """Record that the cloud matches this revision."""
        if not revision.deployed:
            status = {"status": {"deployed": True, "deployedAt": now}}
            await self.kube.patch(STACK_REVISIONS, self._namespace, revision.name, status, subresource="status")

    async def prune(self, known: Sequence[Revision], keep: frozenset[str], limit: int) -> None:
        """Delete the oldest revisions beyond ``limit``, except those to keep."""
        rest = [revision for revision in known if revision.name not in keep]
        for revision in rest[: max(0, len(rest) - limit)]:
            await self.kube.delete(STACK_REVISIONS, self._namespace, revision.name)


def digest_of(inputs: Inputs, digester: Digester) -> str:
    """The keyed digest of all inputs, by which equal revisions are known."""
    return digester.value(
        [_text(inputs.template), [_text(one) for one in inputs.environments], inputs.files, inputs.parameters]
    )


def _text(source: Any) -> str:
    return source if isinstance(source, str) else json.dumps(source, sort_keys=False)


def _revision(obj: Mapping[str, Any]) -> Revision:
    spec = obj["spec"]
    deployed = bool((obj.get("status") or {}).get("deployed"))
    return Revision(obj["metadata"]["name"], int(spec["number"]), spec["digest"], deployed, obj)
