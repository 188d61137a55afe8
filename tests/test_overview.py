"""Overviews with their label painted over, through the whole program and back."""

import json
import random

import numpy as np
import pydicom
import pytest
import zxingcpp
from benches import crop_rule

import coverslip
from coverslip.audit import certificate_schema
from coverslip.deid.pixels.barcodes import LEAST_OF_ANY, bar_codes
from coverslip.deid.pixels.mask import PAINT
from coverslip.model import LabelSide
from tests.conftest import SLIDES
from tests.interop import readers
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS, build_generic, build_ndpi, build_svs
from tests.synth.overview import draw_overview
from tests.synth.texture import tissue

GLASS = draw_overview(5, noise=1.0)
BUILDERS = {
    "svs": lambda folder: build_svs(folder, overview=GLASS.picture),
    "svs-gt450": lambda folder: build_svs(
        folder, overview=GLASS.picture, gt450=True, codec="jpeg_ycbcr422", bigtiff=True
    ),
    "ndpi": lambda folder: build_ndpi(folder, overview=GLASS.picture),
}
LABEL_IN_OVERVIEW = (
    "Error - </SpecimenLabelInImage(0048,0010)[1]> - required to be YES for OVERVIEW or LABEL "
    "image = <NO>"
)
"""The validator does not know an overview whose label is painted over."""


class Masked:
    def __init__(self, slide, result):
        self.slide = slide
        self.result = result
        self.path = result.instances[-1].path
        self.pixels = readers.by_pydicom(self.path, "pylibjpeg")[0]


@pytest.fixture(scope="module", params=BUILDERS)
def masked(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slide")
    slide = BUILDERS[request.param](folder)
    return Masked(slide, coverslip.convert(slide.path, folder / "out", overview="mask"))


def test_no_pixel_of_the_label_is_in_it(masked):
    assert (masked.pixels[GLASS.label] == PAINT).all()


def test_tissue_is_as_it_was(masked):
    difference = masked.pixels[GLASS.tissue].astype(int) - GLASS.picture[GLASS.tissue]
    kept = np.abs(difference).max(axis=1) < 60  # the source is JPEG
    assert kept.mean() >= 0.95
    assert np.abs(difference).mean() < 6


def test_bar_code_reader_finds_one_before_and_none_after(masked):
    assert zxingcpp.read_barcodes(GLASS.picture)
    assert zxingcpp.read_barcodes(masked.pixels) == []


def test_other_decoder_shows_the_same(masked):
    assert np.array_equal(readers.by_pydicom(masked.path, "gdcm")[0], masked.pixels)


def test_openslide_shows_it_as_its_macro(masked):
    import openslide

    with openslide.OpenSlide(masked.result.instances[0].path) as slide:
        assert set(slide.associated_images) == {"macro"}
        shown = np.asarray(slide.associated_images["macro"].convert("RGB"))
    assert np.array_equal(shown, masked.pixels)


def test_wsidicom_shows_it_as_its_overview(masked):
    import wsidicom

    with wsidicom.WsiDicom.open(masked.path.parent) as slide:
        shown = np.asarray(slide.read_overview().convert("RGB"))
    assert np.array_equal(shown, masked.pixels)


def test_highdicom_reads_it(masked):
    import highdicom

    image = highdicom.imread(masked.path)
    assert np.array_equal(image.get_frame(1, apply_icc_profile=False), masked.pixels)


@pytest.mark.tools
def test_validator_asks_for_the_label_and_for_nothing_else(masked, tool):
    for instance in masked.result.instances[:-1]:
        assert readers.dciodvfy(instance.path, tool("dciodvfy")) == []
    assert readers.dciodvfy(masked.path, tool("dciodvfy")) == [LABEL_IN_OVERVIEW]


def test_levels_are_shown_as_before(masked):
    shown = readers.by_openslide(masked.path.parent)
    assert [level.shape for level in shown] == [level.rgb.shape for level in masked.slide.levels]


def test_assumed_spacing_is_told(masked):
    dataset = pydicom.dcmread(masked.path)
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.PixelSpacing[0]) == 75 / 1200
    assert any("spacing is assumed" in note for note in masked.result.notes)


