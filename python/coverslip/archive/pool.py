"""Processes of this machine, each of which has one slide in hand and shares nothing with another.

A thread for each process hands it a task over a pipe of its own and waits for the answer. So a
process that dies, whenever, loses its own slide only, and none can hold what others wait for.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import Any

from coverslip import limits
from coverslip.errors import CoverslipError

_CODE = "import sys; from coverslip.archive.workers import serve; serve(*map(int, sys.argv[1:]))"
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "1"}
"""For glibc: each short-lived thread of the core would take some arena of many else, and what one
holds free after a slide is neither given back nor of use to the others."""
_LOOK_EVERY_S = 0.5
_TO_LEAVE_S = 5.0
"""How long a process that has nothing to do may take to end."""
_FOR_OTHERS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class LostWorkerError(CoverslipError, RuntimeError):
    """The process ended, or was ended, with a task in hand."""


class _Process:
    """One process and our ends of its pipes, one each way: no command opens a socket."""

    def __init__(self) -> None:
        self.byte_count = 0
        """So much of the slide in hand is done."""
        from_us, self._to_it = Pipe(duplex=False)
        self._from_it, to_us = Pipe(duplex=False)
        with from_us, to_us:
            theirs = from_us.fileno(), to_us.fileno()
            known = os.pathsep.join(filter(None, sys.path))
            self._process = subprocess.Popen(  # noqa: S603 (this interpreter)
                [sys.executable, "-P", "-c", _CODE, *map(str, theirs)],
                env={**_FEW_ARENAS, **os.environ, "PYTHONPATH": known},
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        with suppress(OSError):  # it has died already: who asks it will see
            self._to_it.send((os.getpid(), dict(limits.CHANGED)))

    def ask(self, task: object, is_over: Callable[[], bool]) -> Any:  # noqa: ANN401 (its result)
        """Have a task done and return what comes of it.

        Raises
        ------
        LostWorkerError
            If the process ends, or all is over.
        """
        try:
            self._to_it.send(task)
            while True:
                while not self._from_it.poll(_LOOK_EVERY_S):
                    if is_over():
                        raise LostWorkerError("the process was given up")
                is_result, value = self._from_it.recv()
                if is_result:
                    return value
                self.byte_count = value
        except (EOFError, OSError):
            raise LostWorkerError("the process ended") from None
        finally:
            self.byte_count = 0

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def recall(self) -> None:
        """Tell it to leave the task in hand and to end."""
        self._process.terminate()

    def end(self, *, within_s: float) -> None:
        """Let it end, for nothing more comes; kill it if it does not, or has no time to."""
        self._to_it.close()
        self._from_it.close()
        if within_s:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within_s)
                return
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk
            self._process.wait(_TO_LEAVE_S)

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()


class Pool(Executor):
    """An executor of processes that are started when there is work, and end with this one.

    Parameters
    ----------
    jobs
        How many there are at most.
    """

    def __init__(self, jobs: int) -> None:
        self._threads = ThreadPoolExecutor(jobs, initializer=_leave_signals)
        self._all: list[_Process] = []
        self._idle: list[_Process] = []
        self._is_over = False

    def submit(
        self,
        function: Callable[..., Any],
        /,
        *arguments: Any,  # noqa: ANN401 (of the function)
        **named: Any,  # noqa: ANN401
    ) -> Future[Any]:
        """Have a function called in a process; both it and the arguments are pickled."""
        return self._threads.submit(self._ask, (function, arguments, named))

    def _ask(self, task: object) -> Any:  # noqa: ANN401 (of the function)
        if self._is_over:
            raise LostWorkerError("the process was given up")
        process = self._take()
        try:
            result = process.ask(task, lambda: self._is_over)
        except BaseException:
            process.end(within_s=0)
            self._all.remove(process)
            raise
        self._idle.append(process)
        return result

    def _take(self) -> _Process:
        """Return a process that waits for work, or a new one."""
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                return process
            process.end(within_s=0)
            self._all.remove(process)
        process = _Process()
        self._all.append(process)
        return process

    @property
    def byte_count(self) -> int:
        """Of the slides in hand, what is done."""
        return sum(process.byte_count for process in list(self._all))

    def recall(self) -> None:
        """Have all tasks in hand left; their processes end."""
        for process in list(self._all):
            process.recall()

    def kill(self) -> None:
        """Kill all processes, and wait for none."""
        self._is_over = True
        for process in list(self._all):
            process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 (the executor's own signature)
        """End the processes when what was submitted is done."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        deadline = time.monotonic() + _TO_LEAVE_S
        while self._idle:
            self._idle.pop().end(within_s=max(deadline - time.monotonic(), 0.0))
        self._all.clear()


def _leave_signals() -> None:
    """Leave signals to the main thread.

    Processes inherit that too, so none reaches them before they know what to do.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_OTHERS)
