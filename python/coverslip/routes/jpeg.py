"""Routes of JPEG tiles, strips and pictures whose coefficients become frames."""

from dataclasses import replace
from typing import Literal

from coverslip import _core, colour
from coverslip.model import RouteKind
from coverslip.mosaics import CodedSample
from coverslip.routes.route import Route, baseline, refuse
from coverslip.sampling import PictureSample, Sample, StripSample


def jpeg_route(facts: _core.JpegFacts, sample: Sample, judge: colour.Judge) -> Route:
    """Return the route of baseline JPEG tiles.

    Raises
    ------
    UnsupportedSlideError
        If they cannot be frames.
    """
    level = sample.level
    notes: list[str] = []
    if level.compression != 7:
        notes.append(f"tag 259 says compression {level.compression}, but the tiles are JPEG")
    samples = len(facts.component_ids)
    if samples != level.samples_per_pixel:
        raise refuse(
            f"its tiles have {samples} components, but tag 277 says {level.samples_per_pixel}"
        )
    if samples == 1:
        if level.photometric_interpretation == 0:
            raise refuse("white is zero (tag 262), which the VL WSM IOD cannot say")
        chosen: Literal["RGB", "YBR", "GREY"] = "GREY"
        photometric = "MONOCHROME2"
    else:
        tables = level.jpeg_tables or b""
        verdict = colour.of_jpeg(
            facts,
            level.photometric_interpretation,
            lambda: colour.measure_jpeg(sample.data(), tables, sample.size),
            judge,
            is_tag_sure=level.are_colour_tags_sure,
        )
        chosen, photometric = verdict.samples, colour.JPEG_PHOTOMETRIC[verdict.samples]
        notes.extend(verdict.notes)
    return Route(
        kind=RouteKind.COPY,
        codec=f"JPEG {_jpeg_sampling(facts)}",
        reason="the tiles are baseline JPEG; only headers change",
        frame_format=baseline(photometric, samples),
        jpeg_colour=chosen,
        needs_blank=sample.has_missing,
        notes=tuple(notes),
    )


def retile_route(
    facts: _core.JpegFacts,
    sample: "PictureSample | StripSample",
    judge: colour.Judge,
) -> Route:
    """Return the route of a level that is not tiled: its coefficients go into frames."""
    return replace(
        jpeg_route(facts, sample, judge),
        kind=RouteKind.RETILE,
        reason=f"the level is {sample.what}; coefficients are cut into frames",
    )


def rewrite_route(sample: CodedSample, why: str, judge: colour.Judge) -> Route:
    """Return the route of a level whose tiles become frames by their coefficients."""
    if sample.mosaic.planes > 1:
        route = _planar_route(sample, judge)
    else:
        route = jpeg_route(sample.facts(), sample, judge)
    return replace(
        route,
        kind=RouteKind.RETILE,
        reason=f"the tiles are {why}; their coefficients go into baseline frames",
    )


def _planar_route(sample: CodedSample, judge: colour.Judge) -> Route:
    """Return the route of tiles that hold one colour each: only tag 262 says which."""
    if sample.mosaic.planes != 3 or len(sample.facts().component_ids) != 1:
        raise refuse("its tiles are neither one colour each nor all of them (tag 284)")
    photometric = sample.level.photometric_interpretation
    sign: colour.Samples | None = {2: "RGB", 6: "YBR"}.get(photometric)  # type: ignore[assignment]
    verdict = colour.of_untransformed(sign, lambda: None, judge)
    return Route(
        kind=RouteKind.RETILE,
        codec="JPEG 4:4:4",
        reason="",
        frame_format=baseline(colour.JPEG_PHOTOMETRIC[verdict.samples], 3),
        jpeg_colour=verdict.samples,
        notes=verdict.notes,
    )


def stitched(route: Route) -> Route:
    """Return the route of a level whose frames are whole restart intervals of its JPEG."""
    return replace(
        route,
        kind=RouteKind.STITCH,
        reason="the level is one baseline JPEG; its restart intervals are joined into frames",
    )


def _jpeg_sampling(facts: _core.JpegFacts) -> str:
    """Return the usual name of a sampling, or the factors themselves."""
    if len(facts.sampling) == 1:
        return "grey"
    names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}
    factors = facts.sampling
    if factors[1:] == [(1, 1), (1, 1)] and factors[0] in names:
        return names[factors[0]]
    return " ".join(f"{horizontal}x{vertical}" for horizontal, vertical in factors)
