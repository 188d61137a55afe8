"""What is made of the texts of a slide, and what of dates, words and schemas."""

import json
import random
import re
import unicodedata
import uuid
from datetime import date
from pathlib import Path

import jsonschema
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

import coverslip
from coverslip import _core, gaps
from coverslip.verification import header, schema, streams
from coverslip.verification.dates import dates_in, spellings_of
from coverslip.verification.schema import words_of_certificates
from coverslip.verification.source import terms_of_slide
from coverslip.verification.terms import MAX_CHARACTERS, Text, terms_of
from coverslip.verification.words import PublicWords, words_of
from tests.synth import FORMATS, build_generic, build_svs, tiff

UUID = uuid.UUID("12d62e5d-dec6-4a4b-9b5f-90bf2d6a1b7c")
PUBLIC = PublicWords({"ScanScope ID"})


def spellings(text, *, is_exact=False):
    return {t.spelling for t in terms_of([Text("x", text, is_exact=is_exact)], PUBLIC).terms}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Quillfeather^Ottoline", {"Quillfeather", "Ottoline"}),
        ("User = Quillfeather|Rack = 1", {"Quillfeather"}),
        ("B22-012345", {"B22-012345", "012345", "B22012345"}),
        ("24.1234/A", {"24.1234/A", "241234A"}),
        ("&#81;uillfeather", {"Quillfeather"}),
        ("Quill%20feather", {"Quill", "feather"}),
        ("UXVpbGxmZWF0aGVyIE90dG9saW5l", {"Quillfeather", "Ottoline"}),
        ("UQB1AGkAbABsAGYAZQBhAHQAaABlAHIA", {"Quillfeather"}),
        ("Müller", {"Müller", "Mu\u0308ller", "Muller"}),
        ("Li^Wu", {"Li^Wu", "Wu^Li", "Wu, Li", "LiWu"}),
        (str(UUID), {str(UUID.int)}),
        ("O'Brien", {"Brien", "OBrien"}),
        ("Case Li Wu 24-001234", {"Li^Wu", "Wu, Li", "24001234"}),
        ("Mr. Li Wu", {"Wu^Li"}),
        ("Joy Gold", {"Joy^Gold", "Gold, Joy"}),
        ("王小明", {"王小明"}),
        ("Patient 王明 1956", {"王明"}),
        ("김철수", {"김철수"}),
        ("ИВАНОВ", {"ИВАНОВ", "ИВАНОВ".encode("cp1251").decode("latin-1")}),
        ("Müller", {"MÃ¼ller"}),  # UTF-8 that was read as Latin-1
        ("scanned 23. Mai 1957", {"1957-05-23", "Mai 1957", "May 1957", "23.5.57", "5/23/57"}),
    ],
)
def test_a_text_gives_the_spellings_that_may_survive(text, expected):
    assert expected <= spellings(text)


@pytest.mark.parametrize("word", ["séries", "Fíle", "PÁTIENT"])
def test_public_word_with_an_accent_is_looked_for_with_it_only(word):
    """Else a slide in a folder that is called so would fail: every certificate says the word."""
    public = PublicWords(words_of_certificates())
    found = {term.spelling for term in terms_of([Text("x", word)], public).terms}
    assert unicodedata.normalize("NFC", word) in found
    assert not any(public.covers(spelling) for spelling in found)


NAMES = ("Quillfeather", "Müller-Lüdenscheidt", "王小明", "김철수", "Иванов", "Παπαδόπουλος")
UNICODE = ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32-be")
PAGES = {"Иванов": ("cp1251", "koi8-r", "iso8859-5"), "王小明": ("gb18030", "big5")}
PAGES |= {"김철수": ("euc_kr",), "Müller-Lüdenscheidt": ("latin-1",)}


