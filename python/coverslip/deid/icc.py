"""Rebuilds ICC profiles: the numbers of the colour transform stay, everything else goes.

A profile names its maker, the scanner and a date, in tags, in the header, and in whatever slack a
writer left. So none is edited: a new one is built from the elements that decide on colour, each
parsed to its last byte and written again (ICC.1:2022; for DICOM, PS3.3 C.11.15.1.1).
"""

import functools
import itertools
import math
import struct
from collections.abc import Callable, Iterable, Iterator

from coverslip.limits import LIMITS

HEADER_LEN = 128

D50 = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
"""The illuminant of the connection space (ICC.1:2022 7.2.16), as s15Fixed16Number."""

MAX_CURVE_ENTRIES = 0x7FFF
"""What Little CMS reads; a longer curve would be written for nobody."""

SHORTEST_TEXT = 4

NOT_STATED = "not stated"
_VERSIONS = {2: 0x02400000, 4: 0x04300000}
_CLASSES = {b"mntr": b"scnr", b"scnr": b"scnr", b"spac": b"spac"}
"""DICOM knows input and colour space profiles only, and every profile of a slide is used as one."""

_MATRIX_TAGS = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
_PARAMETRIC_COUNTS = (1, 3, 4, 5, 7)
"""Parameters of each function type (ICC.1:2022 Table 68)."""


class _UnusableError(Exception):
    """The profile, or one element of it, cannot be read to its last byte."""


def rebuild_profile(profile: bytes, *, description: str = "rebuilt RGB profile") -> bytes | None:
    """Return a profile with the same colour transform and nothing else of the source.

    Kept are the allow-listed elements whose type is known, at the exact length that the type
    implies. Class `mntr` becomes `scnr`, as DICOM demands; the white point of an `mntr` profile
    of version 2 becomes D50, which is what absolute rendering made of it before.

    Parameters
    ----------
    profile
        Bytes of TIFF tag 34675, hostile or not.
    description
        Text of the new profile's ``desc`` element, ASCII.

    Returns
    -------
    bytes or None
        A profile of even length, or ``None`` if the source cannot be used for colour at all:
        malformed, not RGB, not of version 2 or 4, or without a transform to the connection space.
    """
    try:
        major, device_class, connection_space, intent = _read_header(profile)
        elements = dict(_read_elements(profile))
    except _UnusableError:
        return None
    has_matrix = connection_space == b"XYZ " and all(tag in elements for tag in _MATRIX_TAGS)
    if not has_matrix and b"A2B0" not in elements:
        return None
    if b"wtpt" not in elements or (major == 2 and device_class == b"mntr"):
        elements[b"wtpt"] = _xyz(D50)
    elements[b"desc"] = _description(major, description)
    elements[b"cprt"] = _text(major, NOT_STATED)
    return _assemble(elements, major, _CLASSES[device_class], connection_space, intent)


@functools.cache
def srgb_profile() -> bytes:
    """Return an sRGB profile, rebuilt in the same way."""
    import imagecodecs  # costs a third of a second, and most slides bring a profile

    rebuilt = rebuild_profile(bytes(imagecodecs.cms_profile("srgb")), description="sRGB")
    if rebuilt is None:
        raise RuntimeError("the sRGB profile of imagecodecs cannot be rebuilt")
    return rebuilt


def _read_header(profile: bytes) -> tuple[int, bytes, bytes, int]:
    """Return version, class, connection space and rendering intent."""
    if not HEADER_LEN + 4 <= len(profile) <= LIMITS.profile_bytes:
        raise _UnusableError
    major, device_class = profile[8], profile[12:16]
    colour_space, connection_space, signature = profile[16:20], profile[20:24], profile[36:40]
    if signature != b"acsp" or major not in _VERSIONS or device_class not in _CLASSES:
        raise _UnusableError
    if colour_space != b"RGB " or connection_space not in (b"XYZ ", b"Lab "):
        raise _UnusableError
    intent = int.from_bytes(profile[64:68])
    return major, device_class, connection_space, intent if intent <= 3 else 0


