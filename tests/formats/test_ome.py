import struct
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import tifffile

import coverslip
from coverslip.cli.inspect import describe
from coverslip.formats.ome import _role
from coverslip.formats.ome_planes import Chain, plane_numbers
from coverslip.formats.xml import parse
from coverslip.model import Role, SourceText
from tests.formats.findings import check_every_text_is_found, items_of
from tests.interop import readers
from tests.program import command
from tests.synth import build_ome, tiff

PLANAR = {284: tiff.short(2)}
ONE = '<Channel ID="c" SamplesPerPixel="1"/>'


@pytest.mark.parametrize("layout", ["subifds", "series"])
@pytest.mark.parametrize("pictures_first", [False, True])
def test_tifffile_finds_the_same_levels_and_colours(layout, pictures_first, tmp_path):
    built = build_ome(tmp_path, layout=layout, pictures_first=pictures_first)
    slide = coverslip.open(built.path)
    sizes = [(level.width, level.length) for level in built.levels]
    assert [(level.image_width, level.image_length) for level in slide.levels] == sizes
    with tifffile.TiffFile(built.path) as other:
        assert other.is_ome
        if layout == "subifds":
            series = max(other.series, key=lambda one: one.size)
            shapes = [level.shape for level in series.levels]
            pictures = [level.asarray() for level in series.levels]
        else:
            chosen = sorted(other.series, key=lambda one: -one.size)
            shapes = [one.shape for one in chosen if one.shape[:2][::-1] in sizes]
            pictures = []
    assert [shape[:2][::-1] for shape in shapes] == sizes
    for picture, level in zip(pictures, built.levels, strict=False):
        assert np.abs(picture.astype(int) - level.rgb).mean() < 2.5


def test_pictures_have_the_roles_that_their_names_end_in(tmp_path):
    slide = coverslip.open(build_ome(tmp_path).path)
    roles = [image.role for image in slide.associated_images]
    assert roles == [Role.LABEL, Role.OVERVIEW, Role.THUMBNAIL]
    assert slide.description.notes == ()


def test_order_decides_nothing_and_neither_does_a_missing_ifd(tmp_path):
    for number, options in enumerate(({"pictures_first": True}, {"say_ifd": False})):
        (tmp_path / str(number)).mkdir()
        slide = coverslip.open(build_ome(tmp_path / str(number), **options).path)
        roles = sorted(image.role for image in slide.associated_images)
        assert roles == [Role.LABEL, Role.OVERVIEW, Role.THUMBNAIL]
        assert [level.image_width for level in slide.levels] == [610, 305, 152]


@pytest.mark.parametrize(
    ("unit", "per_mm"),
    [("\u00b5m", 1e3), ("\u03bcm", 1e3), ("nm", 1e6), ("mm", 1), ("cm", 0.1), ("\u00c5", 1e7),
     ("\u212b", 1e7)],
)  # fmt: skip
def test_every_unit_is_converted(unit, per_mm, tmp_path):
    spacing = coverslip.open(build_ome(tmp_path, levels=1, unit=unit, per_mm=per_mm).path).spacing
    assert spacing.row_mm == pytest.approx(0.00025)


