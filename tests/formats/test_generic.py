import numpy as np
import pytest

import coverslip
from coverslip.model import Role
from coverslip.tiff import open_tiff
from tests.conftest import SLIDES
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
        (266, tiff.short(2), "FillOrder"),
        (338, tiff.short(2), "alpha"),
        (339, tiff.short(3, 3, 3), "SampleFormat"),
        (32997, tiff.long(4), "ImageDepth"),
        (277, tiff.short(4), "samples a pixel"),
        (258, tiff.short(8, 8, 16), "different depths"),
    ],
)
def test_structure_that_no_frame_can_have_is_refused_with_its_tag(tag, value, reason, tmp_path):
    path = write(tmp_path / "x.tif", [Directory(tags(100, 100) | {tag: value}, [b"x"] * 4)])
    (route,) = coverslip.open(path).routes()
    assert route.kind == "refuse"
    assert reason in route.reason
    with pytest.raises(
        coverslip.UnsupportedSlideError, match=f"level 0: IFD 0 .*{reason}"
    ) as raised:
        coverslip.convert(path, tmp_path / "out", mpp_um=0.5)
    assert raised.value.hint is not None


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


@pytest.mark.parametrize(
    ("unit", "per_unit", "mpp_um"),
    [(3, 20000, 0.5), (2, 50800, 0.5), (1, 20000, None), (2, 72, None), (3, 3_000_000, None),
     (3, 0, None), (None, 20000, None)],
)  # fmt: skip
def test_resolution_counts_only_with_a_unit_and_in_a_microscopes_range(
    unit, per_unit, mpp_um, tmp_path
):
    more = {282: tiff.rational(per_unit, 1), 283: tiff.rational(per_unit, 1)}
    more |= {} if unit is None else {296: tiff.short(unit)}
    path = write(tmp_path / "x.tif", [Directory(tags(100, 100) | more, [b"x"] * 4)])
    spacing = coverslip.open(path).spacing
    assert (spacing and spacing.row_mm * 1000) == pytest.approx(mpp_um)


def test_picture_in_strips_beside_a_pyramid_is_a_label_and_private(tmp_path):
    strips = {tag: value for tag, value in tags(100, 50).items() if tag not in (322, 323)}
    path = write(
        tmp_path / "x.tif",
        [Directory(tags(200, 100), [b"x"] * 8), Directory(strips, [b"label"], tiled=False)],
    )
    slide = coverslip.open(path)
    assert [image.role for image in slide.associated_images] == [Role.LABEL]
    at = path.read_bytes().index(b"label")
    assert [at, 5] in slide.description.private_ranges.tolist()
    assert slide.description.notes == ("IFD 1 is no level of the pyramid: not written",)


@pytest.mark.parametrize("is_tiled", [True, False])
def test_second_picture_of_the_bases_size_is_refused_and_not_lost(is_tiled, tmp_path):
    twin = {k: v for k, v in tags(200, 100).items() if is_tiled or k not in (322, 323)}
    path = write(
        tmp_path / "x.tif",
        [
            Directory(tags(200, 100), [b"x"] * 8),
            Directory(tags(100, 50), [b"x"] * 2),
            Directory(twin, [b"y"] * 8, tiled=is_tiled),
        ],
    )
    with pytest.raises(coverslip.UnsupportedSlideError, match="IFD 2 has the size and samples"):
        coverslip.open(path)


@pytest.mark.slides
@pytest.mark.parametrize(
    ("name", "tile", "compression", "tiles"),
    [
        ("CMU-1-Small-Region.jpeg.tiff", 256, 7, 108),
        ("CMU-1-Small-Region.jp2.tiff", 256, 34712, 108),
        ("tiled-jpeg-rgb-u8.tif", 32, 7, 192),
    ],
)
def test_real_generic_slides_have_one_level_and_no_spacing(name, tile, compression, tiles):
    slide = coverslip.open(SLIDES / "generic-tiff" / name)
    (level,) = slide.levels
    assert (level.tile_width, level.compression) == (tile, compression)
    assert np.count_nonzero(level.tiles.byte_counts) == len(level.tiles.offsets) == tiles
    assert slide.spacing is None
