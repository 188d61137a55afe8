"""The command line as a person meets it."""

import json
import re
import subprocess
import sys

import pytest

from coverslip.deid.policy import Profile
from tests.program import command as run
from tests.synth import build_generic, build_svs, tiff


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return build_svs(tmp_path_factory.mktemp("cli"))


def test_convert_prints_the_study_folder_and_nothing_else_on_stdout(slide, tmp_path):
    done = run("convert", slide.path, "-o", tmp_path / "out")
    assert done.returncode == 0
    (study,) = (tmp_path / "out").iterdir()
    assert done.stdout == f"{study}\n"
    assert "copied untouched: 34" in done.stderr
    assert "read back and compared with the slide: all" in done.stderr


def test_output_is_a_study_of_one_series_with_its_certificate(slide, tmp_path):
    run("convert", slide.path, "-o", tmp_path / "out")
    (study,) = (tmp_path / "out").iterdir()
    certificates = list(study.glob("*.certificate.json"))
    assert len(certificates) == 1
    (series,) = (path for path in study.iterdir() if path.is_dir())
    for path in (study, series, *series.iterdir()):
        assert re.fullmatch(r"2\.25\.\d{1,39}(\.dcm)?", path.name)
    assert json.loads(certificates[0].read_text())["study_instance_uid"] == study.name


def test_convert_as_json_names_what_was_written(slide, tmp_path):
    done = run("convert", slide.path, "-o", tmp_path / "out", "--json", "--no-verify")
    described = json.loads(done.stdout)
    assert described["frames"] == {
        "copied": 34,
        "stitched": 0,
        "retiled": 0,
        "pixel": 0,
        "recoded": 0,
        "blank": 0,
        "absent": 0,
        "truncated": 0,
        "picture": 0,
    }
    assert described["instances"][0]["blake3"] is None
    assert described["certificate"]["checks"]["read_back"] == "not_run"


def test_inspect_tells_levels_routes_and_what_is_given_away(slide):
    done = run("inspect", slide.path)
    assert done.returncode == 0
    assert "Aperio SVS" in done.stdout
    assert re.search(r"0 +700 x 520 +0.499 +30 of 128x128 +JPEG 4:4:4 +copy +RGB", done.stdout)
    assert re.search(r"\d+ person +dropped", done.stdout)
    for identifier in slide.identifiers:
        assert identifier not in done.stdout


def test_inspect_says_when_a_slide_needs_to_be_de_identified_and_for_whom(slide):
    done = run("inspect", slide.path)

    text = " ".join(done.stdout.split())
    assert "it is, its file may tell names of persons, numbers of the case" in text
    assert "give it only to those who may know who the patient is" in text
    assert re.search(
        r"\d+ person +dropped +ImageDescription, Artist, Copyright, XPAuthor", done.stdout
    )
    for profile in Profile:
        assert f"--profile {profile}" in done.stdout


def test_inspect_as_json_tells_kinds_places_and_profiles_but_no_value(slide):
    done = run("inspect", slide.path, "--json")

    described = json.loads(done.stdout)
    assert "names of persons" in described["may_tell"]
    assert [row["profile"] for row in described["profiles"]] == ["care", "research", "public"]
    assert not any("value" in finding for finding in described["findings"])
    assert not any(identifier in done.stdout for identifier in slide.identifiers)


def test_inspect_shows_values_only_when_it_is_asked_to(slide):
    texts = run("inspect", slide.path, "--show-values").stdout
    findings = json.loads(run("inspect", slide.path, "--show-values", "--json").stdout)["findings"]

    values = [finding["value"] for finding in findings if finding["value"] is not None]
    shown = [identifier for identifier in slide.identifiers if identifier in texts]
    assert len(shown) >= 10
    assert len(values) > 50
    assert all(value in texts for value in values)
    assert all(value.isprintable() and len(value) < 300 for value in values)


def test_tiles_that_must_be_decoded_are_refused_with_the_option_and_converted_with_it(tmp_path):
    slide = build_generic(tmp_path, codec="lzw", size=(200, 150), levels=1)
    inspected = run("inspect", slide.path)
    assert re.search(r"LZW +refuse +-", inspected.stdout)
    assert inspected.stdout.count("hint: --allow-pixel") == 1
    described = json.loads(run("inspect", slide.path, "--json").stdout)
    assert "--allow-pixel" in described["levels"][0]["hint"]
    refused = run("convert", slide.path, "-o", tmp_path / "out")
    assert refused.returncode == 1
    assert "level 0: it has LZW tiles (compression 5)" in refused.stderr
    assert "hint: --allow-pixel" in refused.stderr
    assert not (tmp_path / "out").exists()
    allowed = run("inspect", slide.path, "--allow-pixel")
    assert re.search(r"LZW +pixel +YBR_RCT", allowed.stdout)
    done = run("convert", slide.path, "-o", tmp_path / "out", "--allow-pixel")
    assert done.returncode == 0
    assert "decoded and stored with a lossless codec: 4" in done.stderr


