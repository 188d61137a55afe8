"""When a conversion waits for the disk."""

import os

import pytest

import coverslip
from tests.synth import build_svs


@pytest.fixture
def synced(monkeypatch):
    """Return the list of what was brought to the disk: files and folders, by their size."""
    calls, real = [], os.fsync

    def fsync(descriptor):
        calls.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_every_file_is_on_the_disk_before_it_gets_its_name(tmp_path, synced, monkeypatch):
    seen, real = [], type(tmp_path).rename

    def rename(source, target):
        seen.append(sorted(synced))
        return real(source, target)

    monkeypatch.setattr(type(tmp_path), "rename", rename)
    result = coverslip.convert(build_svs(tmp_path).path, tmp_path / "out")
    (before,) = seen
    sizes = [instance.byte_count for instance in result.instances]
    assert not set(sizes) - set(before)
    assert result.certificate_path.stat().st_size in before


@pytest.mark.parametrize("verify", [True, False])
def test_without_sync_nothing_waits_and_the_output_is_as_whole(tmp_path, synced, verify):
    slide = build_svs(tmp_path).path
    result = coverslip.convert(slide, tmp_path / "out", sync=False, verify=verify)
    assert synced == []
    assert coverslip.verify(tmp_path / "out", source=slide).is_clean
    assert {path.name[0] for path in (tmp_path / "out").iterdir()} == {"2"}
    assert result.study_path.is_dir()


def test_an_archive_passes_it_on(tmp_path, synced):
    slides = tmp_path / "slides"
    slides.mkdir()
    build_svs(slides)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        outcomes = list(
            coverslip.convert_many(slides, tmp_path / "out", executor=executor, sync=False)
        )
    assert [str(outcome.state) for outcome in outcomes] == ["done"]
    assert synced == []
