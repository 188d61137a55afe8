"""Compares frames with the slide that they came from, once it is known which are its own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coverslip import _core
from coverslip.errors import VerificationError
from coverslip.model import Uint64Array
from coverslip.slide import OpenedSlide
from coverslip.verification import decoded, header
from coverslip.verification.frames import frame_ranges
from coverslip.verification.header import Header
from coverslip.verification.source import LevelTiles, first_offsets, level_tiles

PICTURES = ("LABEL", "OVERVIEW", "THUMBNAIL")
"""No tiles of the slide: these were drawn, or changed, or are no level."""

_JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
_COMPOSED = "frames against tiles: they were composed and encoded anew, so no tile has their pixels"

Key = tuple[str, str]
"""Study Instance UID and Container Identifier: what tells slides in a folder apart."""


def key_of(instance: Header) -> Key:
    """Return which slide an instance says it is of."""
    return instance.uids[0], instance.container_identifier


@dataclass(slots=True, kw_only=True)
class Made:
    """What came of comparing frames with what they were made of."""

    equal: int = 0
    """Frames that are right."""
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Comparison:
    """A slide, and which of the slides in a folder it became."""

    slide: OpenedSlide
    levels: tuple[LevelTiles, ...] = field(init=False)
    others: int = 0
    """Slides in the folder that are others."""
    unchecked: list[str] = field(default_factory=list)
    _own: frozenset[Key] | None = field(default=None, repr=False)
    """``None`` as long as there is one slide only."""
    _comparer: decoded.Comparer = field(default_factory=decoded.Comparer, repr=False)

    def __post_init__(self) -> None:
        self.levels = tuple(level_tiles(self.slide))

    def choose(self, paths: Iterable[Path]) -> None:
        """Find the instances that are this slide's, by the frames of their smallest level."""
        groups = defaultdict(list)
        for path in paths:
            try:
                instance = header.read(path)
            except header.UnreadableError:
                continue  # told when its bytes are looked at
            if instance.flavor not in PICTURES:
                groups[key_of(instance)].append((path, instance.frame_count, instance.level_size))
        if len(groups) < 2:
            return
        own = {key for key, members in groups.items() if self._is_own(members)}
        self.others = len(groups) - len(own)
        self._own = frozenset(own)
        if not own:
            self.unchecked.append(
                f"frames against tiles: none of the {len(groups)} slides has this one's"
            )

    def _is_own(self, members: list[tuple[Path, int, tuple[int, ...]]]) -> bool:
        """Tell whether instances have the sizes of the levels, and the smallest its frames."""
        sizes = {(level.total_columns, level.total_rows) for level in self.levels}
        if not self.levels or {size[:2] for _, _, size in members} != sizes:
            return False
        path = min(members, key=lambda member: member[1])[0]
        instance = header.read(path)
        level = self.level_of(instance)
        if level is None:
            return False
        tiles = copied(self.slide, instance, level)
        if tiles is None:
            return not self.made(path, instance, level).problems
        report = _core.Scanner([]).check_instance(
            path, instance.core, tiles=(self.slide.source, tiles)
        )
        return report.frames_equal > 0 and not report.problems

    def is_own(self, instance: Header) -> bool:
        """Tell whether an instance is this slide's, or may be."""
        return self._own is None or key_of(instance) in self._own

    def level_of(self, instance: Header) -> LevelTiles | None:
        """Return the level that an instance has the size, frames and light of."""
        return next((level for level in self.levels if _is_of(instance, level)), None)

    def made(self, path: Path, instance: Header, level: LevelTiles) -> Made:
        """Compare frames that hold no bytes of a tile with what they were made of."""
        if instance.losses > 1:
            return Made(unchecked=[_COMPOSED])
        if instance.transfer_syntax_uid == _JPEG_2000_LOSSLESS:
            return self._pixels(path, instance, level)
        if level.coded:
            return _coefficients(path, instance, level)
        return Made(unchecked=[_COMPOSED])

    def _pixels(self, path: Path, instance: Header, level: LevelTiles) -> Made:
        """Compare the pixels of frames with those that the slide has."""
        try:
            offsets, counts = _ranges(path, instance)
            each = len(offsets) // len(level.planes)
            planes = [
                decoded.Plane(
                    image_width=level.total_columns,
                    image_length=level.total_rows,
                    columns=level.columns,
                    rows=level.rows,
                    first_offsets=first_offsets(plane),
                    offsets=offsets[number * each : (number + 1) * each],
                    byte_counts=counts[number * each : (number + 1) * each],
                )
                for number, plane in enumerate(level.planes)
            ]
            result = self._comparer.compare(self.slide.files, path, planes)
        except VerificationError as error:
            return Made(unchecked=[str(error)])
        differing = [f"frame {n} has other pixels than the slide" for n in result.different]
        return Made(equal=result.equal, problems=differing)

    def close(self) -> None:
        """End the process that decodes."""
        self._comparer.close()


