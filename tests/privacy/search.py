"""Looks for a text in bytes, in every form in which it might survive."""

import base64
from pathlib import Path

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
    return {
        place
        for identifier in identifiers
        for encoded in encodings_of(identifier)
        for place, data in places.items()
        if encoded in data
    }


def places_of(folder: Path, *texts: str) -> dict[str, bytes]:
    """Return all that a conversion left: contents of files, their names, and its messages."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    places = {f"file {number}": path.read_bytes() for number, path in enumerate(files)}
    places["file names"] = "\n".join(str(path.relative_to(folder)) for path in files).encode()
    return places | {f"message {number}": text.encode() for number, text in enumerate(texts)}
