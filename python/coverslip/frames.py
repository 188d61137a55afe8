"""Plans the frames of a level: from its tiles as they are, or from frames that are made first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from coverslip import _core, blank, pixels, recode
from coverslip.errors import CoverslipError, LimitError, SourceError
from coverslip.limits import LIMITS
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
from coverslip.routes.route import DEFLATED_IMAGE_FRAME
from coverslip.sampling import core_picture
from coverslip.slide import OpenedSlide

OnCount = Callable[[int], object]
Flags = npt.NDArray[np.bool_]
_NOTHING_PRIVATE = np.zeros((0, 2), np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFrames:
    """The frames of a level, and the file that holds their bytes."""

    source: _core.Source
    plan: _core.FramePlan
    spool: Path | None = None
    """A file of frames that were made, to be removed when the instance is there."""
    is_rewritten: Flags | None = None
    """Which frames were coded anew, if the others are tiles as they are."""
    source_bytes: int | None = None
    """What the tiles took in the slide, if the frames hold them otherwise."""
    numbers: Uint64Array | None = None
    """Which of the grid's tiles the frames are, if missing ones became none."""
    lossless_bytes: int | None = None
    """What pixels of theirs take that were decoded before a new loss."""

    def ratios(self, uncompressed: int, losses: int) -> tuple[float, ...]:
        """Return how many times less was left after each loss of information, oldest first."""
        if losses > 1 and self.lossless_bytes is not None and self.source_bytes is not None:
            return self.lossless_bytes / self.source_bytes, uncompressed / self.plan.frame_bytes
        is_new = self.source_bytes is None or self.lossless_bytes is not None
        left = self.plan.frame_bytes if is_new else self.source_bytes
        return (uncompressed / left,) if losses and left else ()

    @property
    def rewritten(self) -> int | None:
        """How many frames were coded anew, if the others are tiles as they are."""
        return None if self.is_rewritten is None else int(self.is_rewritten.sum())

    def portion(self, first: int, count: int) -> "PlannedFrames":
        """Return some of the frames, one after the other; ratios are told of all."""
        some = slice(first, first + count)
        return replace(
            self,
            plan=self.plan.portion(first, count),
            is_rewritten=None if self.is_rewritten is None else self.is_rewritten[some],
            numbers=None if self.numbers is None else self.numbers[some],
        )


def stored_bytes(level: Level) -> int:
    """Return how many bytes the pictures or rasters of a level take, in all its focal planes.

    About as many do its frames, if they are cut.
    """
    return sum(_stored_bytes(plane) for plane in level.focal_planes)


def _stored_bytes(plane: Level) -> int:
    if isinstance(plane.picture, Picture):
        return plane.picture.byte_count
    held = plane.picture or plane.raster
    # Claims may add up to more than 64 bits.
    return 0 if held is None else int(held.byte_counts.sum(dtype=np.float64))


def most_output_bytes(slide: OpenedSlide) -> int:
    """Return how many bytes all frames of a slide together may take."""
    return max(LIMITS.output_bytes, LIMITS.output_growth * slide.source.byte_count)


def require_output(slide: OpenedSlide, byte_count: int) -> None:
    """Raise for frames that take too much for what the slide has.

    Raises
    ------
    LimitError
        With the limit's name.
    """
    if byte_count > most_output_bytes(slide):
        raise LimitError(
            f"the slide has {slide.source.byte_count} bytes and its frames would take "
            f"{byte_count}, more than the limits output_bytes = {LIMITS.output_bytes} and "
            f"output_growth = {LIMITS.output_growth}"
        )


def plan_tiles(
    slide: OpenedSlide,
    level: Level,
    route: Route,
    on_tiles: OnCount | None,
    *,
    is_sampled: bool = False,
) -> PlannedFrames:
    """Plan frames that are the tiles of a level; ``on_tiles`` is called with their count.

    If the plan ``is_sampled``, it may turn out to be wrong when it is carried out, with an
    `UnlikeTilesError`.
    """
    private = slide.description.private_ranges
    stored = one_after_another([plane.tiles for plane in level.focal_planes])
    tiles, numbers = _of_frames(stored, route)
    with _counted(numbers):
        plan = _plan(slide.source, level, tiles, private, route, on_tiles, is_sampled=is_sampled)
    return PlannedFrames(source=slide.source, plan=plan, numbers=numbers)


