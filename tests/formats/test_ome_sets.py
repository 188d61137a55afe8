"""OME-TIFF in several files: all of them or none, and nothing from anywhere else."""

import os
import socket
import struct
import traceback
from dataclasses import replace

import numpy as np
import pytest
import tifffile

import coverslip
from coverslip import _core, conversion
from coverslip.deid.policy import Policy
from coverslip.deid.uids import RandomIdentity
from coverslip.limits import LIMITS
from coverslip.sets import files_of
from tests.formats.findings import items_of
from tests.interop import readers
from tests.synth import build_ome, tiff

SHAPE = {"codec": "jpeg_grey", "grey_channels": 2, "levels": 1, "size": (300, 200), "pictures": ()}
NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def build(folder, seed=None, **options):
    return build_ome(folder, seed, **{**SHAPE, "files": "channels", **options})


def refused(slide, kind, reason):
    """Open each file that is there, and check that none of its names is told."""
    for path in slide.paths:
        if path.suffix == ".ome" or not path.exists():
            continue
        with pytest.raises(kind, match=reason) as raised:
            coverslip.open(path)
        told = "".join(traceback.format_exception(raised.value)) + str(raised.value.hint)
        assert not any(part.name in told for part in slide.paths)


def put(slide, old, new):
    """Replace bytes in each file of a set by others of the same length."""
    assert len(old) == len(new)
    found = 0
    for path in slide.paths:
        data = path.read_bytes()
        found += data.count(old)
        path.write_bytes(data.replace(old, new))
    assert found


def rename_in_xml(slide, number, name):
    """Call a file of a set something else wherever it is named."""
    old = slide.paths[number].name.encode()
    new = b'FileName="' + name.encode() + b'"'
    put(slide, b'FileName="' + old + b'"', new.ljust(len(old) + 11))


@pytest.mark.parametrize("metadata", ["each", "first", "companion"])
@pytest.mark.parametrize("files", ["channels", "focal planes", "planes"])
def test_set_is_the_same_slide_by_any_of_its_names(files, metadata, tmp_path):
    built = build(tmp_path, files=files, focal_planes=2, metadata=metadata)
    opened = [coverslip.open(path) for path in built.paths if path.suffix != ".ome"]
    first, *others = opened
    assert [file.path for file in first.files] == list(built.paths)
    assert first.source.byte_count == sum(path.stat().st_size for path in built.paths)
    for other in others:
        assert other.files == first.files
        assert other.findings == first.findings
        for ours, theirs in zip(first.levels, other.levels, strict=True):
            assert np.array_equal(ours.stored_ranges(), theirs.stored_ranges())


@pytest.mark.parametrize("metadata", ["each", "first"])
@pytest.mark.parametrize("files", ["channels", "focal planes", "planes"])
def test_tifffile_reads_the_same_planes_across_the_files(files, metadata, tmp_path):
    built = build(tmp_path, files=files, focal_planes=2, metadata=metadata)
    with tifffile.TiffFile(built.path) as other:
        (series,) = other.series
        assert series.axes == "ZCYX"
        planes = series.asarray()
    result = coverslip.convert(built.path, tmp_path / "out")
    for channel, instance in enumerate(result.instances):
        frames = readers.by_pydicom(instance.path, "pylibjpeg")
        for z, half in enumerate(np.split(frames, 2)):
            assert np.abs(readers.mosaic(half, 300, 200).astype(int) - planes[z, channel]).max() < 2


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_set_of_which_a_file_is_missing_is_refused_with_how_many(gone, tmp_path):
    built = build(tmp_path, files="focal planes", focal_planes=3)
    built.paths[gone].unlink()
    refused(built, coverslip.UnsupportedSlideError, r"^1 of the 3 files of the set are not in its")


@pytest.mark.parametrize("metadata", ["first", "companion"])
def test_set_without_its_metadata_is_refused(metadata, tmp_path):
    built = build(tmp_path, metadata=metadata)
    built.paths[0 if metadata == "first" else -1].unlink()
    refused(built, coverslip.UnsupportedSlideError, "metadata in another file, which is not in")


def test_first_file_that_was_renamed_is_known_by_its_uuid(tmp_path):
    built = build(tmp_path)
    path = built.path.rename(tmp_path / "renamed.tif")
    assert [file.path for file in coverslip.open(path).files] == [path, *built.others]


@pytest.mark.parametrize(
    "name",
    ["../a.tif", "..", ".", "", "a/../b.tif", "sub/a.tif", "..\\a.tif", "C:\\a.tif", "/etc/hosts"],
)
def test_name_with_a_folder_in_it_is_refused_wherever_it_leads(name, tmp_path):
    (tmp_path / "set").mkdir()
    built = build(tmp_path / "set")
    (tmp_path / "set" / "sub").mkdir()
    for place in ("a.tif", "set/sub/a.tif"):
        (tmp_path / place).write_bytes(built.others[0].read_bytes())
    rename_in_xml(built, 1, name)
    with pytest.raises(coverslip.SourceError, match="not named as one of the same folder"):
        coverslip.open(built.path)


