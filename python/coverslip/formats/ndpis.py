"""Hamamatsu's index (`.ndpis`) of the NDPI files that are one slide: one for each channel."""

import re
from collections.abc import Iterator

from coverslip.errors import LimitError, SourceError
from coverslip.formats.xml_items import integer_in
from coverslip.limits import LIMITS
from coverslip.model import ItemKind, SourceItem, SourceText
from coverslip.tiff import TextFile, Tiff

KEYS = {"Image": ItemKind.NAME}
"""The key of a file, behind which its number stands."""
_HEADER = "[NanoZoomer Digital Pathology Image Set]"
_COUNT = "NoImages"
_IMAGE = re.compile(r"Image([0-9]{1,9})")
_PLACE = "NDPIS index"


def is_index(tiff: Tiff) -> bool:
    """Tell whether what was opened is an index: no other slide is a text."""
    return isinstance(tiff.files[0], TextFile)


def names_of(text: SourceText) -> list[str]:
    """Return the names of the files in their order.

    Raises
    ------
    SourceError
        If they are not numbered from 0 on, or not as many as the index says.
    LimitError
        If it is longer than an index of so many files may be.
    """
    names: dict[int, str] = {}
    count: int | None = None
    for line in _lines(text):
        key, value = _parted(line)
        image = _IMAGE.fullmatch(key)
        if key == _COUNT:
            count = integer_in(value)
        elif image is not None and names.setdefault(int(image[1]), value) != value:
            raise SourceError("the index of the set has two files of one number")
    if not names or sorted(names) != list(range(len(names))):
        raise SourceError("the files in the index of the set are not numbered from 0 on")
    if count != len(names):
        raise SourceError(f"the index of the set has {len(names)} files and says another number")
    return [name for _, name in sorted(names.items())]


def join(tiff: Tiff) -> tuple[SourceItem, ...]:
    """Open the files of an index behind it, and return the texts in it.

    Raises
    ------
    UnsupportedSlideError
        If some are not there.
    SourceError
        If one is no TIFF, or the index makes no sense.
    LimitError
        If there are too many.
    """
    index = tiff.files[0]
    if not isinstance(index, TextFile):
        return ()
    text = index.text()
    tiff.join([None, *names_of(text)])
    if any(isinstance(file, TextFile) for file in tiff.files[1:]):
        raise SourceError("a file of the set is no NDPI")
    return tuple(_items(text))


def _lines(text: SourceText) -> list[str]:
    revealed = text.reveal()
    if len(revealed) > LIMITS.description_characters:
        raise LimitError(
            f"the index of the set has {len(revealed)} characters, more than the limit "
            f"description_characters = {LIMITS.description_characters}"
        )
    return [line for line in re.split(r"[\r\n]+", revealed) if line.strip()]


def _parted(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key.strip(), value.strip()


def _items(text: SourceText) -> Iterator[SourceItem]:
    """Yield the name of each file, and every other line that is none of the index's own."""
    others = []
    for line in _lines(text):
        key, value = _parted(line)
        if _IMAGE.fullmatch(key):
            yield SourceItem(place=_PLACE, key="Image", kind=KEYS["Image"], text=SourceText(value))
        elif line.strip() != _HEADER and (key != _COUNT or integer_in(value) is None):
            others.append(line)
    if others:
        rest = SourceText("\n".join(others))
        yield SourceItem(place=_PLACE, key=None, kind=ItemKind.UNKNOWN, text=rest)
