"""One instance: how its frames come to be, what its header says, and the file."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coverslip import _core
from coverslip.associated import AssociatedPicture, picture_spec, store_picture
from coverslip.beside import Follower
from coverslip.dicom import part10, wsm
from coverslip.dicom.geometry import level_spacing, region_spacing
from coverslip.errors import UnlikeTilesError, at_level
from coverslip.frames import PlannedFrames, plan_intervals, plan_tiles, stored_bytes
from coverslip.made_frames import cut_picture, recode_picture, store_pixels
from coverslip.model import CleanMetadata, FrameFormat, InstanceSpec, RouteKind, Spacing
from coverslip.routes import Route
from coverslip.slide import OpenedSlide
from coverslip.verification.output import OutputCheck

_PAST_CACHE_BYTES = 64 << 20
"""From here on an instance that is not read back is written past the page cache; a smaller one is
on the disk soon enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a conversion is; numbers only."""

    stage: str
    """``plan`` (frames), ``cut``, ``decode`` or ``compose`` (frames), ``write`` and ``verify``
    (bytes), and at last ``commit``."""
    level: int
    done: int
    total: int
    byte_count: int = 0
    """Of a level that is cut or decoded, as it is stored in the slide."""


OnProgress = Callable[[Progress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCounts:
    """What the frames of an instance, or of all instances, are."""

    copied: int
    """The bytes of tiles as they are."""
    stitched: int
    """Joined of the restart intervals of a larger picture, their bytes as they are."""
    retiled: int
    """Cut from a larger picture, coefficients as they are."""
    pixel: int
    """Decoded and stored with a lossless codec, pixels as they are."""
    blank: int
    truncated: int
    """Copied frames whose tile had no end marker; it was added."""
    picture: int = 0
    """A label or overview, stored with a lossless codec."""
    absent: int = 0
    """Tiles that are missing and became no frame: there are so many fewer."""
    recoded: int = 0
    """Decoded, composed and encoded with a new loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceResult:
    """One file that was written."""

    path: Path
    sop_instance_uid: str
    level: int | None
    """``None`` if it holds no level but the overview."""
    byte_count: int
    frames: FrameCounts
    blake3: str | None
    """Of the whole file; ``None`` without verification."""
    part: int = 1
    """Which part of the level it is, from 1."""
    parts: int = 1
    """How many parts the level has: more than one are a concatenation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedInstance:
    """One level, or a picture beside the levels, ready to be written."""

    number: int
    """Of the level; those of pictures are behind the last."""
    route: Route | None
    """``None`` for a picture."""
    frame_format: FrameFormat
    frames: PlannedFrames
    spec: InstanceSpec
    level_bytes: int
    """Of all its frames, and not of a part of them only."""
    bytes_before: int = 0
    """Of the frames in parts of the level before this one."""

    @property
    def plan(self) -> _core.FramePlan:
        """The plan of its frames."""
        return self.frames.plan

    @property
    def segments_dropped(self) -> int | None:
        """How many segments and boxes of its tiles were left out, if frames are all of these."""
        is_copied = self.route is not None and self.route.kind is RouteKind.COPY
        return self.plan.dropped_segments if is_copied else None

    @property
    def absent(self) -> int:
        """How many missing tiles became no frame: of a part those up to the next one's first."""
        numbers, own = self.spec.frame_numbers, self.spec.frames
        if numbers is None:
            return 0
        start = int(numbers[own.start]) if own.start else 0
        is_last = own.stop == self.spec.frame_count
        end = self.spec.grid_count if is_last else int(numbers[own.stop])
        return end - start - len(own)

    @property
    def position_bytes(self) -> int:
        """How many bytes the place of a frame takes in the header, at most."""
        return wsm.position_bytes(self.spec)


