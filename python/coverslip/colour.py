"""Tells what the samples of untransformed tiles are: red, green, blue, or YCbCr.

Markers, component identifiers and tags are written by many programs and believed by few. Where
they contradict each other the picture itself is asked: glass without tissue is neutral, and
neutral is R = G = B in one case and Cb = Cr = 128 in the other.
"""

import io
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.errors import UnsupportedSlideError
from coverslip.model import Level

APERIO_YCC, _SYCC = 33003, 18
"""TIFF tag 259, and the enumerated colour space of a JP2 file."""
Samples = Literal["RGB", "YBR"]
Measure = Callable[[], Samples | None]

JPEG_PHOTOMETRIC = {"RGB": "RGB", "YBR": "YBR_FULL_422"}
"""YBR_FULL is not allowed in this IOD, and YBR_FULL_422 covers every sampling (PS3.3
C.7.6.3.1.2)."""

_RGB_IDS = b"RGB"
_CODESTREAM = b"\xff\x4f\xff\x51"
"""SOC and SIZ, with which a JPEG 2000 codestream begins (T.800 A.4)."""
_NEUTRAL_RGB = 10
"""Largest difference between R, G and B of a neutral pixel."""
_NEUTRAL_CHROMA = 6
"""Largest distance of a neutral pixel's chrominances from 128."""
_MID_GREY = 24
"""Pixels this close to mid-grey are neutral under both readings and tell nothing."""
_THINNED = 4
"""Every fourth pixel of every fourth row tells as much as all of them."""
_SMALL_TILE = 128
"""Side in pixels below which a JPEG 2000 tile is not reduced any further."""
_MOST_LOOKS = 3
"""Levels that are looked at before what they all show is taken for unclear."""
_LEAST_SHARE = 0.02
_LEAST_ODDS = 10.0
_OPTION = "say what the samples are with --colour rgb or --colour ycbcr, after looking at the slide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the samples are, and what the user should know about how that was decided."""

    samples: Samples
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Judge:
    """What the user says of a slide's samples, and what was seen of them so far.

    Levels whose streams bear the same signs come from the same hand: the first of them whose
    picture tells decides for all.
    """

    declared: Samples | None = None
    _seen: dict[Hashable, list[Samples | None]] = field(default_factory=dict)

    def look(self, signs: Hashable, measure: Measure) -> Samples | None:
        """Return what streams with these signs look like; measure only what was not seen yet."""
        seen = self._seen.setdefault(signs, [])
        if len(seen) < _MOST_LOOKS and not any(seen):
            seen.append(measure())
        return next(filter(None, seen), None)


def of_jpeg(
    facts: _core.JpegFacts,
    photometric: int,
    measure: Measure,
    judge: Judge,
    *,
    is_tag_sure: bool = True,
) -> Verdict:
    """Return what the samples of three-component JPEG tiles are.

    Parameters
    ----------
    facts
        Header of a tile.
    photometric
        TIFF tag 262.
    measure
        Looks at pixels; called only where the sampling does not decide.
    judge
        Knows what the user says, which decides unless chroma is subsampled.
    is_tag_sure
        Whether tag 262 counts where the stream says something else.

    Raises
    ------
    UnsupportedSlideError
        If the signs contradict each other, or the picture, and nothing decides.
    """
    tag = _by_tag(photometric)
    if len(set(facts.sampling)) != 1:
        if judge.declared == "RGB" or _by_marker(facts) == "RGB":
            raise UnsupportedSlideError(
                "its tiles are marked or declared as RGB, but their components are subsampled",
                hint=None if judge.declared is None else "leave --colour out",
            )
        notes = ("tag 262 says RGB, but chroma is subsampled: YCbCr",) if tag == "RGB" else ()
        return Verdict(samples="YBR", notes=notes)
    marker = _by_marker(facts)
    if marker is not None and not is_tag_sure:
        tag = None
    look = partial(judge.look, (facts.component_ids, marker, tag), measure)
    return _weigh(marker, tag, look, judge.declared)


def of_jpeg2000(
    facts: _core.Jpeg2000Facts, level: Level, measure: Measure, judge: Judge
) -> Verdict:
    """Return what the samples of three-component JPEG 2000 tiles of full chroma are.

    That is without the colour transformation of JPEG 2000, which says by itself what they are.

    Raises
    ------
    UnsupportedSlideError
        If the picture contradicts the only sign.
    """
    is_aperio = level.compression == APERIO_YCC
    says_ycc = (
        is_aperio
        or facts.jp2_colour == _SYCC
        or (facts.jp2_colour is None and level.photometric_interpretation == 6)
    )
    # Only Aperio means YCbCr by 33003; whoever else writes it may mean nothing by it.
    is_unsure = is_aperio and not level.are_colour_tags_sure
    sign: Samples | None = None if is_unsure else ("YBR" if says_ycc else "RGB")
    return of_untransformed(sign, measure, judge)


