"""Compares pixels: those of the slide as tifffile reads them, and those of frames.

This is for frames that hold no bytes of a tile, since the tiles were decoded when they were
written. Nothing of what decoded them then is used. Codecs may crash on hostile data, so all of it
runs in a process of its own.
"""

import copy
import multiprocessing
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from coverslip.errors import VerificationError
from coverslip.guard import confine
from coverslip.limits import LIMITS
from coverslip.model import SourceFile
from coverslip.verification.directories import Held, Opened, UnreadableError
from coverslip.verification.frames import Joined

if TYPE_CHECKING:
    import tifffile

_KEPT_BYTES = 128 << 20
"""Decoded pieces that are kept for the frames beside; all strips of a row of frames must fit into
`LIMITS.decoded_bytes`."""
_MOST_TOLD = 8
_WHITE_IS_ZERO, _PALETTE, _YCBCR = 0, 3, 6
_SUBSAMPLING = 530
_UNCOMPRESSED, _JPEG = 1, (6, 7, 34892, 33007)
_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")
"""How codestreams and JP2 files begin."""
_NEXT_TO_EQUAL = 1
"""By how much two conversions of YCbCr to RGB may differ, since each rounds in its own way."""
_Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One focal plane of a level, and the frames that show it."""

    image_width: int
    image_length: int
    columns: int
    """Of a frame."""
    rows: int
    first_offsets: tuple[int, ...]
    """Where the first piece with data of each of its directories lies in the slide, by which they
    are found; its colours may have one each."""
    offsets: npt.NDArray[np.uint64]
    """Where its frames lie in the instance."""
    byte_counts: npt.NDArray[np.uint64]
    """0 for one that is not there, since the slide should have no pixel of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of it."""

    equal: int
    missing: int
    """Frames of which the slide has no pixel."""
    different: tuple[int, ...]
    """Numbers of some that differ."""


class Comparer:
    """A process that compares, begun when there is something to compare."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def compare(
        self, files: Sequence[SourceFile], instances: Sequence[Path], planes: list[Plane]
    ) -> Comparison:
        """Decode what the files of a slide have and what instances have, and compare each frame.

        Frames lie in the instances as if these were one file.

        Raises
        ------
        VerificationError
            If one of them cannot be decoded: nothing is known then.
        """
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, _begin, (LIMITS.decoder_memory_bytes,))
        asked = self._pool.submit(_compare, files, instances, planes, LIMITS.decoded_bytes)
        try:
            return asked.result()
        except (UnreadableError, BrokenProcessPool) as error:
            if isinstance(error, BrokenProcessPool):
                self.close()
            raise VerificationError("the pixels of the slide cannot be decoded") from None

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _begin(memory_bytes: int) -> None:
    confine(memory_bytes=memory_bytes, file_bytes=0)


def _compare(
    files: Sequence[SourceFile], instances: Sequence[Path], planes: list[Plane], most: int
) -> Comparison:
    import logging

    logging.disable(logging.CRITICAL)  # its warnings may quote the slide
    different: list[int] = []
    equal = missing = begun = 0
    try:
        with Opened(files) as slide, Joined(instances) as frames:
            for plane in planes:
                size = plane.image_width, plane.image_length
                pieces = _Pieces([slide.page_of(size, at) for at in plane.first_offsets], most)
                for number, (x, y) in enumerate(_corners(plane)):
                    theirs = pieces.area(x, y, plane)
                    if theirs is None:
                        missing += 1
                        continue
                    if plane.byte_counts[number] == 0:
                        different.append(begun + number)
                        continue
                    place = int(plane.offsets[number]), int(plane.byte_counts[number])
                    ours = _frame(frames.read(*place))
                    ours = ours[: len(theirs), : theirs.shape[1]]
                    if _are_alike(ours, theirs, may_be_ycbcr=pieces.may_be_ycbcr):
                        equal += 1
                    elif len(different) < _MOST_TOLD:
                        different.append(begun + number)
                begun += len(plane.offsets)
    except Exception:  # noqa: BLE001 (codecs raise many kinds)
        raise UnreadableError from None
    return Comparison(equal=equal, missing=missing, different=tuple(different))


