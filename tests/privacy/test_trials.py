"""What a trial calls itself and its subjects, under `research` alone."""

import pydicom

import coverslip
from tests.interop import readers
from tests.privacy.given import TRIAL, convert, custody, header
from tests.privacy.search import places_of, survivors


def test_trial_is_said_under_research_alone(slide, tmp_path, tool):
    given = custody(tmp_path, key=None, **TRIAL)
    result = convert(slide, tmp_path / "research", "research", given)
    dataset = header(result)
    assert {
        "trial_sponsor": dataset.ClinicalTrialSponsorName,
        "trial_protocol_id": dataset.ClinicalTrialProtocolID,
        "trial_protocol_name": dataset.ClinicalTrialProtocolName,
        "trial_site_id": dataset.ClinicalTrialSiteID,
        "trial_site_name": dataset.ClinicalTrialSiteName,
        "trial_subject_id": dataset.ClinicalTrialSubjectID,
    } == TRIAL
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    assert coverslip.verify(tmp_path / "research", slide.path, given=TRIAL.values()).is_clean

    for profile in ("care", "public"):
        out = tmp_path / profile
        assert "ClinicalTrialSponsorName" not in header(convert(slide, out, profile, given))
        assert survivors(list(TRIAL.values()), places_of(out)) == set()


def test_trial_without_a_subject_says_the_pseudonym(slide, tmp_path, tool):
    given = custody(tmp_path, trial_sponsor="Quagmire Trust", trial_protocol_id="QT-2207")
    result = convert(slide, tmp_path / "out", "research", given)
    dataset = header(result)
    assert dataset.ClinicalTrialSubjectID == dataset.PatientID
    assert dataset.ClinicalTrialSiteID == dataset.ClinicalTrialProtocolName == ""
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []


def test_trial_in_a_public_file_is_found_by_verification(slide, tmp_path):
    result = convert(slide, tmp_path / "out", "public", None)
    dataset = pydicom.dcmread(result.instances[0].path)
    dataset.ClinicalTrialSponsorName = "Quagmire Trust"
    dataset.save_as(result.instances[0].path)
    found = {one.place: one.what for one in coverslip.verify(tmp_path / "out").found}
    assert found["(0012,0010)"] == "an attribute that such an instance does not have"
