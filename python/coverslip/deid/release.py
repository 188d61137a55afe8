"""Decides what of the operator's texts may go out, and under which claims."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from coverslip.deid.metadata import Given
from coverslip.deid.policy import Dates, Keep, Policy, Profile
from coverslip.deid.uids import Identity
from coverslip.errors import PolicyError
from coverslip.model import OperatorText

MIDNIGHT = "000000"

_CARE = {
    "PatientID": "patient_id",
    "PatientName": "patient_name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "PatientAge": "age",
    "AccessionNumber": "accession_number",
    "InstitutionName": "institution_name",
    "DeviceSerialNumber": "device_serial_number",
    "ContainerIdentifier": "container_identifier",
    "LabelText": "container_identifier",
    "BarcodeValue": "container_identifier",
    "SpecimenDescriptionSequence.SpecimenIdentifier": "specimen_identifier",
    "SpecimenDescriptionSequence.SpecimenPreparationSequence"
    ".SpecimenPreparationStepContentItemSequence.TextValue": "specimen_identifier",
}
_KEPT = {
    Keep.PATIENT_CHARACTERISTICS: ("PatientSex", "PatientAge"),
    Keep.DEVICE: ("DeviceSerialNumber",),
    Keep.INSTITUTION: ("InstitutionName",),
}
_CODE_OF_KEEP = {
    Keep.PATIENT_CHARACTERISTICS: "113108",
    Keep.DEVICE: "113109",
    Keep.INSTITUTION: "113112",
}
_DATES = ("StudyDate", "ContentDate", "AcquisitionDateTime")


def release(given: Given, policy: Policy, identity: Identity) -> dict[str, OperatorText]:
    """Return what may be written of the operator's texts, by path of keywords.

    Raises
    ------
    PolicyError
        If the profile is `care` and the patient is not known: nothing else can name the patient.
    """
    if policy.profile is Profile.CARE:
        if given.patient_id is None:
            raise PolicyError(
                "the profile care needs to know the patient",
                hint="give a table with the columns file and patient_id with --metadata",
            )
        return dict(_texts(given, _CARE)) | dict(_dates(given))
    if policy.profile is Profile.RESEARCH:
        kept = {path for word in policy.keep for path in _KEPT[word]}
        texts = dict(_texts(given, {path: _CARE[path] for path in kept}))
        if "PatientAge" in texts:
            texts["PatientAge"] = _grouped(texts["PatientAge"])
        return texts | _research_dates(given, policy, identity)
    return _public_year(given, policy)


def claims(released: Mapping[str, OperatorText], policy: Policy) -> tuple[str, ...]:
    """Return the codes of CID 7050 for what of the operator's was retained, in ascending order."""
    if policy.profile is not Profile.RESEARCH:
        return ()
    codes = [
        _CODE_OF_KEEP[word] for word in policy.keep if any(path in released for path in _KEPT[word])
    ]
    if any(path in released for path in _DATES):
        codes.append("113106" if policy.dates is Dates.FULL else "113107")
    return tuple(sorted(codes))


def temporal_information(released: Mapping[str, OperatorText], policy: Policy) -> str | None:
    """Return Longitudinal Temporal Information Modified, by what was done to dates."""
    if policy.profile is Profile.CARE:
        return None
    if policy.profile is Profile.PUBLIC or not any(path in released for path in _DATES):
        return "REMOVED"
    return "UNMODIFIED" if policy.dates is Dates.FULL else "MODIFIED"


def _texts(given: Given, paths: Mapping[str, str]) -> Iterator[tuple[str, OperatorText]]:
    for path, name in paths.items():
        text = getattr(given, name)
        if text is not None:
            yield path, text


def _dates(given: Given, weeks: int = 0) -> Iterator[tuple[str, OperatorText]]:
    """Yield the dates that were given, moved back by whole weeks."""
    if given.study_date is not None:
        yield "StudyDate", OperatorText(_shifted(given.study_date, weeks))
    if given.acquisition_date is not None:
        day = _shifted(given.acquisition_date, weeks)
        yield "ContentDate", OperatorText(day)
        yield "AcquisitionDateTime", OperatorText(day + MIDNIGHT)


def _shifted(text: OperatorText, weeks: int) -> str:
    digits = text.reveal()
    day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    return (day - timedelta(weeks=weeks)).strftime("%Y%m%d")


def _research_dates(given: Given, policy: Policy, identity: Identity) -> dict[str, OperatorText]:
    if policy.dates is Dates.DROP:
        return {}
    return dict(_dates(given, 0 if policy.dates is Dates.FULL else identity.shift_weeks()))


def _public_year(given: Given, policy: Policy) -> dict[str, OperatorText]:
    if policy.year != "keep" or given.acquisition_date is None:
        return {}
    year = given.acquisition_date.reveal()[:4]
    return {"AcquisitionDateTime": OperatorText(f"{year}0101{MIDNIGHT}")}


def _grouped(age: OperatorText) -> OperatorText:
    """Return an age as it may be told: all above 89 years are 90 (45 CFR 164.514(b)(2)(i)(C))."""
    text = age.reveal()
    days = int(text[:3]) * {"D": 1, "W": 7, "M": 30, "Y": 365}[text[3]]
    return OperatorText("090Y") if days > 89 * 365 + 364 else age
