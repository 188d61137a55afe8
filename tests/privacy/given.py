"""What an operator gives of a slide in these tests, and where in a file each of it stands."""

import csv

import pydicom

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.identity import Key
from coverslip.deid.metadata import read_metadata
from coverslip.deid.policy import Policy
from tests.choices import choices_of

KEY = Key(bytes(range(32)))
OTHER_KEY = Key(bytes(range(1, 33)))
GIVEN = {
    "patient_id": "MRN-7719204",
    "patient_name": "ÅSTRÖM^QUENNIFER",
    "birth_date": "1957-04-23",
    "sex": "F",
    "age": "066Y",
    "accession_number": "B22-66177",
    "study_date": "2023-05-17",
    "acquisition_date": "2023-05-19",
    "container_identifier": "B22-66177-A-3",
    "specimen_identifier": "B22-66177-A",
    "institution_name": "Klinikum Ödenwalde",
    "device_serial_number": "SN-5540917",
}
CARE_ONLY = {
    "patient_id_issuer": "HOSPITAL-QV",
    "other_patient_id": "EARLIER-40718",
    "other_patient_id_issuer": "CONVENT-QV",
    "ethnic_group": "Vandalian",
    "patient_size_m": "1.731",
    "patient_weight_kg": "66.125",
    "smoking_status": "UNKNOWN",
    "patient_comments": "brought by her niece",
    "accession_number_issuer": "LAB-QV",
    "study_id": "ST-40717",
    "study_time": "14:31:07",
    "acquisition_time": "15:42:08",
    "timezone_offset": "-09:30",
    "study_description": "Left breast lump",
    "series_description": "Third of four glasses",
    "protocol_name": "MAMMA-PLUS",
    "referring_physician": "WINTERBOTTOM^ANSELM",
    "performing_physician": "OSTERHOLTZER^BRIX",
    "operator_name": "TECHNICIAN^TRUDE",
    "container_identifier_issuer": "GLASSWORKS-QV",
    "alternate_container_identifier": "ALT-990817",
    "specimen_identifier_issuer": "BLOCKS-QV",
    "specimen_short_description": "Core of the left side",
    "specimen_detailed_description": "Received in a pot marked with her name",
    "specimen_location": "Beside the Quarzberg control",
    "calibration_time": "07:51:09",
}
"""Columns that `research` and `public` write nothing of."""
KEPT = {
    "institution_address": "Am Quarzberg 17",
    "institution_department": "Pathology Ward 3",
    "device_uid": "1.2.276.0.7230010.3.7.40717.5540917",
    "device_udi": "(01)04012345678901(11)190417(17)290417(10)LOTQV7719204A(21)SERQV55409171QUAGM",
    "station_name": "SCAN-QV-04",
    "calibration_date": "2021-11-29",
}
"""Columns that `research` writes where ``keep`` names what they belong to."""
TRIAL = {
    "trial_sponsor": "Quagmire Trust",
    "trial_protocol_id": "QT-2207",
    "trial_protocol_name": "Quagmire study of lumps",
    "trial_site_id": "SITE-41",
    "trial_site_name": "Ödenwalde East",
    "trial_subject_id": "SUBJ-30717",
}
"""Columns that `research` alone writes."""
STUDY = "1.2.276.0.7230010.3.1.2.296485376.1.1521713414.1849676"
CODES = ("stains", "fixative", "embedding", "specimen_type", "anatomy")
GIVEN |= CARE_ONLY | KEPT
SECRETS = [
    text
    for name, text in GIVEN.items()
    if name not in ("sex", "age", "smoking_status", "timezone_offset")
    and not name.endswith("_time")
]
SECRETS += ["ÅSTRÖM", "QUENNIFER", "19570423", "20230517", "20230519", "20211129"]
PLACES = {
    "patient_id": "PatientID",
    "patient_id_issuer": "IssuerOfPatientID",
    "other_patient_id": "OtherPatientIDsSequence.PatientID",
    "other_patient_id_issuer": "OtherPatientIDsSequence.IssuerOfPatientID",
    "patient_name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "age": "PatientAge",
    "ethnic_group": "EthnicGroup",
    "patient_size_m": "PatientSize",
    "patient_weight_kg": "PatientWeight",
    "smoking_status": "SmokingStatus",
    "patient_comments": "PatientComments",
    "accession_number": "AccessionNumber",
    "accession_number_issuer": "IssuerOfAccessionNumberSequence.LocalNamespaceEntityID",
    "study_id": "StudyID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "acquisition_date": "ContentDate",
    "acquisition_time": "ContentTime",
    "timezone_offset": "TimezoneOffsetFromUTC",
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
    "referring_physician": "ReferringPhysicianName",
    "performing_physician": "PerformingPhysicianName",
    "operator_name": "OperatorsName",
    "container_identifier": "ContainerIdentifier",
    "container_identifier_issuer": (
        "IssuerOfTheContainerIdentifierSequence.LocalNamespaceEntityID"
    ),
    "alternate_container_identifier": "AlternateContainerIdentifierSequence.ContainerIdentifier",
    "specimen_identifier": "SpecimenDescriptionSequence.SpecimenIdentifier",
    "specimen_identifier_issuer": (
        "SpecimenDescriptionSequence.IssuerOfTheSpecimenIdentifierSequence.LocalNamespaceEntityID"
    ),
    "specimen_short_description": "SpecimenDescriptionSequence.SpecimenShortDescription",
    "specimen_detailed_description": "SpecimenDescriptionSequence.SpecimenDetailedDescription",
    "specimen_location": (
        "SpecimenDescriptionSequence.SpecimenLocalizationContentItemSequence.TextValue"
    ),
    "institution_name": "InstitutionName",
    "institution_address": "InstitutionAddress",
    "institution_department": "InstitutionalDepartmentName",
    "device_serial_number": "DeviceSerialNumber",
    "device_uid": "DeviceUID",
    "device_udi": "UDISequence.UniqueDeviceIdentifier",
    "station_name": "StationName",
    "calibration_date": "DateOfLastCalibration",
    "calibration_time": "TimeOfLastCalibration",
    "trial_sponsor": "ClinicalTrialSponsorName",
    "trial_protocol_id": "ClinicalTrialProtocolID",
    "trial_protocol_name": "ClinicalTrialProtocolName",
    "trial_site_id": "ClinicalTrialSiteID",
    "trial_site_name": "ClinicalTrialSiteName",
    "trial_subject_id": "ClinicalTrialSubjectID",
}
"""Where each column stands if it is written as it was given, by keywords (PS3.3)."""
DIGITS = str.maketrans("", "", "-:")


