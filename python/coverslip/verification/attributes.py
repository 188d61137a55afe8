"""What the standard lets an instance without identity hold, written down once more.

From PS3.3 A.32.8 and PS3.15 Table E.1-1, not from the writer's table: a mistake has to be made
twice to leave the house.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from coverslip.verification.scanners import MANUFACTURERS, MODELS


def _one_of(values: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, values)))


PERMITTED = frozenset(
    [
        "ImageType",
        "SOPClassUID",
        "SOPInstanceUID",
        "PyramidUID",
        "StudyDate",
        "ContentDate",
        "AcquisitionDateTime",
        "StudyTime",
        "ContentTime",
        "AccessionNumber",
        "Modality",
        "Manufacturer",
        "ReferringPhysicianName",
        "ManufacturerModelName",
        "VolumetricProperties",
        "SpecificCharacterSet",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "CodeValue",
        "CodingSchemeDesignator",
        "CodingSchemeVersion",
        "CodeMeaning",
        "DeviceSerialNumber",
        "SoftwareVersions",
        "ContributingEquipmentSequence",
        "PurposeOfReferenceCodeSequence",
        "SliceThickness",
        "SpacingBetweenSlices",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "StudyID",
        "SeriesNumber",
        "InstanceNumber",
        "FrameOfReferenceUID",
        "PositionReferenceIndicator",
        "DimensionOrganizationSequence",
        "DimensionOrganizationUID",
        "DimensionOrganizationType",
        "DimensionIndexSequence",
        "DimensionIndexPointer",
        "FunctionalGroupPointer",
        "DimensionIndexValues",
        "ConcatenationUID",
        "InConcatenationNumber",
        "InConcatenationTotalNumber",
        "ConcatenationFrameOffsetNumber",
        "SOPInstanceUIDOfConcatenationSource",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelSpacing",
        "BurnedInAnnotation",
        "RecognizableVisualFeatures",
        "LongitudinalTemporalInformationModified",
        "RescaleIntercept",
        "RescaleSlope",
        "RescaleType",
        "LossyImageCompression",
        "LossyImageCompressionRatio",
        "LossyImageCompressionMethod",
        "ICCProfile",
        "ColorSpace",
        "ContainerIdentifier",
        "IssuerOfTheContainerIdentifierSequence",
        "ContainerTypeCodeSequence",
        "AcquisitionContextSequence",
        "SpecimenDescriptionSequence",
        "SpecimenIdentifier",
        "SpecimenUID",
        "IssuerOfTheSpecimenIdentifierSequence",
        "SpecimenPreparationSequence",
        "SpecimenPreparationStepContentItemSequence",
        "ValueType",
        "ConceptNameCodeSequence",
        "ConceptCodeSequence",
        "TextValue",
        "SpecimenTypeCodeSequence",
        "PrimaryAnatomicStructureSequence",
        "ImagedVolumeWidth",
        "ImagedVolumeHeight",
        "ImagedVolumeDepth",
        "TotalPixelMatrixColumns",
        "TotalPixelMatrixRows",
        "TotalPixelMatrixOriginSequence",
        "XOffsetInSlideCoordinateSystem",
        "YOffsetInSlideCoordinateSystem",
        "ZOffsetInSlideCoordinateSystem",
        "SpecimenLabelInImage",
        "FocusMethod",
        "ExtendedDepthOfField",
        "RecommendedAbsentPixelCIELabValue",
        "NumberOfFocalPlanes",
        "DistanceBetweenFocalPlanes",
        "ImageOrientationSlide",
        "OpticalPathSequence",
        "IlluminationTypeCodeSequence",
        "IlluminationColorCodeSequence",
        "IlluminationWaveLength",
        "OpticalPathIdentifier",
        "OpticalPathDescription",
        "ObjectiveLensPower",
        "ObjectiveLensNumericalAperture",
        "NumberOfOpticalPaths",
        "TotalPixelMatrixFocalPlanes",
        "PresentationLUTShape",
        "LabelText",
        "BarcodeValue",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "PixelMeasuresSequence",
        "WholeSlideMicroscopyImageFrameTypeSequence",
        "FrameType",
        "FrameContentSequence",
        "PlanePositionSlideSequence",
        "ColumnPositionInTotalImagePixelMatrix",
        "RowPositionInTotalImagePixelMatrix",
        "OpticalPathIdentificationSequence",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
    ]
)
"""Keywords, wherever they stand."""

FILE_META = frozenset(
    [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    ]
)

EMPTY = frozenset(
    [
        "ReferringPhysicianName",
        "PatientBirthDate",
        "PatientSex",
        "IssuerOfTheContainerIdentifierSequence",
        "IssuerOfTheSpecimenIdentifierSequence",
        "AcquisitionContextSequence",
    ]
)
"""Of Type 2, so they are there, and must say nothing."""

REQUIRED = frozenset(
    [
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "ImageType",
        "Modality",
        "Manufacturer",
        "ContainerIdentifier",
        "SpecimenDescriptionSequence",
        "OpticalPathSequence",
        "Rows",
        "Columns",
        "NumberOfFrames",
        "TotalPixelMatrixColumns",
        "TotalPixelMatrixRows",
        "SharedFunctionalGroupsSequence",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
    ]
)
"""Of Type 1 in the IOD, or demanded by PS3.15 E.1.1."""

VALUES = {
    "PatientIdentityRemoved": {"YES"},
    "BurnedInAnnotation": {"NO"},
    "SpecimenLabelInImage": {"NO", "YES"},
    "LongitudinalTemporalInformationModified": {"REMOVED", "MODIFIED", "UNMODIFIED"},
}
"""What must be there and say one of these."""

_BODY = "[0-9A-HJKMNP-TV-Z]{13}"
"""Of a pseudonym: sixty bits as Crockford writes them, and a check."""
FORMS = {
    "AccessionNumber": re.compile(f"(A-{_BODY})?"),
    "PatientName": re.compile(rf"(P-{_BODY}\^?)?"),
    "PatientID": re.compile(f"(P-{_BODY})?"),
    "ContainerIdentifier": re.compile(f"C-{_BODY}"),
    "SpecimenIdentifier": re.compile(f"S-{_BODY}"),
    "LabelText": re.compile(f"(C-{_BODY})?"),
    "BarcodeValue": re.compile(f"(C-{_BODY})?"),
    "StudyID": re.compile("1?"),
    "DeviceSerialNumber": re.compile(f"REMOVED|D-{_BODY}"),
    "SoftwareVersions": re.compile("coverslip [0-9A-Za-z.+]{1,32}"),
    "DeidentificationMethod": re.compile(
        "coverslip [0-9A-Za-z.+]{1,32} profile=(public|research)|policy sha256:[0-9a-f]{16}"
    ),
    "Manufacturer": _one_of(MANUFACTURERS | {"coverslip"}),
    "ManufacturerModelName": _one_of(MODELS | {"coverslip"}),
}
"""What values may be, each of them, unless an instance says that they were retained."""

RETAINED = {
    "113108": frozenset({"PatientSex", "PatientAge"}),
    "113109": frozenset(
        {
            "DeviceSerialNumber",
            "StationName",
            "DeviceUID",
            "UDISequence",
            "UniqueDeviceIdentifier",
            "DateOfLastCalibration",
        }
    ),
    "113112": frozenset({"InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"}),
}
"""What may be there besides under a claimed option (CID 7050)."""


TRIAL = frozenset(
    [
        "ClinicalTrialSponsorName",
        "ClinicalTrialProtocolID",
        "ClinicalTrialProtocolName",
        "ClinicalTrialSiteID",
        "ClinicalTrialSiteName",
        "ClinicalTrialSubjectID",
    ]
)
"""What may be there besides where the method says that a project is the purpose."""

IDENTIFYING = frozenset(
    [
        "IssuerOfPatientID",
        "OtherPatientIDsSequence",
        "TypeOfPatientID",
        "PatientSize",
        "PatientWeight",
        "EthnicGroup",
        "SmokingStatus",
        "PatientComments",
        "IssuerOfAccessionNumberSequence",
        "LocalNamespaceEntityID",
        "SeriesDate",
        "SeriesTime",
        "TimezoneOffsetFromUTC",
        "TimeOfLastCalibration",
        "StudyDescription",
        "SeriesDescription",
        "ProtocolName",
        "PerformingPhysicianName",
        "OperatorsName",
        "AlternateContainerIdentifierSequence",
        "SpecimenShortDescription",
        "SpecimenDetailedDescription",
        "SpecimenLocalizationContentItemSequence",
    ]
)
"""What may be there besides where identity was not removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an instance may hold and must, with identity or without."""

    permitted: frozenset[str]
    empty: frozenset[str]
    required: frozenset[str]
    values: dict[str, set[str]]


_DEIDENTIFICATION = frozenset({"DeidentificationMethod", "DeidentificationMethodCodeSequence"})
_GIVEN = frozenset(
    [
        "PatientBirthDate",
        "PatientSex",
        "ReferringPhysicianName",
        "IssuerOfTheContainerIdentifierSequence",
        "IssuerOfTheSpecimenIdentifierSequence",
    ]
)
WITHOUT_IDENTITY = Rules(permitted=PERMITTED, empty=EMPTY, required=REQUIRED, values=VALUES)
WITH_IDENTITY = Rules(
    permitted=PERMITTED.union(IDENTIFYING, *RETAINED.values()),
    empty=EMPTY - _GIVEN,
    required=REQUIRED - _DEIDENTIFICATION,
    values={
        "PatientIdentityRemoved": {"NO"},
        "BurnedInAnnotation": {"NO", "YES"},
        "SpecimenLabelInImage": {"NO", "YES"},
    },
)

IS_DUMMY_TIME = re.compile(r"(19|20)\d\d0101(000000)?|000000")
"""What dates and times say where they were removed: at most a year."""
