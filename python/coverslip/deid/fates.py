"""Says of everything that was found in a slide what becomes of it."""

from collections.abc import Iterator, Sequence

from coverslip.deid.devices import UNKNOWN, device_of
from coverslip.deid.policy import Profile
from coverslip.deid.stains import dye_of
from coverslip.errors import VerificationError
from coverslip.model import (
    CleanMetadata,
    Fate,
    Finding,
    ItemKind,
    Leftover,
    PixelChecks,
    Role,
    SealedFinding,
    Slide,
)

_FATES: dict[ItemKind, tuple[Fate, str | None]] = {
    ItemKind.NAME: (Fate.DROPPED, None),
    ItemKind.IDENTIFIER: (Fate.REPLACED, "ContainerIdentifier"),
    ItemKind.DATE: (Fate.REPLACED, "AcquisitionDateTime"),
    ItemKind.DEVICE: (Fate.DROPPED, None),
    ItemKind.PERSON: (Fate.DROPPED, None),
    ItemKind.PLACE: (Fate.DROPPED, None),
    ItemKind.TEXT: (Fate.DROPPED, None),
    ItemKind.PICTURE: (Fate.DROPPED, None),
    ItemKind.UNKNOWN: (Fate.DROPPED, None),
}
_UNRECOGNISED = "unrecognised picture"
"""In the place of a role: maybe the label, maybe anything."""


def fates_of(
    slide: Slide, clean: CleanMetadata, pixels: PixelChecks, leftovers: Sequence[Leftover]
) -> tuple[SealedFinding, ...]:
    """Return each finding with its fate and the text it is about.

    Parameters
    ----------
    slide
        The slide as read.
    clean
        What is written about it.
    pixels
        What searching the pixels came to, and which pictures go out.
    leftovers
        What lies in the slide beside tags and pixels.

    Raises
    ------
    VerificationError
        If something that was found has no fate; a defect of coverslip.
    """
    sealed = (
        *_findings(slide, clean, pixels),
        *map(_left_behind, leftovers),
        *_icc_findings(slide, clean),
    )
    _require_fates(slide, len(leftovers), sealed)
    return sealed


def _require_fates(slide: Slide, leftovers: int, sealed: tuple[SealedFinding, ...]) -> None:
    """Raise unless everything that was found has one fate."""
    name_and_times, profile = 2, slide.metadata.icc_profile is not None
    found = len(slide.metadata.items) + len(slide.associated_images) + name_and_times + profile
    found += leftovers
    if len(sealed) != found:
        raise VerificationError(f"{found} findings have {len(sealed)} fates")


def _findings(slide: Slide, clean: CleanMetadata, pixels: PixelChecks) -> Iterator[SealedFinding]:
    model = clean.manufacturer_model_name
    dyes = {path.name for path in slide.optical_paths if dye_of(path.name) is not None}
    name = Finding(
        place="file name",
        key=None,
        kind=ItemKind.NAME,
        fate=Fate.REPLACED,
        attribute="SOPInstanceUID",
    )
    yield SealedFinding(finding=name, text=None, rule="files are named by new UIDs")
    times = Finding(place="file system times", key=None, kind=ItemKind.DATE, fate=Fate.DROPPED)
    yield SealedFinding(finding=times, text=None, rule="files have the time of writing")
    for item in slide.metadata.items:
        (fate, attribute), rule = _FATES[item.kind], f"kind: {item.kind}"
        if item.kind is ItemKind.DEVICE and UNKNOWN != model == device_of([item.text])[1]:
            fate, attribute = Fate.CLEANED, "ManufacturerModelName"
            rule = "names of scanners from a closed list"
        if item.text in dyes and clean.profile is not Profile.PUBLIC:
            fate, attribute = Fate.CLEANED, "OpticalPathDescription"
            rule = "names of dyes from a closed list"
        finding = Finding(
            place=item.place, key=item.key, kind=item.kind, fate=fate, attribute=attribute
        )
        yield SealedFinding(finding=finding, text=item.text, rule=rule)
    for image in slide.associated_images:
        fate = Fate.DROPPED
        if image.role is Role.OVERVIEW and pixels.is_overview_masked:
            fate = Fate.MASKED
        elif (image.is_recognised and image.role in pixels.kept) or (
            image.role is Role.THUMBNAIL and pixels.is_thumbnail_written
        ):
            fate = Fate.KEPT
        finding = Finding(
            place=f"IFD {image.ifd} {image.role if image.is_recognised else _UNRECOGNISED}",
            key=None,
            kind=ItemKind.PICTURE,
            fate=fate,
            attribute=None if fate is Fate.DROPPED else "PixelData",
        )
        rule = f"option {image.role.lower()} and what looking at it came to"
        yield SealedFinding(finding=finding, text=None, rule=rule)


def _left_behind(leftover: Leftover) -> SealedFinding:
    """Return the finding of something beside tags and pixels: frames are built without it."""
    finding = Finding(
        place=leftover.place,
        key=leftover.key,
        kind=leftover.kind,
        fate=Fate.DROPPED,
        pieces=leftover.pieces,
        byte_count=leftover.byte_count,
        looked_at=leftover.looked_at,
        among=leftover.among,
    )
    rule = "frames hold what their decoder needs, and bytes that nothing points at are in none"
    return SealedFinding(finding=finding, text=leftover.text, rule=rule, stored=leftover.stored)


def _icc_findings(slide: Slide, clean: CleanMetadata) -> Iterator[SealedFinding]:
    if slide.metadata.icc_profile is None:
        return
    if clean.icc_is_synthetic:
        fate, attribute = Fate.DROPPED, None
    else:
        fate, attribute = Fate.CLEANED, "ICCProfile"
    finding = Finding(
        place="ICC profile", key=None, kind=ItemKind.DEVICE, fate=fate, attribute=attribute
    )
    rule = "profiles are rebuilt of their numbers"
    yield SealedFinding(finding=finding, text=None, rule=rule)
