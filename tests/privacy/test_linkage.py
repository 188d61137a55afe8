"""What the same key gives again, what slides share, and a slide that meets itself."""

import pydicom
import pytest

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.identity import Key
from coverslip.deid.policy import Policy
from tests.privacy.given import KEY, convert, custody, header
from tests.synth import build_generic

OTHER_KEY = Key(bytes(range(1, 33)))


def uids_of(result):
    return {
        str(element.value)
        for instance in result.instances
        for element in pydicom.dcmread(instance.path, stop_before_pixels=True).iterall()
        if element.VR == "UI" and str(element.value).startswith("2.25.")
    }


def test_same_key_gives_the_same_and_another_shares_nothing(slide, tmp_path):
    moved = slide.path.rename(tmp_path / "another name.tif")
    runs = {}
    for name, key, profile, options in [
        ("first", KEY, "research", {}),
        ("again", KEY, "research", {}),
        ("other key", OTHER_KEY, "research", {}),
        ("other project", KEY, "research", {"project": "B"}),
        ("care", KEY, "care", {}),
    ]:
        policy = Policy(profile=profile, **options)
        given = custody(tmp_path, key)
        runs[name] = uids_of(
            coverslip.convert(moved, tmp_path / name, policy=policy, custody=given)
        )

    assert runs["first"] == runs["again"]
    for name in ("other key", "other project", "care"):
        assert runs["first"] & runs[name] == set()


def test_slides_of_a_case_share_the_study_and_nothing_more_than_they_should(tmp_path):
    results = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = custody(tmp_path, container_identifier=f"C{number}")
        results.append(convert(build_generic(folder), tmp_path / "out", "research", given))

    first, second = map(header, results)
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.PatientID == second.PatientID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.ContainerIdentifier != second.ContainerIdentifier
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert len(list(results[0].study_path.glob("*.json"))) == 2


@pytest.mark.parametrize(("link", "shared"), [("patient", True), ("case", False)])
def test_link_decides_what_shares_a_patient(link, shared, slide, tmp_path):
    ids = {
        header(
            convert(
                slide,
                tmp_path / case,
                "research",
                custody(tmp_path, accession_number=case),
                link=link,
            )
        ).PatientID
        for case in ("B1", "B2")
    }
    assert (len(ids) == 1) == shared


def test_without_a_key_the_vault_remembers(slide, tmp_path):
    given = Custody(metadata=custody(tmp_path).metadata, vault=tmp_path / "vault")
    other = Custody(metadata=given.metadata, vault=tmp_path / "other vault")
    first = uids_of(convert(slide, tmp_path / "1", "research", given))

    assert uids_of(convert(slide, tmp_path / "2", "research", given)) == first
    assert uids_of(convert(slide, tmp_path / "3", "research", other)) & first == set()


def test_slide_that_is_there_is_replaced_only_if_asked_and_only_when_complete(
    slide, tmp_path, monkeypatch
):
    given, out = custody(tmp_path), tmp_path / "out"
    first = convert(slide, out, "research", given)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(coverslip.CoverslipError, match="already holds"):
        convert(slide, out, "research", given)

    policy = Policy(profile="research")
    with monkeypatch.context() as patch:
        patch.setattr("coverslip.commit._sync", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            coverslip.convert(slide.path, out, policy=policy, custody=given, overwrite=True)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before

    marked = first.instances[0].path
    marked.write_bytes(b"old")
    coverslip.convert(slide.path, out, policy=policy, custody=given, overwrite=True)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
