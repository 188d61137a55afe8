"""High-Throughput JPEG 2000 tiles are copied."""

import imagecodecs
import numpy as np
import pydicom
import pytest
from openjpeg import decode as by_pylibjpeg

import coverslip
from tests.interop import readers
from tests.synth import build_generic
from tests.test_laws import entropy_of

KINDS = {"ht97": "YBR_ICT", "ht53": "YBR_RCT", "ht_rgb": "RGB", "ht_grey": "MONOCHROME2"}
MISSING = ((0, 3), (1, 0))


@pytest.fixture(scope="module", params=KINDS)
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ht")
    slide = build_generic(folder, codec=request.param, missing=MISSING)
    return request.param, slide, coverslip.convert(slide.path, folder / "out")


def test_entropy_coded_bytes_are_those_of_the_tiles(case):
    _, slide, result = case
    for level, instance in zip(slide.levels, result.instances, strict=True):
        for frame, entropy in zip(readers.frames_of(instance.path), level.entropy, strict=True):
            assert len(frame) % 2 == 0
            assert b"OpenJPH" not in frame
            if entropy is not None:
                assert entropy_of(frame) == entropy
        assert instance.frames.copied == len(level.entropy) - level.entropy.count(None)


def test_header_says_what_it_is(case):
    kind, _, result = case
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.203"
    assert dataset.PhotometricInterpretation == KINDS[kind]
    assert dataset.LossyImageCompression == "01"
    assert dataset.LossyImageCompressionMethod == "ISO_15444_15"
    assert any("OpenSlide, pydicom with GDCM" in note for note in result.notes)


def test_pylibjpeg_and_openjph_show_the_tiles_and_white_where_there_is_none(case):
    _, slide, result = case
    for level, instance in zip(slide.levels, result.instances, strict=True):
        frames = readers.by_pydicom(instance.path, "pylibjpeg")
        shown = readers.mosaic(frames, level.width, level.length)
        assert np.abs(shown.astype(int) - level.rgb).max() <= 1
        for frame, data in zip(frames, readers.frames_of(instance.path), strict=True):
            other = imagecodecs.htj2k_decode(data, planar=False)
            assert np.abs(frame.astype(int) - other).max() <= 1


def test_frames_decode_to_the_pixels_of_the_tiles(case):
    _, slide, result = case
    for level, instance in zip(slide.levels, result.instances, strict=True):
        for frame, piece in zip(readers.frames_of(instance.path), level.pieces, strict=True):
            if piece:
                assert np.array_equal(by_pylibjpeg(frame), by_pylibjpeg(piece))


@pytest.mark.tools
def test_opj_decompress_reads_the_frames(case, tool, tmp_path):
    kind, slide, result = case
    frame = readers.frames_of(result.instances[0].path)[0]
    shown = readers.by_openjpeg(frame, tool("opj_decompress"), tmp_path)
    shown = shown[..., 0] if kind == "ht_grey" else shown
    assert np.abs(shown.astype(int) - slide.levels[0].rgb[:128, :128]).max() <= 1


def test_highdicom_shows_the_same_levels(case):
    _, slide, result = case
    for level, instance in zip(slide.levels, result.instances, strict=True):
        shown = readers.by_highdicom(instance.path)
        assert np.abs(shown.astype(int) - level.rgb).max() <= 1


def test_wsidicom_shows_the_same_levels(case):
    kind, slide, result = case
    if kind == "ht_grey":
        pytest.skip("grey is shown in colour")
    shown = readers.by_wsidicom(result.instances[0].path.parent)
    for pixels, level in zip(shown, slide.levels, strict=True):
        assert np.abs(pixels.astype(int) - level.rgb).max() <= 1


def test_later_check_is_clean(case):
    _, slide, result = case
    report = coverslip.verify(result.study_path.parent, slide.path)
    assert (report.found, report.unchecked) == ((), ())
    assert report.frames_equal == report.frames - len(MISSING)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b"\xff\x50\x00\x08\x00\x02\x00\x00", b"\xff\x50\x00\x08\x00\x06\x00\x00", "part other"),
        (b"\xff\x50\x00\x08\x00\x02\x00\x00", b"\xff\x50\x00\x06\x00\x02\x00\x00", "CAP"),
    ],
)
def test_capabilities_that_are_not_part_15_are_refused(old, new, what, tmp_path):
    slide = build_generic(tmp_path, codec="ht53", levels=1)
    data = slide.path.read_bytes()
    assert old in data
    slide.path.write_bytes(data.replace(old, new))
    with pytest.raises(coverslip.CoverslipError, match=what):
        coverslip.convert(slide.path, tmp_path / "out")
