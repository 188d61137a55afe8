import pytest

import coverslip
from coverslip.formats import FORMATS
from tests.conftest import SLIDES
from tests.formats.test_generic import tags
from tests.synth import tiff
from tests.synth.tiff import Directory

SIGNS = {
    "Leica SCN": {
        270: tiff.ascii_('<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">')
    },
    "Philips TIFF": {
        270: tiff.ascii_('<DataObject ObjectType="DPUfsImport">'),
        305: tiff.ascii_("Philips DP v1.0"),
    },
    "Ventana": {700: tiff.byte(b"<EncodeInfo><iScan Barcode1D='DOE'/></EncodeInfo>")},
    "OME-TIFF": {270: tiff.ascii_('<?xml version="1.0"?><OME></OME>')},
    "QPTIFF": {305: tiff.ascii_("PerkinElmer-QPI")},
    "Argos": {65000: tiff.ascii_("<Argos.Scan/>")},
    "Trestle": {305: tiff.ascii_("MedScan 1.2")},
    "Huron": {271: tiff.ascii_("Huron Technologies")},
    "Motic": {270: tiff.ascii_("Motic 2.1|MPP = 0.5")},
    "Mikroscan": {270: tiff.ascii_("Mikroscan Image Structure v1")},
    "3DHISTECH TIFF": {270: tiff.ascii_("3dh_PixelSizeX=0.25")},
}


@pytest.mark.parametrize("name", SIGNS)
def test_format_that_is_not_supported_yet_is_refused_by_name(name, tmp_path):
    path = tmp_path / "slide.svs"
    tiff.write_tiff(path, [Directory(tags(100, 100) | SIGNS[name], [b"x"] * 4)])
    with pytest.raises(coverslip.UnsupportedSlideError, match=name) as raised:
        coverslip.open(path)
    assert "DOE" not in str(raised.value)


def test_strips_are_refused_with_the_reason(tmp_path):
    path = tmp_path / "slide.tif"
    striped = {tag: value for tag, value in tags(100, 100).items() if tag not in (322, 323)}
    tiff.write_tiff(path, [Directory(striped, [b"x"], tiled=False)])
    with pytest.raises(coverslip.UnsupportedSlideError, match="strips"):
        coverslip.open(path)


@pytest.mark.parametrize(
    ("compression", "name"),
    [(6, "old-style JPEG"), (34887, "LERC"), (34892, "lossy DNG JPEG"), (4711, "an unknown codec")],
)
def test_codec_that_no_frame_can_have_is_refused_by_name(compression, name, tmp_path):
    path = tmp_path / "slide.tif"
    tiff.write_tiff(path, [Directory(tags(100, 100, compression=tiff.short(compression)))])
    with pytest.raises(coverslip.UnsupportedSlideError, match=rf"{name} tiles .*{compression}"):
        coverslip.open(path)


@pytest.mark.parametrize(
    ("compression", "name"),
    [(1, "uncompressed"), (5, "LZW"), (8, "Deflate"), (32946, "Deflate"), (32773, "PackBits"),
     (34925, "LZMA"), (34926, "ZSTD"), (50000, "ZSTD"), (34927, "WebP"), (50001, "WebP"),
     (50002, "JPEG XL"), (52546, "JPEG XL"), (34934, "JPEG XR"), (22610, "JPEG XR")],
)  # fmt: skip
def test_codec_that_must_be_decoded_is_refused_with_the_option_that_allows_it(
    compression, name, tmp_path
):
    path = tmp_path / "slide.tif"
    described = tags(100, 100, compression=tiff.short(compression)) | {262: tiff.short(2)}
    tiff.write_tiff(path, [Directory(described, [b"x"] * 4)])
    (route,) = coverslip.open(path).routes()
    assert route.kind == "refuse"
    assert route.codec == name
    assert f"{name} tiles (compression {compression})" in route.reason
    assert "--allow-pixel" in route.error.hint
    (allowed,) = coverslip.open(path).routes(allow_pixel=True)
    assert allowed.kind == "pixel"


def test_formats_are_asked_from_the_most_specific_to_the_generic_one():
    names = [known.name for known in FORMATS]
    assert names == [
        "Hamamatsu NDPI",
        *list(SIGNS)[:5],
        "Aperio SVS",
        *list(SIGNS)[5:],
        "generic tiled TIFF",
    ]


@pytest.mark.slides
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ome-tiff/OS-1-detail.ome.tif", "OME-TIFF"),
        ("ome-tiff/OS-2-vsi.ome.tif", "OME-TIFF"),
        ("ome-tiff/XYC-bfconvert-JPEG.ome.tiff", "OME-TIFF"),
        ("qptiff/small_vectra.qptiff", "QPTIFF"),
        ("generic-tiff/ojpeg-tile.tif", "old-style JPEG"),
        ("vsi/vsi-ets-test-jpg2k.vsi", "strips"),
    ],
)
def test_real_slides_that_are_not_supported_yet_are_refused_with_the_reason(name, reason):
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason):
        coverslip.open(SLIDES / name)