@pytest.mark.parametrize("tag", [270, 37510, 40092, 50000, 65000])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_term_in_whatever_encoding_a_tag_holds_it(name, tag, tmp_path):
    encodings = (*UNICODE, *PAGES.get(name, ()))
    if tag == 40092:
        encodings = ("utf-16-le",)
    for encoding in encodings:
        value = tiff.undefined(name.encode(encoding))
        assert_is_a_term(name, build_generic(tmp_path, levels=1, more={tag: value}))


def assert_is_a_term(name, slide):
    terms = {t.spelling.casefold() for t in terms_of_slide(coverslip.open(slide.path)).terms}
    assert terms & {part.casefold() for part in name.split("-")}
    slide.path.unlink()


@pytest.mark.parametrize("tag", [37510, 50000, 65000])
def test_text_in_arrays_of_numbers_is_a_term(tag, tmp_path):
    codes = [ord(character) for character in "Quillfeather"]
    for make in (tiff.short, tiff.long):
        for big_endian in (False, True):
            slide = build_generic(
                tmp_path, levels=1, more={tag: make(*codes)}, big_endian=big_endian
            )
            assert_is_a_term("Quillfeather", slide)


@pytest.mark.parametrize("name", NAMES[:4])
def test_a_comment_of_exif_in_unicode_is_a_term(name, tmp_path):
    value = tiff.undefined(b"UNICODE\0" + name.encode("utf-16-le"))
    assert_is_a_term(name, build_generic(tmp_path, levels=1, more={37510: value}))


@pytest.mark.parametrize("seed", range(8))
def test_noise_gives_no_flood_of_terms(seed):
    noise = random.Random(seed).randbytes(4000)
    assert len(spellings(noise.decode("latin-1"))) < len(noise) // 2


@pytest.mark.parametrize(
    "text",
    ["Aperio", "ScanScope ID", "0.2500", "20", "000000", "Leica Biosystems", "", "19000101", "x"],
)
def test_what_stands_in_every_output_or_is_a_measure_is_not_looked_for(text):
    assert spellings(text) == set()


def test_uids_of_the_standard_are_no_terms_and_others_of_its_root_are():
    assert spellings("1.2.840.10008.5.1.4.1.1.77.1.6.svs = 1.2.840.10008.1.2.4.50") <= {".svs"}
    assert "1.2.840.10008.4711.815" in spellings("1.2.840.10008.4711.815")
    assert "x1.2.840.10008.1.2.4.50" in spellings("x1.2.840.10008.1.2.4.50")


def said_in(dataset):
    """Yield names and values of a data set, but for what is drawn or derived for each slide."""
    for element in dataset:
        yield from (element.keyword, element.name)
        if element.VR == "SQ":
            for item in element.value:
                yield from said_in(item)
        elif element.VR not in ("OB", "OV", "OW"):
            value = element.value
            values = [str(one) for one in value] if element.VM > 1 else [str(value)]
            drawn = re.compile(r"2\.25\.(?!1319)|[A-Z]-[0-9A-Z]{13}")
            yield from (one for one in (*values, "\\".join(values)) if not drawn.match(one))


def keys_in(certificate):
    """Yield the keys of a certificate."""
    if isinstance(certificate, dict):
        yield from certificate
        certificate = list(certificate.values())
    if isinstance(certificate, list):
        for one in certificate:
            yield from keys_in(one)


@pytest.mark.parametrize("profile", ["public", "research"])
def test_what_every_output_holds_stops_no_slide_that_says_it_too(profile, tmp_path):
    """A slide may have been made of an output: the texts of that are its metadata then."""
    for name in "first", "second":
        (tmp_path / name).mkdir()
    options = {"profile": profile, "verify": False}
    path = build_svs(tmp_path / "first", levels=2).path
    first = coverslip.convert(path, tmp_path / "first" / "out", **options)
    dataset = pydicom.dcmread(first.instances[0].path)
    certificate = json.loads(first.certificate_path.read_text())
    said = {*said_in(dataset), *said_in(dataset.file_meta), *keys_in(certificate)} - {""}
    assert len(said) > 300
    told = {
        tag: tiff.ascii_("\n".join(f"{text} = {text}" for text in sorted(said)[part::20]))
        for part, tag in enumerate(range(65001, 65021))
    }
    built = build_generic(tmp_path / "second", more=told, levels=1)
    result = coverslip.convert(built.path, tmp_path / "second" / "out", profile=profile)
    assert coverslip.verify(result.study_path, built.path).is_clean


