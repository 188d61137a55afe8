"""A format that another package offers is held to the same rules."""

import importlib
import textwrap

import pytest

import coverslip
from coverslip import formats
from tests.privacy.search import places_of, survivors
from tests.synth import build_generic

PLUGIN = """
    from coverslip.formats import likeness, pyramid
    from coverslip.model import LabelSide, Slide, SourceText
    from coverslip.tiff.tags import SOFTWARE


    class Acme:
        name = "Acme Scanner"

        def matches(self, tiff):
            text = tiff.directories[0].text(SOFTWARE)
            return text is not None and text.reveal().startswith("writer on")

        def read(self, tiff):
            chosen = likeness.with_reduced(tiff.directories[0], tiff.directories[1:])
            levels = tuple(pyramid.to_level(directory) for directory in chosen)
            text = tiff.directories[0].text(SOFTWARE)
            return Slide(
                format=self.name,
                levels=levels,
                associated_images=(),
                metadata=pyramid.raw_metadata(tiff, (), (text,)),
                spacing=levels[0].spacing,
                objective_power=20.0,
                label_side=LabelSide.TOP,
                private_ranges=pyramid.private_ranges(tiff, levels),
                notes=(),
            )
"""
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


def test_format_that_cannot_be_loaded_is_told(install, tmp_path):
    install(BROKEN)
    slide = build_generic(tmp_path)
    with pytest.raises(coverslip.PolicyError, match="the format acme of another package"):
        coverslip.open(slide.path)


def test_own_formats_come_first(install, tmp_path):
    install(PLUGIN.replace('startswith("writer on")', 'startswith("")'))
    from tests.synth import build_svs

    assert coverslip.open(build_svs(tmp_path).path).format == "Aperio SVS"
