"""Levels that are divided among several files: what is refused, and what the check finds."""

import errno
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import uuid
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pydicom
import pytest

import coverslip
from coverslip import _core, instances
from coverslip.deid.custody import Custody
from coverslip.deid.identity import Key
from coverslip.errors import LimitError, PolicyError
from coverslip.report import pictures
from coverslip.report.collect import collect
from coverslip.report.page import write_report
from coverslip.verification import wholes
from tests.archive.runs import studies_in
from tests.interop import readers
from tests.program import command
from tests.synth import build_generic, build_ndpi, build_svs
from tests.test_parts import convert as convert_alike
from tests.test_unlike_tiles import without_end_marker

SIZE = 60_000
MISSING = ((0, 0), (0, 7), (0, 29))


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return build_svs(tmp_path_factory.mktemp("divided"), missing=MISSING)


@pytest.fixture(scope="module", params=[False, True], ids=["full", "sparse"])
def converted(request, slide, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return coverslip.convert(slide.path, out, sparse=request.param, max_instance_size=SIZE)


@pytest.fixture
def copied(converted, tmp_path):
    study = Path(shutil.copytree(converted.study_path, tmp_path / converted.study_path.name))
    return study, [study / p.relative_to(converted.study_path) for p in paths_of(converted)]


def paths_of(result, level=0):
    return [instance.path for instance in result.instances if instance.level == level]


def change(path, how):
    """Write an instance anew, changed."""
    dataset = pydicom.dcmread(path)
    how(dataset)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(stream)
    path.write_bytes(stream.getvalue())


def found_in(study, slide):
    """Return place and words of what the check finds, but for digests that a change breaks."""
    reports = [coverslip.verify(study, slide.path), coverslip.verify(study, fast=True)]
    assert [report.exit_status for report in reports] == [1, 1]
    found, of_headers = (
        {(s.place, s.what) for s in report.found if s.place != "certificate"} for report in reports
    )
    assert of_headers <= found
    return found


@pytest.mark.parametrize(("share", "parts"), [(0.7, 2), (0.4, 3), (0.2, 7)])
def test_level_becomes_as_many_files_as_it_takes(share, parts, slide, tmp_path):
    whole = convert_alike(slide, tmp_path / "whole")
    size = int(whole.instances[0].byte_count * share)
    result = convert_alike(slide, tmp_path / "parts", max_instance_size=size)
    paths = paths_of(result)
    assert len(paths) == parts
    frames = [frame for path in paths for frame in readers.frames_of(path)]
    assert frames == readers.frames_of(whole.instances[0].path)
    assert len(paths_of(result, 1)) == 1


def test_level_that_just_fits_is_one_file_like_any_other(slide, tmp_path):
    # Random UIDs are not all as long as each other, and so are headers.
    whole = convert_alike(slide, tmp_path / "whole").instances[0]
    # The offset table and what surrounds it are counted as the longer of both kinds.
    for size, parts in ((whole.byte_count + 24, 1), (whole.byte_count - 1, 2)):
        result = convert_alike(slide, tmp_path / str(parts), max_instance_size=size)
        assert len(paths_of(result)) == parts


def test_frame_that_no_file_has_room_for_is_refused(slide, tmp_path):
    with pytest.raises(LimitError, match=r"^level 0: a file of \d+ bytes, which frame") as told:
        coverslip.convert(slide.path, tmp_path / "out", max_instance_size="5KB")
    assert "the limit max_instance_size = 5000" in str(told.value)
    assert told.value.hint == "give a larger --max-instance-size"
    assert not (tmp_path / "out").exists()


def test_label_is_never_divided(slide, tmp_path):
    result = coverslip.convert(
        slide.path, tmp_path / "out", label="substitute", max_instance_size=SIZE
    )
    labels = [instance for instance in result.instances if instance.level is None]
    assert [(label.part, label.parts, label.frames.picture) for label in labels] == [(1, 1, 1)]
    assert "ConcatenationUID" not in pydicom.dcmread(labels[0].path, stop_before_pixels=True)


@pytest.mark.parametrize(
    "size", [0, -1, True, 2.5, "2 apples", "", "GB", "0KB", "9" * 400, 1 << 63]
)
def test_impossible_size_is_refused(size):
    with pytest.raises(PolicyError, match="a size is a number of bytes"):
        coverslip.Policy(max_instance_size=size)


@pytest.mark.parametrize(
    ("size", "byte_count"), [("2GB", 2 * 10**9), ("1.5 mb", 1_500_000), ("700", 700), (9, 9)]
)
def test_size_is_bytes_or_text(size, byte_count):
    assert coverslip.Policy(max_instance_size=size).max_instance_size == byte_count


def test_command_tells_the_size_and_the_certificate_the_parts(slide, tmp_path):
    out = tmp_path / "out"
    done = command("convert", slide.path, "-o", out, "--max-instance-size", "60KB")
    assert done.returncode == 0, done.stderr
    (certificate,) = out.rglob("*.certificate.json")
    certified = json.loads(certificate.read_text())
    assert certified["policy"]["options"]["max_instance_size"] == SIZE
    parts = [record["in_concatenation_number"] for record in certified["instances"]]
    totals = [record["in_concatenation_total_number"] for record in certified["instances"]]
    assert parts == [1, 2, 3, 4, None] or parts == [1, 2, 3, None]
    assert set(totals) == {max(filter(None, parts)), None}
    refused = command("convert", slide.path, "-o", tmp_path / "no", "--max-instance-size", "2X")
    assert refused.returncode == 2
    assert "a size is a number of bytes" in refused.stderr


def test_parts_have_the_same_names_under_a_key_and_others_for_another_size(slide, tmp_path):
    key = Custody(key=Key(bytes(32)))

    def names(out, size):
        result = coverslip.convert(
            slide.path, tmp_path / out, profile="research", custody=key, max_instance_size=size
        )
        files = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths_of(result)]
        (source,) = {file.SOPInstanceUIDOfConcatenationSource for file in files}
        (uid,) = {file.ConcatenationUID for file in files}
        return source, uid, [file.SOPInstanceUID for file in files]

    first, again, other = names("a", SIZE), names("b", SIZE), names("c", 2 * SIZE)
    assert first == again
    assert first[0] == other[0]
    assert first[1] != other[1]
    assert not {*first[2]} & {*other[2]}


