"""The independent check finds what it must find and nothing else."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

import coverslip
from coverslip import assembly
from coverslip.errors import VerificationError
from coverslip.verification.schema import certificate_schema, words_of_schema
from coverslip.verification.words import PublicWords
from tests.interop import readers
from tests.privacy import sites
from tests.program import command
from tests.synth import FORMATS, build_generic, build_keyed, build_svs

NAME = "Quillfeather"
LIST = f"{NAME}^Ottoline\n"


ALL_SITES = {
    **{name: ("jpeg", site) for name, site in (sites.ANYWHERE | sites.IN_JPEG).items()},
    **{name: ("jpeg2000", site) for name, site in sites.IN_JPEG_2000.items()},
    **{name: ("jpeg", site) for name, site in sites.IN_NAMES.items()},
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return a clean study for each codec, and a list of terms that are not in it."""
    folder = tmp_path_factory.mktemp("clean")
    studies = {}
    for name, codec in (("jpeg", "jpeg_rgb"), ("jpeg2000", "j2k_33005")):
        slide = build_svs(folder, codec=codec, levels=1, size=(200, 200))
        studies[name] = coverslip.convert(slide.path, folder / name).study_path
    (folder / "terms.txt").write_text(LIST)
    return studies, folder / "terms.txt"


@pytest.fixture
def copied(clean, tmp_path):
    """Return what copies a clean study, and the list of terms."""
    studies, terms = clean

    def copy(codec, name):
        study = tmp_path / name / studies[codec].name
        shutil.copytree(studies[codec], study)
        return study

    return copy, terms


@pytest.mark.parametrize("site", ALL_SITES)
def test_a_term_of_a_list_is_found_at_every_site(site, copied, caplog):
    copy, terms = copied
    codec, plant = ALL_SITES[site]
    study = copy(codec, "x")
    plant(study, NAME.encode())
    report = coverslip.verify(study.parent, terms=terms)
    assert [survivor for survivor in report.found if survivor.encoding is not None]
    assert report.exit_status == 1
    text = json.dumps(report.to_dict()) + "".join(map(str, report.found))
    assert NAME.lower() not in text.lower()
    assert caplog.text == ""


MAY_HOLD_ANYTHING = {
    *("inside the scan", "inside the packets", "between scan and end marker"),
    *("certificate, a value", "ICC profile, header"),
}
"""Where only a search for terms can tell a text from what belongs there."""


@pytest.mark.parametrize("site", sorted(set(ALL_SITES) - MAY_HOLD_ANYTHING))
def test_text_that_nobody_looks_for_is_found_by_the_structure(site, copied):
    copy, _ = copied
    codec, plant = ALL_SITES[site]
    study = copy(codec, "x")
    plant(study, b"what ever")
    others = {"an instance is not the one that it lists"}
    assert {survivor.what for survivor in coverslip.verify(study.parent).found} - others


