"""Instances written by hand around our header, given to other people's readers."""

import dataclasses
import io

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit

from coverslip.deid import release
from coverslip.deid.icc import srgb_profile
from coverslip.dicom import modules, part10, wsm
from coverslip.dicom.allowlist import rules
from coverslip.errors import PolicyError
from coverslip.model import LabelSide, OperatorText, OpticalPath, Part, Profile, RawMetadata, Role
from tests.interop import readers
from tests.unit.builders import (
    COLOUR,
    FORMATS,
    GREY,
    clean_metadata,
    complete_instance,
    encoded_tile,
    group_7fe0,
    instance_spec,
    overview_spec,
)

GLOWING = OpticalPath(is_fluorescence=True, wave_length_nm=455.0)


@pytest.mark.tools
@pytest.mark.parametrize("is_base", [True, False], ids=["base", "reduced"])
@pytest.mark.parametrize("name", FORMATS)
def test_validator_is_silent(name, is_base, tmp_path, tool):
    path = tmp_path / "instance.dcm"
    path.write_bytes(complete_instance(name, clean_metadata(), is_base=is_base))

    assert readers.dciodvfy(path, tool("dciodvfy")) == []


@pytest.mark.tools
def test_validator_is_not_silent_on_a_broken_instance(tmp_path, tool):
    whole = complete_instance("jpeg-rgb", clean_metadata(), is_base=True)
    ds = pydicom.dcmread(io.BytesIO(whole))
    del ds.ContainerIdentifier
    ds.save_as(tmp_path / "broken.dcm")

    said = readers.dciodvfy(tmp_path / "broken.dcm", tool("dciodvfy"))

    assert [line for line in said if line.startswith("Error")] != []


@pytest.mark.parametrize("name", FORMATS)
def test_pydicom_decodes_every_frame(name):
    ds = pydicom.dcmread(io.BytesIO(complete_instance(name, clean_metadata(), is_base=True)))

    pixels = ds.pixel_array

    expected = GREY if ds.SamplesPerPixel == 1 else COLOUR
    expected = expected.astype(np.int32) * (257 if ds.BitsAllocated == 16 else 1)
    assert pixels.shape[0] == 4
    assert np.abs(pixels[0].astype(np.int32) - expected).max() <= 3


@pytest.mark.parametrize("is_base", [True, False], ids=["base", "reduced"])
@pytest.mark.parametrize("name", ["jpeg-rgb", "jpeg-ybr", "j2k-rct"])
def test_highdicom_assembles_the_total_pixel_matrix(name, is_base):
    image = highdicom.imread(io.BytesIO(complete_instance(name, clean_metadata(), is_base=is_base)))

    matrix = image.get_total_pixel_matrix(apply_icc_profile=False)

    assert matrix.shape == ((80, 100, 3) if is_base else (40, 50, 3))
    assert np.abs(matrix.astype(int) - (200, 120, 40)).max() <= 3


def test_highdicom_applies_the_profile():
    image = highdicom.imread(
        io.BytesIO(complete_instance("j2k-rct", clean_metadata(), is_base=True))
    )

    matrix = image.get_total_pixel_matrix(apply_icc_profile=True)

    assert np.abs(matrix.astype(int) - (200, 120, 40)).max() <= 2


@pytest.mark.parametrize("name", FORMATS)
def test_each_attribute_written_is_in_the_table(name):
    clean = clean_metadata()
    ds = wsm.build(clean, instance_spec(clean, FORMATS[name]))

    def paths(dataset, parents=()):
        for element in dataset:
            path = (*parents, element.keyword)
            yield ".".join(path)
            if element.VR == "SQ":
                for item in element.value:
                    yield from paths(item, path)

    assert set(paths(ds)) <= set(rules())


def test_each_attribute_of_the_table_is_written_for_some_image():
    written = set()
    texts = dict.fromkeys([*release._CARE, *release._TRIAL], OperatorText("1"))
    texts["InstitutionName"] = OperatorText("Å")
    for keyword in ("PatientBirthDate", "SeriesDate", "DateOfLastCalibration"):
        texts[keyword] = OperatorText("19570423")
    for keyword in ("SeriesTime", "TimeOfLastCalibration"):
        texts[keyword] = OperatorText("154208")
    texts["PatientAge"] = OperatorText("057Y")
    plain = clean_metadata()
    method = tuple(text.replace("public", "research") for text in plain.deidentification_method)
    research = dataclasses.replace(
        plain,
        profile=Profile.RESEARCH,
        given=texts,
        deidentification_method=method,
        stains=("12710003",),
        fixative="434162003",
        embedding="311731000",
        specimen_type="430856003",
        anatomy="76752008",
    )
    images = [(frame_format, plain) for frame_format in FORMATS.values()]
    glowing = clean_metadata(optical_paths=(GLOWING,))
    more = [(FORMATS["jpeg-rgb"], research), (FORMATS["jpeg-rgb"], glowing)]
    named = dataclasses.replace(glowing.optical_paths[0], description="Channel 1")
    more.append((FORMATS["jpeg-rgb"], dataclasses.replace(research, optical_paths=(named,))))
    for frame_format, clean in [*images, *more]:
        ds = wsm.build(clean, instance_spec(clean, frame_format))
        for element in ds.iterall():
            written.add(element.keyword)
    stack = stack_spec(plain)
    sparse = dataclasses.replace(stack, frame_count=2, frame_numbers=np.array([1, 4], np.uint64))
    for spec in (stack, sparse, part_of(plain)):
        written |= {element.keyword for element in wsm.build(plain, spec).iterall()}
    clean = clean_metadata()
    overview = overview_spec(clean)
    for spec in (overview, dataclasses.replace(overview, role=Role.LABEL)):
        written |= {element.keyword for element in wsm.build(clean, spec).iterall()}

    assert {path.rpartition(".")[2] for path in rules()} == written