def test_instance_says_what_it_is(masked):
    dataset = pydicom.dcmread(masked.path)
    levels = [pydicom.dcmread(i.path) for i in masked.result.instances[:-1]]
    assert dataset.ImageType == ["DERIVED", "PRIMARY", "OVERVIEW", "NONE"]
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    assert dataset.PhotometricInterpretation == "YBR_RCT"
    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionMethod) == (
        "01",
        "ISO_10918_1",
    )
    assert dataset.SOPInstanceUID not in {level.SOPInstanceUID for level in levels}
    assert dataset.FrameOfReferenceUID == levels[0].FrameOfReferenceUID
    assert dataset.InstanceNumber == len(levels) + 1


def test_certificate_says_what_was_done(masked):
    import jsonschema

    certificate = json.loads(masked.result.certificate_path.read_text())
    jsonschema.validate(certificate, certificate_schema())
    assert certificate["instances"][-1]["frames_picture"] == 1
    assert certificate["policy"]["options"]["overview"] == "mask"
    assert {"kind": "picture", "fate": "masked", "count": 1} in (
        certificate["findings"]["by_kind_and_fate"]
    )
    assert "joined-up handwriting" in certificate["residual_risk"]
    assert certificate["checks"]["bar_codes"] == "passed"
    if certificate["checks"]["pixel_text"] == "not_run":
        assert "113101" not in certificate["deidentification_codes"]


def test_no_identifier_of_the_slide_is_in_any_byte(masked):
    identifiers = [text for text in (*masked.slide.identifiers, *GLASS.texts) if len(text) >= 5]
    assert survivors(identifiers, places_of(masked.result.study_path)) == set()


def dropped(slide, folder, *reason):
    """Convert a slide whose overview is in doubt, and check that the levels alone were written."""
    result = coverslip.convert(slide.path, folder / "out", overview="mask")
    assert [i.level for i in result.instances] == list(range(len(slide.levels)))
    assert result.frames.picture == 0
    fates = result.certificate["findings"]["by_kind_and_fate"]
    assert not any(row["fate"] == "masked" for row in fates)
    for word in reason:
        assert any(word in note for note in result.notes)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (draw_overview(2, on_tissue="S24-11872").picture, "away from the label"),
        (draw_overview(3, code_on_tissue=True).picture, "away from the label"),
        (tissue(1200, 400, 3), "cannot be measured"),
        (tissue(600, 500, 3), "not the shape of a glass"),
        (draw_overview(4, side=LabelSide.TOP).picture, "lies otherwise"),
        (None, "away from the label"),
    ],
    ids=["text", "bar code", "no edge", "square", "upright", "noise"],
)
def test_overview_in_doubt_is_dropped_and_the_slide_is_not(picture, reason, tmp_path):
    slide = build_svs(tmp_path, overview=picture)
    dropped(slide, tmp_path, "the overview was dropped" if picture is None else reason)


def test_slide_without_an_overview_says_so(tmp_path):
    dropped(build_generic(tmp_path), tmp_path, "no overview was written: the slide has none")


def test_overview_is_not_written_unless_asked_for(tmp_path):
    slide = build_svs(tmp_path, overview=GLASS.picture)
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert len(result.instances) == len(slide.levels)
    assert "113101" in result.certificate["deidentification_codes"]


def test_lowest_level_that_is_one_jpeg_is_searched(tmp_path, monkeypatch):
    from coverslip import search

    seen = []
    monkeypatch.setattr(search, "bar_codes_of_tissue", lambda grey, **_: seen.append(grey) or [])
    slide = build_ndpi(tmp_path)
    coverslip.convert(slide.path, tmp_path / "out")
    weights = np.array([0.299, 0.587, 0.114])
    for grey, level in zip(seen, slide.levels, strict=True):
        assert grey.shape == level.rgb.shape[:2]
        assert np.abs(grey - level.rgb @ weights).mean() < 3


