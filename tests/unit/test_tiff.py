import os
import re
import traceback
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coverslip.errors import CoverslipError, LimitError, SourceError, UnsupportedSlideError
from coverslip.formats import detect
from coverslip.limits import LIMITS
from coverslip.model import ItemKind
from coverslip.tiff import directory as directory_room
from coverslip.tiff import file as room
from coverslip.tiff import open_tiff
from tests.conftest import SLIDES
from tests.formats.test_generic import tags
from tests.synth import tiff
from tests.synth.tiff import Directory, Value

NAME = "DOE-JANE-4711.svs"
PLANTED = "QWXZVKJPH"


def write(folder, directories, **options):
    path = folder / NAME
    tiff.write_tiff(path, directories, **options)
    return path


def texts_of(path):
    with open_tiff(path) as opened:
        return {
            item.place: item for directory in opened.directories for item in directory.text_items()
        }


def refused(path, kind):
    """Return what is told of a file that cannot be opened: message, hint and traceback."""
    with pytest.raises(kind) as raised, open_tiff(path) as opened:
        detect(opened)
    told = "".join(traceback.format_exception(raised.value)) + str(
        getattr(raised.value, "hint", None)
    )
    assert NAME not in told
    assert PLANTED not in told
    return told


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_plane_of_a_volume_has_the_tags_and_tiles_of_its_own(big_endian, bigtiff, tmp_path):
    volume = tags(128, 128, tile=tiff.short(128)) | {
        32997: tiff.long(3),
        324: tiff.long(11, 22, 33),
        325: tiff.short(1, 2, 3),  # inside the entry of a BigTIFF
    }
    path = write(tmp_path, [Directory(volume)], big_endian=big_endian, bigtiff=bigtiff)
    with open_tiff(path) as opened:
        (directory,) = opened.directories
        planes = [directory.plane(number, 1) for number in range(4)]
        found = [(plane.array(324).tolist(), plane.array(325).tolist()) for plane in planes]
        assert found == [([11], [1]), ([22], [2]), ([33], [3]), ([], [])]
        assert all(32997 not in plane for plane in planes)
        assert directory.integers(324) == (11, 22, 33)
        # Two planes of two tiles, of which the file has three.
        assert directory.plane(1, 2).array(324).tolist() == [33]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_values_are_the_same_in_every_layout(big_endian, bigtiff, tmp_path):
    more = {282: tiff.rational(7, 2), 65000: tiff.undefined(b"\1\2\3"), 315: tiff.ascii_(PLANTED)}
    path = write(
        tmp_path,
        [Directory(tags(100, 70) | more, [b"abc", b"", b"de", b"f"])],
        big_endian=big_endian,
        bigtiff=bigtiff,
    )
    with open_tiff(path) as opened:
        directory = opened.directories[0]
        assert opened.files[0].layout.value_size == (8 if bigtiff else 4)
        assert directory.integer(256, 0) == 100
        assert directory.integers(258) == (8, 8, 8)
        assert directory.integer(11111, 5) == 5
        assert directory.number_of(282) == 3.5
        assert directory.raw(65000) == b"\1\2\3"
        assert directory.text(315).reveal() == PLANTED
        assert directory.array(325).tolist() == [3, 0, 2, 1]
        assert directory.array(325).dtype == "uint64"


def test_identity_is_that_of_the_open_file(tmp_path):
    path = write(tmp_path, [Directory(tags(9, 9), [b"x"])])
    status = path.stat()
    with open_tiff(path) as opened:
        assert opened.stamps == [(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)]


def test_children_come_behind_the_chain_and_know_their_parent(tmp_path):
    child = Directory(tags(50, 50), [b"x"])
    first = Directory(tags(100, 100), [b"x"] * 4, children=[child], exif={36867: tiff.ascii_("1")})
    path = write(tmp_path, [first, Directory(tags(40, 40), [b"x"])])
    with open_tiff(path) as opened:
        found = [(d.number, d.parent, d.kind) for d in opened.directories]
    assert found == [(0, None, "IFD"), (1, None, "IFD"), (2, 0, "SubIFD"), (3, 0, "Exif")]


