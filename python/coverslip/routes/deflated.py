"""The route of Deflate tiles that are frames as they are, in another wrapping (PS3.5 A.4.13)."""

from coverslip.colour import Judge
from coverslip.model import FrameFormat, Level, Raster, RouteKind
from coverslip.routes.decoded import check_rgb
from coverslip.routes.route import DEFLATED_IMAGE_FRAME, Route, refuse
from coverslip.samples import check_samples, is_inverted

DEFLATE = "Deflate"
DEFLATED_HINT = (
    "; or --deflated-frames, in Python deflated_frames=True, copies them to frames of Deflated "
    "Image Frame Compression, which few readers know"
)
_NO_PREDICTOR = 1


def why_not_deflated(level: Level, raster: Raster) -> str | None:
    """Return why the Deflate tiles of a level are no frames, ``None`` if they are."""
    if not raster.is_tiled:
        return "they are strips"
    if raster.is_planar:
        return "each colour has tiles of its own"
    if raster.predictor != _NO_PREDICTOR:
        return "they have a predictor (tag 317)"
    if raster.palette is not None or raster.chroma is not None:
        return "their samples are not RGB but stand for it (tag 262)"
    if is_inverted(level):
        return "white is zero (tag 262)"
    if level.bits_per_sample > 8 and raster.byte_order == ">":
        return "their samples are big-endian"
    return None


def deflated_route(level: Level, raster: Raster, judge: Judge) -> Route:
    """Return the route of Deflate tiles that lose no more than their wrapping.

    Raises
    ------
    UnsupportedSlideError
        If their samples have no place in the IOD.
    LimitError
        If a tile is larger than what is inflated at a time.
    """
    check_samples(level, raster)
    check_rgb(level, raster, judge)
    if not raster.byte_counts.any():
        raise refuse("the level has no tile with data")
    return Route(
        kind=RouteKind.COPY,
        codec=raster.codec,
        reason="the tiles are Deflate without a predictor; only what is around each stream changes",
        frame_format=FrameFormat(
            transfer_syntax_uid=DEFLATED_IMAGE_FRAME,
            photometric_interpretation="RGB" if level.samples_per_pixel == 3 else "MONOCHROME2",
            samples_per_pixel=level.samples_per_pixel,
            bits_allocated=level.bits_per_sample,
            lossy_methods=(),
        ),
        needs_blank=not raster.byte_counts.all(),
        notes=(
            "its frames are Deflated Image Frame Compression (1.2.840.10008.1.2.8.1), which few "
            "programs read",
        ),
    )
