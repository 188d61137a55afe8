"""The documents, held against the code they tell about."""

import re

import pytest

from coverslip import _core
from coverslip.deid.pixels.mask import _MARGIN
from coverslip.deid.policy import Profile
from coverslip.verification import terms
from tests.docs_tables import DOCS, TABLES, names_in, renewed

PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
PURPOSES = {"treating-team": Profile.CARE, "research": Profile.RESEARCH, "public": Profile.PUBLIC}
NUMBERS = {4: "four", 5: "five", 7: "seven", 14: "fourteen"}


@pytest.mark.parametrize("name", PAGES)
def test_tables_are_what_the_code_makes(name):
    assert PAGES[name] == renewed(PAGES[name]), "run python -m tests.docs_tables"


def test_every_table_has_its_place():
    assert sorted(name for page in PAGES.values() for name in names_in(page)) == sorted(TABLES)


@pytest.mark.parametrize(("name", "profile"), PURPOSES.items())
def test_each_purpose_has_a_page_about_its_profile(name, profile):
    page = PAGES[f"purposes/{name}.md"]

    assert page.startswith("# For ")
    assert f"profile `{profile}`" in page.partition("\n")[0]
    assert names_in(page) == [f"attributes-{profile}", f"options-{profile}"]


def test_links_between_the_pages_lead_somewhere():
    for name, page in PAGES.items():
        for target in re.findall(r"\]\((?!https:)([^)#]+)\)", page):
            assert (DOCS / name).parent.joinpath(target).exists(), f"{name}: {target}"


def test_every_letter_of_safe_harbor_is_met():
    rows = re.findall(r"(?m)^\| ([A-R](?:, [A-R])*) \|", PAGES["deidentification.md"])

    assert sorted(letter for row in rows for letter in row.split(", ")) == list(
        "ABCDEFGHIJKLMNOPQR"
    )


def test_numbers_in_words_are_those_of_the_code():
    page = PAGES["deidentification.md"]

    assert f"{NUMBERS[len(_core.Scanner.ENCODINGS)]} encodings" in page
    assert f"at least {NUMBERS[terms.MIN_CHARACTERS]} characters" in page
    assert f"at least {NUMBERS[terms.MIN_DIGITS]} digits" in page
    assert f"measured edge and {_MARGIN:.0%} more".replace("%", " %") in page


@pytest.mark.parametrize("name", PAGES)
def test_no_page_promises_what_the_law_decides(name):
    promises = (
        r"HIPAA[- ]compliant|GDPR[- ]compliant|fully anonym|guarantee|completely|100 ?%|safe to"
    )

    assert not re.search(promises, PAGES[name], re.IGNORECASE)
