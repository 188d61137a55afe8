"""What holds for every kind of route where levels are divided among several files."""

import hashlib
import itertools
import json
from unittest.mock import patch

import numpy as np
import pydicom
import pytest
import tifffile

import coverslip
from coverslip import conversion
from coverslip.deid.policy import Policy
from coverslip.deid.uids import RandomIdentity, UidPurpose, uid_of
from coverslip.verification import header
from tests.choices import words_of
from tests.interop import readers
from tests.interop.validator import validator_findings
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS, build_svs
from tests.test_laws import SPARSE, command
from tests.unit.test_leftovers import segment, with_tile

OWN = {
    "SOPInstanceUID",
    "NumberOfFrames",
    "InConcatenationNumber",
    "ConcatenationFrameOffsetNumber",
    "PerFrameFunctionalGroupsSequence",
}
"""What tells parts of a level apart; all else is the same (PS3.3 C.7.6.16.2.2.4)."""
OF_PARTS = {
    "SOPInstanceUIDOfConcatenationSource",
    "ConcatenationUID",
    "InConcatenationTotalNumber",
}
BESIDE_FRAMES = 700
"""Bytes of a part that are neither frames nor in the header of the whole."""
PLACE_BYTES = 168
SPARSE_CASES = tuple(f"{name}+sparse" for name in SPARSE)
CASES = (*SPARSE, *SPARSE_CASES, "philips", "ndpis", "scn-fluorescence-in-colour", "ventana-bif")
"""Of each kind of route, with focal planes, channels and sets of files, and with parts that have
blank frames only: frames are divided when they are planned, by what knows of no format."""


class Named(RandomIdentity):
    """An identity that gives the same whenever it is asked, whatever it was asked before."""

    def __init__(self):
        counter = itertools.count()
        super().__init__(lambda count: next(counter).to_bytes(count))

    def uid(self, purpose, number=0, *more):
        return uid_of(hashlib.sha256(repr((purpose, number, *more)).encode()).digest())


def convert(slide, out, **choices):
    policy = Policy(**slide.choices, **choices)
    opened = coverslip.open(slide.path)
    return conversion.convert_opened(opened, out, policy, Named(), verify=False)


def levels_of(result):
    """Return the files of each level, in the order of their parts."""
    levels = {}
    for instance in result.instances:
        levels.setdefault(instance.level, []).append(instance)
    for files in levels.values():
        assert [file.part for file in files] == list(range(1, len(files) + 1))
        assert {file.parts for file in files} == {len(files)}
    return list(levels.values())


def smallest_size(result, *, is_sparse):
    """Return a size that has room for each frame by itself, and not for many more."""
    sizes = []
    for instance in result.instances:
        read = header.read(instance.path)
        longest = max(map(len, readers.frames_of(instance.path)))
        sizes.append(read.pixel_data_offset + longest)
    return max(sizes) + BESIDE_FRAMES + is_sparse * PLACE_BYTES


def convert_by_command(slide, out, **choices):
    """Convert a slide by the command line, under the same identity; return what it says as well."""
    made, ours = [], conversion.convert_opened

    def under_names(opened, out, policy, _, **options):
        made.append(ours(opened, out, policy, Named(), **options))
        return made[-1]

    with patch.object(conversion, "convert_opened", under_names):
        words = words_of(slide.choices | choices)
        said = command("convert", slide.path, "-o", out, *words, "--json")
    (result,) = made
    return result, said


class Case:
    def __init__(self, slide, folder, *, is_sparse):
        self.slide, self.is_sparse = slide, is_sparse
        self.whole = convert(slide, folder / "whole", sparse=is_sparse)
        self.size = smallest_size(self.whole, is_sparse=is_sparse)
        self.parts, self.said = convert_by_command(
            slide, folder / "parts", sparse=is_sparse, max_instance_size=self.size
        )

    def pairs(self):
        """Yield what each level is in one file, and in parts."""
        return zip(self.whole.instances, levels_of(self.parts), strict=True)


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory, needed):
    name, _, option = request.param.partition("+")
    needed(name)
    folder = tmp_path_factory.mktemp("slide")
    return Case(FORMATS[name](folder), folder, is_sparse=option == "sparse")


