"""Divides a level that would be too large a file among several (PS3.3 C.7.6.16.2.2.4)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from coverslip.errors import LimitError, UnlikeTilesError, at_level
from coverslip.instances import InstanceResult, PlannedInstance, header_of
from coverslip.model import CleanMetadata, Part

_MOST_PARTS = 65535
"""In-concatenation Number is US."""
_PART_BYTES = 512
"""What the header of a part has more than that of the whole, at most: three UIDs and numbers."""

Written = tuple[PlannedInstance, InstanceResult]
"""A file, and what it holds: a level or picture, or a part of it."""


def parts_of(
    item: PlannedInstance, clean: CleanMetadata, most: int | None
) -> tuple[PlannedInstance, ...]:
    """Return the parts of a level of which no file has more than some bytes, or all of it.

    Raises
    ------
    LimitError
        If a frame takes more by itself.
    """
    if most is None:
        return (item,)
    header = len(header_of(item, clean, with_positions=False))
    with at_level(item.number):
        counts = _portions(item, most, header)
        if len(counts) > 1:
            counts = _portions(item, most, header + _PART_BYTES)
    if len(counts) == 1:
        return (item,)
    parts, first, done = [], 0, 0
    for number, count in enumerate(counts, start=1):
        part = Part(
            sop_instance_uid=_uid(clean, item.number, number),
            concatenation_uid=clean.concatenation_uids[item.number],
            number=number,
            count=len(counts),
            first_frame=first,
            frame_count=count,
        )
        frames, spec = item.frames.portion(first, count), replace(item.spec, part=part)
        parts.append(replace(item, frames=frames, spec=spec, bytes_before=done))
        first, done = first + count, done + frames.plan.frame_bytes
    return tuple(parts)


def _portions(item: PlannedInstance, most: int, header: int) -> list[int]:
    """Return how many frames each file gets."""
    try:
        counts = item.plan.portions(most, header, item.position_bytes)
    except LimitError as error:
        raise LimitError(str(error), hint="give a larger --max-instance-size") from None
    if len(counts) > _MOST_PARTS:
        raise LimitError(
            f"{len(counts)} parts, of which an instance can have {_MOST_PARTS}",
            hint="give a larger --max-instance-size",
        )
    return counts


def _uid(clean: CleanMetadata, level: int, number: int) -> str:
    if clean.uid_of_part is None:
        raise AssertionError("nobody said that levels may be divided")
    return clean.uid_of_part(level, number)


def write_parts(
    parts: tuple[PlannedInstance, ...],
    write: Callable[[PlannedInstance], InstanceResult],
    withdraw: Callable[[Path], object],
) -> list[Written]:
    """Write the parts of a level, one after the other; all of them or none.

    ``withdraw`` removes a file that was written.

    Raises
    ------
    UnlikeTilesError
        If the plan is from some tiles, and another one is not like them. Nothing is left then.
    """
    written: list[Written] = []
    try:
        for part in parts:
            written.append((part, write(part)))
    except UnlikeTilesError:
        for _, result in written:
            withdraw(result.path)
        raise
    return written