def test_later_part_with_a_tile_unlike_the_others_is_written_anew(tmp_path):
    build = partial(build_svs, codec="jpeg_ycbcr420", size=(500, 400), tile=64)
    path = without_end_marker(build(tmp_path).path, 50)
    whole = coverslip.convert(path, tmp_path / "whole", mpp_um=0.5)
    result = coverslip.convert(path, tmp_path / "out", mpp_um=0.5, max_instance_size=30_000)
    parts = [instance for instance in result.instances if instance.level == 0]
    assert len(parts) > 2
    assert [part.frames.truncated for part in parts].count(1) == 1
    assert parts[0].frames.truncated == 0
    frames = [frame for part in parts for frame in readers.frames_of(part.path)]
    assert frames == readers.frames_of(whole.instances[0].path)
    assert set(result.study_path.rglob("*.dcm")) == {instance.path for instance in result.instances}
    assert coverslip.verify(result.study_path, path).exit_status == 0


def test_progress_of_a_level_goes_on_from_part_to_part():
    told = []
    part = SimpleNamespace(number=0, level_bytes=100, bytes_before=40)
    report = instances._report_part(told.append, "write", part)
    for done in (0, 30, 61):
        report(done)
    assert [(step.done, step.total) for step in told] == [(40, 100), (70, 100), (100, 100)]


def test_part_that_cannot_be_written_leaves_nothing(slide, tmp_path, monkeypatch):
    parts = []

    def write(*args, **options):
        parts.append(args[3])
        if len(parts) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*args, **options)

    original = _core.write_instance
    monkeypatch.setattr(_core, "write_instance", write)
    with pytest.raises(OSError, match="No space left"):
        coverslip.convert(slide.path, tmp_path / "out", max_instance_size=SIZE)
    assert not list((tmp_path / "out").rglob("*"))


KILLED_AT_THE_THIRD = """
import os, signal, sys
import coverslip
from coverslip import _core, instances

def write(*args, **options):
    if len(list(args[3].parent.iterdir())) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **options)

original, _core.write_instance = _core.write_instance, write
coverslip.convert(sys.argv[1], sys.argv[2], max_instance_size=int(sys.argv[3]))
"""


