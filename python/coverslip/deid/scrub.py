"""Decides what leaves a slide: pseudonyms, dummies, a closed vocabulary, colour numbers.

Of the source's texts nothing is copied. The device texts are only looked through for names that
are written here; what is written is the name from here.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict

from coverslip.deid.devices import device_of
from coverslip.deid.fates import fates_of
from coverslip.deid.icc import rebuild_profile, srgb_profile
from coverslip.deid.metadata import Given
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.release import claims, release, temporal_information
from coverslip.deid.stains import channel_name
from coverslip.deid.uids import Identity, PseudonymKind, UidPurpose
from coverslip.errors import PolicyError
from coverslip.model import (
    CheckResult,
    CleanMetadata,
    CleanOpticalPath,
    CleanRegion,
    Finding,
    Leftover,
    OperatorText,
    PixelChecks,
    Region,
    SealedFinding,
    Slide,
)

MAX_OBJECTIVE_POWER = 200
WAVE_LENGTHS_NM = (200.0, 2000.0)
"""What a fluorescence microscope can mean."""
GLASS_MM = 100.0
"""No slide of glass is longer."""

DUMMY_DATE = "19000101"
DUMMY_TIME = "000000"

CODES = ("113100", "113105")
"""Basic Profile and Clean Descriptors: what is done whatever the options of a profile are."""
CLEAN_STRUCTURED_CONTENT = "113104"
"""Claimed where content items are written: those of preparations, built of codes."""
CLEAN_PIXEL_DATA = "113101"
"""Claimed where the pixels were searched, see `_claims_clean_pixels`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What may be written, and what became of everything else."""

    clean: CleanMetadata
    sealed: tuple[SealedFinding, ...] = field(repr=False)
    """The findings with the texts they are about; for the vault only."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found and its fate, without any value."""
        return tuple(item.finding for item in self.sealed)


def scrub(
    slide: Slide,
    policy: Policy,
    identity: Identity,
    *,
    package_version: str,
    given: Given | None = None,
    pixels: PixelChecks | None = None,
    leftovers: Sequence[Leftover] = (),
) -> Scrubbed:
    """Return what may be written about a slide, and a fate for all that may identify it.

    Parameters
    ----------
    slide
        The slide as read; its pixels are not looked at.
    policy
        What may leave.
    identity
        Where pseudonyms and UIDs come from.
    package_version
        Version of coverslip, as its distribution tells.
    given
        What the operator knows of the slide.
    pixels
        What searching the pixels came to; ``None`` if they were not searched.
    leftovers
        What lies in the slide beside tags and pixels.

    Raises
    ------
    PolicyError
        If the version is not one that may be written, or the profile needs to know more.
    VerificationError
        If something that was found has no fate; a defect of coverslip.
    """
    if not re.fullmatch(r"[0-9A-Za-z.+-]{1,32}", package_version):
        raise PolicyError("the package version is not a version")
    source_profile = slide.metadata.icc_profile
    rebuilt = rebuild_profile(source_profile) if source_profile is not None else None
    pixels = pixels or PixelChecks()
    clean = _clean(slide, policy, identity, package_version, given or Given())
    clean = replace(
        clean,
        icc_profile=srgb_profile() if rebuilt is None else rebuilt,
        icc_is_synthetic=rebuilt is None,
        are_levels_in_doubt=pixels.are_levels_in_doubt,
    )
    if clean.patient_identity_removed and _claims_clean_pixels(pixels):
        codes = tuple(sorted((*clean.deidentification_codes, CLEAN_PIXEL_DATA)))
        clean = replace(clean, deidentification_codes=codes)
    return Scrubbed(clean=clean, sealed=fates_of(slide, clean, pixels, leftovers))


