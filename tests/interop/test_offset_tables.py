"""Both offset tables, read by other people's readers."""

import functools
import struct
import threading
from contextlib import suppress

import numpy as np
import pydicom
import pytest

import coverslip
from coverslip import _core
from coverslip.sample import write_sample
from tests.interop import readers
from tests.synth import build_generic


@pytest.fixture(params=[False, True], ids=["basic", "extended"])
def converted(request, tmp_path, monkeypatch):
    """A slide, its only instance, and whether that has the Extended Offset Table."""
    write = functools.partial(_core.write_instance, extended_offset_table=request.param)
    monkeypatch.setattr(_core, "write_instance", write)
    slide = build_generic(tmp_path, levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out")
    return slide.levels[0], result.instances[0].path, request.param


def test_readers_find_every_frame_through_either_table(converted):
    level, path, extended = converted
    dataset = pydicom.dcmread(path)
    assert ("ExtendedOffsetTable" in dataset) == extended
    frames = readers.by_pydicom(path, "pylibjpeg")
    shown = [
        readers.mosaic(frames, level.width, level.length),
        readers.by_highdicom(path),
        readers.by_wsidicom(path.parent)[0],
        readers.by_openslide(path.parent)[0],
    ]
    for pixels in shown:
        assert np.abs(pixels.astype(int) - level.rgb).mean() < 2.5


@pytest.mark.tools
def test_validator_finds_no_error_with_either_table(converted, tool):
    _, path, extended = converted
    complaints = readers.dciodvfy(path, tool("dciodvfy"))
    assert not [line for line in complaints if line.startswith("Error")]
    # It warns of what it does not know: the validator of 2022 has no VR OV.
    assert extended or complaints == []


def test_extended_offset_table_counts_padded_lengths(converted):
    _, path, extended = converted
    dataset = pydicom.dcmread(path)
    lengths = [len(frame) for frame in readers.frames_of(path)]
    assert all(length % 2 == 0 for length in lengths)
    if extended:
        table = struct.unpack(f"<{len(lengths)}Q", dataset.ExtendedOffsetTableLengths)
        assert list(table) == lengths


def test_tile_beyond_four_gigabytes_is_copied(tmp_path):
    slide = build_generic(tmp_path, levels=1, bigtiff=True, style={"comments": False})
    data = slide.path.read_bytes()
    last = slide.levels[0].pieces[-1]
    far = (1 << 32) + 4096
    patched = data.replace(struct.pack("<Q", data.index(last)), struct.pack("<Q", far))
    with slide.path.open("wb") as file:
        file.write(patched)
        file.seek(far)
        file.write(last)
    result = coverslip.convert(slide.path, tmp_path / "out")
    frames = readers.frames_of(result.instances[0].path)
    assert last[-300:-2] in frames[-1]


def test_other_threads_run_while_a_slide_is_converted(tmp_path):
    path = write_sample(tmp_path / "sample.svs", byte_count=30_000_000).path
    opened = coverslip.open(path)
    level = opened.levels[0]
    tiles = _core.TileIndex(
        opened.source,
        level.tiles.offsets,
        level.tiles.byte_counts,
        opened.description.private_ranges,
    )
    size = {"columns": level.tile_width, "rows": level.tile_length}
    plan = _core.plan_jpeg(
        opened.source, tiles, **size, colour="RGB", jpeg_tables=level.jpeg_tables
    )

    def is_seen_growing(number):
        """Tell whether this thread saw a file that another one had written in part."""
        path, sizes = tmp_path / f"{number}.dcm", set()
        writer = threading.Thread(
            target=_core.write_instance, args=(opened.source, plan, b"", path)
        )
        writer.start()
        while writer.is_alive():
            with suppress(FileNotFoundError):
                sizes.add(path.stat().st_size)
        return len(sizes - {0, path.stat().st_size}) > 0

    # Never, if it had to wait; a machine that has other things to do may not let it run once.
    assert any(is_seen_growing(number) for number in range(20))
