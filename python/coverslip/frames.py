"""Plans the frames of a level: of its tiles, or of the restart intervals of its picture."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from coverslip import _core, blank
from coverslip.errors import CoverslipError, LimitError, SourceError
from coverslip.limits import LIMITS
from coverslip.model import (
    Level,
    Picture,
    TileIndex,
    Uint64Array,
    one_after_another,
)
from coverslip.routes import Route
from coverslip.routes.route import DEFLATED_IMAGE_FRAME
from coverslip.sampling import core_picture
from coverslip.slide import OpenedSlide

OnCount = Callable[[int], object]
Flags = npt.NDArray[np.bool_]


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
    tiles, numbers = tiles_of_frames(stored, route)
    with _counted(numbers):
        plan = plan_of(slide.source, level, tiles, private, route, on_tiles, is_sampled=is_sampled)
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
    recipe = recipe_of(level, route, level.tile_width, level.tile_length)
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


def tiles_of_frames(tiles: TileIndex, route: Route) -> tuple[TileIndex, Uint64Array | None]:
    """Return the tiles that become frames, and which of the grid's they are if not all do."""
    if not route.is_sparse or tiles.byte_counts.all() or not tiles.byte_counts.any():
        return tiles, None
    numbers = np.flatnonzero(tiles.byte_counts)
    present = replace(tiles, offsets=tiles.offsets[numbers], byte_counts=tiles.byte_counts[numbers])
    return present, numbers.astype(np.uint64)


def recipe_of(level: Level, route: Route, columns: int, rows: int) -> _core.JpegFrames:
    """Return what JPEG frames of a size are to be like."""
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


def plan_of(
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
    """Plan frames that are tiles of a file: of the slide, or of frames that were made.

    ``blank_frame`` stands for missing tiles of JPEG 2000 if the route does not ask for another.
    """
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
