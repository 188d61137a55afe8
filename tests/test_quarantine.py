"""Slides whose small levels show what may identify: set aside, or written with a warning."""

import json
import os
import stat

import pydicom
import pytest
import zxingcpp

import coverslip
from coverslip import quarantine, search
from coverslip.report.collect import collect
from tests.choices import choices_of, of_each_builder
from tests.interop import readers
from tests.interop.validator import validator_findings
from tests.privacy.search import places_of, survivors
from tests.program import command
from tests.synth import FORMATS, build_generic, build_svs
from tests.synth.overview import draw_overview, with_bar_code
from tests.synth.texture import halved

CODECS = ("jpeg_ycbcr420", "jpeg_grey", "j2k_33005", "j2k_rgb")
SHOWN = "11872"
"""In the text of the bar code that the levels show."""


@pytest.fixture(scope="module", params=CODECS)
def slide(request, tmp_path_factory):
    picture = with_bar_code(610, 450)
    folder = tmp_path_factory.mktemp("slide")
    return build_generic(folder, codec=request.param, levels=2, picture=picture)


def quarantined(path, out, **options):
    """Convert a slide that is set aside, and return the error that says so."""
    with pytest.raises(coverslip.QuarantineError) as raised:
        coverslip.convert(path, out, **options)
    assert "--pixels-attested" in raised.value.hint
    assert not out.exists()
    return raised.value


def long_texts_of(slide):
    """Return the identifiers that chance does not write into frames."""
    return [text for text in slide.identifiers if len(text) >= 5]


def burned_in(study):
    """Return what the levels of a study say of their pixels, after checking what goes with it."""
    said = []
    for path in study.rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        codes = {item.CodeValue for item in dataset.DeidentificationMethodCodeSequence}
        assert "113101" not in codes
        assert dataset.PatientIdentityRemoved == "YES"
        said.append(dataset.BurnedInAnnotation)
    return said


def checks_of(study):
    (certificate,) = study.glob("*.certificate.json")
    return json.loads(certificate.read_text())["checks"]


@pytest.mark.tools
def test_public_slide_is_set_aside_whole_and_says_what_it_may_be(slide, tool, tmp_path):
    error = quarantined(slide.path, tmp_path / "out")
    assert "level 0 shows what looks like bar codes" in str(error)
    (study,) = (tmp_path / "out.quarantine").iterdir()
    assert study == error.study_path
    assert stat.S_IMODE(study.parent.stat().st_mode) == 0o700
    assert burned_in(study) == ["YES", "YES"]
    assert checks_of(study)["bar_codes"] == "found"
    for path in study.rglob("*.dcm"):
        assert validator_findings(path, slide, tool("dciodvfy")) == []
    # It is there to be looked at: the levels show what they show.
    largest = max(study.rglob("*.dcm"), key=lambda path: path.stat().st_size)
    level = slide.levels[0]
    frames = readers.by_pydicom(largest, "pylibjpeg")
    shown = readers.mosaic(frames, level.width, level.length)
    assert any(SHOWN in code.text for code in zxingcpp.read_barcodes(shown))
    assert survivors(long_texts_of(slide), places_of(study)) == set()


def test_research_slide_goes_out_with_a_warning_in_it(slide, tmp_path):
    result = coverslip.convert(slide.path, tmp_path / "out", profile="research")
    assert "shows what looks like bar codes" in result.doubt
    assert burned_in(result.study_path) == ["YES", "YES"]
    assert checks_of(result.study_path)["bar_codes"] == "found"
    assert "a person has to look" in result.certificate["residual_risk"]
    assert not (tmp_path / "out.quarantine").exists()


@pytest.mark.parametrize("has_source", [True, False])
def test_check_tells_what_instances_say_of_themselves_by_a_status_of_its_own(
    slide, has_source, tmp_path
):
    study = coverslip.convert(slide.path, tmp_path / "out", profile="research").study_path
    report = coverslip.verify(study, slide.path if has_source else None)
    assert (report.found, report.unchecked) == ((), ())
    assert len(report.in_doubt) == 2
    assert (report.is_clean, report.exit_status) == (False, 3)


