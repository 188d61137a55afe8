import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coverslip.errors import LimitError, SourceError
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import Vocabulary, children, number_in, xml_items
from coverslip.limits import LIMITS, Limits
from coverslip.model import ItemKind, SourceText

NAME = "QWXZVKJPH"
BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]><x>&b;</x>"
WORDS = Vocabulary(
    kinds={"barcode": ItemKind.IDENTIFIER, "image@name": ItemKind.NAME, "@uuid": ItemKind.TEXT},
    plain=frozenset({"view@sizeX", "mode"}),
    values=frozenset({"brightfield"}),
    structure=frozenset({"image", "view"}),
)


def items_of(text):
    return list(xml_items(parse(SourceText(text)), "IFD 0 XMP", WORDS))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "document type"),
        ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>", "document type"),
        (f"<!DOCTYPE {NAME}><x/>", "document type"),
        (f"<x><{NAME}></x>", "not well-formed at line 1"),
        (f"\n<x>\n\n{NAME}", "not well-formed at line 3"),
        (f"<x>&{NAME};</x>", "not well-formed"),
        (f"<{NAME}:x/>", "not well-formed"),
        ("", "not well-formed"),
        ("\ud800<x/>", "half a character"),
        ("<x>\0</x>", "not well-formed"),
    ],
)
def test_what_no_slide_needs_is_refused_without_showing_it(text, reason):
    with pytest.raises(SourceError, match=reason) as raised:
        parse(SourceText(text))
    assert NAME not in repr(raised.value)
    assert raised.value.__context__ is None


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["<a>", "</a>", "<b c='1'/>", "<!DOCTYPE a>", "<!--", "-->", "<![CDATA[", "]]>", "&lt;",
             "&#0;", "&#x110000;", "<?p", "?>", "xmlns='x'", "<x:a", "\ud800", "\0", "text", '"',
             "<"]
        ),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_whatever_the_text_it_is_parsed_or_refused_by_us(text):
    try:
        root = parse(SourceText(text))
    except (SourceError, LimitError):
        return
    assert list(xml_items(root, "IFD 0 XMP", WORDS)) is not None


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("<x>" * 100 + "</x>" * 100, "xml_depth"),
        ("<x>" + "<y a='1' b='2'/>" * 40 + "</x>", "xml_parts"),
        (f"<x>{'y' * 2000}</x>", "xml_characters"),
    ],
)
def test_limits_are_named(text, limit, monkeypatch):
    small = Limits(xml_characters=1500, xml_parts=100)
    monkeypatch.setattr("coverslip.formats.xml.LIMITS", small)
    with pytest.raises(LimitError, match=limit):
        parse(SourceText(text))


def test_declared_encoding_is_that_of_bytes_which_are_text_by_now():
    root = parse(SourceText('\ufeff <?xml version="1.0" encoding="utf-16"?><x>\u00e4</x>\0\0'))
    assert root.text == "\u00e4"


def test_names_keep_their_namespace_and_are_found_without_it():
    root = parse(SourceText('<a xmlns="urn:x" xmlns:p="urn:p"><b p:c="1"/></a>'))
    assert root[0].tag == "{urn:x}b"
    assert root[0].attrib == {"{urn:p}c": "1"}
    assert children(root, "b") == [root[0]]


def test_known_words_are_named_and_plain_numbers_are_nothing_to_find():
    text = f'<image name="{NAME}" uuid="1"><view sizeX="12.5"/><mode>brightfield</mode></image>'
    assert [(item.key, item.kind) for item in items_of(text)] == [
        ("image@name", ItemKind.NAME),
        ("@uuid", ItemKind.TEXT),
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"<image><{NAME}/></image>",
        f'<image {NAME}="1"/>',
        f'<image other="{NAME}"/>',
        f'<view sizeX="{NAME}"/>',
        f"<image><mode>{NAME}</mode></image>",
        f"<image>{NAME}</image>",
        f"<image><view/>{NAME}</image>",
        f"<image><!-- {NAME} --></image>",
        f"<!-- {NAME} --><image/>",
        f"<image/><!-- {NAME} -->",
        f"<image/><?{NAME} x?>",
        f"<image><?x {NAME}?></image>",
        f"<image><![CDATA[{NAME}]]></image>",
    ],
)
def test_every_other_text_is_an_unknown_item(text):
    (item,) = items_of(text)
    assert (item.key, item.kind) == (None, ItemKind.UNKNOWN)
    assert NAME in item.text.reveal()


def test_what_is_beyond_the_limit_is_one_item_together():
    count = LIMITS.xml_items + 50
    items = items_of("<image>" + "<barcode>x</barcode>" * count + f"<b>{NAME}</b></image>")
    assert len(items) == LIMITS.xml_items + 1
    assert NAME in items[-1].text.reveal()


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.25", 0.25), ("0,25", 0.25), ("-3", -3), ("2.5e-07", 2.5e-7), ("nan", None),
     ("1e999", None), ("1_000", None), ("", None), (None, None), ("1" * 40, None),
     ("\u0663", None)],
)  # fmt: skip
def test_numbers_are_plain_or_none(text, value):
    assert number_in(text) == value
