"""Makes all files of one slide: scrub, plan, write, verify, commit, certify."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from coverslip import _core, audit
from coverslip.accounts import certificate_of, notes_of
from coverslip.associated import AssociatedPicture
from coverslip.commit import staging
from coverslip.concatenation import Written, parts_of, write_parts
from coverslip.deid.custody import Charge
from coverslip.deid.metadata import Given
from coverslip.deid.pixels.substitute import draw_label
from coverslip.deid.policy import Policy
from coverslip.deid.scrub import scrub
from coverslip.deid.uids import Identity
from coverslip.dicom.geometry import level_spacing
from coverslip.examining import Examined, examining
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
from coverslip.model import CleanMetadata, Role, Spacing
from coverslip.routes import Route
from coverslip.search import Seen
from coverslip.slide import OpenedSlide, require_spacing
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
    doubt: str | None = None
    """What the levels show that may identify, or that they cannot be searched for it, if nobody
    vouches for their pixels: then they say that Burned In Annotation is YES."""

    def to_dict(self) -> dict[str, object]:
        """Return what is fit for JSON; it holds no source value."""
        described = asdict(self)
        described["study_path"] = str(self.study_path)
        described["certificate_path"] = str(self.certificate_path)
        for instance in described["instances"]:
            instance["path"] = str(instance["path"])
        return described


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done with one slide, everything decided upon."""

    slide: OpenedSlide
    routes: tuple[Route, ...]
    spacing: Spacing
    policy: Policy
    identity: Identity
    charge: Charge | None
    overwrite: bool
    verify: bool
    sync: bool
    on_progress: OnProgress | None


def assemble(work: Work, out: Path, seen: Seen | None = None) -> Result:
    """Convert a slide, with what is known to be seen in its levels or else looking for it.

    Raises
    ------
    InDoubtError
        If the levels show what may identify, and that was not known.
    """
    slide, routes, policy, charge = work.slide, work.routes, work.policy, work.charge
    given = Given() if charge is None else charge.given
    texts = [text.reveal() for text in given.texts()]
    # Looking for texts in a slide of millions of tiles needs room: before there are plans.
    checked = checking(slide, texts) if work.verify else nullcontext()
    with examining(slide, routes, policy, seen) as examined, checked as check:
        scrubbed = scrub(
            slide.description,
            policy,
            work.identity,
            package_version=_core.__version__,
            given=None if charge is None else charge.given,
            pixels=examined.checks,
            leftovers=slide.leftovers(),
        )
        clean = scrubbed.clean
        levels = Levels(slide, routes, work.on_progress, prove=work.verify)
        name = f"{clean.slide_pseudonym}.certificate.json"
        entries = (*(region.series_instance_uid for region in clean.regions), name)
        target = (out, clean.study_instance_uid, entries)
        with staging(*target, overwrite=work.overwrite, sync=work.sync) as stage:
            folders = [stage.study / region.series_instance_uid for region in clean.regions]
            for folder in folders:
                folder.mkdir()
            stage.require_room(levels.frame_bytes)
            instance_of = partial(planned_level, slide, spacing=work.spacing, clean=clean)
            write = partial(
                write_instance,
                clean=clean,
                folders=folders,
                on_progress=work.on_progress,
                on_written=stage.finish,
                check=check,
                past_cache=work.sync,
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
                scrubbed, policy, written, key_id, examined.checks, verify=work.verify
            )
            audit.write_certificate(stage.study / name, certificate)
            if check is not None:
                check.rest(stage.study)
            if charge is not None:
                charge.seal(scrubbed, slide.description, slide.source.read)
            if work.on_progress is not None:
                work.on_progress(Progress(stage="commit", level=len(planned) - 1, done=0, total=1))
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
        doubt=None if seen is None else seen.doubt,
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