def test_gps_directory_is_a_place(tmp_path):
    gps = Directory({29: tiff.ascii_(PLANTED)})
    path = write(tmp_path, [Directory(tags(9, 9), [b"x"], children=[gps])])
    data = bytearray(path.read_bytes())
    # The writer knows no GPS directory: its pointer is a SubIFD's under another number.
    at = data.index((330).to_bytes(2, "little") + b"\x0d\0")
    data[at : at + 4] = (34853).to_bytes(2, "little") + b"\x04\0"
    path.write_bytes(data)
    item = texts_of(path)["GPS 1 tag 29"]
    assert (item.kind, item.key, item.text.reveal()) == (ItemKind.PLACE, None, PLANTED)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (315, "Jörg Müller".encode()),
        (315, b"\xef\xbb\xbf" + "Jörg Müller".encode()),
        (315, "Jörg Müller".encode("latin-1")),
        (315, "Jörg Müller".encode("utf-16")),
        (40093, "Jörg Müller".encode("utf-16-le") + b"\0\0"),
    ],
)
def test_names_are_read_in_the_encoding_they_have(tag, value, tmp_path):
    path = write(tmp_path, [Directory(tags(9, 9) | {tag: tiff.byte(value)}, [b"x"])])
    assert "Jörg Müller" in {item.text.reveal() for item in texts_of(path).values()}


def test_unknown_tags_have_a_number_for_a_name_and_known_ones_a_kind(tmp_path):
    more = {65000: tiff.ascii_(PLANTED), 315: tiff.ascii_(PLANTED), 50000: tiff.undefined(b"blob")}
    found = texts_of(write(tmp_path, [Directory(tags(9, 9) | more, [b"x"])]))
    kinds = {place: (item.key, item.kind) for place, item in found.items()}
    assert kinds == {
        "IFD 0 Artist": ("Artist", ItemKind.PERSON),
        "IFD 0 tag 65000": (None, ItemKind.UNKNOWN),
        "IFD 0 tag 50000": (None, ItemKind.UNKNOWN),
    }


def test_tag_that_is_there_twice_is_used_once_and_found_twice(tmp_path):
    more = {315: tiff.ascii_("first one"), 316: tiff.ascii_(PLANTED)}
    path = write(tmp_path, [Directory(tags(9, 9) | more, [b"x"])])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x3c\x01\x02\0", b"\x3b\x01\x02\0"))
    with open_tiff(path) as opened:
        (directory,) = opened.directories
        texts = [item.text.reveal() for item in directory.text_items()]
        assert directory.text(315).reveal() == "first one"
        assert texts == ["first one", PLANTED]
        ranges = list(directory.value_ranges())
    assert (data.index(PLANTED.encode()), len(PLANTED) + 1) in ranges


def test_thumbnail_of_a_camera_is_a_picture(tmp_path):
    more = {513: tiff.long(8), 514: tiff.long(5)}
    with open_tiff(write(tmp_path, [Directory(tags(9, 9) | more, [b"x"])])) as opened:
        assert [8, 5] in opened.directories[0].picture_ranges().tolist()


def test_value_outside_the_file_is_told_with_its_tag_and_directory(tmp_path):
    more = {315: tiff.ascii_(PLANTED)}
    path = write(tmp_path, [Directory(tags(9, 9), [b"x"]), Directory(tags(9, 9) | more, [b"x"])])
    data = path.read_bytes()
    at = data.index((315).to_bytes(2, "little") + b"\x02\0") + 4
    path.write_bytes(data[:at] + (1 << 20).to_bytes(4, "little") + data[at + 4 :])
    assert f"IFD 1 tag 315 claims {1 << 20} bytes at offset" in refused(path, SourceError)


