"""A thin asynchronous client of the Kubernetes API: JSON in, JSON out.

The kubernetes package handles kubeconfig, in-cluster tokens, TLS and proxies. Its typed models are not used, because
they cost several times the CPU of the JSON that they wrap. Calls run on a small thread pool of their own, so that slow
calls to OpenStack never delay them. The client retries calls that are safe to repeat a few times with jittered backoff.
Then it raises ``KubeError``.
"""

import asyncio
import collections
import json
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal
from urllib.parse import urlencode

import urllib3
import urllib3.exceptions
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

from kiln import metrics
from kiln.api.kinds import Resource
from kiln.kube.errors import AlreadyExists, Conflict, Gone, Invalid, KubeError, NotFound, Unreachable, error_of

Json = dict[str, Any]
Objects = list[Json]
Patch = Literal["merge", "json", "apply"]

THREADS: Final = 16
PAGE: Final = 500
"""Objects in one page of a list: many, to need few calls; few, to keep an answer in memory."""

WATCHED: Final = 300
"""Seconds after which the server ends a watch, and the client opens a new one."""

_SILENT: Final = 150.0
"""Seconds without any event after which a watch counts as broken. The server sends a bookmark each minute."""
_ATTEMPTS: Final = 5
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 5.0
_REMEMBERED: Final = 20_000
_CONTENT_TYPES: Final[Mapping[Patch, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


def configuration(kubeconfig: str = "", context: str = "") -> kubernetes_client.Configuration:
    """The configuration of KUBECONFIG or ~/.kube/config, else of the pod's ServiceAccount.

    ``kubeconfig`` is another file, ``context`` another context than the current one. Raises
    ``kubernetes.config.ConfigException`` if there is no configuration.
    """
    found = kubernetes_client.Configuration()
    in_pod = "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ
    if in_pod and not kubeconfig and not context:
        kubernetes_config.load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=found
        )
    else:
        kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=kubeconfig or None, context=context or None, client_configuration=found, persist_config=False
        )
    return found


