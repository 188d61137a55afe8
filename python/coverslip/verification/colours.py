"""The ICC profile of an instance: numbers, and nothing that tells whose scanner it was."""

import re
import struct
from collections.abc import Iterator

from pydicom.dataset import Dataset

_HEADER, _ENTRY = 132, 12
_NUMBERS = re.compile(rb"(?:[rgbk]TRC|A2B[0-2]|B2A[0-2]|gamt)")
_TAGS = re.compile(_NUMBERS.pattern + rb"|[rgb]XYZ|wtpt|bkpt|chad|desc|cprt")
_TEXT_BYTES = 200
"""More than a neutral description or copyright takes."""


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
    for signature, _, size in _tags(profile):
        if not _TAGS.fullmatch(signature):
            yield place, "its profile has a tag that colours do not need"
        elif signature in (b"desc", b"cprt") and size > _TEXT_BYTES:
            yield place, "its profile has a long text"


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