def plan_level(
    slide: OpenedSlide,
    number: int,
    route: Route,
    on_progress: OnProgress | None,
    *,
    is_sampled: bool,
) -> PlannedFrames:
    """Plan the frames of a level that hold its bytes as they are, from all of them or some."""
    level = slide.levels[number]
    plan = plan_intervals if route.kind is RouteKind.STITCH else plan_tiles
    with at_level(number):
        on_frames = _report(on_progress, "plan", number, level.frame_count)
        return plan(slide, level, route, on_frames, is_sampled=is_sampled)


def make_frames(
    slide: OpenedSlide,
    number: int,
    route: Route,
    spool: Path,
    on_progress: OnProgress | None,
    *,
    most: int,
    prove: bool,
) -> PlannedFrames:
    """Make the frames of a level that do not hold its bytes as they are, at most so many bytes."""
    level = slide.levels[number]
    total = level.frame_count
    with at_level(number):
        if route.kind is RouteKind.RECODE:
            on_frames = _report(on_progress, "compose", number, total, stored_bytes(level))
            return recode_picture(slide, level, route, spool, most=most, on_frames=on_frames)
        if level.raster is not None:
            on_frames = _report(on_progress, "decode", number, total, stored_bytes(level))
            return store_pixels(
                slide, level, route, spool, most=most, prove=prove, on_frames=on_frames
            )
        on_frames = _report(on_progress, "cut", number, total, stored_bytes(level))
        return cut_picture(slide, level, route, spool, prove=prove, on_frames=on_frames)


def planned_level(
    slide: OpenedSlide,
    number: int,
    route: Route,
    frames: PlannedFrames,
    spacing: Spacing,
    clean: CleanMetadata,
) -> PlannedInstance:
    """Fix what the instance of a level will be."""
    level, plan = slide.levels[number], frames.plan
    frame_format = route.frame_format
    if frame_format is None:  # `require_copy` has raised by then
        raise AssertionError(route.reason)
    of_region = [other for other in slide.levels[: number + 1] if other.region == level.region]
    of_path = [other for other in of_region if other.optical_path == level.optical_path]
    base = of_path[0]
    spacing = region_spacing(spacing, slide.levels[0], base)
    bytes_a_pixel = frame_format.samples_per_pixel * frame_format.bits_allocated // 8
    uncompressed = level.tile_width * level.tile_length * bytes_a_pixel * plan.frame_count
    spec = InstanceSpec(
        sop_instance_uid=clean.sop_instance_uids[number],
        region=level.region,
        instance_number=len(of_region),
        is_base=len(of_path) == 1,
        total_pixel_matrix_columns=level.image_width,
        total_pixel_matrix_rows=level.image_length,
        columns=level.tile_width,
        rows=level.tile_length,
        frame_count=plan.frame_count,
        frame_numbers=frames.numbers,
        is_emitted=route.is_emitted,
        spacing=level_spacing(spacing, base, level),
        optical_path=level.optical_path,
        focal_planes=len(level.focal_planes),
        plane_distance_um=level.plane_distance_um,
        imaged_volume_width_mm=base.image_width * spacing.column_mm,
        imaged_volume_height_mm=base.image_length * spacing.row_mm,
        label_side=slide.description.label_side,
        frame_format=frame_format,
        compression_ratios=frames.ratios(uncompressed, len(frame_format.lossy_methods)),
        is_composed=route.kind is RouteKind.RECODE,
    )
    return PlannedInstance(
        number=number,
        route=route,
        frame_format=frame_format,
        frames=frames,
        spec=spec,
        level_bytes=plan.frame_bytes,
    )


def planned_picture(
    slide: OpenedSlide, picture: AssociatedPicture, uid: str, number: int, spool: Path
) -> PlannedInstance:
    """Fix what the instance of a label or overview will be, and encode its frame."""
    spec = picture_spec(picture, uid, slide.description.label_side, number + 1)
    frames = store_picture(picture, spool)
    return PlannedInstance(
        number=number,
        route=None,
        frame_format=spec.frame_format,
        frames=frames,
        spec=spec,
        level_bytes=frames.plan.frame_bytes,
    )


