"""Streams and texts inside a slide that try to crash, to fill or to mislead."""

import base64
import struct
import time

import pytest

import coverslip
from tests.hostile.test_bad_input import patched, refuse
from tests.synth import build_generic, build_ndpi, build_philips, build_svs, tiff

SMALL = {"size": (200, 150), "tile": 64, "levels": 1}
OWN_TABLES = {"codec": "jpeg_rgb_own_tables", "style": {"comments": False}}


@pytest.mark.parametrize("length", [0, 1, 65535])
@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc4", b"\xff\xc0", b"\xff\xda"])
def test_segment_of_impossible_length_names_its_tile(marker, length, tmp_path):
    slide = build_generic(tmp_path, 1, **OWN_TABLES, **SMALL)
    tile = slide.levels[0].pieces[5]
    at = tile.index(marker)
    patched(slide, tile, tile[: at + 2] + struct.pack(">H", length) + tile[at + 4 :])
    error = refuse(slide, tmp_path, coverslip.SourceError)
    assert "level 0: tile 5: " in str(error)


def test_huffman_table_that_is_no_prefix_code_names_its_tile(tmp_path):
    slide = build_generic(tmp_path, 1, **OWN_TABLES, **SMALL)
    tile = slide.levels[0].pieces[5]
    at = tile.index(b"\xff\xc4") + 5
    counts = bytearray(tile[at : at + 16])
    moved = sum(counts[1:])
    counts[:] = bytes([min(moved, 255)]) + bytes(15)  # more codes of one bit than there are
    patched(slide, tile, tile[:at] + bytes(counts) + tile[at + 16 :])
    error = refuse(slide, tmp_path, coverslip.CoverslipError)
    assert "level 0: tile 5: " in str(error)


@pytest.mark.parametrize("new", [b"\xff\xd3", b"\0\0", b"\xff\xd9"])
def test_restart_marker_that_is_missing_or_out_of_order_is_refused(new, tmp_path):
    slide = build_ndpi(tmp_path, 1, size=(2240, 200), levels=1, restart_blocks=4, starts="absent")
    stream = slide.path.read_bytes()
    first = stream.index(b"\xff\xd0", stream.index(b"\xff\xda"))
    at = stream.index(b"\xff\xd1", first)
    slide.path.write_bytes(stream[:at] + new + stream[at + 2 :])
    error = refuse(slide, tmp_path, coverslip.CoverslipError)
    assert str(error).startswith("level 0: ")


@pytest.mark.parametrize("length", [1, 11, 13, 1 << 31, (1 << 32) - 1])
def test_tile_part_of_absurd_length_names_its_tile(length, tmp_path):
    slide = build_svs(tmp_path, 1, codec="j2k_33005", **SMALL)
    tile = slide.levels[0].pieces[5]
    at = tile.index(b"\xff\x90") + 6
    patched(slide, tile, tile[:at] + struct.pack(">I", length) + tile[at + 4 :])
    error = refuse(slide, tmp_path, coverslip.SourceError)
    assert "level 0: tile 5" in str(error)


def test_sub_directories_are_read_without_recursion_up_to_the_limit(tmp_path):
    path = tmp_path / "deep.tif"
    writer = tiff.Writer(big_endian=False, bigtiff=False, gap=b"")
    tags = {256: tiff.long(1), 257: tiff.long(1)}
    child, _ = writer.directory(tiff.Directory(tags))
    for _ in range(5000):
        child, _ = writer.directory(tiff.Directory(tags | {330: tiff.Value(tiff.IFD, (child,))}))
    writer._patch(4, child)
    path.write_bytes(bytes(writer.out))
    begin = time.process_time()
    with pytest.raises(coverslip.LimitError, match="directories = 4096"):
        coverslip.open(path)
    assert time.process_time() - begin < 5


def with_description(slide, change):
    """Move the description of a little-endian classic TIFF to the end of the file, changed."""
    data = bytearray(slide.path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        tag, _, length, at = struct.unpack_from("<HHII", data, entry)
        if tag == 270:
            text = change(bytes(data[at : at + length]).rstrip(b"\0")) + b"\0"
            struct.pack_into("<II", data, entry + 4, len(text), len(data))
            data += text
    slide.path.write_bytes(data)


def test_base64_that_unpacks_to_much_is_no_profile_and_costs_little(tmp_path):
    slide = build_philips(tmp_path, 1, levels=1)
    much = base64.b64encode(bytes(12 << 20)).decode()
    name = '<Attribute Name="DICOM_ICCPROFILE" Group="0x28" Element="0x2000" PMSVR="IString">'
    begin = time.process_time()
    with_description(
        slide,
        lambda text: text.replace(
            b"</DataObject>", f'{name}"{much}"</Attribute></DataObject>'.encode(), 1
        ),
    )
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert sum(instance.byte_count for instance in result.instances) < 1 << 20
    assert time.process_time() - begin < 15


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE x [<!ENTITY a "DOE">]><DataObject ObjectType="DPUfsImport">&a;</DataObject>',
        b'<!DOCTYPE x SYSTEM "file:///etc/hostname"><DataObject ObjectType="DPUfsImport"/>',
        b'<DataObject ObjectType="DPUfsImport">' + b"<a>" * 100_000,
    ],
)
def test_xml_that_grows_or_reads_files_is_refused(document, tmp_path):
    slide = build_philips(tmp_path, 1, levels=1)
    with_description(slide, lambda text: document)
    error = refuse(slide, tmp_path, coverslip.CoverslipError)
    assert "DOE" not in str(error)


def test_profile_whose_tags_share_their_bytes_stays_small(tmp_path):
    slide = build_svs(tmp_path, 1, **SMALL)
    data = slide.path.read_bytes()
    at = data.index(b"acsp") - 36
    (count,) = struct.unpack_from(">I", data, at + 128)
    table = bytearray(data[at + 132 : at + 132 + 12 * count])
    size = int.from_bytes(data[at : at + 4])
    for entry in range(0, len(table), 12):
        struct.pack_into(">II", table, entry + 4, 0, size)  # each is the whole profile
    patched(slide, data[at + 132 : at + 132 + 12 * count], bytes(table))
    result = coverslip.convert(slide.path, tmp_path / "out")
    assert sum(instance.byte_count for instance in result.instances) < 100_000
