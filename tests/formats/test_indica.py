import numpy as np
import pytest
import tifffile

import coverslip
from coverslip.model import Role
from tests.formats.findings import check_every_text_is_found
from tests.interop import readers
from tests.synth.indica import build_indica


@pytest.mark.parametrize("bits", [8, 16])
def test_tifffile_finds_the_same_channels_at_every_level(bits, tmp_path):
    built = build_indica(tmp_path, channels=3, bits=bits)
    slide = coverslip.open(built.path)
    assert slide.format == "Indica HALO"
    assert [level.optical_path for level in slide.levels] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    with tifffile.TiffFile(built.path) as other:
        assert other.is_indica
        series = other.series[0]
        assert series.shape == (3, 300, 400)
        for number, level in enumerate(series.levels):
            for channel, plane in enumerate(level.asarray()):
                assert np.array_equal(plane, built.levels[3 * channel + number].rgb)


def test_each_channel_becomes_an_instance_that_holds_its_pixels(tmp_path):
    built = build_indica(tmp_path, channels=2, bits=16)
    result = coverslip.convert(built.path, tmp_path / "out", allow_pixel=True)
    for instance, level in zip(result.instances, built.levels, strict=True):
        frames = readers.by_pydicom(instance.path, "pylibjpeg")
        assert np.array_equal(readers.mosaic(frames, level.width, level.length), level.rgb)


def test_grey_is_fluorescence_and_colour_is_not(tmp_path):
    slide = coverslip.open(build_indica(tmp_path).path)
    assert [path.is_fluorescence for path in slide.description.optical_paths] == [True] * 3
    assert slide.spacing.row_mm == pytest.approx(0.0005)
    assert [image.role for image in slide.associated_images] == [Role.LABEL]
    (tmp_path / "colour").mkdir()
    built = build_indica(tmp_path / "colour", channels=0, codec="jpeg_ycbcr420")
    slide = coverslip.open(built.path)
    assert [path.is_fluorescence for path in slide.description.optical_paths] == [False]
    assert len(slide.levels) == 3


@pytest.mark.parametrize("quirk", ["unnamed", "without_dimensions"])
def test_channel_that_the_xml_does_not_name_is_refused_and_not_lost(quirk, tmp_path):
    built = build_indica(tmp_path, channels=2, **{quirk: True})
    with pytest.raises(coverslip.UnsupportedSlideError, match="has the size and samples of"):
        coverslip.convert(built.path, tmp_path / "out", allow_pixel=True)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'ifd="3"', b'ifd="9"', "does not have"),
        (b'ifd="3"', b'ifd="2"', "or one twice"),
        (b'sizeX="200"', b'sizeX="201"', "another size"),
    ],
)
def test_xml_that_is_wrong_is_a_damaged_slide(old, new, reason, tmp_path):
    built = build_indica(tmp_path, channels=2, levels=2)
    data = built.path.read_bytes()
    built.path.write_bytes(data.replace(old, new, 1))
    with pytest.raises(coverslip.SourceError, match=reason):
        coverslip.open(built.path)


def test_channels_with_different_levels_are_refused(tmp_path):
    built = build_indica(tmp_path, channels=2, levels=2)
    data = built.path.read_bytes()
    at = data.index(b'ifd="3"')
    start, end = data.rindex(b"<dimension", 0, at), data.index(b"/>", at) + 2
    built.path.write_bytes(data[:start] + b" " * (end - start) + data[end:])
    with pytest.raises(coverslip.UnsupportedSlideError, match="same levels"):
        coverslip.open(built.path)


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_indica(tmp_path), ("@name",), plain=("dimension@sizeX", "channel@rgb")
    )
