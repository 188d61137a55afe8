"""Real slides through the whole program, read back by programs that nobody here wrote."""

import functools
import json
import re

import numpy as np
import pydicom
import pytest
import tifffile

import coverslip
from tests.conftest import SLIDES
from tests.interop import alike, readers
from tests.program import command

pytestmark = pytest.mark.slides

CASES = {
    "aperio-jpeg": "aperio/CMU-1-Small-Region.svs",
    "aperio-jpeg2000": "aperio/tcga-cr-7395-01a-01-ts1.svs",
    "generic-jp2": "generic-tiff/CMU-1-Small-Region.jp2.tiff",
    "generic-jpeg": "generic-tiff/CMU-1-Small-Region.jpeg.tiff",
    "generic-deflate": "generic-tiff/boxes.tiff",
    "generic-rgb-ids": "generic-tiff/tiled-jpeg-rgb-u8.tif",
    "hamamatsu": "hamamatsu/test3-DAPI-2-(387).ndpi",
    "hamamatsu-native": "hamamatsu/test3-DAPI-2-(387).ndpi",
    "ome-ndpi": "ome-tiff/OS-1-detail.ome.tif",
    "ome-vsi": "ome-tiff/OS-2-vsi.ome.tif",
    "ome-grid": "ome-tiff/XYC-bfconvert-JPEG.ome.tiff",
    "qptiff-fluorescence": "qptiff/small_vectra.qptiff",
}
DECODED = {"generic-deflate", "qptiff-fluorescence"}
"""Cases whose tiles cannot be frames as they are."""
OPTIONS = {"hamamatsu-native": {"ndpi_frames": "native"}}
REFUSED = {
    "generic-tiff/boxes.tiff": "Deflate",
    "generic-tiff/ojpeg-tile.tif": "old-style JPEG",
    "qptiff/small_vectra.qptiff": "LZW",
    "vsi/vsi-ets-test-jpg2k.vsi": "Olympus VSI",
    "dicom/sm_image.dcm": "DICOM already",
}


_SOURCE_LENS = 65421


class Converted:
    def __init__(self, source, result):
        self.source = source
        self.result = result
        self.instances = [instance.path for instance in result.instances]
        self.folder = self.instances[0].parent


@pytest.fixture(scope="module", params=CASES)
def converted(request, tmp_path_factory):
    source = SLIDES / CASES[request.param]
    out = tmp_path_factory.mktemp("out")
    allow_pixel = request.param in DECODED
    more = OPTIONS.get(request.param, {})
    return Converted(
        source, coverslip.convert(source, out, mpp_um=0.5, allow_pixel=allow_pixel, **more)
    )


def levels_of(source):
    """Yield the directories of a file that are levels, as tifffile sees them, largest first."""
    with tifffile.TiffFile(source) as tiff:
        for page in tiff.pages:
            if page.is_tiled or is_picture(page) or is_band(page):
                yield page


def is_picture(page):
    """Tell whether a directory is a level of NDPI, which is one JPEG."""
    return _SOURCE_LENS in page.tags and page.tags[_SOURCE_LENS].value > 0


def is_band(page):
    """Tell whether a directory is a channel of a QPTIFF, which may be in strips."""
    return "<ImageType>FullResolution<" in page.description


def picture_of(source, page):
    """Return the pixels of a directory, decoded by tifffile and imagecodecs."""
    return _decoded_once(source, page.index)


@functools.lru_cache(maxsize=12)  # as many as a slide has levels
def _decoded_once(source, index):
    pixels = tifffile.imread(source, key=index)
    pixels.flags.writeable = False
    return pixels


def entropy_of_jpeg(stream):
    """Return what lies between the SOS segment and the EOI, found by a plain walk."""
    at = 2
    while stream[at : at + 2] != b"\xff\xda":
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    return stream[at : stream.rindex(b"\xff\xd9")]


def entropy_of_jpeg2000(stream):
    """Return everything from the first tile-part to the EOC, out of a JP2 file or not."""
    at = stream.index(b"\xff\x4f\xff\x51") + 2
    while stream[at : at + 2] != b"\xff\x90":
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    return stream[at : stream.rindex(b"\xff\xd9")]


def test_entropy_coded_bytes_of_every_frame_are_those_of_its_tile(converted):
    data = converted.source.read_bytes()
    pages = list(levels_of(converted.source))
    assert len(pages) == len(converted.instances)
    for page, path in zip(pages, converted.instances, strict=True):
        if is_picture(page) or converted.result.frames.pixel:
            continue
        frames = readers.frames_of(path)
        assert len(frames) == len(page.dataoffsets)
        ranges = zip(page.dataoffsets, page.databytecounts, strict=True)
        for frame, (offset, count) in zip(frames, ranges, strict=True):
            tile = data[offset : offset + count]
            split = entropy_of_jpeg if frame.startswith(b"\xff\xd8") else entropy_of_jpeg2000
            assert split(frame) == split(tile)


