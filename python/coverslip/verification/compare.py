"""Compares frames with the slide that they came from, once it is known which are its own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coverslip import _core
from coverslip.errors import VerificationError
from coverslip.slide import OpenedSlide
from coverslip.verification import header
from coverslip.verification.frames import frame_ranges
from coverslip.verification.header import Header
from coverslip.verification.source import LevelTiles, level_tiles

PICTURES = ("LABEL", "OVERVIEW")
"""No tiles of the slide: these were drawn, or changed."""

Key = tuple[str, str]
"""Study Instance UID and Container Identifier: what tells slides in a folder apart."""


def key_of(instance: Header) -> Key:
    """Return which slide an instance says it is of."""
    return instance.uids[0], instance.container_identifier


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
        if level.tiles is None:
            return not list(self.coefficients(path, instance, level, []))
        report = _core.Scanner([]).check_instance(
            path, instance.core, tiles=(self.slide.source, level.tiles)
        )
        return report.frames_equal > 0 and not report.problems

    def is_own(self, instance: Header) -> bool:
        """Tell whether an instance is this slide's, or may be."""
        return self._own is None or key_of(instance) in self._own

    def level_of(self, instance: Header) -> LevelTiles | None:
        """Return the level that an instance has the size, frames and light of."""
        return next((level for level in self.levels if _is_of(instance, level)), None)

    def coefficients(
        self, path: Path, instance: Header, level: LevelTiles, equal: list[int]
    ) -> Iterator[str]:
        """Compare the coefficients of frames with those of the pictures or tiles they came from.

        Yields what is wrong; the number of frames that are right goes to ``equal``.
        """
        # What the samples are makes no difference to their coefficients.
        *_, columns, rows = instance.level_size
        frames = _core.JpegFrames(
            columns=columns, rows=rows, colour="YBR", jpeg_tables=level.jpeg_tables
        )
        try:
            offsets, counts = frame_ranges(path, instance.pixel_data_offset, instance.frame_count)
            written, each = _core.Source(path), len(offsets) // len(level.coded)
            for plane, coded in enumerate(level.coded):
                part = slice(plane * each, (plane + 1) * each)
                ranges = (written, offsets[part], counts[part])
                if isinstance(coded.held, _core.Mosaic):
                    equal.append(_core.prove_rewritten(coded.source, coded.held, frames, *ranges))
                else:
                    _core.prove_retiled(coded.source, coded.held, frames, *ranges)
                    equal.append(each)
        except VerificationError as error:
            yield str(error)


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
    has_frames = instance.frame_count == level.frame_count
    return has_frames and (columns, rows) == (level.columns, level.rows)
