"""JPEG tiles whose every segment is chosen, written without any code of coverslip."""

import io
import subprocess
from dataclasses import dataclass, replace
from typing import Literal

import imagecodecs
import numpy as np
from PIL import Image

Samples = Literal["rgb", "ycbcr444", "ycbcr422", "ycbcr420", "grey"]
Markers = Literal["none", "app14_0", "app14_1", "jfif"]
Tables = Literal["shared", "own", "both", "overridden"]
"""Of ``overridden`` shared ones, the steps are wrong, and each tile has its own."""

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SUBSAMPLING = {"ycbcr444": "444", "ycbcr422": "422", "ycbcr420": "420"}
_MARKERS = {
    "none": b"",
    "app14_0": b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00",
    "app14_1": b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01",
    "jfif": b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00",
}


@dataclass(frozen=True)
class Tile:
    """A tile as a slide holds it, and the truth about it."""

    data: bytes
    jpeg_tables: bytes | None
    entropy: bytes
    rgb: np.ndarray
    """What it shows, decoded from a stream that says what it is; two-dimensional if grey."""
    whole: bytes = b""
    """That stream."""


@dataclass(frozen=True)
class Style:
    """How tiles are written. Markers and identifiers may lie about the samples."""

    samples: Samples = "rgb"
    ids: tuple[int, ...] = (0, 1, 2)
    markers: Markers = "none"
    tables: Tables = "shared"
    huffman: bool = True
    """Whether there are Huffman tables: without, they are those of T.81 Annex K."""
    before_tables: bytes = b""
    """Segments right behind SOI: comments, Exif."""
    in_shared: bytes = b""
    """Segments inside tag 347 besides its tables."""
    end: bytes = b"\xff\xd9"
    """What follows the entropy-coded data."""
    start: bytes = b"\xff\xd8"
    sof: int = 0xC0
    progressive: bool = False
    process: tuple[str, ...] = ()
    """How jpegtran is to write them, with the same coefficients: ``-arithmetic`` for example."""
    quality: int = 85
    sof_size: tuple[int, int] | None = None
    """Rows and columns to claim instead of the true ones."""


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2) + payload


def comment(text: str) -> bytes:
    return segment(0xFE, text.encode())


def exif(text: str) -> bytes:
    """An APP1 whose payload looks like the markers that a careless search would find."""
    payload = b"Exif\0\0" + b"\xff\xc0\x00\x11\x08\xff\xda\x00\x0c" + text.encode()
    return segment(0xE1, payload)


def split(stream: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the segments from SOI to SOS, and the entropy-coded data before the EOI."""
    segments, at = [], 2
    while True:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4])
        segments.append((marker, stream[at : at + 2 + length]))
        at += 2 + length
        if marker == 0xDA:
            return segments, stream[at : stream.rindex(b"\xff\xd9")]


def encode(rgb: np.ndarray, style: Style) -> Tile:
    """Return a tile that holds a picture of shape (rows, columns, 3), written in a style."""
    whole, truth = _whole(rgb, style)
    if style.process:
        command = ["jpegtran", "-copy", "none", *style.process]
        whole = subprocess.run(command, input=whole, capture_output=True, check=True).stdout
    segments, entropy = split(whole)
    steps = b"".join(data for marker, data in segments if marker == 0xDB)
    codes = b"".join(data for marker, data in segments if marker == 0xC4 and style.huffman)
    tables = steps + codes
    frame = next(data for marker, data in segments if marker in _FRAMES)
    scan = next(data for marker, data in segments if marker == 0xDA)
    restart = b"".join(data for marker, data in segments if marker == 0xDD)
    own = {"shared": b"", "overridden": steps}.get(style.tables, tables)
    data = b"".join(
        [
            style.start,
            _MARKERS[style.markers],
            style.before_tables,
            own,
            _renamed_frame(frame, style),
            restart,
            _renamed_scan(scan, style),
            entropy,
            style.end,
        ]
    )
    shared = None
    if style.tables != "own":
        held = codes if style.tables == "overridden" else tables
        wrong = _coarser(steps) if style.tables == "overridden" else b""
        shared = b"\xff\xd8" + style.in_shared + wrong + held + b"\xff\xd9"
    return Tile(data=data, jpeg_tables=shared, entropy=entropy, rgb=truth, whole=whole)


def _coarser(steps: bytes) -> bytes:
    """Return the same tables of 8 bits with larger steps."""
    wrong, at = bytearray(steps), 0
    while at < len(steps):
        for table in range(at + 4, at + 2 + int.from_bytes(steps[at + 2 : at + 4]), 65):
            wrong[table + 1 : table + 65] = bytes(64 * [99])
        at += 2 + int.from_bytes(steps[at + 2 : at + 4])
    return bytes(wrong)


def _whole(rgb: np.ndarray, style: Style) -> tuple[bytes, np.ndarray]:
    """Return a stream that is honest about its samples, and what decoders make of it."""
    if style.progressive:
        return _progressive(rgb, style)
    if style.samples == "grey":
        stream = imagecodecs.jpeg8_encode(np.ascontiguousarray(rgb[..., 1]), level=style.quality)
    elif style.samples == "rgb":
        stream = imagecodecs.jpeg8_encode(
            rgb, level=style.quality, colorspace="RGB", outcolorspace="RGB", subsampling="444"
        )
    else:
        stream = imagecodecs.jpeg8_encode(
            rgb,
            level=style.quality,
            colorspace="RGB",
            outcolorspace="YCBCR",
            subsampling=_SUBSAMPLING[style.samples],
        )
    return bytes(stream), imagecodecs.jpeg8_decode(stream)


def _progressive(rgb: np.ndarray, style: Style) -> tuple[bytes, np.ndarray]:
    buffer = io.BytesIO()
    if style.samples == "grey":
        image, options = Image.fromarray(np.ascontiguousarray(rgb[..., 1])), {}
    elif style.samples == "rgb":
        image, options = Image.fromarray(rgb), {"keep_rgb": True}
    else:
        image = Image.fromarray(rgb)
        options = {"subsampling": ("444", "422", "420").index(_SUBSAMPLING[style.samples])}
    image.save(buffer, "JPEG", quality=style.quality, progressive=True, **options)
    return buffer.getvalue(), imagecodecs.jpeg8_decode(buffer.getvalue())


def _ids(count: int, style: Style) -> tuple[int, ...]:
    return style.ids[:count]


def _renamed_frame(frame: bytes, style: Style) -> bytes:
    renamed = bytearray(frame)
    if not style.progressive and not style.process:
        renamed[1] = style.sof
    if style.sof_size is not None:
        rows, columns = style.sof_size
        renamed[5:9] = rows.to_bytes(2) + columns.to_bytes(2)
    for position, identifier in enumerate(_ids(renamed[9], style)):
        renamed[10 + 3 * position] = identifier
    return bytes(renamed)


def _renamed_scan(scan: bytes, style: Style) -> bytes:
    renamed = bytearray(scan)
    for position, identifier in enumerate(_ids(renamed[4], style)):
        renamed[5 + 2 * position] = identifier
    return bytes(renamed)


def with_options(style: Style, **options: object) -> Style:
    return replace(style, **options)
