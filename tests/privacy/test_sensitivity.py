"""Whatever kind of text survives, wherever and however it is written, is found."""

import base64
import shutil

import pytest

import coverslip
from coverslip.verification.check import Check
from coverslip.verification.notes import Notes, scanner_of
from coverslip.verification.terms import Text, terms_of
from coverslip.verification.words import PublicWords
from tests.privacy import sites
from tests.synth import build_svs

TEXTS = {
    "long name": "Quillfeather",
    "short name": "Wolf",
    "double name": "O'Brien",
    "number": "24001234",
    "short number": "66177",
    "date": "1957-04-23",
    "umlaut": "Jöhrling",
    "Chinese": "王小明",
    "Korean": "김철수",
    "Cyrillic": "Иванов",
}
LONG = frozenset(TEXTS) - {"short name", "double name", "short number"}
"""What is found inside entropy-coded data too."""


def in_codec(name):
    return lambda text: f" {text} ".encode(name)


def in_letters(write):
    return lambda text: b" " + write(text) + b" "


ENCODINGS = {
    "UTF-8": in_codec("utf-8"),
    "capitals": lambda text: f" {text.upper()} ".encode(),
    "UTF-16LE": in_codec("utf-16-le"),
    "UTF-16BE": in_codec("utf-16-be"),
    "UTF-32LE": in_codec("utf-32-le"),
    "UTF-32BE": in_codec("utf-32-be"),
    "Base64, first phase": in_letters(lambda t: base64.b64encode(t.encode() + b"zzz")),
    "Base64, second phase": in_letters(lambda t: base64.b64encode(b"x" + t.encode() + b"zz")),
    "Base64, third phase": in_letters(lambda t: base64.b64encode(b"xy" + t.encode() + b"z")),
    "Base64 of UTF-16": in_letters(lambda t: base64.b64encode(t.encode("utf-16-le"))),
    "hexadecimal": in_letters(lambda t: t.encode().hex().encode()),
    "hexadecimal in capitals": in_letters(lambda t: t.encode().hex().upper().encode()),
    "hexadecimal with colons": in_letters(lambda t: t.encode().hex(":").encode()),
    "percent": in_letters(lambda t: "".join(f"%{byte:02X}" for byte in t.encode()).encode()),
    "XML entities": in_letters(lambda t: "".join(f"&#{ord(c)};" for c in t).encode()),
    "JSON escapes": in_letters(lambda t: "".join(f"\\u{ord(c):04x}" for c in t).encode()),
    "decimal codes": in_letters(lambda t: ".".join(str(byte) for byte in t.encode()).encode()),
}
PAGES = {"umlaut": ("latin-1",), "Chinese": ("gb18030", "big5"), "Korean": ("euc_kr",)}
PAGES |= {"Cyrillic": ("cp1251", "koi8-r", "iso8859-5")}
OTHERWISE = {
    "date": ("19570423", "23.4.57", "4/23/57", "23. April 1957", "23-Apr-1957", "Apr 23, 1957"),
    "double name": ("OBRIEN", "O\u2019Brien"),
    "number": ("no.24001234a",),
}
"""The same written in other ways."""
ALL_SITES = {
    **{name: ("jpeg", site) for name, site in (sites.ANYWHERE | sites.IN_JPEG).items()},
    **{name: ("jpeg2000", site) for name, site in sites.IN_JPEG_2000.items()},
    **{name: ("jpeg", site) for name, site in sites.IN_NAMES.items()},
}
SHORT_DO_NOT_COUNT = {
    *("inside the scan", "inside the packets", "between scan and end marker"),
    *("Basic Offset Table", "Extended Offset Table", "one more item"),
}
"""Entropy-coded data, and what is known as numbers or not at all: found there by its structure."""
ROOM = {"preamble": 120, "ICC profile, header": 80, "quantisation table of nobody": 120}
"""Bytes that a site takes, where they are few."""
SHORT_FORMS = 12
"""Bytes below which a form may be one that chance writes into entropy-coded data."""


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """Return clean studies by codec, all terms, and the scanner that was made of them once."""
    folder = tmp_path_factory.mktemp("clean")
    studies = {}
    for name, codec in (("jpeg", "jpeg_rgb"), ("jpeg2000", "j2k_33005")):
        slide = build_svs(folder, codec=codec, levels=1, size=(200, 200))
        studies[name] = coverslip.convert(slide.path, folder / name).study_path
    terms = terms_of([Text(kind, text) for kind, text in TEXTS.items()], PublicWords())
    return studies, terms, scanner_of(terms)


def plantings():
    """Yield kinds of text with the bytes in which they survive."""
    for kind, text in TEXTS.items():
        for encoding, encode in ENCODINGS.items():
            yield kind, encoding, encode(text)
        for page in PAGES.get(kind, ()):
            yield kind, page, f" {text} ".encode(page)
        for other in OTHERWISE.get(kind, ()):
            yield kind, other, f" {other} ".encode()


def groups(site):
    """Yield plantings that fit into a site together, one of each kind at most."""
    room, waiting = ROOM.get(site, 400), list(plantings())
    if site in sites.IN_NAMES:
        room = 180
        waiting = [one for one in waiting if not {0, ord("/")} & set(one[2])]
    if site in SHORT_DO_NOT_COUNT:
        is_sure = [kind in LONG and len(data) > SHORT_FORMS for kind, _, data in waiting]
        waiting = [one for one, sure in zip(waiting, is_sure, strict=True) if sure]
    while waiting:
        chosen, left = [], []
        for one in waiting:
            kinds = {kind for kind, _, _ in chosen}
            size = sum(len(data) for _, _, data in chosen) + len(one[2])
            (chosen if one[0] not in kinds and size <= room else left).append(one)
        assert chosen, "a text that fits nowhere"
        yield chosen
        waiting = left


def test_there_are_enough_sites_encodings_and_kinds_of_text():
    assert len(ALL_SITES) >= 60
    assert len(ENCODINGS) >= 16
    assert len(list(plantings())) >= 170


@pytest.mark.parametrize("site", ALL_SITES)
def test_every_kind_of_text_is_found_in_every_encoding(site, scanned, tmp_path, caplog):
    studies, terms, scanner = scanned
    codec, plant = ALL_SITES[site]
    missed = []
    for number, group in enumerate(groups(site)):
        study = tmp_path / str(number) / studies[codec].name
        shutil.copytree(studies[codec], study)
        plant(study, b"".join(data for _, _, data in group))
        check = Check(notes=Notes(terms=terms, scanner=scanner))
        check.folders([study.parent])
        lines = list(map(str, check.notes.found))
        for kind, encoding, _ in group:
            if not any(f"({kind})" in line for line in lines):
                missed.append(f"{kind}, {encoding}")
        assert not any(text.casefold() in "".join(lines).casefold() for text in TEXTS.values())
        shutil.rmtree(study.parent)
    assert missed == []
    assert caplog.text == ""
