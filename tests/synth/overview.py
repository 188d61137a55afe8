"""Pictures of the whole glass with a drawn label, and the truth about them."""

import random
from dataclasses import dataclass, field

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

from coverslip.model import LabelSide
from tests.synth.texture import tissue

CODES = ("DataMatrix", "QRCode", "Code128", "PDF417")
_GLASS = (236, 238, 236)
_PAPER = ((250, 249, 244), (228, 226, 220), (196, 214, 226))
_TURNS = {LabelSide.LEFT: 0, LabelSide.BOTTOM: 1, LabelSide.RIGHT: 2, LabelSide.TOP: 3}


@dataclass(frozen=True)
class SynthOverview:
    """A picture and the truth about it."""

    picture: np.ndarray
    label: np.ndarray
    """Where the label is."""
    tissue: np.ndarray
    """Where tissue is."""
    texts: list[str] = field(default_factory=list)


def draw_overview(
    seed: int,
    *,
    side: LabelSide = LabelSide.LEFT,
    code: str = "DataMatrix",
    letters_px: int = 20,
    share: float = 0.27,
    size: tuple[int, int] = (1200, 400),
    tilt: float = 0.0,
    noise: float = 2.0,
    on_tissue: str | None = None,
    code_on_tissue: bool = False,
) -> SynthOverview:
    """Return a picture whose label has text of a height and a bar code.

    Parameters
    ----------
    share
        What the label takes of the picture's length, its margin on the glass not counted.
    on_tissue
        A text that is written beside the tissue.
    """
    chance = random.Random(seed)
    width, length = size
    picture = Image.new("RGB", size, _GLASS)
    kind = np.zeros((length, width), np.uint8)
    left, top = width * 2 // 5, length // 8
    section = tissue(width // 2, length * 3 // 4, seed)
    stained = section.min(axis=2) < 225
    picture.paste(Image.fromarray(section), (left, top), Image.fromarray(stained))
    kind[top : top + section.shape[0], left : left + section.shape[1]][stained] = 2
    label, texts = _label(chance, round(share * width), length * 9 // 10, code, letters_px)
    turned = label.convert("RGBA").rotate(tilt, expand=True)
    picture.paste(turned, (width // 100, length // 20), turned)
    covered = np.asarray(turned)[..., 3] > 0
    rows, columns = min(covered.shape[0], length - length // 20), covered.shape[1]
    kind[length // 20 : length // 20 + rows, width // 100 : width // 100 + columns][
        covered[:rows]
    ] = 1
    draw = ImageDraw.Draw(picture)
    if on_tissue is not None:
        font = ImageFont.load_default(letters_px)
        draw.text((width * 0.62, length * 0.02), on_tissue, font=font, fill=(20, 20, 30))
    if code_on_tissue:
        picture.paste(_bar_code("8315-77", code, 2), (int(width * 0.7), int(length * 0.6)))
    pixels = np.asarray(picture) + np.random.default_rng(seed).normal(0, noise, (length, width, 3))
    pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    turns = _TURNS[side]
    pixels, kind = np.ascontiguousarray(np.rot90(pixels, turns)), np.rot90(kind, turns)
    return SynthOverview(picture=pixels, label=kind == 1, tissue=kind == 2, texts=texts)


def draw_glass(text: str, *, side: LabelSide, letters_px: int, cover: tuple[float, float]):
    """Return a glass whose label has nothing but a word, and where that label is.

    Parameters
    ----------
    side
        Where the label is, left or right.
    cover
        Where the cover glass begins and ends, counted from the label's end, as shares of the
        length; its edges are straight lines as those of labels are.
    """
    width, length = 1280, 432
    picture = Image.new("RGB", (width, length), (232, 234, 232))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((cover[0] * width, 0, cover[1] * width, length), fill=(243, 244, 243))
    section = tissue(360, 300, 3)
    stained = Image.fromarray(section.min(axis=2) < 225)
    picture.paste(Image.fromarray(section), (int(width * 0.45), 60), stained)
    label = round(0.27 * width)
    draw.rectangle((0, 0, label, length), fill=_PAPER[0])
    draw.text((30, 120), text, font=ImageFont.load_default(letters_px), fill=(25, 25, 35))
    pixels = np.asarray(picture) + np.random.default_rng(1).normal(0, 1.5, (length, width, 3))
    pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    is_label = np.zeros((length, width), bool)
    is_label[:, :label] = True
    if side is LabelSide.RIGHT:
        pixels, is_label = np.ascontiguousarray(pixels[:, ::-1]), is_label[:, ::-1]
        # The word is not to be read in a mirror.
        word = np.asarray(picture)[:, :label]
        pixels[:, width - label :] = word
    return pixels, is_label


def _label(
    chance: random.Random, width: int, length: int, code: str, letters_px: int
) -> tuple[Image.Image, list[str]]:
    """Return a label with lines of text, half the time turned by a quarter, and a bar code."""
    is_turned = chance.random() < 0.5
    size = (length, width) if is_turned else (width, length)
    picture = Image.new("RGB", size, chance.choice(_PAPER))
    draw = ImageDraw.Draw(picture)
    texts = []
    for y in range(8, size[1] // 2 - letters_px, letters_px * 3 // 2):
        text = "".join(chance.choices("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", k=9))
        draw.text((10, y), text, font=ImageFont.load_default(letters_px), fill=(25, 25, 35))
        texts.append(text)
    picture.paste(_bar_code(f"{chance.randint(10**6, 10**7)}-A", code, 2), (10, size[1] // 2 + 4))
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=(150, 150, 150))
    return (picture.rotate(90, expand=True) if is_turned else picture), texts


def _bar_code(text: str, code: str, scale: int) -> Image.Image:
    drawn = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, code))
    picture = Image.fromarray(np.asarray(drawn.to_image(scale=scale))).convert("RGB")
    if code == "Code128":
        picture = picture.resize((picture.width, 60), Image.Resampling.NEAREST)
    return picture


def with_bar_code(width, length):
    """Return tissue that somebody stuck a bar code on."""
    code = zxingcpp.create_barcode("S24-11872", zxingcpp.BarcodeFormat.DataMatrix)
    picture = Image.fromarray(tissue(width, length, 8))
    drawn = Image.fromarray(np.asarray(code.to_image(scale=16))).convert("RGB")
    picture.paste(drawn, (40, 60))
    return np.asarray(picture)
