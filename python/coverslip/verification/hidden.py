"""Texts of a slide that no tag holds: in tiles, pictures and profiles, and where nothing points."""

import itertools
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import numpy.typing as npt

from coverslip.errors import CoverslipError
from coverslip.gaps import gaps_between, joined
from coverslip.slide import OpenedSlide
from coverslip.verification.streams import (
    decoded,
    parts_of_stream,
    texts_in_bytes,
    texts_in_stream,
)

_TILES_A_LEVEL = 64
"""Scanners write the same comment into each tile, or a number."""
_STRIPS = 4096
"""Streams beside the levels that are looked at: labels and overviews have some tens of strips."""
_HEAD_BYTES = 1 << 12
"""What is read of a tile at first: most headers are no longer."""
_TILE_BYTES = 1 << 20
"""Longest part of a tile that is looked at: its header is in front."""
_GAP_BYTES = 32 << 20
"""Most of the bytes between values and tiles; in a slide that nobody edited there are few."""
_STREAM = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51")
_BEGIN = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff|....jP", re.DOTALL)
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_TEXT_IN_GAP = re.compile(rb"[\w .:/\\^,=|@+-]{8,}|(?:[\w .:/\\^,=|@+-]\x00){6,}", re.ASCII)
"""Longer, and of fewer characters: what lies in a gap may have been a picture."""
_ICC_HEADER, _ICC_ENTRY = 132, 12
_ICC_TYPE = 8
"""Bytes of a tag that tell its type; they are no text of anybody's."""
_ICC_NUMBERS = re.compile(rb"[rgbk]TRC|A2B.|B2A.|gamt|pre.|[rgb]XYZ|wtpt|bkpt|chad|lumi")
_ICC_SIGNATURES = ((4, 8), (48, 56), (80, 84))
"""Of the colour module, of maker and model, and of who made the profile (ICC.1 7.2)."""


@dataclass(slots=True)
class Hidden:
    """What was found in a slide beside its tags, and how much was not looked at."""

    texts: list[str] = field(default_factory=list, repr=False)
    tiles_left: int = 0
    """Tiles whose comments were not read."""
    others_left: int = 0
    """Values and strips beside the levels that were not looked at for comments."""
    bytes_left: int = 0
    """Bytes in gaps that were not read."""

    @property
    def out_of_scope(self) -> tuple[str, ...]:
        """What was not looked at, in words."""
        left = []
        if self.tiles_left:
            left.append(f"comments of {self.tiles_left} tiles: some of each level were read")
        if self.others_left:
            left.append(f"comments in {self.others_left} strips and values beside the levels")
        if self.bytes_left:
            left.append(f"{self.bytes_left} bytes of the slide to which nothing points")
        return tuple(left)


def hidden_in(slide: OpenedSlide) -> Hidden:
    """Return texts in comments and application segments, in boxes, in the profile and in gaps."""
    hidden = Hidden()
    for level in slide.levels:
        for plane in level.focal_planes:
            if plane.jpeg_tables is not None:
                hidden.texts.extend(texts_in_stream(plane.jpeg_tables))
        chosen, left = _chosen(level.stored_ranges(), _TILES_A_LEVEL)
        hidden.tiles_left += left
        hidden.texts.extend(_in_streams(slide, chosen))
    chosen, left = _chosen(slide.description.private_ranges, _STRIPS)
    hidden.others_left = left
    hidden.texts.extend(_in_streams(slide, chosen))
    hidden.texts.extend(_in_profile(slide.description.metadata.icc_profile or b""))
    for offset, byte_count in _gaps(slide, hidden):
        for found in _TEXT_IN_GAP.finditer(_without_pixels(_read(slide, offset, byte_count))):
            hidden.texts.append(decoded(found[0]))
    return hidden


