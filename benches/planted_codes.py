"""Plants bar codes into tissue and compares ways of searching: what each finds, and what it takes.

    python -m benches.planted_codes --codes 5000 --ground SLIDE.svs ...

Levels are searched in crops where something is located (`bar_codes_of_tissue`), overviews in all
crops (`bar_codes`). Codes of two dimensions are drawn at several sizes, angles and contrasts, dark
on light and light on dark, blurred, with noise, and compressed as JPEG, onto drawn tissue and onto
that of slides that are named. Pictures without a code are searched as well: nothing may be found.
Times are processor time.
"""

import argparse
import io
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import zxingcpp
from PIL import Image, ImageFilter
from tests.synth.texture import tissue

from coverslip.deid.pixels import barcodes

COMMON = ("QRCode", "DataMatrix", "Aztec", "PDF417")
KINDS = (*3 * COMMON, "MicroQRCode", "RMQRCode", "CompactPDF417", "MicroPDF417")
SIZES = ((330, 250), (450, 340), (590, 440), (760, 570), (1000, 750), (1400, 1050))
MODULES = (1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0)
"""Pixels of the smallest square of a code."""
ANGLES = (0, 0, 0, 90, 180, 270, 3, 7, 15, 30, 45)
INKS = ((0, 255), (0, 255), (20, 235), (60, 210), (90, 180), (110, 150), (120, 150), (230, 40))
"""Grey levels of the code and of what is around it."""
BLURS = (0, 0, 0, 0.25, 0.5, 0.75)
"""Standard deviation, of a module."""
NOISES = (0, 0, 0, 6)
QUALITIES = (30, 50, 80, 80, 95)
REDUCED = (1, 2, 4, 8)
WAYS: dict[str, Callable[[np.ndarray], list[object]]] = {
    "all crops": lambda picture: barcodes.bar_codes(picture, least=barcodes.LEAST_OF_ANY),
    "levels": lambda picture: barcodes.bar_codes_of_tissue(picture, least=barcodes.LEAST_OF_ANY),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ground", nargs="*", type=Path, default=[], help="slides of brightfield")
    options = parser.parse_args()
    grounds = [one for path in options.ground for one in shown(path)]
    chance = random.Random(options.seed)  # noqa: S311 (must be the same each time)
    tally = Tally(Counter(), Counter(), Counter())
    while tally.found["codes"] < options.codes:
        kind, picture = planted(grounds, chance)
        if picture is not None:
            tally.add(kind, searched(picture, tally.spent))
    print("\n".join(tally.lines()), flush=True)
    spent = Counter[str]()
    empty = [*grounds, *(drawn(1000, 750, seed) for seed in range(4))]
    found = Counter[str]()
    for picture in empty:
        found.update(way for way, count in searched(np.asarray(picture), spent).items() if count)
    print(f"\n{len(empty)} pictures without a code: {dict(found) or 'nothing found'}")
    print(f"processor seconds: {', '.join(f'{way} {spent[way]:.1f}' for way in WAYS)}")


@dataclass
class Tally:
    """What was found in how many pictures."""

    found: Counter[str]
    differs: Counter[tuple[str, str]]
    spent: Counter[str]

    def add(self, kind: str, shown: dict[str, int]) -> None:
        before, now = (bool(shown[way]) for way in WAYS)
        self.found["codes"] += 1
        self.found["all crops"] += before
        self.found["levels"] += now
        if before != now:
            self.differs["levels alone" if now else "all crops alone", kind] += 1

    def lines(self) -> list[str]:
        sides = ("all crops alone", "levels alone")
        alone = (sum(n for (side, _), n in self.differs.items() if side == one) for one in sides)
        counts = *(self.found[what] for what in ("codes", *WAYS)), *alone
        return [
            f"| codes | {' | '.join(WAYS)} | {' | '.join(sides)} |\n{'|---' * 5}|",
            f"| {' | '.join(map(str, counts))} |",
            *(f"- {side}: {n} {kind}" for (side, kind), n in sorted(self.differs.items())),
            f"- processor seconds: {', '.join(f'{way} {self.spent[way]:.1f}' for way in WAYS)}",
        ]


def searched(picture: np.ndarray, spent: Counter[str]) -> dict[str, int]:
    """Return how many boxes each way finds, and add up what it takes."""
    found = {}
    for way, search in WAYS.items():
        start = time.process_time()
        found[way] = len(search(picture))
        spent[way] += time.process_time() - start
    return found


def shown(path: Path) -> list[Image.Image]:
    """Return the largest level of a slide in grey, reduced in several ways to what is searched."""
    with tifffile.TiffFile(path) as tiff:
        whole = Image.fromarray(tiff.pages[0].asarray()).convert("L")
    sizes = ((whole.width // factor, whole.height // factor) for factor in REDUCED)
    return [
        whole.resize(size, Image.Resampling.BOX)
        for size in sizes
        if size[0] * size[1] <= 4 << 20 and min(size) >= barcodes.LEAST
    ]


def drawn(width: int, length: int, seed: int) -> Image.Image:
    return Image.fromarray(tissue(width, length, seed)).convert("L")


def planted(grounds: list[Image.Image], chance: random.Random) -> tuple[str, np.ndarray | None]:
    """Return the kind of a code and a picture that shows it, if there is room for it."""
    size, kind, module = chance.choice(SIZES), chance.choice(KINDS), chance.choice(MODULES)
    code = code_of(kind, 2 * module, chance)
    whole = ground_of((2 * size[0], 2 * size[1]), grounds, chance)
    room = whole.width - code.width, whole.height - code.height
    if min(room) < 1:
        return kind, None
    whole.paste(code, (chance.randrange(room[0]), chance.randrange(room[1])))
    small = whole.resize(size, Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(chance.choice(BLURS) * module))
    random_of = np.random.default_rng(chance.randrange(1 << 30))
    noisy = np.asarray(small) + random_of.normal(0, chance.choice(NOISES), size[::-1])
    file = io.BytesIO()
    stored = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    stored.save(file, "JPEG", quality=chance.choice(QUALITIES))
    return kind, np.asarray(Image.open(file))


def ground_of(
    size: tuple[int, int], grounds: list[Image.Image], chance: random.Random
) -> Image.Image:
    """Return tissue of this size: a part of a slide, or drawn."""
    if not grounds or chance.random() < 0.4:
        return drawn(*size, chance.randrange(4))
    ground = chance.choice(grounds)
    grown = max(1.0, size[0] / ground.width, size[1] / ground.height)
    if grown > 1:
        sides = int(ground.width * grown) + 1, int(ground.height * grown) + 1
        ground = ground.resize(sides, Image.Resampling.BICUBIC)
    x = chance.randrange(ground.width - size[0] + 1)
    y = chance.randrange(ground.height - size[1] + 1)
    return ground.crop((x, y, x + size[0], y + size[1]))


def code_of(kind: str, module: float, chance: random.Random) -> Image.Image:
    """Return a code of this many pixels a module."""
    text = f"B{chance.randrange(10, 99)}-{chance.randrange(10_000, 99_999)}"
    if kind in COMMON and chance.random() < 0.2:
        text += " " + "X7Q" * chance.randrange(4, 20)
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    modules = Image.fromarray(np.asarray(code.to_image(scale=1))).convert("L")
    side = tuple(max(1, round(module * pixels)) for pixels in modules.size)
    grown = modules.resize(side, Image.Resampling.LANCZOS)
    angle = chance.choice(ANGLES)
    turned = grown.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    ink, paper = chance.choice(INKS)
    return turned.point(lambda grey: int(ink + (paper - ink) * grey / 255))


if __name__ == "__main__":
    main()