def certified(study, **checks):
    """Change which checks a certificate tells, and forget the digests in it."""
    (certificate,) = study.glob("*.certificate.json")
    document = json.loads(certificate.read_text())
    document["checks"] |= checks
    for record in document["instances"]:
        record["blake3"] = None
    certificate.write_text(json.dumps(document))


def said_anew(study, role, **said):
    """Change what the instances of a role say, by pydicom."""
    for path in study.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        if dataset.ImageType[2] == role:
            for keyword, value in said.items():
                setattr(dataset, keyword, value)
            dataset.save_as(path)


def found_in(study):
    return {survivor.what for survivor in coverslip.verify(study).found}


def code(value, meaning):
    item = pydicom.Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


SAYS_NO = "its pixels may identify, and an instance says that they do not"
SAYS_YES = "an instance says that its pixels may identify, and nothing was found in them"


@pytest.fixture
def in_doubt(slide, tmp_path):
    return coverslip.convert(slide.path, tmp_path / "out", profile="research").study_path


def test_check_finds_levels_that_do_not_say_what_was_found(in_doubt):
    certified(in_doubt)
    assert found_in(in_doubt) == set()
    said_anew(in_doubt, "VOLUME", BurnedInAnnotation="NO")
    # Now it finds the bar code, too.
    assert SAYS_NO in found_in(in_doubt)
    assert "a bar code that is not the container identifier's" in found_in(in_doubt)


@pytest.mark.parametrize("text", ["passed", "not_run"])
def test_check_finds_a_certificate_that_does_not_say_what_levels_do(text, in_doubt):
    certified(in_doubt, bar_codes="passed", pixel_text=text)
    assert found_in(in_doubt) == {SAYS_YES}


@pytest.mark.parametrize(
    "checks", [{"bar_codes": "not_run"}, {"bar_codes": "passed", "pixel_text": "found"}]
)
def test_check_wants_levels_to_say_what_nobody_looked_for_or_what_text_was_found(checks, in_doubt):
    certified(in_doubt, **checks)
    assert found_in(in_doubt) == set()
    said_anew(in_doubt, "VOLUME", BurnedInAnnotation="NO")
    assert SAYS_NO in found_in(in_doubt)


def test_check_finds_levels_that_identify_and_claim_clean_pixels(in_doubt):
    certified(in_doubt)
    for path in in_doubt.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        claims = list(dataset.DeidentificationMethodCodeSequence)
        claims.insert(1, code("113101", "Clean Pixel Data Option"))
        dataset.DeidentificationMethodCodeSequence = claims
        dataset.save_as(path)
    assert found_in(in_doubt) == {"it says that it identifies, and claims clean pixels"}


def test_check_finds_a_term_in_a_bar_code_that_an_instance_admits(in_doubt, tmp_path):
    terms = tmp_path / "terms.txt"
    terms.write_text("B22-66177\n")
    assert coverslip.verify(in_doubt, terms=terms).exit_status == 3
    terms.write_text("S24-11872\n")
    report = coverslip.verify(in_doubt, terms=terms)
    assert {survivor.place for survivor in report.found} == {"pixels"}
    assert report.exit_status == 1


def test_slide_that_somebody_vouches_for_passes(slide, tmp_path):
    result = coverslip.convert(slide.path, tmp_path, pixels_attested="B. Osterholtzer")
    assert result.certificate["checks"]["bar_codes"] == "attested"
    assert result.certificate["policy"]["options"]["pixels_attested"] == "B. Osterholtzer"
    assert any("vouches" in note for note in result.notes)
    assert result.doubt is None
    for instance in result.instances:
        assert pydicom.dcmread(instance.path).BurnedInAnnotation == "NO"


