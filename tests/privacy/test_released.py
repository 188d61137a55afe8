"""What an operator lets out is no alarm where it may stand, and one anywhere else."""

import json
import os
from functools import cache

import numpy as np
import pydicom
import pytest
import zxingcpp

import coverslip
from coverslip import assembly
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import Given, MetadataTable
from coverslip.deid.policy import Policy
from coverslip.errors import VerificationError
from coverslip.model import OperatorText
from coverslip.verification import labels, pictures, writing
from coverslip.verification.source import terms_of_slide
from tests.privacy import sites
from tests.privacy.search import places_of, survivors
from tests.synth import build_generic, build_svs, places
from tests.synth import identifiers as ids
from tests.synth.overview import draw_overview, with_bar_code

STAINS = "12710003 36879007"
BREAST = "76752008"


def given_of(slide):
    """Return a table that gives what the slide says as well: its words, its day, its stains."""
    words = [text for text in slide.identifiers if text.isalpha() and len(text) > 6]
    texts = {
        "patient_id": words[0],
        "patient_name": f"{words[1]}^{words[2]}",
        "birth_date": "19570423",
        "sex": "F",
        "age": "067Y",
        "accession_number": words[3],
        "study_date": "20240301",
        "acquisition_date": "20240302",
        "container_identifier": words[4],
        "specimen_identifier": words[5],
        "institution_name": f"St {words[6]} Hospital",
        "device_serial_number": words[7],
        "stains": STAINS,
        "anatomy": BREAST,
    }
    return Given(**{name: OperatorText(text) for name, text in texts.items()})


def texts_of(given):
    return [text.reveal() for text in given.texts()]


@cache
def everything_kept():
    return Policy(
        profile="research",
        keep=("institution", "device", "patient_characteristics"),
        dates="full",
        pixels_attested="Vincent Gold",
    )


def converted(slide, folder, policy, given):
    table = MetadataTable(rows={"*": given})
    return coverslip.convert(
        slide.path,
        folder / "out",
        policy=policy,
        custody=Custody(metadata=table, vault=folder / "vault"),
    )


@pytest.fixture
def slide(tmp_path):
    """Return a slide that says stains, places and a date that the operator gives too."""
    built = build_svs(tmp_path, levels=1, size=(200, 200))
    data = built.path.read_bytes()
    # As long as a row of its description, so that nothing moves.
    at = data.index(b"|Parmset = ") + 2
    end = data.index(b"|", at)
    row = b"x = Breast|y = hematoxylin and eosin|z = 03/02/2024"
    built.path.write_bytes(data[:at] + row[: end - at] + data[at + len(row[: end - at]) :])
    return built


@pytest.mark.parametrize("is_known", [True, False])
def test_what_was_kept_on_purpose_is_no_alarm(is_known, slide, tmp_path):
    given = given_of(slide)
    result = converted(slide, tmp_path, everything_kept(), given)
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    assert dataset.InstitutionName == given.institution_name.reveal()
    assert dataset.StudyDate == "20240301"
    report = coverslip.verify(
        tmp_path / "out", slide.path, given=texts_of(given) if is_known else ()
    )
    assert [str(one) for one in report.found] == []
    assert report.exit_status == 0


@pytest.mark.parametrize("name", ["institution_name", "device_serial_number", "study_date"])
def test_the_same_text_anywhere_else_is_found(name, slide, tmp_path):
    given = given_of(slide)
    result = converted(slide, tmp_path, everything_kept(), given)
    text = getattr(given, name).reveal().encode()
    sites.in_certificate("residual_risk")(result.study_path, text)
    sites.in_element(0x0010, 0x2154, "SH")(result.study_path, text)
    report = coverslip.verify(tmp_path / "out", slide.path, given=texts_of(given))
    hits = [one for one in report.found if one.encoding is not None]
    assert len({one.file for one in hits}) == 2


