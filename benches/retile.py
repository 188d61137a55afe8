"""Times the cutting of one large JPEG beside jpegtran and opentile, and stitching beside copying.

    python -m benches.retile --rounds 5

``jpegtran -copy none`` decodes and encodes the same entropy-coded data on one core; so does
``retile``, kept to one core and on all of them, and its proof, which decodes picture and frames
once more. opentile, where it is installed, extracts the same tiles of the same NDPI file. Before a
time counts, a frame from the middle is compared with what ``jpegtran -crop`` makes of the picture.
A real NDPI in the folder that ``COVERSLIP_SLIDES`` names is cut too.

Then a slide whose restart intervals are joined is converted beside one of about as many bytes whose
tiles are copied, without verification, and both beside ``cp``: once as NDPI, which tells where the
intervals lie, once as a TIFF that does not. Everything runs in turns.
"""

import argparse
import contextlib
import importlib.util
import os
import platform
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from tests.synth import build_ndpi, tiff
from tests.synth.ndpi import FLOAT, NdpiWriter, Quirks

import coverslip
from benches.tiled import write_tiled
from coverslip import _core
from coverslip.sample.tissue import texture

SIDE = 1024
STREAMS: dict[str, dict[str, object]] = {
    "4:2:0, an interval a row": {"subsampling": "4:2:0", "restart": 1},
    "4:4:4, an interval a row": {"subsampling": "4:4:4", "restart": 1},
    "4:2:0, no intervals": {"subsampling": "4:2:0", "restart": None},
    "4:2:0, intervals of 1024 pixels (stitch)": {"subsampling": "4:2:0", "restart_blocks": 64},
}
TILE_BYTES = 8329