def with_qr_code(width, length, side):
    picture = tissue(width, length, 3).copy()
    code = np.asarray(
        zxingcpp.create_barcode("B22-66177", zxingcpp.BarcodeFormat.QRCode).to_image(scale=1)
    )
    drawn = np.kron(code, np.ones((side // len(code),) * 2, np.uint8))
    picture[20 : 20 + len(drawn), 20 : 20 + len(drawn)] = drawn[..., np.newaxis]
    return picture


def test_bar_code_that_is_legible_in_all_levels_but_the_smallest_stops_the_slide(tmp_path):
    picture = with_qr_code(2000, 1400, 420)
    slide = build_generic(tmp_path, picture=picture, size=(2000, 1400), levels=5, tile=256)
    legible = [bool(zxingcpp.read_barcodes(np.ascontiguousarray(one.rgb))) for one in slide.levels]
    assert legible[:2] == [True, True]
    assert legible[-1] is False

    with pytest.raises(coverslip.QuarantineError, match="level 0 shows what looks like bar codes"):
        coverslip.convert(slide.path, tmp_path / "out")


def test_code_that_only_a_small_crop_shows_stops_a_slide_that_has_no_larger_level(tmp_path):
    drawn = crop_rule.pictures((330, 250), 20, random.Random(7))
    picture = next(
        small
        for _, _, small, _ in drawn
        if not bar_codes(small) and bar_codes(small, least=LEAST_OF_ANY)
    )
    rgb = np.repeat(picture[..., np.newaxis], 3, axis=2)
    slide = build_generic(tmp_path, codec="j2k_53", picture=rgb, size=(330, 250), levels=1, tile=64)
    with pytest.raises(coverslip.QuarantineError, match="level 0 shows what looks like bar codes"):
        coverslip.convert(slide.path, tmp_path / "out")


@pytest.mark.parametrize("has_code", [True, False])
def test_only_level_that_is_large_is_reduced_and_searched(has_code, tmp_path):
    size = (2600, 2500)
    picture = with_qr_code(*size, 420) if has_code else tissue(*size, 3)
    slide = build_generic(tmp_path, picture=picture, size=size, levels=1, tile=256)
    if has_code:
        with pytest.raises(coverslip.QuarantineError, match="level 0 shows what looks like"):
            coverslip.convert(slide.path, tmp_path / "out")
    else:
        result = coverslip.convert(slide.path, tmp_path / "out")
        assert result.certificate["checks"]["bar_codes"] == "passed"
        assert "by up to 2 times along each side" in result.certificate["residual_risk"]


REDUCED = (
    *("svs-jpeg-rgb", "ndpi-stitched", "trestle-overlaps", "generic-jpeg-planar"),
    *(
        "generic-lzw-planar",
        "generic-uncompressed-one-strip",
        "generic-jp2",
        "generic-white-is-zero",
    ),
)


@pytest.mark.parametrize("most", [500_000, 3_000])
@pytest.mark.parametrize("name", REDUCED)
def test_level_is_reduced_to_means_of_blocks(name, most, tmp_path):
    from coverslip.luminance import luminance_of

    slide = FORMATS[name](tmp_path)
    opened = coverslip.open(slide.path)
    routes = opened.routes(colour=None, allow_pixel=True)
    number = len(opened.levels) - 1
    level, truth = opened.levels[number], slide.levels[number]
    if level.bits_per_sample != 8 or routes[number].frame_format is None:
        pytest.skip("its greys are spread, or it is not copied")
    rgb = truth.rgb.astype(float)
    expected = rgb @ [0.299, 0.587, 0.114] if rgb.ndim == 3 and rgb.shape[2] == 3 else rgb
    factor = int(np.ceil(np.sqrt(level.image_width * level.image_length / most)))
    rows, columns = (side // factor for side in expected.shape[:2])
    blocks = expected[: rows * factor, : columns * factor]
    blocks = blocks.reshape(rows, factor, columns, factor).mean(axis=(1, 3))

    grey = luminance_of(opened.source, level, routes[number].frame_format, most)

    assert grey.shape == tuple(-(-side // factor) for side in expected.shape[:2])
    assert np.abs(grey[:rows, :columns] - blocks).mean() < 6


@pytest.mark.slides
@pytest.mark.parametrize(
    ("name", "label_share", "most"),
    [
        ("hamamatsu/test3-DAPI-2-(387).ndpi", 0.25, 0.6),
        ("aperio/CMU-1-Small-Region.svs", 0.22, 0.56),
    ],
)
def test_real_overview_shows_no_label(name, label_share, most, tmp_path):
    result = coverslip.convert(SLIDES / name, tmp_path, mpp_um=0.5, overview="mask")
    assert result.frames.picture == 1
    pixels = readers.by_pydicom(result.instances[-1].path, "pylibjpeg")[0]
    label = pixels[:, : int(label_share * pixels.shape[1])]
    assert (label == PAINT).all()
    assert zxingcpp.read_barcodes(pixels) == []
    painted = (pixels == PAINT).all(axis=2).mean()
    assert painted < most
    assert f"{painted:.0%} of the overview were painted over, its label with them" in (result.notes)
