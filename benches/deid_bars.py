"""Counts what is planted into the built slides, and what of it is left in their outputs.

    python -m benches.deid_bars

Identifiers are drawn anew in each run. A retained item is one that an output must still say:
spacing, sizes, number of levels, magnification, manufacturer.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import pydicom
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS

import coverslip
from coverslip.deid.policy import Policy
from coverslip.model import Finding

_SHORTEST = 5
"""Shorter texts stand in compressed data by chance."""


def main() -> None:
    """Convert every format under both profiles and print the sums."""
    sums: Counter[str] = Counter()
    formats, places, wrong = set(), set(), []
    for profile in ("public", "research"):
        for name, build in FORMATS.items():
            with tempfile.TemporaryDirectory() as folder:
                slide = build(Path(folder))
                opened = coverslip.open(slide.path)
                policy = Policy(profile=profile, allow_pixel=slide.is_decoded)
                out = Path(folder) / "out"
                result = coverslip.convert(slide.path, out, policy=policy)
                canaries = [text for text in slide.identifiers if len(text) >= _SHORTEST]
                left = survivors(canaries, places_of(out))
                formats.add(opened.format)
                places |= {_place_class(finding) for finding in opened.findings}
                sums["outputs"] += 1
                sums["canaries"] += len(canaries)
                sums["places with a survivor"] += len(left)
                kept, lost = _retained(slide, opened, result)
                sums["retained items"] += kept
                sums["lost items"] += len(lost)
                wrong += [f"{name}, {profile}: {what}" for what in (*sorted(left), *lost)]
    lines = [f"{what}: {count}" for what, count in sums.items()]
    lines.append(f"formats: {len(formats)}; place classes: {len(places)}")
    sys.stdout.write("\n".join([*lines, *wrong]) + "\n")


def _place_class(finding: Finding) -> tuple[str, str]:
    """Return tag and kind of a finding without the number of its directory."""
    words = [word for word in finding.place.split() if not word.isdecimal() and word != "IFD"]
    return " ".join(words), str(finding.kind)


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


if __name__ == "__main__":
    main()