@pytest.mark.parametrize(("unit", "per_mm"), [("pixel", 1e3), ("mm", 1e3), ("DOE", 1)])
def test_unit_that_measures_nothing_leaves_what_the_tags_say(unit, per_mm, tmp_path):
    wrong = {"levels": 1, "unit": unit, "per_mm": per_mm}
    said = coverslip.open(build_ome(tmp_path, **wrong).path).spacing
    assert said.row_mm == pytest.approx(0.00025)
    silent = build_ome(tmp_path, **wrong, tag_296=1)
    assert coverslip.open(silent.path).spacing is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"focal_planes": 2, "pixels": {"PhysicalSizeZUnit": "pixel"}}, "distance of its focal"),
        ({"pixels": {"SizeT": 3}}, "3 points in time"),
        ({"pixels": {"SizeC": 9}}, "3 channels in colour"),
        ({"more_tags": PLANAR, "codec": "j2k_rgb"}, "PlanarConfiguration"),
        ({"more_tags": {258: tiff.short(16, 16, 16)}}, "samples of 16 bits"),
        ({"compression": 5}, "LZW"),
        ({"compression": 8}, "Deflate"),
        ({"compression": 1}, "uncompressed"),
        ({"compression": 34926}, "ZSTD"),
        ({"channels": '<Channel ID="c" SamplesPerPixel="3" Fluor="DAPI"/>'}, "fluorescence"),
        (
            {"channels": '<Channel SamplesPerPixel="3" ContrastMethod="Fluorescence"/>'},
            "fluorescence",
        ),
        ({"other_file": True}, "1 of the 2 files of the set"),
        (
            {"channels": ONE, "pixels": {"SizeC": 1}, "codec": "jpeg_grey", "other_file": True},
            "set",
        ),
    ],
)
def test_what_is_not_copied_is_refused_with_the_reason(options, reason, tmp_path):
    built = build_ome(tmp_path, levels=1, **options)
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason):
        coverslip.convert(built.path, tmp_path / "out")


@pytest.mark.parametrize("options", [{"pixels": {"SizeZ": 5}}, {"channels": ONE * 3}])
def test_planes_that_are_said_and_not_placed_are_told(options, tmp_path):
    built = build_ome(tmp_path, levels=1, **options)
    with pytest.raises(coverslip.SourceError, match="where all planes are"):
        coverslip.open(built.path)


def test_planes_of_different_sizes_are_refused(tmp_path):
    built = build_ome(
        tmp_path, codec="jpeg_grey", grey_channels=2, levels=1, layout="series", pictures=()
    )
    data = bytearray(built.path.read_bytes())
    width = struct.pack(">HHII", 256, 4, 1, 610)
    at = data.rindex(width)
    data[at : at + 12] = struct.pack(">HHII", 256, 4, 1, 600)
    built.path.write_bytes(data)
    with pytest.raises(coverslip.SourceError, match="different sizes"):
        coverslip.open(built.path)


def test_more_channels_than_identifiers_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("coverslip.slide._MAX_PATHS", 1)
    built = build_ome(tmp_path, codec="jpeg_grey", grey_channels=2, levels=1)
    with pytest.raises(coverslip.UnsupportedSlideError, match="2 channels"):
        coverslip.open(built.path)


def test_colours_in_one_directory_are_one_channel_even_if_none_is_listed(tmp_path):
    slide = coverslip.open(build_ome(tmp_path, levels=1, channels="").path)
    assert [level.optical_path for level in slide.levels] == [0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", {(0, 0): 7, (1, 0): 8, (0, 1): 9, (1, 1): 10}),
        ('<TiffData IFD="1"/>', {(0, 0): 1, (1, 0): 2, (0, 1): 3, (1, 1): 4}),
        (
            '<TiffData IFD="3" FirstC="1" PlaneCount="2"/><TiffData IFD="1" PlaneCount="2"/>',
            {(0, 0): 1, (1, 0): 2, (0, 1): 3, (1, 1): 4},
        ),
        ('<TiffData IFD="1" PlaneCount="4"/><TiffData IFD="9" FirstZ="1"/>', "twice"),
        ('<TiffData FirstZ="2"/>', "does not have"),
        ('<TiffData IFD="11" PlaneCount="4"/>', "directory that the file"),
        ('<TiffData IFD="1" PlaneCount="-4"/><TiffData IFD="0"/>', "where all planes are"),
    ],
)
def test_planes_are_where_the_xml_says(said, expected):
    text = f'<Pixels SizeZ="2" SizeC="2" DimensionOrder="XYZCT">{said}</Pixels>'
    pixels = parse(SourceText(text))
    chain = Chain([SimpleNamespace(integer=lambda *_: 1, file=0)] * 12, lambda _: 0)
    chain.use([6])
    if isinstance(expected, str):
        with pytest.raises(coverslip.SourceError, match=expected):
            plane_numbers(pixels, chain)
    else:
        assert plane_numbers(pixels, chain) == {(*p, 0): n for p, n in expected.items()}


