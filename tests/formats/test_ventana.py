import tracemalloc
from contextlib import closing

import imagecodecs
import numpy as np
import openslide
import pydicom
import pytest
import tifffile

import coverslip
from coverslip import recode
from coverslip.cores import decoders_of_limits
from coverslip.deid.policy import Policy
from coverslip.formats import joints
from coverslip.model import Role
from coverslip.montages import Composer
from tests.formats.findings import check_every_text_is_found
from tests.interop import readers
from tests.synth import build_ventana, tiff, ventana


@pytest.mark.parametrize("stitched", [False, True])
def test_openslide_shows_the_same_pixels(stitched, tmp_path):
    built = build_ventana(tmp_path, stitched=stitched)
    with openslide.OpenSlide(built.path) as other:
        assert other.properties["openslide.vendor"] == "ventana"
        sizes = list(other.level_dimensions)
        assert sizes == [(level.width, level.length) for level in built.levels]
        assert float(other.properties["openslide.mpp-x"]) == built.mpp_um
        for number, (size, level) in enumerate(zip(sizes, built.levels, strict=True)):
            shown = np.asarray(other.read_region((0, 0), number, size).convert("RGB"))
            assert np.abs(shown.astype(int) - level.rgb).mean() < 2.5


@pytest.mark.parametrize(("stitched", "name"), [(False, "Ventana BIF"), (True, "Ventana TIFF")])
@pytest.mark.parametrize("in_metadata", [False, True])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_both_kinds_are_known_by_name(stitched, name, in_metadata, quote, tmp_path):
    built = build_ventana(
        tmp_path, stitched=stitched, in_metadata=in_metadata, quote=quote, levels=1
    )
    slide = coverslip.open(built.path)
    assert slide.format == name
    assert slide.spacing.row_mm == pytest.approx(0.000465)
    assert slide.description.objective_power == 20
    with tifffile.TiffFile(built.path) as other:
        assert other.is_bif


def test_label_image_is_an_overview_and_the_map_of_tissue_a_label(tmp_path):
    slide = coverslip.open(build_ventana(tmp_path).path)
    assert [level.ifd for level in slide.levels] == [2, 3, 4]
    assert [image.role for image in slide.associated_images] == [Role.OVERVIEW, Role.LABEL]
    assert slide.description.notes == ()
    (tmp_path / "tif").mkdir()
    slide = coverslip.open(build_ventana(tmp_path / "tif", stitched=True, unnamed=True).path)
    roles = [image.role for image in slide.associated_images]
    assert roles == [Role.OVERVIEW, Role.THUMBNAIL, Role.LABEL]
    assert slide.description.notes == ("IFD 2 is no level of the pyramid: not written",)


@pytest.mark.parametrize(
    ("model", "orientation"),
    [("VENTANA DP 200", [1, 0, 0, 0, -1, 0]), ("VENTANA iScan HT", [0, 1, 0, 1, 0, 0])],
)
def test_scanners_that_show_slides_upright_have_the_label_above(model, orientation, tmp_path):
    built = build_ventana(tmp_path, levels=1, model=model)
    result = coverslip.convert(built.path, tmp_path / "out")
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    assert list(dataset.ImageOrientationSlide) == orientation


def test_colour_profile_is_that_of_the_levels_and_not_of_the_overview(tmp_path):
    metadata = coverslip.open(build_ventana(tmp_path, levels=1).path).description.metadata
    assert metadata.icc_profile is not None
    # Up to the second when it was made, which the profile says (ICC.1:2022 7.2.1, bytes 24 to 35).
    assert metadata.icc_profile[36:] == imagecodecs.cms_profile("srgb")[36:]
    (other,) = [item for item in metadata.items if item.key == "ICCProfile"]
    assert other.place == "IFD 0 ICCProfile"


def test_area_that_was_not_scanned_becomes_blank(tmp_path):
    built = build_ventana(tmp_path, not_scanned=True)
    result = coverslip.convert(built.path, tmp_path / "out")
    assert [instance.frames.blank for instance in result.instances] == [8, 2, 0]


@pytest.mark.parametrize(
    ("overlap", "most"),
    [(("16", "0"), "16"), (("0", "-3"), "3"), (("0", "0.5"), "0.5"), (("-0.25", "24"), "24")],
)
def test_real_overlap_is_refused_with_its_size(overlap, most, tmp_path):
    built = build_ventana(tmp_path, overlap=overlap, levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match="1 of 38 joints") as raised:
        coverslip.convert(built.path, tmp_path / "out")
    assert f"by up to {most} pixels" in str(raised.value)
    assert "stitched TIFF" in raised.value.hint