def test_conversion_that_is_killed_between_parts_leaves_none_of_them(slide, tmp_path):
    words = [slide.path, tmp_path / "out", str(SIZE)]
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_THE_THIRD, *words], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = list((tmp_path / "out").iterdir())
    assert left
    assert all(path.name.startswith(".coverslip-") for path in left)

    done = command("convert", slide.path, "-o", tmp_path / "out", "--max-instance-size", SIZE)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert coverslip.verify(tmp_path / "out", slide.path).exit_status == 0


def test_missing_part_is_found(copied, slide):
    study, paths = copied
    paths[1].unlink()
    found = found_in(study, slide)
    there = f"{len(paths) - 1} of {len(paths)} parts are there, but not 2"
    assert found == {("(0020,9163)", there)}


def test_part_alone_is_found(copied):
    _, paths = copied
    report = coverslip.verify(paths[2])
    assert any("1 of" in survivor.what for survivor in report.found)


def test_all_parts_but_the_last_are_found(copied, slide):
    study, paths = copied
    paths[-1].unlink()
    ((place, what),) = found_in(study, slide)
    assert place == "(0020,9163)"
    assert re.fullmatch(rf"{len(paths) - 1} of {len(paths)} parts are there, but not \d", what)


def renumber(dataset):
    dataset.InConcatenationNumber = 1


def beyond(dataset):
    dataset.InConcatenationNumber = 99


def more(dataset):
    dataset.InConcatenationTotalNumber = 9


def move(dataset):
    dataset.ConcatenationFrameOffsetNumber += 1


def rename(dataset):
    dataset.SOPInstanceUIDOfConcatenationSource = f"2.25.{uuid.uuid4().int}"


def name_itself(dataset):
    dataset.SOPInstanceUIDOfConcatenationSource = dataset.SOPInstanceUID


def forget(dataset):
    del dataset.InConcatenationTotalNumber


def count(dataset):
    dataset.InstanceNumber = 7


def say_otherwise(dataset):
    dataset.ImagedVolumeDepth = 2.0


@pytest.mark.parametrize(
    ("how", "place"),
    [
        (renumber, "(0020,9163)"),
        (beyond, "(0020,9162)"),
        (more, "(0020,9161)"),
        (move, "(0020,9228)"),
        (rename, "(0020,9161)"),
        (name_itself, "(0020,0242)"),
        (forget, "(0020,9161)"),
        (count, "(0020,9161)"),
        (say_otherwise, "(0020,9161)"),
    ],
)
def test_parts_that_do_not_fit_together_are_found(how, place, copied, slide):
    study, paths = copied
    change(paths[1], how)
    assert place in {place for place, _ in found_in(study, slide)}


def test_frames_of_another_part_are_found(copied, slide):
    study, paths = copied

    def exchange(dataset):
        frames = readers.frames_of(paths[1])
        dataset.PixelData = pydicom.encaps.encapsulate([frames[1], frames[0], *frames[2:]])
        dataset["PixelData"].is_undefined_length = True

    change(paths[1], exchange)
    report = coverslip.verify(study, slide.path)
    assert any("entropy-coded bytes" in survivor.what for survivor in report.found)


@pytest.mark.parametrize("kind", ["decoded", "cut"])
def test_made_frames_of_all_parts_are_compared_with_the_slide(kind, tmp_path):
    if kind == "decoded":
        slide = build_generic(tmp_path, codec="zstd", levels=1, missing=((0, 3),))
    else:
        slide = build_ndpi(tmp_path, levels=1)
    whole = coverslip.convert(slide.path, tmp_path / "whole", **slide.choices).instances[0]
    result = coverslip.convert(
        slide.path, tmp_path / "out", max_instance_size=whole.byte_count * 2 // 3, **slide.choices
    )
    paths = paths_of(result)
    assert len(paths) > 1
    report = coverslip.verify(result.study_path, slide.path)
    assert (report.exit_status, report.found) == (0, ())
    assert report.frames_equal == report.frames - result.frames.blank

    def repeat(dataset):
        frames = readers.frames_of(paths[-1])
        dataset.PixelData = pydicom.encaps.encapsulate(
            [readers.frames_of(paths[0])[0], *frames[1:]]
        )
        dataset["PixelData"].is_undefined_length = True

    change(paths[-1], repeat)
    report = coverslip.verify(result.study_path, slide.path)
    what = "other pixels than the slide" if kind == "decoded" else "other coefficients"
    assert any(what in survivor.what for survivor in report.found if survivor.place == "frames")