def plan_intervals(
    slide: OpenedSlide,
    level: Level,
    route: Route,
    on_frames: OnCount | None,
    *,
    is_sampled: bool = False,
) -> PlannedFrames:
    """Plan frames that are joined of a level's restart intervals.

    If the plan ``is_sampled``, what the slide tells of the intervals may turn out to be wrong when
    it is carried out, with an `UnlikeTilesError`.
    """
    private = slide.description.private_ranges
    pictures = [
        core_picture(plane, plane.picture, private)
        for plane in level.focal_planes
        if isinstance(plane.picture, Picture)
    ]
    recipe = _recipe(level, route, level.tile_width, level.tile_length)
    plan = _core.plan_stitched(
        slide.source, pictures, recipe, is_sampled=is_sampled, on_progress=on_frames
    )
    return PlannedFrames(source=slide.source, plan=plan)


@contextmanager
def _counted(numbers: Uint64Array | None) -> Iterator[None]:
    """Say of every error of ours in the block that only tiles that are there are counted."""
    try:
        yield
    except CoverslipError as error:
        if numbers is None:
            raise
        raise type(error)(f"of the tiles that are there, {error}", hint=error.hint) from None


def _of_frames(tiles: TileIndex, route: Route) -> tuple[TileIndex, Uint64Array | None]:
    """Return the tiles that become frames, and which of the grid's they are if not all do."""
    if not route.is_sparse or tiles.byte_counts.all() or not tiles.byte_counts.any():
        return tiles, None
    numbers = np.flatnonzero(tiles.byte_counts)
    present = replace(tiles, offsets=tiles.offsets[numbers], byte_counts=tiles.byte_counts[numbers])
    return present, numbers.astype(np.uint64)


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
    tiles, numbers = _of_frames(made.tiles, route)
    plan = _plan(source, level, tiles, _NOTHING_PRIVATE, route, None, made.blank)
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
        recipe = _recipe(level, route, level.tile_width, level.tile_length)
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
        recipe = _recipe(level, route, level.tile_width, level.tile_length)
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


def _recipe(level: Level, route: Route, columns: int, rows: int) -> _core.JpegFrames:
    return _core.JpegFrames(
        columns=columns,
        rows=rows,
        colour=_jpeg_colour(route),
        jpeg_tables=level.jpeg_tables or b"",
        is_emitted=route.is_emitted,
    )


def _jpeg_colour(route: Route) -> Literal["RGB", "YBR", "GREY"]:
    """Return what the samples of JPEG frames are."""
    if route.jpeg_colour is None:
        raise AssertionError(route.reason)
    return route.jpeg_colour


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


def _plan(
    source: _core.Source,
    level: Level,
    tiles: TileIndex,
    private: np.ndarray[tuple[int, int], np.dtype[np.uint64]],
    route: Route,
    on_tiles: OnCount | None,
    blank_frame: bytes | None = None,
    *,
    is_sampled: bool = False,
) -> _core.FramePlan:
    index = _core.TileIndex(source, tiles.offsets, tiles.byte_counts, private)
    columns, rows = level.tile_width, level.tile_length
    needs_blank = route.needs_blank and not tiles.byte_counts.all()
    if route.jpeg_colour is not None:
        return _core.plan_jpeg(
            source,
            index,
            columns=columns,
            rows=rows,
            colour=_jpeg_colour(route),
            jpeg_tables=level.jpeg_tables or b"",
            is_emitted=route.is_emitted,
            is_sampled=is_sampled,
            on_progress=on_tiles,
        )
    frames = route.frame_format
    if frames is not None and frames.transfer_syntax_uid == DEFLATED_IMAGE_FRAME:
        return _core.plan_deflated(
            source,
            index,
            columns=columns,
            rows=rows,
            pixel_bytes=frames.samples_per_pixel * frames.bits_allocated // 8,
            blank=blank.deflated(frames, columns, rows, is_emitted=route.is_emitted),
            on_progress=on_tiles,
        )
    return _core.plan_jpeg2000(
        source,
        index,
        columns=columns,
        rows=rows,
        set_mct=route.set_mct,
        blank=_blank(source, level, route) if needs_blank else blank_frame,
        is_sampled=is_sampled,
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
    return blank.jpeg2000(facts, route.frame_format, *size, is_emitted=route.is_emitted)
