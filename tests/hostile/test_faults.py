"""Faults of the machine, on real mechanisms: a full disk, a process that is killed."""

import errno
import json
import os
import random
import subprocess
import sys
import time

import pydicom
import pytest

import coverslip
from coverslip.sample import write_sample
from tests.hostile.test_limits import SMALL, many_tiles_on_the_same_bytes
from tests.synth import build_generic


@pytest.fixture
def small_disk(tmp_path, request):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        request.node.user_properties.append(("missing", "tools"))
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_is_told_and_left_as_it_was(small_disk, tmp_path, monkeypatch):
    slide = build_generic(tmp_path, size=(2600, 2000), levels=1)
    with pytest.raises(OSError, match="the output has no room: 2 MB are needed") as raised:
        coverslip.convert(slide.path, small_disk / "out")
    assert raised.value.errno == errno.ENOSPC
    assert list(small_disk.iterdir()) == []

    # The same without the look at the free space before: the disk fills while it is written.
    monkeypatch.setattr("coverslip.commit.Staging.require_room", lambda self, byte_count: None)
    with pytest.raises(OSError, match="No space left on device"):
        coverslip.convert(slide.path, small_disk / "out")
    assert list(small_disk.iterdir()) == []


def test_killed_at_any_moment_only_whole_studies_have_a_name(tmp_path):
    slide = write_sample(tmp_path / "sample.svs", byte_count=20_000_000).path
    out = tmp_path / "out"
    command = [sys.executable, "-m", "coverslip", "convert", slide, "-o", out]
    begin = time.monotonic()
    subprocess.run(command, capture_output=True, check=True)
    usual_s = time.monotonic() - begin
    chance = random.Random(7)
    for _ in range(12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.4, 1.05) * usual_s)
        process.kill()
        process.wait()
        assert_only_whole_studies(out)


def assert_only_whole_studies(out):
    for study in out.iterdir():
        if study.name.startswith(".coverslip-"):
            continue
        (certificate,) = study.glob("*.certificate.json")
        listed = {
            instance["sop_instance_uid"]
            for instance in json.loads(certificate.read_text())["instances"]
        }
        for path in study.glob("*/*.dcm"):
            dataset = pydicom.dcmread(path)
            assert len(dataset.PixelData) > 0
            listed.remove(dataset.SOPInstanceUID)
        assert listed == set()


DIRECT = """
import errno, os, sys
import coverslip
from coverslip import commit, instances

def write(*arguments, **options):
    went_past.append(options["past_cache"])
    return write_instance(*arguments, **options)

went_past = []
write_instance = instances._core.write_instance
instances._core.write_instance = write
instances._PAST_CACHE_BYTES = 0
commit.Staging.require_room = lambda self, byte_count: None
try:
    coverslip.convert(sys.argv[1], "disk/out", verify=False, mpp_um=0.5)
except OSError as error:
    print(errno.errorcode[error.errno], went_past, os.listdir("disk"))
"""
"""The thread that writes past the cache has several blocks to write."""


@pytest.fixture(scope="module")
def long_slide(tmp_path_factory):
    """A slide of 40,000 tiles that all lie on the same bytes: some 50 MB of frames."""
    folder = tmp_path_factory.mktemp("long")
    slide = build_generic(folder, 1, codec="jpeg_ycbcr420", **SMALL)
    piece = max(slide.levels[0].pieces, key=len)
    path = folder / "long.tif"
    many_tiles_on_the_same_bytes(path, piece, slide.levels[0].jpeg_tables, 64 * 200)
    return path


def test_disk_that_fills_while_it_is_written_past_its_cache_is_left_as_it_was(
    long_slide, in_namespace, tmp_path
):
    (tmp_path / "disk").mkdir()
    (tmp_path / "script.py").write_text(DIRECT)
    mount = "mount -t tmpfs -o size=10m none disk"
    done = in_namespace(f"{mount}; {sys.executable} script.py {long_slide}")
    assert done.stdout == "ENOSPC [True] []\n", done.stderr


@pytest.mark.parametrize("after", [0, 9_000_000])
def test_disk_that_fails_while_it_is_written_past_its_cache_is_told(
    after, long_slide, faults, tmp_path
):
    (tmp_path / "disk").mkdir()
    command = [sys.executable, "-c", DIRECT, long_slide]
    fault = {"FAULT_CALL": "write", "FAULT_PATH": ".dcm", "FAULT_AFTER": str(after)}
    environment = {**os.environ, **faults, **fault}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True,
                          timeout=100, check=False)  # fmt: skip
    assert done.stdout == "EIO [True] []\n", done.stderr
