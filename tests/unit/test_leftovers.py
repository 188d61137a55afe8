"""What lies in a slide beside its tags and pixels is told, place by place."""

import json
import sqlite3
import struct
import zlib

import jsonschema
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

import coverslip
from coverslip.audit import certificate_schema
from coverslip.gaps import gaps_between
from coverslip.leftovers.streams import CutOffError, behind_the_end, is_stream, walk
from coverslip.model import Fate, ItemKind
from tests.choices import of_each_builder
from tests.interop.readers import frames_of
from tests.program import command
from tests.synth import FORMATS, build_generic, build_ndpi, build_svs

SECRET = b"QUILLFEATHER Ottoline"


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_tile(built, number, change):
    """Write a tile of the first level anew behind the end; what it was becomes a gap."""
    with tifffile.TiffFile(built.path) as tiff:
        page = tiff.pages[0]
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        at = {tag: page.tags[tag].valueoffset + 4 * number for tag in (324, 325)}
    data = bytearray(built.path.read_bytes())
    tile = change(bytes(data[offset : offset + count]))
    struct.pack_into("<I", data, at[324], len(data))
    struct.pack_into("<I", data, at[325], len(tile))
    built.path.write_bytes(data + tile)
    return offset, count, len(data)


def leftovers(built):
    return coverslip.open(built.path).leftovers()


def one(built, place, key, at=None):
    """Return the only thing of a kind that says the secret, or lies at an offset."""
    found = [item for item in leftovers(built) if (item.place, item.key) == (place, key)]
    if at is None:
        (found,) = [i for i in found if i.text is not None and SECRET.decode() in i.text.reveal()]
        return found
    (found,) = [item for item in found if item.stored.offset == at]
    return found


@pytest.mark.parametrize(
    ("marker", "body", "key", "kind"),
    [
        (0xFE, SECRET, "COM", ItemKind.TEXT),
        (0xE1, b"Exif\0\0" + SECRET, "APP1", ItemKind.TEXT),
        (0xE2, b"ICC_PROFILE\0\1\1" + bytes(60), "APP2", ItemKind.DEVICE),
        (0xED, b"Photoshop 3.0\0" + SECRET, "APP13", ItemKind.TEXT),
        (0xE0, b"JFXX\0\x10" + bytes(40), "APP0", ItemKind.UNKNOWN),
        (0xEE, b"Adobe\0" + SECRET, "APP14", ItemKind.UNKNOWN),
    ],
)
def test_segment_of_a_tile_is_found_where_it_stands(marker, body, key, kind, tmp_path):
    built = build_generic(tmp_path, size=(200, 150), tile=64, levels=1)
    added = segment(marker, body)
    at = with_tile(built, 0, lambda tile: tile[:2] + added + tile[2:])[2]
    found = one(built, "IFD 0 tiles", key, at + 2 + 4)
    assert (found.kind, found.pieces, found.byte_count) == (kind, 1, len(body))
    assert found.stored.ifd == 0
    assert built.path.read_bytes()[found.stored.offset :].startswith(body)
    if body == SECRET:
        assert found.text.reveal() == SECRET.decode()
    assert SECRET.decode() not in repr(found)


def test_bytes_behind_the_end_of_a_tile_are_found(tmp_path):
    built = build_generic(tmp_path, size=(200, 150), tile=64, levels=1)
    with_tile(built, 0, lambda tile: tile + SECRET)
    found = one(built, "IFD 0 tiles", "behind the end")
    assert (found.pieces, found.text.reveal()) == (1, SECRET.decode())


def test_bytes_behind_the_end_of_a_deflate_stream_are_found(tmp_path):
    built = build_generic(tmp_path, codec="deflate", size=(200, 150), tile=64, levels=1)
    assert "behind the end" not in [item.key for item in leftovers(built)]
    with_tile(built, 0, lambda tile: tile + SECRET)
    found = one(built, "IFD 0 tiles", "behind the end")
    assert (found.pieces, found.text.reveal()) == (1, SECRET.decode())
    assert (found.looked_at, found.among) == (7, 12)
    data = built.path.read_bytes()
    assert data[found.stored.offset :][: found.stored.byte_count] == SECRET


