import numpy as np
import openslide
import pytest
import tifffile

import coverslip
from coverslip.errors import SourceError
from coverslip.formats.svs import _told
from coverslip.limits import LIMITS
from coverslip.model import ItemKind, Role
from coverslip.tiff import open_tiff
from tests.conftest import SLIDES
from tests.formats.test_generic import tags, write
from tests.interop import readers
from tests.synth import build_svs, tiff
from tests.synth import identifiers as ids
from tests.synth.svs import _tags


@pytest.mark.parametrize("mpp", ["dot", "comma", "header"])
def test_spacing_is_read_with_point_with_comma_and_from_the_header(mpp, tmp_path):
    slide = coverslip.open(build_svs(tmp_path, mpp=mpp, levels=1).path)
    assert slide.spacing.row_mm == pytest.approx(0.000499)


def test_absent_spacing_is_unknown_and_never_invented(tmp_path):
    assert coverslip.open(build_svs(tmp_path, mpp="absent", levels=1).path).spacing is None


def test_objective_power_is_read(tmp_path):
    assert coverslip.open(build_svs(tmp_path).path).description.objective_power == 20


def test_pictures_have_their_roles(tmp_path):
    images = coverslip.open(build_svs(tmp_path).path).associated_images
    assert [image.role for image in images] == [Role.THUMBNAIL, Role.LABEL, Role.OVERVIEW]


def test_gt450_pictures_without_marks_are_told_by_their_place_and_shape(tmp_path):
    slide = coverslip.open(build_svs(tmp_path, gt450=True).path)
    roles = [image.role for image in slide.associated_images]
    assert roles == [Role.THUMBNAIL, Role.LABEL, Role.OVERVIEW]
    assert slide.description.notes


def test_missing_tiles_have_neither_offset_nor_length(tmp_path):
    level = coverslip.open(build_svs(tmp_path, missing=((0, 5),)).path).levels[0]
    assert (level.tiles.offsets[5], level.tiles.byte_counts[5]) == (0, 0)
    assert np.count_nonzero(level.tiles.byte_counts) == 29


def test_known_keys_are_named_and_unknown_ones_are_not(tmp_path):
    built = build_svs(tmp_path)
    items = coverslip.open(built.path).description.metadata.items
    keys = {item.key for item in items if item.key}
    assert {"Filename", "Barcode", "User", "ScanScope ID", "Date"} <= keys
    assert not keys & set(built.identifiers)
    unknown = [item for item in items if item.kind == ItemKind.UNKNOWN and item.key is None]
    assert len(unknown) >= 4


def test_texts_of_every_directory_are_found(tmp_path):
    built = build_svs(tmp_path, style={"comments": False})
    slide = coverslip.open(built.path)
    texts = [item.text.reveal() for item in slide.description.metadata.items]
    seen = "\n".join([*texts, built.path.name]).replace("\0", "")
    found = [i for i in built.identifiers if i in seen or i.title() in seen]
    # The rest stands in the strips of other pictures, in gaps and behind the end: never read.
    assert len(found) > 0.9 * len(built.identifiers)


def test_sealed_text_shows_nothing(tmp_path):
    slide = coverslip.open(build_svs(tmp_path).path)
    item = slide.description.metadata.items[0]
    assert f"{item.text} {item.text!r} {[item.text]}" == "<sealed> <sealed> [<sealed>]"
    assert item.text.reveal() not in repr(slide) + str(slide.description)


def test_tifffile_and_openslide_believe_the_built_focal_planes(tmp_path):
    built = build_svs(tmp_path, focal_planes=("-1.5", "0", "1,5"))
    slide = coverslip.open(built.path)
    assert [level.plane_distance_um for level in slide.levels] == [1.5, 1.5]
    with tifffile.TiffFile(built.path) as other:
        (series,) = [one for one in other.series if one.name == "Baseline"]
        assert series.axes == "ZYXS"
        for shown, level in zip(series.levels, built.levels, strict=True):
            for pixels, plane in zip(shown.asarray(), level.planes, strict=True):
                assert np.abs(pixels.astype(int) - plane.rgb).mean() < 2
    with openslide.OpenSlide(built.path) as shown:
        assert shown.properties["openslide.vendor"] == "aperio"


def test_heights_that_are_not_those_of_every_level_are_refused(tmp_path):
    built = build_svs(tmp_path, focal_planes=("1", "2"))
    data = built.path.read_bytes()
    at = data.rindex(b"|OffsetZ = 2")
    built.path.write_bytes(data[:at] + b"|OffsetZ = 3" + data[at + 12 :])
    with pytest.raises(coverslip.UnsupportedSlideError, match="different focal planes"):
        coverslip.open(built.path)