def test_a_frame_that_is_not_its_tile_is_found(tmp_path):
    slide = build_svs(tmp_path, levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out")
    path = result.instances[0].path
    data = bytearray(path.read_bytes())
    place = len(data) - 400
    data[place] ^= 1 if data[place] != 0xFE else 2
    path.write_bytes(data)
    found = [survivor.what for survivor in coverslip.verify(tmp_path / "out", slide.path).found]
    assert any("entropy-coded bytes are not its tile's" in what for what in found)
    assert "an instance is not the one that it lists" in found


@pytest.mark.parametrize("name", ["svs-jpeg-rgb", "svs-without-icc", "generic-j2k-grey"])
def test_every_word_of_an_output_is_public(name, tmp_path):
    """So whatever words a slide is made of, none of them gives a false alarm."""
    slide = FORMATS[name](tmp_path)
    result = coverslip.convert(slide.path, tmp_path / "out")
    items = coverslip.open(slide.path).description.metadata.items
    public = PublicWords(
        {*words_of_schema(certificate_schema()), *(item.key for item in items if item.key)}
    )
    files = [result.certificate_path, *(instance.path for instance in result.instances)]
    text = b"\n".join(path.read_bytes().split(sites.PIXEL_DATA)[0] for path in files)
    ours = rb"2\.25\.\d+|\b[PCS]-[0-9A-Z]{13}|[0-9a-f]{64}|sha256:[0-9a-f]{16}"
    words = re.findall(r"[A-Za-z]{4,}[0-9A-Za-z]*", re.sub(ours, b"", text).decode("latin-1"))
    # A byte of a tag or length beside a word may be a letter.
    spellings = {word: (word, word[1:], word[:-1]) for word in words}
    assert {w for w, parts in spellings.items() if not any(map(public.covers, parts))} == set()


def test_a_conversion_that_leaks_fails_and_leaves_nothing(tmp_path, monkeypatch):
    slide = build_svs(tmp_path, levels=1)
    real = assembly.audit.write_certificate

    def leaking(path, certificate):
        real(path, certificate | {"residual_risk": slide.path.stem})

    monkeypatch.setattr(assembly.audit, "write_certificate", leaking)
    with pytest.raises(VerificationError, match=r"term \d+ \(file name\), as text") as failed:
        coverslip.convert(slide.path, tmp_path / "out")
    assert slide.path.stem not in str(failed.value)
    assert not (tmp_path / "out").exists()
    coverslip.convert(slide.path, tmp_path / "out", verify=False)
    assert coverslip.verify(tmp_path / "out", slide.path).exit_status == 1


def run(*arguments):
    return command("verify", *arguments)


def test_the_command_tells_by_its_status(copied, tmp_path):
    copy, terms = copied
    study = copy("jpeg", "out")
    done = run(study.parent, "--terms", terms)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"found +nothing", done.stdout)
    (tmp_path / "short.txt").write_text("Li\n")
    done = run(study.parent, "--terms", tmp_path / "short.txt", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["is_clean"] is False
    sites.in_preamble(study, NAME.encode())
    done = run(study.parent, "--terms", terms)
    assert done.returncode == 1
    assert "preamble" in done.stdout
    assert NAME not in done.stdout + done.stderr


def test_what_cannot_be_checked_at_all_is_status_4(copied, tmp_path):
    copy, terms = copied
    study = copy("jpeg", "out")
    for arguments in ([tmp_path / "nothing"], [study, "--source", terms]):
        done = run(*arguments)
        assert done.returncode == 4
        assert done.stderr.startswith("error: ")
        assert str(tmp_path) not in done.stderr


def test_want_of_memory_is_status_4(copied):
    copy, _ = copied
    command = [sys.executable, "-m", "coverslip", "--limit", "memory_bytes=1000000", "verify"]
    done = subprocess.run([*command, copy("jpeg", "out")], capture_output=True, text=True)
    assert done.returncode == 4
    assert "memory" in done.stderr


def test_a_number_that_is_the_size_of_the_picture_is_no_alarm(tmp_path):
    slide = build_svs(tmp_path, levels=1)
    result = coverslip.convert(slide.path, tmp_path / "out")
    dataset = pydicom.dcmread(result.instances[0].path, stop_before_pixels=True)
    offset = dataset.TotalPixelMatrixOriginSequence[0].XOffsetInSlideCoordinateSystem
    (tmp_path / "terms.txt").write_text(str(offset).split(".")[1])
    assert coverslip.verify(tmp_path / "out", terms=tmp_path / "terms.txt").found == ()


def test_a_name_that_may_identify_is_not_shown(copied):
    copy, _ = copied
    study = copy("jpeg", "out")
    sites.in_file_name(study, b"24001234")
    (study / "Quillfeather.txt").write_text("x")
    text = json.dumps(coverslip.verify(study.parent).to_dict())
    assert "its path is not made of its three UIDs" in text
    assert "24001234" not in text
    assert "Quill" not in text


def test_a_file_that_pydicom_cannot_read_is_told(copied):
    copy, terms = copied
    study = copy("jpeg", "out")
    sites.instance_of(study).write_bytes(b"\0" * 128 + NAME.encode())
    report = coverslip.verify(study.parent, terms=terms)
    assert len(report.unchecked) == 1
    assert report.exit_status == 1


def test_a_time_that_was_copied_is_found(tmp_path):
    slide = build_svs(tmp_path, levels=1)
    os.utime(slide.path, (1_000_000_000, 1_000_000_000))
    result = coverslip.convert(slide.path, tmp_path / "out")
    shutil.copystat(slide.path, result.instances[0].path)
    found = {survivor.place for survivor in coverslip.verify(tmp_path / "out", slide.path).found}
    assert found == {"time of modification"}


def test_a_slide_may_be_converted_on_the_day_of_its_scan(copied):
    copy, terms = copied
    study = copy("jpeg", "out")
    today, other = datetime.now(UTC).date(), date(2017, 5, 4)
    terms.with_name("days.txt").write_text(f"{today}\n{other}\n")
    assert coverslip.verify(study.parent, terms=terms.with_name("days.txt")).is_clean
    then = datetime(2017, 5, 5, 12, tzinfo=UTC).timestamp()
    os.utime(sites.instance_of(study), (then, then))
    (found,) = coverslip.verify(study.parent, terms=terms.with_name("days.txt")).found
    assert found.place == "time of modification"


def test_noise_as_compressed_data_gives_no_alarm(copied):
    copy, terms = copied
    study = copy("jpeg", "out")
    noise = np.random.default_rng(5).integers(0, 255, 4_000_000, np.uint8).tobytes()
    sites.in_frames(sites.in_scan)(study, noise)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [a + b + c + d + "xy" for a in letters for b in letters for c in "aei" for d in "no"]
    terms.with_name("many.txt").write_text("\n".join(words))
    report = coverslip.verify(study.parent, terms=terms.with_name("many.txt"))
    assert {survivor.what for survivor in report.found} == {
        "an instance is not the one that it lists"
    }
    assert report.terms == len(words)


def test_any_damage_gives_a_report_and_shows_nothing(copied, caplog):
    copy, terms = copied
    chance = random.Random(11)
    study = copy("jpeg", "out")
    (certificate,) = study.glob("*.certificate.json")
    for path in (sites.instance_of(study), certificate):
        whole = path.read_bytes()
        for number in range(80):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                # Most of it in the header, where every byte means something.
                place = chance.randrange(min(len(data), 3500 if number % 4 else len(data)))
                data[place] = chance.choice((0, 0xFF, 0x20, data[place] ^ 1))
            if number % 5 == 0:
                del data[chance.randrange(len(data)) :]
            path.write_bytes(data)
            report = coverslip.verify(study.parent, terms=terms)
            # The certificate's sentence may be any; of the instance there is a digest.
            assert path == certificate or bytes(data) == whole or not report.is_clean
        path.write_bytes(whole)
    assert caplog.text == ""


@pytest.fixture
def large(copied):
    """Return a study with a file that takes some tenths of a second."""
    copy, _ = copied
    study = copy("jpeg", "out")
    with (study / "large").open("wb") as file:
        file.truncate(600_000_000)
    return study


def test_progress_stays_within_all_bytes(large):
    seen = []
    coverslip.verify(large.parent, on_progress=lambda done, total: seen.append((done, total)))
    assert seen
    assert all(0 < done <= total for done, total in seen)


def test_what_the_callback_raises_ends_the_check(large):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coverslip.verify(large.parent, on_progress=stop)


DECODED = {
    "tiles": {"codec": "lzw", "predictor": 2},
    "strips": {"codec": "deflate", "rows_per_strip": 40, "size": (1100, 1050)},
    "colours apart": {"codec": "zstd", "planar": True},
    "white is zero": {"codec": "lzw", "grey": True, "white_is_zero": True},
    "16 bits": {"codec": "deflate", "grey": True, "bits": 16, "big_endian": True},
    "12 bits": {"codec": "jpeg12", "grey": True, "bits": 12},
    "palette": {"codec": "lzw", "palette": True, "predictor": 2},
    "lossy LERC": {"codec": "lerc_lossy"},
    "JPEG 2000 that is cut off": {"codec": "j2k_33005", "clipped": True, "subifds": True},
}


def with_another_pixel(path):
    """Change one pixel of the last frame of an instance; the codestream stays whole."""
    dataset = pydicom.dcmread(path)
    frames = readers.frames_of(path)
    pixels = imagecodecs.jpeg2k_decode(frames[-1]).copy()
    pixels[3, 5] ^= 1
    changed = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", reversible=True, mct=pixels.ndim == 3
    )
    dataset.PixelData = encapsulate([*frames[:-1], bytes(changed)])
    dataset.save_as(path)