def test_deflate_stream_that_becomes_much_is_not_inflated_to_its_end():
    bomb = zlib.compress(bytes(1 << 24)) + SECRET
    assert behind_the_end(bomb, 2) is None
    assert behind_the_end(zlib.compress(b"x") + SECRET, 2).data == SECRET
    assert behind_the_end(zlib.compress(b"x")[:-1] + b"?" + SECRET, 2) is None


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("tiles", [4, 100])
@pytest.mark.parametrize("codec", ["jpeg", "jpeg_rgb_own_tables", "j2k_rgb"])
def test_what_lies_between_two_end_markers_goes_nowhere(codec, tiles, verify, tmp_path):
    """A reader that looks at the end of a tile only takes the second marker for its end."""
    size = (16 * tiles, 64) if tiles > 4 else (200, 150)
    tile = 16 if tiles > 4 else 128
    built = build_generic(tmp_path, codec=codec, size=size, tile=tile, levels=1)
    plain = coverslip.convert(built.path, tmp_path / "plain")
    frames = frames_of(plain.instances[0].path)

    def change(tile):
        """Of a codestream the length of its only tile-part is left open (T.800 A.4.2)."""
        if codec == "j2k_rgb":
            start = tile.index(b"\xff\x90\x00\x0a")
            tile = tile[: start + 6] + bytes(4) + tile[start + 10 :]
        return tile + SECRET + b"\xff\xd9"

    for number in {0, len(frames) - 1}:
        with_tile(built, number, change)
    found = one(built, "IFD 0 tiles", "behind the end")
    assert found.text.reveal() == SECRET.decode()
    done = coverslip.convert(built.path, tmp_path / "out", verify=verify)
    assert done.frames.copied == len(frames)
    if codec != "j2k_rgb":
        assert frames_of(done.instances[0].path) == frames
    data = done.instances[0].path.read_bytes()
    assert SECRET not in data
    assert coverslip.verify(done.study_path, built.path).is_clean


@pytest.mark.parametrize("padding", [b"\0" * 40, b"\xff" * 7])
def test_padding_behind_a_tile_is_nothing(padding, tmp_path):
    built = build_generic(tmp_path, size=(200, 150), tile=64, levels=1)
    with_tile(built, 0, lambda tile: tile + padding)
    assert "behind the end" not in [item.key for item in leftovers(built)]


@pytest.mark.parametrize("boxed", [False, True])
def test_comments_and_boxes_of_jpeg2000_are_found(boxed, tmp_path):
    built = build_generic(
        tmp_path, codec="j2k_rgb", boxed=boxed, size=(200, 150), tile=64, levels=1
    )
    box = struct.pack(">I4s", 8 + len(SECRET), b"xml ") + SECRET
    odd = struct.pack(">I4s", 8 + len(SECRET), b"qxyz") + SECRET

    def change(tile):
        place = tile.index(b"\xff\x4f\xff\x51") + 2
        size = 2 + struct.unpack_from(">H", tile, place + 2)[0]
        comment = segment(0x64, b"\0\1" + SECRET)
        if not boxed:
            return tile[: place + size] + comment + tile[place + size :]
        at = tile.index(b"jp2c") - 4
        return tile[:at] + box + odd + tile[at:]

    with_tile(built, 0, change)
    keys = {"xml", None} if boxed else {"COM"}
    mine = [i for i in leftovers(built) if i.text and SECRET.decode() in i.text.reveal()]
    assert {item.key for item in mine if item.place == "IFD 0 tiles"} == keys


def test_segments_of_shared_tables_and_of_pictures_beside_the_levels_are_found(tmp_path):
    built = build_svs(tmp_path, size=(200, 150), tile=64, levels=1)
    data = built.path.read_bytes()
    with tifffile.TiffFile(built.path) as tiff:
        tables = tiff.pages[0].tags[347]
        entry = tables.offset
        whole = bytes(tables.value)
    longer = whole[:2] + segment(0xFE, SECRET) + whole[2:]
    changed = bytearray(data + longer)
    struct.pack_into("<II", changed, entry + 4, len(longer), len(data))
    built.path.write_bytes(changed)
    found = one(built, "JPEGTables", "COM")
    assert found.text.reveal() == SECRET.decode()
    assert found.stored.offset == len(data) + 6


def test_every_picture_of_a_whole_level_is_looked_at(tmp_path):
    built = build_ndpi(tmp_path, size=(1120, 80), levels=2)
    found = [item for item in leftovers(built) if item.place.endswith("tiles")]
    assert all((item.looked_at, item.among) == (1, 1) for item in found)


