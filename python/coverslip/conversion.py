"""One slide: open, describe, scrub, plan, write, verify, commit, certify."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from coverslip import _core, audit
from coverslip.accounts import certificate_of, notes_of
from coverslip.associated import AssociatedPicture
from coverslip.colour import Samples
from coverslip.commit import staging
from coverslip.concatenation import Written, parts_of, write_parts
from coverslip.cutting import Frames
from coverslip.decoders import kept
from coverslip.deid.custody import Charge, Custody
from coverslip.deid.metadata import Given
from coverslip.deid.pixels.substitute import draw_label
from coverslip.deid.policy import Policy, Profile, size_of
from coverslip.deid.scrub import scrub
from coverslip.deid.uids import Identity
from coverslip.dicom.geometry import level_spacing
from coverslip.instances import (
    FrameCounts,
    InstanceResult,
    OnProgress,
    PlannedInstance,
    Progress,
    planned_level,
    planned_picture,
    total,
    write_instance,
)
from coverslip.levels import Levels
from coverslip.model import (
    CleanMetadata,
    Role,
    Spacing,
)
from coverslip.search import Examined, examining
from coverslip.slide import OpenedSlide, open, require_copy, require_spacing
from coverslip.verification.output import checking


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


def convert(
    path: str | PathLike[str],
    out_dir: str | PathLike[str],
    *,
    profile: str = "public",
    mpp_um: float | None = None,
    colour: Samples | None = None,
    allow_pixel: bool = False,
    allow_recode: int | None = None,
    ndpi_frames: Frames = "auto",
    j2k_ycc: Literal["copy", "mct", "pixel"] | None = None,
    deflated_frames: bool = False,
    sparse: bool = False,
    max_instance_size: int | str | None = None,
    label: Literal["drop", "substitute", "keep"] | None = None,
    overview: Literal["drop", "mask", "keep"] | None = None,
    thumbnail: Literal["drop", "keep"] = "drop",
    pixels_attested: str | None = None,
    policy: Policy | None = None,
    custody: Custody | None = None,
    overwrite: bool = False,
    verify: bool = True,
    sync: bool = True,
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
    allow_recode
        Quality, 1 to 100, of the JPEG in which tiles that only fit together once they are decoded
        (Ventana BIF that overlaps) may be encoded: a new loss, declared as such. Without it such a
        slide is refused.
    ndpi_frames
        Side in pixels of the frames that levels of Hamamatsu NDPI are cut into, a multiple of 16;
        ``native`` for frames that are whole restart intervals, so that nothing is coded anew;
        ``auto`` for those where no interval is wider than 2048 pixels, else 1024.
    j2k_ycc
        What becomes of YCbCr in JPEG 2000 that its own transformation does not know of (Aperio
        33003): ``mct`` switches that on, where chroma is not halved; ``copy`` declares it as it
        is, which few readers know; ``pixel`` decodes it to RGB, stored without loss. By default
        ``mct`` where that can be, else ``copy``.
    deflated_frames
        Whether Deflate tiles without a predictor are copied to frames of Deflated Image Frame
        Compression, which few readers know; they need not be decoded then.
    sparse
        Whether tiles that the slide does not have become no frame, in the place of a blank one.
        Such a level is TILED_SPARSE and says of each frame where it lies, which takes some 140
        bytes; without a missing tile a level stays as it is.
    max_instance_size
        Bytes that no file may have more of, or text such as ``"2GB"``: a level that would be larger
        is divided among several, all with the same Concatenation UID, which not every reader puts
        together. No frame is divided.
    label
        ``substitute`` to write one that shows the Container Identifier; ``keep``, under `care`
        only and its default, to write the slide's own; else ``drop``.
    overview
        ``mask`` to write the picture of the whole glass too, its label painted over; it is left
        out where that cannot be done beyond doubt, and `Result.notes` says why. ``keep``, under
        `care` only and its default, to write it as it is; else ``drop``.
    thumbnail
        ``keep``, under `research` and `care`, to write the scanner's small picture of the scan too,
        where a rule of the format says that it shows no label and it looks as the levels do; under
        `research` it is searched for bar codes and text as well. In any doubt it is left out, and
        `Result.notes` says why.
    pixels_attested
        Who vouches that the pixels show nothing that identifies, whatever the search for bar
        codes and text says; the name goes into the certificate.
    policy
        All choices in one, in the place of the fourteen above.
    custody
        Key, metadata and vault; by default neither key nor metadata.
    overwrite
        Whether the slide replaces itself in the output, once the new files are complete.
    verify
        Whether to read every file back, compare it with the source, and let the independent
        check of `coverslip.verify` look for every text of the source in the finished files.
    sync
        Whether to wait until all files are on the disk before they get their names. Without it a
        conversion is as fast as ``cp``, and as safe: it still appears whole or not at all, unless
        the machine itself loses power before the system has written what it holds.
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
        If a small level shows a bar code or text, or is stored in a way that is not searched, and
        nobody vouches for it; not under `care`.
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
            allow_recode=allow_recode,
            ndpi_frames=ndpi_frames,
            j2k_ycc=j2k_ycc,
            deflated_frames=deflated_frames,
            sparse=sparse,
            max_instance_size=size_of(max_instance_size),
            label=label,
            overview=overview,
            thumbnail=thumbnail,
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
            sync=sync,
            on_progress=on_progress,
        )


@kept()
def convert_opened(
    slide: OpenedSlide,
    out: Path,
    policy: Policy,
    identity: Identity,
    *,
    charge: Charge | None = None,
    overwrite: bool = False,
    verify: bool = True,
    sync: bool = True,
    on_progress: OnProgress | None = None,
) -> Result:
    """Convert an opened slide under an identity; see `convert`."""
    slide, routes = slide.routed(policy)
    spacing = require_spacing(slide.description, policy)
    for number, route in enumerate(routes):
        require_copy(number, route)
    given = Given() if charge is None else charge.given
    texts = [text.reveal() for text in given.texts()]
    # Looking for texts in a slide of millions of tiles needs room: before there are plans.
    checked = checking(slide, texts) if verify else nullcontext()
    with examining(slide, routes, policy) as examined, checked as check:
        scrubbed = scrub(
            slide.description,
            policy,
            identity,
            package_version=_core.__version__,
            given=None if charge is None else charge.given,
            pixels=examined.checks,
            leftovers=slide.leftovers(),
        )
        clean = scrubbed.clean
        levels = Levels(slide, routes, on_progress, prove=verify)
        name = f"{clean.slide_pseudonym}.certificate.json"
        entries = (*(region.series_instance_uid for region in clean.regions), name)
        target = (out, clean.study_instance_uid, entries)
        with staging(*target, overwrite=overwrite, sync=sync) as stage:
            folders = [stage.study / region.series_instance_uid for region in clean.regions]
            for folder in folders:
                folder.mkdir()
            stage.require_room(levels.frame_bytes)
            instance_of = partial(planned_level, slide, spacing=spacing, clean=clean)
            write = partial(
                write_instance,
                clean=clean,
                folders=folders,
                on_progress=on_progress,
                on_written=stage.finish,
                check=check,
                past_cache=sync,
            )

            def withdraw(path: Path) -> None:
                stage.withdraw(path)
                if check is not None:
                    check.forget(path)

            def write_all(item: PlannedInstance) -> list[Written]:
                parts = parts_of(item, clean, policy.max_instance_size)
                return write_parts(parts, write, withdraw)

            planned: list[PlannedInstance] = []
            written: list[Written] = []
            for number in range(len(routes)):
                examined.stop_if_found()
                item, files = levels.written(number, stage, instance_of, write_all)
                planned.append(item)
                written.extend(files)
            for picture, uid in zip(
                _pictures(slide, examined, policy, clean),
                clean.associated_sop_instance_uids,
                strict=False,
            ):
                spool = stage.spool(len(planned))
                item = planned_picture(slide, picture, uid, len(planned), spool)
                planned.append(item)
                written.extend(write_all(item))
            told = charge.notes if charge is not None else ()
            notes = (*notes_of(slide, routes, planned), *examined.notes(), *told)
            key_id = charge.key.key_id if charge is not None and charge.key is not None else None
            certificate = certificate_of(
                scrubbed, policy, written, key_id, examined.checks, verify=verify
            )
            audit.write_certificate(stage.study / name, certificate)
            if check is not None:
                check.rest(stage.study)
            if charge is not None:
                charge.seal(scrubbed, slide.description, slide.source.read)
            if on_progress is not None:
                on_progress(Progress(stage="commit", level=len(planned) - 1, done=0, total=1))
            study = stage.commit()
    return Result(
        study_path=study,
        instances=tuple(
            replace(instance, path=study / instance.path.relative_to(stage.study))
            for _, instance in written
        ),
        frames=total([instance.frames for _, instance in written]),
        certificate=certificate,
        certificate_path=study / name,
        notes=notes,
    )


def _pictures(
    slide: OpenedSlide, examined: Examined, policy: Policy, clean: CleanMetadata
) -> tuple[AssociatedPicture, ...]:
    """Return what goes out beside the levels: one label, overview and thumbnail at most."""
    pictures = tuple(
        replace(picture, spacing=_spacing_of_scan(slide, policy, picture))
        if picture.role is Role.THUMBNAIL
        else picture
        for picture in examined.pictures
    )
    if policy.label != "substitute":
        return pictures
    label = AssociatedPicture(
        role=Role.LABEL,
        picture=draw_label(clean.container_identifier),
        stored=None,
        is_as_scanned=False,
    )
    return (label, *pictures)


def _spacing_of_scan(slide: OpenedSlide, policy: Policy, picture: AssociatedPicture) -> Spacing:
    """Return the spacing of a picture that shows what the first level shows."""
    rows, columns, _ = picture.picture.shape
    base = slide.levels[0]
    small = replace(base, image_width=columns, image_length=rows, spacing=None)
    return level_spacing(require_spacing(slide.description, policy), base, small)
