"""Plants an invented identifier in every kind of place of a WSM instance where some were found."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

import coverslip
from coverslip.sample import write_sample

Plant = Callable[[Dataset, str], None]


@dataclass(frozen=True)
class PlantedStudy:
    """A study, and what was planted where."""

    folder: Path
    texts: dict[str, str]
    """Name of the place to the identifier in it."""


def _value(keyword: str) -> Plant:
    return lambda dataset, text: setattr(dataset, keyword, text)


def _in_item(sequence: str, keyword: str) -> Plant:
    def plant(dataset: Dataset, text: str) -> None:
        if sequence not in dataset:
            setattr(dataset, sequence, Sequence([Dataset()]))
        setattr(getattr(dataset, sequence)[0], keyword, text)

    return plant


def _private(dataset: Dataset, text: str) -> None:
    dataset.private_block(0x0009, "A SCANNER", create=True).add_new(0x01, "LO", text)


def _deep_private(dataset: Dataset, text: str) -> None:
    item = dataset.OpticalPathSequence[0]
    item.private_block(0x0011, "A SCANNER", create=True).add_new(0x02, "UT", text)


def _local_code(dataset: Dataset, text: str) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "17", "99LOCAL", text
    dataset.SpecimenDescriptionSequence[0].SpecimenTypeCodeSequence = Sequence([code])


def _preparation(dataset: Dataset, text: str) -> None:
    step, note = Dataset(), Dataset()
    note.ValueType, note.TextValue = "TEXT", text
    step.SpecimenPreparationStepContentItemSequence = Sequence([note])
    specimen = dataset.SpecimenDescriptionSequence[0]
    specimen.SpecimenPreparationSequence = Sequence([step])


_KEYWORDS = (
    *("PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientComments"),
    *("AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "ProtocolName"),
    *("ImageComments", "InstitutionName", "InstitutionAddress", "StationName", "OperatorsName"),
    *("ReferringPhysicianName", "PerformingPhysicianName", "DeviceSerialNumber", "LabelText"),
    *("BarcodeValue", "ContainerIdentifier", "AdmittingDiagnosesDescription", "ImageID"),
    *("RequestedProcedureDescription", "AcquisitionComments", "DerivationDescription"),
    *("IssuerOfPatientID", "EthnicGroup", "AdditionalPatientHistory"),
)
_DATES = ("PatientBirthDate", "StudyDate", "ContentDate", "AcquisitionDateTime")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "DeviceUID")
TEXTS: dict[str, Plant] = {
    **{keyword: _value(keyword) for keyword in _KEYWORDS},
    "SpecimenIdentifier": _in_item("SpecimenDescriptionSequence", "SpecimenIdentifier"),
    "SpecimenShortDescription": _in_item("SpecimenDescriptionSequence", "SpecimenShortDescription"),
    "SpecimenDetailedDescription": _in_item(
        "SpecimenDescriptionSequence", "SpecimenDetailedDescription"
    ),
    "SpecimenPreparation: TextValue": _preparation,
    "OtherPatientIDs": _in_item("OtherPatientIDsSequence", "PatientID"),
    "OpticalPathDescription": _in_item("OpticalPathSequence", "OpticalPathDescription"),
    "RequestAttributes: ScheduledProcedureStepDescription": _in_item(
        "RequestAttributesSequence", "ScheduledProcedureStepDescription"
    ),
    "SpecimenTypeCode: CodeMeaning": _local_code,
    "IssuerOfAccessionNumber: LocalNamespaceEntityID": _in_item(
        "IssuerOfAccessionNumberSequence", "LocalNamespaceEntityID"
    ),
    "AlternateContainerIdentifier": _in_item(
        "AlternateContainerIdentifierSequence", "ContainerIdentifier"
    ),
    "DimensionDescriptionLabel": _in_item("DimensionIndexSequence", "DimensionDescriptionLabel"),
    "ContributingEquipment: InstitutionName": _in_item(
        "ContributingEquipmentSequence", "InstitutionName"
    ),
    "ContributingEquipment: ContributionDescription": _in_item(
        "ContributingEquipmentSequence", "ContributionDescription"
    ),
    "OriginalAttributes: SourceOfPreviousValues": _in_item(
        "OriginalAttributesSequence", "SourceOfPreviousValues"
    ),
    "CodingSchemeResponsibleOrganization": _in_item(
        "CodingSchemeIdentificationSequence", "CodingSchemeResponsibleOrganization"
    ),
    "private element": _private,
    "private element in an item": _deep_private,
}
_META = "file meta information: SourceApplicationEntityTitle"
OUTSIDE = (
    *("preamble", "JPEG comment in a frame", "DataSetTrailingPadding", "file name"),
    _META,
)


def plant_study(folder: Path, work: Path, seed: int = 1) -> PlantedStudy:
    """Convert a sample and plant into each of its instances the same identifiers."""
    chance = random.Random(seed)  # noqa: S311 (must be the same each time)
    slide = work / "plain.svs"
    write_sample(slide, byte_count=600_000)
    result = coverslip.convert(slide, work / "converted")
    texts = {place: _word(chance) for place in (*TEXTS, *OUTSIDE)}
    texts |= {place: _day(chance) for place in _DATES}
    texts |= {place: generate_uid(entropy_srcs=[str(seed), place]) for place in _UIDS}
    folder.mkdir()
    for number, instance in enumerate(result.instances):
        _plant(instance.path, folder / f"{texts['file name']}-{number}.dcm", texts)
    return PlantedStudy(folder=folder, texts=texts)


def _plant(source: Path, target: Path, texts: dict[str, str]) -> None:
    dataset = pydicom.dcmread(source)
    for place, plant in TEXTS.items():
        plant(dataset, texts[place])
    for keyword in (*_DATES, *_UIDS):
        setattr(dataset, keyword, texts[keyword])
    dataset.DataSetTrailingPadding = texts["DataSetTrailingPadding"].encode()
    dataset.PatientIdentityRemoved = "NO"
    dataset.SpecificCharacterSet = "ISO_IR 192"  # idiscore wants it
    for keyword in ("DeidentificationMethod", "DeidentificationMethodCodeSequence"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.preamble = texts["preamble"].encode().ljust(128, b"\0")
    dataset.PixelData = _with_comment(dataset.PixelData, texts["JPEG comment in a frame"])
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.file_meta.SourceApplicationEntityTitle = texts[_META]
    dataset.save_as(target, enforce_file_format=True)


def _with_comment(pixel_data: bytes, text: str) -> bytes:
    """Return Pixel Data without offset table, its first frame with a comment behind SOI."""
    frames = list(pydicom.encaps.generate_fragments(pixel_data))[1:]
    comment = text.encode() + b" " * (len(text) % 2)
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment
    frames[0] = frames[0][:2] + segment + frames[0][2:]
    return pydicom.encaps.encapsulate(frames, has_bot=False)


def _word(chance: random.Random) -> str:
    return "".join(chance.choices("BCDFGHJKLMNPRSTVWZ", k=11))


def _day(chance: random.Random) -> str:
    return f"{chance.randint(1931, 1999)}{chance.randint(1, 12):02}{chance.randint(10, 28)}"