def test_a_picture_that_is_alone_is_no_stack_wherever_its_focus_was(tmp_path):
    slide = coverslip.open(build_svs(tmp_path, focal_planes=("5.0",)).path)
    assert [len(level.focal_planes) for level in slide.levels] == [1, 1]


def test_label_of_two_minds_is_not_known_to_be_one(tmp_path):
    secret = ids.of(1)
    description = f"Aperio v1\nmacro 32x16|Barcode = {secret.number()}"
    picture = tiff.Directory(
        _tags(secret, description, 32, 16, "jpeg_rgb") | {254: tiff.long(1), 259: tiff.short(1)},
        pieces=[bytes(32 * 16 * 3)],
        tiled=False,
    )
    path = tmp_path / "two.tif"
    tiff.write_tiff(path, [picture])
    with open_tiff(path) as opened:
        picture = opened.directories[0]
        role, note = _told(picture, picture, Role.LABEL)
    assert role is None
    assert "disagree" in note


def aperio(width, length, text="", **more):
    """Return the tags of a level, ``text`` behind the words by which Aperio is known."""
    return tags(width, length, **more) | {270: tiff.ascii_(f"Aperio v1\r\n{text}")}


def in_strips(width, length, text="", subfile=0):
    chosen = {tag: value for tag, value in tags(width, length).items() if tag not in (322, 323)} | {
        254: tiff.long(subfile),
        270: tiff.ascii_(text),
    }
    return tiff.Directory(chosen, [b"x"], tiled=False)


def base(text="|MPP = 0.5"):
    return tiff.Directory(aperio(200, 100, text), [b"x"] * 8)


def test_levels_of_equal_size_that_tell_no_height_are_refused(tmp_path):
    for twice in ((200, 100), (100, 50)):
        lower = [tiff.Directory(tags(*twice), [b"x"] * 8) for _ in range(2)]
        path = write(tmp_path / "x.svs", [base(), *lower])
        with pytest.raises(coverslip.UnsupportedSlideError, match="heights are told"):
            coverslip.open(path)


def test_base_without_a_size_is_told_and_no_other_picture_takes_its_place(tmp_path):
    empty = tiff.Directory(aperio(0, 100), [b"x"])
    for rest in ([], [tiff.Directory(tags(200, 100), [b"x"] * 8)]):
        path = write(tmp_path / "x.svs", [empty, *rest])
        with pytest.raises(SourceError, match="IFD 0 has a width or length of 0"):
            coverslip.open(path)


def test_second_picture_is_a_thumbnail_only_in_the_shape_of_the_base(tmp_path):
    path = write(tmp_path / "x.svs", [base(), in_strips(80, 76), in_strips(80, 26)])
    roles = [image.role for image in coverslip.open(path).associated_images]
    assert roles == [Role.LABEL, Role.OVERVIEW]
    path = write(tmp_path / "y.svs", [base(), in_strips(80, 40)])
    roles = [image.role for image in coverslip.open(path).associated_images]
    assert roles == [Role.THUMBNAIL]


def test_wide_picture_without_marks_is_an_overview_only_among_the_last(tmp_path):
    pictures = [in_strips(90, 30), in_strips(60, 60), in_strips(90, 30)]
    path = write(tmp_path / "x.svs", [base(), *pictures])
    roles = [image.role for image in coverslip.open(path).associated_images]
    assert roles == [Role.LABEL, Role.LABEL, Role.OVERVIEW]


@pytest.mark.parametrize(
    ("text", "subfile", "role"),
    [("label 100x50", 0, Role.LABEL), ("macro 100x50", 0, Role.OVERVIEW), ("", 9, Role.OVERVIEW)],
)
def test_marked_picture_in_tiles_is_no_level_whatever_its_shape(text, subfile, role, tmp_path):
    picture = tiff.Directory(aperio(100, 50, text, subfile=tiff.long(subfile)), [b"x"] * 2)
    slide = coverslip.open(write(tmp_path / "x.svs", [base(), picture]))
    assert [level.ifd for level in slide.levels] == [0]
    assert [image.role for image in slide.associated_images] == [role]