@pytest.mark.parametrize("layout", ["subifds", "series"])
def test_tifffile_finds_the_same_planes_and_channels(layout, tmp_path):
    built = build_ome(
        tmp_path, codec="jpeg_grey", grey_channels=2, focal_planes=3, layout=layout, levels=2
    )
    slide = coverslip.open(built.path)
    first, second, third, fourth = slide.levels
    assert [level.optical_path for level in slide.levels] == [0, 0, 1, 1]
    assert [first.ifd, *(plane.ifd for plane in first.planes_above)] == [
        third.ifd - 1,
        *(plane.ifd - 1 for plane in third.planes_above),
    ] or layout == "subifds"
    assert first.plane_distance_um == fourth.plane_distance_um == 1.5
    assert second.frame_count == 3 * second.tiles.across * second.tiles.down
    with tifffile.TiffFile(built.path) as other:
        series = max(other.series, key=lambda one: one.size)
        assert series.axes == "ZCYX"
        planes = series.asarray()
    for level in (built.levels[0], built.levels[2]):
        for number, plane in enumerate(level.planes):
            assert np.abs(planes[number, level.optical_path].astype(int) - plane.rgb).mean() < 2


@pytest.mark.parametrize("layout", ["subifds", "series"])
@pytest.mark.parametrize("codec", ["jpeg_rgb", "deflate"])
def test_colours_in_three_directories_are_one_picture_as_tifffile_shows_them(
    layout, codec, tmp_path
):
    built = build_ome(tmp_path, codec=codec, colours_apart=True, layout=layout, pictures=())
    with tifffile.TiffFile(built.path) as other:
        colours = [page.asarray() for page in other.pages[:3]]
    result = coverslip.convert(built.path, tmp_path / "out", allow_pixel=True)
    assert [instance.frames.blank for instance in result.instances] == [0, 0, 0]
    frames = readers.frames_of(result.instances[0].path)
    shown = np.stack([readers.by_imagecodecs(frame) for frame in frames])
    assert np.array_equal(readers.mosaic(shown, 610, 450), np.stack(colours, axis=-1))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"codec": "j2k_grey"}, "in a way that is not put together"),
        ({"pixels": {"SizeC": 1}}, "has the size and samples of"),
        ({"pixels": {"SizeC": 6}}, "has the size and samples of"),
        ({"channels": '<Channel SamplesPerPixel="1"/>'}, "has the size and samples of"),
        ({"channels": '<Channel SamplesPerPixel="3" Fluor="DAPI"/>'}, "fluorescence"),
        ({"more_tags": {262: tiff.short(0)}}, "white is zero"),
    ],
)
def test_colours_in_three_directories_are_refused_where_in_doubt(options, reason, tmp_path):
    built = build_ome(
        tmp_path, **{"codec": "jpeg_rgb", "levels": 1, "colours_apart": True} | options
    )
    with pytest.raises(coverslip.UnsupportedSlideError, match=reason):
        coverslip.convert(built.path, tmp_path / "out")


def test_channels_are_named_after_dyes_or_numbered_but_for_the_public(tmp_path):
    built = build_ome(
        tmp_path, codec="jpeg_grey", grey_channels=2, levels=1, names=("Dapi", "Channel 1 DOE")
    )
    for profile, expected in (("research", ["DAPI", "Channel 2"]), ("public", [None, None])):
        result = coverslip.convert(built.path, tmp_path / profile, profile=profile)
        said = [
            pydicom.dcmread(instance.path, stop_before_pixels=True)
            .OpticalPathSequence[0]
            .get("OpticalPathDescription")
            for instance in result.instances
        ]
        assert said == expected


