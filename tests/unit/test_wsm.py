"""Instances written by hand around our header, given to other people's readers."""

import dataclasses
import io
import shutil
import struct
import subprocess
from pathlib import Path

import highdicom
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit

from coverslip.deid.icc import srgb_profile
from coverslip.deid.policy import Policy
from coverslip.deid.scrub import scrub
from coverslip.deid.uids import RandomIdentity
from coverslip.dicom import modules, part10, wsm
from coverslip.dicom.allowlist import rules
from coverslip.errors import PolicyError
from coverslip.model import (
    CleanMetadata,
    FrameFormat,
    InstanceSpec,
    LabelSide,
    Level,
    RawMetadata,
    Slide,
    SourceText,
    Spacing,
    TileIndex,
)

TILE = 64
FORMATS = {
    "jpeg-rgb": FrameFormat(
        transfer_syntax_uid=JPEGBaseline8Bit,
        photometric_interpretation="RGB",
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_method="ISO_10918_1",
    ),
    "jpeg-ybr": FrameFormat(
        transfer_syntax_uid=JPEGBaseline8Bit,
        photometric_interpretation="YBR_FULL_422",
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_method="ISO_10918_1",
    ),
    "jpeg-grey": FrameFormat(
        transfer_syntax_uid=JPEGBaseline8Bit,
        photometric_interpretation="MONOCHROME2",
        samples_per_pixel=1,
        bits_allocated=8,
        lossy_method="ISO_10918_1",
    ),
    "j2k-ict": FrameFormat(
        transfer_syntax_uid=JPEG2000,
        photometric_interpretation="YBR_ICT",
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_method="ISO_15444_1",
    ),
    "j2k-rct": FrameFormat(
        transfer_syntax_uid=JPEG2000Lossless,
        photometric_interpretation="YBR_RCT",
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_method=None,
    ),
    "j2k-grey-16": FrameFormat(
        transfer_syntax_uid=JPEG2000Lossless,
        photometric_interpretation="MONOCHROME2",
        samples_per_pixel=1,
        bits_allocated=16,
        lossy_method=None,
    ),
}
COLOUR = np.full((TILE, TILE, 3), (200, 120, 40), np.uint8)
GREY = np.full((TILE, TILE), 90, np.uint8)


def encoded_tile(name: str) -> bytes:
    match name:
        case "jpeg-rgb":
            return imagecodecs.jpeg8_encode(
                COLOUR, level=95, colorspace="rgb", outcolorspace="rgb", subsampling="444"
            )
        case "jpeg-ybr":
            return imagecodecs.jpeg8_encode(COLOUR, level=95, subsampling="422")
        case "jpeg-grey":
            return imagecodecs.jpeg8_encode(GREY, level=95)
        case "j2k-ict":
            return imagecodecs.jpeg2k_encode(
                COLOUR, level=40, codecformat="j2k", mct=True, reversible=False
            )
        case "j2k-rct":
            return imagecodecs.jpeg2k_encode(
                COLOUR, level=0, codecformat="j2k", mct=True, reversible=True
            )
        case _:
            grey = GREY.astype(np.uint16) * 257
            return imagecodecs.jpeg2k_encode(grey, level=0, codecformat="j2k", reversible=True)


def slide(levels: int = 2, **changes: object) -> Slide:
    tiles = TileIndex(
        offsets=np.zeros(4, np.uint64), byte_counts=np.zeros(4, np.uint64), across=2, down=2
    )
    level = Level(
        ifd=0,
        image_width=100,
        image_length=80,
        tile_width=TILE,
        tile_length=TILE,
        samples_per_pixel=3,
        bits_per_sample=8,
        compression=7,
        photometric_interpretation=2,
        tiles=tiles,
    )
    plain = Slide(
        format="test",
        levels=(level,) * levels,
        associated_images=(),
        metadata=RawMetadata(device=(SourceText("Aperio Leica Biosystems GT450 v1.0.1"),)),
        spacing=Spacing.from_mpp_um(0.25),
        objective_power=40.0,
        label_side=LabelSide.LEFT,
        private_ranges=np.zeros((0, 2), np.uint64),
    )
    return dataclasses.replace(plain, **changes)


def clean_metadata(**changes: object) -> CleanMetadata:
    return scrub(slide(**changes), Policy(), RandomIdentity(), package_version="0.1.0").clean


def instance_spec(
    clean: CleanMetadata,
    frame_format: FrameFormat = FORMATS["jpeg-ybr"],
    *,
    is_base: bool = True,
    label_side: LabelSide = LabelSide.LEFT,
) -> InstanceSpec:
    columns, rows, downsample = (100, 80, 1) if is_base else (50, 40, 2)
    return InstanceSpec(
        sop_instance_uid=clean.sop_instance_uids[0 if is_base else 1],
        instance_number=1 if is_base else 2,
        is_base=is_base,
        total_pixel_matrix_columns=columns,
        total_pixel_matrix_rows=rows,
        columns=TILE,
        rows=TILE,
        frame_count=4 if is_base else 1,
        spacing=Spacing.from_mpp_um(0.2513 * downsample),
        imaged_volume_width_mm=100 * 0.2513 / 1000,
        imaged_volume_height_mm=80 * 0.2513 / 1000,
        label_side=label_side,
        frame_format=frame_format,
        compression_ratio=None if frame_format.lossy_method is None else 18.4217,
    )


def group_7fe0(frames: list[bytes]) -> bytes:
    fragments, offsets, position = b"", [], 0
    for frame in frames:
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(frame) + len(frame) % 2)
        item += frame + bytes(len(frame) % 2)
        offsets.append(position)
        position += len(item)
        fragments += item
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    return (
        struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
        + struct.pack("<HHI", 0xFFFE, 0xE000, len(table))
        + table
        + fragments
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )


def complete_instance(name: str, clean: CleanMetadata, *, is_base: bool) -> bytes:
    spec = instance_spec(clean, FORMATS[name], is_base=is_base)
    header = part10.encode(wsm.build(clean, spec), spec.frame_format.transfer_syntax_uid)
    return header + group_7fe0([encoded_tile(name)] * spec.frame_count)


def validator_lines(path: Path) -> list[str]:
    run = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    return (run.stdout + run.stderr).splitlines()


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("is_base", [True, False], ids=["base", "reduced"])
@pytest.mark.parametrize("name", FORMATS)
def test_validator_is_silent(name, is_base, tmp_path):
    path = tmp_path / "instance.dcm"
    path.write_bytes(complete_instance(name, clean_metadata(), is_base=is_base))

    assert validator_lines(path) == ["VLWholeSlideMicroscopyImage"]


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_validator_is_not_silent_on_a_broken_instance(tmp_path):
    whole = complete_instance("jpeg-rgb", clean_metadata(), is_base=True)
    ds = pydicom.dcmread(io.BytesIO(whole))
    del ds.ContainerIdentifier
    ds.save_as(tmp_path / "broken.dcm")

    said = validator_lines(tmp_path / "broken.dcm")

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
    for frame_format in FORMATS.values():
        clean = clean_metadata()
        ds = wsm.build(clean, instance_spec(clean, frame_format))
        for element in ds.iterall():
            written.add(element.keyword)

    assert {path.rpartition(".")[2] for path in rules()} == written


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
        {"compression_ratio": None},
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
