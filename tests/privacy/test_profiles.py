"""What the three profiles let out, on every format, read with pydicom and searched in bytes."""

import csv
import json
import sqlite3
from datetime import date

import jsonschema
import pydicom
import pytest

import coverslip
from coverslip.audit import certificate_schema
from coverslip.deid.custody import Custody
from coverslip.deid.identity import Key, new_key, read_key
from coverslip.deid.metadata import read_metadata
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError
from tests.choices import choices_of
from tests.interop import readers
from tests.interop.validator import validator_findings
from tests.privacy import sites
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS, build_generic

KEY = Key(bytes(range(32)))
OTHER_KEY = Key(bytes(range(1, 33)))
GIVEN = {
    "patient_id": "MRN-7719204",
    "patient_name": "ÅSTRÖM^QUENNIFER",
    "birth_date": "1957-04-23",
    "sex": "F",
    "age": "066Y",
    "accession_number": "B22-66177",
    "study_date": "2023-05-17",
    "acquisition_date": "2023-05-19",
    "container_identifier": "B22-66177-A-3",
    "specimen_identifier": "B22-66177-A",
    "institution_name": "Klinikum Ödenwalde",
    "device_serial_number": "SN-5540917",
}
CARE_ONLY = {
    "patient_id_issuer": "HOSPITAL-QV",
    "ethnic_group": "Vandalian",
    "patient_size_m": "1.731",
    "patient_weight_kg": "66.125",
    "smoking_status": "UNKNOWN",
    "patient_comments": "brought by her niece",
    "accession_number_issuer": "LAB-QV",
    "study_id": "ST-40717",
    "study_time": "14:31:07",
    "acquisition_time": "15:42:08",
    "study_description": "Left breast lump",
    "series_description": "Third of four glasses",
    "protocol_name": "MAMMA-PLUS",
    "referring_physician": "WINTERBOTTOM^ANSELM",
    "performing_physician": "OSTERHOLTZER^BRIX",
    "operator_name": "TECHNICIAN^TRUDE",
    "container_identifier_issuer": "GLASSWORKS-QV",
    "alternate_container_identifier": "ALT-990817",
    "specimen_identifier_issuer": "BLOCKS-QV",
    "specimen_short_description": "Core of the left side",
    "specimen_detailed_description": "Received in a pot marked with her name",
}
"""Columns that `research` and `public` write nothing of."""
KEPT = {
    "institution_address": "Am Quarzberg 17",
    "institution_department": "Pathology Ward 3",
    "station_name": "SCAN-QV-04",
}
"""Columns that `research` writes where ``keep`` names what they belong to."""
TRIAL = {
    "trial_sponsor": "Quagmire Trust",
    "trial_protocol_id": "QT-2207",
    "trial_protocol_name": "Quagmire study of lumps",
    "trial_site_id": "SITE-41",
    "trial_site_name": "Ödenwalde East",
    "trial_subject_id": "SUBJ-30717",
}
"""Columns that `research` alone writes."""
STUDY = "1.2.276.0.7230010.3.1.2.296485376.1.1521713414.1849676"
CODES = ("stains", "fixative", "embedding", "specimen_type", "anatomy")
GIVEN |= CARE_ONLY | KEPT
SECRETS = [
    text
    for name, text in GIVEN.items()
    if name not in ("sex", "age", "smoking_status", "study_time", "acquisition_time")
]
SECRETS += ["ÅSTRÖM", "QUENNIFER", "19570423", "20230517", "20230519"]


def table(folder, *rows):
    path = folder / "metadata.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["file", *GIVEN, *TRIAL, *CODES, "study_instance_uid"])
        writer.writeheader()
        writer.writerows(rows)
    return read_metadata(path)


def custody(folder, key=KEY, **changes):
    return Custody(key=key, metadata=table(folder, {"file": "*", **GIVEN, **changes}))


def convert(slide, out, profile, given, *, case="", **options):
    policy = Policy(profile=profile, **choices_of(slide, case), **options)
    return coverslip.convert(slide.path, out, policy=policy, custody=given)


def header(result):
    return pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)


@pytest.fixture
def slide(tmp_path):
    folder = tmp_path / "slide"
    folder.mkdir()
    return build_generic(folder)