def _are_alike(ours: _Pixels, theirs: _Pixels, *, may_be_ycbcr: bool) -> bool:
    """Tell whether pixels are equal, or as equal as conversions of YCbCr to RGB can be.

    Whether JPEG 2000 without its transformation holds YCbCr many tags say, and some lie: pixels
    that are right by one of both readings are no others than the slide's.
    """
    if np.array_equal(ours, theirs) or not may_be_ycbcr or ours.shape != theirs.shape:
        return np.array_equal(ours, theirs)
    return bool((np.abs(ours.astype(np.int32) - _rgb(theirs)) <= _NEXT_TO_EQUAL).all())


def _frame(data: bytes) -> _Pixels:
    import imagecodecs

    decoded: _Pixels = imagecodecs.jpeg2k_decode(data)
    return decoded


def _corners(plane: Plane) -> Iterator[tuple[int, int]]:
    for y in range(0, plane.image_length, plane.rows):
        for x in range(0, plane.image_width, plane.columns):
            yield x, y


class _Pieces:
    """The tiles or strips of a directory, or one for each colour, decoded when they are wanted."""

    def __init__(self, planes: list[Held], most: int) -> None:
        page = planes[0].page
        self._page, self._most = page, most
        is_tiled = bool(page.is_tiled)
        self._width = page.tilewidth if is_tiled else page.imagewidth
        self._length = page.tilelength if is_tiled else page.rowsperstrip
        self._across = -(-page.imagewidth // self._width)
        self._count = self._across * -(-page.imagelength // self._length)
        apart = page.samplesperpixel if page.planarconfig == 2 else 1
        self._sources = [
            (_Source(one.page), one.first + colour * self._count)
            for one in planes
            for colour in range(apart)
        ]
        self._kept: OrderedDict[int, _Pixels | None] = OrderedDict()
        samples = page.samplesperpixel * len(planes)
        if self._width * self._length * samples * (page.bitspersample // 8) > most:
            raise UnreadableError

    def area(self, x: int, y: int, plane: Plane) -> _Pixels | None:
        """Return what a frame at a place must show, ``None`` if the slide has nothing there."""
        rows = min(plane.rows, plane.image_length - y)
        columns = min(plane.columns, plane.image_width - x)
        whole: _Pixels | None = None
        for row in range(y // self._length, -(-(y + rows) // self._length)):
            for column in range(x // self._width, -(-(x + columns) // self._width)):
                piece = self._piece(row * self._across + column)
                if piece is None:
                    continue
                if whole is None:
                    whole = np.zeros((rows, columns, *piece.shape[2:]), piece.dtype)
                top, left = row * self._length - y, column * self._width - x
                from_row, from_column = max(0, -top), max(0, -left)
                seen = piece[from_row : rows - top, from_column : columns - left]
                into = whole[top + from_row :, left + from_column :]
                into[: seen.shape[0], : seen.shape[1]] = seen
        return whole

    def _piece(self, number: int) -> _Pixels | None:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        decoded = [source.decoded(number + first) for source, first in self._sources]
        parts = [part for part in decoded if part is not None]
        piece: _Pixels | None = None
        if len(parts) == len(decoded):
            piece = np.concatenate(parts, axis=-1)
            piece = piece[..., 0] if piece.shape[-1] == 1 else piece
        self._kept[number] = piece
        limit = _KEPT_BYTES if self._page.is_tiled else self._most
        while len(self._kept) > 1 and self._bytes() > limit:
            self._kept.popitem(last=False)
        return piece

    @property
    def may_be_ycbcr(self) -> bool:
        """Whether nothing says of what was decoded so far what its colours are."""
        return any(source.may_be_ycbcr for source, _ in self._sources)

    def _bytes(self) -> int:
        return sum(0 if piece is None else piece.nbytes for piece in self._kept.values())


class _Source:
    """A directory, of which tifffile decodes tiles or strips."""

    def __init__(self, page: "tifffile.TiffPage") -> None:
        self._shared = (1, 1)
        if page.compression not in _JPEG:
            if page.photometric == _YCBCR:
                self._shared = page.tags.valueof(_SUBSAMPLING, (2, 2))
            page.subsampling = (1, 1)  # tifffile reads no groups of pixels, see below
        self._page = page
        self._unpacked = copy.copy(page)
        for known in ("hash", "decode"):
            self._unpacked.__dict__.pop(known, None)
        self._unpacked.compression = _UNCOMPRESSED
        self.may_be_ycbcr = page.photometric == _YCBCR and page.compression not in _JPEG

    def decoded(self, index: int) -> _Pixels | None:
        page = self._page
        byte_count = page.databytecounts[index] if index < len(page.databytecounts) else 0
        if not byte_count:
            return None
        page.parent.filehandle.seek(page.dataoffsets[index])
        data = page.parent.filehandle.read(byte_count)
        if self._shared != (1, 1):
            return self._of_groups(data, index)
        pixels = self._jpeg2000(data) if data.startswith(_JPEG_2000) else self._by_page(data, index)
        if pixels is not None and page.photometric == _PALETTE:
            return self._looked_up(pixels)
        if pixels is not None and page.photometric == _WHITE_IS_ZERO:
            pixels = (1 << page.bitspersample) - 1 - pixels
        return pixels

    def _by_page(self, data: bytes, index: int) -> _Pixels | None:
        from tifffile import TIFF

        page = self._page
        is_last = not page.is_tiled and (index + 1) * page.rowsperstrip > page.imagelength
        if is_last and page.compression not in (_UNCOMPRESSED, *TIFF.IMAGE_COMPRESSIONS):
            # Some writers fill up the last strip, which not every codec likes.
            data, page = TIFF.DECOMPRESSORS[page.compression](data), self._unpacked
        decoded, _, shape = page.decode(data, index, jpegtables=page.jpegtables)
        return None if decoded is None else decoded[0, : shape[1], : shape[2]]

    def _looked_up(self, pixels: _Pixels) -> _Pixels:
        """Return the colours whose numbers the samples are."""
        colours = np.moveaxis(np.asarray(self._page.colormap), 0, -1)
        is_deep = colours.max() > np.iinfo(np.uint8).max
        looked_up: _Pixels = (colours >> (8 if is_deep else 0)).astype(np.uint8)[pixels[..., 0]]
        return looked_up

    def _of_groups(self, data: bytes, index: int) -> _Pixels:
        """Return YCbCr of pixels some of which share their chroma (TIFF 6.0, section 21)."""
        from tifffile import TIFF

        page, (wide, high) = self._page, self._shared
        columns, rows = page.imagewidth, page.rowsperstrip
        if page.is_tiled:
            columns, rows = page.tilewidth, page.tilelength
        else:
            rows = min(rows, page.imagelength - index * rows)
        if page.compression != _UNCOMPRESSED:
            data = TIFF.DECOMPRESSORS[page.compression](data)
        across = -(-columns // wide)
        group = wide * high + 2
        pixels = np.empty((rows, columns, 3), np.uint8)
        for y in range(rows):
            first = y // high * across * group
            groups = np.frombuffer(data, np.uint8, across * group, first).reshape(across, group)
            row = y % high * wide
            pixels[y, :, 0] = groups[:, row : row + wide].ravel()[:columns]
            pixels[y, :, 1:] = np.repeat(groups[:, -2:], wide, axis=0)[:columns]
        return pixels

    def _jpeg2000(self, data: bytes) -> _Pixels:
        """Decode what tifffile does not where a writer's tag 530 makes no sense."""
        import imagecodecs

        codestream = data[data.index(b"\xff\x4f\xff\x51") :]
        pixels: _Pixels = imagecodecs.jpeg2k_decode(codestream)
        pixels = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
        self.may_be_ycbcr = self.may_be_ycbcr or _is_untransformed(codestream)
        return pixels


def _is_untransformed(codestream: bytes) -> bool:
    """Tell whether nothing says of three components of full size whether they are RGB or YCbCr.

    These are the byte of COD that switches the transformation on, Csiz, and XRsiz of the second
    component (T.800 A.6.1, A.5.1).
    """
    siz, cod = codestream.index(b"\xff\x51"), codestream.index(b"\xff\x52")
    is_colour = codestream[siz + 38 : siz + 40] == b"\x00\x03"
    return is_colour and codestream[cod + 8] == 0 and codestream[siz + 40 + 3 + 1] == 1


def _rgb(pixels: _Pixels) -> _Pixels:
    """Return red, green and blue of luminance and chroma (JFIF 1.02)."""
    luminance, blue, red = (pixels[..., n].astype(np.float64) for n in range(3))
    rgb = [
        luminance + 1.402 * (red - 128),
        luminance - (0.114 * 1.772 * (blue - 128) + 0.299 * 1.402 * (red - 128)) / 0.587,
        luminance + 1.772 * (blue - 128),
    ]
    clipped: _Pixels = np.clip(np.rint(np.stack(rgb, axis=-1)), 0, 255).astype(np.uint8)
    return clipped