def test_command_line_ends_with_status_3_and_says_where_to_look(slide, tmp_path):
    done = command("convert", slide.path, "-o", tmp_path / "o")
    assert done.returncode == 3
    assert "--pixels-attested" in done.stderr
    (study,) = (tmp_path / "o.quarantine").iterdir()
    assert f"set aside: {tmp_path / 'o'}.quarantine/{study.name}" in done.stderr
    assert done.stdout == ""
    assert SHOWN not in done.stderr
    assert not (tmp_path / "o").exists()


def test_command_line_warns_of_a_research_slide_and_ends_with_status_0(slide, tmp_path):
    done = command("convert", slide.path, "-o", tmp_path / "o", "--profile", "research")
    assert done.returncode == 0, done.stderr
    assert "warning: level 0 shows what looks like bar codes" in done.stderr
    checked = command("verify", tmp_path / "o")
    assert checked.returncode == 3
    assert "to be looked at" in checked.stdout


def test_what_is_set_aside_can_be_reported_on(slide, tmp_path):
    quarantined(slide.path, tmp_path / "out")
    (reported,) = collect(tmp_path / "out.quarantine").slides
    assert reported.certificate["checks"]["bar_codes"] == "found"
    page = command("report", tmp_path / "out.quarantine", "-o", tmp_path / "look.html")
    assert page.returncode == 0, page.stderr
    assert "Do not pass it on" in (tmp_path / "look.html").read_text()
    assert stat.S_IMODE((tmp_path / "look.html").stat().st_mode) == 0o600


@pytest.mark.parametrize("profile", ["public", "research"])
def test_level_that_is_too_large_to_be_searched_is_in_doubt(profile, tmp_path, monkeypatch):
    from coverslip import luminance
    from coverslip.limits import Limits

    monkeypatch.setattr(luminance, "LIMITS", Limits(searched_pixels=1000))
    slide = build_svs(tmp_path)
    if profile == "public":
        error = quarantined(slide.path, tmp_path / "out")
        study, doubt = error.study_path, str(error)
    else:
        result = coverslip.convert(slide.path, tmp_path / "out", profile=profile)
        study, doubt = result.study_path, result.doubt
    assert "searched_pixels = 1000" in doubt
    assert set(burned_in(study)) == {"YES"}
    assert checks_of(study)["bar_codes"] == "not_run"

    result = coverslip.convert(slide.path, tmp_path / "o", pixels_attested="B. Osterholtzer")
    assert result.certificate["checks"]["bar_codes"] == "attested"
    assert any("cannot be searched" in note for note in result.notes)


def make_file(place):
    place.write_text("something else")


def make_open(place):
    place.mkdir(mode=0o755)


def make_link(place):
    place.with_name("elsewhere").mkdir(mode=0o700)
    place.symlink_to("elsewhere")


@pytest.mark.parametrize("make", [make_file, make_open, make_link])
def test_where_nothing_can_be_set_aside_nothing_is_written(make, tmp_path):
    slide = build_generic(tmp_path, levels=2, picture=with_bar_code(610, 450))
    make(tmp_path / "out.quarantine")
    error = quarantined(slide.path, tmp_path / "out")
    assert error.study_path is None
    assert "nothing was written, since " in error.hint
    assert "look at the slide" in error.hint
    assert not list(tmp_path.rglob("*.dcm"))


def test_nothing_of_a_conversion_that_was_killed_stays_in_the_quarantine(tmp_path):
    slide = build_generic(tmp_path, levels=2, picture=with_bar_code(610, 450))
    quarantined(slide.path, tmp_path / "out")
    left = tmp_path / "out.quarantine" / ".coverslip-0123456789abcdef"
    (left / "2.25.1").mkdir(parents=True)
    left.with_name(left.name + ".lock").touch()
    assert command("convert", slide.path, "-o", tmp_path / "out").returncode == 3
    assert not left.exists()


