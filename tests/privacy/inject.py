"""Puts what no reader knows into a readable slide: tags, keys, XML, segments, boxes.

Each injection leaves the slide as readable as it was, and says a text that nobody has seen.
"""

import random
import re
import string
import struct
from collections.abc import Callable
from dataclasses import dataclass

from tests.hostile.mutate import Draft
from tests.hostile.structure import CODES, SIZES, Entry, Table

ASCII, BYTE, UNDEFINED, SHORT, LONG = 2, 1, 7, 3, 4
DESCRIPTION, XMP, JPEG_TABLES, EXIF, NDPI_MAP, NDPI_STARTS = 270, 700, 347, 34665, 65449, 65426
JPEG, JPEG_2000 = (7,), (33003, 33004, 33005, 34712)
BOX_FILE = b"\0\0\0\x0cjP  \r\n\x87\n"
MEANT = {
    *range(253, 348), *range(512, 533), 700, 3560, 32781, 32997, 32998, 33432, 33550, 33723, 33922,
    34264, 34377, 34412, 34665, 34675, 34853, 40965, *range(36864, 37521), *range(40960, 41100),
    50838, 50839, 51023, *range(65324, 65333), *range(65420, 65481), 65560,
}  # fmt: skip
"""Tags that some reader gives a meaning."""


@dataclass(frozen=True)
class Words:
    """A key and a text that are in no slide."""

    key: str
    text: str


def new_words(chance: random.Random) -> Words:
    key = "".join(chance.choices(string.ascii_letters, k=chance.randint(8, 14)))
    text = "".join(chance.choices(string.ascii_letters, k=chance.randint(10, 24)))
    code = f"{text[0]}{chance.randint(10, 24)}-{chance.randint(10**7, 10**8 - 1)}"
    return Words(key, chance.choice((text, text, code)))


class CannotInject(Exception):
    """The slide has no place for an injection of this kind."""


def index_of(table: Table, entry: Entry, draft: Draft) -> int:
    return (entry.at - table.at - (8 if draft.structure.is_big else 2)) // (
        draft.structure.entry_size
    )


def point_at(draft: Draft, table: Table, entry: Entry, offset: int, count: int) -> None:
    """Let an entry's value lie elsewhere and be of another length."""
    structure = draft.structure
    room = structure.entry_size // 2 - 2
    if entry.is_inline or count * SIZES[entry.field_type] <= room:
        raise CannotInject
    draft.word(entry.at + 4, count)
    draft.word(entry.at + structure.entry_size - room, offset)
    if structure.is_ndpi and offset >> 32:  # not every slide has high words
        high_at = table.end + 8 + 4 * index_of(table, entry, draft)
        draft.number(high_at, "I", offset >> 32)


def encoded(draft: Draft, text: str) -> tuple[int, bytes]:
    """Return a field type and the bytes that say a text in it."""
    order = draft.structure.order
    kind = draft.chance.choice((ASCII, ASCII, BYTE, UNDEFINED, SHORT, LONG))
    if kind == SHORT:
        return kind, struct.pack(f"{order}{len(text)}H", *text.encode())
    if kind == LONG:
        return kind, text.encode("utf-32-le" if order == "<" else "utf-32-be")
    wide = kind != ASCII and draft.chance.random() < 0.5
    return kind, text.encode("utf-16-le" if wide else "utf-8") + b"\0\0"[: 1 + wide]


