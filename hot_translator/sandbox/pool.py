"""The workers, seen from the process that needs them: started when one is needed, kept warm, replaced when they end."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

from hot_translator import budget
from hot_translator.sandbox import wire
from hot_translator.sandbox.turns import Turns
from hot_translator.sandbox.wire import ANSWER, END, FORK, MEMORY, READY, REQUEST

WORKERS: Final = 2
"""Workers at one time."""
SHARE: Final = 1
"""Those of one tenant (``budget.tenant``)."""
CPU: Final = 3.0
"""Seconds of CPU for one request."""
WALL: Final = 30.0
"""Seconds that a request may take in all: more than its CPU time only where the machine has too much to do."""
CALLS: Final = 200
"""Requests after which a worker is replaced by a fresh one."""
START: Final = 60.0
"""Seconds that the server may take to load yaql."""


class RefusedError(ValueError):
    """The expression is refused: by its own error, or because it exceeded a limit. The message says which."""


class SandboxError(RuntimeError):
    """No worker can be had, or none came to an answer: not the expression's fault. Later it may work."""


class _EndedError(Exception):
    """A worker ended, or was ended, before it answered. ``late``: the time was up."""

    def __init__(self, *, late: bool = False) -> None:
        super().__init__()
        self.late = late


class _DiedError(Exception):
    """A worker ended, and not because of a limit of its own. ``status`` is its exit status, or minus the signal."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Worker:
    """One worker process, and the socket to it."""

    def __init__(self, pid: int, peer: socket.socket) -> None:
        self.pid = pid
        self.calls = 0
        self._peer = peer

    def request(self, data: bytes, cpu: float) -> tuple[dict[str, Any], float]:
        """The answer, and the seconds of CPU that it took. Raises ``_EndedError``."""
        self.calls += 1
        deadline = time.monotonic() + WALL
        self._peer.settimeout(WALL)
        try:
            wire.send(self._peer, data, cpu)
            answer, used = wire.receive(self._peer, deadline)
        except TimeoutError:
            raise _EndedError(late=True) from None
        except (OSError, EOFError, wire.FrameError):
            raise _EndedError from None
        return wire.load(answer), used

    def close(self) -> None:
        """Let go of the socket."""
        self._peer.close()


class Server:
    """The process that forks the workers. Raises ``SandboxError`` when it cannot be started."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(START)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
                [sys.executable, "-P", "-m", "hot_translator.sandbox.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                # Nothing of the operator's environment, which may hold secrets.
                env={"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},  # noqa: PTH109
                start_new_session=True,
            )
        try:
            said = self._control.recv(1 << 16)
        except OSError as error:
            said = str(error).encode()
        if said != READY:
            self.close()
            msg = f"the process that evaluates expressions did not start: {said.decode(errors='replace')}"
            raise SandboxError(msg)

    def fork(self) -> Worker:
        """A new worker. Raises OSError when the server is gone."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [REQUEST.pack(FORK, 0)], [theirs.fileno()])
            return Worker(self._answer(), ours)

    def end(self, worker: Worker) -> int:
        """End a worker, if it has not ended. Returns how it did: its exit status, or minus the signal's number.

        Raises OSError when the server is gone, and its workers with it.
        """
        worker.close()
        self._control.sendall(REQUEST.pack(END, worker.pid))
        return self._answer()

    def _answer(self) -> int:
        data = self._control.recv(ANSWER.size, socket.MSG_WAITALL)
        if len(data) < ANSWER.size:
            raise ConnectionResetError
        answer: int = ANSWER.unpack(data)[0]
        return answer

    def close(self) -> None:
        """End the server and its workers."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def abandon(self) -> None:
        """Let go of it in a forked process: it belongs to the other one."""
        self._control.close()
        self._process.returncode = 0


class Pool:
    """Evaluates in workers. Safe to use from any thread; callers wait for their turn, each tenant for its own."""

    def __init__(self) -> None:
        self._turns = Turns(WORKERS, SHARE)
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._idle: list[Worker] = []

    def request(self, request: dict[str, Any]) -> Any:
        """What a worker answers. Its CPU time is taken from the budget.

        Raises ``RefusedError``, ``BudgetExceeded``, and ``SandboxError`` when there is no worker.
        """
        data = wire.dump(request)
        with self._turns.slot(budget.tenant.get()):
            try:
                return self._request(data)
            except _DiedError:
                pass  # the next one has a worker of its own that has done nothing else
            try:
                return self._request(data)
            except _DiedError as died:
                raise _twice(died.status) from None

    def _request(self, data: bytes) -> Any:
        limit = budget.remaining().cpu_limit(CPU)
        worker = self._take()
        used = limit
        try:
            answer, used = worker.request(data, limit)
        except _EndedError as ended:
            raise _ended(self._end(worker), limit, late=ended.late) from None
        except BaseException:
            self._end(worker)
            raise
        finally:
            with suppress(budget.BudgetExceeded):  # the next call is refused, this one has its answer
                budget.remaining().spend_cpu(used)
        if worker.calls >= CALLS or answer.get("last"):
            self._end(worker)
        else:
            with self._lock:
                self._idle.append(worker)
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        return answer["result"]

    def _take(self) -> Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._server is not None:
                try:
                    return self._server.fork()
                except OSError:  # it was killed, by the kernel for want of memory perhaps
                    self._server.close()
            self._server = Server()
            try:
                return self._server.fork()
            except OSError as error:
                msg = f"the process that evaluates expressions has ended: {error}"
                raise SandboxError(msg) from None

    def _end(self, worker: Worker) -> int:
        with self._lock:
            if self._server is None:
                worker.close()
                return 0
            try:
                return self._server.end(worker)
            except OSError:
                return -signal.SIGKILL

    def close(self) -> None:
        """End all processes. They are started again when they are needed again."""
        with self._lock:
            server, self._server = self._server, None
            for worker in self._idle:
                worker.close()
            self._idle.clear()
        if server is not None:
            server.close()

    def forget(self) -> None:
        """In a forked process: the workers belong to the other one."""
        if self._server is not None:
            self._server.abandon()
        for worker in self._idle:
            worker.close()
        self.__init__()  # type: ignore[misc]


def _ended(status: int, limit: float, *, late: bool) -> Exception:
    """The error of a worker that ended before it answered."""
    if status == -signal.SIGPROF:
        return RefusedError(f"the expression takes more than {limit:g} s of CPU time")
    if late:
        # Its CPU time was not used up: the machine had too much to do.
        return SandboxError(f"the process that evaluates expressions did not answer within {WALL:g} s")
    return _DiedError(status)


def _twice(status: int) -> Exception:
    """The error of an expression at which two workers died. The kernel kills for want of memory; the rest is its own
    doing.
    """
    if status == -signal.SIGKILL:
        reason = f"was killed twice: the machine may lack the {MEMORY >> 20} MB of memory that it may use"
        return SandboxError(f"the process that evaluates expressions {reason}")
    return RefusedError(f"the process that evaluates the expression ended with status {status}")


_pool: Final = Pool()
atexit.register(_pool.close)
os.register_at_fork(after_in_child=_pool.forget)


def request(request: dict[str, Any]) -> Any:
    """See ``Pool.request``: of the pool of this process."""
    return _pool.request(request)
