"""The modules of the VL Whole Slide Microscopy Image IOD (PS3.3 A.32.8), one function each.

A function gets only what its module says and adds to the data set; what is absent here is absent
on purpose. `coverslip.dicom.allowlist` has the last word.
"""

from collections.abc import Iterator

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from coverslip.dicom.content import code, copy_given, given_item, given_text, issuer
from coverslip.dicom.geometry import image_orientation, origin_mm
from coverslip.dicom.positions import Position, positions
from coverslip.model import CleanMetadata, CleanOpticalPath, InstanceSpec, Role

SOP_CLASS_UID = "1.2.840.10008.5.1.4.1.1.77.1.6"
PACKAGE = "coverslip"

CODE_MEANINGS = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113106": "Retain Longitudinal Temporal Information Full Dates Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113112": "Retain Institution Identity Option",
}
"""Of CID 7050, those that can be claimed now."""

SLICE_THICKNESS_MM = "0.001"
"""Must be there; the depth of field is not known."""

IMAGED_VOLUME_DEPTH_UM = 1.0  # may not be 0
LOWEST_PLANE_UM = "0"
"""Where on the glass the focal planes begin is not known."""
DIMENSIONS = ("RowPositionInTotalImagePixelMatrix", "ColumnPositionInTotalImagePixelMatrix")
HEIGHT = "ZOffsetInSlideCoordinateSystem"
WHITE, BLACK = [0xFFFF, 0x8080, 0x8080], [0, 0x8080, 0x8080]
"""As CIELab (PS3.3 C.10.7.1.1)."""


def decimal_string(value: float) -> str:
    """Return a number of ten digits: sign, point and exponent fit DS, 16 characters (PS3.5 6.2)."""
    return f"{value:.10g}"