@pytest.mark.parametrize("storage", DECODED)
def test_pixels_that_were_decoded_are_compared_with_those_that_tifffile_sees(storage, tmp_path):
    slide = build_generic(tmp_path, **{"size": (300, 200), "levels": 2, **DECODED[storage]})
    result = coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True, verify=False)
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert (report.found, report.unchecked) == ((), ())
    assert report.frames_equal == report.frames
    with_another_pixel(result.instances[1].path)
    found = {survivor.what for survivor in coverslip.verify(tmp_path / "out", slide.path).found}
    last = len(readers.frames_of(result.instances[1].path)) - 1
    assert f"frame {last} has other pixels than the slide" in found


@pytest.mark.parametrize("codec", ["j2k_33003_444", "j2k_33003_422"])
def test_ycbcr_that_became_rgb_is_compared(codec, tmp_path):
    slide = build_svs(tmp_path, codec=codec, levels=2, missing=((0, 3),))
    coverslip.convert(slide.path, tmp_path / "out", j2k_ycc="pixel", verify=False)
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert (report.found, report.unchecked) == ((), ())
    assert report.frames_equal == report.frames - 1


@pytest.mark.parametrize("shared", [(1, 1), (2, 1), (4, 2)])
@pytest.mark.parametrize("storage", [{}, {"rows_per_strip": 40}, {"codec": "none"}], ids=str)
def test_ycbcr_without_jpeg_is_compared(shared, storage, tmp_path):
    shape = {"codec": "lzw", "size": (301, 203), "levels": 2, **storage}
    slide = build_generic(tmp_path, ycbcr=shared, **shape)
    result = coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True, verify=False)
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert (report.found, report.unchecked) == ((), ())
    assert report.frames_equal == report.frames
    dataset = pydicom.dcmread(result.instances[1].path)
    frames = readers.frames_of(result.instances[1].path)
    grey = imagecodecs.jpeg2k_encode(
        np.full(imagecodecs.jpeg2k_decode(frames[-1]).shape, 99, np.uint8),
        level=0, codecformat="j2k", reversible=True, mct=True,
    )  # fmt: skip
    dataset.PixelData = encapsulate([*frames[:-1], bytes(grey)])
    dataset.save_as(result.instances[1].path)
    found = {survivor.what for survivor in coverslip.verify(tmp_path / "out", slide.path).found}
    assert f"frame {len(frames) - 1} has other pixels than the slide" in found


def test_what_tifffile_cannot_decode_is_told_as_unchecked(tmp_path):
    slide = build_generic(tmp_path, codec="jpegls", size=(300, 200), levels=1)
    coverslip.convert(slide.path, tmp_path / "out", allow_pixel=True)
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert report.found == ()
    assert [what.split(": ")[1] for what in report.unchecked] == [
        "the pixels of the slide cannot be decoded"
    ]
    assert (report.exit_status, report.frames_equal) == (4, 0)


def test_trestle_that_was_composed_is_told_as_unchecked(tmp_path):
    slide = build_keyed(tmp_path, maker="trestle", overlaps="5 0 3 0 1 0", codec="jpeg_ycbcr420")
    coverslip.convert(slide.path, tmp_path / "out", allow_recode=90)
    report = coverslip.verify(tmp_path / "out", slide.path)
    assert report.found == ()
    assert len(report.unchecked) == len(slide.levels)
    assert all("composed and encoded anew" in what for what in report.unchecked)
