"""Makes instances of the pictures beside the levels: a label, an overview, a thumbnail."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from coverslip import _core
from coverslip.frames import PlannedFrames
from coverslip.model import (
    FrameFormat,
    InstanceSpec,
    LabelSide,
    Role,
    Spacing,
    StoredPixels,
)
from coverslip.pictures import Pixels

JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
GLASS_MM, LABEL_MM = 75.0, 25.0
_JPEG, _JPEG_2000 = 7, (33003, 33004, 33005, 34712)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociatedPicture:
    """A picture that goes out beside the levels."""

    role: Role
    picture: Pixels = field(repr=False)
    stored: StoredPixels | None
    """How the slide stores it, ``None`` if it was drawn."""
    is_as_scanned: bool
    """Whether it is what the camera saw, its label with it, without a change."""
    spacing: Spacing | None = None
    """Of a thumbnail, which shows what the levels show."""


def store_picture(picture: AssociatedPicture, spool: Path) -> PlannedFrames:
    """Encode a picture without loss into a new file ``spool``, and plan its only frame."""
    import imagecodecs

    rows, columns, _ = picture.picture.shape
    encoded = imagecodecs.jpeg2k_encode(
        picture.picture, level=0, codecformat="j2k", reversible=True, mct=True
    )
    with spool.open("xb") as file:
        file.write(encoded)
    source = _core.Source(spool)
    index = _core.TileIndex(
        source,
        np.zeros(1, np.uint64),
        np.array([len(encoded)], np.uint64),
        np.zeros((0, 2), np.uint64),
    )
    plan = _core.plan_jpeg2000(source, index, columns=columns, rows=rows, set_mct=False)
    return PlannedFrames(source=source, plan=plan, spool=spool)


def picture_spec(
    picture: AssociatedPicture, sop_instance_uid: str, label_side: LabelSide, instance_number: int
) -> InstanceSpec:
    """Return what the instance of a picture will be.

    No vendor tells the spacing of these pictures well, so it is assumed that the longer side of an
    overview is the glass, 75 mm, and that of a label its width, 25 mm. That of a thumbnail follows
    from the levels.
    """
    rows, columns, _ = picture.picture.shape
    length_mm = GLASS_MM if picture.role is Role.OVERVIEW else LABEL_MM
    spacing_mm = length_mm / max(rows, columns)
    spacing = picture.spacing or Spacing(row_mm=spacing_mm, column_mm=spacing_mm)
    method, ratio = _loss(picture.stored)
    return InstanceSpec(
        sop_instance_uid=sop_instance_uid,
        instance_number=instance_number,
        is_base=False,
        total_pixel_matrix_columns=columns,
        total_pixel_matrix_rows=rows,
        columns=columns,
        rows=rows,
        frame_count=1,
        spacing=spacing,
        imaged_volume_width_mm=columns * spacing.column_mm,
        imaged_volume_height_mm=rows * spacing.row_mm,
        label_side=label_side,
        frame_format=FrameFormat(
            transfer_syntax_uid=JPEG_2000_LOSSLESS,
            photometric_interpretation="YBR_RCT",
            samples_per_pixel=3,
            bits_allocated=8,
            lossy_methods=() if method is None else (method,),
        ),
        compression_ratios=() if ratio is None else (ratio,),
        role=picture.role,
        is_as_scanned=picture.is_as_scanned,
    )


def _loss(stored: StoredPixels | None) -> tuple[str | None, float | None]:
    """Return method and ratio of the loss that the pixels suffered in the slide."""
    if stored is None:
        return None, None
    if stored.compression == _JPEG:
        method = "ISO_10918_1"
    elif stored.compression in _JPEG_2000:
        method = "ISO_15444_1"
    else:
        return None, None
    uncompressed = stored.image_width * stored.image_length * stored.samples_per_pixel
    return method, uncompressed / int(stored.tiles.byte_counts.sum())
