"""Where a file has bytes that none of some ranges covers."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

_AT_A_TIME = 1 << 13
"""Ranges that are sorted at a time: there may be millions, in the order of the file nearly all.
So many stay in the processor's cache, and in memory that is used again."""


def gaps_between(
    ranges: Iterable[npt.NDArray[np.uint64]], byte_count: int
) -> npt.NDArray[np.int64]:
    """Return offset and byte count of what no range covers, shape (n, 2), in order.

    Parameters
    ----------
    ranges
        Arrays of offset and byte count, shape (n, 2). What lies behind the end of the file is
        claimed and not there.
    byte_count
        Of the file.
    """
    runs = [runs_of(piece, byte_count) for array in ranges for piece in _pieces(array)]
    covered = joined(np.concatenate(runs))
    starts, ends = np.append(0, covered[:, 1]), np.append(covered[:, 0], byte_count)
    is_gap = ends > starts
    return np.stack([starts[is_gap], (ends - starts)[is_gap]], axis=1)


def _pieces(array: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.uint64]]:
    return (array[at : at + _AT_A_TIME] for at in range(0, len(array), _AT_A_TIME))


def runs_of(ranges: npt.NDArray[np.uint64], size: int) -> npt.NDArray[np.int64]:
    """Return starts and ends of what ranges cover, in order."""
    starts = np.minimum(ranges[:, 0], np.uint64(size))
    counts = np.minimum(ranges[:, 1], np.uint64(size) - starts)
    return joined(np.stack([starts, starts + counts], axis=1).astype(np.int64))


def joined(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Join runs (start, end) that touch or overlap, and return them in order."""
    if (runs[1:, 0] >= runs[:-1, 1]).all():  # in order and apart, as tiles nearly always are
        reached = runs[:, 1]
    else:
        runs = runs[np.argsort(runs[:, 0], kind="stable")]
        reached = np.maximum.accumulate(runs[:, 1])
    first = np.flatnonzero(np.append(True, runs[1:, 0] > reached[:-1])[: len(runs)])
    last = np.append(first[1:], len(runs))[: len(first)] - 1
    return np.stack([runs[first, 0], reached[last]], axis=1)
