"""Runs one thing beside another, at most as long as that takes."""

from collections.abc import Callable
from contextvars import copy_context
from threading import Event, Thread
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from coverslip import _core
from coverslip.guard import start

_POLL_S = 0.1
_BEGIN_S = 2
"""A thread that has not begun after so long will not: it could not be started."""

T = TypeVar("T")


class Beside(Generic[T]):
    """Runs a function in a thread of its own while a block does something else.

    The function has ended when the block has. If the block fails, the function is asked to stop,
    and what comes of it is of no interest.

    Parameters
    ----------
    work
        Called with an event that is set when it shall stop.
    """

    def __init__(self, work: Callable[[Event], T]) -> None:
        self._work = work
        self._stop = Event()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._began = Event()
        # Not `Thread.join`: a signal that interrupts it makes it take the thread for ended.
        self._ended = Event()
        # What the caller shares with what it calls, it shares with this too.
        within = copy_context()
        self._thread = Thread(
            target=lambda: within.run(self._run), name="coverslip-beside", daemon=True
        )

    def __enter__(self) -> Self:
        try:
            start(self._thread)
        except BaseException:
            # A signal may come while the thread begins, which must not outlive the block then
            # either: Python ends what is left of threads in the middle of compiled code.
            self.stop()
            if self._began.wait(_BEGIN_S):
                self._wait()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.stop()
        try:
            self._wait()
        except BaseException:  # a signal
            self.stop()
            self._wait()
            raise

    def _wait(self) -> None:
        self._ended.wait()
        self._thread.join()

    def stop(self) -> None:
        """Ask the function to stop."""
        self._stop.set()

    def has_ended(self, within_s: float = 0) -> bool:
        """Wait for so long at most, and tell whether the function has ended."""
        return self._ended.wait(within_s)

    def result(self) -> T:
        """Wait for the function, and return what it returned, or raise what it raised."""
        while not self.has_ended(_POLL_S):
            pass  # so that signals are seen to
        if self._error is not None:
            raise self._error
        (value,) = self._result
        return value

    def _run(self) -> None:
        self._began.set()
        # It may hold this, which would keep all that it holds until Python looks for cycles.
        work = self._work
        del self._work
        try:
            self._result.append(work(self._stop))
        except BaseException as error:  # noqa: BLE001 (it is raised by whoever waits)
            self._error = error
        finally:
            del work
            self._ended.set()


class Follows(Protocol):
    """A check that waits for what is not written yet."""

    def __call__(
        self, *, written: _core.Written, on_progress: Callable[[int], object] | None
    ) -> None:
        """Check the file; raise for whatever is wrong."""


class Follower(Beside[None]):
    """Checks a file while it is written.

    So the check has the processors that the writer leaves idle, and finds the bytes in memory if
    it does not fall behind by more than that holds.

    Parameters
    ----------
    check
        Called with what tells how far the file is.
    """

    def __init__(self, check: Follows) -> None:
        self.written = _core.Written()
        self._done = 0
        super().__init__(lambda _: check(written=self.written, on_progress=self._report))

    def stop(self) -> None:
        """Ask the check to stop, and let it go if it waits for the writer."""
        super().stop()
        self.written.give_up()

    def wait(self, on_progress: Callable[[int], object] | None) -> None:
        """Wait for the check to end, when the file is whole, and raise what it raised."""
        while not self.has_ended(_POLL_S):
            if on_progress is not None:
                on_progress(self._done)
        self.result()

    def _report(self, done: int) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._done = done
