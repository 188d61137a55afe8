"""How many planted identifiers are left by tools that de-identify DICOM or slides, in one table.

    python3 -m venv VENV && VENV/bin/pip install -r benches/deid_requirements.txt
    python -m benches.deid_compare --tools VENV/bin

A study with an identifier in each of some fifty places goes through each tool for DICOM, a slide
with some through each tool for slides, by the tool's own defaults. Then every byte and every file
name of the output is searched, in the spellings that `benches.compare` looks for.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from tests.synth import build_svs

from benches.compare import checks, machine
from benches.deid_planted import plant_study
from coverslip.sample import write_sample

Command = Callable[[Path, Path, Path], list[str | Path]]
"""Takes the folder of tools, the input folder and the output folder."""
NAMES = ("deid", "dicom-anonymizer", "dicognito", "idiscore", "pathsafe")
_IDISCORE = """
import sys
from pathlib import Path
import pydicom
from idiscore.defaults import create_default_core
core = create_default_core()
for number, path in enumerate(sorted(Path(sys.argv[1]).iterdir())):
    core.deidentify(pydicom.dcmread(path)).save_as(Path(sys.argv[2]) / f"{number}.dcm")
"""


@dataclass(frozen=True)
class Tool:
    """A tool and how to call it on a folder."""

    name: str
    command: Command


def _idiscore(tools: Path, given: Path, out: Path) -> list[str | Path]:
    return [tools / "python", "-c", _IDISCORE, given, out]


def _coverslip(_: Path, given: Path, out: Path) -> list[str | Path]:
    slide = next(given.iterdir())
    return [sys.executable, "-m", "coverslip", "convert", slide, "-o", out, "--quiet"]


FOR_DICOM = (
    Tool("deid", lambda t, i, o: [
        t / "deid", "--outfolder", o, "--overwrite", "identifiers", "--action", "all", "--input", i,
    ]),
    Tool("dicom-anonymizer", lambda t, i, o: [t / "dicom-anonymizer", i, o]),
    Tool("dicognito", lambda t, i, o: [t / "python", "-m", "dicognito", "-o", o, i]),
    Tool("idiscore", _idiscore),
    Tool("pathsafe", lambda t, i, o: [t / "pathsafe", "deidentify", i, "-o", o]),
)  # fmt: skip
FOR_SLIDES = (
    Tool("pathsafe", lambda t, i, o: [t / "pathsafe", "deidentify", i, "-o", o]),
    Tool("pathsafe, names given anew", lambda t, i, o: [
        t / "pathsafe", "deidentify", i, "-o", o, "--rename", "auto",
    ]),
    Tool("coverslip", _coverslip),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=Path, required=True, help="where the tools' programs are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coverslip-bench-") as name:
        work = Path(name)
        print("\n".join(f"- {n}: {v}" for n, v in machine.described(work).items()))
        print(f"- tools: {versions(options.tools)}")
        study = plant_study(work / "study", work)
        print(f"\n## DICOM: {len(study.texts)} identifiers in {len(study.texts)} places\n")
        print("| tool | left | exit status | says removed | validator errors | where |")
        print("|---|---|---|---|---|---|")
        for tool in FOR_DICOM:
            print(dicom_row(tool, options.tools, study.folder, work / "out", study.texts))
        for title, folder, identifiers in slides(work):
            print(f"\n## {title}: {len(identifiers)} identifiers\n")
            print("| tool | left | exit status |\n|---|---|---|")
            for tool in FOR_SLIDES:
                print(slide_row(tool, options.tools, folder, work / "out", identifiers))


def slides(work: Path) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Yield folders with one slide each, and what is planted in it."""
    plain, full = work / "sample", work / "slide"
    plain.mkdir()
    full.mkdir()
    report = write_sample(plain / "slide.svs", byte_count=1_500_000)
    yield "SVS of `coverslip sample`", plain, report.identifiers
    built = build_svs(full, levels=3)
    # What is shorter is found by chance.
    long = tuple(text for text in built.identifiers if len(text) >= checks.SHORTEST_FORM)
    yield "SVS with identifiers in every place that its tests know", full, long


def versions(tools: Path) -> str:
    names = ("deid", "dicom-anonymizer", "dicognito", "idiscore", "pathsafe")
    code = f"from importlib.metadata import version as v; print(*[n + ' ' + v(n) for n in {names}])"
    done = subprocess.run(
        [tools / "python", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def run(tool: Tool, tools: Path, given: Path, out: Path) -> tuple[int, list[Path]]:
    """Run a tool into an empty folder; return its exit status and all files it left."""
    if out.exists():
        subprocess.run(["rm", "-rf", out], check=True)
    out.mkdir()
    command = tool.command(tools.absolute(), given, out)
    done = subprocess.run(command, capture_output=True, check=False, cwd=out)
    return done.returncode, [path for path in out.rglob("*") if path.is_file()]


def dicom_row(tool: Tool, tools: Path, given: Path, out: Path, texts: dict[str, str]) -> str:
    status, files = run(tool, tools, given, out)
    if not files:
        return f"| {tool.name} | no output | {status} | | | |"
    left = checks.left_in(files, out, tuple(texts.values()))
    where = sorted(place for place, text in texts.items() if text in left)
    says = {removed(path) for path in files if path.suffix == ".dcm"}
    validation = checks.validated([path for path in files if path.suffix == ".dcm"])
    errors = "not checked" if validation is None else validation[0]
    return (
        f"| {tool.name} | {len(left)} of {len(texts)} | {status} | {', '.join(sorted(says))} "
        f"| {errors} | {', '.join(where)} |"
    )


def removed(path: Path) -> str:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return str(dataset.get("PatientIdentityRemoved") or "nothing")


def slide_row(tool: Tool, tools: Path, given: Path, out: Path, identifiers: tuple[str, ...]) -> str:
    status, files = run(tool, tools, given, out)
    if not files:
        return f"| {tool.name} | no output | {status} |"
    left = checks.left_in(files, out, identifiers)
    return f"| {tool.name} | {len(left)} of {len(identifiers)} | {status} |"


if __name__ == "__main__":
    main()
