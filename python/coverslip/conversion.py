"""One slide: open, describe, scrub, plan, write, verify, commit, certify."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from coverslip import _core, audit
from coverslip.colour import Samples
from coverslip.commit import staging
from coverslip.deid.custody import Charge, Custody
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.scrub import Scrubbed, scrub
from coverslip.deid.uids import Identity
from coverslip.dicom import modules, part10, wsm
from coverslip.dicom.geometry import level_spacing, region_spacing
from coverslip.errors import at_level
from coverslip.frames import PlannedFrames, cut_picture, plan_tiles, store_pixels, stored_bytes
from coverslip.model import (
    CleanMetadata,
    FrameFormat,
    InstanceSpec,
    PixelChecks,
    RouteKind,
    Spacing,
)
from coverslip.overview import overview_spec, store_overview
from coverslip.routes import Route
from coverslip.search import MaskedOverview, examine
from coverslip.slide import OpenedSlide, open, require_copy, require_spacing
from coverslip.verification.check import require_clean
from coverslip.verification.frames import read_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a conversion is; numbers only."""

    stage: str
    """``plan`` (tiles), ``cut`` or ``decode`` (frames), ``write`` (bytes), ``verify`` (frames)."""
    level: int
    done: int
    total: int


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
    route: Route | None
    """``None`` for an overview."""
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
    allow_pixel: bool = False,
    overview: Literal["drop", "mask"] = "drop",
    pixels_attested: str | None = None,
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
        Micrometres per pixel of the first level, for a slide that does not tell or tells wrong.
        Other regions follow in the proportion that the slide says.
    colour
        What the samples of three-component tiles are, ``RGB`` or ``YBR``, where the slide's own
        signs contradict each other.
    allow_pixel
        Whether tiles that cannot be frames as they are, Deflate or LZW for example, may be decoded
        and stored with a lossless codec; without it such a slide is refused.
    overview
        ``mask`` to write the picture of the whole glass too, its label painted over; it is left
        out where that cannot be done beyond doubt, and `Result.notes` says why.
    pixels_attested
        Who vouches that the pixels show nothing that identifies, whatever the search for bar
        codes and text says; the name goes into the certificate.
    policy
        All choices in one, in the place of the six above.
    custody
        Key, metadata and vault; by default neither key nor metadata.
    overwrite
        Whether the slide replaces itself in the output, once the new files are complete.
    verify
        Whether to read every file back, compare it with the source, and let the independent
        check of `coverslip.verify` look for every text of the source in the finished files.
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
    QuarantineError
        If the lowest level shows a bar code or text, and nobody vouches for it; not under `care`.
    VerificationError
        If what was written is not what was planned.
    OSError
        Disk, rights; without the source's name.
    """
    if policy is None:
        policy = Policy(
            profile=Profile(profile),
            mpp_um=mpp_um,
            colour=colour,
            allow_pixel=allow_pixel,
            overview=overview,
            pixels_attested=pixels_attested,
        )
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
    routes = slide.routes(colour=policy.colour, allow_pixel=policy.allow_pixel)
    for number, route in enumerate(routes):
        require_copy(number, route)
    examined = examine(slide, routes, policy)
    scrubbed = scrub(
        slide.description,
        policy,
        identity,
        package_version=_core.__version__,
        given=None if charge is None else charge.given,
        pixels=examined.checks,
    )
    clean = scrubbed.clean
    # Tiles are planned first: a level that cannot be copied is found before a byte is written.
    plans = {
        number: _plan_tiles(slide, number, route, on_progress)
        for number, route in enumerate(routes)
        if route.kind is RouteKind.COPY
    }
    name = f"{clean.slide_pseudonym}.certificate.json"
    entries = (*(region.series_instance_uid for region in clean.regions), name)
    with staging(out, clean.study_instance_uid, entries, overwrite=overwrite) as stage:
        folders = [stage.study / region.series_instance_uid for region in clean.regions]
        for folder in folders:
            folder.mkdir()
        _require_room(out, sum(frames.plan.frame_bytes for frames in plans.values()))
        planned, written = [], []
        for number, route in enumerate(routes):
            frames = plans.get(number)
            if frames is None:
                spool = stage.spool(number)
                frames = _make(slide, number, route, spool, on_progress, prove=verify)
            item = _planned(slide, number, route, frames, spacing, clean)
            planned.append(item)
            written.append(_write(item, clean, folders, on_progress, verify=verify))
            if frames.spool is not None:
                frames.spool.unlink()
        if examined.overview is not None:
            item = _planned_overview(slide, examined.overview, clean, stage.spool(len(routes)))
            planned.append(item)
            written.append(_write(item, clean, folders, on_progress, verify=verify))
        notes = (*_notes(slide, routes, planned), *examined.notes)
        key_id = charge.key.key_id if charge is not None and charge.key is not None else None
        certificate = _certificate(
            scrubbed, policy, planned, written, key_id, examined.checks, verify=verify
        )
        audit.write_certificate(stage.study / name, certificate)
        if verify and policy.profile is not Profile.CARE:
            require_clean(stage.study, slide, _released(clean, policy))
        if charge is not None:
            charge.seal(scrubbed)
        study = stage.commit()
    return Result(
        study_path=study,
        instances=tuple(
            replace(instance, path=study / instance.path.relative_to(stage.study))
            for instance in written
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


def _make(
    slide: OpenedSlide,
    number: int,
    route: Route,
    spool: Path,
    on_progress: OnProgress | None,
    *,
    prove: bool,
) -> PlannedFrames:
    """Make the frames of a level that are not its tiles as they are."""
    level = slide.levels[number]
    total = level.tiles.across * level.tiles.down
    with at_level(number):
        if level.raster is not None:
            _require_room(spool.parent, int(level.raster.byte_counts.sum()))
            on_frames = _report(on_progress, "decode", number, total)
            return store_pixels(slide, level, route, spool, prove=prove, on_frames=on_frames)
        _require_room(spool.parent, stored_bytes(level))
        on_frames = _report(on_progress, "cut", number, total)
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
    above = sum(other.region == level.region for other in slide.levels[:number])
    base = slide.levels[number - above]
    spacing = region_spacing(spacing, slide.levels[0], base)
    bytes_a_pixel = frame_format.samples_per_pixel * frame_format.bits_allocated // 8
    uncompressed = level.tile_width * level.tile_length * bytes_a_pixel * plan.frame_count
    spec = InstanceSpec(
        sop_instance_uid=clean.sop_instance_uids[number],
        region=level.region,
        instance_number=above + 1,
        is_base=above == 0,
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
        compression_ratio=(
            None if frame_format.lossy_method is None else uncompressed / frames.lossy_bytes
        ),
    )
    return _Planned(
        number=number,
        route=route,
        frame_format=frame_format,
        frames=frames,
        spec=spec,
    )


def _planned_overview(
    slide: OpenedSlide, masked: MaskedOverview, clean: CleanMetadata, spool: Path
) -> _Planned:
    """Fix what the instance of the overview will be, and encode its frame."""
    number = len(slide.levels)
    spec = overview_spec(masked, clean, slide.description.label_side, number + 1)
    return _Planned(
        number=number,
        route=None,
        frame_format=spec.frame_format,
        frames=store_overview(masked, spool),
        spec=spec,
    )


def _write(
    item: _Planned,
    clean: CleanMetadata,
    folders: list[Path],
    on_progress: OnProgress | None,
    *,
    verify: bool,
) -> InstanceResult:
    """Write one instance under its temporary path, and read it back."""
    path = folders[item.spec.region] / f"{item.spec.sop_instance_uid}.dcm"
    dataset = wsm.build(clean, item.spec)
    header = part10.encode(dataset, item.frame_format.transfer_syntax_uid, wsm.permit(clean))
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
    kind, made = None if item.route is None else item.route.kind, item.plan.copied
    rewritten = made if item.frames.rewritten is None else item.frames.rewritten
    counts = FrameCounts(
        copied=made if kind is RouteKind.COPY else made - rewritten,
        stitched=made if kind is RouteKind.STITCH else 0,
        retiled=rewritten if kind is RouteKind.RETILE else 0,
        pixel=made if kind is RouteKind.PIXEL else 0,
        blank=item.plan.blank,
        truncated=item.plan.truncated,
        masked=made if kind is None else 0,
    )
    return InstanceResult(
        path=path,
        sop_instance_uid=item.spec.sop_instance_uid,
        level=None if item.route is None else item.number,
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


def _released(clean: CleanMetadata, policy: Policy) -> list[str]:
    """Return the texts of the operator's that go out on purpose."""
    given = [text.reveal() for text in clean.given.values()]
    return given if policy.pixels_attested is None else [*given, policy.pixels_attested]


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
    pixels: PixelChecks,
    *,
    verify: bool,
) -> dict[str, object]:
    records = [
        audit.InstanceRecord(
            sop_instance_uid=instance.sop_instance_uid,
            series_number=item.spec.region + 1,
            image_type=tuple(modules.image_type(is_base=item.spec.is_base, role=item.spec.role)),
            total_pixel_matrix_columns=item.spec.total_pixel_matrix_columns,
            total_pixel_matrix_rows=item.spec.total_pixel_matrix_rows,
            frames_copied=instance.frames.copied,
            frames_stitched=instance.frames.stitched,
            frames_retiled=instance.frames.retiled,
            frames_pixel=instance.frames.pixel,
            frames_blank=instance.frames.blank,
            frames_truncated=instance.frames.truncated,
            transfer_syntax_uid=item.frame_format.transfer_syntax_uid,
            photometric_interpretation=item.frame_format.photometric_interpretation,
            is_inverted=item.route is not None and item.route.is_inverted,
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
        key_id=key_id,
        read_back=audit.CheckResult.PASSED if verify else audit.CheckResult.NOT_RUN,
        pixels=pixels,
    )


def _total(counts: list[FrameCounts]) -> FrameCounts:
    return FrameCounts(
        copied=sum(count.copied for count in counts),
        stitched=sum(count.stitched for count in counts),
        retiled=sum(count.retiled for count in counts),
        pixel=sum(count.pixel for count in counts),
        blank=sum(count.blank for count in counts),
        truncated=sum(count.truncated for count in counts),
        masked=sum(count.masked for count in counts),
    )
