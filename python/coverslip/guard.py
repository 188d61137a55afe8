"""Limits that the system puts on a process which works on slides of strangers.

The caps of `coverslip.limits` bound what a slide may ask for. These bound what a mistake in them
would cost: one slide fails, or at worst one process, and not the machine.
"""

import errno
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import ParamSpec, TypeVar

from coverslip.errors import LimitError

try:
    import resource
except ImportError:  # Windows has none; there a worker runs without
    resource = None  # type: ignore[assignment]

_P = ParamSpec("_P")
_T = TypeVar("_T")

GRACE_S = 60.0
"""Time of all cores that a slide has left to end by itself once its limit is reached: the core
notices within a tenth of a second, and what was written has to be removed."""

_LIBRARY_BYTES = 1 << 25
"""More than a library takes that is loaded for a slide."""


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def confine(*, memory_bytes: int | None = None, file_bytes: int | None = None) -> None:
    """Limit this process for good; meant for the first lines of a worker process.

    It writes no core file either way: one would hold the slide and what is derived from it.

    Parameters
    ----------
    memory_bytes
        Address space, with all that is loaded and mapped already. What asks for more fails: in
        Python with an error, in compiled code often with the end of the process.
    file_bytes
        Length that no file may exceed which it writes.
    """
    if resource is None:
        return
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
    }
    for kind, value in wanted.items():
        if value is not None:
            _, hard = resource.getrlimit(kind)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (most, most))


def start(thread: threading.Thread) -> None:
    """Start a thread.

    Raises
    ------
    MemoryError
        If there is no room for one more, which Python tells with an error of no kind.
    """
    try:
        thread.start()
    except RuntimeError:
        raise MemoryError from None


class Threads(ThreadPoolExecutor):
    """Threads that tell what `start` does when there is no room for them."""

    def submit(
        self, function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs
    ) -> Future[_T]:
        """Have a function called in a thread.

        Raises
        ------
        MemoryError
            If none could be started. Give the pool up then.
        """
        try:
            return super().submit(function, *arguments, **named)
        except RuntimeError:
            raise MemoryError from None


@contextmanager
def limited(*, cpu_seconds: float) -> Iterator[None]:
    """Raise if the block takes more than so much time of a core, or more memory than there is.

    The time is that of all threads of the process. It is noticed by the core within a tenth of a
    second, and by other compiled code when it returns. Code that does not return within
    `GRACE_S` more is ended with its process, by the system (signal SIGPROF). Only the main thread
    can notice the time; in another one a slide has the grace too, and then the process ends.

    Raises
    ------
    LimitError
        With the names of the limits.
    """
    try:
        if resource is None:
            yield
        elif threading.current_thread() is not threading.main_thread():
            with _END.within(cpu_seconds + GRACE_S):
                yield
        else:
            with _END.within(cpu_seconds + GRACE_S), _cpu_limit(cpu_seconds):
                yield
    except (MemoryError, OSError, ImportError) as error:
        if not _is_of_memory(error):
            raise
        failed = LimitError(
            "more memory is needed than the machine or the limit memory_bytes leaves"
        )
    else:
        return
    raise failed


def _is_of_memory(error: Exception) -> bool:
    """Tell whether an error is one for want of memory.

    A call of the system that is refused some tells that with its number. A library that finds no
    room is one that cannot be loaded, as one that is not there.
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or not _is_there_room()


def _is_there_room() -> bool:
    try:
        bytearray(_LIBRARY_BYTES)
    except MemoryError:
        return False
    return True


@contextmanager
def _cpu_limit(cpu_seconds: float) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise LimitError(
            f"the slide takes longer than the {cpu_seconds:g} seconds that the limits cpu_seconds "
            f"and cpu_seconds_per_gigabyte leave one of its size"
        )

    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # The system counts whole seconds.
    until = math.ceil(time.process_time() + cpu_seconds)
    for other in (soft, hard):
        until = until if other == resource.RLIM_INFINITY else min(until, other)
    before = signal.signal(signal.SIGXCPU, stop)
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
        signal.signal(signal.SIGXCPU, before)


class _End:
    """A timer of the system that ends this process, whatever code it is in.

    A hard limit of time would do the same but could never be raised again, and a worker has many
    slides. Where threads work on several slides they share the timer: each that begins or ends
    sets it anew, for all that are left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._allowed: list[float] = []
        self._before = (0.0, 0.0)

    @contextmanager
    def within(self, cpu_seconds: float) -> Iterator[None]:
        """End the process if the block takes more time of its cores than that."""
        with self._lock:
            if not self._allowed:
                self._before = signal.getitimer(signal.ITIMER_PROF)
            self._allowed.append(cpu_seconds)
            self._set()
        try:
            yield
        finally:
            with self._lock:
                self._allowed.remove(cpu_seconds)
                self._set()

    def _set(self) -> None:
        """Set the timer to what is left, or to what it was; its signal ends a process."""
        if self._allowed:
            signal.setitimer(signal.ITIMER_PROF, sum(self._allowed))
        else:
            signal.setitimer(signal.ITIMER_PROF, *self._before)


_END = _End()
