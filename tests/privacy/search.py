"""Looks for a text in bytes, in every form in which it might survive."""

import base64
import itertools
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


def found_in(data, identifiers):
    """Return those identifiers that are in the data in any form."""
    forms = {identifier: [*encodings_of(identifier)] for identifier in identifiers}
    likely = Forms(itertools.chain.from_iterable(forms.values())).that_may_be_in(data)
    return {
        identifier
        for identifier, own in forms.items()
        if any(form in likely and form in data for form in own)
    }


def survivors(identifiers, places):
    """Return the names of the places in which an identifier is found in any form."""
    forms = Forms(form for identifier in identifiers for form in encodings_of(identifier))
    return {
        place
        for place, data in places.items()
        if any(form in data for form in forms.that_may_be_in(data))
    }


class Forms:
    """Thousands of forms, of which a few only have to be looked for in compressed data."""

    def __init__(self, forms):
        known = {*forms}
        self._short = {form for form in known if len(form) < 2 * _TOGETHER}
        self._long = [*(known - self._short)]
        begins = np.frombuffer(b"".join(form[: 2 * _TOGETHER] for form in self._long), np.uint8)
        begins = begins.reshape(-1, 2 * _TOGETHER).astype(np.uint32)
        self._first, self._next = _numbers(begins[:, :_TOGETHER]), _numbers(begins[:, _TOGETHER:])

    def that_may_be_in(self, data):
        """Return all but those whose first bytes, or next, follow each other nowhere in data."""
        values = np.frombuffer(data, np.uint8).astype(np.uint32)
        is_there = np.zeros(1 << 8 * _TOGETHER, bool)
        is_there[values[:-2] | values[1:-1] << 8 | values[2:] << 16] = True
        likely = np.flatnonzero(is_there[self._first] & is_there[self._next])
        return self._short | {self._long[number] for number in likely}


_TOGETHER = 3
"""Bytes that are looked at as one number."""


def _numbers(bytes_):
    return bytes_[:, 0] | bytes_[:, 1] << 8 | bytes_[:, 2] << 16


def places_of(folder: Path, *texts: str) -> dict[str, bytes]:
    """Return all that a conversion left: contents of files, their names, and its messages."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    places = {f"file {number}": path.read_bytes() for number, path in enumerate(files)}
    places["file names"] = "\n".join(str(path.relative_to(folder)) for path in files).encode()
    return places | {f"message {number}": text.encode() for number, text in enumerate(texts)}
