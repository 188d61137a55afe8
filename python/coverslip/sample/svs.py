"""Lays out the sample's tiles and writes its file."""

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from coverslip.sample import glass
from coverslip.sample.tissue import GLASS, SIDE, Picture, coverage, reduced, texture
from coverslip.sample.tissue import glass as empty_glass
from coverslip.sample.words import Identity, invent

Compression = Literal["jpeg", "jpeg2000"]
Encode = Callable[[Picture], bytes]
_Shares = npt.NDArray[np.floating[Any]]
_Keyed = tuple[tuple[int, ...] | None, Picture]

TILE = 256
_DEFAULT_BYTES = 8_000_000
_FACTOR = 4
_SMALLEST_LEVEL = 1200
_ASPECT = 4 / 3
_MPP_UM = 0.2525
_QUALITY = 80
_QUALITY_DB = 44
_STRIP = 16
_PICTURES_BYTES = 600_000
"""About what label, macro and thumbnail take."""
_EDGE = 0.004
"""Width of the soft edge of the tissue, as a fraction of the slide."""
_CLASSIC_LIMIT = 3_900_000_000
"""Files near 4 GB need the 64-bit offsets of BigTIFF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReport:
    """What was written, and every identifier that was planted in it."""

    path: Path
    byte_count: int
    width: int
    length: int
    level_count: int
    identifiers: tuple[str, ...]


def write_sample(
    path: Path,
    *,
    byte_count: int | None = None,
    compression: Compression = "jpeg",
    seed: int | None = 0,
) -> SampleReport:
    """Write a slide in the manner of an Aperio scanner and return what is in it.

    Parameters
    ----------
    path
        Where to write; must not exist.
    byte_count
        About how large the file is to be, 8 MB if not given.
    compression
        RGB JPEG with shared tables, or JPEG 2000 under compression 33005.
    seed
        The same seed gives the same slide; ``None`` invents other identifiers each time.

    Raises
    ------
    FileExistsError
        If there is such a file already.
    """
    identity = invent(seed)
    codec = _Codec(compression, identity)
    bank = texture(0 if seed is None else seed)
    wanted = _DEFAULT_BYTES if byte_count is None else byte_count
    width, length = _size_for(wanted, bank, codec)
    factors = _factors(width, length)
    with path.open("xb") as file:
        with tifffile.TiffWriter(file, bigtiff=wanted > _CLASSIC_LIMIT) as tiff:
            writer = _SlideWriter(tiff, codec, identity, (width, length))
            for factor in factors:
                writer.level(_Layout(width // factor, length // factor, factor, bank))
                if factor == 1:
                    writer.thumbnail(_Layout(width, length, 1, bank))
            writer.label(glass.label(identity))
            writer.macro(glass.macro(identity))
        written = file.tell()
    return SampleReport(
        path=path,
        byte_count=written,
        width=width,
        length=length,
        level_count=len(factors),
        identifiers=identity.all(),
    )


def _factors(width: int, length: int) -> list[int]:
    factors = [1]
    while max(width, length) // factors[-1] > _SMALLEST_LEVEL and factors[-1] < 64:
        factors.append(factors[-1] * _FACTOR)
    return factors


def _size_for(byte_count: int, bank: Picture, codec: "_Codec") -> tuple[int, int]:
    """Return width and length of a slide that takes about so many bytes."""
    corners = itertools.product(range(0, SIDE, 2 * TILE), repeat=2)
    tissue = np.mean([len(codec.encode(bank[y : y + TILE, x : x + TILE])) for y, x in corners])
    empty = len(codec.encode(empty_glass(0, TILE)))
    x, y = np.meshgrid(np.linspace(0, 1, 200), np.linspace(0, 1, 200))
    share = float((coverage(x, y) > 0).mean())
    per_tile = share * float(tissue) + (1 - share) * empty + 8
    tiles = max(byte_count - _PICTURES_BYTES, 200_000) * 15 / 16 / per_tile
    width = int(math.sqrt(tiles * TILE * TILE * _ASPECT))
    return width, int(width / _ASPECT)


class _Codec:
    """Encodes tiles as an Aperio scanner does."""

    def __init__(self, compression: Compression, identity: Identity) -> None:
        self.is_jpeg = compression == "jpeg"
        self.tables = _split(_jpeg(empty_glass(0, TILE)))[0]
        self.encode: Encode = self._jpeg_tile if self.is_jpeg else self._jpeg2000_tile
        text = b"\x00\x01" + f"scanned for {identity.case}".encode()
        self._comment = b"\xff\x64" + (len(text) + 2).to_bytes(2) + text

    def _jpeg_tile(self, picture: Picture) -> bytes:
        return _split(_jpeg(picture))[1]

    def _jpeg2000_tile(self, picture: Picture) -> bytes:
        stream = bytes(
            imagecodecs.jpeg2k_encode(
                picture, level=_QUALITY_DB, codecformat="j2k", reversible=False, mct=True
            )
        )
        first_tile_part = stream.index(b"\xff\x90\x00\x0a")
        return stream[:first_tile_part] + self._comment + stream[first_tile_part:]


def _jpeg(picture: Picture) -> bytes:
    return bytes(
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(picture),
            level=_QUALITY,
            colorspace="RGB",
            outcolorspace="RGB",
            subsampling="444",
            optimize=False,
        )
    )


def _split(stream: bytes) -> tuple[bytes, bytes]:
    """Return the tables of a JPEG stream, and the stream without them, as Aperio stores both.

    Its tiles are red, green and blue under the component numbers 0, 1 and 2, and nothing but
    tag 262 says so.
    """
    at, tables, kept = 2, [], []
    while stream[at + 1] != 0xDA:
        marker, end = stream[at + 1], at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        if marker in (0xDB, 0xC4):
            tables.append(stream[at:end])
        elif marker == 0xC0:
            kept.append(_renumbered(stream[at:end], 10, 3))
        at = end
    end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
    kept.append(_renumbered(stream[at:end], 5, 2))
    joined = b"\xff\xd8" + b"".join(tables) + b"\xff\xd9"
    return joined, b"\xff\xd8" + b"".join(kept) + stream[end:]


def _renumbered(segment: bytes, first: int, step: int) -> bytes:
    numbered = bytearray(segment)
    for component in range(3):
        numbered[first + step * component] = component
    return bytes(numbered)


class _Layout:
    """Where tissue lies on one level, and the pictures of its tiles."""

    def __init__(self, width: int, length: int, factor: int, bank: Picture) -> None:
        self.width, self.length = width, length
        self._bank = reduced(bank, factor)
        # A period that is smaller than a tile is repeated to fill one.
        repeats = max(1, -(-TILE // self._bank.shape[0]))
        self._bank = np.tile(self._bank, (repeats, repeats, 1))
        self._period = self._bank.shape[0] // TILE
        self._glass = [empty_glass(number, TILE) for number in range(4)]

    def tiles(self) -> Iterator[_Keyed]:
        """Yield a key and the picture of each tile; tiles of one key are alike."""
        for row, column in itertools.product(
            range(-(-self.length // TILE)), range(-(-self.width // TILE))
        ):
            depth = self._depth(row * TILE, column * TILE)
            texture_at = (row % self._period, column % self._period)
            tissue = self._tissue(*texture_at)
            number = (row * 7 + column * 3) % 4
            if depth.min() >= 1:
                yield texture_at, tissue
            elif depth.max() <= 0:
                yield (number,), self._glass[number]
            else:
                mixed = self._glass[number] + (tissue - self._glass[number].astype(float)) * depth
                yield None, np.round(mixed).astype(np.uint8)

    def _tissue(self, row: int, column: int) -> Picture:
        top, left = row * TILE, column * TILE
        return self._bank[top : top + TILE, left : left + TILE]

    def _depth(self, top: int, left: int) -> _Shares:
        """Return the share of tissue in each pixel; only corners are looked at first."""
        corners = self._share(np.linspace(top, top + TILE, 5), np.linspace(left, left + TILE, 5))
        if corners.min() >= 1 or corners.max() <= 0:
            return corners
        return self._share(np.arange(top, top + TILE) + 0.5, np.arange(left, left + TILE) + 0.5)

    def _share(
        self,
        rows: _Shares,
        columns: _Shares,
    ) -> _Shares:
        x, y = np.meshgrid(columns / self.width, rows / self.length)
        share: _Shares = np.clip(coverage(x, y) / _EDGE, 0, 1)[..., None]
        return share

    def picture(self, width: int, length: int) -> Picture:
        """Return the whole level at a small size."""
        x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(length) + 0.5) / length)
        share = np.clip(coverage(x, y) / _EDGE, 0, 1)[..., None]
        factor = 1 << max(0, (self.width // width).bit_length() - 1)
        bank = reduced(self._bank, min(factor, self._bank.shape[0]))
        rows, columns = (
            (at / factor).astype(int) % bank.shape[0] for at in (y * self.length, x * self.width)
        )
        mixed = np.array(GLASS) + (bank[rows, columns] - np.array(GLASS)) * share
        picture: Picture = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
        return picture


class _SlideWriter:
    """Writes the directories of an SVS in the order in which a scanner does."""

    def __init__(
        self,
        tiff: tifffile.TiffWriter,
        codec: _Codec,
        identity: Identity,
        size: tuple[int, int],
    ) -> None:
        self._tiff = tiff
        self._codec = codec
        self._identity = identity
        self._size = size
        self._is_first = True

    def level(self, layout: _Layout) -> None:
        """Write a tiled directory."""
        options: dict[str, Any] = {"compression": 33005}
        if self._codec.is_jpeg:
            options = self._jpeg_options()
        name = "JPEG/RGB Q=80" if self._codec.is_jpeg else "J2K/KDU Q=70"
        was = "" if self._is_first else f" -> {layout.width}x{layout.length}"
        self._write(
            _encoded(layout, self._codec.encode),
            (layout.length, layout.width, 3),
            f"{self._size[0]}x{self._size[1]} ({TILE}x{TILE}){was} {name}",
            tile=(TILE, TILE),
            **options,
        )
        self._is_first = False

    def thumbnail(self, layout: _Layout) -> None:
        """Write the small picture that a scanner puts behind the base."""
        width = 1024
        length = width * layout.length // layout.width // _STRIP * _STRIP
        self._strips(layout.picture(width, length), f"-> {width}x{length} -", 0)

    def label(self, picture: Picture) -> None:
        """Write the label, LZW with a predictor."""
        length, width, _ = picture.shape
        self._write(
            picture,
            picture.shape,
            f"label {width}x{length}",
            compression="lzw",
            predictor=True,
            rowsperstrip=7,
            subfiletype=1,
        )

    def macro(self, picture: Picture) -> None:
        """Write the picture of the whole glass."""
        self._strips(picture, f"macro {picture.shape[1]}x{picture.shape[0]}", 9)

    def _strips(self, picture: Picture, words: str, subfile_type: int) -> None:
        strips = (
            _split(_jpeg(picture[top : top + _STRIP]))[1]
            for top in range(0, picture.shape[0], _STRIP)
        )
        self._write(
            strips,
            picture.shape,
            words,
            rowsperstrip=_STRIP,
            subfiletype=subfile_type,
            **self._jpeg_options(),
        )

    def _jpeg_options(self) -> dict[str, Any]:
        # Without this tifffile says that RGB in JPEG is YCbCr, as its own encoder makes it.
        samples = {"outcolorspace": "RGB"}
        tables = self._codec.tables
        return {"compression": "jpeg", "compressionargs": samples, "jpegtables": tables}

    def _write(
        self,
        data: Iterator[bytes] | Picture,
        shape: tuple[int, ...],
        words: str,
        **options: Any,  # noqa: ANN401 (passed through)
    ) -> None:
        identity = self._identity
        extra: list[tuple[Any, ...]] = [
            (306, 2, 0, f"{identity.date} {identity.time}", True),
            (315, 2, 0, f"{identity.forename} {identity.surname}", True),
            (316, 2, 0, identity.host, True),
        ]
        if self._is_first:
            profile = bytearray(imagecodecs.cms_profile("srgb"))
            profile[24:36] = bytes(12)  # the time of its making
            extra.append((34675, 7, len(profile), bytes(profile), True))
        self._tiff.write(
            data,
            shape=shape,
            dtype=np.uint8,
            photometric="rgb",
            description=self._description(words),
            metadata=None,
            software=False,
            extratags=extra,
            **options,
        )

    def _description(self, words: str) -> str:
        identity = self._identity
        keys = {
            "AppMag": "40",
            "StripeWidth": "2040",
            "ScanScope ID": identity.scanner_serial,
            "Filename": identity.case,
            "Title": f"{identity.surname} {identity.forename} {identity.birth_date}",
            "Date": identity.date,
            "Time": identity.time,
            "User": identity.operator,
            "MPP": f"{_MPP_UM:.4f}",
            "Barcode": identity.barcode,
            "ImageID": identity.image_id,
            "Originalwidth": str(self._size[0]),
            "Originalheight": str(self._size[1]),
        }
        pairs = "".join(f"|{key} = {value}" for key, value in keys.items())
        return f"Aperio Image Library v12.0.16 \r\n{words}{pairs}"


def _encoded(layout: _Layout, encode: Encode) -> Iterator[bytes]:
    """Yield the encoded tiles of a level in order; alike tiles are encoded once."""
    known: dict[tuple[int, ...], bytes] = {}
    with ThreadPoolExecutor(2) as pool:
        for batch in _batches(layout.tiles(), 256):
            fresh = {key: picture for key, picture in batch if key is not None and key not in known}
            known.update(zip(fresh, pool.map(encode, fresh.values()), strict=True))
            single = pool.map(encode, [picture for key, picture in batch if key is None])
            for key, _ in batch:
                yield next(single) if key is None else known[key]


def _batches(items: Iterator[_Keyed], size: int) -> Iterator[list[_Keyed]]:
    while batch := list(itertools.islice(items, size)):
        yield batch