def _claims_clean_pixels(pixels: PixelChecks) -> bool:
    """Tell whether Clean Pixel Data may be claimed.

    No label goes out, and bar codes were looked for in small levels. Where an overview or a
    thumbnail goes out as well, its text must have been looked for by reading it, or a person
    vouches.
    """
    if CheckResult.ATTESTED in (pixels.bar_codes, pixels.text):
        return True
    if pixels.bar_codes is not CheckResult.PASSED or pixels.are_levels_in_doubt:
        return False
    shows_more = pixels.is_overview_masked or pixels.is_thumbnail_written
    return not shows_more or pixels.text is CheckResult.PASSED


def _clean(
    slide: Slide, policy: Policy, identity: Identity, package_version: str, given: Given
) -> CleanMetadata:
    """Return what may be written; of a colour profile, none yet."""
    manufacturer, model = device_of(slide.metadata.device)
    released = release(given, policy, identity)
    patient_id = _text(released, "PatientID", identity.pseudonym(PseudonymKind.PATIENT))
    container = identity.pseudonym(PseudonymKind.CONTAINER)
    is_identified = policy.profile is Profile.CARE
    stains = () if given.stains is None else tuple(given.stains.reveal().split())
    fixative, embedding = _code(given.fixative), _code(given.embedding)
    is_prepared = bool(stains or fixative or embedding)
    return CleanMetadata(
        profile=policy.profile,
        slide_pseudonym=container,
        patient_id=patient_id,
        patient_name=_text(released, "PatientName", "" if is_identified else f"{patient_id}^"),
        container_identifier=_text(released, "ContainerIdentifier", container),
        specimen_identifier=_text(
            released,
            "SpecimenDescriptionSequence.SpecimenIdentifier",
            identity.pseudonym(PseudonymKind.SPECIMEN),
        ),
        study_instance_uid=_text(released, "StudyInstanceUID", identity.uid(UidPurpose.STUDY)),
        frame_of_reference_uid=identity.uid(UidPurpose.FRAME_OF_REFERENCE),
        specimen_uid=identity.uid(UidPurpose.SPECIMEN),
        regions=tuple(_regions(slide, identity)),
        sop_instance_uids=tuple(
            identity.uid(UidPurpose.INSTANCE, number) for number in range(len(slide.levels))
        ),
        associated_sop_instance_uids=tuple(
            identity.uid(UidPurpose.INSTANCE, len(slide.levels) + number) for number in range(3)
        ),
        **_concatenations(slide, policy, identity),
        study_date=_text(released, "StudyDate", DUMMY_DATE),
        study_time=_text(released, "StudyTime", DUMMY_TIME),
        content_date=_text(released, "ContentDate", DUMMY_DATE),
        content_time=_text(released, "ContentTime", DUMMY_TIME),
        acquisition_date_time=_text(released, "AcquisitionDateTime", DUMMY_DATE + DUMMY_TIME),
        manufacturer=manufacturer,
        manufacturer_model_name=model,
        device_serial_number=_serial_number(given, policy, identity, released),
        software_versions=f"coverslip {package_version}",
        objective_power=_objective_power(slide.objective_power),
        optical_paths=tuple(_optical_paths(slide, policy)),
        icc_profile=b"",
        icc_is_synthetic=True,
        srgb_profile=srgb_profile(),
        patient_identity_removed=not is_identified,
        deidentification_method=(
            f"coverslip {package_version} profile={policy.profile}",
            f"policy sha256:{policy.digest()[:16]}",
        ),
        deidentification_codes=(
            ()
            if is_identified
            else tuple(
                sorted(
                    (
                        *CODES,
                        *((CLEAN_STRUCTURED_CONTENT,) if is_prepared else ()),
                        *claims(released, policy),
                    )
                )
            )
        ),
        longitudinal_temporal_information_modified=temporal_information(released, policy),
        accession_number=_accession_number(given, policy, identity, released),
        given=released,
        stains=stains,
        fixative=fixative,
        embedding=embedding,
        anatomy=_code(given.anatomy) if policy.anatomy == "keep" else None,
        specimen_type=_code(given.specimen_type) if policy.anatomy == "keep" else None,
    )