def test_inspect_as_json_holds_places_and_no_values(slide):
    text = run("inspect", slide.path, "--json").stdout
    described = json.loads(text)
    assert described["levels"][0]["route"] == "copy"
    assert {image["role"] for image in described["associated_images"]} == {
        "THUMBNAIL",
        "LABEL",
        "OVERVIEW",
    }
    places = {finding["place"] for finding in described["findings"]}
    assert {"IFD 0 ImageDescription", "IFD 0 Artist", "file name"} <= places
    for identifier in slide.identifiers:
        assert identifier not in text


def test_level_that_would_be_refused_is_shown_with_its_reason(tmp_path):
    style = {"sof": 0xC3}
    path = build_generic(tmp_path, codec="jpeg_ycbcr420", levels=1, style=style).path
    level = json.loads(run("inspect", path, "--json").stdout)["levels"][0]
    done = run("convert", path, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "lossless JPEG" in done.stderr
    assert level["route"] == "refuse"
    assert "lossless JPEG" in level["reason"]


def test_slide_that_cannot_be_opened_is_told_in_json_too(tmp_path):
    path = tmp_path / "DOE-JANE.vsi"
    path.write_bytes(b"nothing")
    done = run("inspect", path, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["error"] in done.stderr
    assert told["kind"] == "SourceError"
    assert "DOE" not in done.stdout + done.stderr
    done = run("inspect", tmp_path / "nowhere", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == "there is no such slide"


def test_slide_of_a_kind_that_is_refused_has_a_hint_in_json(tmp_path):
    path = tmp_path / "slide.vsi"
    tags = {256: tiff.long(9), 257: tiff.long(9), 33560: tiff.long(1)}
    tiff.write_tiff(path, [tiff.Directory(tags, [b"x"], tiled=False)])
    told = json.loads(run("inspect", path, "--json").stdout)
    assert told["kind"] == "UnsupportedSlideError"
    assert "Olympus VSI" in told["error"]
    assert "export it" in told["hint"]


def test_inspect_tells_what_the_file_holds_and_what_is_cut_of_it(tmp_path):
    slide = build_generic(tmp_path, strip_rows=16, levels=2)
    levels = json.loads(run("inspect", slide.path, "--json").stdout)["levels"]
    assert levels[0]["stored"] == {"kind": "strips", "count": 29, "columns": 610, "rows": 16}
    assert [level["frames"] for level in levels] == [1, 1]
    assert [level["frame_columns"] for level in levels] == [1024, 1024]
    assert [level["spacing_um"] for level in levels] == [[0.5, 0.5], [1.0, 1.0]]
    text = run("inspect", slide.path).stdout
    assert "stored as 29 strips of 610x16" in text
    assert re.search(r"1 +305 x 225 +1 +1 of 1024x1024", text)


def test_failure_is_one_line_a_hint_and_status_1(tmp_path):
    path = tmp_path / "DOE-JANE.svs"
    path.write_bytes(b"nothing")
    done = run("convert", path, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: slide 1: the file is not a TIFF\nhint: ")
    assert "DOE" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert"],
        ["convert", "DOE-JANE.svs"],
        ["status", "DOE-JANE", "ROE-RICHARD"],
        ["convert", "DOE-JANE.svs", "-o", "x", "--mpp", "DOE"],
        ["convert", "DOE-JANE.svs", "-o", "x", "--no-such-option"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_is_status_2_and_repeats_no_argument(arguments, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "hint: see coverslip" in done.stderr
    assert "DOE" not in done.stderr
    assert "ROE" not in done.stderr


@pytest.mark.parametrize(("profile", "status"), [("care", 1), ("nonsense", 2)])
def test_profile_that_cannot_be_is_refused(profile, status, slide, tmp_path):
    done = run("convert", slide.path, "-o", tmp_path / "out", "--profile", profile)
    assert done.returncode == status
    assert "profile" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [(), ("key",)])
def test_command_alone_shows_its_help(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: coverslip")
    assert "Commands:" in done.stderr


def test_command_that_there_is_not_is_told_with_those_that_there_are():
    done = run("Doe-1957")
    assert done.returncode == 2
    assert done.stderr.startswith("error: a command is one of convert, ")
    assert "Doe" not in done.stderr


def test_help_and_version_do_not_load_what_is_slow():
    code = (
        "import sys; sys.argv = ['coverslip', '--version']\n"
        "from coverslip.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'pydicom', 'tifffile', 'imagecodecs', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, loaded = done.stdout.splitlines()
    assert version.startswith("coverslip 0.")
    assert loaded == "[]"


def test_profile_research_from_a_policy_file_with_key_and_metadata(slide, tmp_path):
    assert run("key", "new", tmp_path / "key").returncode == 0
    (tmp_path / "policy.toml").write_text('profile = "research"\ndates = "full"\n')
    (tmp_path / "metadata.csv").write_text("file,patient_id\n*.svs,MRN-1\nother,MRN-2\n")
    options = ["--policy", tmp_path / "policy.toml", "--dates", "drop", "--key", tmp_path / "key"]
    options += ["--metadata", tmp_path / "metadata.csv", "--vault", tmp_path / "vault"]
    done = run("convert", slide.path, "-o", tmp_path / "out", "--json", *options)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["certificate"]["policy"]["profile"] == "research"
    assert told["certificate"]["policy"]["options"]["dates"] == "drop"
    assert told["metadata_rows_unused"] == 1
    assert (tmp_path / "vault" / "vault.sqlite").is_file()
    again = run("convert", slide.path, "-o", tmp_path / "out", *options)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    assert "MRN" not in done.stdout + done.stderr + again.stderr
    assert (
        run("convert", slide.path, "-o", tmp_path / "out", *options, "--overwrite").returncode == 0
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--profile", "pubic"], "there is no such choice for profile"),
        (["--policy", "missing"], "the policy cannot be read: No such file or directory"),
        (["--key", "missing"], "the key cannot be read: No such file or directory"),
        (["--metadata", "missing"], "the metadata cannot be read: No such file or directory"),
        (["--metadata", "bad.csv"], "row 1 of the metadata: sex: it is F, M or O"),
        (["--dates", "shift"], "the profile public does not let you choose dates"),
    ],
)
def test_what_was_given_wrongly_is_told_as_what_it_is(options, what, slide, tmp_path):
    (tmp_path / "bad.csv").write_text("file,sex\na.svs,x\n")
    done = run("convert", slide.path, "-o", tmp_path / "out", *options, cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {what}\n")
    assert not (tmp_path / "out").exists()


def test_missing_list_of_terms_is_told_as_what_it_is(tmp_path):
    done = run("verify", tmp_path, "--terms", tmp_path / "missing")

    assert done.returncode == 2
    assert done.stderr == "error: the list of terms cannot be read: No such file or directory\n"


def test_summary_says_that_text_was_not_read(slide, tmp_path, monkeypatch):
    done = run("convert", slide.path, "-o", tmp_path / "out")
    certificate = json.loads(next(tmp_path.rglob("*.certificate.json")).read_text())

    is_read = certificate["checks"]["pixel_text"] == "passed"
    assert ("text in the pixels: not read, for want of the extra ocr" in done.stderr) != is_read
    assert certificate["checks"]["verified"] == "passed"


def test_dicom_files_in_a_folder_are_counted(slide, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "slide.svs").write_bytes(slide.path.read_bytes())
    for name in ("old.dcm", "dual.tif"):
        start = b"II*\0" if name == "dual.tif" else b""
        (tmp_path / "in" / name).write_bytes(start.ljust(128, b"\0") + b"DICM")
    done = run("convert", tmp_path / "in", "-o", tmp_path / "out", "--dry-run")

    assert "note: passed over: 2 DICOM files" in done.stderr
    assert "1 slides, 0 would be refused" in done.stdout


def test_report_says_that_a_public_run_left_no_originals(slide, tmp_path):
    assert run("convert", slide.path, slide.path, "-o", tmp_path / "out").returncode == 0
    done = run("report", tmp_path / "out", "--vault", tmp_path / "out.vault")

    assert done.returncode == 2
    assert "holds the ledger of a run and no originals" in done.stderr


def test_spacing_has_six_digits(slide, tmp_path):
    import pydicom

    options = ("-o", tmp_path / "out", "--mpp", "0.2512345678")
    assert run("convert", slide.path, *options).returncode == 0
    for path in tmp_path.rglob("*.dcm"):
        groups = pydicom.dcmread(path).SharedFunctionalGroupsSequence[0]
        for number in groups.PixelMeasuresSequence[0].PixelSpacing:
            assert len(str(number).replace(".", "").lstrip("0")) <= 6