def test_overlap_of_a_joint_that_was_not_used_does_not_matter(tmp_path):
    built = build_ventana(tmp_path, overlap=("16", "0"), is_joined=False)
    assert len(coverslip.open(built.path).levels) == len(built.levels)


def test_several_directories_of_one_level_are_refused(tmp_path):
    built = build_ventana(tmp_path, repeated=True)
    with pytest.raises(coverslip.UnsupportedSlideError, match="several directories") as raised:
        coverslip.open(built.path)
    assert "focal plane" in raised.value.hint


def test_overlap_of_an_area_without_tiles_does_not_matter(tmp_path):
    built = build_ventana(tmp_path, not_scanned=True, levels=1)
    data = built.path.read_bytes()
    end = b'AOIScanned="0" AOIIndex="1" Width="128"'
    assert end in data
    assert len(coverslip.open(built.path).levels) == 1


@pytest.mark.parametrize("zero", ["0.0", "-0", "0.000"])
def test_every_spelling_of_zero_is_none(zero, tmp_path):
    built = build_ventana(tmp_path, overlap=(zero, "0"), levels=1)
    assert len(coverslip.open(built.path).levels) == 1


@pytest.mark.parametrize("joints", ["none", "unreadable"])
def test_joints_that_are_not_told_are_refused(joints, tmp_path):
    built = build_ventana(tmp_path, joints=joints, levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match="how its tiles join") as raised:
        coverslip.open(built.path)
    assert "DOE" not in str(raised.value)


def test_areas_that_lie_elsewhere_than_their_tiles_are_refused(tmp_path):
    built = build_ventana(tmp_path, second_area=(0, 0), levels=1)
    assert len(coverslip.open(built.path).levels) == 1
    for number, beside in enumerate([(512, 0), (0, -77)]):
        (tmp_path / str(number)).mkdir()
        built = build_ventana(tmp_path / str(number), second_area=beside, levels=1)
        with pytest.raises(coverslip.UnsupportedSlideError, match="otherwise on the glass"):
            coverslip.convert(built.path, tmp_path / "out")


def test_node_among_the_origins_of_areas_that_nobody_knows_does_not_matter(tmp_path):
    built = build_ventana(tmp_path, second_area=(512, 0), levels=1)
    data = built.path.read_bytes()
    start = data.index(b"<AoiOrigin>") + len(b"<AoiOrigin>")
    end = data.index(b" --></EncodeInfo>")
    changed = data[:start] + b"<Note/>" + data[start : end - len(b"<Note/>")] + data[end:]
    assert len(changed) == len(data)
    want = coverslip.open(built.path).levels[0].picture.places
    built.path.write_bytes(changed)
    assert np.array_equal(coverslip.open(built.path).levels[0].picture.places, want)


def test_joints_in_xml_that_cannot_be_parsed_are_told(tmp_path):
    built = build_ventana(tmp_path, levels=1)
    data = built.path.read_bytes()
    built.path.write_bytes(data.replace(b"</AoiOrigin>", b"<//AoiOrigi>"))
    with pytest.raises(coverslip.SourceError, match="not well-formed"):
        coverslip.open(built.path)


def test_other_xml_that_cannot_be_parsed_is_a_finding_and_no_reason_to_refuse(tmp_path):
    built = build_ventana(tmp_path, stitched=True, levels=1)
    data = built.path.read_bytes()
    built.path.write_bytes(data.replace(b"</iScan>", b"</iScan<"))
    slide = coverslip.open(built.path)
    assert slide.spacing is None
    assert "IFD 0 XMP" in {item.place for item in slide.description.metadata.items}


def test_slide_without_levels_in_tiles_is_refused(tmp_path):
    tags = {256: tiff.long(9), 257: tiff.long(9), 700: tiff.byte(b"<iScan Barcode1D='DOE'/>")}
    path = tmp_path / "x.bif"
    tiff.write_tiff(path, [tiff.Directory(tags, [b"x"], tiled=False)])
    with pytest.raises(coverslip.UnsupportedSlideError, match="no level in tiles") as raised:
        coverslip.open(path)
    assert "DOE" not in str(raised.value)


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_ventana(tmp_path),
        ("@Barcode1D", "@PatientName", "@UnitNumber", "@BaseName", "@ScanDate"),
        plain=("@OverlapX", "@ScanRes", "@NumRows"),
    )


