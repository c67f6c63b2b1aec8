"""The Kubernetes client, against a server that answers as told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client as kubernetes_client

from kiln.api.kinds import CONFIG_MAPS, STACK_RESOURCES, STACKS
from kiln.kube.client import Kube
from kiln.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NamespaceTerminating,
    Unreachable,
)


class Server:
    """Answers with what is in line: (status, JSON) or "reset"; notes what it was asked."""

    def __init__(self):
        self.line = []
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                outer.asked.append((self.command, url.path, query, body, self.headers.get("Content-Type")))
                told = outer.line.pop(0) if outer.line else (200, {})
                if told == "reset":
                    self.close_connection = True
                    return
                status, content, *headers = told
                payload = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

        for method in ("GET", "POST", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setattr("kiln.kube.client._FIRST_DELAY", 0.001)
    made = Kube(kubernetes_client.Configuration(host=server.url), threads=2)
    yield made
    made.close()


def refusal(status, reason, causes=()):
    return (status, {"reason": reason, "message": f"because {reason}", "details": {"causes": list(causes)}})


BODY = {"metadata": {"name": "a", "ownerReferences": [{"uid": "1"}]}, "spec": {"x": 1}}


async def test_what_is_not_there_is_none(client, server):
    server.line = [refusal(404, "NotFound")]
    assert await client.get(STACKS, "ns", "a") is None
    assert server.asked[0][:2] == ("GET", "/apis/kiln.dev/v1alpha1/namespaces/ns/stacks/a")


async def test_lists_come_in_pages_and_their_objects_are_whole(client, server):
    server.line = [
        (200, {"apiVersion": "v1", "metadata": {"continue": "c"}, "items": [{"metadata": {"name": "a"}}]}),
        (200, {"apiVersion": "v1", "metadata": {}, "items": [{"metadata": {"name": "b"}}]}),
    ]
    found = await client.list(CONFIG_MAPS, "ns", labels="a=b")
    assert [one["metadata"]["name"] for one in found] == ["a", "b"]
    assert {(one["apiVersion"], one["kind"]) for one in found} == {("v1", "ConfigMap")}
    assert [asked[2].get("continue") for asked in server.asked] == [None, "c"]
    assert server.asked[1][2]["labelSelector"] == "a=b"


async def test_a_listing_that_grew_too_old_is_begun_anew_in_one_piece(client, server):
    page = {"apiVersion": "v1", "metadata": {"continue": "c"}, "items": [{"metadata": {"name": "a"}}]}
    server.line = [(200, page), refusal(410, "Expired"), (200, {**page, "metadata": {}})]
    assert len(await client.list(CONFIG_MAPS)) == 1
    assert "limit" not in server.asked[2][2]


@pytest.mark.parametrize("trouble", ["reset", (503, {}), (500, {}), (429, {}, ("Retry-After", "0"))])
async def test_trouble_that_passes_is_not_noticed(client, server, trouble):
    server.line = [trouble, trouble, (200, {"metadata": {"name": "a"}})]
    assert (await client.get(STACKS, "ns", "a"))["metadata"]["name"] == "a"


async def test_trouble_that_stays_is_told_in_the_end(client, server):
    server.line = ["reset"] * 100
    with pytest.raises(Unreachable):
        await client.get(STACKS, "ns", "a")
    assert len(server.asked) == 5


async def test_an_answer_that_is_no_json_is_told_too(client, server):
    server.line = [(403, "<html>")]
    with pytest.raises(Forbidden):
        await client.get(STACKS, "ns", "a")


async def test_a_create_whose_answer_was_lost_finds_what_it_made(client, server):
    stored = {**BODY, "spec": {"x": 1, "default": True}}
    server.line = ["reset", refusal(409, "AlreadyExists"), (200, stored)]
    assert await client.create(STACK_RESOURCES, "ns", BODY, existing_ok=True) == stored


@pytest.mark.parametrize("other", [
    {"spec": {"x": 2}}, {"spec": {}}, {"metadata": {"name": "a", "ownerReferences": [{"uid": "2"}]}},
    {"metadata": {"name": "a"}},
    {"metadata": {**BODY["metadata"], "deletionTimestamp": "x"}},
])  # fmt: skip
async def test_an_existing_object_that_differs_is_not_taken_for_it(client, server, other):
    server.line = [refusal(409, "AlreadyExists"), (200, {**BODY, **other})]
    with pytest.raises(AlreadyExists):
        await client.create(STACK_RESOURCES, "ns", BODY, existing_ok=True)


async def test_a_create_without_a_name_of_our_own_is_never_sent_twice(client, server):
    server.line = ["reset"]
    with pytest.raises(Unreachable):
        await client.create(STACK_RESOURCES, "ns", {"metadata": {"generateName": "a"}})
    assert len(server.asked) == 1


async def test_server_side_apply_says_what_it_applies(client, server):
    await client.patch(STACKS, "ns", "a", {"status": {}}, how="apply", subresource="status", manager="kiln-status")
    method, path, query, body, kind = server.asked[0]
    assert (method, path) == ("PATCH", "/apis/kiln.dev/v1alpha1/namespaces/ns/stacks/a/status")
    assert query == {"fieldManager": "kiln-status", "force": "true"}
    assert body == {
        "apiVersion": "kiln.dev/v1alpha1",
        "kind": "Stack",
        "metadata": {"name": "a"},
        "status": {},
    }
    assert kind == "application/apply-patch+yaml"


async def test_a_core_object_s_version_has_no_group(client, server):
    await client.patch(CONFIG_MAPS, "ns", "a", {"data": {}}, how="apply")
    assert server.asked[0][3]["apiVersion"] == "v1"


async def test_a_failed_test_of_a_json_patch_is_a_conflict_and_a_wrong_field_is_not(client, server):
    patch = [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}]
    server.line = [refusal(422, "Invalid")]
    with pytest.raises(Conflict):
        await client.patch(STACKS, "ns", "a", patch, how="json")
    server.line = [refusal(422, "Invalid", [{"field": "spec.x"}])]
    with pytest.raises(Invalid) as caught:
        await client.patch(STACKS, "ns", "a", patch, how="json")
    assert caught.value.causes == ("spec.x",)


async def test_deleting_what_is_gone_is_fine(client, server):
    server.line = [refusal(404, "NotFound")]
    await client.delete(STACKS, "ns", "a", uid="1", version="2")
    assert server.asked[0][3]["preconditions"] == {"uid": "1", "resourceVersion": "2"}


async def test_deleting_another_object_of_that_name_is_a_conflict(client, server):
    server.line = [refusal(409, "Conflict")]
    with pytest.raises(Conflict):
        await client.delete(STACKS, "ns", "a", uid="1")


async def test_it_knows_what_it_deleted_until_it_makes_it_anew(client, server):
    assert not client.deleted("stackresources", "ns", "a")
    await client.delete(STACK_RESOURCES, "ns", "a")
    assert client.deleted("stackresources", "ns", "a")
    await client.create(STACK_RESOURCES, "ns", BODY)
    assert not client.deleted("stackresources", "ns", "a")


async def test_names_cannot_break_out_of_their_place(client, server):
    await client.get(STACKS, "ns", "../../secrets/x")
    assert server.asked[0][1].endswith("/stacks/..%2F..%2Fsecrets%2Fx")


def test_an_error_says_status_reason_and_message():
    assert str(KubeError(403, "Forbidden", "no")) == "403 Forbidden: no"


def test_a_watch_gives_its_lines_after_an_empty_one_that_says_that_it_is_open(server, client):
    server.line = [(200, b'{"type":"ADDED"}\n{"type":"DELETED"}\n')]
    lines = list(client.watch(STACK_RESOURCES, "ns", "7"))
    assert [line.strip() for line in lines] == [b"", b'{"type":"ADDED"}', b'{"type":"DELETED"}']
    ((method, path, query, _, _),) = server.asked
    assert (method, path) == ("GET", STACK_RESOURCES.path("ns"))
    assert query["resourceVersion"] == "7"
    assert query["watch"] == query["allowWatchBookmarks"] == "true"


def test_a_watch_that_is_refused_or_not_answered_says_why(server, client):
    server.line = [(410, {"reason": "Expired", "message": "too old"}), "reset"]
    with pytest.raises(Gone, match="too old"):
        list(client.watch(STACK_RESOURCES, ""))
    with pytest.raises(Unreachable):
        list(client.watch(STACK_RESOURCES, ""))


async def test_a_namespace_that_is_being_deleted_is_told_from_a_missing_right(client, server):
    cause = {"reason": "NamespaceTerminating", "message": "being terminated", "field": "metadata.namespace"}
    server.line = [refusal(403, "Forbidden", [cause]), refusal(403, "Forbidden")]
    with pytest.raises(NamespaceTerminating):
        await client.create(STACKS, "ns", BODY)
    with pytest.raises(Forbidden) as refused:
        await client.create(STACKS, "ns", BODY)
    assert not isinstance(refused.value, NamespaceTerminating)
