"""None of the sample's identifiers leaves it, whether its conversion succeeds or fails."""

import re

import pydicom
import pytest

from coverslip.sample import write_sample
from tests.interop import readers
from tests.privacy.search import encodings_of, places_of, survivors
from tests.program import command


@pytest.fixture(scope="module", params=["jpeg", "jpeg2000"])
def sample(request, tmp_path_factory):
    """A sample in a file whose name and folder identify as well."""
    folder = tmp_path_factory.mktemp("sample")
    report = write_sample(
        folder / "plain.svs", byte_count=2_500_000, compression=request.param, seed=None
    )
    case, surname = report.identifiers[2], report.identifiers[0]
    named = folder / surname / f"{case} {surname}.svs"
    named.parent.mkdir()
    return report.path.rename(named), report.identifiers


def convert(slide, out, *options):
    return command("convert", slide, "-o", out, *options)


def test_nothing_of_it_is_in_the_output_or_on_the_terminal(sample, tmp_path):
    slide, identifiers = sample
    done = convert(slide, tmp_path / "out", "--json")
    assert done.returncode == 0
    assert survivors(identifiers, places_of(tmp_path, done.stdout, done.stderr)) == set()


def test_inspection_and_its_json_show_nothing(sample):
    slide, identifiers = sample
    for options in ([], ["--json"]):
        done = command("inspect", slide, *options)
        assert done.returncode == 0
        assert survivors(identifiers, {"text": (done.stdout + done.stderr).encode()}) == set()


@pytest.mark.parametrize("share", [0.001, 0.2, 0.6, 0.95])
def test_conversion_that_fails_tells_nothing(sample, share, tmp_path):
    slide, identifiers = sample
    data = bytearray(slide.read_bytes())
    if share == 0.001:
        del data[int(len(data) * share) :]
    else:
        # Damage that is met half-way: a stretch of tiles that is no JPEG any more.
        start = int(len(data) * share)
        data[start : start + 60_000] = bytes(60_000)
    broken = tmp_path / slide.name
    broken.write_bytes(data)
    done = convert(broken, tmp_path / "out")
    broken.unlink()
    assert survivors(identifiers, places_of(tmp_path, done.stdout, done.stderr)) == set()
    assert "Traceback" not in done.stderr
    if done.returncode != 0:
        assert list(tmp_path.iterdir()) == []


def test_search_finds_what_was_not_removed(sample):
    slide, identifiers = sample
    assert survivors(identifiers, {"slide": slide.read_bytes()}) == {"slide"}
    for form in encodings_of(identifiers[0]):
        assert survivors(identifiers[:1], {"x": b"\x01\x02" + form + b"\x03"}) == {"x"}


def test_only_levels_are_written(sample, tmp_path):
    slide, _ = sample
    assert convert(slide, tmp_path / "out").returncode == 0
    for path in (tmp_path / "out").rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        assert dataset.ImageType[2] == "VOLUME"
        assert dataset.BurnedInAnnotation == "NO"
        assert not [element for element in dataset.iterall() if element.tag.is_private]
        header = re.escape(b"\xff\x64")
        assert not any(re.search(header, f[: f.index(b"\xff\x90")]) for f in j2k_frames(path))


def j2k_frames(path):
    return [frame for frame in readers.frames_of(path) if frame.startswith(b"\xff\x4f")]