def test_inspect_tells_planes_and_channels_and_no_name_but_of_a_dye(tmp_path):
    built = build_ome(
        tmp_path, codec="jpeg_grey", grey_channels=2, focal_planes=3, levels=1, names=("dapi",)
    )
    done = command("inspect", built.path)
    assert "optical path 1: DAPI, fluorescence, lit at 400 nm" in done.stdout
    assert "optical path 2: Channel 2, fluorescence\n" in done.stdout
    assert "3 focal planes, 1.5 um apart" in done.stdout
    slide = coverslip.open(built.path)
    described = describe(slide, slide.routes())
    assert [path["name"] for path in described["optical_paths"]] == ["DAPI", "Channel 2"]
    assert [level["plane_distance_um"] for level in described["levels"]] == [1.5, 1.5]


def test_name_of_a_channel_is_not_written_and_its_light_is(tmp_path):
    built = build_ome(tmp_path, codec="jpeg_grey", grey_channels=2, levels=1)
    result = coverslip.convert(built.path, tmp_path / "out")
    paths = [
        pydicom.dcmread(instance.path, stop_before_pixels=True).OpticalPathSequence[0]
        for instance in result.instances
    ]
    assert [path.OpticalPathIdentifier for path in paths] == ["1", "2"]
    assert paths[0].IlluminationWaveLength == 400
    assert "IlluminationWaveLength" not in paths[1]
    assert not any("OpticalPathDescription" in path for path in paths)
    assert any("optical path 2" in note for note in result.notes)


def test_picture_that_is_slide_and_label_at_once_is_told(tmp_path):
    built = build_ome(tmp_path, levels=1, twice=True)
    with pytest.raises(coverslip.SourceError, match="two roles"):
        coverslip.open(built.path)


def test_file_that_was_renamed_is_whole(tmp_path):
    built = build_ome(tmp_path, levels=1)
    path = built.path.rename(tmp_path / "renamed.tif")
    assert len(coverslip.open(path).levels) == 1


def test_metadata_in_another_file_is_refused(tmp_path):
    path = tmp_path / "x.ome.tif"
    text = '<OME UUID="a"><BinaryOnly MetadataFile="DOE.ome" UUID="b"/></OME>'
    tags = {256: tiff.long(64), 257: tiff.long(64), 270: tiff.ascii_(text), 322: tiff.short(64)}
    tiff.write_tiff(path, [tiff.Directory(tags, [b"x"])])
    with pytest.raises(coverslip.UnsupportedSlideError, match="in another file") as raised:
        coverslip.open(path)
    assert "DOE" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("<OME></OME>", "describes no picture"),
     ("<OME><Image><Pixels><TiffData IFD='7'/></Pixels></Image></OME>", "does not have"),
     ("<x></OME>", "not well-formed"),
     ("<!DOCTYPE x><OME></OME>", "document type")],
)  # fmt: skip
def test_xml_that_makes_no_sense_is_told(text, reason, tmp_path):
    path = tmp_path / "x.ome.tif"
    tags = {256: tiff.long(64), 257: tiff.long(64), 270: tiff.ascii_(text), 322: tiff.short(64)}
    tiff.write_tiff(path, [tiff.Directory(tags, [b"x"])])
    with pytest.raises(coverslip.SourceError, match=reason):
        coverslip.open(path)


def test_series_of_decreasing_size_are_levels_whatever_the_factor(tmp_path):
    built = build_ome(tmp_path, layout="series", factor=3, size=(607, 454), pictures=("label",))
    slide = coverslip.open(built.path)
    assert [level.image_width for level in slide.levels] == [607, 202, 67]
    assert [image.role for image in slide.associated_images] == [Role.LABEL]


@pytest.mark.parametrize("layout", ["subifds", "series"])
def test_picture_that_nothing_explains_is_a_label(layout, tmp_path):
    built = build_ome(tmp_path, layout=layout, levels=2, pictures=("unnamed",))
    slide = coverslip.open(built.path)
    assert len(slide.levels) == 2
    assert [image.role for image in slide.associated_images] == [Role.LABEL]
    (note,) = slide.description.notes
    assert note.endswith("is no level of the pyramid: not written")