def link_out(path):
    path.rename(path.parent.parent / path.name)
    path.symlink_to(path.parent.parent / path.name)


def link_beside(path):
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def listener(path):
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("become", [link_out, link_beside, pipe, listener, folder])
def test_file_of_a_set_that_is_no_regular_file_is_refused_and_not_waited_for(become, tmp_path):
    (tmp_path / "s").mkdir()
    built = build(tmp_path / "s")
    become(built.others[0])
    with pytest.raises(coverslip.SourceError, match="is not a regular file"):
        coverslip.open(built.path)


def test_file_under_two_names_is_refused(tmp_path):
    built = build(tmp_path)
    built.others[0].unlink()
    built.others[0].hardlink_to(built.path)
    refused(built, coverslip.SourceError, "same file")


def test_set_that_names_itself_for_all_its_files_is_refused(tmp_path):
    built = build(tmp_path)
    rename_in_xml(built, 1, built.path.name)
    with pytest.raises(coverslip.SourceError, match="in two ways"):
        coverslip.open(built.path)


def uuids_of(slide):
    found = []
    for path in slide.paths:
        with tifffile.TiffFile(path) as opened:
            text = opened.pages[0].description
        found.append(text[text.index('UUID="') + 6 :].partition('"')[0].encode())
    return found


def test_file_with_another_uuid_than_the_set_says_is_refused(tmp_path):
    built = build(tmp_path)
    old = b'UUID="' + uuids_of(built)[1]
    new = old[:-3] + b"999"
    path = built.others[0]
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(coverslip.SourceError, match="disagree about which files"):
        coverslip.open(built.path)


