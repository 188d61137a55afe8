"""The ICC profile of an instance: numbers, and nothing that tells whose scanner it was."""

import functools
import re
import struct
from collections.abc import Iterator

from pydicom.dataset import Dataset

_HEADER, _ENTRY = 132, 12
_NUMBERS = re.compile(rb"(?:[rgbk]TRC|A2B[0-2]|B2A[0-2]|gamt)")
_TAGS = re.compile(_NUMBERS.pattern + rb"|[rgb]XYZ|wtpt|bkpt|chad|desc|cprt")
_TEXTS = ("rebuilt RGB profile", "sRGB", "not stated")
"""What descriptions and copyrights may say."""
_MAKERS = (slice(40, 64), slice(80, 84), slice(100, 128))
"""Platform, maker, model and attributes; creator; what is reserved (ICC.1 7.2)."""


def profile_of(dataset: Dataset) -> bytes:
    """Return the colour profile of an instance, nothing if it has none."""
    for item in dataset.get("OpticalPathSequence", ()):
        if "ICCProfile" in item:
            return bytes(item.ICCProfile)
    return b""


def problems_of(profile: bytes) -> Iterator[tuple[str, str]]:
    """Check an ICC profile: no date, no maker, and only tags that hold numbers (ICC.1 7.2)."""
    place = "(0028,2000)"
    if not profile:
        return
    if len(profile) < _HEADER or struct.unpack_from(">I", profile)[0] > len(profile):
        yield place, "it is not an ICC profile"
        return
    if any(profile[24:36]):
        yield place, "its profile has a date"
    if any(profile[84:100]):
        yield place, "its profile has an identifier"
    if any(any(profile[part]) for part in _MAKERS):
        yield place, "its profile tells a maker"
    places = sorted((start, size) for _, start, size in _tags(profile))
    end = _HEADER + _ENTRY * len(places)
    for start, size in places:
        if any(profile[end:start]):
            yield place, "its profile has bytes that are no tag's"
        end = max(end, start + size)
    if any(profile[end:]):
        yield place, "its profile has bytes behind its end"
    for signature, start, size in _tags(profile):
        if not _TAGS.fullmatch(signature):
            yield place, "its profile has a tag that colours do not need"
        elif signature in (b"desc", b"cprt") and profile[start : start + size] not in _texts():
            yield place, "its profile has a text that is not neutral"


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
