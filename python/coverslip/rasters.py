"""Finds levels of JPEG and JPEG 2000 that can be decoded, though they cannot be frames."""

import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from coverslip import _core, colour
from coverslip.errors import UnsupportedSlideError
from coverslip.model import Coded, Level, Mosaic, Picture, Raster, Strips

_SAMPLE_SIZE = 12
_LOSSLESS, _JPEG_LS, _SCAN = 0xC3, 0xF7, 0xDA
"""Second bytes of SOF markers, and of SOS."""
_SHORTEST_HEADER = 10
"""Bytes of SOS with one component, its marker with them; SOF has more."""
_LERC_HEADER, _LERC_ERROR_AT = 50, 42
"""Bytes of a header up to the largest error, a double at that place."""
_ROUNDING = 0.5
"""Largest error that LERC states of whole numbers it kept."""
_DEEPEST = 16
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_START_BYTES = 4096
"""In which the header of a JPEG-LS stream is looked for."""


def coded_raster(source: _core.Source, level: Level, judge: colour.Judge) -> Level:
    """Return a level of JPEG or JPEG 2000 as one whose tiles or strips are decoded.

    Its tags then say what comes out of the decoder: 8 or 16 bits, RGB or grey.

    Raises
    ------
    UnsupportedSlideError
        If what comes out of it has no place in a frame, or its colours are not known.
    SourceError
        If a header makes no sense.
    """
    raster = _stored(level)
    sample = _Sample(source, level, raster)
    facts = sample.facts()
    if facts is None:
        method = None if sample.largest_error() == 0 else "ISO_14495_1"
        coded = Coded(process="JPEG-LS", depth=8, is_ycbcr=False, lossy_method=method)
    elif isinstance(facts, _core.JpegFacts):
        coded = _coded_jpeg(facts, sample, judge)
    else:
        coded = _coded_jpeg2000(facts, sample, judge)
    photometric = _RGB if level.samples_per_pixel == 3 else _BLACK_IS_ZERO
    if level.samples_per_pixel == 1 and level.photometric_interpretation == _WHITE_IS_ZERO:
        photometric = _WHITE_IS_ZERO
    name = f"{coded.process} of {coded.depth} bits" if coded.depth != 8 else coded.process
    return replace(
        level,
        bits_per_sample=8 if coded.depth == 8 else 16,
        photometric_interpretation=photometric,
        picture=None,
        raster=replace(raster, codec=name, predictor=1, coded=coded),
    )


def lerc_raster(source: _core.Source, level: Level, raster: Raster) -> Raster:
    """Return tiles or strips of LERC, declared as lossy if one of a sample is.

    Those without the header of LERC are no matter here: they are refused when they are decoded.
    """
    ranges = _Sample(source, level, raster).ranges
    starts = [source.read(offset, min(count, _LERC_HEADER)) for _, offset, count in ranges]
    errors = [
        struct.unpack_from("<d", start, _LERC_ERROR_AT)[0]
        for start in starts
        if start.startswith(b"Lerc2 ") and len(start) == _LERC_HEADER
    ]
    if all(error <= _ROUNDING for error in errors):
        return raster
    coded = Coded(
        process="LERC", depth=level.bits_per_sample, is_ycbcr=False, lossy_method="ESRI_LERC"
    )
    return replace(raster, coded=coded)


def _stored(level: Level) -> Raster:
    """Return the tiles or strips of a level as pieces to be decoded."""
    held = level.raster or level.picture
    if isinstance(held, Raster):
        return held
    if isinstance(held, Mosaic):
        raise UnsupportedSlideError("its tiles have to be put together")
    ranges = level.tiles
    offsets, byte_counts = ranges.offsets, ranges.byte_counts
    width, length = level.tile_width, level.tile_length
    if isinstance(held, Strips):
        offsets, byte_counts = held.offsets, held.byte_counts
        width, length = level.image_width, held.rows_per_strip
    elif isinstance(held, Picture):
        offsets, byte_counts = np.array([[held.offset], [held.byte_count]], np.uint64)
        width, length = level.image_width, level.image_length
    return Raster(
        codec="JPEG",
        offsets=offsets,
        byte_counts=byte_counts,
        width=width,
        length=length,
        is_tiled=held is None,
        is_planar=False,
        predictor=1,
        byte_order="<",
    )


