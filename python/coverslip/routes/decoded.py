"""Routes of levels that must be decoded."""

from dataclasses import replace

from coverslip import _core, colour
from coverslip.model import FrameFormat, Level, Montage, Raster, RouteKind
from coverslip.rasters import coded_raster
from coverslip.routes.route import JPEG_2000_LOSSLESS, Choices, Route, baseline, refuse
from coverslip.samples import check_samples, is_inverted, lossy_method

PIXEL_HINT = (
    "--allow-pixel, in Python allow_pixel=True, decodes them once and stores their pixels with a "
    "lossless codec"
)
_RECODE_HINT = (
    "--allow-recode QUALITY, in Python allow_recode=QUALITY, composes its tiles and encodes the "
    "picture as JPEG, with a new loss"
)
_NO_SHIFT = 0.005
"""Pixels of which nothing would be left in the note."""
_DEFINED = {"ISO_10918_1", "ISO_14495_1", "ISO_15444_1"}
"""Terms of (0028,2114) that every validator knows."""


def pixel_route(
    level: Level,
    raster: Raster,
    judge: colour.Judge,
    *,
    allow_pixel: bool,
    instead: str = "",
) -> Route:
    """Return the route of a level that must be decoded; ``instead`` is what else can be done."""
    check_samples(level, raster)
    check_rgb(level, raster, judge)
    if not raster.byte_counts.any():
        raise refuse("the level has no tile with data")
    stored = "tiles" if raster.is_tiled else "strips"
    if not allow_pixel:
        raise refuse(
            f"it has {raster.codec} {stored} (compression {level.compression}), which cannot be "
            "frames as they are",
            hint=PIXEL_HINT + instead,
        )
    notes = []
    if is_inverted(level):
        notes.append("white was zero (tag 262): black and white were exchanged in every pixel")
    if raster.chroma is not None:
        notes.append("YCbCr samples became RGB")
    if raster.palette is not None:
        notes.append("samples are numbers of colours, which became these (tag 320)")
    method = lossy_method(replace(level, raster=raster))
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
            lossy_methods=() if method is None else (method,),
        ),
        is_inverted=is_inverted(level),
        notes=tuple(notes),
    )


def check_rgb(level: Level, raster: Raster, judge: colour.Judge) -> None:
    """Raise if the operator says that samples are YCbCr that no stream says it of.

    Raises
    ------
    UnsupportedSlideError
        With the name of the codec.
    """
    says_colour = raster.coded is not None and raster.coded.process != "LERC"
    if judge.declared == "YBR" and level.samples_per_pixel == 3 and not says_colour:
        raise refuse(f"its tiles are {raster.codec}, whose samples are taken as RGB only")


def recode_route(
    source: _core.Source, level: Level, montage: Montage, choices: Choices
) -> tuple[Route, Level]:
    """Return the route of tiles that lie at any place, and the level as it is composed.

    Raises
    ------
    UnsupportedSlideError
        If that is not allowed, or their samples have no place in JPEG.
    """
    stored = montage.stored
    if stored.raster is None:
        stored = coded_raster(source, stored, choices.judge)
    raster = stored.raster
    if raster is None or raster.is_planar or stored.bits_per_sample != 8:
        raise refuse(f"{montage.why}; nor can they be composed, with samples of more than 8 bits")
    check_samples(stored, raster)
    if not raster.byte_counts.any():
        raise refuse("the level has no tile with data")
    if choices.allow_recode is None:
        others = f"; or {montage.instead}" if montage.instead else ""
        raise refuse(montage.why, hint=_RECODE_HINT + others)
    before = lossy_method(stored)
    is_grey = level.samples_per_pixel == 1
    frame_format = baseline("MONOCHROME2" if is_grey else "YBR_FULL_422", level.samples_per_pixel)
    if before is not None:
        frame_format = replace(frame_format, lossy_methods=(before, *frame_format.lossy_methods))
    route = Route(
        kind=RouteKind.RECODE,
        codec=raster.codec,
        reason=f"{montage.why}: they are composed, and encoded as JPEG of quality "
        f"{choices.allow_recode}",
        frame_format=frame_format,
        jpeg_colour="GREY" if is_grey else "YBR",
        is_inverted=is_inverted(stored),
        quality=choices.allow_recode,
        notes=(
            "its pixels were decoded, composed and encoded with a new loss; its geometry is "
            f"composed too: {_shifted(montage)}",
        ),
    )
    return route, replace(level, picture=replace(montage, stored=stored))


def _shifted(montage: Montage) -> str:
    """Return how well tiles lie where the source measured that they join."""
    if montage.largest_shift < _NO_SHIFT:
        return "each joint lies where it was measured"
    return (
        f"a joint lies up to {montage.largest_shift:.3g} pixels of the base level beside where it "
        "was measured"
    )
