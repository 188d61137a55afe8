"""Counts what is planted into the built slides, and what of it is left in their outputs.

    python -m benches.deid_bars

Identifiers are drawn anew in each run. A retained item is one that an output must still say:
spacing, sizes, number of levels, magnification, manufacturer, stain. Each slide is also broken in
several ways and given to the command line; what that says is searched as well.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pydicom
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import Given, MetadataTable
from coverslip.deid.policy import Policy
from coverslip.model import Finding, OperatorText

_SHORTEST = 5
"""Shorter texts stand in compressed data by chance."""
MOST_BYTES = 1 << 30
"""A slide with five gigabytes of holes is not broken, for want of room."""
STAINS = "12710003 36879007"


def main() -> None:
    """Convert every format under both profiles and print the sums."""
    sums: Counter[str] = Counter()
    formats, wrong = set(), []
    places: Counter[str] = Counter()
    table = MetadataTable(rows={"*": Given(stains=OperatorText(STAINS))})
    for profile in ("public", "research"):
        for name, build in FORMATS.items():
            with tempfile.TemporaryDirectory() as folder:
                slide = build(Path(folder))
                opened = coverslip.open(slide.path)
                policy = Policy(profile=profile, **slide.choices)
                out = Path(folder) / "out"
                custody = Custody(metadata=table)
                result = coverslip.convert(slide.path, out, policy=policy, custody=custody)
                canaries = [text for text in slide.identifiers if len(text) >= _SHORTEST]
                left = survivors(canaries, places_of(out))
                formats.add(opened.format)
                places.update(_place_class(finding) for finding in opened.findings)
                sums["outputs"] += 1
                sums["canaries"] += len(canaries)
                sums["places with a survivor"] += len(left)
                kept, lost = _retained(slide, opened, result)
                sums["retained items"] += kept
                sums["lost items"] += len(lost)
                wrong += [f"{name}, {profile}: {what}" for what in (*sorted(left), *lost)]
                if profile == "public" and slide.path.stat().st_size < MOST_BYTES:
                    said = [_said_of_broken(slide.path, how) for how in BROKEN]
                    told = survivors([*canaries, slide.path.stem], places_of(out, *said))
                    sums["broken slides on the command line"] += len(said)
                    sums["messages with a survivor"] += len(told)
                    wrong += [f"{name}, broken: {what}" for what in sorted(told)]
    lines = [f"{what}: {count}" for what, count in sums.items()]
    lines.append(f"formats: {len(formats)}; findings in {len(places)} classes of places:")
    lines += [f"  {place}: {count}" for place, count in sorted(places.items())]
    sys.stdout.write("\n".join([*lines, *wrong]) + "\n")


def _without_end(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _with_changed_bytes(data: bytes) -> bytes:
    """Return a slide of which every hundredth byte is another one, so each part is damaged."""
    changed = bytearray(data)
    changed[16::100] = bytes(byte ^ 0x15 for byte in changed[16::100])
    return bytes(changed)


def _with_wild_tiles(data: bytes) -> bytes:
    """Return a slide whose middle, where tiles are, holds what stands before it."""
    third = len(data) // 3
    return data[:third] + data[:third] + data[2 * third :]


BROKEN = (_without_end, _with_changed_bytes, _with_wild_tiles)


def _said_of_broken(path: Path, how: Callable[[bytes], bytes]) -> str:
    """Return all that the command line says of a broken slide, tracebacks included."""
    broken = path.with_name(f"broken-{path.name}")
    broken.write_bytes(how(path.read_bytes()))
    command = [sys.executable, "-m", "coverslip", "convert", broken, "-o", f"{broken}.out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    broken.unlink()
    return done.stdout + done.stderr


_CLASSES = {
    "path and file system": ("file name", "folder name", "time"),
    "ImageDescription": ("ImageDescription",),
    "vendor XML and XMP": ("XMP",),
    "colour profile": ("ICC profile", "ICCProfile"),
    "Exif": ("Exif",),
    "GPS": ("GPS",),
    "Interop": ("Interop",),
    "titles of Windows": ("XP",),
    "IPTC, Photoshop, ImageJ, GDAL": ("IPTC", "Photoshop", "ImageSource", "ImageJ", "GDAL"),
    "baseline text tags": (
        *("DocumentName", "Make", "Model", "PageName", "Software", "DateTime", "Artist"),
        *("HostComputer", "InkNames", "TargetPrinter", "ImageID", "Copyright"),
    ),
    "other and private tags": ("tag ",),
}
"""Rows of the specification's table of places, by words in the place of a finding."""


def _place_class(finding: Finding) -> str:
    """Return the class of the place of a finding; tags of one class are one place."""
    if finding.kind == "picture":
        return "pictures beside the levels"
    hits = (name for name, words in _CLASSES.items() if any(w in finding.place for w in words))
    return next(hits, "others")


def _retained(
    slide: object, opened: coverslip.OpenedSlide, result: coverslip.Result
) -> tuple[int, list[str]]:
    """Return how many items are as they must be, and the names of the others."""
    kept, lost = 0, []
    for level, instance in zip(opened.levels, result.instances, strict=True):
        dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
        path = dataset.OpticalPathSequence[0]
        checks = {
            "columns": dataset.TotalPixelMatrixColumns == level.image_width,
            "rows": dataset.TotalPixelMatrixRows == level.image_length,
            "colour profile": dataset.SamplesPerPixel == 1 or "ICCProfile" in path,
            "manufacturer": bool(dataset.Manufacturer),
            "model": bool(dataset.ManufacturerModelName),
            "stains": _stains(dataset) == STAINS.split(),
        }
        if opened.description.objective_power is not None:
            power = float(path.get("ObjectiveLensPower", 0))
            checks["magnification"] = abs(power - opened.description.objective_power) < 0.01
        if level.ifd == opened.levels[0].ifd and opened.spacing is not None:
            groups = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            checks["spacing"] = abs(groups.PixelSpacing[0] / opened.spacing.row_mm - 1) < 1e-6
        kept += sum(checks.values())
        lost += [what for what, is_right in checks.items() if not is_right]
    return kept, lost


def _stains(dataset: pydicom.Dataset) -> list[str]:
    """Return the codes of stains that an instance says."""
    (step,) = dataset.SpecimenDescriptionSequence[0].SpecimenPreparationSequence
    items = step.SpecimenPreparationStepContentItemSequence[2:]
    return [item.ConceptCodeSequence[0].CodeValue for item in items]


if __name__ == "__main__":
    main()
