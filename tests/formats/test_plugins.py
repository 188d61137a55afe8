"""A format that another package offers is held to the same rules."""

import importlib
import re
import textwrap

import numpy as np
import pytest

import coverslip
from coverslip import formats
from tests.docs_tables import DOCS
from tests.interop import readers
from tests.interop.validator import validator_findings
from tests.privacy.search import places_of, survivors
from tests.synth import build_generic

_EXAMPLE = re.compile(r"<!-- example: [^\n]*-->\n```python\n(.*?)```", re.DOTALL)
PLUGIN = _EXAMPLE.search((DOCS / "other-formats.md").read_text())[1]
BROKEN = "raise RuntimeError('no')"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with a format for the time of the test."""

    def install(code):
        folder = tmp_path / "site"
        about = folder / "acme_slides-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-slides\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[coverslip.formats]\nacme = acme_slides:Acme\n")
        (folder / "acme_slides.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(importlib.sys.modules, "acme_slides", raising=False)
        formats.offered.cache_clear()

    yield install
    formats.offered.cache_clear()


def test_slide_of_an_offered_format_is_scrubbed_like_any_other(install, tmp_path):
    install(PLUGIN)
    slide = build_generic(tmp_path)
    assert coverslip.open(slide.path).format == "Acme Scanner"
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert result.frames.copied == sum(len(level.entropy) for level in slide.levels)
    identifiers = [text for text in slide.identifiers if len(text) >= 5]
    assert survivors(identifiers, places_of(result.study_path, "")) == set()


@pytest.mark.tools
def test_slide_of_an_offered_format_is_held_to_the_laws(install, tool, tmp_path):
    install(PLUGIN)
    slide = build_generic(tmp_path, missing=((0, 2),))
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert coverslip.verify(tmp_path / "out", source=slide.path).is_clean
    paths = [instance.path for instance in result.instances]
    for path in paths:
        assert validator_findings(path, slide, tool("dciodvfy")) == []
    shown = {
        "pydicom": [
            readers.mosaic(readers.by_pydicom(path, "pylibjpeg"), level.width, level.length)
            for path, level in zip(paths, slide.levels, strict=True)
        ],
        "OpenSlide": readers.by_openslide(paths[0].parent),
        "wsidicom": readers.by_wsidicom(paths[0].parent),
        "highdicom": [readers.by_highdicom(path) for path in paths],
    }
    for pictures in shown.values():
        for picture, level in zip(pictures, slide.levels, strict=True):
            assert np.abs(picture.astype(int) - level.rgb.astype(int)).mean() < 2.5


def test_format_that_cannot_be_loaded_is_told(install, tmp_path):
    install(BROKEN)
    slide = build_generic(tmp_path)
    with pytest.raises(coverslip.PolicyError, match="the format acme of another package"):
        coverslip.open(slide.path)


def test_own_formats_come_first(install, tmp_path):
    install(PLUGIN.replace('startswith("writer on")', 'startswith("")'))
    from tests.synth import build_svs

    assert coverslip.open(build_svs(tmp_path).path).format == "Aperio SVS"
