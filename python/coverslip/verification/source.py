"""What a slide says: the one place where this room asks the reader of slides."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from coverslip import _core
from coverslip.errors import CoverslipError
from coverslip.model import (
    Level,
    Montage,
    Picture,
    Strips,
    Uint64Array,
    one_after_another,
)
from coverslip.mosaics import core_mosaic, is_rewritten
from coverslip.sampling import core_picture
from coverslip.slide import OpenedSlide
from coverslip.verification.hidden import hidden_in
from coverslip.verification.schema import words_of_certificates
from coverslip.verification.terms import Terms, Text, terms_of
from coverslip.verification.words import PublicWords


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """What holds the coefficients of frames that were cut or coded anew."""

    source: _core.Source
    """The file it lies in."""
    held: _core.Picture | _core.Mosaic
    """One JPEG that is the whole level, or its tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTiles:
    """The tiles of a level, to be compared with frames."""

    total_columns: int
    total_rows: int
    columns: int
    rows: int
    frame_count: int
    tiles: _core.TileIndex | None = field(repr=False)
    optical_path: str
    """Its identifier."""
    coded: tuple["Coded", ...] = field(repr=False)
    """What the frames of each focal plane were made of, if they do not hold bytes of tiles."""
    jpeg_tables: bytes = field(repr=False)
    planes: tuple[Level, ...] = field(default=(), repr=False)
    """Its focal planes, whose pixels may have been decoded."""

    def missing(self) -> Uint64Array:
        """Return the numbers of tiles that the slide does not have, if frames hold tiles."""
        counts = one_after_another([plane.tiles for plane in self.planes]).byte_counts
        return np.flatnonzero(counts == 0).astype(np.uint64)

    def some_tiles(self, slide: OpenedSlide, numbers: Uint64Array) -> _core.TileIndex | None:
        """Return those tiles that have certain numbers, ``None`` if the slide has none of them."""
        stored = one_after_another([plane.tiles for plane in self.planes])
        if not stored.byte_counts[numbers].any():
            return None
        return _core.TileIndex(
            slide.source,
            stored.offsets[numbers],
            stored.byte_counts[numbers],
            slide.description.private_ranges,
        )

    @property
    def is_cut(self) -> bool:
        """Whether its frames may have any size, since they were cut out of something larger."""
        return any(isinstance(one.held, _core.Picture) for one in self.coded)


def terms_of_slide(
    slide: OpenedSlide | None,
    listed: tuple[str, ...] = (),
    given: Iterable[str] = (),
    bar_codes: Iterable[str] = (),
    kept: Iterable[str] = (),
) -> Terms:
    """Return what to look for: all that a slide says, its pictures, the operator, and a list.

    Parameters
    ----------
    slide
        The slide; its tags, its path, and what is hidden beside both.
    listed
        Texts that are looked for whatever they are.
    given
        What the operator knows of the slide.
    bar_codes
        What the pictures of the slide say.
    kept
        What a vault keeps of the slide.
    """
    texts = [Text("listed term", line, is_exact=True) for line in listed]
    texts += [Text("given by the operator", value) for value in given]
    texts += [Text("bar code", value) for value in bar_codes]
    texts += [Text("kept in the vault", value) for value in kept]
    keys = set(words_of_certificates())
    out_of_scope: tuple[str, ...] = ()
    if slide is not None:
        hidden = hidden_in(slide)
        texts.extend(_texts(slide))
        texts += [Text("hidden text", text) for text in hidden.texts]
        keys |= {item.key for item in slide.description.metadata.items if item.key is not None}
        out_of_scope = hidden.out_of_scope
    return replace(terms_of(texts, PublicWords(keys)), out_of_scope=out_of_scope)


def _texts(slide: OpenedSlide) -> Iterator[Text]:
    for number, part in enumerate(slide.path_parts):
        yield Text("file name" if number == 0 else "folder name", part.reveal())
    for item in slide.description.metadata.items:
        yield Text(str(item.kind), item.text.reveal())


def listed_terms(path: Path) -> tuple[str, ...]:
    """Return the lines of a file, whatever its encoding; empty ones do not count."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return tuple(line for line in map(str.strip, text.splitlines()) if line)


def level_tiles(slide: OpenedSlide) -> Iterator[LevelTiles]:
    """Yield the tiles of each level that are inside the file, or the picture that holds it."""
    private = slide.description.private_ranges
    for level in slide.levels:
        planes, tiles = level.focal_planes, None
        try:
            coded = tuple(one for plane in planes for one in _coded(slide, plane))
        except CoverslipError:
            coded = ()  # it can only have been decoded
        raster = level.raster
        is_whole = raster is None or (raster.is_tiled and not raster.is_planar)
        is_stored = is_whole and not isinstance(level.picture, Montage)
        if is_stored and not coded and level.has_tiles:
            stored = one_after_another([plane.tiles for plane in planes])
            tiles = _core.TileIndex(slide.source, stored.offsets, stored.byte_counts, private)
        yield LevelTiles(
            total_columns=level.image_width,
            total_rows=level.image_length,
            columns=level.tile_width,
            rows=level.tile_length,
            frame_count=level.frame_count,
            optical_path=str(level.optical_path + 1),
            tiles=tiles,
            coded=coded,
            jpeg_tables=level.jpeg_tables or b"",
            planes=planes,
        )


def first_offsets(plane: Level) -> tuple[int, ...]:
    """Return where the first piece with data of each directory of a plane lies in the slide."""
    parts = np.split(plane.stored_ranges(), 1 + len(plane.other_ifds))
    present = [part[part[:, 1] > 0] for part in parts]
    return tuple(int(part[0, 0]) if len(part) else 0 for part in present)


def _coded(slide: OpenedSlide, plane: Level) -> Iterator[Coded]:
    """Yield what the frames of a focal plane were made of, nothing if they are its tiles."""
    private = slide.description.private_ranges
    if isinstance(plane.picture, Picture):
        yield Coded(source=slide.source, held=core_picture(plane, plane.picture, private))
    elif isinstance(plane.picture, Strips):
        source, whole = _joined(slide, plane, plane.picture)
        yield Coded(source=source, held=whole)
    elif is_rewritten(slide.source, plane):
        yield Coded(source=slide.source, held=core_mosaic(plane, private))


def _joined(slide: OpenedSlide, level: Level, strips: Strips) -> tuple[_core.Source, _core.Picture]:
    """Return JPEG strips as one picture, in a file that is gone when nobody reads it any more."""
    stream = _core.stitch_strips(
        slide.source,
        strips.offsets,
        strips.byte_counts,
        _core.JpegFrames(
            columns=level.image_width,
            rows=level.image_length,
            colour="GREY" if level.samples_per_pixel == 1 else "YBR",
            jpeg_tables=level.jpeg_tables or b"",
        ),
        rows_per_strip=strips.rows_per_strip,
        private=slide.description.private_ranges,
    )
    with tempfile.NamedTemporaryFile() as file:
        file.write(stream)
        file.flush()
        source = _core.Source(file.name)
    whole = Picture(offset=0, byte_count=len(stream))
    return source, core_picture(level, whole, np.zeros((0, 2), np.uint64))
