"""Slides, clean metadata and whole instances that need no file."""

import dataclasses
import struct

import imagecodecs
import numpy as np
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit

from coverslip.deid.policy import Policy
from coverslip.deid.scrub import scrub
from coverslip.deid.uids import RandomIdentity
from coverslip.dicom import part10, wsm
from coverslip.model import (
    CleanMetadata,
    FrameFormat,
    InstanceSpec,
    LabelSide,
    Level,
    RawMetadata,
    Role,
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
        lossy_methods=("ISO_10918_1",),
    ),
    "jpeg-ybr": FrameFormat(
        transfer_syntax_uid=JPEGBaseline8Bit,
        photometric_interpretation="YBR_FULL_422",
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_methods=("ISO_10918_1",),
    ),
    "jpeg-grey": FrameFormat(
        transfer_syntax_uid=JPEGBaseline8Bit,
        photometric_interpretation="MONOCHROME2",
        samples_per_pixel=1,
        bits_allocated=8,
        lossy_methods=("ISO_10918_1",),
    ),
    "j2k-ict": FrameFormat(
        transfer_syntax_uid=JPEG2000,
        photometric_interpretation="YBR_ICT",
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_methods=("ISO_15444_1",),
    ),
    "j2k-rct": FrameFormat(
        transfer_syntax_uid=JPEG2000Lossless,
        photometric_interpretation="YBR_RCT",
        samples_per_pixel=3,
        bits_allocated=8,
        lossy_methods=(),
    ),
    "j2k-grey-16": FrameFormat(
        transfer_syntax_uid=JPEG2000Lossless,
        photometric_interpretation="MONOCHROME2",
        samples_per_pixel=1,
        bits_allocated=16,
        lossy_methods=(),
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
        compression_ratios=(18.4217,) if frame_format.lossy_methods else (),
    )


def overview_spec(clean: CleanMetadata, *, label_side: LabelSide = LabelSide.LEFT) -> InstanceSpec:
    spacing = Spacing.from_mpp_um(75000 / TILE)
    return InstanceSpec(
        sop_instance_uid=clean.associated_sop_instance_uids[1],
        instance_number=3,
        is_base=False,
        total_pixel_matrix_columns=TILE,
        total_pixel_matrix_rows=TILE,
        columns=TILE,
        rows=TILE,
        frame_count=1,
        spacing=spacing,
        imaged_volume_width_mm=75.0,
        imaged_volume_height_mm=75.0,
        label_side=label_side,
        frame_format=dataclasses.replace(FORMATS["j2k-rct"], lossy_methods=("ISO_10918_1",)),
        compression_ratios=(12.5,),
        role=Role.OVERVIEW,
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
