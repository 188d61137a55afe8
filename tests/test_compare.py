"""``python -m benches.compare`` finds what is wrong, and says what was measured."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from benches.compare import chart, checks, measure
from benches.compare.slides import Source
from benches.compare.tables import Row

import coverslip
from coverslip.sample import write_sample

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "slide.svs"
    write_sample(path, byte_count=1_500_000)
    return path


@pytest.fixture(scope="module")
def output(slide):
    return coverslip.convert(slide, slide.parent / "out").study_path


@pytest.fixture
def copied(output, tmp_path):
    return Path(shutil.copytree(output, tmp_path / "copied"))


def base_of(folder):
    return max(folder.rglob("*.dcm"), key=lambda path: path.stat().st_size)


def test_report_holds_a_row_for_each_way_and_each_missing_converter(slide, tmp_path):
    report = tmp_path / "report"
    command = [sys.executable, "-m", "benches.compare", slide, "--rounds", "1", "--no-cold"]
    command += ["--report", report, "--program", "wsidicomizer=/nowhere/wsidicomizer"]
    command += ["--only", "coverslip command, no verify", "--only", "wsidicomizer"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(report.with_suffix(".json").read_text())["rows"]}
    assert rows["wsidicomizer"]["missing"] is not None
    ours = rows["coverslip command, no verify"]
    checked, (cost,) = ours["checked"], ours["costs"]["warm"]
    assert checked["frames_kept"] == checked["frames_wanted"] > 0
    assert checked["identifiers_left"] == 0 < checked["identifiers_planted"]
    assert cost["wall_s"] > 0
    assert cost["written_mb"] == pytest.approx(checked["byte_count"] / 1e6, rel=0.1)
    assert rows["cp"]["costs"]["warm"][0]["read_mb"] >= slide.stat().st_size / 1e6
    assert "not installed" in report.with_suffix(".md").read_text()
    assert report.with_suffix(".svg").exists() == chart.can_draw()
    assert str(slide) not in done.stdout + done.stderr


def test_chart_names_what_is_wrong_with_an_output(tmp_path):
    pytest.importorskip("matplotlib")
    cost = measure.Cost(wall_s=1, cpu_s=1, peak_mb=1, read_mb=1, written_mb=1, disk_read_mb=0)
    checked = checks.Checked(
        levels=1, levels_wanted=2, frames_kept=1, frames_wanted=1, colour_difference=40.0,
        pictures=(), identifiers_left=3, identifiers_planted=11, validator_errors=1,
        validator_unfinished=0, tells_name=False, byte_count=1,
    )  # fmt: skip
    rows = [Row(name=name, costs={"warm": [cost], "cold": []}) for name in ("cp", "other")]
    rows[1].checked = checked
    chart.draw(rows, tmp_path / "chart.svg", "title")
    drawn = (tmp_path / "chart.svg").read_text()
    for flaw in ("wrong colours", "3 identifiers left", "invalid", "levels missing"):
        assert flaw in drawn


def test_right_output_is_found_to_be_right(slide, output):
    found = checks.check(output, Source(slide))
    assert found.levels == found.levels_wanted
    assert found.frames_kept == found.frames_wanted
    assert found.has_right_colours
    assert found.pictures == ()
    assert found.identifiers_left == 0
    assert not found.tells_name


def test_frame_that_differs_in_one_byte_is_not_kept(slide, copied):
    path = base_of(copied)
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)
    found = checks.check(copied, Source(slide))
    assert found.frames_kept == found.frames_wanted - 1


def test_header_that_says_another_colour_space_makes_wrong_colours(slide, copied):
    for path in copied.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        dataset.save_as(path)
    found = checks.check(copied, Source(slide))
    assert found.frames_kept == found.frames_wanted
    assert found.has_right_colours is False


def test_missing_level_and_names_of_the_slide_are_seen(slide, copied):
    path = base_of(copied)
    path.rename(path.with_name(f"{slide.stem}-label.dcm"))
    dataset = pydicom.dcmread(path.with_name(f"{slide.stem}-label.dcm"), stop_before_pixels=True)
    dataset.ImageType[2] = "LABEL"
    dataset.save_as(path.with_name(f"{slide.stem}-label.dcm"))
    found = checks.check(copied, Source(slide))
    assert found.levels == found.levels_wanted - 1
    assert found.pictures == ("LABEL",)
    assert found.tells_name


def test_identifiers_are_found_in_every_spelling(slide, copied):
    source = Source(slide)
    spellings = [form for text in source.identifiers for form in checks.spellings_of(text)]
    planted = copied / "planted"
    for form in spellings[:: len(spellings) // 40]:
        planted.write_bytes(b"\x00\xff" + form + b"\xff\x00")
        assert checks.left_in([planted], copied, source.identifiers)
    planted.write_bytes(b"".join(text.encode() for text in source.identifiers))
    assert checks.left_in([planted], copied, source.identifiers) == set(source.identifiers)


def test_memory_and_bytes_of_children_are_counted():
    child = "b = bytearray(80_000_000); import time; time.sleep(0.4)"
    command = [sys.executable, "-S", "-c"]
    script = f"import subprocess; subprocess.run({[*command, child]!r})"
    cost = measure.of_command([*command, script])
    assert cost.peak_mb > 80
    cost = measure.of_command(["sh", "-c", "head -c 3000000 /dev/zero | cat > /dev/null"])
    assert cost.read_mb == pytest.approx(6, rel=0.2)


def test_failure_is_told_by_its_exit_status_only():
    with pytest.raises(measure.RunFailedError, match=r"^exit status 3$"):
        measure.of_command(["sh", "-c", "echo secret >&2; exit 3"])
    with pytest.raises(measure.RunFailedError, match=r"^not done after 1 s$"):
        measure.of_command(["sleep", "60"], timeout_s=1)
    with pytest.raises(measure.RunFailedError, match=r"^signal 9$"):
        measure.of_command(["sh", "-c", "kill -9 $$"])