@pytest.mark.tools
def test_coefficients_of_every_cut_frame_are_those_of_its_part(converted, tool):
    data = converted.source.read_bytes()
    for page, path in zip(levels_of(converted.source), converted.instances, strict=True):
        if not is_picture(page):
            continue
        start, count = page.tags["StripOffsets"].value[0], page.tags["StripByteCounts"].value[0]
        picture = data[start : start + count]
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        columns, rows = dataset.Columns, dataset.Rows
        across = -(-page.imagewidth // columns)
        for number, frame in enumerate(readers.frames_of(path)):
            x, y = number % across * columns, number // across * rows
            size = min(columns, page.imagewidth - x), min(rows, page.imagelength - y)
            theirs = readers.by_jpegtran(picture, (x, y, *size), tool("jpegtran"))
            assert readers.by_jpegtran(frame, (0, 0, *size), tool("jpegtran")) == theirs


def test_no_frame_holds_a_comment_or_application_segment_but_the_colour_marker(converted):
    for path in converted.instances:
        for frame in readers.frames_of(path):
            if frame.startswith(b"\xff\xd8"):
                header = frame[: len(frame) - len(entropy_of_jpeg(frame))]
                assert not re.search(rb"\xff[\xe0-\xed\xef\xfe]..", header, re.DOTALL)
            else:
                header = frame[: frame.index(b"\xff\x90")]
                assert b"\xff\x64" not in header


@pytest.mark.parametrize("plugin", ["pylibjpeg", "gdcm"])
def test_decoded_pixels_equal_an_independent_decoding_of_the_source(converted, plugin, capfd):
    for page, path in zip(levels_of(converted.source), converted.instances, strict=True):
        frames = readers.by_pydicom(path, plugin)
        pixels = readers.mosaic(frames, page.imagewidth, page.imagelength)
        assert_same_picture(pixels, picture_of(converted.source, page), frames_of=path)
    # GDCM and libjpeg say on the terminal what they do not like.
    assert capfd.readouterr() == ("", "")


def assert_same_picture(pixels, expected, *, frames_of, most=None):
    """Compare two decodings: alike but for rounding of inverse DCT, wavelet and upsampling."""
    assert pixels.shape == expected.shape
    distances = alike.difference(pixels, expected)
    is_subsampled = pydicom.dcmread(frames_of).PhotometricInterpretation == "YBR_FULL_422"
    allowed_mean, allowed_most = (2.5, 90) if is_subsampled else (0.6, 4)
    assert distances.mean() <= allowed_mean
    assert distances.max() <= (most or allowed_most)


def test_pixels_that_were_decoded_once_are_exactly_those_of_the_source(converted):
    if not converted.result.frames.pixel:
        pytest.skip("the tiles are frames")
    for page, path in zip(levels_of(converted.source), converted.instances, strict=True):
        frames = readers.by_pydicom(path, "pylibjpeg")
        pixels = readers.mosaic(frames, page.imagewidth, page.imagelength)
        assert np.array_equal(pixels, picture_of(converted.source, page))


def test_openslide_and_wsidicom_show_the_same_pixels(converted):
    if is_grey(converted):
        pytest.skip("OpenSlide reads colour only; wsidicom is asked for each channel below")
    by_openslide = readers.by_openslide(converted.folder)
    by_wsidicom = readers.by_wsidicom(converted.folder)
    pages = list(levels_of(converted.source))
    assert len(by_openslide) == len(by_wsidicom) == len(pages)
    for number, page in enumerate(pages):
        expected = picture_of(converted.source, page)
        path = converted.instances[number]
        assert_same_picture(by_openslide[number], expected, frames_of=path)
        assert_same_picture(by_wsidicom[number], expected, frames_of=path)


def is_grey(converted):
    dataset = pydicom.dcmread(converted.instances[0], stop_before_pixels=True)
    return dataset.PhotometricInterpretation == "MONOCHROME2"


def test_wsidicom_shows_each_channel(converted):
    if not is_grey(converted):
        pytest.skip("one picture in colour")
    pages = list(levels_of(converted.source))
    for number, page in enumerate(pages):
        (shown,) = readers.by_wsidicom(converted.folder, path=str(number + 1))
        assert np.array_equal(shown[..., 0], picture_of(converted.source, page))


def test_highdicom_shows_the_same_pixels(converted):
    for page, path in zip(levels_of(converted.source), converted.instances, strict=True):
        expected = picture_of(converted.source, page)
        assert_same_picture(readers.by_highdicom(path), expected, frames_of=path)


@pytest.mark.tools
def test_dcmtk_decodes_every_jpeg_frame_without_a_word(converted, tool, tmp_path):
    for page, path in zip(levels_of(converted.source), converted.instances, strict=True):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        if dataset.get("LossyImageCompressionMethod") != "ISO_10918_1":
            pytest.skip("Debian's DCMTK has no JPEG 2000")
        frames = readers.by_dcmtk(path, tool("dcmdjpeg"), tmp_path)
        pixels = readers.mosaic(frames, page.imagewidth, page.imagelength)
        assert_same_picture(pixels, picture_of(converted.source, page), frames_of=path)


@pytest.mark.tools
def test_dciodvfy_finds_no_fault(converted, tool):
    for path in converted.instances:
        assert readers.dciodvfy(path, tool("dciodvfy")) == []


def test_certificate_is_valid_and_counts_every_frame(converted):
    import jsonschema

    from coverslip.audit import certificate_schema

    certificate = json.loads(converted.result.certificate_path.read_text())
    jsonschema.validate(certificate, certificate_schema())
    for kind in ("copied", "stitched", "retiled", "pixel"):
        counted = sum(instance[f"frames_{kind}"] for instance in certificate["instances"])
        assert counted == getattr(converted.result.frames, kind)
    assert certificate["checks"]["read_back"] == "passed"


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_what_cannot_be_copied_is_refused_by_name(name, reason, tmp_path):
    with pytest.raises(coverslip.CoverslipError, match=reason):
        coverslip.convert(SLIDES / name, tmp_path / "out", mpp_um=0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted({*CASES.values(), *REFUSED}))
def test_nothing_that_is_printed_names_the_slide(name, tmp_path):
    done = command("convert", SLIDES / name, "-o", tmp_path / "out")
    stem = (SLIDES / name).name.split(".")[0]
    assert stem not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
