"""Small slides of each format, built byte by byte, with invented identifiers in every place.

A format that is listed in `FORMATS` is held to all laws of ``tests/test_laws.py``.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.synth.argos import build_argos
from tests.synth.generic import build_generic
from tests.synth.indica import build_indica
from tests.synth.keyed import build_keyed
from tests.synth.ndpi import build_deep_ndpi, build_ndpi, build_ndpis
from tests.synth.ome import build_ome
from tests.synth.philips import build_philips
from tests.synth.qptiff import build_qptiff
from tests.synth.scn import FINER, TWO, Roi, build_scn
from tests.synth.slide import SynthLevel, SynthSlide
from tests.synth.svs import build_svs
from tests.synth.ventana import build_ventana

Builder = Callable[[Path], SynthSlide]

_TINY: dict[str, object] = {"size": (300, 200), "levels": 1}
FEW_TILES: dict[str, object] = {"size": (400, 300), "levels": 2}
"""Of codecs whose tiles are decoded and stored anew: a dozen tiles, some of them partial."""

FORMATS: dict[str, Builder] = {
    "svs-jpeg-rgb": partial(build_svs),
    "svs-jpeg-rgb-own-tables": partial(build_svs, codec="jpeg_rgb_own_tables"),
    "svs-jpeg-ycbcr-420": partial(build_svs, codec="jpeg_ycbcr420", bigtiff=True),
    "svs-jpeg-ycbcr-422": partial(build_svs, codec="jpeg_ycbcr422", mpp="comma"),
    "svs-jpeg-ycbcr-444-big-endian": partial(build_svs, codec="jpeg_ycbcr444", big_endian=True),
    "svs-jpeg-missing-tiles": partial(build_svs, missing=((0, 5), (0, 29), (1, 3))),
    "svs-jpeg-ycbcr-missing-tiles": partial(build_svs, codec="jpeg_ycbcr420", missing=((1, 1),)),
    "svs-gt450": partial(build_svs, gt450=True, codec="jpeg_ycbcr422", bigtiff=True),
    "svs-lower-levels-ycbcr": partial(
        build_svs, lower_codec="jpeg_ycbcr420", size=(400, 300), bigtiff=True, big_endian=True
    ),
    "svs-lzw": partial(build_svs, codec="lzw", size=(300, 260)),
    "svs-uncompressed": partial(build_svs, codec="none", size=(300, 260)),
    "svs-without-icc": partial(build_svs, icc=False, mpp="header"),
    "svs-33005": partial(build_svs, codec="j2k_33005", label="lzw"),
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
    "generic-j2k-declared-as-jpeg": partial(
        build_generic, codec="j2k_33005", compression=7, size=(300, 260), levels=1, tile=256
    ),
    "generic-j2k-53": partial(build_generic, codec="j2k_53", missing=((2, 0),)),
    "generic-strips": partial(build_generic, strip_rows=16),
    "generic-strips-rgb-bigtiff": partial(
        build_generic, strip_rows=64, codec="jpeg_rgb", bigtiff=True, big_endian=True
    ),
    "ndpi": partial(build_ndpi),
    "ndpi-420-sof-zero": partial(build_ndpi, subsampling="4:2:0", sof_zero=True),
    "ndpi-wrong-starts-optimised": partial(build_ndpi, starts="wrong", optimised=True),
    "ndpi-no-starts": partial(build_ndpi, starts="absent", subsampling="4:2:2", jfif=False),
    "ndpi-stitched": partial(build_ndpi, restart_blocks=4),
    "ndpi-stitched-420": partial(build_ndpi, restart_blocks=1, subsampling="4:2:0"),
    "ndpi-high-starts": partial(build_ndpi, high_starts=True, size=(2240, 300), levels=1),
    "ndpi-without-restarts": partial(build_ndpi, restart=None),
    "ndpi-small-without-restarts": partial(build_ndpi, small_without_restart=True, suffix=".tif"),
    "ndpi-interval-across-rows": partial(build_ndpi, restart_blocks=77),
    "ndpi-interval-in-row": partial(build_ndpi, restart_blocks=28, one_pixel_off=True, frame=896),
    "ndpi-without-high-words": partial(build_ndpi, high_words=False),
    "ndpi-beyond-4-gb": partial(build_ndpi, shift=5 << 30),
    "ndpi-fluorescence": partial(build_ndpi, fluorescence=True),
    "ndpi-focal-planes": partial(
        build_ndpi, focal_planes=(500, -500, 0), size=(1500, 600), levels=2, frame=1504
    ),
    "ndpi-jpeg-xr": partial(build_deep_ndpi, missing=((0, 3),)),
    "ndpis": partial(
        build_ndpis, fluorescence=True, size=(1500, 600), levels=2, frame=1504, channels=3
    ),
    "ndpis-jpeg-xr": partial(build_ndpis, member=build_deep_ndpi, missing=((0, 3),)),
    "ome-channels-in-planes": partial(
        build_ome,
        codec="jpeg_grey",
        grey_channels=2,
        focal_planes=2,
        layout="series",
        levels=2,
        missing=((0, 3), (1, 0)),
    ),
    "ome-channels-16": partial(
        build_ome,
        codec="deflate",
        bits=16,
        grey_channels=2,
        levels=2,
        missing=((0, 2),),
        size=(400, 300),
    ),
    "scn-fluorescence": partial(
        build_scn,
        rois=(Roi(light="fluorescence", channels=2, focal_planes=2, spacing_z_nm=1500),),
        codec="jpeg_grey",
        levels=2,
    ),
    "scn-fluorescence-in-colour": partial(
        build_scn, rois=(Roi(light="fluorescence"),), levels=2, missing=((0, 4), (1, 0))
    ),
    "scn-fluorescence-in-jpeg2000": partial(
        build_scn,
        rois=(Roi(light="fluorescence"),),
        codec="j2k_33005",
        levels=2,
        missing=((0, 4),),
    ),
    "svs-focal-planes": partial(
        build_svs, focal_planes=("-0.5", "0", "+0.5"), missing=((0, 4),), size=(500, 400)
    ),
    "generic-lzw": partial(build_generic, codec="lzw", predictor=2, **FEW_TILES),
    "generic-lzw-planar": partial(
        build_generic, codec="lzw", predictor=2, planar=True, **FEW_TILES
    ),
    "generic-deflate": partial(build_generic, codec="deflate", missing=((0, 2), (2, 1))),
    "generic-deflate-predictor": partial(
        build_generic, codec="deflate_32946", predictor=2, **FEW_TILES
    ),
    "generic-lzw-palette": partial(
        build_generic, codec="lzw", palette=True, missing=((0, 2),), **_TINY
    ),
    "generic-deflate-ycbcr420": partial(
        build_generic, codec="deflate", ycbcr=(2, 2), missing=((0, 1),), **_TINY
    ),
    "generic-lzw-ycbcr444": partial(build_generic, codec="lzw", ycbcr=(1, 1), predictor=2, **_TINY),
    "generic-packbits": partial(build_generic, codec="packbits", big_endian=True, **FEW_TILES),
    "generic-zstd-planar": partial(
        build_generic, codec="zstd", planar=True, missing=((0, 3),), **FEW_TILES
    ),
    "generic-uncompressed": partial(build_generic, codec="none", bigtiff=True, **FEW_TILES),
    "generic-webp": partial(build_generic, codec="webp", missing=((1, 0),), **FEW_TILES),
    "generic-jpeg-xr": partial(build_generic, codec="jpegxr", **FEW_TILES),
    "generic-jpeg-xl": partial(build_generic, codec="jpegxl", subifds=True, **FEW_TILES),
    "generic-webp-34927": partial(build_generic, codec="webp_34927", **_TINY),
    "generic-jpeg-xr-34934": partial(build_generic, codec="jpegxr_34934", **_TINY),
    "generic-jpeg-xl-52546": partial(build_generic, codec="jpegxl_52546", **_TINY),
    "generic-zstd-34926-full-last-strip": partial(
        build_generic, codec="zstd_34926", rows_per_strip=32, full_last_strip=True, **_TINY
    ),
    "generic-deflate-grey-16": partial(
        build_generic, codec="deflate", grey=True, bits=16, **FEW_TILES
    ),
    "generic-lzma-grey-16-big-endian": partial(
        build_generic,
        codec="lzma",
        grey=True,
        bits=16,
        big_endian=True,
        predictor=2,
        missing=((0, 1),),
        **FEW_TILES,
    ),
    "generic-white-is-zero": partial(
        build_generic, codec="deflate", grey=True, white_is_zero=True, **FEW_TILES
    ),
    "generic-lossless-jpeg": partial(build_generic, codec="ljpeg", missing=((0, 2),), **FEW_TILES),
    "generic-lerc": partial(build_generic, codec="lerc", **FEW_TILES),
    "generic-lerc-lossy": partial(build_generic, codec="lerc_lossy", missing=((0, 1),), **_TINY),
    "generic-jpeg2000-clipped": partial(
        build_generic, codec="j2k_33005", clipped=True, missing=((0, 3), (1, 0))
    ),
    "generic-lzw-strips": partial(
        build_generic, codec="lzw", rows_per_strip=37, predictor=2, size=(1100, 1040), levels=2
    ),
    "generic-uncompressed-one-strip": partial(
        build_generic,
        codec="none",
        rows_per_strip=1 << 20,
        planar=True,
        size=(1100, 1050),
        levels=2,
    ),
    "generic-j2k-grey": partial(build_generic, codec="j2k_grey", missing=((0, 3),)),
    "generic-progressive": partial(
        build_generic,
        style={"progressive": True, "tables": "own"},
        missing=((0, 2),),
        big_endian=True,
    ),
    "generic-progressive-grey": partial(
        build_generic, codec="jpeg_grey", style={"progressive": True, "tables": "own"}
    ),
    "generic-arithmetic": partial(
        build_generic, style={"process": ("-arithmetic",), "tables": "own"}, **_TINY
    ),
    "generic-arithmetic-progressive": partial(
        build_generic,
        codec="jpeg_ycbcr444",
        style={"process": ("-arithmetic", "-progressive"), "tables": "own"},
        **_TINY,
    ),
    "generic-progressive-restarts": partial(
        build_generic,
        style={"process": ("-progressive", "-restart", "3B"), "tables": "own"},
        **_TINY,
    ),
    "generic-tables-overridden": partial(
        build_generic, codec="jpeg_ycbcr422", style={"tables": "overridden"}, missing=((0, 1),)
    ),
    "generic-without-huffman-tables": partial(
        build_generic, style={"huffman": False}, missing=((0, 1),), levels=2
    ),
    "generic-masks": partial(build_generic, masks=True, codec="jpeg_ycbcr444", bigtiff=True),
    "generic-extended-open-end": partial(
        build_generic,
        style={"sof": 0xC1, "start": b"\xff\xd8\xff\xff", "end": b"", "tables": "both"},
        **_TINY,
    ),
    "svs-progressive-rgb": partial(
        build_svs,
        style={"progressive": True, "ids": (82, 71, 66), "tables": "own", "markers": "app14_0"},
    ),
    "generic-clipped": partial(
        build_generic, codec="jpeg_ycbcr422", clipped=True, style={"markers": "jfif"}, subifds=True
    ),
    "generic-jpeg-planar": partial(
        build_generic, codec="jpeg_rgb", planar_jpeg=True, missing=((0, 3),)
    ),
    "trestle-overlaps": partial(
        build_keyed,
        maker="trestle",
        overlaps="64 64 32 32 16 16",
        codec="jpeg_ycbcr420",
        files_beside=True,
    ),
    "trestle-overlap-across": partial(
        build_keyed,
        maker="trestle",
        overlaps="32 0 16 0 16 0",
        codec="jpeg_ycbcr444",
        big_endian=True,
        bigtiff=True,
    ),
    "ome-subifds": partial(build_ome, tag_262=2, missing=((0, 3),)),
    "ome-series-jfif": partial(
        build_ome,
        layout="series",
        codec="jpeg_ycbcr444",
        tag_262=2,
        style={"markers": "jfif", "tables": "own"},
        pictures=("macro", "label", "unnamed"),
        pictures_first=True,
        say_ifd=False,
        unit="nm",
        per_mm=1e6,
        tag_296=2,
        factor=4,
        levels=2,
    ),
    "ome-jpeg-planar": partial(
        build_ome, codec="jpeg_rgb", planar_jpeg=True, levels=2, missing=((0, 3),)
    ),
    "ome-channels-predictor": partial(
        build_ome, codec="deflate", predictor=2, bits=16, grey_channels=2, levels=2, size=(400, 300)
    ),
    "ome-colours-apart": partial(
        build_ome, codec="jpeg_rgb", colours_apart=True, missing=((0, 3), (1, 0))
    ),
    "ome-colours-apart-series-lzw": partial(
        build_ome, codec="lzw", colours_apart=True, layout="series", levels=2, size=(400, 300)
    ),
    "ome-set-planes": partial(
        build_ome,
        codec="jpeg_grey",
        grey_channels=2,
        focal_planes=2,
        levels=2,
        files="planes",
        missing=((0, 3), (1, 0)),
    ),
    "ome-set-channels": partial(
        build_ome,
        codec="deflate",
        bits=16,
        grey_channels=2,
        levels=2,
        layout="series",
        files="channels",
        metadata="first",
        missing=((0, 2),),
        size=(400, 300),
    ),
    "ome-set-focal-planes": partial(
        build_ome,
        codec="jpeg_rgb",
        focal_planes=2,
        levels=2,
        files="focal planes",
        metadata="companion",
        size=(300, 200),
    ),
    "huron": partial(build_keyed, bigtiff=True),
    "huron-j2k": partial(build_keyed, codec="j2k_33005", levels=2),
    "motic": partial(build_keyed, maker="motic", codec="jpeg_rgb", missing=((1, 2),)),
    "mikroscan": partial(build_keyed, maker="mikroscan", big_endian=True),
    "grundium": partial(build_keyed, maker="grundium", codec="jpeg_ycbcr422"),
    "3dhistech": partial(build_keyed, maker="3dhistech"),
    "trestle": partial(build_keyed, maker="trestle"),
    "argos": partial(build_argos, missing=((0, 1), (1, 2))),
    "argos-focal-planes": partial(
        build_argos, codec="jpeg_rgb", focal_planes=3, size=(400, 300), levels=2, missing=((0, 1),)
    ),
    "indica-channels": partial(build_indica, bits=16, levels=2, missing=((0, 3),)),
    "indica-channels-jpeg": partial(build_indica, channels=2, codec="jpeg_grey"),
    "indica-strips-below": partial(build_indica, channels=2, codec="lzw", strip_rows=37),
    "indica-colour": partial(build_indica, channels=0, codec="jpeg_ycbcr420"),
    "philips": partial(build_philips, missing=((0, 3), (1, 0))),
    "philips-surplus": partial(build_philips, surplus=True, bigtiff=True, directories=False),
    "philips-without-pictures-in-xml": partial(
        build_philips, in_xml=False, codec="jpeg_ycbcr420", levels=2, big_endian=True
    ),
    "ventana-bif-second-area": partial(
        build_ventana,
        second_area=(0, 0),
        in_metadata=True,
        quote="'",
        unnamed=True,
        style={"tables": "own"},
        levels=2,
        big_endian=True,
    ),
    "qptiff-bands": partial(
        build_qptiff,
        codec="jpeg_grey",
        bands=2,
        unnamed=True,
        levels=2,
        style={"tables": "own"},
    ),
    "scn": partial(build_scn, missing=((0, 4),)),
    "scn-two-regions": partial(build_scn, rois=TWO, codec="jpeg_rgb"),
    "scn-regions-unlike": partial(
        build_scn, rois=FINER, namespace="2010/03/10", supplemental=True, orphan=True
    ),
    "scn-without-macro": partial(
        build_scn,
        macro=False,
        style={"markers": "jfif", "tables": "own"},
        levels=2,
        tile=256,
        big_endian=True,
    ),
    "ventana-bif": partial(build_ventana, not_scanned=True),
    "ventana-bif-overlaps": partial(build_ventana, overlaps=(16, 8)),
    "ventana-bif-focal-planes": partial(
        build_ventana, focal_planes=5, levels=2, missing=((0, 3), (1, 0)), style={"tables": "own"}
    ),
    "ventana-bif-overlaps-in-focal-planes": partial(
        build_ventana, focal_planes=3, z_spacing="0,75", overlaps=(16, 8), levels=2
    ),
    "ventana-bif-gaps": partial(build_ventana, overlaps=(-8, 0), codec="jpeg_rgb", levels=2),
    "ventana-tiff": partial(
        build_ventana, stitched=True, model="VENTANA iScan HT", codec="jpeg_rgb", missing=((1, 1),)
    ),
    "qptiff": partial(build_qptiff, codec="jpeg_ycbcr422", missing=((0, 2),)),
    "qptiff-level-in-strips": partial(build_qptiff, levels=2, level_in_strips=True),
    "ome-j2k": partial(build_ome, codec="j2k_rgb", compression=33003, big_endian=False),
}

NEED_JPEGTRAN = {name for name, build in FORMATS.items() if "process" in str(build.keywords)}
"""Their tiles are written by a program that is not installed everywhere."""

__all__ = [
    "FEW_TILES",
    "FORMATS",
    "NEED_JPEGTRAN",
    "Builder",
    "SynthLevel",
    "SynthSlide",
    "build_argos",
    "build_deep_ndpi",
    "build_generic",
    "build_indica",
    "build_keyed",
    "build_ndpi",
    "build_ndpis",
    "build_ome",
    "build_philips",
    "build_qptiff",
    "build_scn",
    "build_svs",
    "build_ventana",
]