def test_parts_hold_the_frames_of_the_whole_and_none_is_too_large(case):
    for whole, files in case.pairs():
        frames = [frame for file in files for frame in readers.frames_of(file.path)]
        assert frames == readers.frames_of(whole.path)
        assert all(0 < file.byte_count == file.path.stat().st_size <= case.size for file in files)
        assert len(files) > 1 or whole.byte_count <= case.size


def test_parts_say_what_the_whole_says_but_for_what_is_their_own(case):
    for whole, files in case.pairs():
        expected = pydicom.dcmread(whole.path, stop_before_pixels=True)
        datasets = [pydicom.dcmread(file.path, stop_before_pixels=True) for file in files]
        if len(files) == 1:
            assert files[0].path.name == whole.path.name
            assert not OF_PARTS & {element.keyword for element in datasets[0]}
            continue
        at = 0
        for number, dataset in enumerate(datasets, start=1):
            uids = [expected.SOPInstanceUID, dataset.SOPInstanceUID, dataset.ConcatenationUID]
            assert len(set(uids)) == 3
            assert dataset.SOPInstanceUIDOfConcatenationSource == expected.SOPInstanceUID
            assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
            assert dataset.InConcatenationNumber == number
            assert dataset.InConcatenationTotalNumber == len(files)
            assert dataset.ConcatenationFrameOffsetNumber == at
            at += dataset.NumberOfFrames
            # The second value of the method is the digest of the policy, which differs.
            dataset.DeidentificationMethod = expected.DeidentificationMethod
            same = [element for element in expected if element.keyword not in OWN]
            assert [e for e in dataset if e.keyword not in OWN | OF_PARTS] == same
        assert at == expected.NumberOfFrames
        assert len({dataset.SOPInstanceUID for dataset in datasets}) == len(files)
        assert len({dataset.ConcatenationUID for dataset in datasets}) == 1
        items = [d.get("PerFrameFunctionalGroupsSequence", ()) for d in datasets]
        whole_items = expected.get("PerFrameFunctionalGroupsSequence", ())
        assert list(itertools.chain(*items)) == list(whole_items)


def test_counts_of_parts_are_those_of_the_whole(case):
    assert case.parts.frames == case.whole.frames
    assert case.parts.notes == case.whole.notes
    certified = json.loads(case.parts.certificate_path.read_text())["instances"]
    for instance, record in zip(case.parts.instances, certified, strict=True):
        counts = {name[7:]: count for name, count in record.items() if name.startswith("frames_")}
        assert counts.pop("truncated") <= counts["copied"]
        absent = counts.pop("absent")
        assert sum(counts.values()) == len(readers.frames_of(instance.path))
        assert absent == 0 or case.is_sparse
        said = (instance.part, instance.parts) if instance.parts > 1 else (None, None)
        assert said == (
            record["in_concatenation_number"],
            record["in_concatenation_total_number"],
        )


def dropped_by(result):
    """Return by file how many segments its certificate says were left out."""
    certified = json.loads(result.certificate_path.read_text())["instances"]
    return {record["sop_instance_uid"]: record["segments_dropped"] for record in certified}


def test_segments_left_out_of_parts_are_those_of_the_whole(case):
    of_whole, of_parts = dropped_by(case.whole), dropped_by(case.parts)
    for whole, files in case.pairs():
        counts = [of_parts[file.sop_instance_uid] for file in files]
        expected = of_whole[whole.sop_instance_uid]
        assert counts == [None] * len(files) if expected is None else sum(counts) == expected


def segments_in(tile):
    """Count what a JPEG has of comments and application segments before its scan."""
    at, count = 2, 0
    while tile[at + 1] != 0xDA:
        count += tile[at + 1] == 0xFE or tile[at + 1] & 0xF0 == 0xE0
        at += 2 + int.from_bytes(tile[at + 2 : at + 4])
    return count