NO_CERTIFICATE = "digests and counts of studies in which no certificate lies"
PLAIN = {
    "PatientName": "Unknown^Person",
    "PatientID": "4711 22",
    "ContainerIdentifier": "S21-4711",
    "StudyID": "S21-4711",
    "AccessionNumber": "S21-4711",
    "DeviceSerialNumber": "SS1234",
    "Manufacturer": "St Elsewhere",
    "ManufacturerModelName": "John Doe",
    "SoftwareVersions": "John Doe",
    "DeidentificationMethod": ["coverslip 1 profile=public", "operator John Doe"],
}


@pytest.mark.parametrize("keyword", [None, *PLAIN, "SpecimenIdentifier"])
def test_values_that_name_somebody_are_found_where_no_certificate_lies(keyword, tmp_path):
    result = coverslip.convert(build_svs(tmp_path, levels=1).path, tmp_path / "out")
    for certificate in result.study_path.glob("*.json"):
        certificate.unlink()
    path = result.instances[0].path
    dataset = pydicom.dcmread(path)
    if keyword is not None:
        within = dataset.SpecimenDescriptionSequence[0] if keyword not in PLAIN else dataset
        setattr(within, keyword, PLAIN.get(keyword, "S21-4711 A"))
        dataset.save_as(path)
    report = coverslip.verify(result.study_path)
    what = "a value that such an instance does not have there"
    what = "it must be empty" if keyword == "AccessionNumber" else what
    assert [survivor.what for survivor in report.found] == [what] * (keyword is not None)
    assert NO_CERTIFICATE in report.out_of_scope


def test_certificate_that_one_of_two_studies_has_not_is_told(tmp_path):
    slide = build_svs(tmp_path, levels=1).path
    first, _ = (coverslip.convert(slide, tmp_path / "out") for _ in range(2))
    assert NO_CERTIFICATE not in coverslip.verify(tmp_path / "out").out_of_scope
    next(first.study_path.glob("*.json")).unlink()
    assert NO_CERTIFICATE in coverslip.verify(tmp_path / "out").out_of_scope


def test_a_line_of_the_list_is_looked_for_even_if_it_is_a_public_word():
    assert spellings("Leica", is_exact=True) == {"Leica"}


def test_a_short_line_of_the_list_is_told():
    terms = terms_of([Text("listed term", "Li", is_exact=True)], PUBLIC)
    assert terms.notes == ("a term of the list is shorter than four characters",)


def test_a_part_of_a_public_word_counts_only_as_a_word():
    terms = terms_of([Text("person", "Bright^Quillfeather")], PUBLIC).terms
    assert {term.spelling: term.whole_word for term in terms} == {
        "Bright": True,
        "Quillfeather": False,
    }


def test_terms_do_not_show_what_they_are():
    terms = terms_of([Text("person", "Quillfeather")], PUBLIC)
    assert "uill" not in repr(terms)
    assert "uill" not in repr(Text("person", "Quillfeather"))


@given(st.text(max_size=200))
def test_any_text_gives_terms_that_the_core_takes(text):
    terms = terms_of([Text("x", text), Text("x", text, is_exact=True)], PUBLIC)
    assert all(len(term.spelling) <= MAX_CHARACTERS for term in terms.terms)
    _core.Scanner([(term.spelling, term.whole_word) for term in terms.terms])


