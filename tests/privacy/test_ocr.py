"""Text in the pixels, read by rapidocr: through the whole program and back."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import coverslip
from coverslip.deid.pixels import ocr
from coverslip.verification import writing
from tests.synth import build_generic, build_svs
from tests.synth.overview import draw_overview
from tests.synth.texture import tissue

pytestmark = [
    pytest.mark.ocr,
    # Those of onnxruntime are not about what is tested.
    pytest.mark.filterwarnings("ignore"),
]
NAME = "QUILLFEATHER"


def with_text(text, quarters=0):
    """Return tissue on which somebody wrote, the glass turned."""
    picture = Image.fromarray(tissue(420, 320, 3))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((30, 110, 390, 180), fill="white")
    draw.text((50, 120), text, fill="black", font=ImageFont.load_default(40))
    return np.ascontiguousarray(np.rot90(np.asarray(picture), quarters))


def built(folder, picture):
    rows, columns, _ = picture.shape
    return build_generic(folder, picture=picture, size=(columns, rows), levels=1, tile=64)


@pytest.mark.parametrize("quarters", range(4))
def test_text_in_a_level_stops_the_slide(quarters, tmp_path):
    slide = built(tmp_path, with_text(NAME, quarters))
    with pytest.raises(coverslip.QuarantineError, match="level 0 shows what looks like pieces of"):
        coverslip.convert(slide.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_level_without_text_passes_and_the_certificate_says_that_it_was_read(tmp_path):
    slide = built(tmp_path, tissue(420, 320, 3))
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert result.certificate["checks"]["pixel_text"] == "passed"
    assert "113101" in result.certificate["deidentification_codes"]
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert report.is_clean
    assert not any("the extra ocr" in what for what in report.out_of_scope)


def test_masked_overview_that_was_read_lets_clean_pixels_be_claimed(tmp_path, monkeypatch):
    overview = draw_overview(5, noise=1.0).picture
    slide = build_svs(tmp_path, overview=overview, levels=1, size=(200, 200))
    result = coverslip.convert(slide.path, tmp_path / "out", overview="mask")
    assert result.frames.picture == 1
    assert "113101" in result.certificate["deidentification_codes"]

    monkeypatch.setattr(ocr, "is_installed", lambda: False)
    result = coverslip.convert(slide.path, tmp_path / "unread", overview="mask")
    assert result.frames.picture == 1
    assert "113101" not in result.certificate["deidentification_codes"]


def test_verification_reads_a_term_that_conversion_did_not_look_for(tmp_path, monkeypatch):
    slide = built(tmp_path, with_text(NAME))
    with monkeypatch.context() as patch:
        for module in (ocr, writing):
            patch.setattr(module, "is_installed", lambda: False)
        coverslip.convert(slide.path, tmp_path / "out")
    terms = tmp_path / "terms.txt"
    terms.write_text(f"{NAME}\n")
    found = coverslip.verify(tmp_path / "out", terms=terms).found
    assert {survivor.what for survivor in found} == {"text that is like a term"}