def header_of(item: PlannedInstance, clean: CleanMetadata, *, with_positions: bool = True) -> bytes:
    """Return what stands before the frames of an instance.

    Without positions it has the place of the first frame of a sparse level only.
    """
    dataset, syntax = wsm.build(clean, item.spec), item.frame_format.transfer_syntax_uid
    positions = wsm.positions(clean, item.spec) if with_positions else None
    return part10.encode(dataset, syntax, wsm.permit(clean), positions)


def write_instance(
    item: PlannedInstance,
    clean: CleanMetadata,
    folders: list[Path],
    on_progress: OnProgress | None,
    *,
    on_written: Callable[[Path], None],
    check: OutputCheck | None,
    past_cache: bool,
) -> InstanceResult:
    """Write one instance under its temporary path, and read it back meanwhile if there is a check.

    ``on_written`` is called when the file does not change any more. ``past_cache`` says whether a
    large file may go straight to the disk, if it is not read back.

    Raises
    ------
    UnlikeTilesError
        If the plan is from some tiles, and another one is not like them. Nothing is left then.
    """
    path = folders[item.spec.region] / f"{item.spec.file_uid}.dcm"
    header = header_of(item, clean)
    write = partial(
        _core.write_instance,
        item.frames.source,
        item.plan,
        header,
        path,
        on_progress=_report_part(on_progress, "write", item),
    )
    try:
        if check is None:
            report = write(past_cache=past_cache and item.plan.frame_bytes >= _PAST_CACHE_BYTES)
            on_written(path)
        else:
            behind = partial(check.instance, item.frames.source, item.plan, path, header)
            with Follower(behind) as follower:
                report = write(digest=True, written=follower.written)
                on_written(path)
                with at_level(item.number):
                    follower.wait(_report_part(on_progress, "verify", item))
    except UnlikeTilesError:
        path.unlink()
        raise
    part = item.spec.part
    kind, made = None if item.route is None else item.route.kind, item.plan.copied
    rewritten = made if item.frames.rewritten is None else item.frames.rewritten
    counts = FrameCounts(
        copied=made if kind is RouteKind.COPY else made - rewritten,
        stitched=made if kind is RouteKind.STITCH else 0,
        retiled=rewritten if kind is RouteKind.RETILE else 0,
        pixel=made if kind is RouteKind.PIXEL else 0,
        recoded=made if kind is RouteKind.RECODE else 0,
        blank=item.plan.blank,
        absent=item.absent,
        truncated=item.plan.truncated,
        picture=made if kind is None else 0,
    )
    return InstanceResult(
        path=path,
        sop_instance_uid=item.spec.file_uid,
        level=None if item.route is None else item.number,
        byte_count=report.byte_count,
        frames=counts,
        blake3=report.blake3,
        part=1 if part is None else part.number,
        parts=1 if part is None else part.count,
    )


def _report_part(
    on_progress: OnProgress | None, stage: str, item: PlannedInstance
) -> Callable[[int], object] | None:
    """Return what tells the progress of a level by that of a part of it."""
    report = _report(on_progress, stage, item.number, item.level_bytes)
    return None if report is None else lambda done: report(item.bytes_before + done)


def _report(
    on_progress: OnProgress | None, stage: str, level: int, total: int, byte_count: int = 0
) -> Callable[[int], object] | None:
    """Return what turns a count of the core into a `Progress`."""
    if on_progress is None:
        return None
    return lambda done: on_progress(
        Progress(
            stage=stage, level=level, done=min(done, total), total=total, byte_count=byte_count
        )
    )


def total(counts: list[FrameCounts]) -> FrameCounts:
    """Return the sums over instances."""
    return FrameCounts(
        copied=sum(count.copied for count in counts),
        stitched=sum(count.stitched for count in counts),
        retiled=sum(count.retiled for count in counts),
        pixel=sum(count.pixel for count in counts),
        recoded=sum(count.recoded for count in counts),
        blank=sum(count.blank for count in counts),
        absent=sum(count.absent for count in counts),
        truncated=sum(count.truncated for count in counts),
        picture=sum(count.picture for count in counts),
    )
