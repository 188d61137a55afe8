"""Times coverslip beside ``cp`` and other converters, and checks what each of them wrote.

    python -m benches.compare SLIDE --rounds 5 --report results
    python -m benches.compare --sample 2GB --program wsidicomizer=VENV/bin/wsidicomizer

Every converter runs once and its output is checked; then all run in turns, with the slide in the
page cache and without. Files are removed and the disk is synced before each run. Converters are
looked for on PATH; those that are not found are listed with the way to install them.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benches.compare import caches, chart, machine
from benches.compare.checks import check
from benches.compare.contenders import Contender, contenders
from benches.compare.converters import CONVERTERS
from benches.compare.measure import RunFailedError
from benches.compare.slides import Source
from benches.compare.tables import COLD, LEGEND, WARM, Row, beside_others, markdown

UNITS = {"MB": 10**6, "GB": 10**9}


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.work, prefix="coverslip-bench-") as name:
        work = Path(name)
        source = Source(options.slide or sample(work, options.sample, options.compression))
        described = machine.described(work)
        compared = contenders(source, options.programs, options.only, options.timeout)
        for contender in compared:
            look_at(contender, source, work / "out")
        loads = take_turns(compared, source.path, work / "out", options)
        described["load average after each round"] = ", ".join(loads) or "no rounds"
        described["cold"] = caches.how_cold() if COLD in options.states else "not measured"
        described["slide"] = f"{source.path.stat().st_size / 1e6:.0f} MB, {source.described}"
        described["command"] = f"python -m benches.compare {options.shown}"
        rows = [contender.row for contender in compared]
        write(rows, described, source.path.stat().st_size, options.report)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benches.compare", description=__doc__.splitlines()[0]
    )
    parser.add_argument("slide", type=Path, nargs="?")
    parser.add_argument("--sample", default="250MB", help="size of the slide if none is given")
    parser.add_argument("--compression", default="jpeg", choices=["jpeg", "jpeg2000"])
    parser.add_argument("--rounds", type=int, default=5, help="0 checks only")
    parser.add_argument("--work", type=Path, help="where to write; has to hold 3 copies")
    parser.add_argument("--report", type=Path, help="write NAME.md, NAME.json and NAME.svg")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--only", action="append", help="only rows whose name begins like this")
    parser.add_argument("--no-cold", action="store_true")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one run")
    options = parser.parse_args()
    named = (text.partition("=") for text in options.program)
    options.programs = {name: Path(path) for name, _, path in named}
    unknown = options.programs.keys() - {converter.program for converter in CONVERTERS}
    if unknown:
        parser.error(f"no such converter is known: {', '.join(sorted(unknown))}")
    options.states = [WARM] if options.no_cold or not caches.how_cold() else [WARM, COLD]
    # Neither the slide's name nor where programs lie belongs in a record.
    made = f"--sample {options.sample} --compression {options.compression}"
    chosen = "".join(f" --only '{name}'" for name in options.only or ())
    options.shown = f"{'SLIDE' if options.slide else made} --rounds {options.rounds}{chosen}"
    options.shown += f" --timeout {options.timeout:.0f}"
    return options


def sample(work: Path, size: str, compression: str) -> Path:
    """Write a sample slide of a size like ``2GB``."""
    from coverslip.sample import write_sample

    byte_count = int(float(size[:-2]) * UNITS[size[-2:].upper()])
    return write_sample(work / "slide.svs", byte_count=byte_count, compression=compression).path


def look_at(contender: Contender, source: Source, out: Path) -> None:
    """Run once and check the output; what fails here is not timed."""
    if contender.run is None or not contender.is_converter:
        return
    say(f"checking {contender.row.name}")
    clean(out)
    caches.warm(source.path)
    try:
        contender.run(out, WARM)
        contender.row.checked = check(out, source)
    except RunFailedError as error:
        contender.row.failed = str(error)
    clean(out)


def take_turns(
    compared: list[Contender], slide: Path, out: Path, options: argparse.Namespace
) -> list[str]:
    """Run all in turns; return the load average after each round."""
    loads = []
    for number in range(options.rounds):
        for state in options.states:
            say(f"round {number + 1} of {options.rounds}, {state} cache")
            for contender in compared:
                run_once(contender, slide, out, state)
        loads.append(machine.load())
    return loads


def run_once(contender: Contender, slide: Path, out: Path, state: str) -> None:
    """Run from the same state as all others, and note what it took."""
    if contender.run is None or contender.row.failed is not None:
        return
    clean(out)
    caches.warm(slide) if state == WARM else caches.cool(slide)
    try:
        contender.row.costs[state].append(contender.run(out, state))
    except RunFailedError as error:
        contender.row.failed = str(error)
    clean(out)


def clean(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    os.sync()


def write(rows: list[Row], described: dict[str, str], slide_bytes: int, report: Path | None):
    """Print the report, and write it with its figures and chart where it is wanted."""
    lines = [f"- {name}: {value}" for name, value in described.items()]
    text = "\n".join([*lines, "", markdown(rows, slide_bytes), "", LEGEND, beside_others(rows)])
    sys.stdout.write(text)
    if report is None:
        return
    report.with_suffix(".md").write_text(f"# Beside `cp` and other converters\n\n{text}")
    figures = {"machine": described, "slide_bytes": slide_bytes}
    figures["rows"] = [row.to_dict() for row in rows]
    report.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    if not rows[0].costs[WARM]:
        return
    if not chart.can_draw():
        say("no chart: it takes matplotlib, pip install '.[bench]'")
        return
    chart.draw(rows, report.with_suffix(".svg"), f"{described['slide']}: {described['processor']}")


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