LAYOUTS = {
    "overlap": {"overlaps": (16, 8)},
    "odd overlap": {"overlaps": (7, 5)},
    "overlap across": {"overlaps": (30, 0), "codec": "jpeg_rgb"},
    "gap": {"overlaps": (-8, -4)},
    "area beside": {"second_area": (512, 0)},
    "area above": {"second_area": (0, -77)},
    "both": {"overlaps": (16, 8), "second_area": (300, 50)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_composed_picture_is_that_of_openslide(layout, tmp_path):
    built = build_ventana(tmp_path, **LAYOUTS[layout])
    result = coverslip.convert(built.path, tmp_path / "out", allow_recode=95)
    assert [instance.frames.recoded > 0 for instance in result.instances] == [True] * 3
    with openslide.OpenSlide(built.path) as other:
        for number, instance in enumerate(result.instances):
            dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
            size = dataset.TotalPixelMatrixColumns, dataset.TotalPixelMatrixRows
            assert size == other.level_dimensions[number]
            frames = readers.by_pydicom(instance.path, "gdcm")
            shown = readers.mosaic(frames, *size).astype(int)
            theirs = np.asarray(other.read_region((0, 0), number, size)).astype(int)
            opacity = theirs[..., 3:] / 255
            theirs = theirs[..., :3] * opacity + 255 * (1 - opacity)
            # Where a tile begins between two pixels OpenSlide blends them.
            assert np.abs(shown - theirs).mean() < (2.5 if number == 0 else 6)


def test_overlap_is_refused_with_the_option_that_composes_it(tmp_path):
    built = build_ventana(tmp_path, overlaps=(16, 8))
    routes = coverslip.open(built.path).routes(allow_pixel=True)
    assert {route.kind for route in routes} == {"refuse"}
    assert all("--allow-recode QUALITY" in route.error.hint for route in routes)
    with pytest.raises(coverslip.UnsupportedSlideError, match="38 of 38 joints"):
        coverslip.convert(built.path, tmp_path / "out", allow_pixel=True)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.dcm"))


@pytest.mark.parametrize(
    ("codec", "methods"),
    [
        ("jpeg_ycbcr420", ["ISO_10918_1", "ISO_10918_1"]),
        ("j2k_33005", ["ISO_15444_1", "ISO_10918_1"]),
    ],
)
def test_each_loss_is_declared_with_its_ratio(codec, methods, tmp_path):
    built = build_ventana(tmp_path, overlaps=(16, 8), codec=codec, levels=1)
    result = coverslip.convert(built.path, tmp_path / "out", allow_recode=80)
    dataset = pydicom.dcmread(result.instances[0].path)
    assert dataset.LossyImageCompression == "01"
    assert list(dataset.LossyImageCompressionMethod) == methods
    pieces = built.levels[0].pieces
    before = 128 * 96 * 3 * len(pieces) / sum(map(len, pieces))
    frames = readers.frames_of(result.instances[0].path)
    after = 1024 * 1024 * 3 / sum(map(len, frames))
    ratios = [float(ratio) for ratio in dataset.LossyImageCompressionRatio]
    assert ratios == pytest.approx([before, after], abs=0.01)
    assert list(dataset.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert dataset.PhotometricInterpretation == "YBR_FULL_422"
    assert all(b"JFIF" not in frame[:64] for frame in frames)


def test_certificate_and_notes_tell_what_was_composed(tmp_path):
    built = build_ventana(tmp_path, overlaps=(16, 8), levels=1)
    result = coverslip.convert(built.path, tmp_path / "out", allow_recode=80)
    (record,) = result.certificate["instances"]
    assert (record["frames_recoded"], record["frames_pixel"], record["frames_copied"]) == (1, 0, 0)
    assert result.certificate["policy"]["options"]["allow_recode"] == 80
    assert any("composed and encoded with a new loss" in note for note in result.notes)


def test_lower_quality_takes_fewer_bytes(tmp_path):
    built = build_ventana(tmp_path, overlaps=(16, 8), levels=1)
    sizes = [
        coverslip.convert(built.path, tmp_path / str(quality), allow_recode=quality)
        .instances[0]
        .byte_count
        for quality in (30, 60, 90)
    ]
    assert sizes == sorted(sizes)


def test_frames_are_composed_each_by_itself_and_fit_together(tmp_path, monkeypatch):
    built = build_ventana(tmp_path, overlaps=(18, 6), missing=((0, 14), (0, 15)))
    monkeypatch.setattr(joints, "CUT_FRAME", 128)
    slide = coverslip.open(built.path)
    levels, _ = slide.routed(Policy(allow_recode=90))
    with closing(decoders_of_limits()) as decoders:
        for level in levels.levels:
            composer = Composer(slide.source, level.picture, decoders)
            whole = composer.compose(0, 0, level.image_width, level.image_length)
            for y in range(0, level.image_length, 37):
                for x in range(0, level.image_width, 53):
                    part = composer.compose(x, y, 53, 37)
                    wanted = whole[y : y + 37, x : x + 53]
                    if part is None:
                        assert (wanted == 255).all()
                        continue
                    assert np.array_equal(part[: wanted.shape[0], : wanted.shape[1]], wanted)
    result = coverslip.convert(built.path, tmp_path / "out", allow_recode=90)
    assert [instance.frames.recoded for instance in result.instances] == [18, 6, 2]


def test_joints_that_disagree_are_averaged_and_told(tmp_path):
    built = build_ventana(tmp_path, overlap=("9", "-3"), levels=1)
    level = coverslip.open(built.path).levels[0]
    # The last joint is one of six between the rows that are second and first from above.
    assert level.image_length == 4 * 96 + round(3 / 6)
    result = coverslip.convert(built.path, tmp_path / "out", allow_recode=90)
    assert any("lies up to 9 pixels" in note for note in result.notes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'Tile1="1"', b'Tile1="0"'),
        (b'Tile2="2"', b'Tile2="9"'),
        (b'Direction="UP"', b'Direction="IN"'),
        (b'OriginX="0"', b'OriginX="7"'),
        (b'NumCols="6"', b'NumCols="9"'),
    ],
)
def test_layout_that_makes_no_sense_is_refused(old, new, tmp_path):
    built = build_ventana(tmp_path, overlaps=(16, 8), levels=1)
    data = built.path.read_bytes()
    assert old in data
    built.path.write_bytes(data.replace(old, new, 1))
    with pytest.raises(coverslip.SourceError, match="BIF"):
        coverslip.open(built.path)


def test_tiles_that_lie_on_each_other_are_refused(tmp_path):
    built = build_ventana(tmp_path, overlaps=(100, 8), levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match="more than half"):
        coverslip.open(built.path)


def test_memory_does_not_grow_with_the_level(tmp_path, monkeypatch):
    monkeypatch.setattr(joints, "CUT_FRAME", 256)
    monkeypatch.setattr(ventana, "_composed", lambda level, *_: level)
    peaks = []
    for across, down in ((6, 4), (24, 16)):
        monkeypatch.setattr(ventana, "_ACROSS", across)
        monkeypatch.setattr(ventana, "_DOWN", down)
        folder = tmp_path / str(across)
        folder.mkdir()
        slide = coverslip.open(build_ventana(folder, overlaps=(16, 8), levels=1).path)
        level = slide.routed(Policy(allow_recode=80))[0].levels[0]
        private, spool = slide.description.private_ranges, folder / "spool"
        spool.touch()
        tracemalloc.start()
        recode.store(slide.source, level, private, spool, quality=80, most=1 << 30, on_frames=None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Sixteen times as many tiles, in all 14 MB of pixels more.
    assert peaks[1] < peaks[0] + (2 << 20)


@pytest.mark.parametrize("layout", ["overlap", "odd overlap", "overlap across", "area above"])
def test_base_is_composed_of_exactly_what_openslide_shows(layout, tmp_path):
    built = build_ventana(tmp_path, **{**LAYOUTS[layout], "levels": 1})
    slide = coverslip.open(built.path)
    level = slide.routed(Policy(allow_recode=80))[0].levels[0]
    size = level.image_width, level.image_length
    with closing(decoders_of_limits()) as decoders, openslide.OpenSlide(built.path) as other:
        composed = Composer(slide.source, level.picture, decoders).compose(0, 0, *size)
        theirs = np.asarray(other.read_region((0, 0), 0, size))
    is_shown = theirs[..., 3] == 255
    assert np.array_equal(composed[is_shown], theirs[is_shown][:, :3])
    assert (composed[~is_shown] == 255).all()
