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
from coverslip.verification.header import Header
from coverslip.verification.source import LevelTiles, first_offsets, level_tiles
from coverslip.verification.wholes import Whole, wholes_of

PICTURES = ("LABEL", "OVERVIEW", "THUMBNAIL")
"""No tiles of the slide: these were drawn, or changed, or are no level."""

_JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
_COMPOSED = "frames against tiles: they were composed and encoded anew, so no tile has their pixels"

_TOO_MANY = "frames against tiles: there are more parts of the level than are read together"

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
        groups: dict[Key, list[_Member]] = defaultdict(list)
        for path in paths:
            try:
                instance = header.read(path)
            except header.UnreadableError:
                continue  # told when its bytes are looked at
            if instance.flavor not in PICTURES:
                uid = None if instance.part is None else instance.part.uid
                member = _Member(path, uid, instance.frame_count, instance.level_size)
                groups[key_of(instance)].append(member)
        if len(groups) < 2:
            return
        own = {key for key, members in groups.items() if self._is_own(members)}
        self.others = len(groups) - len(own)
        self._own = frozenset(own)
        if not own:
            self.unchecked.append(
                f"frames against tiles: none of the {len(groups)} slides has this one's"
            )

    def _is_own(self, members: "list[_Member]") -> bool:
        """Tell whether instances have the sizes of the levels, and the smallest its frames."""
        sizes = {(level.total_columns, level.total_rows) for level in self.levels}
        if not self.levels or {member.level_size[:2] for member in members} != sizes:
            return False
        least = min(members, key=lambda member: member.frame_count)
        own = [m for m in members if m is least or (m.whole and m.whole == least.whole)]
        (whole,) = wholes_of((member.path, header.read(member.path)) for member in own)
        level = self.level_of(whole.header)
        if level is None:
            return False
        if not are_copied(whole.header, level):
            return not self.made(whole, level).problems
        scanner = _core.Scanner([])
        reports = [
            scanner.check_instance(path, instance.core, tiles=self.tiles_of(instance))
            for path, instance in whole.files
        ]
        are_equal = any(report.frames_equal for report in reports)
        return are_equal and not any(report.problems for report in reports)

    def is_own(self, instance: Header) -> bool:
        """Tell whether an instance is this slide's, or may be."""
        return self._own is None or key_of(instance) in self._own

    def level_of(self, instance: Header) -> LevelTiles | None:
        """Return the level that an instance has the size, frames and light of."""
        if instance.flavor in PICTURES:
            return None
        return next((level for level in self.levels if _is_of(instance, level)), None)

    def tiles_of(self, instance: Header) -> tuple[_core.Source, _core.TileIndex] | None:
        """Return the tiles that the frames of an instance must be, if they are tiles."""
        level = self.level_of(instance)
        tiles = None if level is None else copied(self.slide, instance, level)
        return None if tiles is None else (self.slide.source, tiles)

    def of_level(self, whole: Whole) -> "Made":
        """Return what is wrong with the frames of a level that `tiles_of` does not tell."""
        level = self.level_of(whole.header)
        if level is None:
            return Made()
        if are_copied(whole.header, level):
            return Made(problems=list(left_out(whole, level)))
        return self.made(whole, level)

    def made(self, whole: Whole, level: LevelTiles) -> Made:
        """Compare frames that hold no bytes of a tile with what they were made of."""
        instance = whole.header
        if not whole.is_readable:
            return Made(unchecked=[_TOO_MANY])
        if instance.losses > 1:
            return Made(unchecked=[_COMPOSED])
        if instance.transfer_syntax_uid == _JPEG_2000_LOSSLESS:
            return self._pixels(whole, level)
        if level.coded:
            return _coefficients(whole, level)
        return Made(unchecked=[_COMPOSED])

    def _pixels(self, whole: Whole, level: LevelTiles) -> Made:
        """Compare the pixels of frames with those that the slide has."""
        try:
            offsets, counts = _ranges(whole)
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
            result = self._comparer.compare(self.slide.files, whole.paths, planes)
        except VerificationError as error:
            return Made(unchecked=[str(error)])
        differing = [f"frame {n} has other pixels than the slide" for n in result.different]
        return Made(equal=result.equal, problems=differing)

    def close(self) -> None:
        """End the process that decodes."""
        self._comparer.close()


