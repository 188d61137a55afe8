import numpy as np
import pytest

import coverslip
from coverslip.formats.svs import _role
from coverslip.model import ItemKind, Role
from coverslip.tiff import open_tiff
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


def test_z_stack_is_refused_by_name(tmp_path):
    built = build_svs(tmp_path, levels=1, z_stack=True)
    with pytest.raises(coverslip.UnsupportedSlideError, match="z-stacks"):
        coverslip.open(built.path)


def test_label_of_two_minds_is_a_label(tmp_path):
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
        role, note = _role(opened.directories[0])
    assert role == Role.LABEL
    assert "disagree" in note
