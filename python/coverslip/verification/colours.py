"""The ICC profile of an instance: numbers, and nothing that tells whose scanner it was."""

import functools
import re
import struct
from collections.abc import Collection, Iterator

from pydicom.dataset import Dataset

from coverslip.verification import transforms

_HEADER, _ENTRY = 132, 12
_NUMBERS = re.compile(rb"[rgb]TRC|A2B[0-2]|B2A[0-2]|gamt")
_TAGS = re.compile(_NUMBERS.pattern + rb"|[rgb]XYZ|wtpt|bkpt|chad|desc|cprt")
_TEXTS = ("rebuilt RGB profile", "sRGB", "not stated")
"""What descriptions and copyrights may say."""
_D50 = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
_LAST_INTENT = 3
_FIELDS: tuple[tuple[slice, Collection[bytes], str], ...] = (
    (slice(4, 8), (bytes(4),), "names a module"),
    (slice(8, 12), (b"\2\x40\0\0", b"\4\x30\0\0"), "has another version"),
    (slice(12, 16), (b"scnr", b"spac"), "is of another class"),
    (slice(16, 20), (b"RGB ",), "is of another colour space"),
    (slice(20, 24), (b"XYZ ", b"Lab "), "has another connection space"),
    (slice(24, 36), (bytes(12),), "has a date"),
    (slice(36, 40), (b"acsp",), "is not one"),
    (slice(40, 64), (bytes(24),), "tells a maker"),
    (slice(64, 68), [bytes((0, 0, 0, one)) for one in range(_LAST_INTENT + 1)], "has no intent"),
    (slice(68, 80), (_D50,), "has another illuminant"),
    (slice(80, 84), (bytes(4),), "tells a maker"),
    (slice(84, 100), (bytes(16),), "has an identifier"),
    (slice(100, 128), (bytes(28),), "tells a maker"),
)
"""What each field of the header may be, and what is wrong if it is something else (ICC.1 7.2)."""


def profile_of(dataset: Dataset) -> bytes:
    """Return the colour profile of an instance, nothing if it has none."""
    for item in dataset.get("OpticalPathSequence", ()):
        if "ICCProfile" in item:
            return bytes(item.ICCProfile)
    return b""


def problems_of(profile: bytes) -> Iterator[str]:
    """Check an ICC profile: no date, no maker, and only tags that hold numbers (ICC.1 7.2)."""
    if not profile:
        return
    if len(profile) < _HEADER or struct.unpack_from(">I", profile)[0] != len(profile):
        yield "it is not an ICC profile"
        return
    wrong = {what for field, allowed, what in _FIELDS if profile[field] not in allowed}
    yield from (f"its profile {what}" for what in sorted(wrong))
    tags = list(_tags(profile))
    end = _HEADER + _ENTRY * len(tags)
    (count,) = struct.unpack_from(">I", profile, 128)
    signatures = {signature for signature, _, _ in tags}
    if count != len(tags) or len(signatures) != len(tags):
        yield "its profile has a table that is none"
    for start, size in sorted((start, size) for _, start, size in tags):
        if any(profile[end:start]):
            yield "its profile has bytes that are no tag's"
        end = max(end, start + size)
    if any(profile[end:]):
        yield "its profile has bytes behind its end"
    for signature, start, size in tags:
        yield from _problems_of_tag(signature, profile[start : start + size], size)


def _problems_of_tag(signature: bytes, element: bytes, size: int) -> Iterator[str]:
    if not _TAGS.fullmatch(signature):
        yield "its profile has a tag that colours do not need"
    elif signature in (b"desc", b"cprt"):
        if element not in _texts():
            yield "its profile has a text that is not neutral"
    elif len(element) != size:
        yield "its profile has a tag that lies outside"
    else:
        try:
            transforms.check(signature, element)
        except transforms.OtherFormError:
            yield "its profile has something else than the numbers of a tag"


@functools.cache
def _texts() -> frozenset[bytes]:
    """Return the neutral texts as versions 2 and 4 write them (ICC.1 10)."""
    texts = set[bytes]()
    for text in _TEXTS:
        ended, wide = text.encode() + b"\0", text.encode("utf-16-be")
        texts.add(b"text" + bytes(4) + ended)
        texts.add(b"desc" + bytes(4) + struct.pack(">I", len(ended)) + ended + bytes(78))
        record = struct.pack(">II4sII", 1, 12, b"enUS", len(wide), 28)
        texts.add(b"mluc" + bytes(4) + record + wide)
    return frozenset(texts)


def _tags(profile: bytes) -> Iterator[tuple[bytes, int, int]]:
    (count,) = struct.unpack_from(">I", profile, 128)
    for number in range(min(count, (len(profile) - _HEADER) // _ENTRY)):
        yield struct.unpack_from(">4sII", profile, _HEADER + number * _ENTRY)


def numbers_of(data: bytes, profile: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the curves and grids of the ICC profile lie."""
    if len(profile) < _HEADER:
        return
    start = data.index(profile)
    places = {
        (offset, size)
        for signature, offset, size in _tags(profile)
        if _NUMBERS.fullmatch(signature) and offset + size <= len(profile)
    }
    # Tags may share or overlap their bytes; what is left over is looked at in full.
    end = 0
    for offset, size in sorted(places):
        if offset >= end and offset >= _HEADER:
            yield start + offset, size
            end = offset + size
