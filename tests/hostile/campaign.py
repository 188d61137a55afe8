"""Converts thousands of mutated slides: ``python -m tests.hostile.campaign --runs 100000``.

Each slide is decided by its name and a seed, so ``--only NAME --seed SEED --runs 1`` shows a
finding again. Exit status 1 if there was one.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.conftest import SLIDES
from tests.hostile import pool
from tests.hostile.judge import CHOICES, judge
from tests.hostile.mutate import Mutated, mutation_of
from tests.synth import FEW_TILES, FORMATS
from tests.synth.scn import Roi

SMALL: dict[str, dict[str, object]] = {
    "build_svs": {"size": (200, 150), "tile": 64},
    "build_generic": {"size": (200, 150), "tile": 64, "levels": 2},
    "build_ome": {"size": (200, 150), "tile": 64, "levels": 2},
    "build_ndpi": {"size": (1120, 80), "levels": 2},
    "build_scn": {"tile": 64, "levels": 2},
}
"""What makes a slide of a builder small, so that more of them can be tried."""
TEXTS = {".ome", ".ndpis"}
"""Of files of a set that are no TIFF."""
REAL = (
    "aperio/CMU-1-Small-Region.svs",
    "generic-tiff/tiled-jpeg-rgb-u8.tif",
    "generic-tiff/boxes.tiff",
    "qptiff/small_vectra.qptiff",
)
"""Real slides that are small enough, where the folder is there."""
SLOW = {"build_ndpi": 0.4, "build_ndpis": 0.2, "real": 0.3, "decoded": 0.06}
"""How often slides are tried that take longer, in proportion to the others."""


@dataclass(frozen=True)
class Original:
    """A slide before it is changed."""

    name: str
    path: Path
    identifiers: tuple[str, ...]
    weight: float
    others: tuple[Path, ...] = ()
    """The other files of a set."""
    recode: int | None = None
    """Quality of JPEG without which it cannot be converted."""

    def changed(self, path: Path, seed: int) -> Path:
        """Return which of the files beside a copy of the first one a seed changes: a TIFF."""
        tiffs = [one.name for one in (self.path, *self.others) if one.suffix not in TEXTS]
        return path.with_name(tiffs[seed % len(tiffs)])

    def copy_to(self, folder: Path) -> Path:
        """Copy all files into a folder and return the first."""
        for path in (self.path, *self.others):
            copy_file(path, folder / path.name)
        return folder / self.path.name


def originals(folder: Path, names: list[str] | None = None) -> list[Original]:
    """Build a small slide of each format, and take the real ones if they are there."""
    found = []
    for name in FORMATS:
        if names is not None and name not in names:
            continue
        builder, own = FORMATS[name].func, FORMATS[name].keywords
        chosen = {option: value for option, value in own.items() if value != FEW_TILES.get(option)}
        options = SMALL.get(builder.__name__, {}) | chosen
        if builder.__name__ == "build_generic" and "rows_per_strip" in own:
            options["size"] = (300, 200)
        if builder.__name__ == "build_scn":
            options["rois"] = _small(own.get("rois", (Roi(),)))
        if own.get("codec") == "j2k_33003_422":
            # OpenJPEG encodes chroma of 32 columns so that it cannot decode it.
            options["tile"] = 128
        options["missing"] = tuple((0, tile) for level, tile in own.get("missing", ()) if not level)
        if not options["missing"] or builder.__name__ == "build_ndpi":
            del options["missing"]
        place = folder / name
        place.mkdir()
        slide = partial(builder, place, 1)(**options)
        weight = SLOW.get("decoded" if slide.is_decoded else builder.__name__, 1.0)
        texts = tuple(text for text in slide.identifiers if len(text) >= 5)
        found.append(Original(name, slide.path, texts, weight, slide.others, slide.recode))
    for name in REAL:
        if (SLIDES / name).exists() and (names is None or name in names):
            found.append(Original(name, SLIDES / name, (), SLOW["real"]))
    return found


def _small(rois: tuple[Roi, ...]) -> tuple[Roi, ...]:
    return tuple(replace(roi, size=(200, 150)) for roi in rois)


def worker(found: list[Original], folder: Path, number: int) -> Callable[[tuple[str, int]], str]:
    """Return what tries one mutation, on copies of the slides of its own."""
    own = folder / f"process-{number}-{os.getpid()}"
    own.mkdir()
    # Half of them under the default; the rest is shared among what else an operator may choose.
    chosen = [name for other in CHOICES for name in (other, "public")]
    by_name = {original.name: original for original in found}
    copies: dict[str, Path] = {}

    def attempt(job: tuple[str, int]) -> str:
        name, seed = job
        original = by_name[name]
        if name not in copies:
            place = own / str(len(copies))
            place.mkdir()
            copies[name] = original.copy_to(place)
        secrets = [text.encode() for text in original.identifiers]
        path = copies[name]
        changed = original.changed(path, seed)
        mutation = mutation_of(changed, secrets, name, seed)
        with Mutated(changed, mutation):
            choice = chosen[seed % len(chosen)]
            deep = seed % 16 == 0
            return judge(path, own / "out", original.identifiers, deep=deep, choice=choice)

    return attempt


def copy_file(source: Path, target: Path) -> None:
    """Copy a file without filling its holes."""
    with source.open("rb") as file, target.open("wb") as copy:
        end, at = source.stat().st_size, 0
        while at < end:
            start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            file.seek(start)
            copy.seek(start)
            copy.write(file.read(at - start))
        copy.truncate(end)


def jobs(found: list[Original], runs: int, seed: int) -> Iterator[tuple[str, int]]:
    """Yield name and seed of each mutation."""
    chance, weights = random.Random(seed), [original.weight for original in found]
    for number in range(runs):
        (original,) = chance.choices(found, weights)
        yield original.name, seed + number


def run(
    found: list[Original], folder: Path, runs: int, seed: int, processes: int
) -> Iterator[pool.Outcome]:
    """Yield what became of each mutation; the processes work in ``folder``."""
    return pool.run(partial(worker, found, folder), jobs(found, runs, seed), processes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first mutation")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", action="append", help="a slide's name, may be given again")
    options = parser.parse_args()
    shm = Path("/dev/shm")  # noqa: S108 (a folder in memory; the name in it is a new one)
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        found = originals(Path(name), options.only)
        return report(
            run(found, Path(name), options.runs, options.seed, options.processes), options.seed
        )


def report(outcomes: Iterable[pool.Outcome], first_seed: int) -> int:
    """Print what is wrong at once, and a summary; return 1 if anything was."""
    begin, ends, slides, slowest, wrong = time.monotonic(), Counter(), Counter(), 0.0, 0
    for outcome in outcomes:
        name, seed = outcome.job
        kind = "WRONG" if outcome.answer.startswith("WRONG") else outcome.answer
        ends[kind] += 1
        slides[name] += 1
        slowest = max(slowest, outcome.cpu_s)
        if kind == "WRONG":
            wrong += 1
            print(f"{name} seed {seed}: {outcome.answer}", flush=True)
        if ends.total() % 1000 == 0:
            print(_summary(ends, begin, slowest), file=sys.stderr, flush=True)
    print(_summary(ends, begin, slowest))
    print(f"from seed {first_seed}: " + ", ".join(f"{n} {c}" for n, c in sorted(slides.items())))
    return 1 if wrong else 0


def _summary(ends: Counter[str], begin: float, slowest: float) -> str:
    told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    return f"{ends.total()} slides in {time.monotonic() - begin:.0f} s: {told}; {slowest:.2f} s CPU"


if __name__ == "__main__":
    sys.exit(main())
