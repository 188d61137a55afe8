"""Looks at pixels of an output: at its label and overview, and at its lowest levels."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coverslip import _core
from coverslip.errors import CoverslipError, VerificationError
from coverslip.limits import LIMITS
from coverslip.verification import writing
from coverslip.verification.barcodes import texts_of_codes
from coverslip.verification.frames import frame_ranges
from coverslip.verification.header import Header
from coverslip.verification.terms import Terms
from coverslip.verification.wholes import Whole

_CODE = "a bar code that is not the container identifier's"
_WORD = "text that is like a term"
_SEARCHED_PIXELS = 4 << 20
"""A larger picture is reduced: what is legible in it still is."""

Picture = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Pixels:
    """Finds the lowest level of each series and optical path, and looks at it."""

    unchecked: list[str] = field(default_factory=list)
    attested: set[str] = field(default_factory=set)
    """SOP Instance UIDs of instances for whose pixels somebody vouches."""
    _lowest: dict[tuple[str, ...], Whole] = field(default_factory=dict, repr=False)
    _pictures: list[tuple[Path, Header]] = field(default_factory=list, repr=False)
    _left: int = 0
    _vouched: int = 0

    def add(self, level: Whole) -> None:
        """Take note of a level, which may be the lowest."""
        instance = level.header
        key = (*instance.uids[:2], instance.optical_path)
        known = self._lowest.get(key)
        if known is None or _size(instance) < _size(known.header):
            self._lowest[key] = level

    def add_picture(self, path: Path, instance: Header) -> None:
        """Take note of a label or overview; its bar codes are looked for by `problems_of`."""
        self._pictures.append((path, instance))

    def problems(self, terms: Terms) -> Iterator[tuple[Path, str]]:
        """Yield what the lowest levels show, and the text of pictures."""
        spellings = {term.spelling for term in terms.terms}
        for level in self._lowest.values():
            path, instance = level.path, level.header
            try:
                picture = _mosaic(level)
            except (CoverslipError, ValueError):
                self._left += 1
                continue
            codes = [
                text for text in texts_of_codes(picture) if text != instance.container_identifier
            ]
            words = list(_words(picture, spellings))
            if instance.uids[2] in self.attested:
                self._vouched += bool(codes or words)
                continue
            if instance.is_in_doubt:
                # It may say itself that there are bar codes; of a term never.
                codes = [text for text in codes if _has_a_term(text, spellings)]
            yield from ((path, what) for what in (*(_CODE for _ in codes), *words))
        for path, instance in self._pictures:
            try:
                picture = _frame(path, instance, 0)
            except (CoverslipError, ValueError):
                continue  # told where its bar codes are looked for
            yield from ((path, what) for what in _words(picture, spellings))

    @property
    def out_of_scope(self) -> tuple[str, ...]:
        """What was not looked at, in words."""
        left = ["bar codes and text in levels above the lowest"]
        if not writing.is_installed():
            left.append("text in pictures: the extra ocr is not installed")
        if self._left:
            left.append(f"bar codes in {self._left} lowest levels that are large or not decoded")
        if self._vouched:
            left.append(f"what {self._vouched} lowest levels show: somebody vouches for it")
        return tuple(left)


def problems_of(path: Path, instance: Header) -> Iterator[str]:
    """Yield what is wrong with the only frame of a label or overview.

    The only bar code that may be there is that of the pseudonym.

    Raises
    ------
    ValueError
        If the picture cannot be decoded; it is then unchecked.
    VerificationError
        If there is not one frame.
    """
    _require_one(instance)
    try:
        picture = _frame(path, instance, 0)
    except VerificationError:
        raise
    except CoverslipError:
        raise ValueError("the picture cannot be decoded") from None
    yield from _bar_codes(picture, instance.container_identifier)


def _require_one(instance: Header) -> None:
    if instance.frame_count != 1:
        raise VerificationError(f"it has {instance.frame_count} frames where there is one")


def _size(instance: Header) -> int:
    return instance.level_size[0] * instance.level_size[1]


def _bar_codes(picture: Picture, container_identifier: str) -> Iterator[str]:
    yield from (_CODE for text in texts_of_codes(picture) if text != container_identifier)


def _has_a_term(text: str, terms: set[str]) -> bool:
    """Tell whether a bar code says a term, alone or with other words."""
    return any(writing.is_like_a_term(word, terms) for word in (text, *text.split()))


def _words(picture: Picture, terms: set[str]) -> Iterator[str]:
    if writing.is_installed() and any(
        writing.is_like_a_term(word, terms) for word in writing.words_in(picture)
    ):
        yield _WORD


def _mosaic(level: Whole) -> Picture:
    """Return a level in grey, of its first focal plane, at a size to be searched.

    Raises
    ------
    ValueError, CoverslipError
        If it is too large, or cannot be decoded.
    """
    instance = level.header
    width, length, columns, rows = instance.level_size
    if not level.is_readable:
        raise ValueError("the level has too many parts to be looked at")
    if min(instance.level_size) < 1 or width * length > LIMITS.searched_pixels:
        raise ValueError("the level is too large to be looked at")
    across, down = -(-width // columns), -(-length // rows)
    sparse = level.numbers
    if sparse is None and level.frame_count % (across * down):
        raise ValueError("its frames are not those of its tiles")
    numbers = range(across * down) if sparse is None else sparse.tolist()
    if len(numbers) > level.frame_count:
        raise ValueError("its frames are not those of its tiles")
    # Reduced frame by frame: all of it may not fit into memory.
    factor = max(1, int(np.ceil(np.sqrt(width * length / _SEARCHED_PIXELS))))
    # What frames hold beyond the edges of the level is theirs, too.
    width, length = across * columns, down * rows
    whole = np.full((-(-length // factor), -(-width // factor)), 255, np.uint8)
    source, ranges = level.source(), level.ranges()
    for frame, number in enumerate(numbers):
        if number >= across * down:
            break  # in another focal plane
        row, column = divmod(number, across)
        part = _decoded(source, frame, *ranges, instance)
        below, left = _seen(row * rows, length, factor), _seen(column * columns, width, factor)
        part = part[below, left]
        grey = part if part.ndim == 2 else part.mean(axis=2).astype(np.uint8)
        top, side = -(-row * rows // factor), -(-column * columns // factor)
        whole[top : top + grey.shape[0], side : side + grey.shape[1]] = grey
    return whole


def _seen(begin: int, end: int, factor: int) -> slice:
    """Return which pixels of a frame are kept in a direction, if it begins at a place of a level.

    They are those whose place is a multiple of the factor, as far as the level goes.
    """
    return slice(-begin % factor, end - begin, factor)


def _frame(path: Path, instance: Header, number: int) -> Picture:
    ranges = frame_ranges(path, instance.pixel_data_offset, instance.frame_count)
    return _decoded(_core.Source(path), number, *ranges, instance)


def _decoded(
    source: _core.Source,
    number: int,
    offsets: npt.NDArray[np.uint64],
    byte_counts: npt.NDArray[np.uint64],
    instance: Header,
) -> Picture:
    """Return a frame whose header agrees with its size: codecs are run on anybody's data here."""
    import imagecodecs

    offset, byte_count = int(offsets[number]), int(byte_counts[number])
    if byte_count > LIMITS.checked_picture_bytes:
        raise ValueError("the picture is too large to be looked at")
    *_, columns, rows = instance.level_size
    if instance.is_deflated:
        return _inflated(source.read(offset, byte_count), instance)
    _core.inspect_tile(source, number, offset, byte_count, columns, rows)
    frame = source.read(offset, byte_count)
    is_jpeg = frame.startswith(b"\xff\xd8")
    try:
        decode = imagecodecs.jpeg8_decode if is_jpeg else imagecodecs.jpeg2k_decode
        picture = np.asarray(decode(frame))
    except Exception:  # noqa: BLE001 (codecs raise many kinds)
        raise ValueError("the picture cannot be decoded") from None
    if picture.dtype != np.uint8 or picture.shape[:2] != (rows, columns) or picture.ndim > 3:
        raise ValueError("the picture does not have samples of 8 bits")
    return picture


def _inflated(frame: bytes, instance: Header) -> Picture:
    """Return the samples of a frame that is a Deflate stream."""
    *_, columns, rows = instance.level_size
    samples, rest = divmod(instance.sample_bytes, max(columns * rows, 1))
    if rest or samples not in (1, 3) or instance.sample_bytes > LIMITS.decoded_bytes:
        raise ValueError("the picture does not have samples of 8 bits")
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = inflater.decompress(frame, instance.sample_bytes)
        return np.frombuffer(inflated, np.uint8).reshape(rows, columns, samples)
    except (zlib.error, ValueError):
        raise ValueError("the picture cannot be decoded") from None