@pytest.mark.parametrize("profile", ["public", "research"])
@pytest.mark.parametrize("name", of_each_builder(7))
def test_law_every_level_of_every_format_says_what_was_found(
    name, profile, needed, tmp_path, monkeypatch
):
    needed(name)
    slide = FORMATS[name](tmp_path)
    monkeypatch.setattr(search, "bar_codes_of_tissue", lambda *_, **__: ["found"])
    options = choices_of(slide, "")
    if profile == "public":
        study = quarantined(slide.path, tmp_path / "out", **options).study_path
    else:
        study = coverslip.convert(
            slide.path, tmp_path / "out", profile=profile, **options
        ).study_path
    said = burned_in(study)
    assert said == ["YES"] * len(slide.levels)
    assert survivors(long_texts_of(slide), places_of(study)) == set()
    report = coverslip.verify(study, slide.path)
    assert (report.found, report.exit_status) == ((), 3)


@pytest.fixture
def with_pictures(tmp_path, monkeypatch):
    """A study with all pictures that there are beside levels that are in doubt."""
    (tmp_path / "without").mkdir()
    small = halved(build_svs(tmp_path / "without").levels[0].rgb, 4)
    glass = draw_overview(5, noise=1.0).picture
    slide = build_svs(tmp_path, overview=glass, thumbnail=small)
    monkeypatch.setattr(search, "bar_codes_of_tissue", lambda *_, **__: ["found"])
    options = {"label": "substitute", "overview": "mask", "thumbnail": "keep"}
    return coverslip.convert(slide.path, tmp_path / "out", profile="research", **options).study_path


def test_of_pictures_only_the_thumbnail_may_show_what_levels_do(with_pictures):
    said = {}
    for path in with_pictures.rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        said[dataset.ImageType[2]] = dataset.BurnedInAnnotation
    assert said == {"VOLUME": "YES", "THUMBNAIL": "YES", "LABEL": "NO", "OVERVIEW": "NO"}
    assert coverslip.verify(with_pictures).exit_status == 3


@pytest.mark.parametrize(
    ("role", "value", "what"),
    [
        ("THUMBNAIL", "NO", SAYS_NO),
        ("LABEL", "YES", "a label or overview that says that it identifies"),
        ("OVERVIEW", "YES", "a label or overview that says that it identifies"),
    ],
)
def test_check_finds_a_picture_that_says_otherwise(role, value, what, with_pictures):
    certified(with_pictures)
    said_anew(with_pictures, role, BurnedInAnnotation=value)
    assert found_in(with_pictures) == {what}


def test_text_in_a_level_is_told_and_clean_pixels_are_not_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(search.ocr, "is_installed", lambda: True)
    monkeypatch.setattr(search.ocr, "written_boxes", lambda _: ["text"])
    slide = build_svs(tmp_path, levels=1, size=(300, 200))
    study = quarantined(slide.path, tmp_path / "out").study_path
    assert burned_in(study) == ["YES"]
    checks = checks_of(study)
    assert (checks["bar_codes"], checks["pixel_text"]) == ("passed", "found")


def test_quarantine_lies_beside_the_output_however_that_is_spelled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    expected = tmp_path / "out.quarantine"
    for spelled in ("out", "./out/", "out/../out"):
        assert quarantine.quarantine_beside(type(tmp_path)(spelled)) == expected
    os.chdir("out")
    assert quarantine.quarantine_beside(type(tmp_path)(".")) == expected


@pytest.mark.parametrize("name", ["../kept", "..", "kept", "", "/"])
def test_only_a_study_of_the_quarantine_is_ever_removed(name, tmp_path):
    kept = [tmp_path / "kept", tmp_path / "out.quarantine" / "kept"]
    for folder in (*kept, tmp_path / "out.quarantine" / "2.25.7"):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    quarantine.release_from_quarantine(tmp_path / "out", name)
    quarantine.release_from_quarantine(tmp_path / "out", "2.25.7")
    assert all((folder / "file").exists() for folder in kept)
    assert not (tmp_path / "out.quarantine" / "2.25.7").exists()
