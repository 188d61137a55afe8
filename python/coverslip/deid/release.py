"""Decides what of the operator's texts may go out, and under which claims."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from coverslip.deid.metadata import Given
from coverslip.deid.policy import Dates, Keep, Policy, Profile
from coverslip.deid.uids import Identity
from coverslip.errors import PolicyError
from coverslip.model import OperatorText

MIDNIGHT = "000000"

_SPECIMEN = "SpecimenDescriptionSequence"
_CARE = {
    "PatientID": "patient_id",
    "PatientName": "patient_name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "PatientAge": "age",
    "IssuerOfPatientID": "patient_id_issuer",
    "OtherPatientIDsSequence.PatientID": "other_patient_id",
    "OtherPatientIDsSequence.IssuerOfPatientID": "other_patient_id_issuer",
    "EthnicGroup": "ethnic_group",
    "PatientSize": "patient_size_m",
    "PatientWeight": "patient_weight_kg",
    "SmokingStatus": "smoking_status",
    "PatientComments": "patient_comments",
    "AccessionNumber": "accession_number",
    "IssuerOfAccessionNumberSequence.LocalNamespaceEntityID": "accession_number_issuer",
    "StudyInstanceUID": "study_instance_uid",
    "StudyID": "study_id",
    "TimezoneOffsetFromUTC": "timezone_offset",
    "StudyDescription": "study_description",
    "SeriesDescription": "series_description",
    "ProtocolName": "protocol_name",
    "ReferringPhysicianName": "referring_physician",
    "PerformingPhysicianName": "performing_physician",
    "OperatorsName": "operator_name",
    "InstitutionName": "institution_name",
    "InstitutionAddress": "institution_address",
    "InstitutionalDepartmentName": "institution_department",
    "DeviceSerialNumber": "device_serial_number",
    "DeviceUID": "device_uid",
    "UDISequence.UniqueDeviceIdentifier": "device_udi",
    "StationName": "station_name",
    "IssuerOfTheContainerIdentifierSequence.LocalNamespaceEntityID": "container_identifier_issuer",
    "AlternateContainerIdentifierSequence.ContainerIdentifier": "alternate_container_identifier",
    f"{_SPECIMEN}.IssuerOfTheSpecimenIdentifierSequence.LocalNamespaceEntityID": (
        "specimen_identifier_issuer"
    ),
    f"{_SPECIMEN}.SpecimenShortDescription": "specimen_short_description",
    f"{_SPECIMEN}.SpecimenDetailedDescription": "specimen_detailed_description",
    "ContainerIdentifier": "container_identifier",
    "LabelText": "container_identifier",
    "BarcodeValue": "container_identifier",
    f"{_SPECIMEN}.SpecimenIdentifier": "specimen_identifier",
    f"{_SPECIMEN}.SpecimenPreparationSequence"
    ".SpecimenPreparationStepContentItemSequence.TextValue": "specimen_identifier",
    f"{_SPECIMEN}.SpecimenLocalizationContentItemSequence.TextValue": "specimen_location",
}
_CALIBRATED = "DateOfLastCalibration"
_KEPT = {
    Keep.PATIENT_CHARACTERISTICS: ("PatientSex", "PatientAge"),
    Keep.DEVICE: (
        "DeviceSerialNumber",
        "DeviceUID",
        "UDISequence.UniqueDeviceIdentifier",
        "StationName",
        _CALIBRATED,
    ),
    Keep.INSTITUTION: ("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
}
_TRIAL = {
    "ClinicalTrialSponsorName": "trial_sponsor",
    "ClinicalTrialProtocolID": "trial_protocol_id",
    "ClinicalTrialProtocolName": "trial_protocol_name",
    "ClinicalTrialSiteID": "trial_site_id",
    "ClinicalTrialSiteName": "trial_site_name",
    "ClinicalTrialSubjectID": "trial_subject_id",
}
"""What a project calls itself and its subjects: of `research` alone (PS3.3 C.7.1.3)."""
_CODE_OF_KEEP = {
    Keep.PATIENT_CHARACTERISTICS: "113108",
    Keep.DEVICE: "113109",
    Keep.INSTITUTION: "113112",
}
_DATES = ("StudyDate", "ContentDate", "AcquisitionDateTime", _CALIBRATED)


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
        return dict(_texts(given, _CARE)) | dict(_dates(given)) | dict(_times(given))
    if policy.profile is Profile.RESEARCH:
        kept = {path for word in policy.keep for path in _KEPT[word]}
        texts = dict(_texts(given, {path: _CARE[path] for path in _CARE.keys() & kept}))
        if "PatientAge" in texts:
            texts["PatientAge"] = _grouped(texts["PatientAge"])
        texts |= dict(_texts(given, _TRIAL))
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
    if given.calibration_date is not None:
        yield _CALIBRATED, OperatorText(_shifted(given.calibration_date, weeks))


def _times(given: Given) -> Iterator[tuple[str, OperatorText]]:
    """Yield the times of day of dates that were given, and when the series began: with the scan."""
    if given.acquisition_date is not None:
        yield "SeriesDate", given.acquisition_date
    if given.study_date is not None and given.study_time is not None:
        yield "StudyTime", given.study_time
    if given.acquisition_date is not None and given.acquisition_time is not None:
        yield "ContentTime", given.acquisition_time
        yield "SeriesTime", given.acquisition_time
        both = given.acquisition_date.reveal() + given.acquisition_time.reveal()
        yield "AcquisitionDateTime", OperatorText(both)
    if given.calibration_date is not None and given.calibration_time is not None:
        yield "TimeOfLastCalibration", given.calibration_time


def _shifted(text: OperatorText, weeks: int) -> str:
    digits = text.reveal()
    day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    return (day - timedelta(weeks=weeks)).strftime("%Y%m%d")


def _research_dates(given: Given, policy: Policy, identity: Identity) -> dict[str, OperatorText]:
    if policy.dates is Dates.DROP:
        return {}
    dates = dict(_dates(given, 0 if policy.dates is Dates.FULL else identity.shift_weeks()))
    if Keep.DEVICE not in policy.keep:
        dates.pop(_CALIBRATED, None)
    time = given.acquisition_time
    if policy.time == "keep" and time is not None and "ContentDate" in dates:
        both = dates["ContentDate"].reveal() + time.reveal()
        dates["AcquisitionDateTime"] = OperatorText(both)
    return dates


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
