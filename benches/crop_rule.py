"""Counts the bar codes that crops of small pictures show, with the rule of 150 pixels and without.

    python -m benches.crop_rule --rounds 5

A crop whose shorter side has fewer pixels is not searched (`coverslip.deid.pixels.barcodes`). Codes
of the four kinds that crops are searched for are drawn onto tissue, at several sizes, places and
angles, and the picture is compressed as a slide is. One that the whole picture shows needs no crop;
one that only a crop below the rule shows is lost, unless the next larger level of the slide shows
it, which is searched as well where it has at most 4 megapixels.
"""

import argparse
import io
import random
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
from PIL import Image
from tests.synth.texture import tissue

from coverslip.deid.pixels import barcodes

KINDS = ("QRCode", "DataMatrix", "Aztec", "PDF417")
SIZES = ((160, 120), (250, 190), (330, 250), (450, 340), (590, 440), (760, 570), (1000, 750))
MODULES = (1.0, 1.25, 1.5, 2.0, 3.0)
"""Pixels of the smallest square of a code."""
RULES = (barcodes.LEAST, barcodes.LEAST_OF_ANY)
TITLES = (
    *("picture", "codes", "whole shows", "crops too, with the rule", "without the rule", "lost"),
    *("lost, but in the level above", "CPU ms with the rule", "CPU ms without"),
)
ANGLES = (0, 0, 90, 7, 15)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="places and angles of each code")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 (must be the same each time)
    print(f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|")
    lost = Counter()
    for size in SIZES:
        seen, spent = Counter(), Counter()
        for kind, module, picture, larger in pictures(size, options.rounds, chance):
            seen["codes"] += 1
            seen["whole"] += bool(barcodes._read(picture, try_rotate=True))
            found = {}
            for rule in RULES:
                start = time.process_time()
                found[rule] = found_with(rule, picture)
                spent[rule] += time.process_time() - start
            seen["with"] += found[barcodes.LEAST]
            seen["without"] += found[barcodes.LEAST_OF_ANY]
            if found[barcodes.LEAST_OF_ANY] and not found[barcodes.LEAST]:
                seen["lost"] += 1
                above = found_with(barcodes.LEAST, larger)
                seen["made up"] += above
                lost[kind, module, above] += 1
        columns = (seen[name] for name in ("codes", "whole", "with", "without", "lost", "made up"))
        times = (f"{1000 * spent[rule] / max(seen['codes'], 1):.0f}" for rule in RULES)
        print(f"| {size[0]} x {size[1]} | {' | '.join(map(str, (*columns, *times)))} |", flush=True)
    for (kind, module, above), count in sorted(lost.items()):
        where = "the level above shows them" if above else "nothing else shows them"
        print(f"- {count} lost: {kind}, {module} pixels a module; {where}")


def found_with(least: int, picture: np.ndarray) -> bool:
    """Return whether a picture shows a bar code if crops may be as small as this."""
    return bool(barcodes.bar_codes(picture, least=least))


def pictures(
    size: tuple[int, int], rounds: int, chance: random.Random
) -> Iterator[tuple[str, float, np.ndarray, np.ndarray]]:
    """Yield kind and size of a code, a small level that shows it, and the level twice as large."""
    ground = tissue(2 * size[0], 2 * size[1], chance.randrange(1000))
    for kind in KINDS:
        for module in MODULES:
            for _ in range(rounds):
                drawn = drawn_code(kind, 2 * module, chance.choice(ANGLES), chance)
                room = (ground.shape[1] - drawn.width, ground.shape[0] - drawn.height)
                if min(room) < 1:
                    continue
                place = chance.randrange(room[0]), chance.randrange(room[1])
                whole = Image.fromarray(ground).convert("L")
                whole.paste(drawn, place)
                small = whole.resize(size, Image.Resampling.BOX)
                yield kind, module, compressed(small), compressed(whole)


def drawn_code(kind: str, module: float, angle: int, chance: random.Random) -> Image.Image:
    """Return a code of this many pixels a module, with a white edge."""
    import zxingcpp

    text = f"B{chance.randrange(10, 99)}-{chance.randrange(10_000, 99_999)}"
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    modules = Image.fromarray(np.asarray(code.to_image(scale=1))).convert("L")
    side = tuple(round(module * pixels) for pixels in modules.size)
    grown = modules.resize(side, Image.Resampling.LANCZOS)
    return grown.rotate(angle, expand=True, fillcolor=255)


def compressed(picture: Image.Image) -> np.ndarray:
    """Return what is left of a picture after JPEG, as slides have it."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))


if __name__ == "__main__":
    main()
