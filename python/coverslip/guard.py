"""Limits that the system puts on a process which works on slides of strangers.

The caps of `coverslip.limits` bound what a slide may ask for. These bound what a mistake in them
would cost: one slide fails, or at worst one process, and not the machine.
"""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from coverslip.errors import LimitError

try:
    import resource
except ImportError:  # Windows has none; there a worker runs without
    resource = None  # type: ignore[assignment]


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


@contextmanager
def limited(*, cpu_seconds: float) -> Iterator[None]:
    """Raise if the block takes more than so much time of a core, or more memory than there is.

    The time is that of all threads of the process. It is noticed by the core within a tenth of a
    second, and by other compiled code when it returns: whoever runs workers should end one that
    is silent for much longer. Only the main thread can notice; elsewhere the time is not limited.

    Raises
    ------
    LimitError
        With the name of the limit.
    """
    try:
        if resource is None or threading.current_thread() is not threading.main_thread():
            yield
        else:
            with _cpu_limit(cpu_seconds):
                yield
    except MemoryError:
        failed = LimitError("the slide needs more memory than the limit memory_bytes leaves")
    else:
        return
    raise failed


@contextmanager
def _cpu_limit(cpu_seconds: float) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise LimitError(f"the slide takes longer than the limit cpu_seconds = {cpu_seconds:g}")

    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # The system counts whole seconds.
    until = math.ceil(usage.ru_utime + usage.ru_stime + cpu_seconds)
    for other in (soft, hard):
        until = until if other == resource.RLIM_INFINITY else min(until, other)
    before = signal.signal(signal.SIGXCPU, stop)
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
        signal.signal(signal.SIGXCPU, before)