def test_file_that_is_of_another_set_is_refused(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    built, other = build(tmp_path / "one", 1), build(tmp_path / "other", 2)
    built.others[0].write_bytes(other.others[0].read_bytes())
    with pytest.raises(coverslip.SourceError, match="disagree about which files"):
        coverslip.open(built.path)


def test_file_that_tells_of_planes_in_others_only_is_none_of_them(tmp_path):
    built = build(tmp_path)
    old = b'UUID="' + uuids_of(built)[1]
    data = built.others[0].read_bytes().replace(old, b'UUID="' + b"9" * (len(old) - 6))
    stranger = tmp_path / "stranger.ome.tif"
    stranger.write_bytes(data)
    with pytest.raises(coverslip.SourceError, match="disagree about which files"):
        coverslip.open(stranger)
    assert files_of(stranger) == (stranger,)
    assert [file.path for file in coverslip.open(built.path).files] == list(built.paths)


def test_file_that_is_no_ome_tiff_is_refused(tmp_path):
    built = build(tmp_path)
    tags = {256: tiff.long(9), 257: tiff.long(9)}
    tiff.write_tiff(built.others[0], [tiff.Directory(tags, [b"x"])])
    with pytest.raises(coverslip.SourceError, match="has no OME-XML"):
        coverslip.open(built.path)


@pytest.mark.parametrize("data", [b"", b"x", b"II*\0", b"MM\0*\0\0\0\x08", b"<OME></OME>"])
def test_file_that_is_damaged_is_refused(data, tmp_path):
    built = build(tmp_path)
    built.others[0].write_bytes(data)
    with pytest.raises(coverslip.SourceError):
        coverslip.open(built.path)


def alone(folder, text):
    path = folder / "x.ome.tif"
    tags = {256: tiff.long(64), 257: tiff.long(64), 270: tiff.ascii_(text), 322: tiff.short(64)}
    tiff.write_tiff(path, [tiff.Directory(tags, [b"x"])])
    return path


def test_metadata_that_is_in_this_very_file_and_is_not_is_refused(tmp_path):
    text = f'<OME xmlns="{NAMESPACE}"><BinaryOnly MetadataFile="x.ome.tif"/></OME>'
    with pytest.raises(coverslip.SourceError, match="disagree"):
        coverslip.open(alone(tmp_path, text))


def test_metadata_file_with_another_uuid_is_refused(tmp_path):
    built = build(tmp_path, metadata="companion")
    path = built.paths[-1]
    path.write_text(path.read_text().replace('UUID="urn:uuid:', 'UUID="urn:uuid:1', 1))
    refused(built, coverslip.SourceError, "disagree")


@pytest.mark.timeout(20)
def test_set_of_a_hundred_thousand_files_is_refused_by_its_limit(tmp_path):
    data = "".join(
        f'<TiffData IFD="0"><UUID FileName="{n}.tif">urn:uuid:{n}</UUID></TiffData>'
        for n in range(100_000)
    )
    text = f"<OME><Image><Pixels>{data}</Pixels></Image></OME>"
    with pytest.raises(coverslip.LimitError, match=f"set_files = {LIMITS.set_files}"):
        coverslip.open(alone(tmp_path, text))


def test_directories_of_all_files_count_towards_the_limit(monkeypatch, tmp_path):
    built = build(tmp_path, focal_planes=3)
    assert len(coverslip.open(built.path).levels) == 2
    monkeypatch.setattr("coverslip.tiff.file.LIMITS", replace(LIMITS, directories=5))
    with pytest.raises(coverslip.LimitError, match="directories = 5"):
        coverslip.open(built.path)


def test_file_is_looked_for_where_its_plane_is_said_to_be(tmp_path):
    built = build(tmp_path)
    with tifffile.TiffFile(built.path) as opened:
        before = opened.pages[0].description
    text = before.replace('IFD="0" FirstC="1"', 'IFD="1" FirstC="1"').encode()
    assert text != before.encode()
    put(built, before.encode()[before.index("FirstC") - 40 :], text[before.index("FirstC") - 40 :])
    with pytest.raises(coverslip.SourceError, match="directory that the file does not have"):
        coverslip.open(built.path)


def point(path, tile, offset, count, page=0):
    """Let a tile of a directory of a file of the big byte order lie somewhere else."""
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as opened:
        tags = opened.pages[page].tags
    struct.pack_into(">I", data, tags[324].valueoffset + 4 * tile, offset)
    struct.pack_into(">I", data, tags[325].valueoffset + 4 * tile, count)
    path.write_bytes(data)


@pytest.mark.parametrize("beyond", [0, 1, 8, 500, 5000])
@pytest.mark.parametrize("number", [0, 1])
def test_tile_never_lies_in_another_file(number, beyond, tmp_path):
    built = build(tmp_path, files="focal planes", focal_planes=3)
    path = built.paths[number]
    point(path, 1, path.stat().st_size + beyond, 300)
    with pytest.raises(coverslip.SourceError, match=r"tile 1|tile 7"):
        coverslip.convert(built.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_label_that_lies_in_no_file_is_left_out_as_any_label_is(tmp_path):
    built = build(tmp_path, pictures=("label",))
    point(built.path, 1, built.path.stat().st_size + 500, 300, page=1)
    result = coverslip.convert(built.path, tmp_path / "out")
    assert result.frames.copied == 12
    assert coverslip.verify(result.study_path, built.path).is_clean


@pytest.mark.parametrize("number", [0, 1])
def test_tile_never_goes_on_in_the_next_file(number, tmp_path):
    built = build(tmp_path, files="focal planes", focal_planes=3)
    path = built.paths[number]
    point(path, 1, path.stat().st_size - 4, 5)
    with pytest.raises(coverslip.SourceError, match="claims 5 bytes at offset"):
        coverslip.convert(built.path, tmp_path / "out")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_change_of_any_file_is_noticed_when_it_is_converted(number, tmp_path):
    built = build(tmp_path, files="focal planes", focal_planes=3)
    slide, path = coverslip.open(built.path), built.paths[number]
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(coverslip.SourceError, match="changed"):
        conversion.convert_opened(slide, tmp_path / "out", Policy(), RandomIdentity())
    assert not list((tmp_path / "out").glob("2.25*"))


def test_text_of_every_file_is_found_and_each_name_is_one(tmp_path):
    built = build(tmp_path, files="planes", focal_planes=2, metadata="companion")
    *tiffs, companion = built.paths
    written = [companion.read_text()]
    for path in tiffs:
        with tifffile.TiffFile(path) as other:
            tags = [tag for page in other.pages for tag in page.tags if tag.dtype == 2]
            written += [tag.value for tag in tags]
    items = items_of(built)
    seen = "\n".join(item.text.reveal() for item in items)
    planted = [text for text in built.identifiers if text in "\n".join(written)]
    assert len(planted) > 30
    assert [text for text in planted if text not in seen] == []
    assert all(path.name in seen for path in built.paths)
    directories = {item.place.split()[1] for item in items if item.place.startswith("IFD")}
    assert directories == {"0", "1", "2", "3"}
    assert {"UUID@FileName", "BinaryOnly@MetadataFile"} <= {item.key for item in items}


def test_what_files_say_once_more_is_one_finding_of_each(tmp_path):
    one, two = (len(items_of(build(tmp_path, n, files=f, focal_planes=3)))
                for n, f in ((1, None), (2, "planes")))  # fmt: skip
    assert two < one + 6 * 8


def test_values_are_read_where_they_lie_among_all_files(tmp_path):
    built = build(tmp_path, files="planes", focal_planes=2)
    slide = coverslip.open(built.path)
    source, values = _core.Source(*built.paths), slide.description.metadata.values
    for place, value in values.items():
        if place.endswith("ImageDescription"):
            text = source.read(value.offset, value.byte_count)
            assert text.startswith(b"<?xml")
            assert text.rstrip(b"\0").endswith(b"</OME>")
    said = sorted(v.offset for p, v in values.items() if p.endswith("ImageDescription"))
    starts = [file.start for file in slide.files]
    assert np.searchsorted(starts, said).tolist() == [1, 2, 3, 4]
