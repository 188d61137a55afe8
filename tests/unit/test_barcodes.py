"""Levels are searched for bar codes in less time than overviews, and what is found is the same."""

import random

import numpy as np
import pytest
import zxingcpp
from benches import crop_rule
from PIL import Image

from coverslip.deid.pixels.barcodes import LEAST_OF_ANY, bar_codes, bar_codes_of_tissue
from coverslip.deid.pixels.shapes import grey_of
from coverslip.verification.barcodes import texts_of_codes
from tests.synth.texture import tissue

KINDS = zxingcpp.BarcodeFormat
TEXTS = {
    **dict.fromkeys(("Code39", "Code128", "Code93", "QRCode", "DataMatrix", "Aztec"), "B22-66177"),
    **dict.fromkeys(("PDF417", "CompactPDF417", "MicroPDF417"), "B22-66177"),
    **dict.fromkeys(("MicroQRCode", "RMQRCode"), "6617"),
    **{"ITF": "2266170000", "Codabar": "A226617B"},
    **{"EAN13": "4006381333931", "EAN8": "96385074", "UPCA": "042100005264"},
}


def with_code(kind, angle):
    """Return tissue with a code of some four pixels a module in it."""
    code = zxingcpp.create_barcode(TEXTS[kind], getattr(KINDS, kind))
    drawn = Image.fromarray(np.asarray(code.to_image(scale=4))).convert("L")
    turned = drawn.rotate(angle, expand=True, fillcolor=255)
    whole = Image.fromarray(grey_of(tissue(900, 700, 3)))
    whole.paste(turned, (101, 57))
    return np.asarray(whole)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("kind", TEXTS)
def test_code_of_any_kind_is_found_however_it_lies(kind, angle):
    picture = with_code(kind, angle)
    assert zxingcpp.read_barcodes(picture)
    assert bar_codes_of_tissue(picture)


def test_every_kind_that_can_be_read_is_linear_or_a_matrix():
    def listed(group):
        return set(map(str, zxingcpp.barcode_formats_list(group)))

    readable = listed(KINDS.AllReadable) - {str(KINDS.OtherBarcode)}
    assert readable >= {str(KINDS.QRCode), str(KINDS.Code128)}
    assert readable <= listed(KINDS.AllLinear) | listed(KINDS.AllMatrix)


def test_codes_that_only_crops_show_are_found_in_tissue():
    alone = [
        small
        for _, _, small, _ in crop_rule.pictures((760, 570), 6, random.Random(3))
        if not zxingcpp.read_barcodes(small) and bar_codes(small, least=LEAST_OF_ANY)
    ]
    assert len(alone) >= 3
    found = [bool(bar_codes_of_tissue(small, least=LEAST_OF_ANY)) for small in alone]
    assert all(found)


@pytest.mark.parametrize("quarters", range(4))
def test_tissue_without_a_code_shows_none(quarters):
    assert bar_codes_of_tissue(np.rot90(grey_of(tissue(1000, 750, quarters)), quarters)) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (4, 4), (5, 5), (60, 25)])
def test_picture_that_is_too_small_for_a_code_shows_none(shape):
    noise = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert bar_codes_of_tissue(noise, least=LEAST_OF_ANY) == []


@pytest.mark.parametrize("find", [bar_codes, bar_codes_of_tissue])
@pytest.mark.parametrize("at", [30, 65_500, 66_200])
def test_code_is_found_anywhere_along_more_pixels_than_the_reader_takes(find, at):
    code = np.asarray(zxingcpp.create_barcode("B22-66177", KINDS.QRCode).to_image(scale=2))
    long = np.full((code.shape[0] + 8, 70_000), 255, np.uint8)
    long[4 : 4 + code.shape[0], at : at + code.shape[1]] = code
    for picture in (long, np.ascontiguousarray(long.T)):
        boxes = find(picture, least=LEAST_OF_ANY)
        assert "B22-66177" in texts_of_codes(picture)
        assert any(
            abs((box.left if picture is long else box.top) - at) < 20
            and (box.right if picture is long else box.bottom) <= at + code.shape[1] + 20
            for box in boxes
        )
