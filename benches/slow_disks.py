"""How many jobs are best where slides lie on a spinning disk, or on a network share.

    pip install mfusepy    # and libfuse 3
    python -m benches.slow_disks --slides 12 --megabytes 60 --jobs 1 2 4

The folder of the slides is shown once more by a file system that waits as such a device does; the
output goes to the local disk. It is a model, and its figures are said: a spinning disk serves one
request at a time and needs a while wherever the request does not begin where the last one ended;
a share answers each request late, many of them at a time, over one line. The kernel reads ahead.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benches.tiled import write_tiled
from coverslip.archive.ledger import State, read_ledger

_TILES_PER_MB = 140
_TRACK_BYTES = 1 << 20
"""So near requests are in order for the disk: the kernel asks for several pieces at a time."""


@dataclass
class Device:
    """What a device makes its users wait."""

    bytes_per_s: float
    seek_s: float = 0.0
    answer_s: float = 0.0
    head: tuple[int, int] = (0, 0)
    """File and offset behind the last request."""
    line: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, file: int, offset: int, byte_count: int) -> None:
        """Wait as long as a request takes."""
        time.sleep(self.answer_s)
        with self.line:
            last, end = self.head
            is_near = last == file and abs(offset - end) <= _TRACK_BYTES
            time.sleep((0.0 if is_near else self.seek_s) + byte_count / self.bytes_per_s)
            self.head = (file, offset + byte_count)


DEVICES = {
    "local disk": None,
    "spinning disk, 160 MB/s, 8 ms to seek": {"bytes_per_s": 160e6, "seek_s": 0.008},
    "share, 1 Gbit/s, 1 ms to answer": {"bytes_per_s": 117e6, "answer_s": 0.001},
    "share, 1 Gbit/s, 10 ms to answer": {"bytes_per_s": 117e6, "answer_s": 0.01},
}


def serve(source: str, mountpoint: str, device: Device) -> None:
    """Show a folder at a mount point, read-only, through a device; return when it is unmounted."""
    import mfusepy

    class Slow(mfusepy.Operations):
        use_ns = True

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            at = os.lstat(source + path)
            names = ("st_mode", "st_size", "st_nlink", "st_uid", "st_gid", "st_mtime_ns")
            return {name.removesuffix("_ns"): getattr(at, name) for name in names}

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *(entry.name for entry in os.scandir(source + path))]

        def open(self, path: str, flags: int) -> int:
            return os.open(source + path, flags)

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            device.serve(os.fstat(fh).st_ino, offset, size)
            return os.pread(fh, size, offset)

    mfusepy.FUSE(Slow(), mountpoint, foreground=True, kernel_cache=True, ro=True, max_threads=10)


@contextmanager
def shown_by(source: Path, folder: Path, figures: dict[str, float] | None) -> Iterator[Path]:
    """Yield the folder as a device shows it."""
    if figures is None:
        yield source
        return
    folder.mkdir()
    code = f"from benches.slow_disks import *; serve(*sys.argv[1:], Device(**{figures}))"
    server = subprocess.Popen([sys.executable, "-c", code, source, folder])
    try:
        deadline = time.monotonic() + 20
        while not os.path.ismount(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not os.path.ismount(folder):
            sys.exit("the file system of the model was not mounted")
        yield folder
    finally:
        subprocess.run(["fusermount3", "-u", folder], check=True)
        server.wait(timeout=20)
        folder.rmdir()


def converted(source: Path, folder: Path, jobs: int, slides: int) -> float:
    """Return the seconds that a run takes, the page cache empty when it begins."""
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("3")
    command = [sys.executable, "-m", "coverslip", "convert", source, "--quiet"]
    start = time.perf_counter()
    subprocess.run(
        [*command, "-o", folder / "out", "--jobs", str(jobs)], check=True, stderr=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - start
    states = [record.state for record in read_ledger(folder / "out.vault")]
    if states != [State.DONE] * slides:
        sys.exit("a slide was not converted")
    shutil.rmtree(folder / "out")
    shutil.rmtree(folder / "out.vault")
    return seconds


def main() -> None:
    """Time each number of jobs on each device, and print megabytes a second of the slides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=12)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        write_tiled(folder / "in" / "0.svs", tiles=given.megabytes * _TILES_PER_MB)
        for number in range(1, given.slides):
            shutil.copy(folder / "in" / "0.svs", folder / "in" / f"{number}.svs")
        byte_count = sum(path.stat().st_size for path in (folder / "in").iterdir())
        sys.stdout.write(f"{given.slides} slides, {byte_count / 1e6:.0f} MB; MB/s\n\n")
        sys.stdout.write("| | " + " | ".join(f"{jobs} jobs" for jobs in given.jobs) + " |\n")
        sys.stdout.write("|---" * (1 + len(given.jobs)) + "|\n")
        for told, figures in DEVICES.items():
            with shown_by(folder / "in", folder / "mnt", figures) as source:
                cells = []
                for jobs in given.jobs:
                    taken = [
                        converted(source, folder, jobs, given.slides) for _ in range(given.rounds)
                    ]
                    cells.append(", ".join(f"{byte_count / 1e6 / s:.0f}" for s in taken))
            sys.stdout.write(f"| {told} | {' | '.join(cells)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
