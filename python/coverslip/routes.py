"""Decides what happens to the tiles of a level, and how a frame must say what its samples are."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from coverslip import _core, colour
from coverslip.errors import CoverslipError, UnsupportedSlideError
from coverslip.model import FrameFormat, Level, Mosaic, Picture, Raster, RouteKind, Strips
from coverslip.mosaics import CodedSample
from coverslip.samples import check_samples, is_inverted, lossy_method
from coverslip.sampling import PictureSample, Sample, StripSample, TileSample, core_picture

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
_JPEG = 7
_APERIO_YCC = 33003
_J2K_COMPRESSIONS = {33003, 33004, 33005, 34712}
_SYCC = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What would happen to a level, and why; the words are those of the documentation."""

    kind: RouteKind
    codec: str
    reason: str
    frame_format: FrameFormat | None = None
    jpeg_colour: Literal["RGB", "YBR", "GREY"] | None = None
    set_mct: bool = False
    is_inverted: bool = False
    is_emitted: bool = False
    """Whether it is light that the specimen gives off, so that nothing is black."""
    needs_blank: bool = False
    notes: tuple[str, ...] = ()
    error: CoverslipError | None = None

    def to_dict(self) -> dict[str, object]:
        """Return what is fit for JSON."""
        described: dict[str, object] = {
            "route": str(self.kind),
            "codec": self.codec,
            "reason": self.reason,
            "notes": list(self.notes),
        }
        if self.error is not None and self.error.hint is not None:
            described["hint"] = self.error.hint
        if self.frame_format is not None:
            described["transfer_syntax_uid"] = self.frame_format.transfer_syntax_uid
            described["photometric_interpretation"] = self.frame_format.photometric_interpretation
        return described


def decide(
    source: _core.Source,
    level: Level,
    private_ranges: npt.NDArray[np.uint64],
    *,
    judge: colour.Judge | None = None,
    allow_pixel: bool = False,
    is_fluorescence: bool = False,
) -> Route:
    """Return the route of a level from a sample of its tiles, in each of its focal planes.

    Parameters
    ----------
    source
        The slide file.
    level
        The level; its tile index need not have been checked.
    private_ranges
        Shape (n, 2): offset and byte count of what no frame may touch.
    judge
        Knows what the user says the samples of three-component tiles are, and what other levels
        of the slide look like.
    allow_pixel
        Whether tiles that cannot be frames as they are may be decoded and stored without loss.
    is_fluorescence
        Whether the level was lit to glow.
    """
    judge = judge or colour.Judge()
    routes = [
        _decide(source, plane, private_ranges, judge, allow_pixel=allow_pixel)
        for plane in level.focal_planes
    ]
    first = next((route for route in routes if route.error is not None), routes[0])
    for number, route in enumerate(routes):
        if first.error is None and _of_frames(route) != _of_frames(first):
            what = f"its focal plane {number} is stored in another way than the first"
            return _refusal(level, _refuse(what))
    return replace(
        first,
        is_emitted=is_fluorescence,
        needs_blank=any(route.needs_blank for route in routes),
        notes=tuple(dict.fromkeys(note for route in routes for note in route.notes)),
    )


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
    known = {_JPEG: "JPEG"} | dict.fromkeys(_J2K_COMPRESSIONS, "JPEG 2000")
    codec = known.get(level.compression, f"compression {level.compression}")
    codec = level.raster.codec if level.raster is not None else codec
    return Route(kind=RouteKind.REFUSE, codec=codec, reason=str(error), error=error)


def _decide(
    source: _core.Source,
    level: Level,
    private_ranges: npt.NDArray[np.uint64],
    judge: colour.Judge,
    *,
    allow_pixel: bool,
) -> Route:
    """Return the route of one focal plane."""
    try:
        if level.refused is not None:
            raise level.refused
        if level.raster is not None:
            return _pixel_route(level, level.raster, judge, allow_pixel=allow_pixel)
        if isinstance(level.picture, Picture):
            picture = core_picture(level, level.picture, private_ranges)
            whole = PictureSample(source, level, level.picture)
            facts_of_whole = _core.inspect_picture(source, picture)
            route = _retile_route(facts_of_whole, whole, judge)
            if facts_of_whole.stitches(level.image_width, level.tile_width):
                return _stitched(route)
            return route
        if isinstance(level.picture, Strips):
            strips = StripSample(source, level, level.picture)
            return _retile_route(strips.facts(), strips, judge)
        if isinstance(level.picture, Mosaic) or level.compression == _JPEG:
            coded = CodedSample(source, level)
            why = coded.why()
            if why is not None:
                return _rewrite_route(coded, why, judge)
        sample = TileSample(source, level)
        facts = sample.facts()
        if isinstance(facts, _core.JpegFacts):
            return _jpeg_route(facts, sample, judge)
        return _jpeg2000_route(facts, sample, judge)
    except CoverslipError as error:
        return _refusal(level, error)


