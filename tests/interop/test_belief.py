"""Built slides are what other programs take them for: else the laws would prove little."""

import logging
from ctypes.util import find_library

import pytest
import tifffile

from tests.conftest import REQUIRE_TOOLS
from tests.interop import belief, believers
from tests.synth import FORMATS

OPENSLIDE_DECODES = {1, 5, 7, 8, 32773, 32946, 33003, 33005, 34925, 34926, 50000}
ELSEWHERE = {
    "scn-fluorescence-in-colour": "OpenSlide wants a picture in transmitted light in an SCN",
    "ndpi-420-sof-zero": "OpenSlide wants one spacing of restart markers in all of the file",
    "ndpi-stitched": "as above",
    "ndpi-stitched-420": "as above",
    "ndpi-interval-across-rows": "as above",
    "generic-extended-open-end": "OpenSlide wants an end marker",
    "generic-clipped": "OpenSlide wants tiles of their full size",
    "scn": "OpenSlide stops at a missing tile of SCN",
    "scn-regions-unlike": "OpenSlide wants regions that are alike",
    "scn-fluorescence": "OpenSlide wants brightfield",
    "ventana-bif": "OpenSlide leaves out what was not scanned",
    "ventana-tiff": "OpenSlide stops at a missing tile of a stitched TIFF",
}
"""Cases that OpenSlide cannot read, and why; `unsupported` has what holds for all formats."""
NOBODY = {
    **dict.fromkeys(
        ("ome-colours-apart", "ome-colours-apart-series-lzw"),
        "each of its colours has a directory of its own, which others show apart",
    ),
    "ome-jpeg-planar": "tifffile decodes no tile of one colour, and OpenSlide, which shows "
    "generic-jpeg-planar, knows no OME-TIFF",
    "generic-zstd-34926-full-last-strip": "its last strip has more rows than are left",
    "generic-j2k-declared-as-jpeg": "its tag 259 lies",
    "ome-subifds": "its tag 262 lies, as that of real OME-TIFFs does (tests/formats/test_ome.py)",
    "ventana-bif-overlaps-in-focal-planes": "tifffile composes nothing, and OpenSlide shows the "
    "plane in the middle only (tests/formats/test_ventana.py)",
    "ndpi-interval-in-row": "its tags are a pixel off, as those of real slides are",
}
"""Cases that no program shows, and why."""


def unsupported(name, slide):
    """Return why OpenSlide cannot be asked about a slide, ``None`` if it can."""
    if belief.family(name) not in belief.VENDORS:
        return "OpenSlide does not know the format"
    if any(level.above for level in slide.levels):
        return "OpenSlide takes focal planes for levels"
    if any(level.optical_path for level in slide.levels):
        return "OpenSlide knows no channels"
    if any(level.rgb.dtype != "u1" for level in slide.levels):
        return "OpenSlide shows 8 bits"
    if belief.family(name) == "ndpi":
        return None
    with tifffile.TiffFile(slide.path) as tiff:
        if tiff.byteorder == ">" and not tiff.is_bigtiff:
            return "OpenSlide 4.0 reads no classic TIFF of the big byte order, whoever wrote it"
        base = max(tiff.pages, key=lambda page: page.imagewidth * page.imagelength)
        if base.pages:
            return "OpenSlide reads no SubIFDs"
        if base.compression not in OPENSLIDE_DECODES:
            return "OpenSlide has not its codec"
        return None if base.is_tiled else "OpenSlide reads no strips"


@pytest.mark.parametrize("name", FORMATS)
def test_another_program_shows_the_same_pixels(name, tmp_path, needed, caplog):
    caplog.set_level(logging.CRITICAL)
    needed(name)
    slide = belief.build(name, tmp_path)
    found = belief.believer(name, slide)
    if found is None and find_library("turbojpeg") is None and not REQUIRE_TOOLS:
        pytest.skip("opentile has no libturbojpeg")
    if name in NOBODY:
        assert found is None, "somebody believes it: take it from the list"
    elif name in ELSEWHERE:
        assert found is not None
    elif unsupported(name, slide) is None:
        assert found == "OpenSlide"
    else:
        assert found is not None, "list it, with the reason"
    written = believers.BELIEVERS.get(name, "nobody")
    assert written == (found or "nobody"), "run python -m tests.interop.believers"


def test_lists_name_cases_only():
    assert {*ELSEWHERE, *NOBODY} <= {*FORMATS}
    assert believers.BELIEVERS.keys() <= FORMATS.keys()
