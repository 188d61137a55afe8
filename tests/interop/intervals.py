"""Restart intervals of a JPEG, found by a plain search for markers."""

import re
from dataclasses import dataclass

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_FRAME, _SCAN, _INTERVAL = range(0xC0, 0xC3), 0xDA, 0xDD


@dataclass(frozen=True)
class Intervals:
    """A JPEG taken apart: what its scan says between its restart markers."""

    pieces: list[bytes]
    across: int
    """How many of them make a row of MCUs."""
    width: int
    """Of one in pixels."""
    length: int


def take_apart(stream: bytes) -> Intervals:
    """Return the intervals of a baseline JPEG whose rows of MCUs are whole intervals."""
    at, columns, mcu, count = 2, 0, (8, 8), 0
    while True:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4])
        body = stream[at + 4 : at + 2 + length]
        at += 2 + length
        if marker in _FRAME:
            columns = int.from_bytes(body[3:5])
            factors = [divmod(body[at_factor], 16) for at_factor in range(7, len(body), 3)]
            if len(factors) > 1:
                mcu = tuple(8 * max(factor[axis] for factor in factors) for axis in (0, 1))
        elif marker == _INTERVAL:
            count = int.from_bytes(body)
        elif marker == _SCAN:
            break
    across, rest = divmod(-(-columns // mcu[0]), count)
    assert rest == 0
    pieces = _RESTART.split(stream[at : stream.rindex(b"\xff\xd9")])
    return Intervals(pieces, across, count * mcu[0], mcu[1])


def part_of(whole: Intervals, frame: Intervals, x: int, y: int) -> list[tuple[bytes, bytes]]:
    """Return pairs that should be equal: an interval of a frame, and that of the whole there.

    ``x`` and ``y`` are the frame's first pixel. Beyond the edges of the whole a frame has others.
    """
    assert (frame.width, frame.length) == (whole.width, whole.length)
    left, top = x // whole.width, y // whole.length
    down = len(whole.pieces) // whole.across
    return [
        (piece, whole.pieces[(top + row) * whole.across + left + column])
        for row, column, piece in (
            (*divmod(number, frame.across), piece) for number, piece in enumerate(frame.pieces)
        )
        if top + row < down and left + column < whole.across
    ]