def _chosen(ranges: npt.NDArray[np.uint64], most: int) -> tuple[list[tuple[int, int]], int]:
    """Return offset and byte count of some that are present, the last one with them.

    And how many are left out. There may be millions, so what is present is not copied.
    """
    is_there = ranges[:, 1] > 0
    present = range(len(ranges)) if is_there.all() else np.flatnonzero(is_there)
    step = max(1, len(present) // most)
    chosen = {*range(0, len(present), step)[:most], *range(len(present))[-1:]}
    picked = [
        (int(offset), int(size)) for offset, size in (ranges[present[at]] for at in sorted(chosen))
    ]
    return picked, len(present) - len(picked)


def _in_streams(slide: OpenedSlide, ranges: list[tuple[int, int]]) -> Iterator[str]:
    for offset, byte_count in ranges:
        data = _read(slide, offset, min(byte_count, _HEAD_BYTES))
        if not _BEGIN.match(data):
            continue
        parts, is_whole = parts_of_stream(data)
        if not is_whole and byte_count > _HEAD_BYTES:
            parts, _ = parts_of_stream(_read(slide, offset, min(byte_count, _TILE_BYTES)))
        for part in parts:
            yield from texts_in_bytes(part)


def _in_profile(profile: bytes) -> Iterator[str]:
    """Yield the texts of a colour profile, and the day it was made."""
    if len(profile) < _ICC_HEADER:
        return
    for start, end in _ICC_SIGNATURES:
        yield from texts_in_bytes(profile[start:end])
    with suppress(ValueError):  # most profiles have no date
        yield date(*struct.unpack_from(">3H", profile, 24)).isoformat()
    (count,) = struct.unpack_from(">I", profile, 128)
    numbers, texts = [(0, 0)], [(0, 0)]
    for number in range(min(count, (len(profile) - _ICC_HEADER) // _ICC_ENTRY)):
        at = _ICC_HEADER + number * _ICC_ENTRY
        signature, offset, size = struct.unpack_from(">4sII", profile, at)
        if _ICC_NUMBERS.fullmatch(signature):
            numbers.append((offset, offset + size))
        elif size > _ICC_TYPE:
            texts.append((offset + _ICC_TYPE, offset + size))
    # Tags may share their bytes: what is a number too goes out as one, and is looked at once.
    kept = bytearray(profile)
    for start, end in joined(np.array(numbers, np.int64)).tolist():
        kept[start:end] = bytes(len(kept[start:end]))
    for start, end in joined(np.array(texts, np.int64)).tolist():
        yield from texts_in_bytes(bytes(kept[start:end]))


def _read(slide: OpenedSlide, offset: int, byte_count: int) -> bytes:
    try:
        return bytes(slide.source.read(offset, byte_count))
    except CoverslipError:  # a range that lies outside fails the slide when it is planned
        return b""


def _without_pixels(data: bytes) -> bytes:
    """Return bytes without what a decoder needs of the streams in them, zeros in its place.

    A tile that somebody wrote anew lies where it was, its tables and pixels the same as those of
    the tile that goes out; they are no text, though some of their bytes are letters.
    """
    kept, begin = bytearray(data), 0
    while found := _STREAM.search(data, begin):
        at, is_jpeg = found.start() + 2, found[0][1] == 0xD8
        while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
            if data[at + 1] == 0xFF:
                at += 1
                continue
            marker, (length,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
            end = at + 2 + length
            if marker == (0xDA if is_jpeg else 0x90):
                end = _end_of_scan(data, end) if is_jpeg else _end_of_tile_part(data, at)
            is_comment = marker == 0xFE or 0xE0 <= marker <= 0xEF if is_jpeg else marker == 0x64
            if not is_comment:
                kept[at:end] = bytes(len(kept[at:end]))
            at = end
            if data[at : at + 2] == b"\xff\xd9":
                break
        begin = max(at, found.end())
    return bytes(kept)


def _end_of_scan(data: bytes, at: int) -> int:
    """Return where entropy-coded data end; where they begin, if the picture does not end there."""
    found = _SCAN_END.search(data, at)
    return at if found is None or found[0] != b"\xff\xd9" else found.start()


def _end_of_tile_part(data: bytes, at: int) -> int:
    """Return where a tile-part ends: at the next one or the end of its codestream."""
    length = int.from_bytes(data[at + 6 : at + 10])
    end = data.find(b"\xff\xd9", at) if length == 0 else at + length
    is_end = data[end : end + 2] in (b"\xff\xd9", b"\xff\x90")
    return end if end > at and is_end else at + 12


def _gaps(slide: OpenedSlide, hidden: Hidden) -> Iterator[tuple[int, int]]:
    """Yield offset and byte count of what belongs to no level, picture or value."""
    stored = (level.stored_ranges() for level in slide.levels)
    ranges = itertools.chain([slide.description.private_ranges], stored)
    left = _GAP_BYTES
    for offset, byte_count in gaps_between(ranges, slide.source.byte_count).tolist():
        taken = min(byte_count, left)
        if taken > 0:
            yield offset, taken
        hidden.bytes_left += byte_count - taken
        left -= taken