def test_what_was_rewritten_and_what_was_unlinked_lies_in_gaps(tmp_path):
    built = build_generic(tmp_path, size=(200, 150), tile=64, levels=2)
    offset, count, end = with_tile(built, 1, lambda tile: tile)
    with built.path.open("ab") as file:
        file.write(b"label of " + SECRET)
    gaps = [item for item in leftovers(built) if item.place == "gap"]
    (old,) = [g for g in gaps if g.stored.offset <= offset < g.stored.offset + g.byte_count]
    assert old.byte_count >= count
    tail = one(built, "behind the last part", None)
    assert tail.kind is ItemKind.TEXT
    assert tail.text.reveal() == "label of QUILLFEATHER Ottoline"
    assert tail.stored.offset == end + count


def test_picture_that_nothing_points_at_is_told_as_one(tmp_path):
    built = build_generic(tmp_path, size=(200, 150), tile=64, levels=1)
    with tifffile.TiffFile(built.path) as tiff:
        page = tiff.pages[0]
        tile = built.path.read_bytes()[page.dataoffsets[0] :][: page.databytecounts[0]]
    end = built.path.stat().st_size
    with_tile(built, 1, lambda other: tile + bytes(16) + other)
    data = bytearray(built.path.read_bytes())
    with tifffile.TiffFile(built.path) as tiff:
        page = tiff.pages[0]
        at = {tag: page.tags[tag].valueoffset + 4 for tag in (324, 325)}
    shift = len(tile) + 16
    struct.pack_into("<I", data, at[324], end + shift)
    struct.pack_into("<I", data, at[325], len(data) - end - shift)
    built.path.write_bytes(data)
    gaps = [item for item in leftovers(built) if item.place == "gap"]
    found = [g for g in gaps if g.stored.offset <= end < g.stored.offset + g.byte_count]
    assert [g.kind for g in found] == [ItemKind.PICTURE]


def test_a_directory_that_nothing_links_any_more_lies_in_a_gap(tmp_path):
    built = build_generic(tmp_path, size=(200, 150), tile=64, levels=2)
    before = leftovers(built)
    with tifffile.TiffFile(built.path) as tiff:
        first, second = tiff.pages
        link, at = first.offset + 2 + 12 * len(first.tags), second.offset
        streams = sum(second.databytecounts)
    data = bytearray(built.path.read_bytes())
    struct.pack_into("<I", data, link, 0)
    built.path.write_bytes(data)
    gaps = [item for item in leftovers(built) if item.place in ("gap", "behind the last part")]
    assert sum(item.byte_count for item in gaps) > streams + sum(
        item.byte_count for item in before if item.stored and "IFD" not in item.place
    )
    assert any(g.stored.offset <= at < g.stored.offset + g.byte_count for g in gaps)


def test_many_gaps_are_told_by_the_longest_and_the_sum_of_the_rest(tmp_path):
    built = build_generic(tmp_path, size=(1600, 1600), tile=128, levels=1)
    with tifffile.TiffFile(built.path) as tiff:
        page = tiff.pages[0]
        starts, counts = page.dataoffsets, page.databytecounts
        at = {tag: page.tags[tag].valueoffset for tag in (324, 325)}
    data = bytearray(built.path.read_bytes())
    whole = bytes(data)
    sizes = []
    for number, (start, count) in enumerate(zip(starts, counts, strict=True)):
        leader = struct.pack("<I", count) + b"\1\2\3\4" * (1 + number % 3)
        sizes.append(len(leader))
        data += leader
        struct.pack_into("<I", data, at[324] + 4 * number, len(data))
        data += whole[start : start + count]
    built.path.write_bytes(data)
    found = [item for item in leftovers(built) if item.looked_at is None]
    listed = [item for item in found if item.place != "further gaps"]
    (others,) = [item for item in found if item.place == "further gaps"]
    assert len(listed) == 64
    assert others.pieces > 50
    assert sum(item.byte_count for item in found) >= sum(sizes) + sum(counts)
    assert others.byte_count / others.pieces <= min(item.byte_count for item in listed)


PLANTED_BYTES = 32
"""No builder plants more between two parts of a slide."""