def part_of(clean, **changes):
    part = Part(
        sop_instance_uid="2.25.11",
        concatenation_uid="2.25.12",
        number=2,
        count=3,
        first_frame=1,
        frame_count=2,
    )
    return dataclasses.replace(instance_spec(clean), part=dataclasses.replace(part, **changes))


def test_part_tells_of_the_whole_but_for_what_is_its_own():
    clean = clean_metadata()
    whole, part = wsm.build(clean, instance_spec(clean)), wsm.build(clean, part_of(clean))

    assert (part.SOPInstanceUID, part.NumberOfFrames) == ("2.25.11", 2)
    assert part.ConcatenationUID == "2.25.12"
    assert part.SOPInstanceUIDOfConcatenationSource == whole.SOPInstanceUID
    assert (part.InConcatenationNumber, part.InConcatenationTotalNumber) == (2, 3)
    assert part.ConcatenationFrameOffsetNumber == 1
    own = {"SOPInstanceUID", "NumberOfFrames"}
    alike = [[e for e in ds if e.tag in whole and e.keyword not in own] for ds in (part, whole)]
    assert alike[0] == alike[1]


@pytest.mark.parametrize("wrong", [{"first_frame": 3}, {"frame_count": 0}, {"first_frame": -1}])
def test_part_that_its_level_does_not_have_is_a_defect(wrong):
    clean = clean_metadata()

    with pytest.raises(ValueError, match="some of the frames"):
        wsm.build(clean, part_of(clean, **wrong))


def stack_spec(clean):
    spec = instance_spec(clean)
    more = {"focal_planes": 3, "plane_distance_um": 1.5, "frame_count": 3 * spec.frame_count}
    return dataclasses.replace(spec, **more)


def test_focal_planes_say_their_distance_and_the_depth_of_all():
    clean = clean_metadata()

    ds = wsm.build(clean, stack_spec(clean))

    assert ds.TotalPixelMatrixFocalPlanes == 3
    assert ds.ImagedVolumeDepth == 4
    (measures,) = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert measures.SpacingBetweenSlices == 0.0015


@pytest.mark.parametrize(
    "wrong", [{"focal_planes": 2}, {"plane_distance_um": None}, {"frame_count": 1}]
)
def test_stack_that_contradicts_itself_is_a_defect(wrong):
    clean = clean_metadata()

    with pytest.raises(ValueError, match=r"focal planes|TILED_FULL"):
        wsm.build(clean, dataclasses.replace(stack_spec(clean), **wrong))


def test_channel_is_identified_by_its_number_alone():
    clean = clean_metadata(
        optical_paths=(GLOWING, dataclasses.replace(GLOWING, wave_length_nm=None))
    )

    ds = wsm.build(clean, dataclasses.replace(instance_spec(clean), optical_path=1))

    (path,) = ds.OpticalPathSequence
    assert path.OpticalPathIdentifier == "2"
    assert path.IlluminationTypeCodeSequence[0].CodeValue == "111743"
    assert path.IlluminationColorCodeSequence[0].CodeValue == "414298005"
    assert "OpticalPathDescription" not in path


LABEL_IN_OVERVIEW = (
    "Error - </SpecimenLabelInImage(0048,0010)[1]> - required to be YES for OVERVIEW or LABEL "
    "image = <NO>"
)
"""The validator does not know an overview whose label is painted over; it is not in the picture."""


@pytest.mark.tools
@pytest.mark.parametrize("label_side", LabelSide)
def test_validator_says_of_an_overview_only_that_it_should_show_a_label(label_side, tmp_path, tool):
    clean = clean_metadata()
    spec = overview_spec(clean, label_side=label_side)
    header = part10.encode(wsm.build(clean, spec), JPEG2000Lossless)
    path = tmp_path / "overview.dcm"
    path.write_bytes(header + group_7fe0([encoded_tile("j2k-rct")]))

    assert readers.dciodvfy(path, tool("dciodvfy")) == [LABEL_IN_OVERVIEW]


