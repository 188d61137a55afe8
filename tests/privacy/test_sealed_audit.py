"""What the vault says of each finding, compared with the bytes of the slide itself."""

import base64
import sqlite3

import pytest
import tifffile

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.policy import Policy
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS

READ = {
    "ASCII": lambda data: data.decode("ascii"),
    "UTF-8": lambda data: data.decode("utf-8"),
    "Latin-1": lambda data: data.decode("latin-1"),
    "UTF-16 LE": lambda data: data.decode("utf-16-le"),
    "UTF-16 BE": lambda data: data.decode("utf-16-be"),
    "Base64": lambda data: base64.b64decode(data).decode("utf-8"),
}
NAMES = ("svs-jpeg-rgb", "ndpi", "philips", "scn", "ventana-bif", "ome-subifds", "qptiff", "argos",
         "ome-set-planes", "ome-set-focal-planes", "ndpis")  # fmt: skip


@pytest.fixture(params=NAMES)
def sealed(request, tmp_path):
    slide = FORMATS[request.param](tmp_path)
    policy = Policy(profile="research", **slide.choices)
    result = coverslip.convert(
        slide.path, tmp_path / "out", policy=policy, custody=Custody(vault=tmp_path / "vault")
    )
    connection = sqlite3.connect(tmp_path / "vault" / "vault.sqlite")
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute("SELECT * FROM finding ORDER BY rowid")]
    connection.close()
    return slide, result, rows


def test_bytes_of_a_finding_are_its_text_in_the_encoding_that_is_told(sealed):
    slide, _, rows = sealed
    data = b"".join(path.read_bytes() for path in slide.paths)
    located = [row for row in rows if row["encoding"] in READ]
    for row in located:
        written = data[row["byte_offset"] : row["byte_offset"] + row["byte_count"]]
        text = READ[row["encoding"]](written)
        assert row["value"] == text or row["value"].endswith(f"={text}")
    texts = [row for row in rows if row["value"] and row["tag"] is not None]
    assert len(located) > 0.8 * len(texts) > 4


def test_every_value_of_a_tag_is_where_tifffile_finds_it(sealed):
    slide, _, rows = sealed
    first = next(path for path in slide.paths if path.suffix != ".ndpis")
    before = slide.path.stat().st_size if first != slide.path else 0
    with tifffile.TiffFile(first) as tiff:
        for row in rows:
            if row["ifd"] is None or row["ifd"] >= len(tiff.pages):
                continue
            tag = tiff.pages[row["ifd"]].tags.get(row["tag"])
            if tag is None:
                continue
            begin = row["byte_offset"] - before
            end = begin + row["byte_count"]
            assert tag.valueoffset <= begin <= end <= tag.valueoffset + tag.valuebytecount


def test_every_finding_has_format_rule_and_fate(sealed):
    slide, result, rows = sealed
    assert len(rows) == result.certificate["findings"]["count"]
    assert {row["format"] for row in rows} == {coverslip.open(slide.path).format}
    assert all(row["rule"] and row["fate"] for row in rows)
    (name,) = [row for row in rows if row["place"] == "file name"]
    assert name["value"] == str(slide.path)


def test_no_rule_nor_place_of_the_audit_goes_out(sealed):
    slide, result, _ = sealed
    texts = [text for text in slide.identifiers if len(text) > 4]
    assert survivors(texts, places_of(result.study_path)) == set()
    certificate = result.certificate_path.read_text()
    for word in ("byte_offset", "byte_count", "encoding", "closed list"):
        assert word not in certificate


def test_vault_of_before_gets_the_new_columns(tmp_path):
    from coverslip.deid import originals, vault

    old = vault._TABLES
    at = old.index("    format TEXT, ifd")
    (tmp_path / "vault").mkdir(mode=0o700)
    connection = sqlite3.connect(tmp_path / "vault" / "vault.sqlite")
    end = old.index("rule TEXT", at) + len("rule TEXT\n")
    connection.executescript(old[:at].rstrip().rstrip(",") + "\n" + old[end:])
    connection.close()
    slide = FORMATS["generic-jpeg"](tmp_path)
    custody = Custody(vault=tmp_path / "vault")
    coverslip.convert(slide.path, tmp_path / "out", profile="research", custody=custody)
    (kept,) = originals.read_vault(tmp_path / "vault")
    assert len(kept.findings) > 2
