"""Names of dyes and of channels: what a slide calls a channel is free text, and these are ours."""

import re

from coverslip.model import SourceText

_DYES = (
    *("DAPI", "Hoechst", "Hoechst 33258", "Hoechst 33342", "FITC", "Fluorescein", "TRITC"),
    *("Rhodamine", "Texas Red", "GFP", "EGFP", "CFP", "YFP", "RFP", "mCherry", "tdTomato"),
    *("Propidium Iodide", "SYTOX Green", "SYTO 13", "Autofluorescence"),
    *(f"Cy{number}" for number in ("2", "3", "3.5", "5", "5.5", "7", "7.5")),
    *(f"Opal {number}" for number in (480, 520, 540, 570, 620, 650, 690, 780)),
    *(f"Opal Polaris {number}" for number in (480, 780)),
    *(f"ATTO {number}" for number in (425, 488, 532, 550, 565, 590, 594, 633, 647)),
    *(f"DyLight {number}" for number in (405, 488, 550, 594, 633, 650, 680, 755, 800)),
    *(f"Spectrum {colour}" for colour in ("Aqua", "Blue", "Gold", "Green", "Orange", "Red")),
)
_ALEXA = (350, 405, 430, 488, 532, 546, 555, 568, 594, 610, 633, 647, 660, 680, 700, 750, 790)


def _bare(text: str) -> str:
    """Return letters and digits alone, which is all that spellings agree on."""
    return re.sub(r"[^0-9a-z]", "", text.casefold())


_KNOWN = {
    **{_bare(name): name for name in _DYES},
    **{
        f"{short}{number}": f"Alexa Fluor {number}"
        for number in _ALEXA
        for short in ("alexafluor", "alexa", "af")
    },
}


def dye_of(name: SourceText | None) -> str | None:
    """Return the name of the dye that a channel's whole name is, as it is spelt here."""
    return None if name is None else _KNOWN.get(_bare(name.reveal()[:64]))


def channel_name(number: int, name: SourceText | None) -> str:
    """Return what a channel may be called; ``number`` counts from 1."""
    return dye_of(name) or f"Channel {number}"