def test_overview_says_that_its_label_is_gone():
    clean = clean_metadata(optical_paths=(GLOWING,))

    ds = wsm.build(clean, overview_spec(clean))

    assert ds.ImageType == ["DERIVED", "PRIMARY", "OVERVIEW", "NONE"]
    assert ds.SpecimenLabelInImage == ds.BurnedInAnnotation == "NO"
    assert (ds.LossyImageCompression, ds.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert not {"PyramidUID", "ImagedVolumeWidth", "DimensionOrganizationType"} & set(ds.dir())
    (path,) = ds.OpticalPathSequence
    assert path.IlluminationTypeCodeSequence[0].CodeValue == "111744"
    assert path.ColorSpace == "SRGB"
    assert "ObjectiveLensPower" not in path


def test_overview_begins_at_the_end_of_the_glass():
    clean = clean_metadata()

    corners = {}
    for side in LabelSide:
        spec = overview_spec(clean, label_side=side)
        (origin,) = wsm.build(clean, spec).TotalPixelMatrixOriginSequence
        x, y = origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem
        corners[side] = round(float(x)), round(float(y))

    half = round(75 / 64 / 2)
    assert corners == {
        LabelSide.LEFT: (25 - half, 75 - half),
        LabelSide.RIGHT: (half, half),
        LabelSide.TOP: (half, 75 - half),
        LabelSide.BOTTOM: (25 - half, half),
    }


def test_same_input_gives_the_same_header():
    clean = clean_metadata()
    spec = instance_spec(clean)

    first = part10.encode(wsm.build(clean, spec), JPEGBaseline8Bit)

    assert part10.encode(wsm.build(clean, spec), JPEGBaseline8Bit) == first
    assert len(first) % 2 == 0


def test_file_starts_with_preamble_and_our_implementation():
    clean = clean_metadata()
    spec = instance_spec(clean)

    header = part10.encode(wsm.build(clean, spec), JPEGBaseline8Bit)

    assert header.startswith(bytes(128) + b"DICM")
    meta = pydicom.dcmread(io.BytesIO(header)).file_meta
    assert meta.MediaStorageSOPInstanceUID == spec.sop_instance_uid
    assert meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert meta.ImplementationClassUID == part10.IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == "COVERSLIP_0.1.0"
    assert "SourceApplicationEntityTitle" not in meta


def test_version_name_is_cut_to_sixteen_characters():
    clean = dataclasses.replace(clean_metadata(), software_versions="coverslip 10.20.30.dev4")

    header = part10.encode(wsm.build(clean, instance_spec(clean)), JPEGBaseline8Bit)

    name = pydicom.dcmread(io.BytesIO(header)).file_meta.ImplementationVersionName
    assert name == "COVERSLIP_10.20"


def test_transfer_syntax_without_frames_is_refused():
    clean = clean_metadata()

    with pytest.raises(ValueError, match="does not encapsulate"):
        part10.encode(wsm.build(clean, instance_spec(clean)), "1.2.840.10008.1.2.1")


def test_pixel_data_is_left_to_the_core():
    clean = clean_metadata()
    ds = wsm.build(clean, instance_spec(clean))
    ds.add_new(0x7FE00010, "OB", b"\0\0")

    with pytest.raises(PolicyError, match=r"\(7FE0,0010\)"):
        part10.encode(ds, JPEGBaseline8Bit)


def test_synthetic_profile_is_named_as_srgb_and_a_rebuilt_one_is_not():
    source = RawMetadata(icc_profile=srgb_profile())
    synthetic, rebuilt = clean_metadata(), clean_metadata(metadata=source)

    assumed = wsm.build(synthetic, instance_spec(synthetic)).OpticalPathSequence[0]
    kept = wsm.build(rebuilt, instance_spec(rebuilt)).OpticalPathSequence[0]

    assert assumed.ColorSpace == "SRGB"
    assert "ColorSpace" not in kept
    assert kept.ICCProfile == rebuilt.icc_profile


def test_grey_image_has_neither_profile_nor_planar_configuration():
    clean = clean_metadata()

    ds = wsm.build(clean, instance_spec(clean, FORMATS["jpeg-grey"]))

    assert "ICCProfile" not in ds.OpticalPathSequence[0]
    assert "PlanarConfiguration" not in ds
    assert ds.PresentationLUTShape == "IDENTITY"


def test_unknown_objective_power_is_left_out():
    clean = clean_metadata(objective_power=None)

    ds = wsm.build(clean, instance_spec(clean))

    assert "ObjectiveLensPower" not in ds.OpticalPathSequence[0]


@pytest.mark.parametrize(
    "change",
    [
        {"frame_count": 3},
        {"rows": 65536},
        {"columns": 0},
        {"compression_ratios": ()},
        {"sop_instance_uid": "2.25.1"},
    ],
)
def test_numbers_that_contradict_each_other_are_refused(change):
    clean = clean_metadata()
    spec = dataclasses.replace(instance_spec(clean), **change)

    with pytest.raises(ValueError):  # noqa: PT011 (each case has its own message)
        wsm.build(clean, spec)


@pytest.mark.parametrize(
    "number",
    [0.0002512345678912, 2.512345678912e-05, 1 / 3, -1 / 3, 25.0, 49.99987435, 123456.7890123],
)
def test_decimal_strings_are_short_and_right_to_nine_digits(number):
    text = modules.decimal_string(number)

    assert len(text) <= 16
    assert float(text) == pytest.approx(number, rel=1e-9)