def _read_elements(profile: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield signature and rebuilt bytes of each allow-listed element."""
    count = int.from_bytes(profile[HEADER_LEN : HEADER_LEN + 4])
    table_end = HEADER_LEN + 4 + 12 * count
    if count > LIMITS.profile_tags or table_end > len(profile):
        raise _UnusableError
    ranges: dict[bytes, tuple[int, int]] = {}
    for signature, start, length in struct.iter_unpack(
        ">4sII", profile[HEADER_LEN + 4 : table_end]
    ):
        if signature not in _READERS:
            continue
        if signature in ranges or start < table_end or start + length > len(profile):
            raise _UnusableError
        ranges[signature] = (start, start + length)
    if _overlap(ranges.values()):
        raise _UnusableError
    for signature, (start, end) in ranges.items():
        try:
            yield signature, _READERS[signature](profile[start:end])
        except _UnusableError:
            continue


def _overlap(ranges: Iterable[tuple[int, int]]) -> bool:
    """Return whether ranges overlap otherwise than by being the same, which the standard allows."""
    ordered = sorted(set(ranges))
    return any(start < end for (_, end), (start, _) in itertools.pairwise(ordered))


def _take(element: bytes, start: int, length: int) -> bytes:
    taken = element[start : start + length]
    if len(taken) != length:
        raise _UnusableError
    return taken


def _number(element: bytes, start: int, length: int) -> int:
    return int.from_bytes(_take(element, start, length))


def _fixed(element: bytes, start: int, length: int) -> bytes:
    """Take numbers of s15Fixed16; none of colour is so large that its bytes may be a text's."""
    numbers = _take(element, start, length)
    if any(first not in (0x00, 0xFF) for first in numbers[::4]):
        raise _UnusableError
    return numbers


def _array(element: bytes, start: int, length: int) -> bytes:
    """Take an array of numbers, which is no text from end to end."""
    numbers = _take(element, start, length)
    if length >= SHORTEST_TEXT and all(0x20 <= byte < 0x7F for byte in numbers):
        raise _UnusableError
    return numbers


def _xyz(numbers: bytes) -> bytes:
    return b"XYZ " + bytes(4) + numbers


def _read_xyz(element: bytes) -> bytes:
    if element[:4] != b"XYZ ":
        raise _UnusableError
    return _xyz(_fixed(element, 8, 12))


def _read_adaptation(element: bytes) -> bytes:
    """Rebuild an s15Fixed16ArrayType of 3 times 3 numbers."""
    if element[:4] != b"sf32":
        raise _UnusableError
    return b"sf32" + bytes(4) + _fixed(element, 8, 36)


def _read_curve(element: bytes) -> bytes:
    """Rebuild the curve at the start of some bytes; its length is that of the source's."""
    if element[:4] == b"curv":
        count = _number(element, 8, 4)
        if count > MAX_CURVE_ENTRIES:
            raise _UnusableError
        return b"curv" + bytes(4) + _take(element, 8, 4) + _array(element, 12, 2 * count)
    if element[:4] == b"para":
        function = _number(element, 8, 2)
        if function >= len(_PARAMETRIC_COUNTS):
            raise _UnusableError
        parameters = _fixed(element, 12, 4 * _PARAMETRIC_COUNTS[function])
        return b"para" + bytes(4) + _take(element, 8, 2) + bytes(2) + parameters
    raise _UnusableError


def _read_table(element: bytes, outputs: int) -> bytes:
    """Rebuild a lut8Type or lut16Type (ICC.1:2022 10.10, 10.11) from three channels."""
    grid = _number(element, 10, 1)
    if _take(element, 8, 2) != bytes((3, outputs)) or grid < 2:
        raise _UnusableError
    if element[:4] == b"mft1":
        entries, values = b"", 256 * 3 + grid**3 * outputs + 256 * outputs
    else:
        entries_in, entries_out = _number(element, 48, 2), _number(element, 50, 2)
        if not (2 <= entries_in <= 4096 and 2 <= entries_out <= 4096):
            raise _UnusableError
        entries = _take(element, 48, 4)
        values = 2 * (3 * entries_in + grid**3 * outputs + entries_out * outputs)
    head = element[:4] + bytes(4) + bytes((3, outputs, grid, 0)) + _fixed(element, 12, 36)
    return head + entries + _array(element, 48 + len(entries), values)


def _read_stages(element: bytes, outputs: int) -> bytes:
    """Rebuild a lutAToBType or lutBToAType (ICC.1:2022 10.12, 10.13) from three channels."""
    if _take(element, 8, 2) != bytes((3, outputs)):
        raise _UnusableError
    b_at, matrix_at, m_at, table_at, a_at = struct.unpack(">5I", _take(element, 12, 20))
    if b_at == 0 or (table_at == 0 and outputs != 3):
        raise _UnusableError
    a_curves, b_curves = (3, outputs) if element[:4] == b"mAB " else (outputs, 3)
    stages = (
        _read_curves(element, b_at, b_curves),
        _fixed(element, matrix_at, 48) if matrix_at else b"",
        _read_curves(element, m_at, 3),
        _read_grid(element, table_at, outputs) if table_at else b"",
        _read_curves(element, a_at, a_curves),
    )
    offsets, body = [], b""
    for stage in stages:
        offsets.append(32 + len(body) if stage else 0)
        body += _padded(stage)
    head = element[:4] + bytes(4) + bytes((3, outputs, 0, 0))
    return head + struct.pack(">5I", *offsets) + body


def _read_curves(element: bytes, start: int, count: int) -> bytes:
    """Rebuild neighbouring curves, each padded to four bytes; none if ``start`` is 0."""
    curves = b""
    for _ in range(count if start else 0):
        curves += _padded(_read_curve(element[start + len(curves) :]))
    return curves


def _read_grid(element: bytes, start: int, outputs: int) -> bytes:
    grid, precision = _take(element, start, 3), _number(element, start + 16, 1)
    if min(grid) < 2 or precision not in (1, 2):
        raise _UnusableError
    values = _array(element, start + 20, math.prod(grid) * outputs * precision)
    return grid + bytes(13) + bytes((precision, 0, 0, 0)) + values


def _reader_of_transform(stages: bytes, outputs: int) -> Callable[[bytes], bytes]:
    """Return a reader of lookup tables, and of the given newer type."""

    def read(element: bytes) -> bytes:
        if element[:4] in (b"mft1", b"mft2"):
            return _read_table(element, outputs)
        if element[:4] == stages:
            return _read_stages(element, outputs)
        raise _UnusableError

    return read


_READERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"wtpt": _read_xyz,
    b"bkpt": _read_xyz,
    b"chad": _read_adaptation,
    b"rXYZ": _read_xyz,
    b"gXYZ": _read_xyz,
    b"bXYZ": _read_xyz,
    b"rTRC": _read_curve,
    b"gTRC": _read_curve,
    b"bTRC": _read_curve,
    b"A2B0": _reader_of_transform(b"mAB ", 3),
    b"A2B1": _reader_of_transform(b"mAB ", 3),
    b"A2B2": _reader_of_transform(b"mAB ", 3),
    b"B2A0": _reader_of_transform(b"mBA ", 3),
    b"B2A1": _reader_of_transform(b"mBA ", 3),
    b"B2A2": _reader_of_transform(b"mBA ", 3),
    b"gamt": _reader_of_transform(b"mBA ", 1),
}
"""The allow-list. `kTRC` has no place in an RGB profile."""


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _text(major: int, text: str) -> bytes:
    if major == 2:
        return b"text" + bytes(4) + text.encode("ascii") + b"\0"
    return _multi_localized(text)


