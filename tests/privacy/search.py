"""Looks for a text in bytes, in every form in which it might survive."""

import base64
from pathlib import Path

import numpy as np

SHORTEST_FORM = 4
"""Characters of Base64 that stand for three bytes of the text; fewer are everywhere."""


def encodings_of(text):
    """Yield a text as it might survive: plain, wide, hexadecimal, Base64, digits of a UID."""
    for variant in {text, text.upper(), text.lower(), text.title()}:
        plain = variant.encode()
        yield plain
        yield variant.encode("utf-16-le")
        yield variant.encode("utf-16-be")
        yield variant.encode("utf-32-le")
        yield variant.encode("utf-32-be")
        yield plain.hex().encode()
        yield plain.hex().upper().encode()
        for phase in range(3):
            # Whatever stands before it, the middle of its Base64 form is one of three.
            encoded = base64.b64encode(b"\0" * phase + plain)
            first = -(-phase * 8 // 6)
            last = (phase + len(plain)) * 8 // 6
            if last - first >= SHORTEST_FORM:
                yield encoded[first:last]


def survivors(identifiers, places):
    """Return the names of the places in which an identifier is found in any form."""
    forms = sorted({form for identifier in identifiers for form in encodings_of(identifier)})
    return {
        place
        for place, data in places.items()
        if any(form in data for form in _that_may_be_in(data, forms))
    }


def _that_may_be_in(data, forms):
    """Return all forms but those whose first bytes follow each other nowhere in the data.

    So of thousands of forms some are looked for in compressed data and not all.
    """
    values = np.frombuffer(data, np.uint8).astype(np.uint32)
    is_there = np.zeros(1 << 24, bool)
    is_there[values[:-2] | values[1:-1] << 8 | values[2:] << 16] = True
    return [form for form in forms if len(form) < 3 or is_there[int.from_bytes(form[:3], "little")]]


def places_of(folder: Path, *texts: str) -> dict[str, bytes]:
    """Return all that a conversion left: contents of files, their names, and its messages."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    places = {f"file {number}": path.read_bytes() for number, path in enumerate(files)}
    places["file names"] = "\n".join(str(path.relative_to(folder)) for path in files).encode()
    return places | {f"message {number}": text.encode() for number, text in enumerate(texts)}