def of_untransformed(sign: Samples | None, measure: Measure, judge: Judge) -> Verdict:
    """Return what the samples of JPEG 2000 tiles without colour transformation are.

    Raises
    ------
    UnsupportedSlideError
        If the picture contradicts the only sign.
    """
    return _weigh(sign, None, partial(judge.look, sign, measure), judge.declared)


def _by_marker(facts: _core.JpegFacts) -> Samples | None:
    """Return what a decoder built on libjpeg takes the samples for, if anything says it."""
    if facts.jfif:
        return "YBR"
    if facts.adobe_transform is not None:
        return "RGB" if facts.adobe_transform == 0 else "YBR"
    return "RGB" if facts.component_ids == _RGB_IDS else None


def _by_tag(photometric: int) -> Samples | None:
    return {2: "RGB", 6: "YBR"}.get(photometric)  # type: ignore[return-value] # dict of literals


def _weigh(
    marker: Samples | None, tag: Samples | None, measure: Measure, declared: Samples | None
) -> Verdict:
    if declared is not None:
        return Verdict(samples=declared, notes=(f"samples are {declared} as the user says",))
    signs = {sign for sign in (marker, tag) if sign is not None}
    measured = measure()
    if len(signs) == 1:
        (sign,) = signs
        if measured in (None, sign):
            return Verdict(samples=sign)
        raise UnsupportedSlideError(
            f"its tiles are marked as {sign}, but the picture looks like {measured}", hint=_OPTION
        )
    if measured is None:
        what = "contradict each other" if signs else "are absent"
        raise UnsupportedSlideError(
            f"the signs of what its samples are {what}, and the picture does not tell",
            hint=_OPTION,
        )
    return Verdict(
        samples=measured,
        notes=(f"markers and tag 262 do not decide; the picture says {measured}",),
    )


def measure_jpeg(tiles: Iterable[bytes], tables: bytes, size: tuple[int, int]) -> Samples | None:
    """Return what the untransformed samples of JPEG tiles look like, ``None`` if unclear."""
    import imagecodecs

    def decode(tile: bytes) -> npt.NDArray[np.uint8]:
        stream = _core.join_jpeg(tile, tables, *size)
        decoded: npt.NDArray[np.uint8] = imagecodecs.jpeg8_decode(stream)
        return decoded[::_THINNED, ::_THINNED]

    return _measure(decode, tiles)


def measure_jpeg2000(
    tiles: Iterable[bytes], facts: _core.Jpeg2000Facts, size: tuple[int, int]
) -> Samples | None:
    """Return what the untransformed samples of JPEG 2000 tiles look like, ``None`` if unclear.

    The finest decompositions take most of the time and are left out.
    """
    wanted = max(_THINNED.bit_length() - 1, (min(size) // _SMALL_TILE).bit_length() - 1)
    halvings = min(wanted, facts.decompositions)
    step = max(1, _THINNED >> halvings)

    def decode(tile: bytes) -> npt.NDArray[np.uint8]:
        from PIL import Image

        # Boxes may tell the reader to transform the samples.
        stream = tile[max(0, tile.find(_CODESTREAM)) :]
        with Image.open(io.BytesIO(stream), formats=("JPEG2000",)) as picture:
            picture.reduce = halvings  # type: ignore[assignment,method-assign] # of its plugin
            return np.asarray(picture)[::step, ::step]

    return _measure(decode, tiles)


def _measure(
    decode: Callable[[bytes], npt.NDArray[np.uint8]], tiles: Iterable[bytes]
) -> Samples | None:
    pictures = []
    for tile in tiles:
        try:
            picture = decode(tile)
        except Exception:  # noqa: BLE001, S112 (a tile that a codec rejects has no vote)
            continue
        if picture.ndim == 3 and picture.shape[2] == 3:
            pictures.append(picture.reshape(-1, 3))
    if not pictures:
        return None
    rgb, ybr = _neutral_shares(np.concatenate(pictures))
    if rgb >= _LEAST_SHARE and rgb >= _LEAST_ODDS * ybr:
        return "RGB"
    if ybr >= _LEAST_SHARE and ybr >= _LEAST_ODDS * rgb:
        return "YBR"
    return None


def _neutral_shares(pixels: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Return the share of pixels, of shape (n, 3), that are neutral as RGB, and as YCbCr."""
    first, second, third = np.ascontiguousarray(pixels.T).astype(np.int16)
    telling = np.abs(first - 128) > _MID_GREY
    brightest = np.maximum(np.maximum(first, second), third)
    darkest = np.minimum(np.minimum(first, second), third)
    as_rgb = brightest - darkest <= _NEUTRAL_RGB
    as_ybr = (np.abs(second - 128) <= _NEUTRAL_CHROMA) & (np.abs(third - 128) <= _NEUTRAL_CHROMA)
    return float(np.mean(as_rgb & telling)), float(np.mean(as_ybr & telling))
