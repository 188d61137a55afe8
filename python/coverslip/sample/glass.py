"""The pictures of a slide that give most away: its label, and the whole glass with it."""

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

from coverslip.sample.tissue import GLASS, Picture, coverage
from coverslip.sample.words import Identity

_LABEL_SIZE = (420, 440)
_MACRO_SIZE = (1280, 432)
_INK = (24, 24, 32)


def _bar_code(text: str, scale: int) -> Image.Image:
    """Return a Data Matrix of a text."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.DataMatrix)
    return Image.fromarray(np.asarray(code.to_image(scale=scale))).convert("RGB")


def label(identity: Identity) -> Picture:
    """Return the label: case, name, dates, stain, bar code; shape (440, 420, 3)."""
    picture = Image.new("RGB", _LABEL_SIZE, (247, 246, 240))
    draw = ImageDraw.Draw(picture)
    lines = (
        (identity.case, 44),
        (f"{identity.surname},", 28),
        (identity.forename, 28),
        (f"*{identity.birth_date}", 24),
        (f"H&E   {identity.date}", 24),
    )
    y = 16
    for text, size in lines:
        draw.text((18, y), text, font=ImageFont.load_default(size), fill=_INK)
        y += size + 10
    code = _bar_code(identity.barcode, 8)
    picture.paste(code, (18, min(y + 6, _LABEL_SIZE[1] - code.height - 4)))
    draw.rectangle((0, 0, _LABEL_SIZE[0] - 1, _LABEL_SIZE[1] - 1), outline=(150, 150, 150))
    return np.asarray(picture)


def macro(identity: Identity) -> Picture:
    """Return the whole glass with the label at its left end; shape (432, 1280, 3)."""
    width, length = _MACRO_SIZE
    glass_left = 400
    picture = np.empty((length, width, 3), np.float64)
    picture[:] = GLASS
    x, y = np.meshgrid(
        (np.arange(width) - glass_left) / (width - glass_left), np.arange(length) / length
    )
    stained = np.clip(coverage(x, y) * 60, 0, 1) * (x > 0)
    picture += (np.array((214, 142, 186)) - picture) * stained[..., None] * 0.85
    whole = Image.fromarray(picture.astype(np.uint8))
    whole.paste(Image.fromarray(label(identity)).resize((376, 394)), (8, 19))
    return np.asarray(whole)
