"""How a run ends before its time: why, and by which signals."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from coverslip.errors import CoverslipError


class StoppedError(CoverslipError, RuntimeError):
    """The run ended before all slides had their turn; running it again goes on."""


class Interrupted(KeyboardInterrupt):
    """Signals ended the run; what was in work is finished or rolled back.

    Parameters
    ----------
    number
        Of the last signal.
    left
        How many slides had no outcome.
    """

    def __init__(self, number: int, left: int) -> None:
        super().__init__(f"stopped; {left} slides wait, and nothing was left half-written")
        self.number = number


@contextmanager
def taking_signals(taken: list[int]) -> Iterator[None]:
    """Note the numbers of signals that ask for an end, and do nothing else, while the block runs.

    Only the main thread gets signals; and one whose caller lets SIGHUP be ignored (nohup) goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def take(number: int, _: FrameType | None) -> None:
        taken.append(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, take)
    try:
        yield
    finally:
        with suppress(ValueError):  # a caller's generator may end in another thread
            for number, handler in before.items():
                signal.signal(number, handler)
