"""Limits: an error names the one it hits, and an option changes it."""

import dataclasses
import io
import re
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import coverslip
from coverslip import _core, frames, limits, pixels
from coverslip.cli import limits as limit_options
from tests import program
from tests.hostile.test_bad_input import patched, refuse
from tests.synth import build_generic, tiff

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"size": (200, 150), "tile": 64, "levels": 1}


def with_limits(monkeypatch, module, **changes):
    monkeypatch.setattr(module, "LIMITS", dataclasses.replace(limits.LIMITS, **changes))


def many_tiles_on_the_same_bytes(path, piece, tables, side, codec=7, tile=64):
    """Write a level of many tiles that are all one: offsets and byte counts in four bytes each."""
    tags = {256: tiff.long(side), 257: tiff.long(side), 258: tiff.short(8, 8, 8),
            259: tiff.short(codec), 262: tiff.short(6 if codec == 7 else 2), 277: tiff.short(3),
            322: tiff.short(tile), 323: tiff.short(tile)}  # fmt: skip
    if tables:
        tags[347] = tiff.undefined(tables)
    count = (side // tile) ** 2
    # Written once with one tile to learn where it lies, and once more with all of them.
    tiff.write_tiff(path, [tiff.Directory(tags, pieces=[piece])])
    at = path.read_bytes().index(piece)
    tags |= {324: tiff.long(*[at] * count), 325: tiff.long(*[len(piece)] * count)}
    shift = 8  # the piece is put first
    assert at == shift
    writer = tiff.Writer(big_endian=False, bigtiff=False, gap=b"")
    writer._put(piece)
    writer.chain([tiff.Directory(tags)])
    path.write_bytes(bytes(writer.out))


ATTESTED = ("--pixels-attested", "J. Doe")
"""Else what cannot be searched is quarantined before the limit that a test is about ends it."""

CONFINED = """
import sys, resource
import coverslip
from coverslip import conversion, guard

used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
guard.confine(memory_bytes=used + (512 << 20))
try:
    with guard.limited(cpu_seconds=20):
        coverslip.convert(sys.argv[1], sys.argv[2], mpp_um=0.5, pixels_attested="J. Doe")
except coverslip.LimitError as error:
    print(error)
"""


def test_million_tiles_on_the_same_bytes_write_no_more_than_the_limit(tmp_path):
    """Ten megabytes would become two gigabytes; time and memory have an end as well."""
    slide = build_generic(tmp_path, 1, codec="jpeg_ycbcr420", **SMALL)
    piece = max(slide.levels[0].pieces, key=len)
    path = tmp_path / "same.tif"
    many_tiles_on_the_same_bytes(path, piece, slide.levels[0].jpeg_tables, 64 * 1024)
    assert path.stat().st_size < 10_000_000
    done = program.code(CONFINED, path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "output_bytes = 1073741824" in done.stdout
    assert int(re.search(r"would take (\d+)", done.stdout)[1]) > 1 << 30
    assert not (tmp_path / "out").exists()


def cpu_seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_small_slide_whose_tiles_take_long_again_and_again_has_the_time_of_its_size(tmp_path):
    """Some ten kilobytes whose tiles are all one, progressive and large: minutes of work."""
    tile = io.BytesIO()
    Image.new("RGB", (2048, 2048), (200, 150, 180)).save(tile, "JPEG", progressive=True)
    path = tmp_path / "same.tif"
    many_tiles_on_the_same_bytes(path, tile.getvalue(), None, 2048 * 40, tile=2048)
    assert path.stat().st_size < 200_000
    command = [sys.executable, "-m", "coverslip", "--limit", "cpu_seconds=1", "convert", path]
    before = cpu_seconds_of_children()
    done = subprocess.run([*command, "--mpp", "0.5", *ATTESTED, "-o", tmp_path / "out"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    spent = cpu_seconds_of_children() - before
    assert done.returncode == 1
    assert re.search(r"error: .* limits cpu_seconds and cpu_seconds_per_gigabyte", done.stderr)
    assert "hint: if you trust the slide: coverslip --limit NAME=NUMBER" in done.stderr
    assert 1 < spent < 30
    assert not (tmp_path / "out").exists()


def test_time_that_a_slide_may_take_is_by_far_more_than_one_takes_whose_tiles_are_its_own(tmp_path):
    """Progressive tiles are the slowest that need no decoder; the others are on record."""
    slide = build_generic(tmp_path, 1, size=(2000, 1500), levels=1, tile=512,
                          style={"progressive": True, "tables": "own"})  # fmt: skip
    coverslip.convert(slide.path, tmp_path / "warm", mpp_um=0.5)
    begin = time.process_time()
    coverslip.convert(slide.path, tmp_path / "out", mpp_um=0.5)
    spent = time.process_time() - begin
    byte_count = slide.path.stat().st_size
    by_size = limits.slide_seconds(byte_count) - limits.LIMITS.cpu_seconds
    assert spent * 5 < by_size
    assert limits.slide_seconds(170_000) < 310


def test_output_is_never_longer_than_the_limit_says(tmp_path, monkeypatch):
    slide = build_generic(tmp_path, 1, codec="jpeg_ycbcr420", **SMALL)
    result = coverslip.convert(slide.path, tmp_path / "out")
    took = sum(instance.byte_count for instance in result.instances)
    with_limits(monkeypatch, frames, output_bytes=1000, output_growth=0)
    with pytest.raises(coverslip.LimitError, match="output_bytes"):
        coverslip.convert(slide.path, tmp_path / "other")
    with_limits(monkeypatch, frames, output_bytes=took, output_growth=0)
    again = coverslip.convert(slide.path, tmp_path / "again")
    assert sum(instance.byte_count for instance in again.instances) <= took + 10_000


def test_pixels_that_take_more_than_the_limit_are_stopped_while_they_are_made(
    tmp_path, monkeypatch
):
    slide = build_generic(tmp_path, 1, codec="deflate", **SMALL)
    with_limits(monkeypatch, frames, output_bytes=10_000, output_growth=0)
    error = refuse(slide, tmp_path, coverslip.LimitError, allow_pixel=True)
    assert "output_growth" in str(error)
    with_limits(monkeypatch, frames, output_bytes=1 << 30)
    monkeypatch.setattr("coverslip.levels.most_output_bytes", lambda slide: 20_000)
    error = refuse(slide, tmp_path, coverslip.LimitError, allow_pixel=True)
    assert re.search(r"level 0: the first [1-9] frames take more than the 20000 bytes", str(error))


@pytest.mark.parametrize("strips", [False, True])
def test_picture_of_more_pixels_than_the_limit_is_refused(strips, tmp_path):
    tags = {256: tiff.long(1 << 31), 257: tiff.long(1 << 31), 258: tiff.short(8, 8, 8),
            259: tiff.short(7), 262: tiff.short(6), 277: tiff.short(3)}  # fmt: skip
    if not strips:
        tags |= {322: tiff.short(65520), 323: tiff.short(65520)}
    path = tmp_path / "huge.tif"
    tiff.write_tiff(path, [tiff.Directory(tags, pieces=[b"x"], tiled=not strips)])
    with pytest.raises(coverslip.LimitError, match=f"level_pixels = {1 << 38}"):
        coverslip.open(path)


def test_every_limit_is_named_in_an_error_or_a_decoder():
    """A limit that nothing reads is none."""
    sources = "".join(
        path.read_text()
        for path in (ROOT / "python" / "coverslip").rglob("*.py")
        if path.name != "limits.py"
    )
    sources += Path(limits.__file__).read_text().partition("LIMITS = Limits()")[2]
    for field in dataclasses.fields(limits.Limits):
        assert f"LIMITS.{field.name}" in sources, field.name


def test_limit_that_is_no_limit_is_refused_without_repeating_it():
    for given in ("DOE=1", "tiles=many", "tiles", "doe_jane=1"):
        with pytest.raises(coverslip.PolicyError) as raised:
            limit_options.apply([given])
        assert "doe" not in str(raised.value).lower()


@pytest.mark.parametrize("name", ["level_pixels", "tile_pixels", "tile_bytes"])
def test_limit_can_be_changed_on_the_command_line(name, tmp_path):
    slide = build_generic(tmp_path, 1, **SMALL)

    options = ["--limit", f"{name}=100", "convert", slide.path]
    done = program.command(*options, *ATTESTED, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert f"{name} = 100" in done.stderr
    assert "hint: if you trust the slide: coverslip --limit NAME=NUMBER" in done.stderr


NO_ERROR = {
    "description_keys": "what is beyond is one unknown item",
    "xml_items": "what is beyond is one unknown item",
    "profile_bytes": "the profile is left out",
    "profile_tags": "the profile is left out",
    "lzma_bytes": "the tile cannot be decoded",
    "decoder_memory_bytes": "the tile cannot be decoded",
    "term_characters": "the certificate says so",
    "checked_certificate_bytes": "the check says so",
    "checked_picture_bytes": "the check says so",
    "report_slides": "the page says so",
    "report_pictures": "the page says so",
    "certificate_bytes": "the page says so",
    "pictured_bytes": "there is no picture",
    "pictured_pixels": "there is no picture",
    "report_picture_bytes": "the picture is smaller",
    "kept_header_bytes": "headers are built again",
    "hits": "one is enough to fail",
    "problems": "one is enough to fail",
}
"""Limits that end no slide, and what becomes of what is beyond."""


def test_every_limit_that_ends_a_slide_is_named_with_its_value_where_it_does():
    python = "".join(path.read_text() for path in (ROOT / "python" / "coverslip").rglob("*.py"))
    core = "".join(path.read_text() for path in (ROOT / "rust" / "core" / "src").rglob("*.rs"))
    by_size = {"memory_bytes", "cpu_seconds", "cpu_seconds_per_gigabyte"}
    for name, _, _ in limits.all_limits():
        told = rf"{name} = (\"\s+f\")?\{{(LIMITS\.{name}|self\._seconds)\}}"
        if name in by_size:
            told = rf"limits? (cpu_seconds \"\s+f\"and )?{name}"
        assert bool(re.search(told, python)) == (name not in NO_ERROR), name
    for name, _, _ in _core.limits():
        told = f'name: "{name}"' in core or f"self.{name},\n            )" in core
        assert told or f'"{name}",' in core or name in NO_ERROR, name


def test_command_lists_each_limit_with_its_value_and_its_reason():
    done = program.command("--limits")
    assert done.returncode == 0
    known = [*limits.all_limits(), *_core.limits()]
    assert len(known) == len({name for name, _, _ in known}) > 40
    listed = done.stdout.splitlines()
    told = dict(re.findall(r"^(\w+) = (\d+)\n    \w", done.stdout, re.M))
    assert told == {name: str(value) for name, value, _ in known}
    assert all(len(reason) > 20 for _, _, reason in known)
    assert max(map(len, listed)) <= 96


@pytest.mark.parametrize("name", ["terms", "term_bytes", "scans", "coefficient_bytes"])
def test_limit_of_the_core_can_be_changed_on_the_command_line(name, tmp_path):
    slide = build_generic(tmp_path, 1, style={"progressive": True, "tables": "own"}, **SMALL)
    options = ["--limit", f"{name}=1", "convert", slide.path]
    done = program.command(*options, *ATTESTED, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert f"limit {name} = 1" in done.stderr


def test_limits_of_the_core_are_known_by_name():
    assert pixels.LIMITS is limits.LIMITS
    assert not _core.set_limit("unknown", 1)
    assert not limits.set_limit("unknown", 1)
    assert limits.set_limit("tiles", limits.LIMITS.tiles)


def test_strip_of_more_bytes_than_a_tile_may_have_names_the_limit(tmp_path):
    slide = build_generic(tmp_path, 1, size=(200, 150), levels=1, strip_rows=16, codec="jpeg_rgb")
    counts = struct.pack(f"<{len(slide.levels[0].pieces)}I", *map(len, slide.levels[0].pieces))
    patched(slide, counts, counts[:12] + struct.pack("<I", 1 << 31) + counts[16:])
    error = refuse(slide, tmp_path, coverslip.LimitError)
    assert f"tile_bytes = {64 << 20}" in str(error)


def test_claims_of_terabytes_name_the_limit_and_not_the_disk(tmp_path):
    slide = build_generic(tmp_path, 1, codec="deflate", **SMALL)
    counts = struct.pack(f"<{len(slide.levels[0].pieces)}I", *map(len, slide.levels[0].pieces))
    patched(slide, counts, struct.pack("<I", (1 << 32) - 1) * (len(counts) // 4))
    error = refuse(
        slide, tmp_path, coverslip.LimitError, allow_pixel=True, pixels_attested="J. Doe"
    )
    assert f"output_bytes = {1 << 30}" in str(error)


MEASURED = """
import pathlib, re, resource, sys
import coverslip
from coverslip import limits

def convert():
    return coverslip.convert(sys.argv[1], sys.argv[2], mpp_um=0.5)

limits.set_limit("output_growth", 0)
limits.set_limit("output_bytes", 1)
try:
    convert()
except coverslip.LimitError as error:
    told = int(re.search(r"would take ([0-9]+)", str(error))[1])
limits.set_limit("output_bytes", told)
files = convert().instances
used = resource.getrusage(resource.RUSAGE_SELF)
written = sum(file.byte_count for file in files)
# Not ru_maxrss: a process inherits that of the one that started it (getrusage(2), execve).
peak = re.search(r"VmHWM:\\s+([0-9]+)", pathlib.Path("/proc/self/status").read_text())[1]
print(told, written, used.ru_utime + used.ru_stime, peak)
"""


def test_ten_megabytes_become_what_is_told_before_in_bounded_time_and_memory(tmp_path):
    slide = build_generic(tmp_path, 1, codec="jpeg_ycbcr420", **SMALL)
    piece = max(slide.levels[0].pieces, key=len)
    path = tmp_path / "same.tif"
    many_tiles_on_the_same_bytes(path, piece, slide.levels[0].jpeg_tables, 64 * 200)
    with path.open("ab") as file:
        file.write(bytes(10_000_000 - path.stat().st_size))
    command = [sys.executable, "-c", MEASURED, path, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, written, cpu_s, most_kilobytes = map(float, done.stdout.split())
    assert told > 4 * 10_000_000
    assert told <= written <= told + 24 * 200**2 + 20_000  # items, offset table, header
    assert cpu_s < 60  # measured: 3 s on a quiet machine
    assert most_kilobytes < 1_500_000  # most of it for pixels that are searched
