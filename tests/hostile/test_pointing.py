"""A level that points at what is not a level is refused, in every format."""

import random
import struct

import pytest

import coverslip
from tests.hostile.structure import CODES, SIZES, parse
from tests.synth import FORMATS, build_svs

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


def pointed(chance, at, size):
    """Return a range that shares a byte with another: from its start, reaching in, inside."""
    kind = chance.randrange(3)
    if kind == 0 or at < 64:
        return at, size
    if kind == 1:
        return at - 40, 41
    inside = chance.randrange(size)
    return at + inside, chance.randrange(1, size - inside + 1)


@pytest.mark.parametrize("name", FORMATS)
def test_level_that_points_at_no_level_is_refused(name, originals, tmp_path):
    original = next(original for original in originals if original.name == name)
    path, chance = original.path, random.Random(name)
    levels = {ifd for level in coverslip.open(path).levels for ifd in level.ifds}
    with path.open("rb") as file:
        structure = parse(file, path.stat().st_size)
        tables = [structure.tables[number] for number in levels]
        found = list(victims(structure, tables))
        pictures = [victim for victim in found if victim[0] == "picture"]
        chosen = chance.choices(found, k=2) + chance.choices(pictures, k=2 if pictures else 0)
        for _, at, size in chosen:
            table = chance.choice(tables)
            tag = 324 if 324 in table else 273
            offsets, counts = table[tag], table[OFFSETS[tag]]
            sizes = structure.integers(counts)
            tile = chance.choice([number for number, count in enumerate(sizes) if count])
            begin, length = pointed(chance, at, size)
            patches = [(offsets, begin), (counts, length)]
            refuse(path, structure, tile, patches, tmp_path)


def refuse(path, structure, tile, patches, tmp_path):
    """Patch a tile of a slide and convert it; the slide is as it was then."""
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
        with pytest.raises(coverslip.CoverslipError):
            coverslip.convert(path, tmp_path / "out", mpp_um=0.5, allow_pixel=True)
        assert not (tmp_path / "out").exists()
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
