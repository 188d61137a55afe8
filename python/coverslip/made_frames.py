"""Makes frames where a level has no tiles that can be frames: in a file, which is then planned."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from coverslip import _core, pixels, recode
from coverslip.frames import (
    Flags,
    OnCount,
    PlannedFrames,
    plan_of,
    recipe_of,
    require_output,
    tiles_of_frames,
)
from coverslip.model import (
    Level,
    Mosaic,
    Picture,
    Strips,
    TileIndex,
    Uint64Array,
    one_after_another,
)
from coverslip.mosaics import core_mosaic, mosaic_of
from coverslip.routes import Route
from coverslip.sampling import core_picture
from coverslip.slide import OpenedSlide

_NOTHING_PRIVATE = np.zeros((0, 2), np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """Frames that were made into a file, of one focal plane or of all."""

    tiles: TileIndex
    is_rewritten: Flags | None = None
    source_bytes: int | None = None
    blank: bytes | None = None


_Maker = Callable[[Level, Path, OnCount | None], _Made]
"""Appends the frames of a focal plane to a file."""


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
    is_rewritten = level.picture is None or isinstance(level.picture, Mosaic)
    maker = _rewriter if is_rewritten else _cutter
    return _planned(level, route, spool, maker(slide, route, prove=prove), on_frames)


def _planned(
    level: Level, route: Route, spool: Path, make: _Maker, on_frames: OnCount | None
) -> PlannedFrames:
    """Plan the frames of a level that ``make`` makes into ``spool``."""
    made = _all_planes(level, spool, make, on_frames)
    source = _core.Source(spool)
    tiles, numbers = tiles_of_frames(made.tiles, route)
    plan = plan_of(source, level, tiles, _NOTHING_PRIVATE, route, None, made.blank)
    is_rewritten = made.is_rewritten
    if is_rewritten is not None and numbers is not None:
        is_rewritten = is_rewritten[numbers]
    return PlannedFrames(
        source=source,
        plan=plan,
        spool=spool,
        is_rewritten=is_rewritten,
        source_bytes=made.source_bytes,
        numbers=numbers,
    )


def _all_planes(level: Level, spool: Path, make: _Maker, on_frames: OnCount | None) -> _Made:
    """Make the frames of each focal plane, one plane after another in ``spool``."""
    spool.touch(mode=0o600, exist_ok=False)
    made: list[_Made] = []
    for plane in level.focal_planes:
        done = sum(len(one.tiles.offsets) for one in made)
        made.append(make(plane, spool, _after(on_frames, done)))
    return _Made(
        tiles=one_after_another([one.tiles for one in made]),
        is_rewritten=_joined([one.is_rewritten for one in made]),
        source_bytes=_sum([one.source_bytes for one in made]),
        blank=made[0].blank,
    )


def _after(on_frames: OnCount | None, done: int) -> OnCount | None:
    """Return what counts on from the frames of the planes before."""
    return None if on_frames is None else lambda count: on_frames(done + count)


def _joined(planes: list[Flags | None]) -> Flags | None:
    known = [flags for flags in planes if flags is not None]
    return np.concatenate(known) if known else None


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _cutter(slide: OpenedSlide, route: Route, *, prove: bool) -> _Maker:
    """Return what cuts a picture into frames."""

    def cut(level: Level, spool: Path, on_frames: OnCount | None) -> _Made:
        recipe = recipe_of(level, route, level.tile_width, level.tile_length)
        with _whole_picture(slide, level, route, spool) as (whole, picture):
            ranges = _core.retile(whole, picture, recipe, spool, on_progress=on_frames)
            offsets, byte_counts = _unpacked(ranges)
            if prove:
                _core.prove_retiled(
                    whole, picture, recipe, _core.Source(spool), offsets, byte_counts
                )
        return _Made(tiles=replace(level.tiles, offsets=offsets, byte_counts=byte_counts))

    return cut


def _rewriter(slide: OpenedSlide, route: Route, *, prove: bool) -> _Maker:
    """Return what writes frames with the coefficients of tiles."""

    def rewrite(level: Level, spool: Path, on_frames: OnCount | None) -> _Made:
        source_bytes = int(mosaic_of(level).byte_counts.sum(dtype=np.float64))
        # Tiles may share their bytes, which frames do not.
        require_output(slide, source_bytes)
        mosaic = core_mosaic(level, slide.description.private_ranges)
        recipe = recipe_of(level, route, level.tile_width, level.tile_length)
        ranges, flags = _core.rewrite(slide.source, mosaic, recipe, spool, on_progress=on_frames)
        offsets, byte_counts = _unpacked(ranges)
        if prove:
            frames = _core.Source(spool)
            _core.prove_rewritten(slide.source, mosaic, recipe, frames, offsets, byte_counts)
        return _Made(
            tiles=replace(level.tiles, offsets=offsets, byte_counts=byte_counts),
            is_rewritten=np.frombuffer(flags, np.bool_),
            source_bytes=source_bytes,
        )

    return rewrite


def _unpacked(ranges: tuple[bytes, bytes]) -> tuple[Uint64Array, Uint64Array]:
    """Return offsets and byte counts that the core has packed."""
    offsets, byte_counts = (np.frombuffer(each, "<u8").astype(np.uint64) for each in ranges)
    return offsets, byte_counts


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
            recipe_of(level, route, level.image_width, level.image_length),
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
    most: int,
    prove: bool,
    on_frames: OnCount | None,
) -> PlannedFrames:
    """Decode the tiles of a level into frames in ``spool``, prove them, and plan them.

    No more than ``most`` bytes of frames are made.

    Raises
    ------
    VerificationError
        If a frame does not decode to the pixels of its tile.
    """
    private = slide.description.private_ranges

    def store(plane: Level, spool: Path, on_frames: OnCount | None) -> _Made:
        stored = pixels.store(
            slide.source,
            plane,
            private,
            spool,
            is_emitted=route.is_emitted,
            most=most,
            prove=prove,
            on_frames=on_frames,
        )
        return _Made(tiles=stored.tiles, source_bytes=stored.source_bytes, blank=stored.blank)

    return _planned(level, route, spool, store, on_frames)


def recode_picture(
    slide: OpenedSlide,
    level: Level,
    route: Route,
    spool: Path,
    *,
    most: int,
    on_frames: OnCount | None,
) -> PlannedFrames:
    """Compose the tiles of a level into frames in ``spool``, with a new loss, and plan them.

    No more than ``most`` bytes of frames are made.
    """
    private, quality = slide.description.private_ranges, route.quality
    if quality is None:
        raise AssertionError(route.reason)

    def store(plane: Level, spool: Path, on_frames: OnCount | None) -> _Made:
        stored = recode.store(
            slide.source,
            plane,
            private,
            spool,
            quality=quality,
            most=most,
            on_frames=on_frames,
        )
        return _Made(tiles=stored.tiles, source_bytes=stored.source_bytes)

    planned = _planned(level, route, spool, store, on_frames)
    return replace(planned, lossless_bytes=recode.decoded_bytes(level))