def table(folder, *rows):
    path = folder / "metadata.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["file", *GIVEN, *TRIAL, *CODES, "study_instance_uid"])
        writer.writeheader()
        writer.writerows(rows)
    return read_metadata(path)


def custody(folder, key=KEY, **changes):
    return Custody(key=key, metadata=table(folder, {"file": "*", **GIVEN, **changes}))


def convert(slide, out, profile, given, *, case="", **options):
    policy = Policy(profile=profile, **choices_of(slide, case), **options)
    return coverslip.convert(slide.path, out, policy=policy, custody=given)


def header(result):
    return pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)


def codes_of(dataset):
    return [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]


def as_written(column):
    """Return what stands in a file that says a column: dates, times and offsets are compact."""
    text = (GIVEN | TRIAL)[column]
    if column == "timezone_offset":
        return text.replace(":", "")
    return text.translate(DIGITS) if column.endswith(("_date", "_time")) else text


def items_at(dataset, path):
    """Return the item that a path of keywords ends in and its last keyword, ``None`` if neither."""
    *sequences, keyword = path.split(".")
    for name in sequences:
        if not dataset.get(name):
            return None, keyword
        dataset = dataset[name].value[0]
    return (dataset if keyword in dataset else None), keyword


def value_at(dataset, path):
    item, keyword = items_at(dataset, path)
    return "" if item is None else str(item[keyword].value or "")


def told_by(dataset):
    """Return the columns that a file says as they were given."""
    return {name for name, path in PLACES.items() if value_at(dataset, path) == as_written(name)}
