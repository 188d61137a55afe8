"""One slide: open, describe, scrub, plan, write, verify, commit, certify."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

from coverslip import _core, audit
from coverslip.colour import Samples
from coverslip.commit import staging
from coverslip.deid.policy import Overview as Overview
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.scrub import Scrubbed, scrub
from coverslip.deid.uids import Identity, RandomIdentity
from coverslip.dicom import modules, part10, wsm
from coverslip.dicom.geometry import level_spacing
from coverslip.errors import at_level
from coverslip.frames import PlannedFrames, cut_picture, plan_tiles
from coverslip.model import (
    CleanMetadata,
    FrameFormat,
    InstanceSpec,
    PixelChecks,
    Role,
    RouteKind,
    Spacing,
)
from coverslip.overview import overview_spec, store_overview
from coverslip.pixels import MaskedOverview, examine
from coverslip.routes import Route
from coverslip.slide import OpenedSlide, open, require_copy, require_spacing
from coverslip.verify.frames import read_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a conversion is; numbers only."""

    stage: str
    """``plan`` (tiles), ``cut`` (frames), ``write`` (bytes) or ``verify`` (frames)."""
    level: int
    done: int
    total: int


OnProgress = Callable[[Progress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCounts:
    """What the frames of an instance, or of all instances, are."""

    copied: int
    """The bytes of tiles as they are."""
    retiled: int
    """Cut from a larger picture, coefficients as they are."""
    blank: int
    truncated: int
    """Copied frames whose tile had no end marker; it was added."""
    masked: int = 0
    """An overview: decoded, its label painted over, stored without loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceResult:
    """One file that was written."""

    path: Path
    sop_instance_uid: str
    level: int | None
    """``None`` if it holds no level but the overview."""
    byte_count: int
    frames: FrameCounts
    sha256: str | None
    """Of the whole file; ``None`` without verification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one slide."""

    study_path: Path
    instances: tuple[InstanceResult, ...]
    frames: FrameCounts
    certificate: dict[str, object] = field(repr=False)
    certificate_path: Path
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return what is fit for JSON; it holds no source value."""
        described = asdict(self)
        described["study_path"] = str(self.study_path)
        described["certificate_path"] = str(self.certificate_path)
        for instance in described["instances"]:
            instance["path"] = str(instance["path"])
        return described


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """One level, or the overview, ready to be written."""

    number: int
    """Of the level; the overview's is behind the last."""
    frame_format: FrameFormat
    frames: PlannedFrames
    spec: InstanceSpec

    @property
    def plan(self) -> _core.FramePlan:
        return self.frames.plan


def convert(
    path: str | PathLike[str],
    out_dir: str | PathLike[str],
    *,
    profile: str = "public",
    mpp_um: float | None = None,
    colour: Samples | None = None,
    overview: Overview = "drop",
    pixels_attested: str | None = None,
    verify: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Convert one slide and return what was written.

    The instances appear under ``out_dir/<Study Instance UID>`` all together, or not at all.

    Parameters
    ----------
    path
        The slide.
    out_dir
        Folder for the study; made if it does not exist.
    profile
        Only ``public`` so far: nothing that identifies goes out.
    mpp_um
        Micrometres per pixel of the base level, for a slide that does not tell or tells wrong.
    colour
        What the samples of three-component tiles are, ``RGB`` or ``YBR``, where the slide's own
        signs contradict each other.
    overview
        ``mask`` to write the picture of the whole glass too, its label painted over; it is left
        out where that cannot be done beyond doubt, and `Result.notes` says why.
    pixels_attested
        Who vouches that the pixels show nothing that identifies, whatever the search for bar
        codes and text says; the name goes into the certificate.
    verify
        Whether to read every file back and compare it with the source.
    on_progress
        Called about ten times a second.

    Raises
    ------
    UnsupportedSlideError
        If a level cannot be copied without recoding.
    SourceError, LimitError
        If the slide is damaged, or exceeds a limit.
    PolicyError
        If the pixel spacing is unknown, or the profile is not available.
    QuarantineError
        If the lowest level shows a bar code or text, and nobody vouches for it.
    VerificationError
        If what was written is not what was planned.
    OSError
        Disk, rights; without the source's name.
    """
    policy = Policy(
        profile=Profile(profile),
        mpp_um=mpp_um,
        colour=colour,
        overview=overview,
        pixels_attested=pixels_attested,
    )
    slide = open(path)
    return convert_opened(
        slide,
        Path(fspath(out_dir)),
        policy,
        RandomIdentity(),
        verify=verify,
        on_progress=on_progress,
    )


def convert_opened(
    slide: OpenedSlide,
    out: Path,
    policy: Policy,
    identity: Identity,
    *,
    verify: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Convert an opened slide under an identity; see `convert`."""
    spacing = require_spacing(slide.description, policy)
    routes = slide.routes(colour=policy.colour)
    for number, route in enumerate(routes):
        require_copy(number, route)
    examined = examine(slide, routes, policy)
    scrubbed = scrub(
        slide.description,
        policy,
        identity,
        package_version=_core.__version__,
        pixels=examined.checks,
    )
    # Tiles are planned first: a level that cannot be copied is found before a byte is written.
    plans = {
        number: _plan_tiles(slide, number, route, on_progress)
        for number, route in enumerate(routes)
        if route.kind is RouteKind.COPY
    }
    with staging(out, scrubbed.clean.study_instance_uid) as stage:
        series = stage.study / scrubbed.clean.series_instance_uid
        series.mkdir()
        _require_room(out, sum(frames.plan.frame_bytes for frames in plans.values()))
        planned, written = [], []
        for number, route in enumerate(routes):
            frames = plans.get(number)
            if frames is None:
                spool = stage.spool(number)
                frames = _cut(slide, number, route, spool, on_progress, prove=verify)
            item = _planned(slide, number, route, frames, spacing, scrubbed.clean)
            planned.append(item)
            written.append(_write(item, scrubbed.clean, series, on_progress, verify=verify))
            if frames.spool is not None:
                frames.spool.unlink()
        if examined.overview is not None:
            spool = stage.spool(len(routes))
            item = _planned_overview(slide, examined.overview, scrubbed.clean, spool)
            planned.append(item)
            written.append(_write(item, scrubbed.clean, series, on_progress, verify=verify))
            spool.unlink()
        notes = (*_notes(slide, routes, planned), *examined.notes)
        certificate = _certificate(
            scrubbed, policy, planned, written, examined.checks, verify=verify
        )
        name = f"{scrubbed.clean.container_identifier}.certificate.json"
        audit.write_certificate(stage.study / name, certificate)
        study = stage.commit()
    return Result(
        study_path=study,
        instances=tuple(
            replace(instance, path=study / series.name / instance.path.name) for instance in written
        ),
        frames=_total([instance.frames for instance in written]),
        certificate=certificate,
        certificate_path=study / name,
        notes=notes,
    )


def _plan_tiles(
    slide: OpenedSlide, number: int, route: Route, on_progress: OnProgress | None
) -> PlannedFrames:
    level = slide.levels[number]
    total = level.tiles.across * level.tiles.down
    with at_level(number):
        return plan_tiles(slide, level, route, _report(on_progress, "plan", number, total))


def _cut(
    slide: OpenedSlide,
    number: int,
    route: Route,
    spool: Path,
    on_progress: OnProgress | None,
    *,
    prove: bool,
) -> PlannedFrames:
    level = slide.levels[number]
    on_frames = _report(on_progress, "cut", number, level.tiles.across * level.tiles.down)
    _require_room(spool.parent, level.picture.byte_count if level.picture else 0)
    with at_level(number):
        return cut_picture(slide, level, route, spool, prove=prove, on_frames=on_frames)


def _planned(
    slide: OpenedSlide,
    number: int,
    route: Route,
    frames: PlannedFrames,
    spacing: Spacing,
    clean: CleanMetadata,
) -> _Planned:
    """Fix what the instance of a level will be."""
    level, base, plan = slide.levels[number], slide.levels[0], frames.plan
    frame_format = route.frame_format
    if frame_format is None:  # `require_copy` has raised by then
        raise AssertionError(route.reason)
    bytes_a_pixel = frame_format.samples_per_pixel * frame_format.bits_allocated // 8
    uncompressed = level.tile_width * level.tile_length * bytes_a_pixel * plan.frame_count
    spec = InstanceSpec(
        sop_instance_uid=clean.sop_instance_uids[number],
        instance_number=number + 1,
        is_base=number == 0,
        total_pixel_matrix_columns=level.image_width,
        total_pixel_matrix_rows=level.image_length,
        columns=level.tile_width,
        rows=level.tile_length,
        frame_count=plan.frame_count,
        spacing=level_spacing(spacing, base, level),
        imaged_volume_width_mm=base.image_width * spacing.column_mm,
        imaged_volume_height_mm=base.image_length * spacing.row_mm,
        label_side=slide.description.label_side,
        frame_format=frame_format,
        compression_ratio=uncompressed / plan.frame_bytes,
    )
    return _Planned(number=number, frame_format=frame_format, frames=frames, spec=spec)


def _planned_overview(
    slide: OpenedSlide, masked: MaskedOverview, clean: CleanMetadata, spool: Path
) -> _Planned:
    """Fix what the instance of the overview will be, and encode its frame."""
    number = len(slide.levels)
    spec = overview_spec(masked, clean, slide.description.label_side, number + 1)
    frames = store_overview(masked, spool)
    return _Planned(number=number, frame_format=spec.frame_format, frames=frames, spec=spec)


def _write(
    item: _Planned,
    clean: CleanMetadata,
    series: Path,
    on_progress: OnProgress | None,
    *,
    verify: bool,
) -> InstanceResult:
    """Write one instance under its temporary path, and read it back."""
    path = series / f"{item.spec.sop_instance_uid}.dcm"
    header = part10.encode(wsm.build(clean, item.spec), item.frame_format.transfer_syntax_uid)
    report = _core.write_instance(
        item.frames.source,
        item.plan,
        header,
        path,
        on_progress=_report(on_progress, "write", item.number, item.plan.frame_bytes),
    )
    sha256 = None
    if verify:
        frames = _report(on_progress, "verify", item.number, item.plan.frame_count)
        with at_level(item.number):
            sha256 = read_back(item.frames.source, item.plan, path, on_progress=frames).sha256
    is_level = item.spec.role is Role.VOLUME
    is_cut = item.frames.spool is not None and is_level
    counts = FrameCounts(
        copied=item.plan.copied if is_level and not is_cut else 0,
        retiled=item.plan.copied if is_cut else 0,
        blank=item.plan.blank,
        truncated=item.plan.truncated,
        masked=0 if is_level else item.plan.copied,
    )
    return InstanceResult(
        path=path,
        sop_instance_uid=item.spec.sop_instance_uid,
        level=item.number if is_level else None,
        byte_count=report.byte_count,
        frames=counts,
        sha256=sha256,
    )


def _report(
    on_progress: OnProgress | None, stage: str, level: int, total: int
) -> Callable[[int], object] | None:
    """Return what turns a count of the core into a `Progress`."""
    if on_progress is None:
        return None
    return lambda done: on_progress(
        Progress(stage=stage, level=level, done=min(done, total), total=total)
    )


def _require_room(out: Path, byte_count: int) -> None:
    """Raise before writing if the disk cannot hold the frames.

    Raises
    ------
    OSError
        With ``ENOSPC``.
    """
    if shutil.disk_usage(out).free < byte_count:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _notes(
    slide: OpenedSlide, routes: tuple[Route, ...], planned: list[_Planned]
) -> tuple[str, ...]:
    """Return what the user should know, each thing with the level it is about."""
    notes = list(slide.description.notes)
    for number, route in enumerate(routes):
        notes.extend(f"level {number}: {note}" for note in route.notes)
    for item in planned:
        if item.plan.blank:
            notes.append(f"level {item.number}: {item.plan.blank} missing tiles became blank")
        if item.plan.truncated:
            notes.append(
                f"level {item.number}: {item.plan.truncated} tiles had no end marker; it was added"
            )
    return tuple(notes)


def _certificate(
    scrubbed: Scrubbed,
    policy: Policy,
    planned: list[_Planned],
    written: list[InstanceResult],
    pixels: PixelChecks,
    *,
    verify: bool,
) -> dict[str, object]:
    records = [
        audit.InstanceRecord(
            sop_instance_uid=instance.sop_instance_uid,
            image_type=tuple(modules.image_type(is_base=item.spec.is_base, role=item.spec.role)),
            total_pixel_matrix_columns=item.spec.total_pixel_matrix_columns,
            total_pixel_matrix_rows=item.spec.total_pixel_matrix_rows,
            frames_copied=instance.frames.copied,
            frames_retiled=instance.frames.retiled,
            frames_blank=instance.frames.blank,
            frames_truncated=instance.frames.truncated,
            transfer_syntax_uid=item.frame_format.transfer_syntax_uid,
            photometric_interpretation=item.frame_format.photometric_interpretation,
            sha256=instance.sha256,
            frames_masked=instance.frames.masked,
        )
        for item, instance in zip(planned, written, strict=True)
    ]
    return audit.certificate(
        package_version=_core.__version__,
        policy=policy,
        clean=scrubbed.clean,
        findings=scrubbed.findings,
        instances=records,
        read_back=audit.CheckResult.PASSED if verify else audit.CheckResult.NOT_RUN,
        pixels=pixels,
    )


def _total(counts: list[FrameCounts]) -> FrameCounts:
    return FrameCounts(
        copied=sum(count.copied for count in counts),
        retiled=sum(count.retiled for count in counts),
        blank=sum(count.blank for count in counts),
        truncated=sum(count.truncated for count in counts),
        masked=sum(count.masked for count in counts),
    )