@dataclass(frozen=True)
class Source:
    """One JPEG in an NDPI file, and where the frames of it go."""

    path: Path
    stream: bytes
    size: tuple[int, int]
    stored: _core.Picture
    frames: _core.JpegFrames
    spool: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=1, help="pictures so many times smaller")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.platform()}, {cores} cores, load {os.getloadavg()[0]:.1f}\n")
    print(
        f"| stream | MB | jpegtran MB/s | one core | {cores} cores | speed-up | proof | opentile |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, look in STREAMS.items():
        with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as folder:
            source = built(Path(folder), look, options.scale)
            print(f"| {name} | {row(source, options.rounds)} |", flush=True)
    for path in sorted(Path(os.environ.get("COVERSLIP_SLIDES", "/nonexistent")).rglob("*.ndpi")):
        with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as folder:
            found = row(opened(path, Path(folder)), options.rounds)
            print(f"| a real NDPI | {found} |", flush=True)
    print("\nspeed-up: all cores beside one; opentile: its time beside ours, one core each;")
    print("the rest: the time of jpegtran beside ours\n")
    with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as folder:
        stitching(Path(folder), options.rounds, options.scale)


def built(folder: Path, look: dict[str, object], scale: int) -> Source:
    """Return an NDPI file with one level."""
    size = (12 * SIDE // scale, 8 * SIDE // scale)
    picture = np.ascontiguousarray(np.tile(np.asarray(texture(1)), (6, 8, 1))[: size[1], : size[0]])
    small = picture[:100, :300]

    def shown(width: int, *_: object) -> np.ndarray:
        return picture if width == size[0] else small

    with patch("tests.synth.ndpi.tissue", shown):
        path = build_ndpi(folder, 1, size=size, levels=1, **look).path
    return opened(path, folder)


def opened(path: Path, folder: Path) -> Source:
    """Return the largest level of an NDPI file."""
    slide = coverslip.open(path)
    level, source = slide.levels[0], _core.Source(path)
    held, size = level.picture, (level.image_width, level.image_length)
    (route, *_) = slide.routes()
    return Source(
        path=path,
        stream=source.read(held.offset, held.byte_count),
        size=size,
        stored=_core.Picture(
            held.offset,
            held.byte_count,
            width=size[0],
            length=size[1],
            private=np.zeros((0, 2), np.uint64),
        ),
        frames=_core.JpegFrames(columns=SIDE, rows=SIDE, colour=route.jpeg_colour, jpeg_tables=b""),
        spool=folder / "spool",
    )


def cut(source: Source) -> tuple[np.ndarray, ...]:
    source.spool.unlink(missing_ok=True)
    ranges = _core.retile(_core.Source(source.path), source.stored, source.frames, source.spool)
    return tuple(np.frombuffer(each, "<u8").astype(np.uint64) for each in ranges)


def proof(source: Source) -> float:
    ranges = cut(source)
    opened, held = _core.Source(source.path), _core.Source(source.spool)
    return timed(lambda: _core.prove_retiled(opened, source.stored, source.frames, held, *ranges))


def row(source: Source, rounds: int) -> str:
    check(source, cut(source))
    stream = source.spool.with_name("stream.jpg")
    stream.write_bytes(source.stream)
    other = str(stream.with_name("other.jpg"))
    command = ["jpegtran", "-copy", "none", "-outfile", other, str(stream)]
    times: dict[str, list[float]] = {}
    everything = os.sched_getaffinity(0)
    for _ in range(rounds):
        with kept_to({min(everything)}):
            note(times, "jpegtran", timed(lambda: subprocess.run(command, check=True)))
            note(times, "one", timed(lambda: cut(source)))
            note(times, "opentile", timed_opentile(source))
        note(times, "all", timed(lambda: cut(source)))
        note(times, "proof", proof(source))
    middle = {kind: statistics.median(taken) for kind, taken in times.items()}
    base, megabytes = middle["jpegtran"], len(source.stream) / 1e6
    opentile = f"{middle['opentile'] / middle['one']:.1f} x" if "opentile" in middle else "-"
    return " | ".join(
        [
            f"{megabytes:.0f} | {megabytes / base:.0f}",
            *(f"{base / middle[kind]:.1f} x" for kind in ("one", "all")),
            f"{middle['one'] / middle['all']:.2f} x",
            f"{base / middle['proof']:.1f} x | {opentile}",
        ]
    )


@contextlib.contextmanager
def kept_to(cores: set[int]):
    """Keep this process, and what it starts, to some cores, as ``taskset`` does."""
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    yield
    os.sched_setaffinity(0, everything)


def note(times: dict[str, list[float]], kind: str, taken: float | None) -> None:
    if taken is not None:
        times.setdefault(kind, []).append(taken)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def timed_opentile(source: Source) -> float | None:
    """Return how long opentile takes for all tiles, ``None`` if it cannot or is not there."""
    if importlib.util.find_spec("opentile") is None:
        return None
    from opentile import OpenTile

    start = time.perf_counter()
    try:
        with OpenTile.open(source.path, tile_size=SIDE) as theirs:
            level = theirs.levels[0]
            # Its tiles are whole restart intervals: here about as large as ours.
            if not SIDE // 2 <= level.tile_size.width <= SIDE:
                return None
            for y in range(level.tiled_size.height):
                for x in range(level.tiled_size.width):
                    level.get_tile((x, y))
    except Exception:  # noqa: BLE001 (of streams that it cannot read)
        return None
    return time.perf_counter() - start


def check(source: Source, ranges: tuple[np.ndarray, ...]) -> None:
    """Stop unless a frame decodes to the very pixels of the part that jpegtran cuts out."""
    across = -(-source.size[0] // SIDE)
    number = len(ranges[0]) // 2
    x, y = number % across * SIDE, number // across * SIDE
    crop = ["jpegtran", "-copy", "none", "-crop", f"{SIDE}x{SIDE}+{x}+{y}"]
    theirs = subprocess.run(crop, input=source.stream, check=True, capture_output=True).stdout
    offset, count = int(ranges[0][number]), int(ranges[1][number])
    ours = source.spool.read_bytes()[offset : offset + count]
    pictures = [
        subprocess.run(["djpeg", "-pnm"], input=stream, check=True, capture_output=True).stdout
        for stream in (theirs, ours)
    ]
    if pictures[0] != pictures[1]:
        sys.exit("a frame does not show what the picture shows there")


def stitching(folder: Path, rounds: int, scale: int) -> None:
    """Print how fast a slide is converted whose intervals are joined, and one that is copied."""
    told, searched, copied = (folder / name for name in ("told.ndpi", "joined.tif", "copied.svs"))
    source = built(folder, STREAMS["4:2:0, intervals of 1024 pixels (stitch)"], scale)
    write_tall(searched, source)
    write_tall(told, source, is_ndpi=True)
    write_tiled(copied, tiles=max(4, searched.stat().st_size // TILE_BYTES))
    works = {
        "stitch, intervals told": (told, lambda: converted(told, folder / "out", "stitched")),
        "stitch, intervals searched": (
            searched,
            lambda: converted(searched, folder / "out", "stitched"),
        ),
        "copy": (copied, lambda: converted(copied, folder / "out", "copied")),
        "cp": (searched, lambda: shutil.copyfile(searched, folder / "copy")),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    names = list(works)
    for number in range(rounds + 1):
        # Each is the first as often as the others.
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            work = works[name][1]
            shutil.rmtree(folder / "out", ignore_errors=True)
            os.sync()  # nobody waits for what the one before has left to be written
            before = time.process_time()
            taken = timed(work)
            if number:  # the first is to warm up
                times[name].append((taken, time.process_time() - before))
    print("| whole slide, no verification | MB | seconds | MB/s | processor seconds |")
    print("|---|---|---|---|---|")
    for name, (path, _) in works.items():
        megabytes = path.stat().st_size / 1e6
        wall, processor = (statistics.median(each) for each in zip(*times[name], strict=True))
        speed = megabytes / wall
        print(f"| {name} | {megabytes:.0f} | {wall:.3f} | {speed:.0f} | {processor:.3f} |")


def write_tall(path: Path, source: Source, *, is_ndpi: bool = False) -> None:
    """Write a TIFF of one JPEG: the picture again and again below itself, up to what a JPEG holds.

    Restart intervals know nothing of each other, and their markers count to eight. NDPI tells where
    each begins.
    """
    width, length = source.size
    times = 65535 // length
    scan = source.stream.index(b"\xff\xda")
    begin = scan + 2 + int.from_bytes(source.stream[scan + 2 : scan + 4])
    size = source.stream.index(b"\xff\xc0") + 5
    rows = (length * times).to_bytes(2)
    head = source.stream[:size] + rows + source.stream[size + 2 : begin]
    entropy = source.stream[begin : source.stream.rindex(b"\xff\xd9")]
    last = [mark for mark in entropy.split(b"\xff") if mark[:1] and 0xD0 <= mark[0] <= 0xD7][-1]
    assert last[0] == 0xD6, "the picture has no multiple of eight intervals"
    stream = head + b"\xff\xd7".join([entropy] * times) + b"\xff\xd9"
    tags = {
        256: tiff.long(width),
        257: tiff.long(length * times),
        258: tiff.short(8, 8, 8),
        259: tiff.short(7),
        262: tiff.short(6),
        277: tiff.short(3),
        278: tiff.long(length * times),
    }
    if not is_ndpi:
        tiff.write_tiff(path, [tiff.Directory(tags, pieces=[stream], tiled=False)])
        return
    starts = [begin, *(mark.end() for mark in re.finditer(rb"\xff[\xd0-\xd7]", stream))]
    tags |= {
        65420: tiff.short(1),
        65421: tiff.Value(FLOAT, struct.unpack("<I", struct.pack("<f", 20))),
        65426: tiff.long(*starts),
    }
    writer = NdpiWriter(Quirks(), gap=b"")
    writer.chain([tiff.Directory(tags, pieces=[stream], tiled=False)])
    writer.save(path, tail=b"")


def converted(path: Path, out: Path, how: str) -> None:
    # A picture of one level is too large to be searched, which is not what is timed here.
    result = coverslip.convert(path, out, verify=False, mpp_um=0.5, pixels_attested="benchmark")
    counts = result.to_dict()["frames"]
    assert counts[how] == sum(counts[kind] for kind in ("copied", "stitched", "retiled"))


if __name__ == "__main__":
    main()
