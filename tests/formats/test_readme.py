"""The README's table names every format, as the program calls it."""

from pathlib import Path

from coverslip.formats import FORMATS, GENERIC

README = Path(__file__).resolve().parents[2] / "README.md"


def test_every_format_is_in_the_table():
    text = README.read_text()
    table = text[text.index("| source | tiles |") : text.index("What it does not do yet")]
    names = [known.name for known in (*FORMATS, GENERIC)]
    assert [name for name in names if name not in table] == []
