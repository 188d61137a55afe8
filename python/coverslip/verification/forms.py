"""What the texts of an instance may be, attribute by attribute, wherever it stands.

From PS3.3 A.32.8 and PS3.15 Table E.1-1, and not from the writer's table: a mistake has to be made
twice to leave the house. Whatever has no form here is no text, or may not be there at all.
"""

import re
import uuid
from collections.abc import Callable, Collection, Mapping

from coverslip.verification.coded import DESIGNATORS, MEANINGS, VALUES
from coverslip.verification.scanners import DYES, MANUFACTURERS, MODELS

Form = Callable[[str], object]
"""Returns something true for a value that may be there."""


def like(pattern: str) -> Form:
    """Return the form of values that a pattern matches as a whole."""
    return re.compile(pattern, re.ASCII | re.DOTALL).fullmatch


def one_of(*values: str) -> Form:
    """Return the form of the terms of a closed list."""
    return frozenset(values).__contains__


def _random_uid(text: str) -> bool:
    """Tell whether a UID is made of a random UUID, or of one whose bits are a digest's (RFC 9562).

    A number of somebody's in its place has not the bits that tell which.
    """
    match = re.fullmatch(r"2\.25\.([1-9][0-9]{0,38})", text)
    if match is None or int(match[1]) >> 128:
        return False
    made = uuid.UUID(int=int(match[1]))
    return made.variant == uuid.RFC_4122 and made.version in (4, 8)


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PSEUDONYM = re.compile(rf"[A-Z]-[{_CROCKFORD}]{{13}}")


