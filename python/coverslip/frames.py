"""Plans the frames of a level: from its tiles as they are, or from frames that are made first."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coverslip import _core, blank, pixels
from coverslip.errors import SourceError
from coverslip.model import Level, Picture, Strips, TileIndex
from coverslip.routes import Route, core_picture
from coverslip.slide import OpenedSlide

OnCount = Callable[[int], object]
_NOTHING_PRIVATE = np.zeros((0, 2), np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFrames:
    """The frames of a level, and the file that holds their bytes."""

    source: _core.Source
    plan: _core.FramePlan
    spool: Path | None = None
    """A file of frames that were made, to be removed when the instance is there."""
    source_bytes: int | None = None
    """What the tiles took in the slide, if the frames hold them otherwise."""

    @property
    def lossy_bytes(self) -> int:
        """What was left after a loss of information, if there was one."""
        return self.plan.frame_bytes if self.source_bytes is None else self.source_bytes


def stored_bytes(level: Level) -> int:
    """Return how many bytes the pictures of a level take; about as many do its frames."""
    return int(level.stored_ranges()[:, 1].sum())


def plan_tiles(
    slide: OpenedSlide, level: Level, route: Route, on_tiles: OnCount | None
) -> PlannedFrames:
    """Plan frames that are the tiles of a level; ``on_tiles`` is called with their count."""
    private = slide.description.private_ranges
    tiles = _one_after_another(level, [plane.tiles for plane in level.focal_planes])
    plan = _plan(slide.source, level, tiles, private, route, on_tiles)
    return PlannedFrames(source=slide.source, plan=plan)


def _one_after_another(level: Level, planes: list[TileIndex]) -> TileIndex:
    """Return the tiles of all focal planes in the order of TILED_FULL (PS3.3 C.7.6.17.3)."""
    return replace(
        level.tiles,
        offsets=np.concatenate([plane.offsets for plane in planes]),
        byte_counts=np.concatenate([plane.byte_counts for plane in planes]),
    )


def cut_picture(
    slide: OpenedSlide,
    level: Level,
    route: Route,
    spool: Path,
    *,
    prove: bool,
    on_frames: OnCount | None,
) -> PlannedFrames:
    """Cut the picture of a level into frames in ``spool``, prove it, and plan them.

    Raises
    ------
    VerificationError
        If a coefficient of the frames is not that of the picture.
    """

    def cut(plane: Level, part: Path, on_frames: OnCount | None) -> TileIndex:
        recipe = _recipe(plane, route, level.tile_width, level.tile_length)
        with _whole_picture(slide, plane, route, part) as (whole, picture):
            ranges = _core.retile(whole, picture, recipe, part, on_progress=on_frames)
            offsets, byte_counts = (np.frombuffer(each, "<u8").astype(np.uint64) for each in ranges)
            if prove:
                source = _core.Source(part)
                _core.prove_retiled(whole, picture, recipe, source, offsets, byte_counts)
        return replace(plane.tiles, offsets=offsets, byte_counts=byte_counts)

    tiles = _spooled(level, spool, cut, on_frames)
    source = _core.Source(spool)
    plan = _plan(source, level, tiles, _NOTHING_PRIVATE, route, None)
    return PlannedFrames(source=source, plan=plan, spool=spool)


def _spooled(
    level: Level,
    spool: Path,
    make: Callable[[Level, Path, OnCount | None], TileIndex],
    on_frames: OnCount | None,
) -> TileIndex:
    """Make the frames of each focal plane, and put them one after another into ``spool``.

    A plane that is alone is made there; others are copied behind each other.
    """
    if not level.planes_above:
        return make(level, spool, on_frames)
    spool.touch(mode=0o600, exist_ok=False)
    made: list[TileIndex] = []
    with spool.open("wb") as whole:
        for plane in level.focal_planes:
            part = spool.with_suffix(".plane")
            done = sum(len(tiles.offsets) for tiles in made)
            tiles = make(plane, part, _after(on_frames, done))
            made.append(replace(tiles, offsets=tiles.offsets + np.uint64(whole.tell())))
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole)
            part.unlink()
    return _one_after_another(level, made)


def _after(on_frames: OnCount | None, done: int) -> OnCount | None:
    """Return what counts on from the frames of the planes before."""
    return None if on_frames is None else lambda count: on_frames(done + count)


def _recipe(level: Level, route: Route, columns: int, rows: int) -> _core.JpegFrames:
    if route.jpeg_colour is None:
        raise AssertionError(route.reason)
    return _core.JpegFrames(
        columns=columns,
        rows=rows,
        colour=route.jpeg_colour,
        jpeg_tables=level.jpeg_tables or b"",
    )


@contextmanager
def _whole_picture(
    slide: OpenedSlide, level: Level, route: Route, spool: Path
) -> Iterator[tuple[_core.Source, _core.Picture]]:
    """Yield one JPEG that holds a whole level, and the file in which it lies."""
    private = slide.description.private_ranges
    stored = level.picture
    if isinstance(stored, Picture):
        yield slide.source, core_picture(level, stored, private)
    elif isinstance(stored, Strips):
        stream = _core.stitch_strips(
            slide.source,
            stored.offsets,
            stored.byte_counts,
            _recipe(level, route, level.image_width, level.image_length),
            rows_per_strip=stored.rows_per_strip,
            private=private,
        )
        joined = spool.with_suffix(".joined")
        joined.touch(mode=0o600, exist_ok=False)
        joined.write_bytes(stream)
        picture = Picture(offset=0, byte_count=len(stream))
        yield _core.Source(joined), core_picture(level, picture, _NOTHING_PRIVATE)
        joined.unlink()


def store_pixels(
    slide: OpenedSlide,
    level: Level,
    route: Route,
    spool: Path,
    *,
    prove: bool,
    on_frames: OnCount | None,
) -> PlannedFrames:
    """Decode the tiles of a level into frames in ``spool``, prove them, and plan them.

    Raises
    ------
    VerificationError
        If a frame does not decode to the pixels of its tile.
    """
    private = slide.description.private_ranges
    results = []

    def store(plane: Level, part: Path, on_frames: OnCount | None) -> TileIndex:
        stored = pixels.store(slide.source, plane, private, part, prove=prove, on_frames=on_frames)
        results.append(stored)
        return stored.tiles

    tiles = _spooled(level, spool, store, on_frames)
    source = _core.Source(spool)
    plan = _plan(source, level, tiles, _NOTHING_PRIVATE, route, None, results[0].blank)
    source_bytes = sum(stored.source_bytes for stored in results)
    return PlannedFrames(source=source, plan=plan, spool=spool, source_bytes=source_bytes)


def _plan(
    source: _core.Source,
    level: Level,
    tiles: TileIndex,
    private: np.ndarray[tuple[int, int], np.dtype[np.uint64]],
    route: Route,
    on_tiles: OnCount | None,
    blank_frame: bytes | None = None,
) -> _core.FramePlan:
    index = _core.TileIndex(source, tiles.offsets, tiles.byte_counts, private)
    columns, rows = level.tile_width, level.tile_length
    if route.jpeg_colour is not None:
        return _core.plan_jpeg(
            source,
            index,
            columns=columns,
            rows=rows,
            colour=route.jpeg_colour,
            jpeg_tables=level.jpeg_tables or b"",
            on_progress=on_tiles,
        )
    return _core.plan_jpeg2000(
        source,
        index,
        columns=columns,
        rows=rows,
        set_mct=route.set_mct,
        blank=_blank(source, level, route) if route.needs_blank else blank_frame,
        on_progress=on_tiles,
    )


def _blank(source: _core.Source, level: Level, route: Route) -> bytes:
    """Return the JPEG 2000 frame that stands for the missing tiles of a level."""
    tile = int(level.tiles.byte_counts.argmax())
    offset, byte_count = int(level.tiles.offsets[tile]), int(level.tiles.byte_counts[tile])
    size = (level.tile_width, level.tile_length)
    facts = _core.inspect_tile(source, tile, offset, byte_count, *size)
    if not isinstance(facts, _core.Jpeg2000Facts) or route.frame_format is None:
        raise SourceError(f"tile {tile} is JPEG among JPEG 2000 tiles")
    return blank.jpeg2000(facts, route.frame_format, *size)