@given(st.dates(min_value=date(1930, 1, 1), max_value=date(2039, 12, 31)))
def test_a_date_is_read_in_whatever_order_it_is_written(day):
    for spelling in spellings_of(day):
        whole = f"scanned on {spelling}, at noon"
        if spelling[:1].isalpha() and not re.search(r"\d\d? ?,? \d{4}", spelling):
            whole = f"scanned on {day.day}. {spelling}"  # found behind every way to write a day
        assert day in dates_in(whole), spelling


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("03/07/2021", {date(2021, 3, 7), date(2021, 7, 3)}),
        ("03/25/21", {date(1921, 3, 25), date(2021, 3, 25)}),
        ("25.3.71", {date(1971, 3, 25)}),
        ("23.4.57", {date(1957, 4, 23)}),
        ("4/23/57", {date(1957, 4, 23)}),
        ("23. April 1957", {date(1957, 4, 23)}),
        ("23. Mai 1957", {date(1957, 5, 23)}),
        ("23. März 1957", {date(1957, 3, 23)}),
        ("23 juin 1957", {date(1957, 6, 23)}),
        ("23-MAI-57", {date(1957, 5, 23)}),
        ("20210325103000", {date(2021, 3, 25)}),
        ("2021:03:25 10:30:00", {date(2021, 3, 25)}),
        ("25-Mar-2021", {date(2021, 3, 25)}),
        ("March 25, 2021", {date(2021, 3, 25)}),
        ("13/13/2021", set()),
        ("12345678", set()),
    ],
)
def test_dates_are_found(text, days):
    assert dates_in(text) == days


def test_texts_in_tiles_and_gaps_are_looked_for(tmp_path):
    for build, codec in ((build_svs, "jpeg_rgb"), (build_generic, "j2k_33005")):
        slide = build(tmp_path, codec=codec)
        terms = {t.spelling.casefold() for t in terms_of_slide(coverslip.open(slide.path)).terms}
        assert slide.path.stem.split("-")[0].casefold() in terms
        assert missing_terms(slide, terms) == []


def missing_terms(slide, terms):
    """Return planted identifiers none of whose parts is a term."""
    return [
        text
        for text in slide.identifiers
        if not any(part.casefold() in terms for part in (text, *words_of(text)))
    ]


MANY = (
    *("trestle-overlaps", "ventana-bif-focal-planes", "ventana-bif-overlaps-in-focal-planes"),
    "ndpi-beyond-4-gb",
)
"""Slides of many tiles, or with gigabytes to which nothing points: not all of them is read."""


@pytest.mark.parametrize("name", FORMATS)
def test_every_planted_identifier_is_a_term(name, built):
    slide = built(name)
    found = terms_of_slide(coverslip.open(slide.path))
    missing = missing_terms(slide, {term.spelling.casefold() for term in found.terms})
    if name in MANY:
        assert found.out_of_scope
    else:
        assert missing == []
        assert found.out_of_scope == ()
    assert found.notes == ()


@pytest.mark.parametrize("codec", ["jpeg_rgb_own_tables", "j2k_33005"])
def test_a_tile_that_lies_there_twice_gives_terms_of_its_comment_only(codec, tmp_path):
    slide = build_svs(tmp_path, codec=codec, levels=1)
    before = {term.spelling for term in terms_of_slide(coverslip.open(slide.path)).terms}
    tile = slide.levels[0].pieces[0]
    head = 2 if tile.startswith(b"\xff\xd8") else tile.index(b"\xff\x90")
    marker = b"\xff\xfe" if tile.startswith(b"\xff\xd8") else b"\xff\x64"
    comment = marker + (2 + 14).to_bytes(2) + b"\0\1Quillfeather"
    with slide.path.open("ab") as file:
        file.write(tile[:head] + comment + tile[head:])
    after = {term.spelling for term in terms_of_slide(coverslip.open(slide.path)).terms}
    assert {spelling.casefold() for spelling in after - before} == {"quillfeather"}


