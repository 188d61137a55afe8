import csv
import io
import json
from contextlib import suppress
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coverslip.deid.metadata import Assignment, read_metadata
from coverslip.errors import PolicyError

CANARY = "ZACHARIAS^QUILLFEATHER"


def write(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_row_is_found_by_name_before_it_is_by_pattern(tmp_path):
    path = write(tmp_path, "file,patient_id\nB22-*.svs,general\nB22-7.svs,special\n")
    table = read_metadata(path)

    assert table.row_for(Path("/a/B22-7.svs")).patient_id.reveal() == "special"
    assert table.row_for(Path("/a/B22-8.svs")).patient_id.reveal() == "general"
    assert table.row_for(Path("/a/b22-8.svs")) is None
    fit = table.assign([Path("B22-7.svs"), Path("other.svs")])
    assert fit == Assignment(rows_unused=1, slides_without_row=1)


def test_two_patterns_that_fit_are_refused(tmp_path):
    table = read_metadata(write(tmp_path, "file,patient_id\nB*,1\n*7.svs,2\n"))

    with pytest.raises(PolicyError, match="2 rows of the metadata fit one file"):
        table.row_for(Path("B7.svs"))
    assert table.assign([Path("B7.svs")]).rows_unused == 0
    assert table.assign([Path("B8.svs")]).rows_unused == 1
    assert table.assign([]).rows_unused == 2


def test_end_of_a_path_tells_two_slides_of_one_name_apart(tmp_path):
    text = "file,patient_id\npatA/1.svs,A\n./patB/1.svs,B\n1.svs,neither\npatC/*,C\n*/2.svs,2\n"
    table = read_metadata(write(tmp_path, text))

    found = {
        path: table.row_for(Path(path)).patient_id.reveal()
        for path in ("/x/patA/1.svs", "/x/patB/1.svs", "/x/other/1.svs", "/x/patC/9.svs")
    }
    assert list(found.values()) == ["A", "B", "neither", "C"]
    assert table.assign(map(Path, found)).rows_unused == 1
    assert table.row_for(Path("/x/XpatA/1.svs")).patient_id.reveal() == "neither"
    assert table.row_for(Path("/x/y/patC/deeper/9.svs")) is None
    assert table.row_for(Path("/x/y/2.svs")).patient_id.reveal() == "2"


@pytest.mark.parametrize("name", ["1.svs", "a/1.svs"])
def test_row_that_names_two_slides_is_refused(name, tmp_path):
    table = read_metadata(write(tmp_path, f"file,patient_id\nother,1\n{name},2\n"))

    with pytest.raises(PolicyError, match="row 2 of the metadata names 2 slides") as raised:
        table.assign([Path("/patA/a/1.svs"), Path("/patB/a/1.svs")])
    assert "folder" in raised.value.hint


def test_two_ways_to_write_one_path_are_one_row(tmp_path):
    with pytest.raises(PolicyError, match="another row names"):
        read_metadata(write(tmp_path, "file,patient_id\na/1.svs,1\n./a//1.svs,2\n"))


def test_json_says_the_same_as_csv(tmp_path):
    rows = [{"file": "a.svs", "patient_id": "1", "study_date": "2023-05-17", "sex": None}]
    as_json = read_metadata(write(tmp_path, json.dumps(rows), "table.json"))
    as_csv = read_metadata(
        write(tmp_path, "\ufefffile,patient_id,study_date,sex\na.svs,1,20230517,\n")
    )

    assert as_json.rows == as_csv.rows


def test_unknown_column_is_told_by_its_number(tmp_path):
    with pytest.raises(PolicyError, match="the name of column 3 of the metadata") as raised:
        read_metadata(write(tmp_path, f"file,sex,{CANARY}\na.svs,F,{CANARY}\n"))

    assert CANARY not in str(raised.value)
    assert CANARY not in raised.value.hint


def test_table_without_a_header_is_refused_without_showing_its_first_row(tmp_path):
    with pytest.raises(PolicyError, match="no column 'file'") as raised:
        read_metadata(write(tmp_path, f"a.svs,{CANARY}\n"))

    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("study_date", "17.05.2023"),
        ("study_date", "2023-02-30"),
        ("study_date", "2023-0517"),
        ("acquisition_date", "1899-12-31"),
        ("study_date", "2100-01-01"),
        ("birth_date", CANARY),
        ("sex", "female"),
        ("age", "66"),
        ("stains", CANARY),
        ("stains", "12710003 123456789"),
        ("anatomy", "12710003"),
        ("patient_id", "a\\b"),
        ("patient_id", "x" * 65),
        ("patient_id", "a\x1bb"),
        ("accession_number", "x" * 17),
        ("patient_name", "a=b"),
        ("study_instance_uid", "1.2.03"),
        ("study_instance_uid", "276"),
        ("study_instance_uid", "3.1.2"),
        ("study_instance_uid", "1.2.840.10008.1.2"),
        ("study_instance_uid", "1.2." + "3" * 61),
        ("device_uid", "1.2.03"),
        ("device_udi", "(01)0401234567890 (21)SERIAL"),
        ("device_udi", "9" * 129),
        ("calibration_date", "2021-02-29"),
        ("calibration_time", "7:51"),
        ("timezone_offset", "CEST"),
        ("timezone_offset", "-00:00"),
        ("timezone_offset", "+14:01"),
        ("timezone_offset", "-12:30"),
        ("specimen_location", "x" * 65),
    ],
)
def test_value_that_cannot_be_is_refused_by_row_and_column(column, value, tmp_path):
    text = io.StringIO()
    csv.writer(text).writerows([("file", column), ("a.svs", value)])

    with pytest.raises(PolicyError, match=f"row 1 of the metadata: {column}: ") as raised:
        read_metadata(write(tmp_path, text.getvalue()))

    assert value not in str(raised.value)


