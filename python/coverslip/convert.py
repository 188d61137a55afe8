"""One slide: open, describe, scrub, plan, write, verify, commit, certify."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from os import PathLike, fspath
from pathlib import Path

from coverslip import _core, audit, blank
from coverslip.commit import staging
from coverslip.deid.policy import Policy
from coverslip.deid.scrub import Scrubbed, scrub
from coverslip.deid.uids import Identity, RandomIdentity
from coverslip.dicom import part10, wsm
from coverslip.dicom.geometry import level_spacing
from coverslip.errors import CoverslipError, SourceError
from coverslip.model import CleanMetadata, FrameFormat, InstanceSpec, Level, Spacing
from coverslip.routes import JpegColour, Route
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
    colour: JpegColour | None = None,
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
    VerificationError
        If what was written is not what was planned.
    OSError
        Disk, rights; without the source's name.
    """
    policy = Policy.for_profile(profile, mpp_um=mpp_um)
    slide = open(path)
    return convert_opened(
        slide,
        Path(fspath(out_dir)),
        policy,
        RandomIdentity(),
        colour=colour,
        verify=verify,
        on_progress=on_progress,
    )


def convert_opened(
    slide: OpenedSlide,
    out: Path,
    policy: Policy,
    identity: Identity,
    *,
    colour: JpegColour | None = None,
    verify: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Convert an opened slide under an identity; see `convert`."""
    spacing = require_spacing(slide.description, policy)
    scrubbed = scrub(slide.description, policy, identity, package_version=_core.__version__)
    routes = slide.routes(colour=colour)
    for number, route in enumerate(routes):
        require_copy(number, route)
    planned = [
        _plan(slide, number, route, spacing, scrubbed.clean, on_progress)
        for number, route in enumerate(routes)
    ]
    with staging(out, scrubbed.clean.study_instance_uid) as stage:
        series = stage.study / scrubbed.clean.series_instance_uid
        series.mkdir()
        _require_room(out, sum(item.plan.frame_bytes for item in planned))
        written = [
            _write(slide, item, scrubbed.clean, series, on_progress, verify=verify)
            for item in planned
        ]
        notes = _notes(slide, routes, planned)
        certificate = _certificate(scrubbed, policy, planned, written, notes, verify=verify)
        name = f"{scrubbed.clean.container_identifier}.certificate.json"
        audit.write_certificate(stage.study / name, certificate)
        study = stage.commit()
    return Result(
        study_path=study,
        instances=tuple(
            _at(instance, study / series.name / instance.path.name) for instance in written
        ),
        frames=_total([instance.frames for instance in written]),
        certificate=certificate,
        certificate_path=study / name,
        notes=notes,
    )
