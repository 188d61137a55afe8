import pytest

import coverslip
from coverslip.formats import FORMATS
from tests.conftest import SLIDES
from tests.formats.test_generic import tags
from tests.synth import tiff
from tests.synth.tiff import Directory


def test_picture_of_a_vsi_is_refused_with_where_its_tiles_are(tmp_path):
    path = tmp_path / "slide.vsi"
    striped = {tag: value for tag, value in tags(100, 100).items() if tag not in (322, 323)}
    olympus = striped | {33560: tiff.long(1)}
    tiff.write_tiff(path, [Directory(olympus, [b"x"], tiled=False)])
    with pytest.raises(coverslip.UnsupportedSlideError, match="Olympus VSI") as raised:
        coverslip.open(path)
    assert "ETS" in raised.value.hint


@pytest.mark.parametrize(
    ("compression", "name"),
    [(1, "uncompressed"), (5, "LZW"), (6, "old-style JPEG"), (8, "Deflate"), (32946, "Deflate"),
     (32773, "PackBits"), (34887, "LERC"), (34925, "LZMA"), (50000, "ZSTD"), (50001, "WebP"),
     (50002, "JPEG XL"), (34934, "JPEG XR"), (22610, "JPEG XR"), (4711, "an unknown codec")],
)  # fmt: skip
def test_codec_that_no_frame_can_have_is_refused_by_name(compression, name, tmp_path):
    path = tmp_path / "slide.tif"
    tiff.write_tiff(path, [Directory(tags(100, 100, compression=tiff.short(compression)))])
    with pytest.raises(coverslip.UnsupportedSlideError, match=rf"{name} tiles .*{compression}"):
        coverslip.open(path)


def test_formats_are_asked_from_the_most_specific_to_the_generic_one():
    names = [known.name for known in FORMATS]
    order = [
        *("Hamamatsu NDPI", "Philips TIFF", "Leica SCN", "Ventana", "OME-TIFF", "QPTIFF"),
        *("Aperio SVS", "Olympus VSI", "Argos", "Trestle", "Huron", "Motic", "Mikroscan"),
        "3DHISTECH TIFF",
    ]
    assert names == order


@pytest.mark.slides
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("generic-tiff/boxes.tiff", "Deflate"),
        ("generic-tiff/ojpeg-tile.tif", "old-style JPEG"),
        ("vsi/vsi-ets-test-jpg2k.vsi", "Olympus VSI"),
    ],
)
def test_real_slides_that_are_not_supported_yet_are_refused_with_the_reason(name, reason):
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason):
        coverslip.open(SLIDES / name)
