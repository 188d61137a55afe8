"""A level of NDPI that is wider than a JPEG can say: its SOF says 0, its intervals are halves."""

import io

import numpy as np
import pytest
from PIL import Image

import coverslip
from tests.interop import intervals, readers
from tests.synth import identifiers as ids
from tests.synth import ndpi, tiff
from tests.synth.texture import tissue

HALF, LENGTH = 33 * 1024, 16


def half(picture):
    out = io.BytesIO()
    Image.fromarray(picture).save(
        out, "JPEG", quality=82, subsampling="4:4:4", restart_marker_rows=1
    )
    return out.getvalue()


def joined(halves):
    """Return one JPEG of two that lie side by side: their intervals in turns."""
    pieces = [piece for pair in zip(*halves, strict=True) for piece in pair]
    marks = (bytes([0xFF, 0xD0 + number % 8]) for number in range(len(pieces)))
    return b"".join(part for pair in zip(pieces, marks, strict=True) for part in pair)[:-2]


def build_wide(folder):
    """Return the slide, and each half of its level as a JPEG."""
    picture = tissue(2 * HALF, LENGTH, 13)
    halves = [half(np.ascontiguousarray(picture[:, at : at + HALF])) for at in (0, HALF)]
    scan = halves[0].index(b"\xff\xda")
    head = bytearray(halves[0][: scan + 2 + int.from_bytes(halves[0][scan + 2 : scan + 4])])
    sof = head.index(b"\xff\xc0")
    head[sof + 5 : sof + 9] = bytes(4)
    scans = joined([intervals.take_apart(stream).pieces for stream in halves])
    secret, quirk = ids.of(3), ndpi.Quirks()
    tags = ndpi._tags(secret, quirk, 40.0, fluorescence=False) | {
        256: tiff.long(2 * HALF),
        257: tiff.long(LENGTH),
        258: tiff.short(8, 8, 8),
        259: tiff.short(7),
        262: tiff.short(6),
        277: tiff.short(3),
        278: tiff.long(LENGTH),
        282: tiff.rational(43478, 1),
        283: tiff.rational(43478, 1),
        296: tiff.short(3),
    }
    writer = ndpi.NdpiWriter(quirk, gap=b"gap")
    stream = bytes(head) + scans + b"\xff\xd9"
    writer.chain([tiff.Directory(tags, pieces=[stream], tiled=False)])
    path = folder / "wide.ndpi"
    writer.save(path, tail=b"tail")
    return path, halves


@pytest.mark.tools
def test_level_wider_than_a_jpeg_can_be_keeps_its_coefficients(tool, tmp_path):
    path, halves = build_wide(tmp_path)
    # No decoder opens a picture so wide, so nobody can look for bar codes in it either.
    result = coverslip.convert(
        path, tmp_path / "out", ndpi_frames=1024, pixels_attested="its builder"
    )
    frames = readers.frames_of(result.instances[0].path)
    assert result.frames.retiled == len(frames) == 66
    for number in (0, 1, 32, 33, 34, 64, 65):
        side, column = divmod(number * 1024, HALF)
        theirs = readers.by_jpegtran(halves[side], (column, 0, 1024, LENGTH), tool("jpegtran"))
        ours = readers.by_jpegtran(frames[number], (0, 0, 1024, LENGTH), tool("jpegtran"))
        assert ours == theirs
