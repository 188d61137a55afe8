"""One slide: open, describe, scrub, plan, write, verify, commit, certify."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

from coverslip import _core, audit, blank
from coverslip.colour import Samples
from coverslip.commit import staging
from coverslip.deid.custody import Charge, Custody
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.scrub import Scrubbed, scrub
from coverslip.deid.uids import Identity
from coverslip.dicom import modules, part10, wsm
from coverslip.dicom.geometry import level_spacing
from coverslip.errors import SourceError, at_level
from coverslip.model import CleanMetadata, FrameFormat, InstanceSpec, Level, Spacing
from coverslip.routes import Route
from coverslip.slide import OpenedSlide, open, require_copy, require_spacing
from coverslip.verify.frames import read_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a conversion is; numbers only."""

    stage: str
    """``plan`` (tiles), ``write`` (bytes) or ``verify`` (frames)."""
    level: int
    done: int
    total: int


OnProgress = Callable[[Progress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCounts:
    """What the frames of an instance, or of all instances, are."""

    copied: int
    blank: int
    truncated: int
    """Copied frames whose tile had no end marker; it was added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceResult:
    """One file that was written."""

    path: Path
    sop_instance_uid: str
    level: int
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
    """One level, ready to be written."""

    number: int
    level: Level
    frame_format: FrameFormat
    plan: _core.FramePlan
    spec: InstanceSpec


def convert(
    path: str | PathLike[str],
    out_dir: str | PathLike[str],
    *,
    profile: str = "public",
    mpp_um: float | None = None,
    colour: Samples | None = None,
    policy: Policy | None = None,
    custody: Custody | None = None,
    overwrite: bool = False,
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
        What the output is for: ``public``, ``research`` or ``care``.
    mpp_um
        Micrometres per pixel of the base level, for a slide that does not tell or tells wrong.
    colour
        What the samples of three-component tiles are, ``RGB`` or ``YBR``, where the slide's own
        signs contradict each other.
    policy
        All choices in one, in the place of the three above.
    custody
        Key, metadata and vault; by default neither key nor metadata.
    overwrite
        Whether the slide replaces itself in the output, once the new files are complete.
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
        If the pixel spacing is unknown, or the policy cannot be carried out.
    VerificationError
        If what was written is not what was planned.
    OSError
        Disk, rights; without the source's name.
    """
    if policy is None:
        policy = Policy(profile=Profile(profile), mpp_um=mpp_um, colour=colour)
    slide, source, out = open(path), Path(fspath(path)), Path(fspath(out_dir))
    require_spacing(slide.description, policy)
    with (custody or Custody()).of(slide.description, source, out, policy) as charge:
        return convert_opened(
            slide,
            out,
            policy,
            charge.identity,
            charge=charge,
            overwrite=overwrite,
            verify=verify,
            on_progress=on_progress,
        )


def convert_opened(
    slide: OpenedSlide,
    out: Path,
    policy: Policy,
    identity: Identity,
    *,
    charge: Charge | None = None,
    overwrite: bool = False,
    verify: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Convert an opened slide under an identity; see `convert`."""
    spacing = require_spacing(slide.description, policy)
    scrubbed = scrub(
        slide.description,
        policy,
        identity,
        package_version=_core.__version__,
        given=None if charge is None else charge.given,
    )
    clean = scrubbed.clean
    routes = slide.routes(colour=policy.colour)
    for number, route in enumerate(routes):
        require_copy(number, route)
    planned = [
        _plan(slide, number, route, spacing, clean, on_progress)
        for number, route in enumerate(routes)
    ]
    name = f"{clean.slide_pseudonym}.certificate.json"
    entries = (clean.series_instance_uid, name)
    with staging(out, clean.study_instance_uid, entries, overwrite=overwrite) as stage:
        series = stage.study / clean.series_instance_uid
        series.mkdir()
        _require_room(out, sum(item.plan.frame_bytes for item in planned))
        written = [
            _write(slide, item, clean, series, on_progress, verify=verify) for item in planned
        ]
        notes = _notes(slide, routes, planned)
        key_id = charge.key.key_id if charge is not None and charge.key is not None else None
        certificate = _certificate(scrubbed, policy, planned, written, key_id, verify=verify)
        audit.write_certificate(stage.study / name, certificate)
        if charge is not None:
            charge.seal(scrubbed)
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


def _plan(
    slide: OpenedSlide,
    number: int,
    route: Route,
    spacing: Spacing,
    clean: CleanMetadata,
    on_progress: OnProgress | None,
) -> _Planned:
    """Look at every tile of a level and fix what its instance will be."""
    level = slide.levels[number]
    frame_format = route.frame_format
    if frame_format is None:  # `require_copy` has raised by then
        raise AssertionError(route.reason)
    total = level.tiles.across * level.tiles.down
    with at_level(number):
        plan = _frame_plan(
            slide, level, route, frame_format, _report(on_progress, "plan", number, total)
        )
    base = slide.levels[0]
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
    return _Planned(number=number, level=level, frame_format=frame_format, plan=plan, spec=spec)


def _frame_plan(
    slide: OpenedSlide,
    level: Level,
    route: Route,
    frame_format: FrameFormat,
    on_tiles: Callable[[int], object] | None,
) -> _core.FramePlan:
    tiles = _core.TileIndex(
        slide.source,
        level.tiles.offsets,
        level.tiles.byte_counts,
        slide.description.private_ranges,
    )
    if route.jpeg_colour is not None:
        return _core.plan_jpeg(
            slide.source,
            tiles,
            columns=level.tile_width,
            rows=level.tile_length,
            colour=route.jpeg_colour,
            jpeg_tables=level.jpeg_tables or b"",
            on_progress=on_tiles,
        )
    return _core.plan_jpeg2000(
        slide.source,
        tiles,
        columns=level.tile_width,
        rows=level.tile_length,
        set_mct=route.set_mct,
        blank=_blank(slide, level, frame_format) if route.needs_blank else None,
        on_progress=on_tiles,
    )


def _blank(slide: OpenedSlide, level: Level, frame_format: FrameFormat) -> bytes:
    """Return the JPEG 2000 frame that stands for the missing tiles of a level."""
    tile = int(level.tiles.byte_counts.argmax())
    offset, byte_count = int(level.tiles.offsets[tile]), int(level.tiles.byte_counts[tile])
    size = (level.tile_width, level.tile_length)
    facts = _core.inspect_tile(slide.source, tile, offset, byte_count, *size)
    if not isinstance(facts, _core.Jpeg2000Facts):
        raise SourceError(f"tile {tile} is JPEG among JPEG 2000 tiles")
    return blank.jpeg2000(facts, frame_format, *size)


def _write(
    slide: OpenedSlide,
    item: _Planned,
    clean: CleanMetadata,
    series: Path,
    on_progress: OnProgress | None,
    *,
    verify: bool,
) -> InstanceResult:
    """Write one instance under its temporary path, and read it back."""
    path = series / f"{item.spec.sop_instance_uid}.dcm"
    dataset = wsm.build(clean, item.spec)
    header = part10.encode(dataset, item.frame_format.transfer_syntax_uid, wsm.permit(clean))
    report = _core.write_instance(
        slide.source,
        item.plan,
        header,
        path,
        on_progress=_report(on_progress, "write", item.number, item.plan.frame_bytes),
    )
    sha256 = None
    if verify:
        frames = _report(on_progress, "verify", item.number, item.plan.frame_count)
        with at_level(item.number):
            sha256 = read_back(slide.source, item.plan, path, on_progress=frames).sha256
    counts = FrameCounts(
        copied=item.plan.copied, blank=item.plan.blank, truncated=item.plan.truncated
    )
    return InstanceResult(
        path=path,
        sop_instance_uid=item.spec.sop_instance_uid,
        level=item.number,
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
    key_id: str | None,
    *,
    verify: bool,
) -> dict[str, object]:
    records = [
        audit.InstanceRecord(
            sop_instance_uid=instance.sop_instance_uid,
            image_type=tuple(modules.image_type(is_base=item.spec.is_base)),
            total_pixel_matrix_columns=item.spec.total_pixel_matrix_columns,
            total_pixel_matrix_rows=item.spec.total_pixel_matrix_rows,
            frames_copied=instance.frames.copied,
            frames_blank=instance.frames.blank,
            frames_truncated=instance.frames.truncated,
            transfer_syntax_uid=item.frame_format.transfer_syntax_uid,
            photometric_interpretation=item.frame_format.photometric_interpretation,
            sha256=instance.sha256,
        )
        for item, instance in zip(planned, written, strict=True)
    ]
    return audit.certificate(
        package_version=_core.__version__,
        policy=policy,
        clean=scrubbed.clean,
        findings=scrubbed.findings,
        instances=records,
        key_id=key_id,
        read_back=audit.CheckResult.PASSED if verify else audit.CheckResult.NOT_RUN,
    )


def _total(counts: list[FrameCounts]) -> FrameCounts:
    return FrameCounts(
        copied=sum(count.copied for count in counts),
        blank=sum(count.blank for count in counts),
        truncated=sum(count.truncated for count in counts),
    )
