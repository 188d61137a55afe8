"""The last column of the README's table: what each row was checked against, made of the tests.

``python -m tests.readme_table`` writes it anew.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.interop.believers import BELIEVERS
from tests.interop.test_real_slides import CASES

README = Path(__file__).parents[1] / "README.md"
_TABLE = re.compile(r"(\| source \| tiles \|[^\n]*\n\|[-|]+\n)((?:\|[^\n]*\n)+)")
_PROGRAMS = ("OpenSlide", "tifffile", "opentile")
LOSSLESS = ("pylibjpeg", "GDCM")
"""Decoders of the law that frames hold exactly the pixels of the slide."""


@dataclass(frozen=True)
class Row:
    """A row of the table, by words that stand in its first two cells and in those of no other."""

    source: str
    tiles: str
    cases: tuple[str, ...] = ()
    """Patterns of the built slides that it tells of; none for what is refused."""
    real: tuple[str, ...] = ()
    """Cases of tests/interop/test_real_slides.py."""
    frames: tuple[str, ...] = ()
    """What the laws compare its frames with, beside readers of DICOM."""


ROWS = (
    Row("Aperio", "JPEG, RGB", ("svs-jpeg-*", "svs-gt450", "svs-w*", "svs-lower*", "grundium"),
        ("aperio-jpeg",)),
    Row("Aperio", "33005", ("svs-33005*",), ("aperio-jpeg2000",)),
    Row("Aperio", "33003, 4:4:4", ("svs-33003-444",)),
    Row("Aperio", "33003, 4:2:2", ("svs-33003-422",), frames=("OpenJPEG",)),
    Row("Aperio", "focal planes", ("svs-focal-planes",)),
    Row("Hamamatsu", "one JPEG a level", ("ndpi", "ndpi-[0-9bhinsw]*", "ndpi-fluorescence"),
        ("hamamatsu", "hamamatsu-native"), ("jpegtran",)),
    Row("Hamamatsu", "focal planes", ("ndpi-focal-planes",), frames=("jpegtran",)),
    Row("Hamamatsu", "JPEG XR", ("ndpi-jpeg-xr",), frames=LOSSLESS),
    Row("Hamamatsu", "an index", ("ndpis*",), frames=("jpegtran", *LOSSLESS)),
    Row("Philips", "JPEG, sparse", ("philips*",)),
    Row("Leica", "JPEG", ("scn", "scn-two*", "scn-regions*", "scn-without*")),
    Row("Leica", "fluorescence", ("scn-fluorescence*",)),
    Row("Ventana BIF", "without overlap", ("ventana-bif", "ventana-bif-second-area")),
    Row("Ventana BIF", "overlapping tiles", ("ventana-bif-overlaps", "ventana-bif-gaps")),
    Row("Ventana BIF", "focal planes", ("ventana-bif-focal-planes",)),
    Row("Ventana TIFF", "JPEG", ("ventana-tiff",)),
    Row("Trestle", "without overlap", ("trestle",)),
    Row("Trestle", "overlaps by other numbers"),
    Row("Trestle", "overlaps by whole MCUs", ("trestle-overlap*",), frames=("jpegtran",)),
    Row("Huron", "JPEG", ("huron*", "motic", "mikroscan", "3dhistech")),
    Row("Argos", "JPEG, sparse", ("argos*",)),
    Row("OME-TIFF, levels", "JPEG, JPEG 2000", ("ome-s*", "ome-j2k"),
        ("ome-ndpi", "ome-vsi", "ome-grid")),
    Row("OME-TIFF, levels", "grey channels of", ("ome-channels*",)),
    Row("OME-TIFF, levels", "sets of files", ("ome-set-*",)),
    Row("OME-TIFF, levels", "points in time"),
    Row("QPTIFF", "brightfield", ("qptiff", "qptiff-level-in-strips")),
    Row("QPTIFF", "fluorescence", ("qptiff-bands",), ("qptiff-fluorescence",)),
    Row("generic tiled", "JPEG, JPEG 2000",
        ("generic-jpeg", "generic-jpeg-[sjrg]*", "generic-jp2", "generic-j2k-[rg5]*",
         "generic-tables*", "generic-without*", "generic-masks"),
        ("generic-jpeg", "generic-jp2", "generic-rgb-ids")),
    Row("Indica HALO", "grey channels", ("indica-*",)),
    Row("all", "a second picture"),
    Row("all", "no tile at a place", ("*missing*",)),
    Row("all", "progressive", ("*progressive*", "generic-arithmetic", "generic-clipped"),
        frames=("jpegtran",)),
    Row("generic TIFF, OME", "each colour apart",
        ("generic-jpeg-planar", "ome-jpeg-planar", "ome-colours-apart"), frames=("libjpeg-turbo",)),
    Row("all", "JPEG in strips", ("generic-strips*",), frames=("jpegtran",)),
    Row("all", "LZW",
        ("*-lzw", "*-uncompressed", "generic-*deflate*", "generic-packbits", "generic-zstd-planar",
         "generic-lzma*", "generic-lzw-p*", "generic-lzw-y*", "generic-white-is-zero",
         "ome-colours-apart-series-lzw"),
        ("generic-deflate",), LOSSLESS),
    Row("all", "Deflate in tiles", frames=("zlib",)),
    Row("all", "WebP", ("generic-webp*", "generic-jpeg-x*", "generic-lerc-lossy"), frames=LOSSLESS),
    Row("generic TIFF in strips", "", ("generic-*-strips", "*strip"), frames=LOSSLESS),
    Row("all", "High-Throughput", frames=("OpenJPEG", "OpenJPH", "wsidicom", "highdicom")),
    Row("all", "JPEG 2000 cut off",
        ("generic-lossless-jpeg", "generic-jpeg2000-clipped", "generic-lerc"), frames=LOSSLESS),
    Row("all", "old-style JPEG"),
    Row("Olympus VSI", ""),
)  # fmt: skip


def cases_of(row: Row) -> list[str]:
    return [name for name in BELIEVERS if any(fnmatch(name, pattern) for pattern in row.cases)]


def checked(row: Row) -> str:
    """Return what a row was checked against."""
    found = {BELIEVERS[name] for name in cases_of(row)}
    files = {CASES[name] for name in row.real}
    real = [] if not files else ["a real slide" if len(files) == 1 else "real slides"]
    programs = [program for program in _PROGRAMS if program in found]
    return ", ".join([*real, *programs, *row.frames])


def row_of(source: str, tiles: str) -> Row:
    """Return the row of a source and its tiles.

    Raises
    ------
    LookupError
        If there is none, or more than one.
    """
    found = [
        row
        for row in ROWS
        if source.startswith(row.source) and row.tiles in tiles and bool(row.tiles) == bool(tiles)
    ]
    if len(found) > 1:
        found = [row for row in found if tiles.startswith(row.tiles)]
    if len(found) != 1:
        raise LookupError(f"{len(found)} rows are said to be of {source}: {tiles}")
    return found[0]


def renewed(text: str) -> str:
    """Return the README with the last column as the tests make it now."""

    def table(match: re.Match[str]) -> str:
        source, lines = "", []
        for line in match[2].splitlines():
            first, tiles, fate, _ = (cell.strip() for cell in line.strip("|").split("|"))
            source = first or source
            last = checked(row_of(source, tiles))
            said = (first, tiles, fate, last)
            lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in said) + "|\n")
        return match[1] + "".join(lines)

    return _TABLE.sub(table, text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text()))