def _description(major: int, text: str) -> bytes:
    """Return ``desc``: textDescriptionType with empty Unicode and Macintosh parts, or as text."""
    if major == 2:
        ascii_text = text.encode("ascii") + b"\0"
        return b"desc" + bytes(4) + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(78)
    return _multi_localized(text)


def _multi_localized(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    record = struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28)
    return b"mluc" + bytes(4) + record + encoded


def _assemble(
    elements: dict[bytes, bytes],
    major: int,
    device_class: bytes,
    connection_space: bytes,
    intent: int,
) -> bytes:
    """Return header, tag table and elements; equal elements are stored once."""
    signatures = [tag for tag in (b"desc", b"cprt", *_READERS) if tag in elements]
    start = HEADER_LEN + 4 + 12 * len(signatures)
    table, body = struct.pack(">I", len(signatures)), b""
    places: dict[bytes, int] = {}
    for signature in signatures:
        element = elements[signature]
        if element not in places:
            places[element] = start + len(body)
            body += _padded(element)
        table += struct.pack(">4sII", signature, places[element], len(element))
    header = (
        struct.pack(">III", start + len(body), 0, _VERSIONS[major])
        + device_class
        + b"RGB "
        + connection_space
        + bytes(12)  # date and time
        + b"acsp"
        + bytes(24)  # platform, flags, manufacturer, model, attributes
        + struct.pack(">I", intent)
        + D50
        + bytes(48)  # creator, profile ID, reserved
    )
    return header + table + body
