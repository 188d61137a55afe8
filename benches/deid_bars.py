"""Counts what is planted into the built slides, and what of it is left in their outputs.

    python -m benches.deid_bars

As in MIDI-B, each thing that had to be done is an action: a text that had to go from every place,
or a value that had to stay, compared with what the builder put into the slide: sizes, spacing,
magnification, manufacturer and model, stains, and what the colour profile makes of a grid of
colours. Identifiers are drawn anew in each run. With ``--broken`` each slide is also broken in
several ways and given to the command line; what that says is searched as well.
"""

import argparse
import contextlib
import io
import logging
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import tifffile
from PIL import Image, ImageCms
from tests.hostile.campaign import TEXTS
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS, SynthSlide

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import Given, MetadataTable
from coverslip.deid.policy import Policy
from coverslip.model import Finding, OperatorText

_PIXEL_DATA = b"\xe0\x7f\x10\x00OB"
_SHORTEST = 5
"""Shorter texts stand in compressed data by chance."""
MOST_BYTES = 1 << 30
"""A slide with five gigabytes of holes is not broken, for want of room."""
STAINS = "12710003 36879007"


def main() -> None:
    """Convert every format under every profile and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broken", action="store_true", help="break each slide as well")
    parser.add_argument(
        "--headers", action="store_true", help="search all but frames, which take hours"
    )
    options = parser.parse_args()
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is planted confuses it
    score, sums, places, formats = Score(), Counter[str](), Counter[str](), set[str]()
    for profile in ("public", "research", "care"):
        for name, build in FORMATS.items():
            score.name = f"{name}, {profile}"
            with tempfile.TemporaryDirectory() as folder:
                slide = build(Path(folder))
                opened = coverslip.open(slide.path)
                formats.add(opened.format)
                places.update(_place_class(finding) for finding in opened.findings)
                sums["outputs"] += 1
                _convert(name, slide, profile, score, only_headers=options.headers)
                if options.broken and profile == "public":
                    _break(slide, score, sums)
    lines = [f"{what}: {count}" for what, count in sums.items()]
    lines.append(f"formats: {len(formats)}; findings in {len(places)} classes of places:")
    lines += [f"  {place}: {count}" for place, count in sorted(places.items())]
    sys.stdout.write("\n".join([*lines, *score.lines(), *score.wrong]) + "\n")


def _convert(
    name: str, slide: SynthSlide, profile: str, score: "Score", *, only_headers: bool
) -> None:
    """Convert a slide and score the output."""
    given = Given(stains=OperatorText(STAINS), patient_id=OperatorText("4711"))
    custody = Custody(metadata=MetadataTable(rows={"*": given}))
    out = slide.path.parent / "out"
    policy = Policy(profile=profile, **slide.choices)
    result = coverslip.convert(slide.path, out, policy=policy, custody=custody, verify=False)
    there = places_of(out)
    if only_headers:
        there = {place: data.partition(_PIXEL_DATA)[0] for place, data in there.items()}
    for text in _canaries(slide):
        left = survivors([text], there)
        score.add("texts removed", not left, 1, f"left in {', '.join(sorted(left))}")
    _retained(name, slide, result, score)


def _canaries(slide: SynthSlide) -> list[str]:
    return [text for text in slide.identifiers if len(text) >= _SHORTEST]


def _break(slide: SynthSlide, score: "Score", sums: Counter[str]) -> None:
    """Break a slide in several ways; search what the command line says of it."""
    if slide.path.stat().st_size >= MOST_BYTES:
        return
    said = [_said_of_broken(slide.path, how) for how in BROKEN]
    sums["broken slides on the command line"] += len(said)
    for text in (*_canaries(slide), slide.path.stem):
        left = survivors([text], places_of(slide.path.parent / "none", *said))
        score.add("texts not said of a broken slide", not left, 1, "said")


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


def _retained(name: str, slide: SynthSlide, result: coverslip.Result, score: "Score") -> None:
    """Count what had to stay, and how much of it is there."""
    bases = {level.region: level for level in reversed(slide.levels)}
    truth = _told(name)
    instances = [instance for instance in result.instances if instance.level is not None]
    for level, instance in zip(slide.levels, instances, strict=True):
        dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
        path = dataset.OpticalPathSequence[0]
        said = {
            "columns": (dataset.TotalPixelMatrixColumns, level.width),
            "rows": (dataset.TotalPixelMatrixRows, level.length),
            "manufacturer": (dataset.Manufacturer, truth.manufacturer),
            "model": (dataset.ManufacturerModelName, truth.model),
            "stains": (_stains(dataset), STAINS.split()),
        }
        power = path.get("ObjectiveLensPower")
        said["magnification"] = (None if power is None else float(power), truth.power)
        if slide.mpp_um is not None and level.region == 0:
            groups = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            factor = bases[0].width / level.width
            wanted = slide.mpp_um / 1000 * factor
            # A level is as wide as the base to a pixel of its own, halved and rounded.
            is_near = abs(groups.PixelSpacing[0] / wanted - 1) < 1e-6 + 2 / level.width
            said["spacing"] = (is_near, True)
        if dataset.SamplesPerPixel == 3:
            shown, wanted = _colours(path.ICCProfile), _colours(_profile_of(slide))
            apart = np.abs(shown - wanted)
            # One of 256 steps: curves are rounded where they are written.
            said["colours"] = (int(np.minimum(apart, 256 - apart).max()) <= 1, True)
        for what, (found, wanted) in said.items():
            how = "other colours" if what == "colours" else f"{found!r} and not {wanted!r}"
            score.add(what, found == wanted, 1, how)


@dataclass
class Score:
    """Actions that were demanded, by what they are about, and those that were right."""

    name: str = ""
    """Of the slide in hand, for what is told of a wrong one."""
    right: Counter[str] = field(default_factory=Counter)
    demanded: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, what: str, right: int, demanded: int, how: str = "") -> None:
        self.right[what] += right
        self.demanded[what] += demanded
        if right != demanded:
            self.wrong.append(f"{self.name}: {what}: {how or f'{demanded - right} left'}")

    def lines(self) -> Iterator[str]:
        for what, demanded in sorted(self.demanded.items()):
            yield f"  {what}: {self.right[what]} of {demanded}"
        right, demanded = self.right.total(), self.demanded.total()
        yield f"score: {right} of {demanded} actions, {right / demanded:.2%}"


@dataclass(frozen=True)
class Told:
    """What a built slide says of its scanner, in the words that may be written."""

    manufacturer: str = "Unknown"
    model: str = "Unknown"
    power: float | None = None


_TOLD = {
    "3dhistech": Told("3DHISTECH"),
    "argos": Told(power=20),
    "generic": Told(),
    "grundium": Told("Grundium", "Ocus 40"),
    "huron": Told("Huron", power=20),
    "indica": Told(),
    "mikroscan": Told("Mikroscan"),
    "motic": Told("Motic", power=20),
    "ndpi": Told("Hamamatsu", "NanoZoomer S60", 40),
    "ndpis": Told("Hamamatsu", "NanoZoomer S60", 40),
    "ome": Told("Leica Biosystems", "SCN400", 40),
    "philips": Told("Philips", "Ultra Fast Scanner"),
    "qptiff": Told("Akoya Biosciences", "PhenoImager HT", 20),
    "scn": Told("Leica Biosystems", "SCN400 F", 20),
    "scn-regions-unlike": Told("Leica Biosystems", "SCN400 F"),
    "svs": Told("Aperio", power=20),
    "svs-gt450": Told("Leica Biosystems", "Aperio GT 450", 20),
    "trestle": Told("Trestle", "MedScan", 20),
    "ventana": Told("Ventana", "DP 200", 20),
}
"""By name of the built slide, or by what that begins with; as the builders write it."""


def _told(name: str) -> Told:
    """Return what a built slide says of its scanner."""
    return _TOLD.get(name) or _TOLD[name.partition("-")[0]]


def _profile_of(slide: SynthSlide) -> bytes | None:
    """Return the colour profile of the levels, as tifffile reads it.

    A picture of the glass may have that of another camera, so the largest picture counts.
    """
    with tifffile.TiffFile(next(p for p in slide.paths if p.suffix not in TEXTS)) as tiff:
        tagged = [page for page in _pages(tiff) if "InterColorProfile" in page.tags]
        largest = max(tagged, key=lambda page: page.imagewidth * page.imagelength, default=None)
        return None if largest is None else bytes(largest.tags["InterColorProfile"].value)


def _pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """Yield the pages that tifffile can read: it asks each NDPI for high words."""
    for number in range(len(tiff.pages)):
        with contextlib.suppress(struct.error):
            yield tiff.pages[number]


@cache
def _colours(profile: bytes | None) -> np.ndarray:
    """Return what a profile makes of a grid of colours; without one it is sRGB."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    srgb = ImageCms.createProfile("sRGB")
    given = srgb if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
    lab = ImageCms.createProfile("LAB")
    shown = ImageCms.profileToProfile(
        Image.fromarray(grid), given, lab, renderingIntent=1, outputMode="LAB"
    )
    return np.asarray(shown).astype(int)


def _stains(dataset: pydicom.Dataset) -> list[str]:
    """Return the codes of stains that an instance says."""
    (step,) = dataset.SpecimenDescriptionSequence[0].SpecimenPreparationSequence
    items = step.SpecimenPreparationStepContentItemSequence[2:]
    return [item.ConceptCodeSequence[0].CodeValue for item in items]


if __name__ == "__main__":
    main()
