import numpy as np
import pytest

import coverslip
from coverslip.model import Role
from coverslip.tiff import open_tiff
from tests.synth import build_generic, tiff
from tests.synth.tiff import Directory


def tags(width, length, **more):
    names = {"subfile": 254, "compression": 259, "tile": 322}
    chosen = {names[name]: value for name, value in more.items() if name != "tile"}
    tile = more.get("tile", tiff.short(64))
    return {
        254: tiff.long(0),
        256: tiff.long(width),
        257: tiff.long(length),
        258: tiff.short(8, 8, 8),
        259: tiff.short(7),
        262: tiff.short(6),
        277: tiff.short(3),
        322: tile,
        323: tile,
    } | chosen


def write(path, directories, **options):
    tiff.write_tiff(path, directories, **options)
    return path


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("subifds", [False, True])
def test_levels_are_found_in_every_layout(big_endian, bigtiff, subifds, tmp_path):
    built = build_generic(tmp_path, big_endian=big_endian, bigtiff=bigtiff, subifds=subifds)
    levels = coverslip.open(built.path).levels
    sizes = [(level.image_width, level.image_length) for level in levels]
    assert sizes == [(level.width, level.length) for level in built.levels]
    data = built.path.read_bytes()
    for level, truth in zip(levels, built.levels, strict=True):
        ranges = zip(level.tiles.offsets, level.tiles.byte_counts, strict=True)
        assert [data[int(o) : int(o + c)] for o, c in ranges] == truth.pieces


def test_resolution_nobody_set_is_unknown(tmp_path):
    base = tags(100, 100) | {
        282: tiff.rational(72, 1),
        283: tiff.rational(72, 1),
        296: tiff.short(2),
    }
    path = write(tmp_path / "x.tif", [Directory(base, [b"x"] * 4)])
    assert coverslip.open(path).spacing is None


def test_mask_is_no_level_and_unlike_picture_is_a_label(tmp_path):
    path = write(
        tmp_path / "x.tif",
        [
            Directory(tags(200, 100), [b"x"] * 8),
            Directory(tags(100, 50, subfile=tiff.long(4)), [b"x"] * 2),
            Directory(tags(64, 64), [b"x"]),
        ],
    )
    slide = coverslip.open(path)
    assert len(slide.levels) == 1
    assert [image.role for image in slide.associated_images] == [Role.LABEL]


@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [
        (274, tiff.short(3), "Orientation"),
        (284, tiff.short(2), "PlanarConfiguration"),
        (266, tiff.short(2), "FillOrder"),
        (338, tiff.short(2), "alpha"),
        (339, tiff.short(3, 3, 3), "SampleFormat"),
        (32997, tiff.long(4), "ImageDepth"),
        (277, tiff.short(4), "samples a pixel"),
    ],
)
def test_structure_that_no_frame_can_have_is_refused_with_its_tag(tag, value, reason, tmp_path):
    path = write(tmp_path / "x.tif", [Directory(tags(100, 100) | {tag: value}, [b"x"] * 4)])
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason):
        coverslip.open(path)


def test_surplus_offsets_are_ignored_and_a_deficit_means_missing_tiles(tmp_path):
    path = write(tmp_path / "x.tif", [Directory(tags(100, 100), [b"abc"] * 6)])
    assert len(coverslip.open(path).levels[0].tiles.offsets) == 4
    path = write(tmp_path / "y.tif", [Directory(tags(100, 100), [b"abc"] * 3)])
    counts = coverslip.open(path).levels[0].tiles.byte_counts
    assert counts.tolist() == [3, 3, 3, 0]


def test_a_million_tiles_are_read_without_a_python_object_each(tmp_path):
    count = 1_000_000
    path = write(
        tmp_path / "x.tif",
        [Directory(tags(16_000, 16_000, tile=tiff.short(16)) | {
            324: tiff.Value(tiff.LONG, tuple(range(count))),
            325: tiff.Value(tiff.LONG, (7,) * count),
        })],
    )  # fmt: skip
    with open_tiff(path) as opened:
        offsets = opened.directories[0].array(324)
    assert offsets.dtype == np.uint64
    assert offsets.nbytes == 8 * count
