"""The README's table names every format, and what each was checked against."""

import pytest

from coverslip.formats import FORMATS, GENERIC
from tests import readme_table
from tests.interop.believers import BELIEVERS
from tests.interop.test_real_slides import CASES

README = readme_table.README.read_text()


def test_every_format_is_in_the_table():
    table = README[README.index("| source | tiles |") : README.index("What it does not do yet")]
    names = [known.name for known in (*FORMATS, GENERIC)]
    assert [name for name in names if name not in table] == []


def test_what_each_row_was_checked_against_is_what_the_tests_find():
    assert readme_table.renewed(README) == README, "run python -m tests.readme_table"


def test_every_slide_stands_for_a_row():
    named = {name for row in readme_table.ROWS for name in readme_table.cases_of(row)}
    assert BELIEVERS.keys() - named == {
        "generic-j2k-declared-as-jpeg",  # nobody else reads what its tag 259 does not say
        "ventana-bif-overlaps-in-focal-planes",  # two rows at once
        "generic-extended-open-end",  # SOF1 and no end: baseline in all but these
    }
    assert CASES.keys() == {name for row in readme_table.ROWS for name in row.real}


@pytest.mark.parametrize("row", readme_table.ROWS, ids=lambda row: f"{row.source} {row.tiles}")
def test_every_pattern_of_a_row_names_slides(row):
    for pattern in row.cases:
        assert readme_table.cases_of(readme_table.Row("", "", (pattern,))) != []