@pytest.mark.parametrize(
    ("text", "mpp_um"),
    [
        ("|MPP = 0.2520", 0.252),
        ("|MPP = 0,2520", 0.252),
        ("|MPP = 0.2520|MPP = 0.5", 0.252),
        ("Scan resolution 0.252 um|MPP = ", 0.252),
        ("Scan resolution ... um", None),
        ("|MPP = 1e-3", None),
        ("|MPP = nan", None),
        ("|MPP = -0.25", None),
        ("|MPP = 0,25,20", None),
        ("|MPP = 353", None),
        ("|MPP", None),
        ("|||==|=|MPP==0.5|", None),
        ("|AppMag = 20\x00|\x01 = \x02", None),
    ],
)
def test_spacing_is_a_plain_number_or_unknown(text, mpp_um, tmp_path):
    spacing = coverslip.open(write(tmp_path / "x.svs", [base(text)])).spacing
    assert (spacing and spacing.row_mm * 1000) == pytest.approx(mpp_um)


@pytest.mark.parametrize(
    "text",
    [
        "|User = first" + "|x = y" * 1000 + "|Barcode = QWXZVKJPH",
        "|User = " + "A" * LIMITS.description_characters + "|Barcode = QWXZVKJPH",
    ],
)
def test_what_a_long_description_holds_behind_its_limit_is_one_unknown_item(text, tmp_path):
    items = coverslip.open(write(tmp_path / "x.svs", [base(text)])).description.metadata.items
    found = [item for item in items if "QWXZVKJPH" in item.text.reveal()]
    assert [(item.key, item.kind) for item in found] == [(None, ItemKind.UNKNOWN)]
    assert len(items) <= LIMITS.description_keys + 2


def test_device_texts_are_the_header_and_the_type_of_the_scanner(tmp_path):
    path = write(tmp_path / "x.svs", [base("|ScannerType = GT450|User = QWXZVKJPH")])
    device = coverslip.open(path).description.metadata.device
    assert [text.reveal() for text in device] == ["Aperio v1\r\n", "GT450"]


def test_whatever_is_no_level_is_private(tmp_path):
    built = build_svs(tmp_path)
    slide = coverslip.open(built.path).description
    levels = {level.ifd for level in slide.levels}
    private = {tuple(pair) for pair in slide.private_ranges.tolist()}
    with open_tiff(built.path) as opened:
        for directory in opened.directories:
            pictures = {tuple(pair) for pair in directory.picture_ranges().tolist()}
            assert pictures.isdisjoint(private) == (directory.number in levels or not pictures)
            assert set(directory.value_ranges()) <= private


@pytest.mark.slides
def test_real_slide_with_label_and_macro_is_read_as_its_scanner_meant_it():
    slide = coverslip.open(SLIDES / "aperio/CMU-1-Small-Region.svs")
    (level,) = slide.levels
    assert (level.image_width, level.image_length, level.tile_width) == (2220, 2967, 240)
    assert (level.compression, level.photometric_interpretation) == (7, 2)
    assert [(image.ifd, image.role) for image in slide.associated_images] == [
        (1, Role.THUMBNAIL),
        (2, Role.LABEL),
        (3, Role.OVERVIEW),
    ]
    assert slide.spacing.row_mm == pytest.approx(0.000499)
    assert slide.description.objective_power == 20
    assert slide.description.notes == ()


@pytest.mark.slides
def test_real_slide_without_label_has_two_levels_and_no_spacing():
    slide = coverslip.open(SLIDES / "aperio/tcga-cr-7395-01a-01-ts1.svs")
    assert [(level.ifd, level.compression) for level in slide.levels] == [(0, 33005), (2, 33005)]
    assert [image.role for image in slide.associated_images] == [Role.THUMBNAIL]
    assert slide.spacing is None
    assert len(slide.description.metadata.icc_profile) == 3144


def test_focal_planes_that_are_coded_anew_are_compared_with_their_own_tiles(tmp_path):
    style = {"progressive": True, "ids": (82, 71, 66), "tables": "own", "markers": "app14_0"}
    built = build_svs(tmp_path, levels=1, size=(300, 200), focal_planes=("0", "1"), style=style)
    result = coverslip.convert(built.path, tmp_path / "out")
    assert result.frames.retiled == 12
    frames = readers.by_pydicom(result.instances[0].path, "pylibjpeg")
    for plane, shown in zip(built.levels[0].planes, (frames[:6], frames[6:]), strict=True):
        pixels = readers.mosaic(shown, plane.width, plane.length)
        assert np.abs(pixels.astype(int) - plane.rgb).mean() < 2
    report = coverslip.verify(tmp_path / "out", source=built.path)
    assert report.is_clean
    assert report.frames_equal == 12
