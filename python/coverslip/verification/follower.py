"""Checks a file behind its writer."""

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Protocol, Self

from coverslip import _core

_POLL_S = 0.1


class Follows(Protocol):
    """A check that waits for what is not written yet."""

    def __call__(
        self, *, written: _core.Written, on_progress: Callable[[int], object] | None
    ) -> None:
        """Check the file; raise for whatever is wrong."""


class Follower:
    """Runs a check in a thread of its own while the file is written.

    So the bytes are read back while they are in memory, whatever the file's length, and the check
    has the processors that the writer leaves idle. The check ends with the block: if that fails it
    is stopped, and what it raises is of no interest.

    Parameters
    ----------
    check
        Called with what tells how far the file is.
    """

    def __init__(self, check: Follows) -> None:
        self.written = _core.Written()
        self._check = check
        self._done = 0
        self._stop = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="coverslip-check", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stop.set()
            self.written.give_up()
        self._thread.join()

    def wait(self, on_progress: Callable[[int], object] | None) -> None:
        """Wait for the check to end, when the file is whole, and raise what it raised."""
        while self._thread.is_alive():
            self._thread.join(_POLL_S)
            if on_progress is not None:
                on_progress(self._done)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._check(written=self.written, on_progress=self._report)
        except BaseException as error:  # noqa: BLE001 (it is raised by whoever waits)
            self._error = error

    def _report(self, done: int) -> None:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._done = done
