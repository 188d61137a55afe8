"""Builds the blank JPEG 2000 or Deflate frame of a level; those of JPEG come from the core."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.model import FrameFormat

_SOT, _SOD, _EOC = b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_SIZ, _COD, _COM = 0xFF51, 0xFF52, 0xFF64
_CPRL = 4
"""Progression order component, position, resolution, layer (T.800 Table A.16)."""
_NEAR_LOSSLESS = 60
"""Signal-to-noise ratio in dB; any value keeps a flat picture flat."""


def jpeg2000(
    facts: _core.Jpeg2000Facts,
    frame_format: FrameFormat,
    columns: int,
    rows: int,
    *,
    is_emitted: bool = False,
) -> bytes:
    """Return a codestream of the kind that ``facts`` describe: white, or black if it is emitted."""
    depth = facts.depths[0]
    dtype = np.dtype(np.uint8 if depth == 8 else np.uint16)
    nothing = 0 if is_emitted else (1 << depth) - 1
    if frame_format.photometric_interpretation == "YBR_FULL_422":
        luminance = _encode(np.full((rows, columns), nothing, dtype), facts, mct=False)
        return _with_flat_chroma(luminance, facts)
    if frame_format.samples_per_pixel == 1:
        return _encode(np.full((rows, columns), nothing, dtype), facts, mct=False)
    transformed = frame_format.photometric_interpretation in ("YBR_ICT", "YBR_RCT")
    return _encode(np.full((rows, columns, 3), nothing, dtype), facts, mct=transformed)


def deflated(
    frame_format: FrameFormat, columns: int, rows: int, *, is_emitted: bool = False
) -> bytes:
    """Return a Deflate stream without its wrapping: white, or black if it is emitted."""
    byte = b"\x00" if is_emitted else b"\xff"
    pixel_bytes = frame_format.samples_per_pixel * frame_format.bits_allocated // 8
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(byte * (columns * rows * pixel_bytes)) + deflater.flush()


def _encode(
    picture: npt.NDArray[np.uint8 | np.uint16],
    facts: _core.Jpeg2000Facts,
    *,
    mct: bool,
) -> bytes:
    import imagecodecs

    if facts.high_throughput:
        fast = imagecodecs.htj2k_encode(
            picture, rgb=mct, reversible=facts.reversible, resolutions=facts.decompositions
        )
        return _without_comments(bytes(fast))
    encoded = imagecodecs.jpeg2k_encode(
        picture,
        level=0 if facts.reversible else _NEAR_LOSSLESS,
        codecformat="j2k",
        reversible=facts.reversible,
        mct=mct,
        resolutions=facts.decompositions + 1,
    )
    return _without_comments(bytes(encoded))


def _main_header(codestream: bytes) -> list[tuple[int, bytes]]:
    """Return the marker segments between SOC and the first SOT."""
    segments, at = [], 2
    while codestream[at : at + 2] != _SOT:
        marker, length = struct.unpack_from(">HH", codestream, at)
        segments.append((marker, codestream[at : at + 2 + length]))
        at += 2 + length
    return segments


def _without_comments(codestream: bytes) -> bytes:
    """Drop the comment in which OpenJPEG names itself."""
    segments = _main_header(codestream)
    first_tile_part = 2 + sum(len(segment) for _, segment in segments)
    kept = [segment for marker, segment in segments if marker != _COM]
    return codestream[:2] + b"".join(kept) + codestream[first_tile_part:]


def _with_flat_chroma(luminance: bytes, facts: _core.Jpeg2000Facts) -> bytes:
    """Add two empty chroma components to a grey codestream.

    In component order the packets of the luminance come first and may stay as they are. An
    empty packet is one zero bit, so a zero byte (T.800 B.10.3), and an empty component is 128.
    """
    segments = _main_header(luminance)
    rewritten = [b"\xff\x4f"]
    for marker, segment in segments:
        if marker == _SIZ:
            chroma = b"".join(
                struct.pack(">BBB", segment[40], *separation)
                for separation in facts.separations[1:]
            )
            body = segment[4:38] + struct.pack(">H", 3) + segment[40:43] + chroma
            rewritten.append(struct.pack(">HH", marker, len(body) + 2) + body)
        elif marker == _COD:
            rewritten.append(segment[:5] + bytes([_CPRL]) + segment[6:])
        else:
            rewritten.append(segment)
    first_tile_part = 2 + sum(len(segment) for _, segment in segments)
    packets = luminance[luminance.index(_SOD, first_tile_part) + 2 : luminance.rindex(_EOC)]
    data = packets + bytes(2 * (facts.decompositions + 1))
    tile_part = _SOT + struct.pack(">HHIBB", 10, 0, 14 + len(data), 0, 1) + _SOD + data
    return b"".join(rewritten) + tile_part + _EOC