def test_name_with_a_role_in_its_middle_is_a_slide():
    def role(name):
        return _role(parse(SourceText(f'<Image Name="{name}"/>')))

    for name in ("label-free.svs", "macrophages", "unlabelled", "thumbnails.tif", "", "label 1 HE"):
        assert role(name) is None, name
    for name in ("label", "x.svs - label image", "LABEL IMAGE #2", "a_label", "slide [Label]"):
        assert role(name) == Role.LABEL, name
    assert role("macro image") == role("x [Overview]") == Role.OVERVIEW


def test_lying_tag_is_overruled_by_jfif_where_the_picture_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr("coverslip.colour._measure", lambda *_: None)
    style = {"markers": "jfif", "tables": "own"}
    built = build_ome(tmp_path, codec="jpeg_ycbcr444", tag_262=2, style=style, levels=1)
    (route,) = coverslip.open(built.path).routes()
    assert route.frame_format.photometric_interpretation == "YBR_FULL_422"
    result = coverslip.convert(built.path, tmp_path / "out")
    frames = readers.by_pydicom(result.instances[0].path, "pylibjpeg")
    pixels = readers.mosaic(frames, built.levels[0].width, built.levels[0].length)
    assert np.abs(pixels.astype(int) - built.levels[0].rgb).mean() < 2.5


def test_compression_33003_tells_no_colour_here_as_it_does_in_an_svs(tmp_path, monkeypatch):
    built = build_ome(tmp_path, codec="j2k_rgb", compression=33003, levels=1)
    (route,) = coverslip.open(built.path).routes()
    assert route.frame_format.photometric_interpretation == "RGB"
    monkeypatch.setattr("coverslip.colour._measure", lambda *_: None)
    (route,) = coverslip.open(built.path).routes()
    assert "the picture does not tell" in route.reason


def test_rgb_tiles_of_another_vendor_stay_rgb(tmp_path, monkeypatch):
    monkeypatch.setattr("coverslip.colour._measure", lambda *_: None)
    built = build_ome(tmp_path, codec="jpeg_rgb", levels=1)
    (route,) = coverslip.open(built.path).routes()
    assert route.frame_format.photometric_interpretation == "RGB"


def test_every_text_is_found_and_no_unknown_word_is_a_key(tmp_path):
    check_every_text_is_found(
        build_ome(tmp_path),
        ("UUID@FileName", "AcquisitionDate", "@LastName", "@SerialNumber"),
        plain=("@SizeX", "@IFD"),
    )


def test_description_that_is_there_once_more_is_found_too(tmp_path):
    planted = "QWXZVKJPH"
    built = build_ome(tmp_path, levels=1, pictures=(), more_tags={271: tiff.ascii_(planted)})
    entry = struct.pack(">HHI", 271, tiff.ASCII, len(planted) + 1)
    data = built.path.read_bytes()
    assert data.count(entry) == 1
    built.path.write_bytes(data.replace(entry, struct.pack(">H", 270) + entry[2:]))
    items = items_of(built)
    assert [item.place for item in items if item.text.reveal() == planted] == [
        "IFD 0 ImageDescription"
    ]


def test_device_is_known_by_the_microscope(tmp_path):
    device = coverslip.open(build_ome(tmp_path, levels=1).path).description.metadata.device
    assert [text.reveal() for text in device] == ["Leica SCN400"]
    assert coverslip.open(build_ome(tmp_path, levels=1).path).description.objective_power == 40


def test_directory_of_no_samples_is_refused_with_its_tag(tmp_path):
    slide = build_ome(tmp_path, more_tags={277: tiff.short(0)})
    with pytest.raises(coverslip.SourceError, match="tag 277"):
        coverslip.open(slide.path)