@pytest.mark.parametrize("profile", ["public", "research"])
@pytest.mark.parametrize("name", ["patient_name", "patient_id", "birth_date", "institution_name"])
def test_a_conversion_that_leaks_what_the_operator_gave_fails(name, profile, tmp_path, monkeypatch):
    slide, texts = build_svs(tmp_path, levels=1, size=(200, 200)), {
        "patient_name": "Quillfeather^Ottoline", "patient_id": "MRN-7719204",
        "birth_date": "19570423", "institution_name": "Osterholtz",
    }  # fmt: skip
    given = Given(**{name: OperatorText(text) for name, text in texts.items()})
    real = assembly.audit.write_certificate

    def leaking(path, certificate):
        real(path, certificate | {"residual_risk": texts[name]})

    monkeypatch.setattr(assembly.audit, "write_certificate", leaking)
    with pytest.raises(VerificationError, match="given by the operator"):
        converted(slide, tmp_path, Policy(profile=profile), given)
    assert not (tmp_path / "out").exists()


def test_care_is_clean_and_what_was_not_given_is_found_in_it(slide, tmp_path):
    given = given_of(slide)
    result = converted(slide, tmp_path, Policy(profile="care"), given)
    report = coverslip.verify(tmp_path / "out", slide.path, given=texts_of(given))
    assert [str(one) for one in report.found] == []
    assert report.exit_status == 0
    assert any("with identity" in what for what in report.out_of_scope)
    other = next(text for text in reversed(slide.identifiers) if len(text) > 6)
    sites.in_element(0x0008, 0x4000, "LT")(result.study_path, other.encode())
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert any(one.encoding is not None for one in report.found)
    assert any("(0008,4000)" in one.place and one.encoding is None for one in report.found)


def test_an_instance_that_says_it_kept_identity_is_not_research(slide, tmp_path):
    result = converted(slide, tmp_path, everything_kept(), given_of(slide))
    path = result.instances[0].path
    sites.replaced(path, b"\x12\x00\x62\x00CS\x04\x00YES ", b"\x12\x00\x62\x00CS\x04\x00NO  ")
    found = {one.what for one in coverslip.verify(tmp_path / "out").found}
    assert "its profile is not what the instances say of their identity" in found


@pytest.fixture
def two(tmp_path):
    """Return two slides of one size in one output, and one that is not there."""
    slides = [build_svs(tmp_path, size=(200, 200)) for _ in range(2)]
    pixels = np.random.default_rng(1).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    other = build_generic(tmp_path, picture=pixels, size=(200, 200), codec="jpeg_rgb", levels=1)
    return slides, other


@pytest.mark.parametrize("link", [None, "case"])
def test_each_slide_of_a_folder_is_compared_with_its_own_source(link, two, tmp_path):
    slides, other = two
    profile = "public" if link is None else "research"
    policy = Policy(profile=profile) if link is None else Policy(profile=profile, link=link)
    given = Given(accession_number=OperatorText("B22-66177"))
    for number, slide in enumerate(slides):
        # The same tissue is in both, so that their frames are told apart by more than that.
        if number:
            change_a_tile(slide)
        converted(slide, tmp_path, policy, given)
    studies = {path.name for path in (tmp_path / "out").iterdir()}
    assert len(studies) == (2 if link is None else 1)
    for slide in slides:
        report = coverslip.verify(tmp_path / "out", slide.path)
        assert [str(one) for one in report.found] == []
        assert report.exit_status == 0
        assert report.frames_equal == report.frames // 2
        assert "frames of 1 other slides in the folder" in report.out_of_scope
    report = coverslip.verify(tmp_path / "out", other.path)
    assert report.exit_status == 4
    assert any("none of the 2 slides" in what for what in report.unchecked)


