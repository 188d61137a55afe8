"""JPEG 2000 tiles: codestreams of every colour, some of which no encoder at hand can write."""

import struct
from dataclasses import dataclass
from typing import Literal

import imagecodecs
import numpy as np

Kind = Literal[
    "mct97", "mct53", "rgb", "grey", "ycc444", "ycc422", "ht97", "ht53", "ht_rgb", "ht_grey"
]

_LEVELS = 3
_QUALITY_DB = 45


@dataclass(frozen=True)
class Tile:
    """A tile as a slide holds it, and the truth about it."""

    data: bytes
    entropy: bytes
    """Everything from the first tile-part to the EOC."""
    rgb: np.ndarray


def encode(rgb: np.ndarray, kind: Kind, *, comment: str | None = None, boxed: bool = False) -> Tile:
    """Return a tile that holds a picture of shape (rows, columns, 3)."""
    stream = _codestream(rgb, kind)
    if comment is not None:
        stream = _with_comment(stream, comment)
    start = stream.index(b"\xff\x90\x00\x0a")
    entropy = stream[start : stream.rindex(b"\xff\xd9")]
    data = _boxed(stream, rgb.shape, comment or "") if boxed else stream
    return Tile(data=data, entropy=entropy, rgb=_truth(stream, rgb, kind))


def _truth(stream: bytes, rgb: np.ndarray, kind: Kind) -> np.ndarray:
    if kind.startswith("ycc"):
        # Chroma went through a codec and perhaps a reduction: the source picture is the truth.
        return rgb
    return imagecodecs.jpeg2k_decode(stream)


def _codestream(rgb: np.ndarray, kind: Kind) -> bytes:
    if kind.startswith("ht"):
        return _high_throughput(rgb, kind)
    if kind == "grey":
        return _encode(np.ascontiguousarray(rgb[..., 1]))
    if kind == "mct97":
        return _encode(rgb, mct=True)
    if kind == "mct53":
        return _encode(rgb, mct=True, reversible=True)
    if kind == "rgb":
        return _encode(rgb)
    planes = _ycc(rgb)
    if kind == "ycc444":
        return _encode(np.stack(planes, axis=-1))
    return _spliced(planes[0], [_half(plane) for plane in planes[1:]])


def _high_throughput(rgb: np.ndarray, kind: Kind) -> bytes:
    picture = np.ascontiguousarray(rgb[..., 1]) if kind == "ht_grey" else rgb
    is_reversible = kind == "ht53"
    stream = imagecodecs.htj2k_encode(
        picture,
        level=None if is_reversible else 0.002,
        rgb=kind in ("ht97", "ht53"),
        reversible=is_reversible,
        resolutions=_LEVELS,
    )
    return bytes(stream)


def _encode(picture: np.ndarray, *, mct: bool = False, reversible: bool = False) -> bytes:
    stream = imagecodecs.jpeg2k_encode(
        picture,
        level=0 if reversible else _QUALITY_DB,
        codecformat="j2k",
        mct=mct,
        reversible=reversible,
        resolutions=_LEVELS + 1,
    )
    return bytes(stream)


def _ycc(rgb: np.ndarray) -> list[np.ndarray]:
    """Return Y, Cb, Cr as JFIF defines them."""
    red, green, blue = (rgb[..., i].astype(np.float64) for i in range(3))
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = [luminance, 128 + (blue - luminance) / 1.772, 128 + (red - luminance) / 1.402]
    return [np.clip(np.round(plane), 0, 255).astype(np.uint8) for plane in planes]


def _half(plane: np.ndarray) -> np.ndarray:
    pairs = plane.reshape(plane.shape[0], -1, 2).astype(np.float64)
    return np.ascontiguousarray(np.round(pairs.mean(axis=2)).astype(np.uint8))


def _main_header(stream: bytes) -> tuple[list[bytes], int]:
    segments, at = [], 2
    while stream[at : at + 2] != b"\xff\x90":
        length = 2 + int.from_bytes(stream[at + 2 : at + 4])
        segments.append(stream[at : at + length])
        at += length
    return segments, at


def _packets(stream: bytes) -> bytes:
    _, at = _main_header(stream)
    return stream[stream.index(b"\xff\x93", at) + 2 : stream.rindex(b"\xff\xd9")]


def _spliced(luminance: np.ndarray, chroma: list[np.ndarray]) -> bytes:
    """Return 4:2:2 out of three grey codestreams, whose packets follow each other in CPRL."""
    streams = [_encode(plane) for plane in (luminance, *chroma)]
    rebuilt = [b"\xff\x4f"]
    for segment in _main_header(streams[0])[0]:
        if segment[:2] == b"\xff\x51":
            components = b"\x07\x01\x01" + b"\x07\x02\x01" * 2
            body = segment[4:38] + struct.pack(">H", 3) + components
            rebuilt.append(b"\xff\x51" + struct.pack(">H", len(body) + 2) + body)
        elif segment[:2] == b"\xff\x52":
            rebuilt.append(segment[:5] + b"\x04" + segment[6:])
        elif segment[:2] != b"\xff\x64":
            rebuilt.append(segment)
    data = b"".join(_packets(stream) for stream in streams)
    tile_part = b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 14 + len(data), 0, 1) + b"\xff\x93"
    return b"".join(rebuilt) + tile_part + data + b"\xff\xd9"


def _with_comment(stream: bytes, text: str) -> bytes:
    payload = b"\x00\x01" + text.encode()
    segment = b"\xff\x64" + (len(payload) + 2).to_bytes(2) + payload
    _, at = _main_header(stream)
    return stream[:at] + segment + stream[at:]


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", len(payload) + 8, kind) + payload


def _boxed(stream: bytes, shape: tuple[int, ...], text: str) -> bytes:
    """Return a JP2 file around a codestream, with an XML box that no reader needs."""
    rows, columns, samples = shape
    header = _box(b"ihdr", struct.pack(">IIHBBBB", rows, columns, samples, 7, 7, 0, 0))
    colour = _box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16))
    return b"".join(
        [
            b"\0\0\0\x0cjP  \r\n\x87\n",
            _box(b"ftyp", b"jp2 \0\0\0\0jp2 "),
            _box(b"jp2h", header + colour),
            _box(b"xml ", f"<slide>{text}</slide>".encode()),
            _box(b"jp2c", stream),
        ]
    )