CASES = [(name, "research") for name in FORMATS] + [
    (name, "care") for name in ("svs-jpeg-rgb", "ndpi", "scn-two-regions", "generic-j2k-grey")
]
CASES += [("generic-deflate+deflated", profile) for profile in ("research", "care")]
"""Profile and format meet nowhere in the code but in the identity."""


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_law_of_each_profile(name, profile, tmp_path, tool, capfd):
    """What ``tests/test_laws.py`` holds for the profile public."""
    name, _, option = name.partition("+")
    any_slide = FORMATS[name](tmp_path)
    given = custody(tmp_path, KEY)
    result = convert(any_slide, tmp_path / "out", profile, given, case=option)
    said = "".join(capfd.readouterr())

    identifiers = [text for text in any_slide.identifiers if len(text) >= 5]
    places = places_of(tmp_path / "out", said)
    assert survivors(identifiers, places) == set()
    if profile == "care":
        dataset = header(result)
        assert dataset.PatientID == GIVEN["patient_id"]
        assert str(dataset.PatientName) == GIVEN["patient_name"]
        places = {
            name: data
            for name, data in places.items()
            if not name.startswith("file ") or name == "file names" or data.startswith(b"{")
        }
    assert survivors(SECRETS, places) == set()

    jsonschema.Draft202012Validator(certificate_schema()).validate(result.certificate)
    for instance in result.instances:
        assert validator_findings(instance.path, any_slide, tool("dciodvfy")) == []


def _issuer(sequence):
    (item,) = sequence
    return item.LocalNamespaceEntityID


def test_care_writes_what_the_operator_says_and_claims_nothing(slide, tmp_path):
    dataset = header(convert(slide, tmp_path / "out", "care", custody(tmp_path)))

    assert dataset.PatientBirthDate == "19570423"
    assert dataset.PatientSex == "F"
    assert dataset.PatientAge == "066Y"
    assert dataset.AccessionNumber == GIVEN["accession_number"]
    assert dataset.StudyDate == "20230517"
    assert dataset.AcquisitionDateTime == "20230519154208"
    assert (dataset.StudyTime, dataset.ContentTime) == ("143107", "154208")
    assert dataset.ContainerIdentifier == GIVEN["container_identifier"]
    item = dataset.SpecimenDescriptionSequence[0]
    assert item.SpecimenIdentifier == GIVEN["specimen_identifier"]
    assert dataset.InstitutionName == GIVEN["institution_name"]
    assert dataset.DeviceSerialNumber == GIVEN["device_serial_number"]
    written = {
        "patient_id_issuer": dataset.IssuerOfPatientID,
        "ethnic_group": dataset.EthnicGroup,
        "patient_size_m": str(dataset.PatientSize),
        "patient_weight_kg": str(dataset.PatientWeight),
        "smoking_status": dataset.SmokingStatus,
        "patient_comments": dataset.PatientComments,
        "accession_number_issuer": _issuer(dataset.IssuerOfAccessionNumberSequence),
        "study_id": dataset.StudyID,
        "study_description": dataset.StudyDescription,
        "series_description": dataset.SeriesDescription,
        "protocol_name": dataset.ProtocolName,
        "referring_physician": dataset.ReferringPhysicianName,
        "performing_physician": dataset.PerformingPhysicianName,
        "operator_name": dataset.OperatorsName,
        "container_identifier_issuer": _issuer(dataset.IssuerOfTheContainerIdentifierSequence),
        "alternate_container_identifier": (
            dataset.AlternateContainerIdentifierSequence[0].ContainerIdentifier
        ),
        "specimen_identifier_issuer": _issuer(item.IssuerOfTheSpecimenIdentifierSequence),
        "specimen_short_description": item.SpecimenShortDescription,
        "specimen_detailed_description": item.SpecimenDetailedDescription,
        "institution_address": dataset.InstitutionAddress,
        "institution_department": dataset.InstitutionalDepartmentName,
        "station_name": dataset.StationName,
    }
    assert {name: str(value) for name, value in written.items()} == {
        name: text for name, text in (CARE_ONLY | KEPT).items() if not name.endswith("_time")
    }
    assert dataset.PatientIdentityRemoved == "NO"
    assert "DeidentificationMethodCodeSequence" not in dataset
    assert "LongitudinalTemporalInformationModified" not in dataset


def test_care_without_a_patient_is_refused(slide, tmp_path):
    with pytest.raises(PolicyError, match="know the patient"):
        convert(slide, tmp_path / "out", "care", Custody(key=KEY))

    assert not (tmp_path / "out").exists()


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


def codes_of(dataset):
    return [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]


@pytest.mark.parametrize(
    ("options", "codes", "temporal"),
    [
        ({}, ["113100", "113101", "113105", "113107"], "MODIFIED"),
        ({"dates": "full"}, ["113100", "113101", "113105", "113106"], "UNMODIFIED"),
        ({"dates": "drop"}, ["113100", "113101", "113105"], "REMOVED"),
        (
            {"dates": "drop", "keep": ["patient_characteristics", "device", "institution"]},
            ["113100", "113101", "113105", "113108", "113109", "113112"],
            "REMOVED",
        ),
    ],
)
def test_research_claims_what_was_done(options, codes, temporal, slide, tmp_path, tool):
    result = convert(slide, tmp_path / "out", "research", custody(tmp_path), **options)

    dataset = header(result)
    assert codes_of(dataset) == codes == result.certificate["deidentification_codes"]
    assert dataset.LongitudinalTemporalInformationModified == temporal
    assert (dataset.StudyDate == "20230517") == (options.get("dates") == "full")
    for keyword in ("InstitutionName", "InstitutionAddress", "StationName"):
        assert (keyword in dataset) == ("keep" in options)
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    digest = result.certificate["policy"]["sha256"]
    assert dataset.DeidentificationMethod[1] == f"policy sha256:{digest[:16]}"


