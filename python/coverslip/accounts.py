"""What is told of a conversion: notes for who runs it, and the certificate."""

from coverslip import _core, audit
from coverslip.concatenation import Written
from coverslip.deid.policy import Policy
from coverslip.deid.scrub import Scrubbed
from coverslip.dicom import modules
from coverslip.instances import PlannedInstance
from coverslip.model import PixelChecks
from coverslip.routes import Route
from coverslip.slide import OpenedSlide


def notes_of(
    slide: OpenedSlide, routes: tuple[Route, ...], planned: list[PlannedInstance]
) -> tuple[str, ...]:
    """Return what the user should know, each thing with the level it is about."""
    notes = list(slide.description.notes)
    for number, route in enumerate(routes):
        notes.extend(f"level {number}: {note}" for note in route.notes)
    for item in planned:
        if item.plan.blank:
            notes.append(f"level {item.number}: {item.plan.blank} missing tiles became blank")
        if item.absent:
            notes.append(f"level {item.number}: {item.absent} missing tiles became no frame")
        if item.plan.truncated:
            notes.append(
                f"level {item.number}: {item.plan.truncated} tiles had no end marker; it was added"
            )
    return tuple(notes)


def certificate_of(
    scrubbed: Scrubbed,
    policy: Policy,
    written: list[Written],
    key_id: str | None,
    pixels: PixelChecks,
    *,
    verify: bool,
) -> dict[str, object]:
    """Return the certificate of a slide's files; ``verify`` says whether they were checked."""
    records = [
        audit.InstanceRecord(
            sop_instance_uid=instance.sop_instance_uid,
            series_number=item.spec.region + 1,
            image_type=tuple(modules.image_type(item.spec)),
            total_pixel_matrix_columns=item.spec.total_pixel_matrix_columns,
            total_pixel_matrix_rows=item.spec.total_pixel_matrix_rows,
            frames_copied=instance.frames.copied,
            frames_stitched=instance.frames.stitched,
            frames_retiled=instance.frames.retiled,
            frames_pixel=instance.frames.pixel,
            frames_recoded=instance.frames.recoded,
            frames_blank=instance.frames.blank,
            frames_absent=instance.frames.absent,
            frames_truncated=instance.frames.truncated,
            transfer_syntax_uid=item.frame_format.transfer_syntax_uid,
            photometric_interpretation=item.frame_format.photometric_interpretation,
            is_inverted=item.route is not None and item.route.is_inverted,
            blake3=instance.blake3,
            frames_picture=instance.frames.picture,
            in_concatenation_number=instance.part if instance.parts > 1 else None,
            in_concatenation_total_number=instance.parts if instance.parts > 1 else None,
            segments_dropped=item.segments_dropped,
        )
        for item, instance in written
    ]
    return audit.certificate(
        package_version=_core.__version__,
        policy=policy,
        clean=scrubbed.clean,
        findings=scrubbed.findings,
        instances=records,
        key_id=key_id,
        read_back=audit.CheckResult.PASSED if verify else audit.CheckResult.NOT_RUN,
        verified=audit.CheckResult.PASSED if verify else audit.CheckResult.NOT_RUN,
        pixels=pixels,
    )