@pytest.mark.parametrize("name", [*of_each_builder(-1), "ndpi-without-high-words", "ndpi"])
def test_nothing_that_a_directory_needs_is_taken_for_a_gap(name, tmp_path):
    """Links, high words, values, tables, tiles; what builders plant is short, and is found."""
    built = FORMATS[name](tmp_path)
    gaps = [item for item in leftovers(built) if item.place in ("gap", "behind the last part")]
    assert max((gap.byte_count for gap in gaps), default=0) <= PLANTED_BYTES
    written = b"\n".join(path.read_bytes() for path in built.paths)
    for text in (gap.text.reveal() for gap in gaps if gap.text is not None):
        assert any(text.encode(code) in written for code in ("utf-8", "utf-16-le"))
    assert any(gap.text is not None for gap in gaps)


def test_certificate_vault_and_inspection_tell_the_same(tmp_path):
    built = build_svs(tmp_path, size=(200, 150), tile=64, levels=1)
    comment = segment(0xFE, SECRET)
    tile = with_tile(built, 0, lambda tile: tile[:2] + comment + tile[2:])[2]
    with_tile(built, 11, lambda tile: tile[:2] + comment + tile[2:])
    policy = coverslip.Policy(profile="research", link="none")
    result = coverslip.convert(built.path, tmp_path / "out", policy=policy)
    certificate = json.loads(result.certificate_path.read_text())
    jsonschema.Draft202012Validator(certificate_schema()).validate(certificate)
    rows = {(row["place"], row["what"]): row for row in certificate["findings"]["left_behind"]}
    row = rows["tiles", "COM"]
    assert (row["ifd"], row["kind"]) == (0, "free text")
    assert (row["streams_looked_at"], row["streams"]) == (7, 12)
    # Each tile has a comment of its own.
    assert (row["pieces"], row["bytes"]) == (7 + 2, 7 * 9 + 2 * len(SECRET))
    assert rows["gap", None]["pieces"] >= 1
    assert certificate["instances"][0]["segments_dropped"] >= 2
    by_place = certificate["findings"]["by_place_and_fate"]
    assert "tiles" in [row["place"] for row in by_place]
    assert SECRET.decode() not in result.certificate_path.read_text()
    assert "COM" not in certificate["findings"]["keys_removed"]

    with sqlite3.connect(tmp_path / "out.vault" / "vault.sqlite") as db:
        kept = db.execute(
            "SELECT value, fate, ifd, byte_offset, byte_count, pieces, looked_at, among "
            "FROM finding WHERE place = 'IFD 0 tiles' AND value = ?",
            (SECRET.decode(),),
        ).fetchall()
        (total,) = db.execute("SELECT count(*) FROM finding").fetchone()
    assert kept == [(SECRET.decode(), "dropped", 0, tile + 6, len(SECRET), 2, 7, 12)]
    assert total == certificate["findings"]["count"]

    shown = json.loads(command("inspect", built.path, "--json").stdout)
    mine = [row for row in shown["findings"] if row["place"] == "IFD 0 tiles"]
    mine = [row for row in mine if row["pieces"] == 2]
    assert [(row["key"], row["bytes"]) for row in mine] == [("COM", 2 * len(SECRET))]
    assert SECRET.decode() not in json.dumps(shown)


def test_every_leftover_has_a_fate(tmp_path):
    built = build_svs(tmp_path)
    scrubbed = coverslip.open(built.path).scrub(coverslip.Policy())
    left = [finding for finding in scrubbed.findings if finding.is_leftover]
    assert len(left) == len(leftovers(built))
    assert {finding.fate for finding in left} <= {Fate.DROPPED}


@given(
    st.binary(max_size=300), st.sampled_from([b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"abcdjP  "])
)
def test_any_bytes_are_walked_to_an_end(data, start):
    stream = start + data
    assert is_stream(stream)
    try:
        walked = walk(stream)
    except CutOffError:
        return
    assert all(part.start + len(part.data) <= len(stream) for part in walked.parts)
    behind_the_end(stream, walked.length)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 60)), min_size=1, max_size=20))
def test_gaps_are_the_bytes_that_no_range_covers(ranges):
    is_covered = np.zeros(100, bool)
    for offset, count in ranges:
        is_covered[offset : offset + count] = True
    in_gap = np.zeros(100, bool)
    for offset, count in gaps_between([np.array(ranges, np.uint64)], 100).tolist():
        assert not in_gap[offset : offset + count].any()
        in_gap[offset : offset + count] = True
    assert np.array_equal(in_gap, ~is_covered)
