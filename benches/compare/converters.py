"""The converters that coverslip is compared with: how to find, name and call each.

Each is called as its documentation tells a new user to, with its own default for threads; where
it has a way that keeps the tiles, that way. A variant that leaves out what identifies is a row of
its own, since it writes less.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile(r"\d+(?:\.\d+)+\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to call a converter; ``{slide}`` and ``{out}`` stand for paths."""

    name: str
    arguments: tuple[str, ...]
    out_exists: bool = False
    """Whether it wants the folder of its output to be there."""
    codec: str | None = None
    """The only codec of tiles that this way keeps; ``None`` if it is for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """A program that makes DICOM of a slide."""

    program: str
    ways: tuple[Way, ...]
    version: tuple[str, ...]
    """Arguments that make it print its version; none if it cannot."""
    install: str
    """What to say where it is missing."""


CONVERTERS = (
    Converter(
        program="wsidicomizer",
        ways=(
            Way(name="wsidicomizer", arguments=("-i", "{slide}", "-o", "{out}")),
            Way(
                name="wsidicomizer, nothing confidential",
                arguments=(
                    *("-i", "{slide}", "-o", "{out}"),
                    *("--no-confidential", "--no-label", "--no-overview"),
                ),
            ),
        ),
        version=("--version",),
        install="python3.12 -m venv VENV && VENV/bin/pip install wsidicomizer; "
        "--program wsidicomizer=VENV/bin/wsidicomizer (0.27 and later need Python 3.12; an older "
        "Python gets 0.26.1 without a word)",
    ),
    Converter(
        program="OrthancWSIDicomizer",
        ways=(
            Way(
                name="OrthancWSIDicomizer",
                arguments=("{slide}", "--folder", "{out}", "--max-size", "0"),
                out_exists=True,
            ),
        ),
        version=("--version",),
        install="apt-get install orthanc-wsi",
    ),
    Converter(
        program="wsi2dcm",
        ways=(
            Way(
                name="wsi2dcm, tiles of the scanner",
                arguments=(
                    *("--input", "{slide}", "--outFolder", "{out}", "--seriesDescription", "bench"),
                    "--SVSImportPreferScannerTileingForAllLevels",
                ),
                out_exists=True,
            ),
        ),
        version=("--version",),
        install="github.com/GoogleCloudPlatform/wsi-to-dicom-converter",
    ),
    Converter(
        program="wsi-dicom",
        ways=(
            Way(
                name="wsi-dicom",
                arguments=(
                    *("convert", "{slide}", "--out", "{out}", "--research-placeholder"),
                    *("--preset", "fast-jpeg"),
                ),
                codec="JPEG",
            ),
            Way(
                name="wsi-dicom",
                arguments=(
                    *("convert", "{slide}", "--out", "{out}", "--research-placeholder"),
                    *("--transfer-syntax", "jpeg2000"),
                ),
                codec="JPEG 2000",
            ),
        ),
        version=(),
        install="cargo install wsi-dicom",
    ),
    Converter(
        program="bfconvert",
        ways=(
            Way(
                name="bfconvert, precompressed",
                arguments=("-noflat", "-precompressed", "{slide}", "{out}/slide.dcm"),
                out_exists=True,
            ),
        ),
        version=("-version",),
        install="the Bio-Formats command line tools",
    ),
)


def found(converter: Converter, named: dict[str, Path]) -> Path | None:
    """Return where a converter is: the path that the user named, or one on PATH."""
    if converter.program in named:
        path = named[converter.program].absolute()
        return path if os.access(path, os.X_OK) else None
    place = shutil.which(converter.program)
    return None if place is None else Path(place)


def version_of(converter: Converter, program: Path) -> str:
    """Return its version, and for a program of Python that of its interpreter."""
    version = _said(converter, program) if converter.version else _installed(converter, program)
    interpreter = program.parent / "python"
    if (program.parent.parent / "pyvenv.cfg").exists() and interpreter.exists():
        shown = subprocess.run([interpreter, "-V"], capture_output=True, text=True, check=False)
        version += f" ({shown.stdout.strip()})"
    return version


def _said(converter: Converter, program: Path) -> str:
    command = [program, *converter.version]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = _VERSION.search(done.stdout) or _VERSION.search(done.stderr)
    return said[0].rstrip(".,") if said else "version unknown"


def _installed(converter: Converter, program: Path) -> str:
    """Return the version that ``cargo install`` noted beside the program."""
    note = program.parent.parent / ".crates.toml"
    names = tomllib.loads(note.read_text())["v1"] if note.exists() else {}
    mine = [name.split() for name in names if name.startswith(f"{converter.program} ")]
    return mine[0][1] if mine else "version unknown"


def command_of(program: Path, way: Way, slide: Path, out: Path) -> list[str]:
    """Return the command, with the folder of the output made where it is wanted."""
    if way.out_exists:
        out.mkdir(parents=True)
    words = (word.format(slide=slide, out=out) for word in way.arguments)
    return [str(program), *words]


def coverslip_command(slide: Path, out: Path, *, verify: bool) -> list[str]:
    """Return the command of our own, run by the interpreter that runs this."""
    command = [sys.executable, "-m", "coverslip", "convert", str(slide), "-o", str(out)]
    command += ["--quiet", "--no-sync"]
    return command if verify else [*command, "--no-verify"]