class _Concatenations(TypedDict, total=False):
    concatenation_uids: tuple[str, ...]
    uid_of_part: Callable[[int, int], str]


def _concatenations(slide: Slide, policy: Policy, identity: Identity) -> _Concatenations:
    """Return what levels and parts are called that are divided, if they may be.

    The size is part of the names: parts of another size are no parts of the same concatenation.
    """
    size = policy.max_instance_size
    if size is None:
        return {}
    return {
        "concatenation_uids": tuple(
            identity.uid(UidPurpose.CONCATENATION, level, size)
            for level in range(len(slide.levels))
        ),
        "uid_of_part": lambda level, number: identity.uid(UidPurpose.PART, level, number, size),
    }


def _regions(slide: Slide, identity: Identity) -> Iterator[CleanRegion]:
    """Yield UIDs for each region, and its place on the glass where there are several.

    A place tells slides apart, so it is rounded, and goes out only where regions would otherwise
    lie upon each other.
    """
    for number, region in enumerate(slide.regions):
        yield CleanRegion(
            series_instance_uid=identity.uid(UidPurpose.SERIES, number),
            pyramid_uid=identity.uid(UidPurpose.PYRAMID, number),
            dimension_organization_uid=identity.uid(UidPurpose.DIMENSION_ORGANIZATION, number),
            corner_mm=_place_mm(region) if len(slide.regions) > 1 else None,
        )


def _place_mm(region: Region) -> tuple[float, float] | None:
    """Return where a region lies; a number that no glass is as large as is something else."""
    if region.corner_mm is None or not all(0 <= mm <= GLASS_MM for mm in region.corner_mm):
        return None
    x_mm, y_mm = region.corner_mm
    return round(x_mm, 1), round(y_mm, 1)


def _code(given: OperatorText | None) -> str | None:
    """Return a code that was given; only those of closed lists can be."""
    return None if given is None else given.reveal()


def _text(released: Mapping[str, OperatorText], path: str, otherwise: str) -> str:
    return released[path].reveal() if path in released else otherwise


def _serial_number(
    given: Given, policy: Policy, identity: Identity, released: Mapping[str, OperatorText]
) -> str:
    """Return the serial number of the scanner, or what stands for it."""
    if policy.profile is Profile.RESEARCH and given.device_serial_number is not None:
        return _text(released, "DeviceSerialNumber", identity.pseudonym(PseudonymKind.DEVICE))
    return _text(released, "DeviceSerialNumber", "REMOVED")


def _accession_number(
    given: Given, policy: Policy, identity: Identity, released: Mapping[str, OperatorText]
) -> str:
    """Return the accession number: that of the operator, a pseudonym of it, or nothing."""
    if policy.accession == "pseudonym" and given.accession_number is not None:
        return identity.pseudonym(PseudonymKind.CASE)
    return _text(released, "AccessionNumber", "")


def _objective_power(power: float | None) -> float | None:
    """Return the power if it is one: a longer number may be something else that was put there."""
    if power is None or not math.isfinite(power):
        return None
    rounded = round(power, 2)
    return rounded if 0 < rounded <= MAX_OBJECTIVE_POWER else None


def _optical_paths(slide: Slide, policy: Policy) -> Iterator[CleanOpticalPath]:
    """Yield with what light each path was taken; `public` says nothing of what it is called."""
    is_named = policy.profile is not Profile.PUBLIC
    for number, path in enumerate(slide.optical_paths, 1):
        is_channel = path.is_fluorescence or len(slide.optical_paths) > 1
        yield CleanOpticalPath(
            is_fluorescence=path.is_fluorescence,
            wave_length_nm=_wave_length(path.wave_length_nm),
            description=channel_name(number, path.name) if is_named and is_channel else None,
        )


def _wave_length(nanometres: float | None) -> float | None:
    """Return a wavelength to the nanometre: what is no wavelength becomes the nearest one."""
    if nanometres is None:
        return None
    shortest, longest = WAVE_LENGTHS_NM
    return float(round(min(max(nanometres, shortest), longest)))