class Kube:
    """The client. Any number of coroutines of one event loop can share it.

    Cancelling a coroutine does not stop its call: the call completes, and the answer is lost.
    """

    def __init__(
        self,
        config: kubernetes_client.Configuration | None = None,
        *,
        threads: int = THREADS,
        attempts: int = _ATTEMPTS,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
    ) -> None:
        self.config = config or configuration()
        self.config.connection_pool_maxsize = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kube")
        self._http: urllib3.PoolManager = kubernetes_client.ApiClient(self.config).rest_client.pool_manager
        self._host = self.config.host
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._attempts = attempts
        self._deleted: collections.OrderedDict[tuple[str, str, str], None] = collections.OrderedDict()

    def close(self) -> None:
        """Close threads and connections without waiting for calls in flight."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.clear()

    def deleted(self, plural: str, ns: str, name: str) -> bool:
        """Whether this client deleted the object and has not created it again since.

        The client remembers the last 20,000 deletions.
        """
        return (plural, ns, name) in self._deleted

    async def get(self, res: Resource, ns: str, name: str) -> Json | None:
        """The object, or None if it does not exist."""
        try:
            return await self._call("GET", res, res.path(ns, name))
        except NotFound:
            return None

    async def list(self, res: Resource, ns: str = "", *, labels: str = "", fields: str = "") -> Objects:
        """All objects of a namespace (of all if ``ns`` is empty) that match the selectors, read in pages."""
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in selectors.items() if value}
        try:
            return await self._pages(res, ns, query | {"limit": str(PAGE)})
        except Gone:
            # The continue token expired during the listing. A single call needs no token.
            return await self._pages(res, ns, query)

    async def _pages(self, res: Resource, ns: str, query: Mapping[str, str]) -> Objects:
        objects: Objects = []
        more = ""
        while True:
            answer = await self._call("GET", res, res.path(ns), query={**query, "continue": more} if more else query)
            # Items of a list lack apiVersion and kind. Add them, so that objects equal those of get().
            objects += [
                {"apiVersion": answer["apiVersion"], "kind": res.kind, **item} for item in answer.get("items") or ()
            ]
            more = answer.get("metadata", {}).get("continue", "")
            if not more:
                return objects

    async def create(
        self, res: Resource, ns: str, body: Mapping[str, Any], *, existing_ok: bool = False, dry_run: bool = False
    ) -> Json:
        """Create an object and return it as stored (with ``dry_run``, as it would be stored).

        ``existing_ok``: if the name is taken by an object with the same owners and content, return that object. So a
        create whose answer was lost can be repeated. Raises ``AlreadyExists`` otherwise.
        """
        # With a generated name, a retry after a lost answer would leave a first object behind: send it once.
        named = "name" in body["metadata"]
        self._deleted.pop((res.plural, ns, body["metadata"].get("name", "")), None)
        query = {"fieldManager": "kiln", **({"dryRun": "All"} if dry_run else {})}
        try:
            return await self._call("POST", res, res.path(ns), body=body, repeat=named, query=query)
        except Conflict as error:
            if error.reason != "AlreadyExists":
                raise
            if existing_ok and named:
                existing = await self.get(res, ns, body["metadata"]["name"])
                if existing is not None and _same(existing, body):
                    return existing
            raise AlreadyExists(error.status, error.reason, error.message) from error

    async def patch(
        self,
        res: Resource,
        ns: str,
        name: str,
        body: Any,
        *,
        how: Patch = "merge",
        subresource: str = "",
        manager: str = "kiln",
        force: bool = True,
    ) -> Json:
        """Patch an object and return it. ``apply`` is server-side apply; ``force`` takes over fields of other managers.
        The client repeats a patch whose answer was lost. A patch that must not run twice, or only on the state that was
        read, has to carry a resource version (a ``test`` operation or ``metadata.resourceVersion``). It raises
        ``Conflict`` if the object has another version.
        """
        query = {"fieldManager": manager}
        if how == "apply":
            query["force"] = "true" if force else "false"
            body = _named(res, name, body)
        path = res.path(ns, name, subresource)
        try:
            return await self._call("PATCH", res, path, body=body, query=query, content_type=_CONTENT_TYPES[how])
        except Invalid as error:
            # The API server answers 422 to a failed test too, but then it names no invalid field.
            if how == "json" and not error.causes and any(operation["op"] == "test" for operation in body):
                raise Conflict(error.status, "TestFailed", "a test of the patch failed") from error
            raise

    async def try_apply(self, res: Resource, ns: str, name: str, body: Mapping[str, Any], *, manager: str) -> Json:
        """The object as it would be after a server-side apply. Nothing is stored. Raises the errors of the apply."""
        query = {"fieldManager": manager, "force": "true", "dryRun": "All"}
        content_type = _CONTENT_TYPES["apply"]
        path = res.path(ns, name)
        return await self._call(
            "PATCH", res, path, body=_named(res, name, body), query=query, content_type=content_type
        )

    async def delete(self, res: Resource, ns: str, name: str, *, uid: str = "", version: str = "") -> None:
        """Delete an object, if it exists. With ``uid`` or ``version``, delete only that object or state.

        Raises ``Conflict`` if another object has the name, or the object another version.
        """
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        preconditions = {"uid": uid, "resourceVersion": version}
        if uid or version:
            body["preconditions"] = {field: value for field, value in preconditions.items() if value}
        self.expect_deletions(res, ns, [name])
        try:
            await self._call("DELETE", res, res.path(ns, name), body=body)
        except NotFound:
            return

    async def delete_all(self, res: Resource, ns: str, labels: str, names: Iterable[str]) -> None:
        """Delete all objects of a namespace that match the label selector, in one call.

        ``names`` are the names of objects that are known to match.
        """
        self.expect_deletions(res, ns, names)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        await self._call("DELETE", res, res.path(ns), body=body, query={"labelSelector": labels})

    def expect_deletions(self, res: Resource, ns: str, names: Iterable[str]) -> None:
        """Note deletions before they happen, because the watch may report them before the call returns."""
        self._deleted.update(dict.fromkeys((res.plural, ns, name) for name in names))
        while len(self._deleted) > _REMEMBERED:
            self._deleted.popitem(last=False)

    async def _call(
        self,
        method: str,
        res: Resource,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        repeat: bool = True,
    ) -> Json:
        loop = asyncio.get_running_loop()
        url = path + ("?" + urlencode(query) if query else "")
        for attempt in range(self._attempts):
            try:
                return await loop.run_in_executor(self._pool, self._send, method, res, url, body, content_type)
            except KubeError as error:
                last = attempt + 1 == self._attempts
                # The server did not process a 429. After the other errors, it may have.
                if last or not (error.status == 429 or (repeat and (error.status == 0 or error.status >= 500))):
                    raise
                delay = min(_FIRST_DELAY * 4**attempt, _LONGEST_DELAY)
                await asyncio.sleep(max(error.retry_after, delay * random.uniform(0.5, 1.0)))  # noqa: S311
        raise AssertionError("a client makes at least one attempt")

    def watch(
        self, res: Resource, ns: str, version: str = "", *, labels: str = "", fields: str = ""
    ) -> Iterator[bytes]:
        """Yield the lines of a watch, one event each, for some minutes. It blocks, so call it in a thread.

        The selectors are those of :meth:`list`. The first line is empty and means that the watch is open. The watch
        continues from a resource version; without one it starts with all existing objects. Raises ``Gone`` if the
        version is too old, and other ``KubeError``.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCHED)}
        chosen = {"resourceVersion": version, "labelSelector": labels, "fieldSelector": fields}
        url = res.path(ns) + "?" + urlencode(query | {name: value for name, value in chosen.items() if value})
        silent = urllib3.Timeout(connect=self._timeout.connect_timeout, read=_SILENT)
        answer = None
        try:
            answer = self._http.request(
                "GET", self._host + url, headers=self._headers(), timeout=silent, retries=False, preload_content=False
            )
            if answer.status >= 300:
                raise error_of(answer.status, answer.read(), "")
            yield b""
            yield from answer
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(0, type(error).__name__, str(error)) from error
        finally:
            if answer is not None:
                answer.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "kiln"}
        # Read them for each call, because the configuration renews short-lived tokens.
        settings: Mapping[str, Any] = self.config.auth_settings()
        for setting in settings.values():
            headers[setting["key"]] = setting["value"]
        return headers

    def _send(self, method: str, res: Resource, url: str, body: Any, content_type: str) -> Json:
        headers = self._headers()
        payload = None
        if body is not None:
            headers["Content-Type"] = content_type
            payload = json.dumps(body, separators=(",", ":")).encode()
        try:
            answer = self._http.request(
                method,
                self._host + url,
                body=payload,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            metrics.kube_call(method, res.plural, 0)
            raise Unreachable(0, type(error).__name__, str(error)) from error
        metrics.kube_call(method, res.plural, answer.status)
        if answer.status < 300:
            result: Json = json.loads(answer.data)
            return result
        raise error_of(answer.status, answer.data, answer.headers.get("Retry-After", ""))


def _named(res: Resource, name: str, body: Mapping[str, Any]) -> Json:
    """The body of an apply, with what the API server wants in it besides the fields to apply."""
    metadata = {**body.get("metadata", {}), "name": name}
    return {"apiVersion": res.api_version, "kind": res.kind, **body, "metadata": metadata}


def _same(existing: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether an object has the owners and all fields of a create's body. It may have more fields (defaults)."""
    if existing["metadata"].get("deletionTimestamp"):
        return False
    owners = [
        {reference["uid"] for reference in obj["metadata"].get("ownerReferences") or ()} for obj in (existing, body)
    ]
    content = {name: value for name, value in body.items() if name not in {"apiVersion", "kind", "metadata", "status"}}
    return owners[0] == owners[1] and _contains(existing, content)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            name in whole and _contains(whole[name], value) for name, value in part.items()
        )
    return bool(whole == part)