def add_tag(draft: Draft, words: Words) -> None:
    """Move a directory behind the end of the slide and give it one more tag."""
    table = draft.table()
    used = {entry.tag for entry in table.entries}
    free = [tag for tag in range(1, 1 << 16) if tag not in MEANT and tag not in used]
    kind, data = encoded(draft, words.text)
    move(draft, table, draft.chance.choice(free), kind, len(data) // SIZES[kind], data)


def move(draft: Draft, table: Table, tag: int, kind: int, count: int, data: bytes) -> None:
    """Write a directory anew with one more entry, and let what pointed at it point there."""
    structure = draft.structure
    code, size = structure.order + ("Q" if structure.is_big else "H"), structure.entry_size
    links = pointers_to(draft, table)
    draft.append(b"\0" * (-(structure.size + len(draft.tail)) % 8))
    at_value = draft.append(data + b"\0" * (-len(data) % 8))
    head = struct.pack(structure.order + "HH", tag, kind)
    offset = at_value & 0xFFFF_FFFF if structure.is_ndpi else at_value
    entry = head + struct.pack(structure.order + structure.word[1] * 2, count, offset)
    begin = table.at + struct.calcsize(code)
    old = structure.read(begin, table.end - begin)
    entries = [old[at : at + size] for at in range(0, len(old), size)]
    place = sum(struct.unpack_from(structure.order + "H", e)[0] < tag for e in entries)
    entries.insert(place, entry)
    after = structure.read(table.end, 8 if structure.is_big or structure.is_ndpi else 4)
    if structure.is_ndpi:
        high = structure.read(table.end + 8, 4 * len(table.entries))
        words = [high[at : at + 4] for at in range(0, len(high), 4)]
        words.insert(place, struct.pack("<I", at_value >> 32))
        after += b"".join(words)
    at_table = draft.append(struct.pack(code, len(entries)) + b"".join(entries) + after)
    for at, word in links:
        draft.number(at, word, at_table)


def pointers_to(draft: Draft, table: Table) -> list[tuple[int, str]]:
    """Return where the offset of a directory stands, and how wide it is there."""
    structure = draft.structure
    link = "Q" if structure.is_ndpi else structure.word[1]
    found = [(at, link) for at in (structure.link_at, *(t.end for t in structure.tables))]
    for parent in structure.tables:
        for entry in parent.entries:
            if entry.tag in (330, EXIF, 34853, 40965) and entry.field_type in CODES:
                step = SIZES[entry.field_type]
                places = range(entry.value_at, entry.value_at + entry.byte_count, step)
                found.extend((at, CODES[entry.field_type]) for at in places)
    pointing = [(at, c) for at, c in found if structure.number(structure.order + c, at) == table.at]
    if not pointing:
        raise CannotInject
    return pointing


def add_exif(draft: Draft, words: Words) -> None:
    """Give a directory an Exif directory that holds one tag."""
    structure, table = draft.structure, draft.table()
    if EXIF in table or structure.is_ndpi or structure.tables[0].at != table.at:
        raise CannotInject
    kind, data = encoded(draft, words.text)
    draft.append(b"\0" * (-(structure.size + len(draft.tail)) % 8))
    at_value = draft.append(data + b"\0" * (-len(data) % 8))
    code = structure.order + ("Q" if structure.is_big else "H")
    tag = draft.chance.choice([tag for tag in range(1, 1 << 16) if tag not in MEANT])
    entry = struct.pack(structure.order + "HH", tag, kind)
    entry += struct.pack(structure.order + structure.word[1] * 2, len(data) // SIZES[kind],
                         at_value)  # fmt: skip
    at_child = draft.append(struct.pack(code, 1) + entry + bytes(8))
    word = struct.pack(structure.word, at_child)
    move_inline(draft, table, EXIF, word)


def move_inline(draft: Draft, table: Table, tag: int, word: bytes) -> None:
    """Write a directory anew with one more entry, whose value is an offset."""
    structure = draft.structure
    before = len(draft.tail)
    kind = 18 if structure.is_big else LONG
    move(draft, table, tag, kind, 1, b"")
    # `move` pointed the entry at nothing; the offset itself is its value.
    head = struct.pack(structure.order + "HH", tag, kind)
    at = draft.tail.index(head, before) + structure.entry_size - len(word)
    draft.tail = draft.tail[:at] + word + draft.tail[at + len(word) :]


def texts_of(draft: Draft, tags: tuple[int, ...]) -> tuple[Table, Entry, str]:
    """Return a text among some tags, and where it is."""
    structure = draft.structure
    found = [(t, e) for t in structure.tables for e in t.entries if e.tag in tags]
    found = [(t, e) for t, e in found if e.field_type in (ASCII, BYTE, UNDEFINED)]
    if not found:
        raise CannotInject
    table, entry = draft.chance.choice(found)
    return table, entry, structure.value(entry).rstrip(b"\0").decode("utf-8", "surrogateescape")


def put_text(draft: Draft, table: Table, entry: Entry, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape") + b"\0" * (entry.field_type == ASCII)
    point_at(draft, table, entry, draft.append(data), len(data))


def add_key(draft: Draft, words: Words) -> None:
    """Put a key into the notes of a scanner, in their own syntax."""
    table, entry, text = texts_of(draft, (DESCRIPTION, NDPI_MAP))
    key, value = words.key, words.text
    if text.lstrip("\ufeff \r\n").startswith("<"):
        raise CannotInject
    if "|" in text:
        parts = text.split("|")
        parts.insert(draft.chance.randint(1, len(parts)), f"{key} = {value}")
        text = "|".join(parts)
    elif entry.tag == NDPI_MAP:
        lines = text.split("\r\n")
        lines.insert(draft.chance.randint(0, len(lines) - 1), f"{key}={value}")
        text = "\r\n".join(lines)
    elif ";" in text:
        text = text.rstrip(";") + f";{key}={value};"
    else:
        text += f"{draft.chance.choice((chr(10), chr(13) + chr(10), ' '))}{key} = {value}"
    put_text(draft, table, entry, text)


def add_behind_the_end(draft: Draft, words: Words) -> None:
    """Put a text behind the zero that ends a description, where no other reader looks."""
    table, entry, text = texts_of(draft, (DESCRIPTION, NDPI_MAP))
    if entry.field_type != ASCII:
        raise CannotInject
    put_text(draft, table, entry, f"{text}\0{words.key} {words.text}")


def add_node(draft: Draft, words: Words) -> None:
    """Put an element, an attribute, a comment or an instruction into XML."""
    table, entry, text = texts_of(draft, (DESCRIPTION, XMP))
    if not text.lstrip("\ufeff \r\n").startswith("<"):
        raise CannotInject
    key, value = words.key, words.text
    if draft.chance.random() < 0.4:
        tags = list(re.finditer(r"<[A-Za-z][\w:.-]*(?=[\s/>])", text))
        at = draft.chance.choice(tags).end()
        text = f'{text[:at]} {key}="{value}"{text[at:]}'
    else:
        root = re.search(r"<[A-Za-z]", text)
        between = [m.start() + 1 for m in re.finditer(r">(?=\s*<)", text)]
        between = [at for at in between[:-1] if root is not None and at > root.start()]
        if not between:
            raise CannotInject
        at = draft.chance.choice(between)
        node = draft.chance.choice(
            (
                f"<{key}>{value}</{key}>",
                f'<{key} {key}x="{value}"/>',
                f"<{key}><{key}y>{value}</{key}y></{key}>",
                f"<!-- {value} -->",
                f"<?{key} {value}?>",
            )
        )
        text = text[:at] + node + text[at:]
    put_text(draft, table, entry, text)


def add_to_stream(draft: Draft, words: Words) -> None:
    """Write a tile or strip anew behind the end, with more in its headers."""
    structure = draft.structure
    tables = [t for t in structure.tables if (324 in t or 273 in t) and 259 in t]
    tables = [t for t in tables if structure.first(t, 259) in (*JPEG, *JPEG_2000)]
    if not tables:
        raise CannotInject
    table = draft.chance.choice(tables)
    offsets, counts = (table[tag] for tag in ((324, 325) if 324 in table else (273, 279)))
    starts, lengths = structure.integers(offsets), structure.integers(counts)
    present = [n for n, (at, n_bytes) in enumerate(zip(starts, lengths, strict=True))
               if n_bytes and at + n_bytes <= structure.size]  # fmt: skip
    if not present:
        raise CannotInject
    number = draft.chance.choice(present)
    data = structure.read(starts[number], lengths[number])
    is_jpeg = structure.first(table, 259) in JPEG
    longer = with_segment(draft, data, words) if is_jpeg else with_comment(draft, data, words)
    if structure.is_ndpi:
        shift_starts(draft, table, len(longer) - len(data))
    at = draft.append(longer)
    for entry, value in ((offsets, at), (counts, len(longer))):
        size = SIZES[entry.field_type]
        if value >= 1 << 8 * size:
            raise CannotInject
        draft.number(entry.value_at + number * size, CODES[entry.field_type], value)


def shift_starts(draft: Draft, table: Table, by: int) -> None:
    """Let the starts of intervals that NDPI lists stay right: the header is longer."""
    if NDPI_STARTS not in table or table[NDPI_STARTS].is_inline:
        raise CannotInject
    entry = table[NDPI_STARTS]
    starts = draft.structure.integers(entry)
    draft.put(entry.value_at, struct.pack(f"<{len(starts)}I", *(start + by for start in starts)))


def add_to_tables(draft: Draft, words: Words) -> None:
    """Put a segment into the tables that the tiles of a level share."""
    tables = [t for t in draft.structure.tables if JPEG_TABLES in t]
    if not tables:
        raise CannotInject
    table = draft.chance.choice(tables)
    entry = table[JPEG_TABLES]
    data = draft.structure.value(entry)
    data = data[:2] + segment_of(draft, words) + data[2:]
    point_at(draft, table, entry, draft.append(data), len(data))


def segment_of(draft: Draft, words: Words) -> bytes:
    """Return an APPn or COM segment of no known kind."""
    marker = draft.chance.choice((0xFE, *range(0xE0, 0xF0)))
    body = words.key.encode() + b"\0" + words.text.encode()
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segment(draft: Draft, data: bytes, words: Words) -> bytes:
    """Return a JPEG with one more segment in its header, or with bytes behind its end."""
    places, at = [2], 2
    while data[at : at + 1] == b"\xff" and data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
        places.append(at)
    if data[at : at + 1] != b"\xff":  # no JPEG, whatever the tag says
        raise CannotInject
    if draft.chance.random() < 0.1 and not draft.structure.is_ndpi:
        return data + words.text.encode()
    place = draft.chance.choice(places)
    return data[:place] + segment_of(draft, words) + data[place:]


def with_comment(draft: Draft, data: bytes, words: Words) -> bytes:
    """Return JPEG 2000 with a comment in its main header or first tile-part, or with one more box.

    In a later tile-part it is a reason to refuse, see ``rust/core/tests/jpeg2000.rs``.
    """
    if data.startswith(BOX_FILE):
        return with_box(draft, data, words)
    body = b"\0\1" + words.text.encode()
    comment = struct.pack(">BBH", 0xFF, 0x64, len(body) + 2) + body
    is_in_tile_part = draft.chance.random() < 0.5
    part = data.index(b"\xff\x90\x00\x0a")
    if is_in_tile_part:
        (length,) = struct.unpack_from(">I", data, part + 6)
        longer = struct.pack(">I", length + len(comment) if length else 0)
        data = data[: part + 6] + longer + data[part + 10 :]
    place = 2
    while data[place : place + 2] != (b"\xff\x93" if is_in_tile_part else b"\xff\x90"):
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return data[:place] + comment + data[place:]


def with_box(draft: Draft, data: bytes, words: Words) -> bytes:
    """Return a JP2 file with a box that no reader needs, before or behind the codestream."""
    places, at = [], len(BOX_FILE)
    while at < len(data):
        at += int.from_bytes(data[at : at + 4]) or len(data)
        places.append(at)
    letters = "".join(draft.chance.choices(string.ascii_lowercase, k=4)).encode()
    kind = draft.chance.choice((b"uuid", b"xml ", b"uinf", b"free", letters))
    body = bytes(16) * (kind == b"uuid") + f"<{words.key}>{words.text}</{words.key}>".encode()
    place = draft.chance.choice(places)
    return data[:place] + struct.pack(">I4s", len(body) + 8, kind) + body + data[place:]


KINDS: tuple[Callable[[Draft, Words], None], ...] = (
    add_tag,
    add_exif,
    add_key,
    add_behind_the_end,
    add_node,
    add_to_stream,
    add_to_tables,
)