@pytest.mark.parametrize("field_type", [tiff.ASCII, tiff.UNDEFINED, tiff.RATIONAL])
def test_offsets_of_a_wrong_field_type_are_refused(field_type, tmp_path):
    value = Value(field_type, (1, 2, 3, 4, 5, 6, 7, 8))
    path = write(tmp_path, [Directory(tags(9, 9) | {324: value, 325: tiff.long(1)})])
    assert f"IFD 0 tag 324 has field type {field_type}" in refused(path, SourceError)


def shared(path, tags_count, byte_count):
    """Write a slide with many tags that all point at the same bytes."""
    more = {code: tiff.ascii_("A" * 99) for code in range(65000, 65000 + tags_count)}
    tiff.write_tiff(path, [Directory(tags(9, 9) | more, [b"x"])], tail=b"A" * byte_count)
    data = bytearray(path.read_bytes())
    for code in more:
        at = data.index(code.to_bytes(2, "little") + b"\x02\0")
        data[at + 4 : at + 12] = byte_count.to_bytes(4, "little") + b"\x08\0\0\0"
    path.write_bytes(data)
    return path


def test_small_file_that_claims_many_bytes_meets_a_limit_before_they_are_read(tmp_path):
    path = shared(tmp_path / NAME, 300, 1 << 20)
    assert f"metadata_bytes = {LIMITS.metadata_bytes}" in refused(path, LimitError)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("directories", 1), ("tags_in_directory", 3), ("tiles", 1), ("value_bytes", 2)],
)
def test_limit_is_named_when_it_is_met(limit, value, tmp_path, monkeypatch):
    more = {270: tiff.ascii_(PLANTED)}
    path = write(tmp_path, [Directory(tags(100, 100) | more, [b"x"] * 4) for _ in range(2)])
    for module in (room, directory_room):
        monkeypatch.setattr(module, "LIMITS", replace(LIMITS, **{limit: value}))
    assert f"{limit} = {value}" in refused(path, LimitError)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04", "ZIP"),
        (b"ZISRAWFILE", "Zeiss CZI"),
        (b"SQLite format 3\0", "SQLite"),
        (b"SQLite format 3\0" + bytes(900) + b"CREATE TABLE SVGigaPixelImage", "Sakura svslide"),
        (b"SIS\0", "VSI"),
        (b"<ImageList>", "AFI"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"BM", "BMP"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ZVI"),
        (b"[GENERAL]\r\n", "MIRAX"),
        (b"\xef\xbb\xbf[GENERAL]\r\n", "MIRAX"),
        (b"[Virtual Microscope Specimen]\r\n", "VMS"),
        (b"[Uncompressed Virtual Microscope Specimen]\r\n", "VMU"),
        (b'<DataObject ObjectType="DPUfsImport">', "iSyntax"),
        (b'<?xml version="1.0"?>\n<DataObject ObjectType="DPUfsImport">', "iSyntax"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (bytes(128) + b"DICM", "DICOM"),
    ],
)
def test_other_kinds_of_file_are_told_by_their_first_bytes(content, name, tmp_path):
    path = tmp_path / NAME
    path.write_bytes(content + PLANTED.encode())
    told = refused(path, UnsupportedSlideError)
    assert re.search(rf"the file is .*{name}.*, not a TIFF", told)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0", b"\x89PNG", b"PK\x03\x04", b"DOE"])
def test_mirax_index_may_be_anything_and_is_known_by_the_end_of_its_name(content, tmp_path):
    path = tmp_path / f"{PLANTED}.MRXS"
    path.write_bytes(content)
    assert "3DHISTECH MIRAX" in refused(path, UnsupportedSlideError)


