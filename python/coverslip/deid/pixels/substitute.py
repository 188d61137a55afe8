"""Draws a label that stands in the place of the slide's own, of nothing but an identifier."""

import numpy as np

from coverslip.deid.pixels.shapes import Rgb

_SIDE = 440
_MARGIN = 20
_TEXT_HEIGHT, _CODE_SIDE = 44, 320


def draw_label(identifier: str) -> Rgb:
    """Return a white label with an identifier in print and as a QR code; shape (440, 440, 3).

    Parameters
    ----------
    identifier
        What stands for the slide: the Container Identifier that is written.
    """
    import zxingcpp
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (_SIDE, _SIDE), "white")
    draw = ImageDraw.Draw(picture)
    size = _TEXT_HEIGHT
    while size > 1 and draw.textlength(identifier, ImageFont.load_default(size)) > _SIDE - 40:
        size -= 1
    font = ImageFont.load_default(size)
    draw.text((_SIDE // 2, _MARGIN), identifier, font=font, fill="black", anchor="mt")
    code = zxingcpp.create_barcode(identifier, zxingcpp.BarcodeFormat.QRCode)
    modules = Image.fromarray(np.asarray(code.to_image(scale=1)))
    scale = _CODE_SIDE // max(modules.size)
    drawn = modules.resize(
        (modules.width * scale, modules.height * scale), Image.Resampling.NEAREST
    )
    bottom = _SIDE - _MARGIN - drawn.height
    picture.paste(drawn.convert("RGB"), ((_SIDE - drawn.width) // 2, bottom))
    return np.asarray(picture)
