"""The elements of an ICC profile that hold numbers: of a known type, and of no byte more.

What a type's counts say decides how long an element is (ICC.1 10); what is reserved is zero, and
the stages of a transform follow each other without a gap.
"""

import math
import struct
from typing import Any

_CURVES_OF = {b"mAB ": (3, 0), b"mBA ": (0, 3)}
"""How many A and B curves there are; 0 for as many as outputs."""
_PARAMETERS = (1, 3, 4, 5, 7)
"""Of each function of parametricCurveType."""
_MOST_ENTRIES = 0x7FFF
_SHORTEST_TEXT = 4


class OtherFormError(Exception):
    """An element has not the form of its type; holds none of its bytes."""


def check(signature: bytes, element: bytes) -> None:
    """Check an element by the signature of its tag.

    Raises
    ------
    OtherFormError
        If its type is not one for the tag, or something else than its numbers stands there.
    """
    kind, reserved = element[:4], element[4:8]
    if reserved != bytes(4):
        raise OtherFormError
    if signature.endswith(b"XYZ") or signature in (b"wtpt", b"bkpt"):
        _need(kind == b"XYZ " and len(element) == 20)
        _fractions(element[8:])
    elif signature == b"chad":
        _need(kind == b"sf32" and len(element) == 44)
        _fractions(element[8:])
    elif signature.endswith(b"TRC"):
        _need(_curve_end(element, 0) == len(element))
    else:
        outputs = 1 if signature == b"gamt" else 3
        stages = b"mAB " if signature.startswith(b"A2B") else b"mBA "
        if kind in (b"mft1", b"mft2"):
            _check_table(element, outputs)
        else:
            _need(kind == stages)
            _check_stages(element, outputs)


def _need(is_so: object) -> None:
    if not is_so:
        raise OtherFormError


def _at(element: bytes, form: str, start: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(f">{form}", element, start)
    except struct.error:
        raise OtherFormError from None


def _fractions(numbers: bytes) -> None:
    """Check numbers of s15Fixed16: none of colour is so large that its bytes may be letters."""
    _need(all(first in (0x00, 0xFF) for first in numbers[::4]))


def _no_text(numbers: bytes) -> None:
    """Check that an array of numbers is not a text from end to end."""
    _need(len(numbers) < _SHORTEST_TEXT or any(not 0x20 <= byte < 0x7F for byte in numbers))


def _curve_end(element: bytes, start: int) -> int:
    """Check a curve, and return where it ends."""
    kind, reserved, count = _at(element, "4sII", start)
    _need(reserved == 0)
    if kind == b"curv":
        end = start + 12 + 2 * int(count)
        _need(count <= _MOST_ENTRIES and end <= len(element))
        _no_text(element[start + 12 : end])
        return end
    function, reserved = count >> 16, count & 0xFFFF
    _need(kind == b"para" and function < len(_PARAMETERS) and reserved == 0)
    end = start + 12 + 4 * _PARAMETERS[function]
    _need(end <= len(element))
    _fractions(element[start + 12 : end])
    return end


def _check_table(element: bytes, outputs: int) -> None:
    """Check a lut8Type or lut16Type."""
    inputs, outs, grid, reserved = _at(element, "4B", 8)
    _need((inputs, outs, reserved) == (3, outputs, 0))
    is_wide = element[:4] == b"mft2"
    start, entries_in, entries_out = 48, 256, 256
    if is_wide:
        start, (entries_in, entries_out) = 52, _at(element, "2H", 48)
    values = 3 * entries_in + grid**3 * outputs + entries_out * outputs
    _need(len(element) == start + values * (2 if is_wide else 1))
    _fractions(element[12:48])
    _no_text(element[start:])


def _check_stages(element: bytes, outputs: int) -> None:
    """Check a lutAToBType or lutBToAType."""
    inputs, outs, reserved, *offsets = _at(element, "2BH5I", 8)
    _need((inputs, outs, reserved) == (3, outputs, 0))
    a_curves, b_curves = (count or outputs for count in _CURVES_OF[element[:4]])
    end = 32
    for number, start in enumerate(offsets):
        if start == 0:
            continue
        _need(start == end)
        if number == 1:
            end += 48
            _need(end <= len(element))
            _fractions(element[start:end])
        elif number == 3:
            end = _padded(element, _grid_end(element, start, outputs))
        else:
            for _ in range((b_curves, 0, 3, 0, a_curves)[number]):
                end = _padded(element, _curve_end(element, end))
    _need(end == len(element))


def _grid_end(element: bytes, start: int, outputs: int) -> int:
    """Check the grid of a transform, and return where it ends."""
    *sides, precision = _at(element, "3B13xB", start)
    unused = element[start + 3 : start + 16] + element[start + 17 : start + 20]
    end = start + 20 + int(math.prod(sides) * precision) * outputs
    _need(precision in (1, 2) and not any(unused) and end <= len(element))
    _no_text(element[start + 20 : end])
    return end


def _padded(element: bytes, end: int) -> int:
    """Return where what begins at a multiple of four begins, zeros before it."""
    start = end + -end % 4
    _need(start <= len(element) and not any(element[end:start]))
    return start