@dataclass(frozen=True, slots=True)
class _Member:
    """An instance of some slide."""

    path: Path
    whole: str | None
    """Concatenation UID, if it is a part."""
    frame_count: int
    level_size: tuple[int, ...]


def _coefficients(whole: Whole, level: LevelTiles) -> Made:
    """Compare the coefficients of frames with those of the pictures or tiles they came from."""
    # What the samples are makes no difference to their coefficients.
    *_, columns, rows = whole.header.level_size
    frames = _core.JpegFrames(
        columns=columns, rows=rows, colour="YBR", jpeg_tables=level.jpeg_tables
    )
    made = Made()
    try:
        offsets, counts = _ranges(whole, is_filled=True)
        written, each = whole.source(), len(offsets) // len(level.coded)
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
        if whole.places is not None and made.equal != whole.frame_count:
            made.problems.append(
                f"the slide has tiles for {made.equal} of its {whole.frame_count} frames"
            )
    return made


def _ranges(whole: Whole, *, is_filled: bool = False) -> tuple[Uint64Array, Uint64Array]:
    """Return offset and byte count of the frame at each place of the grid.

    Where a sparse instance has none both are 0, or, if they are to be ``is_filled``, those of its
    first frame: where the slide has none either it will not be looked at.
    """
    offsets, counts = whole.ranges()
    numbers = whole.numbers
    if numbers is None:
        return offsets, counts
    grid = np.zeros((2, whole.grid_count), np.uint64)
    if is_filled:
        grid[:] = offsets[:1], counts[:1]
    grid[:, numbers] = offsets, counts
    return grid[0], grid[1]


def are_copied(instance: Header, level: LevelTiles) -> bool:
    """Tell whether frames hold bytes of tiles, and were not made of something."""
    is_made = instance.losses > 1 or instance.transfer_syntax_uid == _JPEG_2000_LOSSLESS
    return not is_made and level.tiles is not None


def copied(slide: OpenedSlide, instance: Header, level: LevelTiles) -> _core.TileIndex | None:
    """Return the tiles whose bytes the frames hold, ``None`` if there are none."""
    if not are_copied(instance, level):
        return None
    if instance.positions is not None:
        return level.some_tiles(slide, instance.positions.numbers)
    if instance.part is None:
        return level.tiles
    first = instance.part.first_frame
    numbers = np.arange(first, first + instance.frame_count, dtype=np.uint64)
    return level.some_tiles(slide, numbers)


def left_out(whole: Whole, level: LevelTiles) -> Iterator[str]:
    """Yield which tile a sparse level has no frame of, or only it has one of."""
    numbers = whole.numbers
    if numbers is not None:
        missing = level.missing()
        if len(more := np.intersect1d(numbers, missing)):
            yield f"tile {int(more[0])} has a frame, and the slide does not have it"
        shown = np.union1d(numbers, missing)
        if len(shown) < whole.grid_count:
            first = int(np.setdiff1d(np.arange(whole.grid_count, dtype=np.uint64), shown)[0])
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
        return _has_frames(instance, grid * len(level.coded))
    is_of = _has_frames(instance, level.frame_count)
    return is_of and (columns, rows) == (level.columns, level.rows)


def _has_frames(instance: Header, count: int) -> bool:
    """Tell whether an instance has so many frames, or some of them if that is what it says."""
    places, part = instance.positions, instance.part
    if places is not None:
        return places.grid_count == count and len(places.numbers) == instance.frame_count
    if part is not None:
        return 0 <= part.first_frame <= part.first_frame + instance.frame_count <= count
    return instance.frame_count == count