@pytest.mark.parametrize(
    ("profile", "options", "has_organ"),
    [
        ("care", {}, True),
        ("research", {}, True),
        ("research", {"anatomy": "drop"}, False),
        ("public", {}, False),
        ("public", {"anatomy": "keep"}, True),
    ],
)
def test_stain_and_organ_are_codes(profile, options, has_organ, slide, tmp_path, tool):
    given = custody(tmp_path, key=None, stains="H&E", anatomy="76752008")
    result = convert(slide, tmp_path / "out", profile, given, **options)

    dataset = header(result)
    specimen = dataset.SpecimenDescriptionSequence[0]
    (step,) = specimen.SpecimenPreparationSequence
    identifier, *coded = step.SpecimenPreparationStepContentItemSequence
    assert identifier.TextValue == specimen.SpecimenIdentifier
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in coded] == [
        *("Staining", "hematoxylin stain", "water soluble eosin stain")
    ]
    assert ("PrimaryAnatomicStructureSequence" in specimen) == has_organ
    if profile != "care":
        assert "113104" in codes_of(dataset)
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []


@pytest.mark.parametrize("profile", ["care", "research", "public"])
def test_fixative_and_embedding_are_codes_of_a_step_of_their_own(profile, slide, tmp_path, tool):
    given = custody(
        tmp_path,
        key=None,
        stains="H&E",
        fixative="434162003",
        embedding="311731000",
        specimen_type="430856003",
    )
    result = convert(slide, tmp_path / "out", profile, given)

    dataset = header(result)
    specimen = dataset.SpecimenDescriptionSequence[0]
    said = [
        [
            (item.ConceptNameCodeSequence[0].CodeMeaning, item.ConceptCodeSequence[0].CodeValue)
            for item in step.SpecimenPreparationStepContentItemSequence
            if item.ValueType == "CODE"
        ]
        for step in specimen.SpecimenPreparationSequence
    ]
    processing = ("Processing type", "9265001")
    assert said[0] == [
        processing,
        ("Tissue Fixative", "434162003"),
        ("Embedding medium", "311731000"),
    ]
    assert said[1][0] == ("Processing type", "127790008")
    assert ("SpecimenTypeCodeSequence" in specimen) == (profile != "public")
    if profile != "care":
        assert "113104" in codes_of(dataset)
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    given = list(GIVEN.values())
    assert coverslip.verify(tmp_path / "out", slide.path, given=given).is_clean


def test_fixative_is_read_by_others_as_one(slide, tmp_path):
    import wsidicom
    from highdicom.content import SpecimenDescription

    given = custody(tmp_path, fixative="434162003", embedding="311731000", stains="H&E")
    result = convert(slide, tmp_path / "out", "research", given)
    (described,) = header(result).SpecimenDescriptionSequence
    processing, staining = SpecimenDescription.from_dataset(described).specimen_preparation_steps
    assert processing.fixative.value == "434162003"
    assert processing.embedding_medium.value == "311731000"
    assert len(staining.processing_procedure.substances) == 2
    with wsidicom.WsiDicom.open(result.instances[0].path.parent) as opened:
        assert opened.metadata.slide is not None


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


def test_research_without_dates_does_not_claim_to_have_moved_any(slide, tmp_path):
    given = custody(tmp_path, study_date="", acquisition_date="")
    dataset = header(convert(slide, tmp_path / "out", "research", given))

    assert codes_of(dataset) == ["113100", "113101", "113105"]
    assert dataset.StudyDate == "19000101"


def test_dates_move_by_whole_weeks_and_keep_their_distance(slide, tmp_path):
    def dates(name, **changes):
        result = convert(slide, tmp_path / name, "research", custody(tmp_path, **changes))
        dataset = header(result)
        return [date.fromisoformat(dataset[k].value) for k in ("StudyDate", "ContentDate")]

    study, content = dates("first")
    assert (content - study).days == 2
    moved = (date(2023, 5, 17) - study).days
    assert moved % 7 == 0
    assert 7 <= moved <= 521 * 7
    later, _ = dates("later", study_date="2024-02-29", accession_number="B24-1")
    assert (later - study).days == (date(2024, 2, 29) - date(2023, 5, 17)).days
    other, _ = dates("other", patient_id="MRN-7719205")
    assert other != study


