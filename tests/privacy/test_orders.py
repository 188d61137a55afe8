"""A study of an order that exists: slides join it under `care` and nowhere else."""

import sqlite3

import jsonschema
import pydicom
import pytest

import coverslip
from coverslip.audit import certificate_schema
from tests.interop.validator import validator_findings
from tests.privacy import sites
from tests.privacy.given import KEY, STUDY, convert, custody, header
from tests.privacy.search import places_of, survivors
from tests.synth import build_generic


def test_care_puts_slides_into_the_study_of_their_order_and_no_check_minds(tmp_path, tool):
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = custody(tmp_path, container_identifier=f"C{number}", study_instance_uid=STUDY)
        built = build_generic(folder)
        result = convert(built, tmp_path / "out", "care", given)
        assert header(result).StudyInstanceUID == STUDY
        assert validator_findings(result.instances[0].path, built, tool("dciodvfy")) == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == [STUDY]
    assert len(list((tmp_path / "out" / STUDY).glob("*.json"))) == 2
    jsonschema.Draft202012Validator(certificate_schema()).validate(result.certificate)
    report = coverslip.verify(tmp_path / "out", built.path, given=[STUDY])
    assert [str(one) for one in report.found] == []
    sites.in_element(0x0008, 0x1088, "LO")(result.study_path, STUDY.encode())
    report = coverslip.verify(tmp_path / "out", built.path, given=[STUDY])
    assert any("given by the operator" in one.what for one in report.found), [
        str(o) for o in report.found
    ]


def test_research_derives_a_study_from_that_of_the_order(tmp_path):
    studies = set()
    for case in ("B22-1", "B22-2"):
        folder = tmp_path / case
        folder.mkdir()
        given = custody(
            tmp_path, accession_number=case, container_identifier=case, study_instance_uid=STUDY
        )
        result = convert(build_generic(folder), tmp_path / "out", "research", given)
        studies.add(header(result).StudyInstanceUID)
        assert result.notes == ()
    (study,) = studies
    assert study.startswith("2.25.")
    assert survivors([STUDY, "7230010", "1521713414"], places_of(tmp_path / "out")) == set()
    with sqlite3.connect(tmp_path / "out.vault" / "vault.sqlite") as db:
        rows = db.execute("SELECT original, pseudonym FROM pseudonym WHERE kind = 'study'")
        assert rows.fetchall() == [(STUDY, study)]
    report = coverslip.verify(tmp_path / "out", given=[STUDY])
    assert [str(one) for one in report.found] == []


@pytest.mark.parametrize(("profile", "link"), [("public", None), ("research", "slide")])
def test_study_of_the_order_stands_for_nothing_where_studies_are_not_linked(
    profile, link, slide, tmp_path
):
    key = None if profile == "public" else KEY
    given = custody(tmp_path, key, study_instance_uid=STUDY)
    result = convert(slide, tmp_path / "out", profile, given, link=link)
    assert any("stands for nothing here" in note for note in result.notes)
    assert header(result).StudyInstanceUID.startswith("2.25.")
    assert survivors([STUDY, "7230010"], places_of(tmp_path / "out")) == set()


@pytest.mark.parametrize("profile", ["public", "research"])
def test_study_of_the_order_that_leaks_is_found(profile, slide, tmp_path):
    key = None if profile == "public" else KEY
    result = convert(slide, tmp_path / "out", profile, custody(tmp_path, key))
    path = result.instances[0].path
    dataset = pydicom.dcmread(path)
    dataset.StudyInstanceUID = STUDY
    dataset.save_as(path)
    report = coverslip.verify(tmp_path / "out", slide.path, given=[STUDY])
    assert any(one.encoding and "(0020,000D)" in one.place for one in report.found)
    assert any("neither random" in one.what for one in report.found)
