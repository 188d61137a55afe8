"""Makes frames on all cores, and tells how far it is."""

import time
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np

from coverslip.decoders import Decoders
from coverslip.errors import LimitError
from coverslip.guard import Threads, core_count
from coverslip.limits import LIMITS
from coverslip.model import Level, Uint64Array

_T = TypeVar("_T")
_TELL_EVERY_S = 0.1


def decoders_of_limits() -> Decoders:
    """Return processes that decode, held to the limits."""
    return Decoders(memory_bytes=LIMITS.decoder_memory_bytes, seconds=LIMITS.decoder_seconds)


def sample_bytes(level: Level, rows: int, columns: int) -> int:
    """Return how many bytes the samples of so many pixels take."""
    return rows * columns * level.samples_per_pixel * level.bits_per_sample // 8


def in_flight(level: Level) -> int:
    """Return how many frames may be in work: enough for all cores, if the memory allows."""
    frame = sample_bytes(level, level.tile_length, level.tile_width)
    return max(1, min(2 * core_count(), LIMITS.decoded_bytes // frame))


def spooled(
    frames: Generator[bytes, None, None],
    spool: Path,
    *,
    most: int,
    on_frames: Callable[[int], object] | None,
) -> tuple[Uint64Array, Uint64Array]:
    """Append frames to a file, and return where each lies in it; an empty one is missing.

    Raises
    ------
    LimitError
        If that would make the file longer than ``most``.
    """
    offsets, byte_counts, tell = array("Q"), array("Q"), _Teller(on_frames)
    with closing(frames), spool.open("ab") as file:
        at = file.tell()
        for number, frame in enumerate(frames, start=1):
            offsets.append(at)
            byte_counts.append(len(frame))
            at += file.write(frame)
            if at > most:
                raise LimitError(
                    f"the first {number} frames take more than the {most} bytes that the limits "
                    "output_bytes and output_growth leave"
                )
            tell(number)
    return np.array(offsets, np.uint64), np.array(byte_counts, np.uint64)


class _Teller:
    """Tells how many frames are done, about ten times a second."""

    def __init__(self, on_frames: Callable[[int], object] | None) -> None:
        self._on_frames = on_frames
        self._due = 0.0

    def __call__(self, count: int) -> None:
        """Note that so many are done."""
        if self._on_frames is not None and time.monotonic() >= self._due:
            self._on_frames(count)
            self._due = time.monotonic() + _TELL_EVERY_S


class Cores:
    """Threads on all cores: codecs release the GIL."""

    def __enter__(self) -> "Cores":
        self._pool = Threads(core_count())
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def in_order(self, jobs: Iterable[Callable[[], _T]], most: int) -> Generator[_T, None, None]:
        """Yield what each job returns, in order, with no more than ``most`` of them begun."""
        begun: deque[Future[_T]] = deque()
        try:
            for job in jobs:
                if len(begun) >= most:
                    yield begun.popleft().result()
                begun.append(self._pool.submit(job))
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
