"""Small slides of each format, built byte by byte, with invented identifiers in every place.

A format that is listed in `FORMATS` is held to all laws of ``tests/test_laws.py``.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.synth.generic import build_generic
from tests.synth.ndpi import build_ndpi
from tests.synth.slide import SynthLevel, SynthSlide
from tests.synth.svs import build_svs

Builder = Callable[[Path], SynthSlide]

FORMATS: dict[str, Builder] = {
    "svs-jpeg-rgb": partial(build_svs),
    "svs-jpeg-rgb-own-tables": partial(build_svs, codec="jpeg_rgb_own_tables"),
    "svs-jpeg-ycbcr-420": partial(build_svs, codec="jpeg_ycbcr420", bigtiff=True),
    "svs-jpeg-ycbcr-422": partial(build_svs, codec="jpeg_ycbcr422", mpp="comma"),
    "svs-jpeg-ycbcr-444-big-endian": partial(build_svs, codec="jpeg_ycbcr444", big_endian=True),
    "svs-jpeg-missing-tiles": partial(build_svs, missing=((0, 5), (0, 29), (1, 3))),
    "svs-jpeg-ycbcr-missing-tiles": partial(build_svs, codec="jpeg_ycbcr420", missing=((1, 1),)),
    "svs-gt450": partial(build_svs, gt450=True, codec="jpeg_ycbcr422", bigtiff=True),
    "svs-without-icc": partial(build_svs, icc=False, mpp="header"),
    "svs-33005": partial(build_svs, codec="j2k_33005"),
    "svs-33005-missing-tiles": partial(build_svs, codec="j2k_33005", missing=((0, 0), (1, 2))),
    "svs-33003-444": partial(build_svs, codec="j2k_33003_444", missing=((0, 4),)),
    "svs-33003-422": partial(build_svs, codec="j2k_33003_422", missing=((0, 7),)),
    "generic-jpeg": partial(build_generic),
    "generic-jpeg-subifds": partial(build_generic, subifds=True, bigtiff=True),
    "generic-jpeg-jfif": partial(build_generic, codec="jpeg_ycbcr420_jfif", big_endian=True),
    "generic-jpeg-rgb-ids": partial(build_generic, codec="jpeg_rgb_own_tables"),
    "generic-jpeg-grey": partial(build_generic, codec="jpeg_grey", missing=((0, 2),)),
    "generic-jp2": partial(build_generic, codec="j2k_33005", boxed=True),
    "generic-j2k-rgb": partial(build_generic, codec="j2k_rgb", missing=((0, 1),)),
    "generic-j2k-53": partial(build_generic, codec="j2k_53", missing=((2, 0),)),
    "ndpi": partial(build_ndpi),
    "ndpi-420-sof-zero": partial(build_ndpi, subsampling="4:2:0", sof_zero=True),
    "ndpi-wrong-starts-optimised": partial(build_ndpi, starts="wrong", optimised=True),
    "ndpi-no-starts": partial(build_ndpi, starts="absent", subsampling="4:2:2", jfif=False),
    "ndpi-without-restarts": partial(build_ndpi, restart=None),
    "ndpi-small-without-restarts": partial(build_ndpi, small_without_restart=True, suffix=".tif"),
    "ndpi-interval-across-rows": partial(build_ndpi, restart_blocks=77),
    "ndpi-interval-in-row": partial(build_ndpi, restart_blocks=28, one_pixel_off=True),
    "ndpi-without-high-words": partial(build_ndpi, high_words=False),
    "ndpi-beyond-4-gb": partial(build_ndpi, shift=5 << 30),
    "ndpi-fluorescence": partial(build_ndpi, fluorescence=True),
    "generic-lzw": partial(build_generic, codec="lzw", predictor=2),
    "generic-lzw-planar": partial(build_generic, codec="lzw", predictor=2, planar=True),
    "generic-deflate": partial(build_generic, codec="deflate", missing=((0, 2), (2, 1))),
    "generic-deflate-predictor": partial(build_generic, codec="deflate_32946", predictor=2),
    "generic-packbits": partial(build_generic, codec="packbits", big_endian=True),
    "generic-zstd-planar": partial(build_generic, codec="zstd", planar=True, missing=((0, 3),)),
    "generic-uncompressed": partial(build_generic, codec="none", bigtiff=True),
    "generic-webp": partial(build_generic, codec="webp", missing=((1, 0),)),
    "generic-jpeg-xr": partial(build_generic, codec="jpegxr"),
    "generic-jpeg-xl": partial(build_generic, codec="jpegxl", subifds=True),
    "generic-deflate-grey-16": partial(build_generic, codec="deflate", grey=True, bits=16),
    "generic-lzma-grey-16-big-endian": partial(
        build_generic,
        codec="lzma",
        grey=True,
        bits=16,
        big_endian=True,
        predictor=2,
        missing=((0, 1),),
    ),
    "generic-white-is-zero": partial(build_generic, codec="deflate", grey=True, white_is_zero=True),
    "generic-lzw-strips": partial(
        build_generic, codec="lzw", rows_per_strip=37, predictor=2, size=(1300, 1100)
    ),
    "generic-uncompressed-one-strip": partial(
        build_generic, codec="none", rows_per_strip=1 << 20, planar=True, size=(1100, 1050)
    ),
    "generic-j2k-grey": partial(build_generic, codec="j2k_grey", missing=((0, 3),)),
}

__all__ = [
    "FORMATS",
    "Builder",
    "SynthLevel",
    "SynthSlide",
    "build_generic",
    "build_ndpi",
    "build_svs",
]
