import dataclasses
import itertools
import json
import re

import jsonschema
import pytest
from pydicom.uid import JPEGBaseline8Bit

from coverslip import audit
from coverslip.audit import (
    CheckResult,
    InstanceRecord,
    certificate,
    certificate_schema,
    write_certificate,
)
from coverslip.deid.policy import Policy
from coverslip.deid.scrub import scrub
from coverslip.deid.uids import RandomIdentity
from coverslip.model import (
    AssociatedImage,
    Fate,
    ItemKind,
    PixelChecks,
    RawMetadata,
    Role,
    SourceItem,
    SourceText,
)
from coverslip.verification.words import PublicWords, words_of
from tests.unit.builders import slide

CANARY = "ZACHARIAS^QUILLFEATHER"


def item(kind: ItemKind, key: str | None) -> SourceItem:
    return SourceItem(place="IFD 0 ImageDescription", key=key, kind=kind, text=SourceText(CANARY))


@pytest.fixture
def arguments():
    items = (
        item(ItemKind.IDENTIFIER, "ImageID"),
        item(ItemKind.IDENTIFIER, "Filename"),
        item(ItemKind.DATE, "Date"),
        item(ItemKind.UNKNOWN, None),
        item(ItemKind.UNKNOWN, None),
    )
    label = AssociatedImage(ifd=3, role=Role.LABEL, image_width=10, image_length=10)
    source = slide(metadata=RawMetadata(items=items), associated_images=(label,))
    policy = Policy(mpp_um=0.25)
    result = scrub(source, policy, RandomIdentity(), package_version="0.1.0")
    instances = [
        InstanceRecord(
            sop_instance_uid=uid,
            image_type=("ORIGINAL", "PRIMARY", "VOLUME", "NONE"),
            total_pixel_matrix_columns=100,
            total_pixel_matrix_rows=80,
            frames_copied=3,
            frames_stitched=0,
            frames_retiled=0,
            frames_pixel=0,
            frames_blank=1,
            frames_truncated=0,
            transfer_syntax_uid=JPEGBaseline8Bit,
            photometric_interpretation="RGB",
            is_inverted=False,
            blake3="0" * 64,
        )
        for uid in result.clean.sop_instance_uids
    ]
    return {
        "package_version": "0.1.0",
        "policy": policy,
        "clean": result.clean,
        "findings": result.findings,
        "instances": instances,
        "read_back": CheckResult.PASSED,
        "verified": CheckResult.PASSED,
    }


def test_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(certificate_schema())


@pytest.mark.parametrize("read_back", [CheckResult.PASSED, CheckResult.NOT_RUN])
def test_certificate_is_valid(arguments, read_back):
    document = certificate(**arguments | {"read_back": read_back})

    jsonschema.Draft202012Validator(certificate_schema()).validate(document)
    assert document["checks"]["read_back"] == read_back


def test_instance_that_was_not_read_back_has_no_digest(arguments):
    instances = [dataclasses.replace(record, blake3=None) for record in arguments["instances"]]

    document = certificate(**arguments | {"instances": instances, "read_back": CheckResult.NOT_RUN})

    jsonschema.Draft202012Validator(certificate_schema()).validate(document)
    assert document["instances"][0]["blake3"] is None


def test_every_finding_is_counted(arguments):
    findings = certificate(**arguments)["findings"]

    assert findings["count"] == len(arguments["findings"]) == 8
    assert sum(row["count"] for row in findings["by_kind_and_fate"]) == 8
    assert {"kind": "identifier", "fate": "replaced", "count": 2} in findings["by_kind_and_fate"]
    assert {"kind": "picture", "fate": "dropped", "count": 1} in findings["by_kind_and_fate"]


def test_known_keys_are_named_and_unknown_ones_counted(arguments):
    findings = certificate(**arguments)["findings"]

    assert findings["keys_removed"] == ["Date", "Filename", "ImageID"]
    assert findings["unknown_keys_removed"] == 2


def test_schema_knows_every_kind_and_fate():
    rows = certificate_schema()["properties"]["findings"]["properties"]["by_kind_and_fate"]

    assert rows["items"]["properties"]["kind"]["enum"] == list(ItemKind)
    assert rows["items"]["properties"]["fate"]["enum"] == list(Fate)


