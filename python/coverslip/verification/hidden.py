"""Texts of a slide that no tag holds: inside its tiles, and where no directory points."""

import re
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from coverslip.errors import CoverslipError
from coverslip.slide import OpenedSlide

_TILES_A_LEVEL = 64
"""Scanners write the same comment into each tile, or a number."""
_TILE_BYTES = 1 << 20
"""Longest part of a tile that is looked at: its header is in front."""
_GAP_BYTES = 4 << 20
"""Most of the bytes between values and tiles; in a slide that nobody edited there are few."""
_AT_A_TIME = 1 << 16
"""Ranges that are sorted at a time: there may be millions, in the order of the file nearly all."""
_TEXT = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}|(?:[\x20-\x7e]\x00){4,}|(?:\x00[\x20-\x7e]){4,}")
_STREAM = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_TEXT_IN_GAP = re.compile(rb"[\w .:/\\^,=|@+-]{8,}|(?:[\w .:/\\^,=|@+-]\x00){6,}", re.ASCII)
"""Longer, and of fewer characters: what lies in a gap may have been a picture."""


def hidden_texts(slide: OpenedSlide) -> Iterator[str]:
    """Yield texts in comments and application segments of tiles, in boxes, and in gaps."""
    for level in slide.levels:
        for plane in level.focal_planes:
            if plane.jpeg_tables is not None:
                yield from _in_stream(plane.jpeg_tables)
        for offset, byte_count in _chosen(level.stored_ranges()):
            yield from _in_stream(_read(slide, offset, min(byte_count, _TILE_BYTES)))
    for offset, byte_count in _gaps(slide):
        for found in _TEXT_IN_GAP.finditer(_without_pixels(_read(slide, offset, byte_count))):
            yield _decoded(found[0])


def _chosen(stored: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Return offset and byte count of some streams of a level, the last one with them."""
    present = np.flatnonzero(stored[:, 1])
    chosen = present[:: max(1, len(present) // _TILES_A_LEVEL)][:_TILES_A_LEVEL]
    streams = {*chosen.tolist(), *present[-1:].tolist()}
    return [(int(stored[stream, 0]), int(stored[stream, 1])) for stream in streams]


def _read(slide: OpenedSlide, offset: int, byte_count: int) -> bytes:
    try:
        return bytes(slide.source.read(offset, byte_count))
    except CoverslipError:  # a range that lies outside fails the slide when it is planned
        return b""


def _in_stream(data: bytes) -> Iterator[str]:
    """Yield the texts of all that a decoder does not need."""
    for part in _parts(data):
        for found in _TEXT.finditer(part):
            yield _decoded(found[0])


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield APPn and COM of a JPEG, COM of a codestream, boxes beside the codestream."""
    if data[4:8] in (b"jP  ", b"jP\x1a\x1a"):
        yield from _boxes(data)
        return
    is_jpeg, at = data[:2] == b"\xff\xd8", 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in ((0xDA, 0xD9) if is_jpeg else (0x90, 0x93, 0xD9)):
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0xFE or 0xE0 <= marker <= 0xEF if is_jpeg else marker == 0x64:
            yield data[at + 4 : at + 2 + length]
        at += 2 + length


def _boxes(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"jp2c":
            yield from _parts(data[at + 8 :])
            return
        if length < 8:
            return
        yield data[at + 8 : at + length]
        at += length


def _without_pixels(data: bytes) -> bytes:
    """Return bytes without what a decoder needs of the streams in them, zeros in its place.

    A tile that somebody wrote anew lies where it was, its tables and pixels the same as those of
    the tile that goes out; they are no text, though some of their bytes are letters.
    """
    kept, begin = bytearray(data), 0
    while found := _STREAM.search(data, begin):
        at, is_jpeg = found.start() + 2, found[0][1] == 0xD8
        while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
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


def _gaps(slide: OpenedSlide) -> Iterator[tuple[int, int]]:
    """Yield offset and byte count of what belongs to no level, picture or value."""
    runs = [_runs(slide.description.private_ranges)]
    for level in slide.levels:
        ranges = level.stored_ranges()
        runs += [_runs(ranges[at : at + _AT_A_TIME]) for at in range(0, len(ranges), _AT_A_TIME)]
    covered = _joined(np.concatenate(runs))
    ends = np.append(0, covered[:, 1])
    starts = np.append(covered[:, 0], slide.source.stamp[2])
    left = _GAP_BYTES
    for index in np.flatnonzero(starts > ends).tolist():
        size = min(int(starts[index] - ends[index]), left)
        if size > 0:
            yield int(ends[index]), size
        left -= size


def _runs(ranges: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return starts and ends of what ranges (offset, byte count) cover, shape (n, 2), in order."""
    starts = ranges[:, 0].astype(np.int64)
    return _joined(np.stack([starts, starts + ranges[:, 1].astype(np.int64)], axis=1))


def _joined(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Join runs (start, end) that touch or overlap, and return them in order."""
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    reached = np.maximum.accumulate(runs[:, 1])
    first = np.flatnonzero(np.append(True, runs[1:, 0] > reached[:-1])[: len(runs)])
    last = np.append(first[1:], len(runs))[: len(first)] - 1
    return np.stack([runs[first, 0], reached[last]], axis=1)


def _decoded(data: bytes) -> str:
    if data[1:2] == b"\0":
        return data.decode("utf-16-le", errors="ignore")
    if data[:1] == b"\0":
        return data.decode("utf-16-be", errors="ignore")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