@pytest.mark.parametrize(
    "content",
    [b"ZISRAWFILE", b"[GENERAL]", b"[Virtual Microscope", b"[Uncompressed Virtual Microscope",
     b"<DataObject", b"SQLite format 3\0SVGigaPixelImage", b"SIS\0"],
)  # fmt: skip
def test_slide_of_another_kind_comes_with_what_can_be_done(content, tmp_path):
    path = tmp_path / NAME
    path.write_bytes(content)
    with pytest.raises(UnsupportedSlideError) as raised, open_tiff(path):
        pass
    assert "export it" in raised.value.hint


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"II", "not a TIFF"),
        (b"II*\0", "ends inside a directory"),
        (b"II*\0" + bytes(4), "no directory"),
        (b"II*\0\x08\0\0\0", "beyond the end"),
        (b"II+\0\x04\0\0\0" + bytes(16), "not a TIFF of version"),
        (b"II*\0\x08\0\0\0\xff\x0f" + bytes(40), "ends inside a directory"),
    ],
)
def test_what_is_damaged_is_told_and_not_shown(content, reason, tmp_path):
    path = tmp_path / NAME
    path.write_bytes(content)
    assert reason in refused(path, SourceError)


def test_missing_file_and_folder_are_the_errors_of_the_system_without_the_name(tmp_path):
    for path, kind in ((tmp_path / NAME, FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(kind) as raised, open_tiff(path):
            pass
        assert raised.value.filename is None
        assert raised.value.errno
        assert raised.value.__context__ is None


def test_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / NAME)
    assert "not a regular file" in refused(tmp_path / NAME, SourceError)


def small_slide(folder, **options):
    secret = {
        270: tiff.ascii_(f"Aperio v1\r\n|Filename = {PLANTED}|MPP = 0.5"),
        315: tiff.ascii_(PLANTED),
        65000: tiff.undefined(PLANTED.encode("utf-16-le")),
    }
    label = {k: v for k, v in tags(30, 30).items() if k not in (322, 323)} | secret
    return write(
        folder,
        [
            Directory(tags(100, 70) | secret, [b"x"] * 4, exif={36867: tiff.ascii_(PLANTED)}),
            Directory(label, [b"label"], tiled=False),
            Directory(tags(50, 35) | secret, [b"x"]),
        ],
        **options,
    ).read_bytes()


@pytest.fixture(scope="module", params=[(False, False), (True, False), (False, True)])
def slide_bytes(request, tmp_path_factory):
    bigtiff, big_endian = request.param
    folder = tmp_path_factory.mktemp("slide")
    return folder / NAME, small_slide(folder, bigtiff=bigtiff, big_endian=big_endian)


CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\0" * 8, b"\x80\0"])
        | st.binary(min_size=1, max_size=12),
    ),
    max_size=6,
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=CHANGES, kept=st.floats(0, 1))
@example(changes=[], kept=1.0)
def test_mutated_or_cut_tiff_raises_nothing_but_our_errors(slide_bytes, changes, kept):
    path, data = slide_bytes
    mutated = bytearray(data)
    for where, value in changes:
        at = int(where * len(mutated))
        mutated[at : at + len(value)] = value
    path.write_bytes(mutated[: int(kept * len(mutated))])
    try:
        with open_tiff(path) as opened:
            shown = repr(detect(opened)) + repr(opened.directories)
    except (CoverslipError, OSError) as error:
        shown = "".join(traceback.format_exception(error)) + str(getattr(error, "hint", None))
    assert NAME not in shown
    assert PLANTED not in shown


@pytest.mark.slides
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("aperio/CMU-1-Small-Region.svs", 4),
        ("aperio/tcga-cr-7395-01a-01-ts1.svs", 3),
        ("generic-tiff/boxes.tiff", 4),
        ("hamamatsu/test3-DAPI-2-(387).ndpi", 6),
        ("ome-tiff/OS-1-detail.ome.tif", 1),
        ("qptiff/small_vectra.qptiff", 6),
    ],
)
def test_real_slides_have_the_directories_that_others_see(name, count):
    with open_tiff(SLIDES / name) as opened:
        chain = [d for d in opened.directories if d.kind == "IFD"]
        assert len(chain) == count
        assert all(d.integer(256, 0) > 0 for d in chain)