def _coefficients(path: Path, instance: Header, level: LevelTiles) -> Made:
    """Compare the coefficients of frames with those of the pictures or tiles they came from."""
    # What the samples are makes no difference to their coefficients.
    *_, columns, rows = instance.level_size
    frames = _core.JpegFrames(
        columns=columns, rows=rows, colour="YBR", jpeg_tables=level.jpeg_tables
    )
    made = Made()
    try:
        offsets, counts = _ranges(path, instance, is_filled=True)
        written, each = _core.Source(path), len(offsets) // len(level.coded)
        for plane, coded in enumerate(level.coded):
            part = slice(plane * each, (plane + 1) * each)
            ranges = (written, offsets[part], counts[part])
            if isinstance(coded.held, _core.Mosaic):
                made.equal += _core.prove_rewritten(coded.source, coded.held, frames, *ranges)
            else:
                _core.prove_retiled(coded.source, coded.held, frames, *ranges)
                made.equal += each
    except VerificationError as error:
        made.problems.append(str(error))
    else:
        if instance.positions is not None and made.equal != instance.frame_count:
            made.problems.append(
                f"the slide has tiles for {made.equal} of its {instance.frame_count} frames"
            )
    return made


def _ranges(
    path: Path, instance: Header, *, is_filled: bool = False
) -> tuple[Uint64Array, Uint64Array]:
    """Return offset and byte count of the frame at each place of the grid.

    Where a sparse instance has none both are 0, or, if they are to be ``is_filled``, those of its
    first frame: where the slide has none either it will not be looked at.
    """
    offsets, counts = frame_ranges(path, instance.pixel_data_offset, instance.frame_count)
    places = instance.positions
    if places is None:
        return offsets, counts
    whole = np.zeros((2, places.grid_count), np.uint64)
    if is_filled:
        whole[:] = offsets[:1], counts[:1]
    whole[:, places.numbers] = offsets, counts
    return whole[0], whole[1]


def copied(slide: OpenedSlide, instance: Header, level: LevelTiles) -> _core.TileIndex | None:
    """Return the tiles whose bytes the frames hold, ``None`` if they were made of something."""
    is_made = instance.losses > 1 or instance.transfer_syntax_uid == _JPEG_2000_LOSSLESS
    if is_made or level.tiles is None or instance.positions is None:
        return None if is_made else level.tiles
    return level.some_tiles(slide, instance.positions.numbers)


def left_out(instance: Header, level: LevelTiles) -> Iterator[str]:
    """Yield which tile a sparse instance has no frame of, though the slide has it."""
    places = instance.positions
    if places is not None:
        shown = np.union1d(places.numbers, level.missing())
        if len(shown) < places.grid_count:
            first = int(np.setdiff1d(np.arange(places.grid_count, dtype=np.uint64), shown)[0])
            yield f"tile {first} of the slide has no frame"


def _is_of(instance: Header, level: LevelTiles) -> bool:
    """Tell whether an instance has the size and frames of a level, and its light."""
    *total, columns, rows = instance.level_size
    if total != [level.total_columns, level.total_rows]:
        return False
    if instance.optical_path != level.optical_path or min(columns, rows) < 1:
        return False
    if level.is_cut:
        grid = -(-level.total_columns // columns) * -(-level.total_rows // rows)
        return instance.frame_count == grid * len(level.coded)
    places = instance.positions
    grid_count = instance.frame_count if places is None else places.grid_count
    if places is not None and len(places.numbers) != instance.frame_count:
        return False
    has_frames = grid_count == level.frame_count
    return has_frames and (columns, rows) == (level.columns, level.rows)
