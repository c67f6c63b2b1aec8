"""The processes: a server that has yaql loaded, and the workers that it forks.

``python -m hot_translator.sandbox.worker FD`` is the server. On the socket FD it is asked to fork a worker, which then
serves the socket that came with the request, or to end one. When its socket closes, because whoever started it has
ended in whatever way, it kills its workers and ends.

A worker limits itself before it reads anything: memory by RLIMIT_AS, no files, no core dump. Its CPU time is limited
for each request by a timer of the kernel, whose signal kills it wherever it is.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hot_translator.functions.base import message
from hot_translator.sandbox import wire
from hot_translator.sandbox.wire import ANSWER, END, FORK, MEMORY, READY, REQUEST

NICENESS: Final = 5
"""The operator itself goes first."""
_SHORTEST: Final = 0.001
MAX_MESSAGE: Final = 2_000
"""Characters of a refusal. A longer one is not given at all: a part of it could be a part of a hidden value."""


def main() -> None:
    """Be the server."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from hot_translator.sandbox import yaql_engine  # noqa: PLC0415 - what goes wrong here is said on the socket

        yaql_engine.evaluate("$.data", 0)
    except Exception:  # noqa: BLE001
        control.sendall(traceback.format_exc().encode())
        return
    with suppress(OSError):
        os.nice(NICENESS)
    gc.collect()
    gc.freeze()  # what the workers share with the server stays shared
    control.sendall(READY)
    children: set[int] = set()
    try:
        while _serve(control, children):
            pass
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def _serve(control: socket.socket, children: set[int]) -> bool:
    """Do what is asked for once. Returns whether there is more to come."""
    asked, handles, _, _ = socket.recv_fds(control, REQUEST.size, 1)
    if len(asked) < REQUEST.size:
        return False
    what, pid = REQUEST.unpack(asked)
    if what == FORK:
        pid = os.fork()
        if not pid:
            control.close()
            _work(handles[0])
        os.close(handles[0])
        children.add(pid)
        control.sendall(ANSWER.pack(pid))
    elif what == END:
        control.sendall(ANSWER.pack(_end(pid, children)))
    return True


def _end(pid: int, children: set[int]) -> int:
    if pid not in children:  # another server's: it ends when its socket closes
        return 0
    os.kill(pid, signal.SIGKILL)  # nobody has waited for it yet, so the id is still its own
    children.discard(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _work(handle: int) -> None:
    """Be a worker. Does not return."""
    status = 1
    try:
        peer = socket.socket(fileno=handle)
        _limit()
        with suppress(EOFError):
            while _answer(peer):
                pass
        status = 0
    finally:
        os._exit(status)


def _limit() -> None:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with suppress(OSError):  # not on every system
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        memory = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _answer(peer: socket.socket) -> bool:
    """Serve one request; the number beside it is its limit of CPU seconds. Returns whether this process can go on."""
    data, limit = wire.receive(peer)
    started = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, max(limit, _SHORTEST))  # zero would be no limit at all
    reply, usable = _reply(data)
    signal.setitimer(signal.ITIMER_PROF, 0)
    wire.send(peer, reply, time.process_time() - started)
    return usable


def _reply(data: bytes) -> tuple[bytes, bool]:
    try:
        return wire.dump({"result": _done(wire.load(data))}), True
    except MemoryError:
        reason, usable = f"the expression needs more than {MEMORY >> 20} MB of memory", False
    except Exception as error:  # noqa: BLE001 - whatever an expression causes is its refusal
        reason, usable = message(error), True
    if len(reason) > MAX_MESSAGE:
        reason = "the expression fails, with a message that is too long to be shown"
    return wire.dump({"refused": reason, "last": not usable}), usable


def _done(request: dict[str, Any]) -> Any:
    from hot_translator.sandbox import yaql_engine  # noqa: PLC0415 - loaded by the server

    if "data" not in request:
        yaql_engine.parse(request["expression"])
        return None
    return yaql_engine.evaluate(request["expression"], request["data"])


if __name__ == "__main__":
    main()