@pytest.mark.parametrize("count", [12, 30])
def test_segments_are_told_of_the_part_whose_tiles_had_them(count, tmp_path):
    """Of few tiles all are looked at first, of many some, which these are not."""
    built = build_svs(tmp_path, size=(count * 64, 64), tile=64, levels=1)
    for number, more in ((1, 1), (count - 3, 2)):
        comments = segment(0xFE, b"Quillfeather") * more
        with_tile(built, number, lambda tile, comments=comments: tile[:2] + comments + tile[2:])
    with tifffile.TiffFile(built.path) as tiff, built.path.open("rb") as file:
        page = tiff.pages[0]
        tiles = []
        for offset, byte_count in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.seek(offset)
            tiles.append(segments_in(file.read(byte_count)))
    size = convert(built, tmp_path / "whole").instances[0].byte_count * 2 // 3
    result = convert(built, tmp_path / "parts", max_instance_size=size)
    told, at = dropped_by(result), 0
    assert len(result.instances) > 1
    for instance in result.instances:
        frames = pydicom.dcmread(instance.path, stop_before_pixels=True).NumberOfFrames
        assert told[instance.sop_instance_uid] == sum(tiles[at : at + frames])
        at += frames
    assert at == count
    assert sum(told.values()) == sum(tiles)


def test_independent_check_gives_no_alarm(case):
    report = coverslip.verify(case.parts.study_path, case.slide.path)
    assert [str(survivor) for survivor in report.found] == []
    whole = coverslip.verify(case.whole.study_path, case.slide.path)
    assert (report.frames, report.frames_equal) == (whole.frames, whole.frames_equal)
    assert report.exit_status == whole.exit_status


@pytest.mark.tools
def test_validator_is_silent(case, tool):
    for _, (file, *_) in case.pairs():
        assert validator_findings(file.path, case.slide, tool("dciodvfy")) == []


def test_openslide_and_wsidicom_show_the_same_levels(case):
    dataset = pydicom.dcmread(case.whole.instances[0].path, stop_before_pixels=True)
    if case.slide.is_ycc422_jpeg2000 or dataset.PhotometricInterpretation == "MONOCHROME2":
        pytest.skip("not every reader knows the photometric interpretation")
    if any(level.above or level.optical_path for level in case.slide.levels):
        pytest.skip("wsidicom is asked below")
    folders = sorted({instance.path.parent.name for instance in case.whole.instances})
    for name in folders:
        for read in (readers.by_openslide, readers.by_wsidicom):
            whole, parts = (read(result.study_path / name) for result in (case.whole, case.parts))
            assert len(whole) == len(parts)
            for one, other in zip(whole, parts, strict=True):
                assert np.array_equal(one, other)


def test_wsidicom_shows_each_focal_plane_and_channel(case):
    if not any(level.above or level.optical_path for level in case.slide.levels):
        pytest.skip("one picture at each level")
    folders = [result.instances[0].path.parent for result in (case.whole, case.parts)]
    for channel in sorted({level.optical_path for level in case.slide.levels}):
        for plane in range(len(case.slide.levels[0].planes)):
            whole, parts = (
                readers.by_wsidicom(folder, plane=plane, path=str(channel + 1))
                for folder in folders
            )
            for one, other in zip(whole, parts, strict=True):
                assert np.array_equal(one, other)


def test_no_identifier_is_in_any_byte_name_or_message(case):
    identifiers = [text for text in case.slide.identifiers if len(text) >= 5]
    assert survivors(identifiers, places_of(case.parts.study_path, case.said)) == set()


def test_same_identity_and_size_give_the_same_bytes(case, tmp_path):
    again = convert(case.slide, tmp_path, sparse=case.is_sparse, max_instance_size=case.size)
    for first, second in zip(case.parts.instances, again.instances, strict=True):
        assert first.path.name == second.path.name
        assert first.path.read_bytes() == second.path.read_bytes()


def test_purposes_of_uids_are_apart():
    uids = [Named().uid(UidPurpose.PART, level, part, 9) for level in (0, 1) for part in (1, 2)]
    assert len({*uids, Named().uid(UidPurpose.CONCATENATION, 0, 9)}) == 5