def _pseudonym(kind: str, *others: str) -> Form:
    """Return the form of a letter, sixty bits as Crockford writes them, and Luhn's check of them.

    One of 32 texts that look like one passes.
    """

    def is_one(text: str) -> bool:
        if text in others:
            return True
        if not text.startswith(kind) or not _PSEUDONYM.fullmatch(text):
            return False
        digits = [_CROCKFORD.index(character) for character in text[:1:-1]]
        doubled = [2 * digit for digit in digits[1::2]]
        return sum(digits[::2]) % 32 == -sum(n // 32 + n % 32 for n in doubled) % 32

    return is_one


ANYTHING = like(r".*")
"""Of what somebody gave, where the instance says that it was retained."""
NOTHING = like("")
ANY_UID = like(r"(?=.{3,64}$)[0-2](\.(0|[1-9][0-9]*))+")
DATE = like(r"[12][0-9]{3}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")
_TIME = r"([01][0-9]|2[0-3])([0-5][0-9]){2}"
TIME = like(_TIME)
DATE_TIME = like(rf"[12][0-9]{{3}}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])({_TIME})?")
AGE = like(r"[0-9]{3}[DWMY]")
_GROUPED_AGE = like(r"[0-9]{3}[DWM]|0([0-8][0-9]|90)Y")
"""All above 89 years are 90 (45 CFR 164.514(b)(2)(i)(C))."""

_NUMBER = r"(0|[1-9][0-9]{0,7})"
_STAGE = rf"((a|b|rc){_NUMBER})?(\.post{_NUMBER})?(\.dev{_NUMBER})?"
_CARGO_STAGE = rf"-(a|alpha|b|beta|dev|nightly|pre|rc)(\.?{_NUMBER}){{0,2}}"
_LOCAL = r"(\+[0-9a-z]+(\.[0-9a-z]+)*)?"
_VERSION = (
    r"(?=[^ ]{3,32}(?: |\Z))"
    rf"(0|[1-9][0-9]{{0,3}})(\.{_NUMBER})+({_STAGE}|{_CARGO_STAGE}){_LOCAL}"
)
"""As PEP 440 and Cargo write versions, of two numbers or more: no accession number is one."""
_POLICY = "policy sha256:[0-9a-f]{16}"
_MEASURE = r"[0-9]{1,5}(\.[0-9]{1,14})?(e-[0-9]{2,3})?"
"""Not so large that it may be a day, or a number of as many digits."""
_PATIENT = _pseudonym("P")
_KINDS = one_of(
    *("ORIGINAL", "DERIVED", "PRIMARY", "VOLUME", "LABEL", "OVERVIEW", "THUMBNAIL"),
    *("NONE", "RESAMPLED"),
)
_OFFSET = like(f"-?{_MEASURE}")
_STANDARD = "1.2.840.10008."
_CLASS = one_of(f"{_STANDARD}5.1.4.1.1.77.1.6")


def _method(profile: str) -> Form:
    return like(rf"coverslip {_VERSION} profile={profile}|{_POLICY}")


WITHOUT_IDENTITY: Mapping[str, Form] = {
    "SpecificCharacterSet": one_of("ISO_IR 192"),
    "ImageType": _KINDS,
    "FrameType": _KINDS,
    "Modality": one_of("SM"),
    "VolumetricProperties": one_of("VOLUME"),
    "PhotometricInterpretation": one_of(
        *("MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
    ),
    "PatientIdentityRemoved": one_of("YES"),
    "BurnedInAnnotation": one_of("NO", "YES"),
    "RecognizableVisualFeatures": one_of("NO"),
    "SpecimenLabelInImage": one_of("NO", "YES"),
    "LongitudinalTemporalInformationModified": one_of("REMOVED"),
    "FocusMethod": one_of("AUTO", "MANUAL"),
    "ExtendedDepthOfField": one_of("NO", "YES"),
    "ColorSpace": one_of("SRGB", "ADOBERGB", "ROMMRGB"),
    "PresentationLUTShape": one_of("IDENTITY"),
    "DimensionOrganizationType": one_of("TILED_FULL", "TILED_SPARSE"),
    "LossyImageCompression": one_of("00", "01"),
    "LossyImageCompressionMethod": one_of(
        *("ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_2", "ISO_15444_15"),
        *("ISO_18181_1", "ISO_29199_2", "ESRI_LERC", "RFC_9649"),
    ),
    "ValueType": one_of("TEXT", "CODE"),
    "PositionReferenceIndicator": one_of("SLIDE_CORNER"),
    **dict.fromkeys(("StudyDate", "ContentDate"), like("19000101")),
    "AcquisitionDateTime": like(r"(19|20)[0-9]{2}0101000000"),
    **dict.fromkeys(("StudyTime", "ContentTime"), like("000000")),
    **dict.fromkeys(("ReferringPhysicianName", "PatientBirthDate", "PatientSex"), NOTHING),
    "AccessionNumber": NOTHING,
    "PatientName": lambda text: _PATIENT(text.removesuffix("^")),
    "PatientID": _PATIENT,
    **dict.fromkeys(("ContainerIdentifier", "LabelText", "BarcodeValue"), _pseudonym("C")),
    "SpecimenIdentifier": _pseudonym("S"),
    "TextValue": _pseudonym("S", "Fixation", "Embedding", "Fixation and embedding"),
    "StudyID": one_of("1"),
    "DeidentificationMethod": _method("public"),
    "CodeValue": VALUES.__contains__,
    "CodingSchemeDesignator": DESIGNATORS.__contains__,
    "CodeMeaning": MEANINGS.__contains__,
    "Manufacturer": one_of(*MANUFACTURERS, "coverslip"),
    "ManufacturerModelName": one_of(*MODELS, "coverslip"),
    "DeviceSerialNumber": one_of("REMOVED"),
    "SoftwareVersions": like(f"coverslip {_VERSION}"),
    "OpticalPathIdentifier": like("[0-9]{1,3}"),
    "SOPClassUID": _CLASS,
    **dict.fromkeys(
        (
            *("SOPInstanceUID", "PyramidUID", "StudyInstanceUID", "SeriesInstanceUID"),
            *("FrameOfReferenceUID", "DimensionOrganizationUID", "ConcatenationUID"),
            *("SOPInstanceUIDOfConcatenationSource", "SpecimenUID"),
        ),
        _random_uid,
    ),
    "SeriesNumber": like("[1-9][0-9]{0,3}"),
    "InstanceNumber": like("[1-9][0-9]{0,3}"),
    "NumberOfFrames": like("[1-9][0-9]{0,9}"),
    "PixelSpacing": like(_MEASURE),
    "SliceThickness": one_of("0.001"),
    "SpacingBetweenSlices": like(r"0\.[0-9]{1,6}|[1-9](\.[0-9])?e-0[56]"),
    "RescaleIntercept": one_of("0"),
    "RescaleSlope": one_of("1"),
    "LossyImageCompressionRatio": like(
        r"[0-9]{1,6}(\.[0-9]{1,2})?|[1-9](\.[0-9]{1,3})?e\+[0-9]{2}"
    ),
    **{f"{axis}OffsetInSlideCoordinateSystem": _OFFSET for axis in "XYZ"},
    "ImageOrientationSlide": one_of("-1", "0", "1"),
    "ObjectiveLensPower": like(r"[0-9]{1,3}(\.[0-9]{1,14})?"),
    "ObjectiveLensNumericalAperture": like(r"[0-2](\.[0-9]{1,4})?"),
}
"""Under the profile public, of each value; one that is empty says nothing, whatever its form."""

_RESEARCH: Mapping[str, Form] = {
    "AccessionNumber": _pseudonym("A"),
    "DeviceSerialNumber": _pseudonym("D", "REMOVED"),
    "OpticalPathDescription": like(f"Channel [1-9][0-9]{{0,2}}|{'|'.join(map(re.escape, DYES))}"),
    "DeidentificationMethod": _method("research"),
    **{
        f"ClinicalTrial{what}": ANYTHING
        for what in ("SponsorName", "ProtocolID", "ProtocolName", "SiteID", "SiteName", "SubjectID")
    },
}
"""A project may say who it is: it names nobody but itself and its own subjects (PS3.3 C.7.1.3)."""

_DATES: Mapping[str, Form] = {
    **dict.fromkeys(("StudyDate", "ContentDate"), DATE),
    "AcquisitionDateTime": DATE_TIME,
}
_CALIBRATED: Mapping[str, Form] = {"DateOfLastCalibration": DATE}
RETAINED: Mapping[tuple[str, ...], Mapping[str, Form]] = {
    ("113106",): {**_DATES, "LongitudinalTemporalInformationModified": one_of("UNMODIFIED")},
    ("113107",): {**_DATES, "LongitudinalTemporalInformationModified": one_of("MODIFIED")},
    ("113108",): {"PatientSex": one_of("F", "M", "O"), "PatientAge": _GROUPED_AGE},
    ("113109",): {
        "DeviceSerialNumber": ANYTHING,
        "StationName": ANYTHING,
        "DeviceUID": ANY_UID,
        "UniqueDeviceIdentifier": ANYTHING,
    },
    ("113106", "113109"): _CALIBRATED,
    ("113107", "113109"): _CALIBRATED,
    ("113112",): dict.fromkeys(
        ("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"), ANYTHING
    ),
}
"""What may be there besides, or instead, under options that are claimed (CID 7050)."""

_SIZE = like(r"[0-9]{1,3}(\.[0-9]{1,3})?")
_GIVEN: Mapping[str, Form] = {
    **_DATES,
    **dict.fromkeys(("SeriesDate", "DateOfLastCalibration", "PatientBirthDate"), DATE),
    **dict.fromkeys(("StudyTime", "SeriesTime", "ContentTime", "TimeOfLastCalibration"), TIME),
    "TimezoneOffsetFromUTC": like("[+-][01][0-9][0-5][0-9]"),
    "PatientSex": one_of("F", "M", "O"),
    "PatientAge": AGE,
    **dict.fromkeys(("PatientSize", "PatientWeight"), _SIZE),
    "SmokingStatus": one_of("YES", "NO", "UNKNOWN"),
    "TypeOfPatientID": one_of("TEXT"),
    **dict.fromkeys(("StudyInstanceUID", "DeviceUID"), ANY_UID),
    **dict.fromkeys(
        (
            *("PatientName", "PatientID", "IssuerOfPatientID", "EthnicGroup", "PatientComments"),
            *("AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription"),
            *("ProtocolName", "ReferringPhysicianName", "PerformingPhysicianName"),
            *("OperatorsName", "InstitutionName", "InstitutionAddress"),
            *("InstitutionalDepartmentName", "StationName", "DeviceSerialNumber"),
            *("UniqueDeviceIdentifier", "LocalNamespaceEntityID", "ContainerIdentifier"),
            *("SpecimenIdentifier", "SpecimenShortDescription", "SpecimenDetailedDescription"),
            *("TextValue", "LabelText", "BarcodeValue"),
        ),
        ANYTHING,
    ),
    "OpticalPathDescription": _RESEARCH["OpticalPathDescription"],
    "DeidentificationMethod": _method("care"),
    "PatientIdentityRemoved": one_of("NO"),
}
"""What is somebody's where identity was not removed."""
_NOT_GIVEN = {"RecognizableVisualFeatures", "LongitudinalTemporalInformationModified"}
"""What only an instance without identity says."""

_VERSION_NAME = (
    r"COVERSLIP_(?=.{3,6}\Z)[0-9]{1,4}\.[0-9][0-9.]*"
    r"((A|B|RC?)[0-9.]*)?((D|DE|DEV|P|PO|POS|POST)[0-9]*)?([_+][0-9A-Z.]{1,2})?"
)
"""As much of a version as there is room for in sixteen characters."""
FILE_META: Mapping[str, Form] = {
    "MediaStorageSOPClassUID": _CLASS,
    "MediaStorageSOPInstanceUID": _random_uid,
    "TransferSyntaxUID": one_of(
        *(f"{_STANDARD}1.2.{end}" for end in ("1", "1.98", "5", "8.1")),
        *(f"{_STANDARD}1.2.4.{end}" for end in (50, 51, 57, 70, 80, 81, 90, 91)),
        *(f"{_STANDARD}1.2.4.{end}" for end in (110, 111, 112, 201, 202, 203)),
    ),
    "ImplementationClassUID": _random_uid,
    "ImplementationVersionName": like(_VERSION_NAME),
}
"""What texts of file meta information may be (PS3.10 7.1)."""


def forms_of(profile: str, claims: Collection[str]) -> Mapping[str, Form]:
    """Return the form of each text that may be there.

    Parameters
    ----------
    profile
        Under which an instance says that it was made: care, research or public.
    claims
        Codes of CID 7050 that it has: under public nothing is retained, whatever they say.
    """
    if profile == "care":
        kept = {key: form for key, form in WITHOUT_IDENTITY.items() if key not in _NOT_GIVEN}
        return {**kept, **_GIVEN}
    if profile == "public":
        return WITHOUT_IDENTITY
    forms = {**WITHOUT_IDENTITY, **_RESEARCH}
    for needed, retained in RETAINED.items():
        if all(code in claims for code in needed):
            forms.update(retained)
    return forms