def _refuse(message: str, hint: str | None = None) -> UnsupportedSlideError:
    return UnsupportedSlideError(message, hint=hint)


def _jpeg_route(facts: _core.JpegFacts, sample: Sample, judge: colour.Judge) -> Route:
    level = sample.level
    notes: list[str] = []
    if level.compression != 7:
        notes.append(f"tag 259 says compression {level.compression}, but the tiles are JPEG")
    samples = len(facts.component_ids)
    if samples != level.samples_per_pixel:
        raise _refuse(
            f"its tiles have {samples} components, but tag 277 says {level.samples_per_pixel}"
        )
    if samples == 1:
        if level.photometric_interpretation == 0:
            raise _refuse("white is zero (tag 262), which the VL WSM IOD cannot say")
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
        frame_format=_baseline(photometric, samples),
        jpeg_colour=chosen,
        needs_blank=sample.has_missing,
        notes=tuple(notes),
    )


def _baseline(photometric: str, samples: int) -> FrameFormat:
    return FrameFormat(
        transfer_syntax_uid=JPEG_BASELINE,
        photometric_interpretation=photometric,
        samples_per_pixel=samples,
        bits_allocated=8,
        lossy_method="ISO_10918_1",
    )


def _retile_route(
    facts: _core.JpegFacts,
    sample: "PictureSample | StripSample",
    judge: colour.Judge,
) -> Route:
    """Return the route of a level that is not tiled: its coefficients go into frames."""
    return replace(
        _jpeg_route(facts, sample, judge),
        kind=RouteKind.RETILE,
        reason=f"the level is {sample.what}; coefficients are cut into frames",
    )


def _rewrite_route(sample: CodedSample, why: str, judge: colour.Judge) -> Route:
    """Return the route of a level whose tiles become frames by their coefficients."""
    if sample.mosaic.planes > 1:
        route = _planar_route(sample, judge)
    else:
        route = _jpeg_route(sample.facts(), sample, judge)
    return replace(
        route,
        kind=RouteKind.RETILE,
        reason=f"the tiles are {why}; their coefficients go into baseline frames",
    )


def _planar_route(sample: CodedSample, judge: colour.Judge) -> Route:
    """Return the route of tiles that hold one colour each: only tag 262 says which."""
    if sample.mosaic.planes != 3 or len(sample.facts().component_ids) != 1:
        raise _refuse("its tiles are neither one colour each nor all of them (tag 284)")
    photometric = sample.level.photometric_interpretation
    sign: colour.Samples | None = {2: "RGB", 6: "YBR"}.get(photometric)  # type: ignore[assignment]
    verdict = colour.of_untransformed(sign, lambda: None, judge)
    return Route(
        kind=RouteKind.RETILE,
        codec="JPEG 4:4:4",
        reason="",
        frame_format=_baseline(colour.JPEG_PHOTOMETRIC[verdict.samples], 3),
        jpeg_colour=verdict.samples,
        notes=verdict.notes,
    )


def _stitched(route: Route) -> Route:
    """Return the route of a level whose frames are whole restart intervals of its JPEG."""
    return replace(
        route,
        kind=RouteKind.STITCH,
        reason="the level is one baseline JPEG; its restart intervals are joined into frames",
    )


def _pixel_route(
    level: Level,
    raster: Raster,
    judge: colour.Judge,
    *,
    allow_pixel: bool,
) -> Route:
    """Return the route of a level that must be decoded."""
    check_samples(level, raster)
    if judge.declared == "YBR" and level.samples_per_pixel == 3:
        raise _refuse(f"its tiles are {raster.codec}, whose samples are taken as RGB only")
    if not raster.byte_counts.any():
        raise _refuse("the level has no tile with data")
    stored = "tiles" if raster.is_tiled else "strips"
    if not allow_pixel:
        raise _refuse(
            f"it has {raster.codec} {stored} (compression {level.compression}), which cannot be "
            "frames as they are",
            hint="--allow-pixel, in Python allow_pixel=True, decodes them once and stores their "
            "pixels with a lossless codec",
        )
    notes = []
    if is_inverted(level):
        notes.append("white was zero (tag 262): black and white were exchanged in every pixel")
    method = lossy_method(level)
    if method is not None:
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


