"""A level that points at what is not a level is refused, in every format."""

import os
import struct
from contextlib import contextmanager

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import coverslip
from tests.hostile.structure import CODES, SIZES, parse
from tests.synth import FORMATS, build_svs

RANGES = int(os.environ.get("COVERSLIP_RANGES", "3"))
"""How many are tried of each format."""
OFFSETS, COUNTS = {324: 325, 273: 279}, (325, 279)


def victims(structure, level_tables):
    """Yield name, offset and length of what no level may show."""
    yield "header", 1, 7
    for table in structure.tables:
        yield "directory", table.at, table.end - table.at
        for entry in table.entries:
            if not entry.is_inline and entry.tag not in (*OFFSETS, *COUNTS):
                yield f"value of tag {entry.tag}", entry.value_at, entry.byte_count
        for tag, other in OFFSETS.items():
            if table not in level_tables and tag in table:
                sizes = structure.integers(table[other])
                for at, size in zip(structure.integers(table[tag]), sizes, strict=True):
                    if size:
                        yield "picture", at, size


@st.composite
def reaching(draw, found):
    """Draw a range of bytes that shares at least one with a victim, and reaches anywhere else."""
    pictures = [victim for victim in found if victim[0] == "picture"]
    _, at, size = draw(st.sampled_from(pictures or found) | st.sampled_from(found))
    shared = at + draw(st.integers(0, size - 1))
    left, right = (draw(st.integers(0, 4) | st.integers(0, 30_000)) for _ in range(2))
    begin = max(1, shared - left)  # no tile begins at 0: that is a missing one
    return begin, shared + right + 1 - begin


def tiles_of(structure, number, width):
    """Return the tiles or strips of a level that show a part of it: some lie beside it."""
    table = structure.tables[number]
    counts = structure.integers(table[325 if 325 in table else 279])
    there = [tile for tile, count in enumerate(counts) if count]
    if 322 not in table:
        return there
    side = structure.first(table, 322)
    stored = -(-structure.first(table, 256) // side)
    return [tile for tile in there if tile % stored * side < width]


@pytest.mark.parametrize("name", FORMATS)
def test_level_that_points_at_any_part_of_what_is_no_level_is_refused(name, originals, tmp_path):
    """A property: whichever tile of whichever level, and however little is shared."""
    original = next(original for original in originals if original.name == name)
    path, changed = original.path, original.changed(original.path, 0)
    widths = {
        ifd: level.focal_planes[0].image_width
        for level in coverslip.open(path).levels
        for ifd in level.ifds
    }
    with changed.open("rb") as file:
        structure = parse(file, changed.stat().st_size)
        numbers = [number for number in sorted(widths) if number < len(structure.tables)]
        found = list(victims(structure, [structure.tables[number] for number in numbers]))
        tiles = {number: tiles_of(structure, number, widths[number]) for number in numbers}

    # Without making a failure smaller: that takes longer than a test may.
    @settings(max_examples=RANGES, derandomize=True, database=None,
              phases=[Phase.generate])  # fmt: skip
    @given(st.data())
    def holds(data):
        begin, length = data.draw(reaching(found))
        number = data.draw(st.sampled_from(numbers))
        table = structure.tables[number]
        tag = 324 if 324 in table else 273
        offsets, counts = table[tag], table[OFFSETS[tag]]
        tile = data.draw(st.sampled_from(tiles[number]))
        with patched(changed, structure, tile, [(offsets, begin), (counts, length)]):
            refuse(path, tmp_path)

    holds()


def refuse(path, tmp_path):
    with pytest.raises(coverslip.CoverslipError):
        coverslip.convert(path, tmp_path / "out", mpp_um=0.5, allow_pixel=True)
    assert not (tmp_path / "out").exists()


@contextmanager
def patched(path, structure, tile, patches):
    """Patch a tile of a file; it is as it was afterwards."""
    before = []
    with path.open("r+b") as file:
        for entry, value in patches:
            size = SIZES[entry.field_type]
            at = entry.value_at + tile * size
            file.seek(at)
            before.append((at, file.read(size)))
            file.seek(at)
            code = structure.order + CODES[entry.field_type]
            file.write(struct.pack(code, value & ((1 << 8 * size) - 1)))
    try:
        yield
    finally:
        with path.open("r+b") as file:
            for at, data in before:
                file.seek(at)
                file.write(data)


@pytest.mark.parametrize("inside", [0, 100])
def test_picture_whose_length_no_tag_tells_is_no_level(inside, tmp_path):
    slide = build_svs(tmp_path, 1, size=(200, 150), tile=64, levels=1)
    with slide.path.open("rb") as file:
        structure = parse(file, slide.path.stat().st_size)
        label = next(table for table in structure.tables[1:] if 273 in table and 279 in table)
        at = structure.first(label, 273) + inside
    content = bytearray(slide.path.read_bytes())
    struct.pack_into("<H", content, label[279].at, 65001)
    slide.path.write_bytes(content)
    assert coverslip.convert(slide.path, tmp_path / "out").frames.copied == 12
    struct.pack_into("<I", content, structure.tables[0][324].value_at, at)
    slide.path.write_bytes(content)
    private = coverslip.open(slide.path).description.private_ranges
    assert any(begin <= at < begin + count for begin, count in private.tolist())
    with pytest.raises(coverslip.CoverslipError):
        coverslip.convert(slide.path, tmp_path / "other")