def test_no_value_of_the_source_and_no_time_is_in_it(arguments):
    text = json.dumps(certificate(**arguments))

    assert CANARY not in text
    assert CANARY.split("^")[1] not in text
    assert not re.search(r"(19|20)\d\d-?[01]\d-?[0-3]\d[T ]", text)


def test_same_arguments_give_the_same_bytes(arguments, tmp_path):
    for name in ("first.json", "second.json"):
        write_certificate(tmp_path / name, certificate(**arguments))

    first, second = (tmp_path / name for name in ("first.json", "second.json"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().endswith(b"}\n")


def test_written_certificate_can_be_read(arguments, tmp_path):
    document = certificate(**arguments)

    write_certificate(tmp_path / "slide.certificate.json", document)

    text = (tmp_path / "slide.certificate.json").read_text("utf-8")
    assert json.loads(text) == document


def test_certificate_says_what_was_not_checked(arguments):
    document = certificate(**arguments)

    assert document["checks"]["pixel_text"] == "not_run"
    assert document["checks"]["bar_codes"] == "not_run"
    assert "bit for bit" in document["residual_risk"]
    assert document["deidentification_codes"] == ["113100", "113105"]


def test_spacing_given_by_the_operator_is_recorded(arguments):
    assert certificate(**arguments)["policy"]["options"]["mpp_um"] == 0.25


def test_searches_of_the_pixels_are_told_as_they_came_out(arguments):
    pixels = PixelChecks(bar_codes=CheckResult.PASSED, text=CheckResult.ATTESTED)

    document = certificate(**arguments | {"pixels": pixels})

    jsonschema.Draft202012Validator(certificate_schema()).validate(document)
    assert document["checks"]["bar_codes"] == "passed"
    assert document["checks"]["pixel_text"] == "attested"
    assert "searched for bar codes," in document["residual_risk"]
    assert "For text in the pixels somebody vouches" in document["residual_risk"]


@pytest.mark.parametrize(
    ("result", "reduction", "is_told"),
    [
        (CheckResult.PASSED, 9, True),
        (CheckResult.PASSED, 1, False),
        (CheckResult.NOT_RUN, 9, False),
    ],
)
def test_reduction_of_a_level_that_was_searched_is_told(result, reduction, is_told, arguments):
    pixels = PixelChecks(bar_codes=result, reduction=reduction)

    risk = certificate(**arguments | {"pixels": pixels})["residual_risk"]

    assert ("by up to 9 times along each side" in risk) == is_told


def test_name_of_who_attests_is_recorded(arguments):
    policy = Policy(pixels_attested="Dr B. Osterholtzer")

    options = certificate(**arguments | {"policy": policy})["policy"]["options"]

    assert options["pixels_attested"] == "Dr B. Osterholtzer"


def test_symbolic_link_is_not_followed(arguments, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with pytest.raises(FileExistsError):
        write_certificate(tmp_path / "link", certificate(**arguments))

    assert not (tmp_path / "target").exists()


def test_every_word_of_a_certificate_s_sentences_is_known_to_the_check():
    """Else a slide in a folder of that name would fail: the word is one of the slide's texts."""
    pixels = (
        PixelChecks(
            bar_codes=bar_codes,
            text=text,
            reduction=reduction,
            are_levels_in_doubt=is_said,
            is_overview_masked=is_said,
            is_thumbnail_written=is_said,
            kept=frozenset(kept),
        )
        for bar_codes, text in itertools.product(CheckResult, CheckResult)
        for reduction in (1, 2)
        for is_said in (False, True)
        for kept in ((), (Role.LABEL,))
    )
    sentences = {
        audit._residual_risk(
            {"bar_codes": each.bar_codes, "pixel_text": each.text}, each, is_recoded=is_recoded
        )
        for each in pixels
        for is_recoded in (False, True)
    }
    words = {
        word for sentence in (*sentences, *audit._RISKS.values()) for word in words_of(sentence)
    }
    assert {word for word in words if not PublicWords().covers(word)} == set()