def _jpeg_sampling(facts: _core.JpegFacts) -> str:
    """Return the usual name of a sampling, or the factors themselves."""
    if len(facts.sampling) == 1:
        return "grey"
    names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}
    factors = facts.sampling
    if factors[1:] == [(1, 1), (1, 1)] and factors[0] in names:
        return names[factors[0]]
    return " ".join(f"{horizontal}x{vertical}" for horizontal, vertical in factors)


def _jpeg2000_route(facts: _core.Jpeg2000Facts, sample: Sample, judge: colour.Judge) -> Route:
    level = sample.level
    notes: list[str] = []
    if level.compression not in _J2K_COMPRESSIONS:
        notes.append(f"tag 259 says compression {level.compression}, but the tiles are JPEG 2000")
    samples = len(facts.depths)
    if samples != level.samples_per_pixel:
        raise _refuse(
            f"its tiles have {samples} components, but tag 277 says {level.samples_per_pixel}"
        )
    if facts.high_throughput:
        raise _refuse("High-Throughput JPEG 2000 tiles are not copied yet")
    if facts.is_signed or len(set(facts.depths)) != 1 or facts.depths[0] not in (8, 16):
        raise _refuse("JPEG 2000 samples must be unsigned with 8 or 16 bits in this IOD")
    if samples == 3 and facts.depths[0] != 8:
        raise _refuse("colour samples of 16 bits have no place in this IOD")
    photometric, set_mct = "MONOCHROME2", False
    if samples == 3:
        photometric, set_mct, colour_notes = _jpeg2000_colour(facts, sample, judge)
        notes.extend(colour_notes)
    elif samples != 1:
        raise _refuse("JPEG 2000 tiles with a number of components that is neither one nor three")
    if facts.reversible:
        notes.append(
            "the wavelet is reversible, but a cut stream cannot be told from a whole one: "
            "declared as possibly lossy"
        )
    return Route(
        kind=RouteKind.COPY,
        codec=f"JPEG 2000 {'5/3' if facts.reversible else '9/7'}",
        reason="the tiles are JPEG 2000; only comments and boxes go",
        frame_format=FrameFormat(
            transfer_syntax_uid=JPEG_2000,
            photometric_interpretation=photometric,
            samples_per_pixel=samples,
            bits_allocated=facts.depths[0],
            lossy_method="ISO_15444_1",
        ),
        set_mct=set_mct,
        needs_blank=sample.has_missing,
        notes=tuple(notes),
    )


def _jpeg2000_colour(
    facts: _core.Jpeg2000Facts, sample: Sample, judge: colour.Judge
) -> tuple[str, bool, list[str]]:
    """Return the Photometric Interpretation, whether to set the MCT byte, and notes."""
    if facts.separations[0] != (1, 1):
        raise _refuse("its JPEG 2000 luminance is subsampled")
    chroma = set(facts.separations[1:])
    if chroma == {(2, 1)}:
        return (
            "YBR_FULL_422",
            False,
            [
                "YCbCr 4:2:2 in JPEG 2000 is legal since DICOM correction CP-2650 (2026): "
                "older viewers show wrong colours and older validators report one error"
            ],
        )
    if chroma != {(1, 1)}:
        raise _refuse("JPEG 2000 chroma that is subsampled otherwise than 4:2:2")
    if facts.mct:
        return ("YBR_RCT" if facts.reversible else "YBR_ICT"), False, []
    says_ycc = (
        sample.level.compression == _APERIO_YCC
        or facts.jp2_colour == _SYCC
        or (facts.jp2_colour is None and sample.level.photometric_interpretation == 6)
    )
    # Only Aperio means YCbCr by 33003; whoever else writes it may mean nothing by it.
    is_unsure = sample.level.compression == _APERIO_YCC and not sample.level.are_colour_tags_sure
    sign: colour.Samples | None = None if is_unsure else ("YBR" if says_ycc else "RGB")
    verdict = colour.of_untransformed(
        sign,
        lambda: colour.measure_jpeg2000(sample.data(), facts, sample.size),
        judge,
    )
    if verdict.samples == "RGB":
        return "RGB", False, list(verdict.notes)
    if facts.reversible or facts.has_coc:
        raise _refuse(
            "YCbCr samples under the reversible wavelet, which no Photometric Interpretation of "
            "this IOD describes"
        )
    note = "YCbCr samples: the colour transformation of JPEG 2000 was switched on, one byte a tile"
    return "YBR_ICT", True, [*verdict.notes, note]