@pytest.mark.parametrize("dates", ["shift", "full"])
def test_research_keeps_the_time_of_the_acquisition_if_asked(dates, slide, tmp_path, tool):
    given = custody(tmp_path)
    result = convert(slide, tmp_path / "out", "research", given, dates=dates, time="keep")
    dataset = header(result)
    assert dataset.AcquisitionDateTime == dataset.ContentDate + "154208"
    assert (dataset.ContentDate == "20230519") == (dates == "full")
    assert (dataset.StudyTime, dataset.ContentTime) == ("000000", "000000")
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    report = coverslip.verify(tmp_path / "out", slide.path, given=["154208", "143107"])
    assert [str(one) for one in report.found] == []
    plain = convert(slide, tmp_path / "plain", "research", custody(tmp_path), dates=dates)
    assert header(plain).AcquisitionDateTime[8:] == "000000"


def test_public_keeps_the_year_if_asked_and_nothing_else_of_a_date(slide, tmp_path):
    given = custody(tmp_path, key=None)
    dataset = header(convert(slide, tmp_path / "out", "public", given, year="keep"))

    assert dataset.AcquisitionDateTime == "20230101000000"
    assert dataset.StudyDate == dataset.ContentDate == "19000101"


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


def test_vault_holds_every_original_and_only_its_owner_may_enter(slide, tmp_path):
    result = convert(slide, tmp_path / "out", "research", custody(tmp_path))

    vault = tmp_path / "out.vault"
    assert vault.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in vault.iterdir()} == {0o600}
    connection = sqlite3.connect(vault / "vault.sqlite")
    opened = coverslip.open(slide.path)
    kept = connection.execute("SELECT value FROM finding WHERE value IS NOT NULL").fetchall()
    texts = [item.text.reveal() for item in opened.description.metadata.items]
    texts += [left.text.reveal() for left in opened.leftovers() if left.text is not None]
    assert sorted(row[0] for row in kept) == sorted([*texts, str(slide.path)])
    (count,) = connection.execute("SELECT count(*) FROM finding").fetchone()
    assert count == result.certificate["findings"]["count"]
    pairs = dict(connection.execute("SELECT original, pseudonym FROM pseudonym"))
    assert pairs[GIVEN["patient_id"]] == header(result).PatientID
    assert str(slide.path) in connection.execute("SELECT source_path FROM slide").fetchone()
    connection.close()


def test_without_a_key_the_vault_remembers(slide, tmp_path):
    given = Custody(metadata=custody(tmp_path).metadata, vault=tmp_path / "vault")
    other = Custody(metadata=given.metadata, vault=tmp_path / "other vault")
    first = uids_of(convert(slide, tmp_path / "1", "research", given))

    assert uids_of(convert(slide, tmp_path / "2", "research", given)) == first
    assert uids_of(convert(slide, tmp_path / "3", "research", other)) & first == set()


@pytest.mark.parametrize("vault", ["out", "out/vault", "."])
def test_vault_and_output_may_not_lie_in_one_another(vault, slide, tmp_path):
    given = Custody(key=KEY, vault=tmp_path / vault)
    with pytest.raises(PolicyError, match="in one another"):
        convert(slide, tmp_path / "out", "research", given)

    assert not (tmp_path / "out").exists()


def test_vault_that_others_may_enter_is_refused(slide, tmp_path):
    (tmp_path / "out.vault").mkdir(mode=0o755)
    with pytest.raises(PolicyError, match="others than its owner"):
        convert(slide, tmp_path / "out", "research", Custody(key=KEY))


def test_public_has_no_vault_unless_asked(slide, tmp_path):
    convert(slide, tmp_path / "out", "public", None)
    assert {path.name for path in tmp_path.iterdir()} == {"slide", "out"}

    convert(slide, tmp_path / "out", "public", Custody(vault=tmp_path / "vault"))
    assert (tmp_path / "vault" / "vault.sqlite").exists()


def test_public_with_a_key_is_refused(slide, tmp_path):
    with pytest.raises(PolicyError, match="key links"):
        convert(slide, tmp_path / "out", "public", Custody(key=KEY))


def test_key_file_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "key"
    key = new_key(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == key
    assert key.secret.hex() not in repr(key)
    with pytest.raises(FileExistsError):
        new_key(path)
    path.chmod(0o640)
    with pytest.raises(PolicyError, match="others"):
        read_key(path)


def test_certificate_of_care_names_no_one(slide, tmp_path):
    result = convert(slide, tmp_path / "out", "care", custody(tmp_path))

    text = json.dumps(result.certificate) + str(result.certificate_path.name)
    assert survivors(SECRETS, {"certificate": text.encode()}) == set()
    assert result.certificate["key_id"] == KEY.key_id
    assert "name the patient" in result.certificate["residual_risk"]
