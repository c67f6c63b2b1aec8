"""Many hostile clouds in a process of their own, so that they do not hold up the one that measures."""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection

from hostile import hostile_cloud as evil
from hostile.hostile_cloud import Mode

DEEP = b'{"networks": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}"


def kinds(inside: str) -> dict[str, dict[str, Mode]]:
    """The modes of each cloud by its name. ``inside`` is the URL of a place where no cloud may be."""
    net: dict[str, Mode] = {
        "bomb": evil.bomb(100),
        "flood": evil.only_lists(evil.flood),
        "deep": evil.fixed(200, DEEP),
        "objects": evil.fixed(200, b'{"networks": [' + b"{}," * 3_000_000 + b"{}]}"),
        "drip-status": evil.drip("status", 0.5),
        "drip-body": evil.drip("body", 0.5),
        "drip-chunks": evil.drip("chunks", 0.5),
        "silence": evil.drip("silence", 0.5),
        "endless-pages": evil.only_lists(evil.endless_pages),
        "same-page": evil.only_lists(evil.same_page),
        "redirect": evil.only_lists(evil.redirect(f"{inside}/net")),
        "echo": evil.only_lists(evil.echo(400)),
        "long-header": evil.fixed(500, {"x": "y"}, X_Openstack_Request_Id="r" * 60_000),
        "escape": evil.fixed(400, {"NeutronError": {"type": "x", "message": "\x1b[2J\nfake=line", "detail": ""}}),
        "garbage": evil.fixed(200, {"networks": {"id": [None, {"x": 1e308}]}, "network": [[]]}),
        "later": evil.fixed(503, {"x": "y"}, Retry_After="99999999"),
    }
    token: dict[str, Mode] = {
        "token-bomb": evil.bomb(100),
        "token-drip": evil.drip("header", 0.5),
        "token-redirect": evil.redirect(f"{inside}/v3/auth/tokens"),
        "token-echo": evil.echo(401),
        "endpoint": evil.catalogue(f"{inside}/api/v1/namespaces"),
    }
    return {name: {"net": mode} for name, mode in net.items()} | {name: {"token": mode} for name, mode in token.items()}


@contextlib.contextmanager
def running(inside: str) -> Iterator[dict[str, str]]:
    """The URLs of the clouds by name, as long as the process runs."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(inside, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.terminate()
        process.join()


def _serve(inside: str, peer: Connection) -> None:
    os.nice(5)
    with contextlib.ExitStack() as stack:
        urls = {}
        for name, modes in kinds(inside).items():
            server = stack.enter_context(evil.running())
            server.modes = modes
            urls[name] = server.url
        peer.send(urls)
        with contextlib.suppress(EOFError):
            peer.recv()