def change_a_tile(slide):
    """Change the last byte of a scan of the smallest level."""
    data = bytearray(slide.path.read_bytes())
    piece = slide.levels[-1].pieces[0]
    at = data.rindex(piece) + len(piece) - 6
    data[at] ^= 1 if data[at] not in (0xFE, 0xFF) else 2
    slide.path.write_bytes(data)


def test_a_bar_code_in_the_lowest_level_is_found_unless_somebody_vouches(tmp_path):
    picture = with_bar_code(1000, 800)
    slide = build_generic(tmp_path, picture=picture, size=(1000, 800), levels=1)
    policy = Policy(profile="public", pixels_attested="Vincent Gold")
    result = coverslip.convert(slide.path, tmp_path / "out", policy=policy)
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert report.exit_status == 0
    assert any("somebody vouches" in what for what in report.out_of_scope)
    certificate = json.loads(result.certificate_path.read_text())
    certificate["policy"]["options"]["pixels_attested"] = None
    result.certificate_path.write_text(json.dumps(certificate))
    found = [one.what for one in coverslip.verify(tmp_path / "out", slide.path).found]
    assert found == ["a bar code that is not the container identifier's"]


def test_what_bar_codes_of_the_label_say_is_looked_for(tmp_path):
    drawn = draw_overview(3, code="QRCode")
    slide = build_svs(tmp_path, overview=drawn.picture)
    (code,) = {code.text for code in zxingcpp.read_barcodes(drawn.picture)}
    said, _ = labels.texts_of(coverslip.open(slide.path))
    terms = terms_of_slide(coverslip.open(slide.path), bar_codes=said).terms
    assert code in {term.spelling for term in terms}
    result = coverslip.convert(slide.path, tmp_path / "out")
    sites.in_certificate("residual_risk")(result.study_path, code.encode())
    hits = [one for one in coverslip.verify(tmp_path / "out", slide.path).found if one.encoding]
    assert {one.what.partition("(")[2] for one in hits} == {"bar code)"}


def test_words_in_pictures_are_compared_with_terms_where_text_can_be_read(tmp_path, monkeypatch):
    slide = build_svs(tmp_path, levels=1, size=(200, 200))
    name = next(text for text in slide.identifiers if text.isalpha() and len(text) == 9)
    coverslip.convert(slide.path, tmp_path / "out")
    for read, is_found in ((name, True), (name[:4] + "1" + name[5:], True), ("Tissue", False)):
        monkeypatch.setattr(writing, "is_installed", lambda: True)
        monkeypatch.setattr(pictures.writing, "words_in", lambda _, read=read: iter([read]))
        monkeypatch.setattr(labels, "_read", lambda _: iter(()))
        found = [one.what for one in coverslip.verify(tmp_path / "out", slide.path).found]
        assert found == (["text that is like a term"] if is_found else [])


@pytest.mark.parametrize(
    ("word", "term", "is_like"),
    [
        ("Quillfeather", "quillfeather", True),
        ("Qui1lfeather", "Quillfeather", True),
        ("Qullfeather", "Quillfeather", True),
        ("Qullfaetherr", "Quillfeather", False),
        ("Smith", "Smyth", False),
        ("B2266177", "B22-66177", True),
    ],
)
def test_one_error_in_six_characters_is_the_same_word(word, term, is_like):
    assert writing.is_like_a_term(word, [term]) is is_like


@pytest.mark.parametrize("profile", ["public", "research"])
def test_what_lies_beside_a_slide_stays_there(profile, tmp_path):
    secret = ids.of(None)
    slide = build_svs(tmp_path, levels=1, size=(200, 200))
    places.beside(secret, slide.path)
    os.setxattr(slide.path, "user.comment", secret.word().encode())
    result = coverslip.convert(slide.path, tmp_path / "out", profile=profile)
    assert survivors(secret.drawn, places_of(result.study_path)) == set()
    for path in (result.study_path, *result.study_path.rglob("*")):
        names = [name for name in os.listxattr(path) if name.startswith("user.")]
        assert names == []
