"""Everything that is run in turns: ``cp``, coverslip in five ways, and other converters.

Nobody waits for the disk, but for ``cp, then sync`` and coverslip as it is by default, synced.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benches.compare.converters import CONVERTERS, command_of, coverslip_command, found, version_of
from benches.compare.measure import Cost, RunFailedError, of_command
from benches.compare.slides import Source
from benches.compare.tables import COLD, Row

Run = Callable[[Path, str], Cost]
"""Takes the folder of the output, and whether the cache is warm or cold."""


@dataclass(kw_only=True)
class Contender:
    """A row of the table, and how to run it; ``None`` if it is not on this machine."""

    row: Row
    run: Run | None
    is_converter: bool = True


def contenders(
    source: Source, programs: dict[str, Path], only: list[str] | None, timeout_s: float
) -> list[Contender]:
    """Return what is to be run, ``cp`` first; ``only`` has the beginnings of names."""
    everything = [*_copies(source.path), *_ours(source.path, timeout_s)]
    everything += _others(source, programs, timeout_s)
    if only is None:
        return everything
    return [each for each in everything if each.row.name.startswith(("cp", *only))]


def _copies(slide: Path) -> Iterator[Contender]:
    def plain(out: Path, _: str) -> Cost:
        out.mkdir()
        return of_command(["cp", str(slide), str(out / "copy")])

    def synced(out: Path, _: str) -> Cost:
        out.mkdir()
        script = 'cp "$0" "$1" && sync "$1"'
        return of_command(["sh", "-c", script, str(slide), str(out / "copy")])

    yield Contender(row=Row(name="cp"), run=plain, is_converter=False)
    yield Contender(row=Row(name="cp, then sync"), run=synced, is_converter=False)


def _ours(slide: Path, timeout_s: float) -> Iterator[Contender]:
    def within(*, verify: bool, sync: bool = False) -> Run:
        return lambda out, state: in_process(slide, out, state, verify=verify, sync=sync)

    def command(*, verify: bool) -> Run:
        return lambda out, _: of_command(
            coverslip_command(slide, out, verify=verify), timeout_s=timeout_s
        )

    yield Contender(row=Row(name="coverslip in process, no verify"), run=within(verify=False))
    yield Contender(row=Row(name="coverslip in process"), run=within(verify=True))
    synced = Row(name="coverslip in process, synced")
    yield Contender(row=synced, run=within(verify=True, sync=True))
    yield Contender(row=Row(name="coverslip command, no verify"), run=command(verify=False))
    yield Contender(row=Row(name="coverslip command"), run=command(verify=True))


def in_process(slide: Path, out: Path, state: str, *, verify: bool, sync: bool) -> Cost:
    """Convert in an interpreter of its own that has converted before; see `inside`."""
    command = [sys.executable, "-m", "benches.compare.inside", str(slide), str(out)]
    command += ["--verify"] * verify + ["--sync"] * sync + ["--cold"] * (state == COLD)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RunFailedError(f"exit status {done.returncode}")
    return Cost(**json.loads(done.stdout))


def _others(source: Source, programs: dict[str, Path], timeout_s: float) -> Iterator[Contender]:
    for converter in CONVERTERS:
        program = found(converter, programs)
        if program is None:
            missing = Row(name=converter.program, missing=converter.install)
            yield Contender(row=missing, run=None)
            continue
        version = version_of(converter, program)
        for way in converter.ways:
            if way.codec in (None, source.codec):
                yield Contender(
                    row=Row(name=way.name, version=version),
                    run=lambda out, _, program=program, way=way: of_command(
                        command_of(program, way, source.path, out), timeout_s=timeout_s
                    ),
                )
