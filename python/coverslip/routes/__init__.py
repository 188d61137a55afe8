"""Decides what happens to the tiles of a level, and how a frame must say what its samples are."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.errors import CoverslipError, UnsupportedSlideError
from coverslip.model import Level, Montage, Mosaic, Picture, Raster, RouteKind, Strips
from coverslip.montages import montage_of_mosaic
from coverslip.mosaics import CodedSample
from coverslip.rasters import coded_raster, lerc_raster
from coverslip.routes.decoded import PIXEL_HINT, pixel_route, recode_route
from coverslip.routes.deflated import DEFLATE, DEFLATED_HINT, deflated_route, why_not_deflated
from coverslip.routes.jpeg import jpeg_route, retile_route, rewrite_route, stitched
from coverslip.routes.jpeg2000 import COMPRESSIONS as _JPEG_2000
from coverslip.routes.jpeg2000 import TO_RGB, jpeg2000_route
from coverslip.routes.route import Choices, J2kYcc, Route, refuse
from coverslip.sampling import PictureSample, StripSample, TileSample, core_picture

__all__ = ["Choices", "J2kYcc", "Route", "decide"]
_JPEG = 7
_LERC = "LERC"


def decide(
    source: _core.Source,
    level: Level,
    private_ranges: npt.NDArray[np.uint64],
    choices: Choices,
    *,
    is_fluorescence: bool = False,
) -> tuple[Route, Level]:
    """Return the route of a level from a sample of its tiles, in each of its focal planes.

    With it comes the level as it is to be read on that route: as one that is decoded, if its tiles
    cannot be frames.

    Parameters
    ----------
    source
        The slide file.
    level
        The level; its tile index need not have been checked.
    private_ranges
        Shape (n, 2): offset and byte count of what no frame may touch.
    choices
        What the operator says and allows.
    is_fluorescence
        Whether the level was lit to glow.
    """
    decided = [_decide(source, plane, private_ranges, choices) for plane in level.focal_planes]
    routes, (base, *above) = [route for route, _ in decided], [plane for _, plane in decided]
    first = next((route for route in routes if route.error is not None), routes[0])
    for number, route in enumerate(routes):
        if first.error is None and _of_frames(route) != _of_frames(first):
            what = f"its focal plane {number} is stored in another way than the first"
            return _refusal(level, refuse(what)), level
    if first.error is not None:
        return first, level
    route = replace(
        first,
        is_emitted=is_fluorescence,
        needs_blank=any(route.needs_blank for route in routes),
        notes=tuple(dict.fromkeys(note for route in routes for note in route.notes)),
    )
    return route, replace(base, planes_above=tuple(replace(p, planes_above=()) for p in above))


def _of_frames(route: Route) -> tuple[object, ...]:
    """Return what must be the same of all focal planes of an instance."""
    return (
        route.kind,
        route.codec,
        route.frame_format,
        route.jpeg_colour,
        route.set_mct,
        route.is_inverted,
    )


def _refusal(level: Level, error: CoverslipError) -> Route:
    known = {_JPEG: "JPEG"} | dict.fromkeys(_JPEG_2000, "JPEG 2000")
    codec = known.get(level.compression, f"compression {level.compression}")
    codec = level.raster.codec if level.raster is not None else codec
    return Route(kind=RouteKind.REFUSE, codec=codec, reason=str(error), error=error)


def _decide(
    source: _core.Source,
    level: Level,
    private_ranges: npt.NDArray[np.uint64],
    choices: Choices,
) -> tuple[Route, Level]:
    """Return the route of one focal plane, and the plane as it is read on it."""
    try:
        if level.refused is not None:
            raise level.refused
        if isinstance(level.picture, Montage):
            return recode_route(source, level, level.picture, choices)
        is_coded = level.compression in (_JPEG, *_JPEG_2000)
        if level.raster is not None and not is_coded:
            raster = level.raster
            if raster.codec == _LERC:
                raster = lerc_raster(source, level, raster)
            return _raster_route(level, raster, choices), replace(level, raster=raster)
        try:
            return _route_to_frames(source, level, private_ranges, choices), level
        except UnsupportedSlideError as error:
            return _decoded_instead(source, level, choices, error)
    except CoverslipError as error:
        return _refusal(level, error), level


def _raster_route(level: Level, raster: Raster, choices: Choices) -> Route:
    """Return the route of tiles or strips that are neither JPEG nor JPEG 2000."""
    if raster.codec != DEFLATE:
        return pixel_route(level, raster, choices.judge, allow_pixel=choices.allow_pixel)
    why = why_not_deflated(level, raster)
    if why is None and choices.deflated_frames:
        return deflated_route(level, raster, choices.judge)
    if choices.deflated_frames and not choices.allow_pixel:
        raise refuse(f"its Deflate tiles cannot be frames as they are: {why}", PIXEL_HINT)
    route = pixel_route(
        level,
        raster,
        choices.judge,
        allow_pixel=choices.allow_pixel,
        instead=DEFLATED_HINT if why is None else "",
    )
    if why is not None and choices.deflated_frames:
        return replace(route, notes=(*route.notes, f"its Deflate tiles are not copied: {why}"))
    return route


def _decoded_instead(
    source: _core.Source, level: Level, choices: Choices, error: UnsupportedSlideError
) -> tuple[Route, Level]:
    """Return the route of tiles that are JPEG or JPEG 2000 and can only be decoded.

    Raises
    ------
    UnsupportedSlideError
        If they cannot be, or that is not allowed.
    """
    if isinstance(level.picture, Mosaic) and any(level.picture.overlap):
        montage = montage_of_mosaic(level, level.picture, str(error))
        return recode_route(source, replace(level, jpeg_tables=None), montage, choices)
    is_ycc = error.hint == TO_RGB
    if error.has_own_hint and not is_ycc:
        raise error
    try:
        decoded = coded_raster(source, level, choices.judge)
        if decoded.raster is None:
            raise AssertionError("it was made")
        route = pixel_route(decoded, decoded.raster, choices.judge, allow_pixel=True)
    except UnsupportedSlideError:
        raise error from None
    if not choices.allow_pixel and not (is_ycc and choices.j2k_ycc == "pixel"):
        raise refuse(str(error), TO_RGB if is_ycc else PIXEL_HINT)
    return route, decoded


def _is_stitched(
    source: _core.Source, level: Level, private_ranges: npt.NDArray[np.uint64]
) -> bool:
    """Tell whether the frames are whole restart intervals in every focal plane."""
    return all(
        isinstance(plane.picture, Picture)
        and _core.inspect_picture(
            source, core_picture(plane, plane.picture, private_ranges)
        ).stitches(plane.image_width, level.tile_width)
        for plane in level.focal_planes
    )


def _route_to_frames(
    source: _core.Source,
    level: Level,
    private_ranges: npt.NDArray[np.uint64],
    choices: Choices,
) -> Route:
    """Return the route of a level whose frames hold the coefficients of its tiles.

    Raises
    ------
    UnsupportedSlideError
        If they cannot.
    """
    if level.raster is not None:
        raise refuse("its strips are JPEG 2000, of which no frames can be made without decoding")
    if isinstance(level.picture, Picture):
        picture = core_picture(level, level.picture, private_ranges)
        whole = PictureSample(source, level, level.picture)
        facts_of_whole = _core.inspect_picture(source, picture)
        route = retile_route(facts_of_whole, whole, choices.judge)
        return stitched(route) if _is_stitched(source, level, private_ranges) else route
    if isinstance(level.picture, Strips):
        strips = StripSample(source, level, level.picture)
        return retile_route(strips.facts(), strips, choices.judge)
    if isinstance(level.picture, Mosaic) or level.compression == _JPEG:
        coded = CodedSample(source, level)
        why = coded.why()
        if why is not None:
            return rewrite_route(coded, why, choices.judge)
    sample = TileSample(source, level)
    facts = sample.facts()
    if isinstance(facts, _core.JpegFacts):
        return jpeg_route(facts, sample, choices.judge)
    return jpeg2000_route(facts, sample, choices)