@pytest.mark.parametrize(
    ("column", "given", "written"),
    [
        ("timezone_offset", "+0530", "+0530"),
        ("timezone_offset", "+14:00", "+1400"),
        ("timezone_offset", "-12:00", "-1200"),
        ("timezone_offset", "+00:00", "+0000"),
        ("calibration_time", "07:51", "075100"),
        ("device_udi", "+" + "9" * 127, "+" + "9" * 127),
    ],
)
def test_value_is_kept_as_it_is_written(column, given, written, tmp_path):
    table = read_metadata(write(tmp_path, f"file,{column}\na.svs,{given}\n"))
    assert getattr(table.row_for(Path("a.svs")), column).reveal() == written


@pytest.mark.parametrize(
    ("columns", "needed"),
    [
        ("other_patient_id_issuer", "other_patient_id"),
        ("trial_site_id", "trial_protocol_id and trial_sponsor"),
    ],
)
def test_what_cannot_be_written_without_another_column_is_refused(columns, needed, tmp_path):
    with pytest.raises(PolicyError, match=f"row 1 of the metadata: .* needs {needed}") as raised:
        read_metadata(write(tmp_path, f"file,{columns}\na.svs,{CANARY}\n"))
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "t.csv", "empty"),
        ("file,file\na,b\n", "t.csv", "two columns"),
        ("file,sex\na.svs\n", "t.csv", "not as many values"),
        ("file,sex\n,F\n", "t.csv", "names no file"),
        ("file,sex\na,F\na,M\n", "t.csv", "another row names"),
        ("{", "t.json", "not JSON"),
        ("{}", "t.json", "list of objects"),
        ('[{"file": 7}]', "t.json", "not text"),
    ],
)
def test_table_that_is_none_is_refused(text, name, message, tmp_path):
    with pytest.raises(PolicyError, match=message):
        read_metadata(write(tmp_path, text, name))


@given(data=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".json"]))
def test_any_bytes_are_a_table_or_a_policy_error(data, suffix, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"fuzzed{suffix}"
    path.write_bytes(data)

    with suppress(PolicyError):
        read_metadata(path)


cells = st.text(
    st.characters(blacklist_categories=["C", "Z"], blacklist_characters="\\"), min_size=1
)


@given(rows=st.dictionaries(cells, st.text(max_size=80), max_size=4))
def test_any_patient_id_is_kept_as_it_is_or_refused(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "written.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "patient_id"), *rows.items()])

    try:
        table = read_metadata(path)
    except PolicyError:
        return
    kept = {name: row.patient_id and row.patient_id.reveal() for name, row in table.rows.items()}
    assert kept == {str(PurePath(name)): value.strip() or None for name, value in rows.items()}
