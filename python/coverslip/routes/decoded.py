"""Routes of levels that must be decoded."""

from coverslip import colour
from coverslip.model import FrameFormat, Level, Raster, RouteKind
from coverslip.routes.route import JPEG_2000_LOSSLESS, Route, refuse
from coverslip.samples import check_samples, is_inverted, lossy_method

PIXEL_HINT = (
    "--allow-pixel, in Python allow_pixel=True, decodes them once and stores their pixels with a "
    "lossless codec"
)
_DEFINED = {"ISO_10918_1", "ISO_15444_1"}
"""Terms of (0028,2114) that every validator knows."""


def pixel_route(
    level: Level,
    raster: Raster,
    declared_colour: colour.Samples | None,
    *,
    allow_pixel: bool,
) -> Route:
    """Return the route of a level that must be decoded."""
    check_samples(level, raster)
    if declared_colour == "YBR" and level.samples_per_pixel == 3 and raster.coded is None:
        raise refuse(f"its tiles are {raster.codec}, whose samples are taken as RGB only")
    if not raster.byte_counts.any():
        raise refuse("the level has no tile with data")
    stored = "tiles" if raster.is_tiled else "strips"
    if not allow_pixel:
        raise refuse(
            f"it has {raster.codec} {stored} (compression {level.compression}), which cannot be "
            "frames as they are",
            hint=PIXEL_HINT,
        )
    notes = []
    if is_inverted(level):
        notes.append("white was zero (tag 262): black and white were exchanged in every pixel")
    method = lossy_method(level)
    if raster.coded is not None and raster.coded.depth not in (8, 16):
        notes.append(f"samples of {raster.coded.depth} bits stand in 16, their values as they are")
    if raster.coded is not None and raster.coded.is_ycbcr:
        notes.append("YCbCr samples became RGB")
    if method is not None and method not in _DEFINED:
        notes.append(
            f"{raster.codec} may have lost something before: declared as lossy with the term "
            f"{method}, which older validators do not know"
        )
    return Route(
        kind=RouteKind.PIXEL,
        codec=raster.codec,
        reason=f"the {stored} are decoded once; their pixels become lossless JPEG 2000",
        frame_format=FrameFormat(
            transfer_syntax_uid=JPEG_2000_LOSSLESS,
            photometric_interpretation=(
                "YBR_RCT" if level.samples_per_pixel == 3 else "MONOCHROME2"
            ),
            samples_per_pixel=level.samples_per_pixel,
            bits_allocated=level.bits_per_sample,
            lossy_method=method,
        ),
        is_inverted=is_inverted(level),
        notes=tuple(notes),
    )