def image_type(spec: InstanceSpec) -> list[str]:
    """Return Image Type, which is Frame Type too (PS3.3 C.8.12.4.1.1)."""
    if spec.role is Role.THUMBNAIL:
        return ["DERIVED", "PRIMARY", "THUMBNAIL", "RESAMPLED"]
    if spec.role is not Role.VOLUME:
        return ["ORIGINAL" if spec.is_as_scanned else "DERIVED", "PRIMARY", spec.role, "NONE"]
    if spec.is_base:
        return ["DERIVED" if spec.is_composed else "ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    return ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]


def patient(ds: Dataset, clean: CleanMetadata) -> None:
    """Add the Patient module (PS3.3 C.7.1.1)."""
    ds.PatientName = clean.patient_name
    ds.PatientID = clean.patient_id
    ds.PatientBirthDate = given_text(clean, "PatientBirthDate")
    ds.PatientSex = given_text(clean, "PatientSex")
    ds.PatientIdentityRemoved = "YES" if clean.patient_identity_removed else "NO"
    ds.DeidentificationMethod = list(clean.deidentification_method)
    if clean.deidentification_codes:
        ds.DeidentificationMethodCodeSequence = Sequence(
            item
            for value in clean.deidentification_codes
            for item in code(value, "DCM", CODE_MEANINGS[value])
        )
    copy_given(ds, clean, "IssuerOfPatientID", "EthnicGroup", "PatientComments")
    if other := given_item(clean, "OtherPatientIDsSequence", "PatientID", "IssuerOfPatientID"):
        other.TypeOfPatientID = "TEXT"
        ds.OtherPatientIDsSequence = Sequence([other])


def clinical_trial_subject(ds: Dataset, clean: CleanMetadata) -> None:
    """Add the Clinical Trial Subject module (PS3.3 C.7.1.3) where a project says what it is."""
    if "ClinicalTrialSponsorName" not in clean.given:
        return
    copy_given(ds, clean, "ClinicalTrialSponsorName", "ClinicalTrialProtocolID")
    ds.ClinicalTrialProtocolName = given_text(clean, "ClinicalTrialProtocolName")
    ds.ClinicalTrialSiteID = given_text(clean, "ClinicalTrialSiteID")
    ds.ClinicalTrialSiteName = given_text(clean, "ClinicalTrialSiteName")
    ds.ClinicalTrialSubjectID = given_text(clean, "ClinicalTrialSubjectID") or clean.patient_id


def general_study(ds: Dataset, clean: CleanMetadata) -> None:
    """Add the General Study and the Patient Study module (PS3.3 C.7.2.1, C.7.2.2)."""
    ds.StudyInstanceUID = clean.study_instance_uid
    ds.StudyDate = clean.study_date
    ds.StudyTime = clean.study_time
    ds.AccessionNumber = clean.accession_number
    ds.ReferringPhysicianName = given_text(clean, "ReferringPhysicianName")
    ds.StudyID = given_text(clean, "StudyID") or "1"
    copy_given(ds, clean, "StudyDescription")
    copy_given(ds, clean, "PatientAge", "PatientSize", "PatientWeight", "SmokingStatus")
    if issued := issuer(clean, "IssuerOfAccessionNumberSequence"):
        ds.IssuerOfAccessionNumberSequence = issued


def series(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the General and the Whole Slide Microscopy Series module (PS3.3 C.7.3.1, C.8.12.3)."""
    ds.Modality = "SM"
    ds.SeriesInstanceUID = clean.regions[spec.region].series_instance_uid
    ds.SeriesNumber = spec.region + 1
    copy_given(ds, clean, "SeriesDate", "SeriesTime", "SeriesDescription", "ProtocolName")
    copy_given(ds, clean, "PerformingPhysicianName", "OperatorsName")


def frame_of_reference(ds: Dataset, clean: CleanMetadata) -> None:
    """Add the Frame of Reference module (PS3.3 C.7.4.1)."""
    ds.FrameOfReferenceUID = clean.frame_of_reference_uid
    ds.PositionReferenceIndicator = "SLIDE_CORNER"


def enhanced_general_equipment(ds: Dataset, clean: CleanMetadata) -> None:
    """Add the General and the Enhanced General Equipment module (PS3.3 C.7.5.1, C.7.5.2)."""
    ds.Manufacturer = clean.manufacturer
    ds.ManufacturerModelName = clean.manufacturer_model_name
    ds.DeviceSerialNumber = clean.device_serial_number
    ds.SoftwareVersions = clean.software_versions
    copy_given(ds, clean, "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName")
    copy_given(ds, clean, "StationName", "DeviceUID")
    copy_given(ds, clean, "DateOfLastCalibration", "TimeOfLastCalibration")
    if udi := given_item(clean, "UDISequence", "UniqueDeviceIdentifier"):
        ds.UDISequence = Sequence([udi])


def sop_common(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the SOP Common module (PS3.3 C.12.1).

    The character set has to be said before a value that is not ASCII can be encoded.
    """
    if not all(text.reveal().isascii() for text in clean.given.values()):
        ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = SOP_CLASS_UID
    ds.SOPInstanceUID = spec.file_uid
    copy_given(ds, clean, "TimezoneOffsetFromUTC")
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = code("109104", "DCM", "De-identifying Equipment")
    equipment.Manufacturer = PACKAGE
    equipment.ManufacturerModelName = PACKAGE
    equipment.SoftwareVersions = clean.software_versions
    ds.ContributingEquipmentSequence = Sequence([equipment])


def multi_resolution_pyramid(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the Multi-Resolution Pyramid module (PS3.3 C.7.11.1) of levels and thumbnails."""
    if is_of_scan(spec):
        ds.PyramidUID = clean.regions[spec.region].pyramid_uid


def slide_label(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the Slide Label module (PS3.3 C.8.12.8) of a label.

    What a label says that was drawn is known; what stands on the slide's own is not said.
    """
    if spec.role is Role.LABEL:
        shown = "" if spec.is_as_scanned else clean.container_identifier
        ds.BarcodeValue = shown
        ds.LabelText = shown


def acquisition_context(ds: Dataset) -> None:
    """Add the Acquisition Context module (PS3.3 C.7.6.14), empty."""
    ds.AcquisitionContextSequence = Sequence()


def image_pixel(ds: Dataset, spec: InstanceSpec) -> None:
    """Add the Image Pixel module (PS3.3 C.7.6.3) without the pixels."""
    frames = spec.frame_format
    ds.SamplesPerPixel = frames.samples_per_pixel
    ds.PhotometricInterpretation = frames.photometric_interpretation
    if frames.samples_per_pixel > 1:
        ds.PlanarConfiguration = 0
    ds.Rows = spec.rows
    ds.Columns = spec.columns
    ds.BitsAllocated = frames.bits_allocated
    ds.BitsStored = frames.bits_allocated
    ds.HighBit = frames.bits_allocated - 1
    ds.PixelRepresentation = 0


def whole_slide_microscopy_image(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the Whole Slide Microscopy Image module (PS3.3 C.8.12.4)."""
    ds.ImageType = image_type(spec)
    ds.AcquisitionDateTime = clean.acquisition_date_time
    ds.VolumetricProperties = "VOLUME"
    is_in_doubt = clean.are_levels_in_doubt and is_of_scan(spec)
    ds.BurnedInAnnotation = "YES" if spec.is_as_scanned or is_in_doubt else "NO"
    if clean.patient_identity_removed:
        ds.RecognizableVisualFeatures = "NO"
        ds.LongitudinalTemporalInformationModified = (
            clean.longitudinal_temporal_information_modified
        )
    shows_label = spec.role is Role.LABEL or spec.is_as_scanned
    ds.SpecimenLabelInImage = "YES" if shows_label else "NO"
    ds.FocusMethod = "AUTO"
    ds.ExtendedDepthOfField = "NO"
    if spec.frame_numbers is not None:
        ds.RecommendedAbsentPixelCIELabValue = BLACK if spec.is_emitted else WHITE
    if spec.role is Role.VOLUME:
        ds.ImagedVolumeWidth = spec.imaged_volume_width_mm
        ds.ImagedVolumeHeight = spec.imaged_volume_height_mm
        ds.ImagedVolumeDepth = IMAGED_VOLUME_DEPTH_UM + _stack_um(spec)
        ds.TotalPixelMatrixFocalPlanes = spec.focal_planes
    ds.TotalPixelMatrixColumns = spec.total_pixel_matrix_columns
    ds.TotalPixelMatrixRows = spec.total_pixel_matrix_rows
    x_mm, y_mm = _origin_mm(clean, spec)
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem = decimal_string(x_mm)
    origin.YOffsetInSlideCoordinateSystem = decimal_string(y_mm)
    if spec.focal_planes > 1:
        origin.ZOffsetInSlideCoordinateSystem = LOWEST_PLANE_UM
    ds.TotalPixelMatrixOriginSequence = Sequence([origin])
    ds.ImageOrientationSlide = [str(cosine) for cosine in image_orientation(spec.label_side)]
    if spec.frame_format.samples_per_pixel == 1:
        ds.PresentationLUTShape = "IDENTITY"
        ds.RescaleIntercept = "0"
        ds.RescaleSlope = "1"
    _lossy_image_compression(ds, spec)


def _stack_um(spec: InstanceSpec) -> float:
    """Return how far the last focal plane is from the first."""
    return (spec.focal_planes - 1) * (spec.plane_distance_um or 0.0)


def is_of_scan(spec: InstanceSpec) -> bool:
    """Return whether a picture shows what was scanned, seen by the scanner's own camera."""
    return spec.role in (Role.VOLUME, Role.THUMBNAIL)


def path_identifier(spec: InstanceSpec) -> str:
    """Return the Optical Path Identifier: its number."""
    return str(spec.optical_path + 1)


def _lossy_image_compression(ds: Dataset, spec: InstanceSpec) -> None:
    methods, ratios = spec.frame_format.lossy_methods, spec.compression_ratios
    if len(methods) != len(ratios):
        raise ValueError("lossy method and compression ratio belong together")
    ds.LossyImageCompression = "01" if methods else "00"
    if methods:
        ds.LossyImageCompressionRatio = [_ratio(ratio) for ratio in ratios]
        ds.LossyImageCompressionMethod = list(methods)


def _ratio(ratio: float) -> str:
    """Return a ratio of at most six digits before the point: more might be somebody's number."""
    rounded = round(ratio, 2)
    return decimal_string(rounded) if rounded < 1e6 else f"{ratio:.4g}"


def optical_path(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the Optical Path module (PS3.3 C.8.12.5): one, each channel is an instance of its own.

    An overview is taken by another camera, in plain light.
    """
    path = Dataset()
    path.OpticalPathIdentifier = path_identifier(spec)
    light = clean.optical_paths[spec.optical_path] if is_of_scan(spec) else CleanOpticalPath()
    if light.is_fluorescence:
        path.IlluminationTypeCodeSequence = code("111743", "DCM", "Epifluorescence illumination")
    else:
        path.IlluminationTypeCodeSequence = code("111744", "DCM", "Brightfield illumination")
    if light.description is not None:
        path.OpticalPathDescription = light.description
    # One of the two has to be there (Type 1C).
    if light.wave_length_nm is not None:
        path.IlluminationWaveLength = light.wave_length_nm
    else:
        path.IlluminationColorCodeSequence = code("414298005", "SCT", "Full Spectrum")
    if spec.frame_format.samples_per_pixel > 1:
        path.ICCProfile = clean.icc_profile if is_of_scan(spec) else clean.srgb_profile
        if clean.icc_is_synthetic or not is_of_scan(spec):
            path.ColorSpace = "SRGB"
    if clean.objective_power is not None and is_of_scan(spec):
        path.ObjectiveLensPower = decimal_string(clean.objective_power)
    ds.OpticalPathSequence = Sequence([path])
    if spec.role is Role.VOLUME:
        ds.NumberOfOpticalPaths = 1


def multi_frame_functional_groups(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the Multi-frame Functional Groups module (PS3.3 C.7.6.16).

    TILED_FULL says by order what per-frame groups would repeat for each of a million frames. The
    one frame of an overview has them, and so have those of a sparse level: of these only the
    first is added, all are in `frame_positions`.

    Instance Number is the same in all parts of a level, Number of Frames is that of the part.
    """
    ds.InstanceNumber = spec.instance_number
    ds.ContentDate = clean.content_date
    ds.ContentTime = clean.content_time
    ds.NumberOfFrames = len(spec.frames)
    concatenation(ds, spec)
    measures = Dataset()
    measures.PixelSpacing = [
        decimal_string(spec.spacing.row_mm),
        decimal_string(spec.spacing.column_mm),
    ]
    measures.SliceThickness = SLICE_THICKNESS_MM
    if spec.focal_planes > 1 and spec.plane_distance_um is not None:
        measures.SpacingBetweenSlices = decimal_string(spec.plane_distance_um / 1000)
    frame_type = Dataset()
    frame_type.FrameType = image_type(spec)
    groups = Dataset()
    groups.PixelMeasuresSequence = Sequence([measures])
    groups.WholeSlideMicroscopyImageFrameTypeSequence = Sequence([frame_type])
    if not is_tiled_full(spec):
        path = Dataset()
        path.OpticalPathIdentifier = path_identifier(spec)
        groups.OpticalPathIdentificationSequence = Sequence([path])
        ds.PerFrameFunctionalGroupsSequence = Sequence([_first_position(clean, spec).groups()])
    ds.SharedFunctionalGroupsSequence = Sequence([groups])


def concatenation(ds: Dataset, spec: InstanceSpec) -> None:
    """Add what tells the parts of a level that is divided, and the whole (PS3.3 C.7.6.16.2.2.4).

    Their source is the instance that the level would be; it need not exist anywhere.
    """
    part = spec.part
    if part is None:
        return
    ds.SOPInstanceUIDOfConcatenationSource = spec.sop_instance_uid
    ds.ConcatenationUID = part.concatenation_uid
    ds.InConcatenationNumber = part.number
    ds.InConcatenationTotalNumber = part.count
    ds.ConcatenationFrameOffsetNumber = part.first_frame


def frame_positions(clean: CleanMetadata, spec: InstanceSpec) -> Iterator[Position]:
    """Yield where the frames of a sparse level lie."""
    return positions(spec, _origin_mm(clean, spec))


def is_tiled_full(spec: InstanceSpec) -> bool:
    """Return whether the order of frames tells where they lie (PS3.3 C.7.6.17.3)."""
    return spec.role is Role.VOLUME and spec.frame_numbers is None


def _origin_mm(clean: CleanMetadata, spec: InstanceSpec) -> tuple[float, float]:
    corner_mm = clean.regions[spec.region].corner_mm if is_of_scan(spec) else None
    return origin_mm(spec.label_side, spec.spacing, corner_mm, spec.role)


def _first_position(clean: CleanMetadata, spec: InstanceSpec) -> Position:
    """Return where the first frame lies: that of an overview is the whole picture."""
    if spec.frame_numbers is not None:
        return next(frame_positions(clean, spec))
    x_mm, y_mm = (decimal_string(mm) for mm in _origin_mm(clean, spec))
    return Position(indices=(1, 1), column=1, row=1, x_mm=x_mm, y_mm=y_mm, z_um="0")


def multi_frame_dimension(ds: Dataset, clean: CleanMetadata, spec: InstanceSpec) -> None:
    """Add the Multi-frame Dimension module (PS3.3 C.7.6.17)."""
    organization = Dataset()
    region = clean.regions[spec.region]
    organization.DimensionOrganizationUID = region.dimension_organization_uid
    ds.DimensionOrganizationSequence = Sequence([organization])
    if spec.role is Role.VOLUME:
        is_sparse = spec.frame_numbers is not None
        ds.DimensionOrganizationType = "TILED_SPARSE" if is_sparse else "TILED_FULL"
    if is_tiled_full(spec):
        return
    indices = []
    for keyword in DIMENSIONS if spec.focal_planes == 1 else (HEIGHT, *DIMENSIONS):
        index = Dataset()
        index.DimensionIndexPointer = tag_for_keyword(keyword)
        index.FunctionalGroupPointer = tag_for_keyword("PlanePositionSlideSequence")
        index.DimensionOrganizationUID = region.dimension_organization_uid
        indices.append(index)
    ds.DimensionIndexSequence = Sequence(indices)