def test_certificates_are_judged_as_a_validator_of_json_schema_does(tmp_path):
    slide = build_svs(tmp_path, levels=1)
    certificate = coverslip.convert(slide.path, tmp_path / "out").certificate
    published = schema.certificate_schema()
    judge = jsonschema.Draft202012Validator(published)
    assert list(schema.problems_of(certificate, published)) == []
    wrong = (None, -1, 1.5, "", "x", [], {}, [1, 1], True, {"count": "x"}, "2.25.01")
    for changed in variants(certificate, wrong):
        changed = json.loads(json.dumps(changed))
        expected = not judge.is_valid(changed)
        assert bool(list(schema.problems_of(changed, published))) == expected


def variants(value, wrong):
    """Yield a value with each of its parts, however deep, replaced or left out.

    Of the rows of a list, which have one schema, the first and the last are.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {key: item for key, item in value.items() if key != name}
            yield from (value | {name: variant} for variant in variants(inner, wrong))
    elif isinstance(value, list):
        for number in {0, len(value) - 1} if value else ():
            for variant in variants(value[number], wrong):
                yield [*value[:number], variant, *value[number + 1 :]]
    yield from wrong


def test_a_keyword_of_json_schema_that_is_not_known_is_not_passed_over():
    with pytest.raises(NotImplementedError, match="maxLength"):
        list(schema.problems_of("x", {"maxLength": 0}))


def test_the_header_is_read_as_pydicom_reads_it(tmp_path):
    slide = build_svs(tmp_path, levels=1)
    path = Path(coverslip.convert(slide.path, tmp_path / "out").instances[0].path)
    read = header.read(path)
    assert read.problems == ()
    whole = pydicom.dcmread(path)
    assert read.frame_count == whole.NumberOfFrames
    assert path.read_bytes()[read.pixel_data_offset :][:4] == b"\xe0\x7f\x10\x00"
    assert read.place_of(5) == "preamble"
    assert read.place_of(200) == "file meta information"
    assert read.place_of(read.pixel_data_offset + 7) == "(7FE0,0010) byte 7"
    offset = path.read_bytes().index(b"P-")
    assert read.place_of(offset) == "(0010,0010)"


def change_planes(dataset):
    dataset.TotalPixelMatrixFocalPlanes = 3


def change_paths(dataset):
    dataset.NumberOfOpticalPaths = 2
    dataset.NumberOfFrames *= 2


def drop_distance(dataset):
    del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices


def name_channel(dataset):
    dataset.OpticalPathSequence[0].OpticalPathDescription = "QUILLFEATHER"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (change_planes, "(0028,0008)"),
        (change_paths, "(0048,0302)"),
        (drop_distance, "(0018,0088)"),
        (name_channel, "(0048,0105)[0].(0048,0107)"),
    ],
)
def test_planes_and_paths_that_contradict_the_frames_are_found(change, place, tmp_path):
    slide = build_svs(tmp_path, levels=1, focal_planes=("0", "1"))
    path = Path(coverslip.convert(slide.path, tmp_path / "out").instances[0].path)
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    assert place in [place for place, _ in header.read(path).problems]


def test_ranges_that_claim_to_lie_behind_the_end_cover_nothing_there():
    top = 2**64 - 1
    ranges = np.array([[top, 10], [90, top], [10, 20], [100, 5]], np.uint64)
    assert gaps.runs_of(ranges, 100).tolist() == [[10, 30], [90, 100]]


def test_boxes_inside_each_other_end_the_walk():
    nested = (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0jp2c") * 50_000
    assert list(streams.texts_in_stream(nested)) == []
    comment = b"\xff\x4f\xff\x64\0\x14\0\1Ottoline Quill\0\0\xff\x90\0\x0a"
    boxed = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0jp2c" + comment
    assert any("Ottoline" in text for text in streams.texts_in_stream(boxed))