class _Sample:
    """A few pieces of a level that have data, from all over it."""

    def __init__(self, source: _core.Source, level: Level, raster: Raster) -> None:
        self.source = source
        self.level = level
        self.size = raster.width, raster.length
        present = np.flatnonzero(raster.byte_counts)
        if not len(present):
            raise UnsupportedSlideError("the level has no tile with data")
        picked = present[np.linspace(0, len(present) - 1, _SAMPLE_SIZE).astype(np.int64)]
        offsets, counts = raster.offsets, raster.byte_counts
        self.ranges = [(int(p), int(offsets[p]), int(counts[p])) for p in np.unique(picked)]

    def facts(self) -> _core.JpegFacts | _core.Jpeg2000Facts | None:
        """Return what the first piece says, ``None`` if all of them are JPEG-LS of 8 bits."""
        if all(self._is_jpeg_ls(offset, count) for _, offset, count in self.ranges):
            return None
        first, *others = (_core.inspect_any(self.source, *piece) for piece in self.ranges)
        if any(_kind(other) != _kind(first) for other in others):
            raise UnsupportedSlideError("its tiles are of several kinds")
        return first

    def _is_jpeg_ls(self, offset: int, byte_count: int) -> bool:
        """Tell whether a stream is JPEG-LS with the samples of the level (T.87 C.2.2)."""
        samples = self.level.samples_per_pixel
        return any(
            marker == _JPEG_LS and (segment[0], segment[5]) == (8, samples)
            for marker, segment in self._segments(offset, byte_count)
        )

    def _segments(self, offset: int, byte_count: int) -> Iterator[tuple[int, bytes]]:
        """Yield markers and contents of the segments that a JPEG-LS stream begins with."""
        start = self.source.read(offset, min(byte_count, _START_BYTES))
        at = 2
        while start[at : at + 1] == b"\xff" and at + 10 < len(start):
            end = at + 2 + int.from_bytes(start[at + 2 : at + 4])
            if end - at >= _SHORTEST_HEADER:
                yield start[at + 1], start[at + 4 : end]
            at = end

    def largest_error(self) -> int:
        """Return by how much samples of JPEG-LS may differ from what was scanned (T.87 C.2.3)."""
        return max(
            segment[-3]
            for _, offset, byte_count in self.ranges
            for marker, segment in self._segments(offset, byte_count)
            if marker == _SCAN
        )

    def data(self) -> Iterator[bytes]:
        """Yield them."""
        for _, offset, byte_count in self.ranges:
            yield self.source.read(offset, byte_count)


def _kind(facts: _core.JpegFacts | _core.Jpeg2000Facts) -> tuple[object, ...]:
    """Return what must be the same of all pieces of a level."""
    if isinstance(facts, _core.JpegFacts):
        return "JPEG", facts.precision, facts.sof == _LOSSLESS
    return "JPEG 2000", facts.depths, facts.mct, facts.high_throughput


def _coded_jpeg(facts: _core.JpegFacts, sample: _Sample, judge: colour.Judge) -> Coded:
    level, samples = sample.level, len(facts.component_ids)
    _check(level, samples, facts.precision)
    is_lossless, is_ycbcr = facts.sof == _LOSSLESS, False
    if samples == 3:
        tables = level.jpeg_tables or b""
        verdict = colour.of_jpeg(
            facts,
            level.photometric_interpretation,
            lambda: colour.measure_jpeg(sample.data(), tables, sample.size),
            judge,
            is_tag_sure=level.are_colour_tags_sure,
        )
        is_ycbcr = verdict.samples == "YBR"
    if is_lossless and is_ycbcr:
        raise UnsupportedSlideError("its tiles are lossless JPEG of YCbCr")
    return Coded(
        process="lossless JPEG" if is_lossless else "JPEG",
        depth=facts.precision,
        is_ycbcr=is_ycbcr,
        lossy_method=None if is_lossless else "ISO_10918_1",
    )


def _coded_jpeg2000(facts: _core.Jpeg2000Facts, sample: _Sample, judge: colour.Judge) -> Coded:
    if facts.is_signed or len(set(facts.depths)) != 1 or facts.separations[0] != (1, 1):
        raise UnsupportedSlideError(
            "its JPEG 2000 samples are signed, unlike each other or too few for the pixels"
        )
    _check(sample.level, len(facts.depths), facts.depths[0])
    is_ycbcr = False
    # A decoder makes RGB of halved chroma, and of what was transformed.
    if len(facts.depths) == 3 and set(facts.separations) == {(1, 1)} and not facts.mct:
        verdict = colour.of_jpeg2000(
            facts,
            sample.level,
            lambda: colour.measure_jpeg2000(sample.data(), facts, sample.size),
            judge,
        )
        is_ycbcr = verdict.samples == "YBR"
    return Coded(
        process="JPEG 2000",
        depth=facts.depths[0],
        is_ycbcr=is_ycbcr,
        lossy_method="ISO_15444_15" if facts.high_throughput else "ISO_15444_1",
    )


def _check(level: Level, samples: int, depth: int) -> None:
    """Raise for samples that have no place in the IOD, or are not those of the tags."""
    if samples != level.samples_per_pixel or samples not in (1, 3):
        raise UnsupportedSlideError(
            f"its tiles have {samples} components, but tag 277 says {level.samples_per_pixel}"
        )
    if not 8 <= depth <= (_DEEPEST if samples == 1 else 8):
        raise UnsupportedSlideError(f"its tiles have {samples} samples of {depth} bits a pixel")