def test_more_parts_than_can_be_opened_are_said_to_be_unchecked(tmp_path, monkeypatch):
    slide = build_generic(tmp_path, codec="zstd", levels=1)
    result = coverslip.convert(
        slide.path, tmp_path / "out", max_instance_size="30KB", **slide.choices
    )
    monkeypatch.setattr(wholes, "_MOST_OPEN", len(result.instances) - 1)
    report = coverslip.verify(result.study_path, slide.path)
    assert (report.exit_status, report.found, report.frames_equal) == (4, (), 0)
    assert any("more parts of the level than are read" in what for what in report.unchecked)
    assert any("lowest levels that are large" in what for what in report.out_of_scope)


def test_slide_is_told_from_another_by_its_parts(slide, tmp_path):
    other = build_svs(tmp_path, missing=MISSING, codec="jpeg_ycbcr444")
    for path in (slide.path, other.path):
        coverslip.convert(path, tmp_path / "out", max_instance_size="20KB")
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert report.found == ()
    assert "frames of 1 other slides in the folder" in report.out_of_scope


def test_lowest_level_is_searched_over_its_parts(tmp_path):
    slide = build_svs(tmp_path, levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out", max_instance_size=SIZE)
    report = coverslip.verify(result.study_path, slide.path)
    assert report.exit_status == 0
    assert not [what for what in report.out_of_scope if "lowest levels that are large" in what]


def test_certificate_that_lists_another_part_is_found(copied, slide):
    study, _ = copied
    (path,) = study.glob("*.certificate.json")
    certificate = json.loads(path.read_text())
    certificate["instances"][0]["in_concatenation_number"] = 2
    path.write_text(json.dumps(certificate, indent=2) + "\n")
    report = coverslip.verify(study, slide.path)
    assert [survivor.what for survivor in report.found] == [
        "an instance is another part of its level than it lists"
    ]


def test_size_that_the_slide_tells_too_is_the_operators_own(slide, tmp_path):
    coverslip.convert(slide.path, tmp_path / "out", max_instance_size=123_457)
    (tmp_path / "terms.txt").write_text("123457\n")
    report = coverslip.verify(tmp_path / "out", terms=tmp_path / "terms.txt")
    assert (report.exit_status, report.found) == (0, ())


def test_no_picture_is_made_of_a_part(converted):
    with pytest.raises(ValueError, match="a part of a level"):
        pictures.pixels_of(paths_of(converted)[0].read_bytes(), 1 << 30)


def test_page_counts_a_level_once_and_names_its_parts(converted, tmp_path):
    collected = collect(converted.study_path)
    (reported,) = collected.slides
    assert reported.missing == 0
    assert len(reported.instances) == len(converted.instances)
    assert len(reported.levels) == 2
    write_report(collected, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert 'data-name="levels">2<' in page
    parts = len(paths_of(converted))
    assert all(f"VOLUME, part {n} of {parts}<" in page for n in range(1, parts + 1))


def test_run_knows_all_parts_and_makes_none_twice(slide, tmp_path):
    folder, out = tmp_path / "slides", tmp_path / "out"
    folder.mkdir()
    shutil.copy(slide.path, folder / "one.svs")
    words = ("convert", folder, "-o", out, "--max-instance-size", "60KB", "--jobs", "1")
    words += ("--profile", "research")
    assert command(*words).returncode == 0
    (study,) = studies_in(tmp_path / "out.vault")
    files = {path.relative_to(out / study.study).as_posix() for path in out.rglob("*.dcm")}
    assert files < {name for name, _ in study.files}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")}
    assert command(*words).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")} == before
    part = next(path for path in before if "ConcatenationUID" in pydicom.dcmread(path))
    part.unlink()
    assert command(*words).returncode == 0
    assert len(list(out.rglob("*.dcm"))) == len(before)
    assert coverslip.verify(out, slide.path).exit_status == 0
