"""Faults of the machine, on real mechanisms: a full disk, a process that is killed."""

import json
import random
import subprocess
import sys
import time

import pydicom
import pytest

import coverslip
from coverslip.sample import write_sample
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
    with pytest.raises(OSError, match="No space left on device"):
        coverslip.convert(slide.path, small_disk / "out")
    assert list(small_disk.iterdir()) == []

    # The same without the look at the free space before: the disk fills while it is written.
    monkeypatch.setattr("coverslip.instances.require_room", lambda out, byte_count: None)
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
