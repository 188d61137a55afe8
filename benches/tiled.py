"""Writes an SVS of any number of tiles fast: a few tissue tiles over and over.

Each tile has bytes of its own in the file, so that reading them costs what it does in a slide;
only their making is saved. ``coverslip sample`` makes slides that look like slides.
"""

import struct
from pathlib import Path

import imagecodecs
import numpy as np

from coverslip.sample.tissue import texture

TILE = 256
BANK = 16
_BLOCK_BYTES = 32 << 20
_LONG8, _LONG, _SHORT, _ASCII, _UNDEFINED = 16, 4, 3, 2, 7


def write_tiled(path: Path, *, tiles: int, quality: int = 80) -> int:
    """Write a BigTIFF of about so many tiles of YCbCr JPEG; return their exact number.

    Quality 80 makes tiles of some 7 kB, quality 1 of some 1 kB. A second level of one tile, which
    does not count, is what a conversion searches for bar codes.
    """
    across = max(1, round(tiles**0.5))
    down = -(-tiles // across)
    bank, tables = _bank(quality)
    counts = np.resize(np.array([len(tile) for tile in bank], np.uint32), across * down)
    offsets = np.cumsum(counts, dtype=np.uint64) - counts + np.uint64(16)
    small = max(across, down)
    with path.open("xb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        _write_tiles(file, bank, len(counts))
        lowest = np.array([file.tell()], np.uint64), np.array([len(bank[0])], np.uint32)
        file.write(bank[0])
        link = 8
        for columns, rows, (starts, lengths) in (
            (across * TILE, down * TILE, (offsets, counts)),
            (across * TILE // small, down * TILE // small, lowest),
        ):
            link = _write_directory(file, link, _tags(file, columns, rows, tables, starts, lengths))
    return len(counts)


def _write_directory(file, link: int, tags) -> int:
    """Append a directory, which the link leads to; return where its own link is."""
    file.write(bytes(-file.tell() % 8))
    directory = file.tell()
    file.write(struct.pack("<Q", len(tags)))
    for code, kind, count, value in sorted(tags):
        file.write(struct.pack("<HHQ8s", code, kind, count, value))
    end = file.tell()
    file.write(bytes(8))
    file.seek(link)
    file.write(struct.pack("<Q", directory))
    file.seek(0, 2)
    return end


def _bank(quality: int) -> tuple[list[bytes], bytes]:
    picture = np.asarray(texture(0))
    tiles, tables = [], b""
    for number in range(BANK):
        top, left = (number // 4 * TILE, number % 4 * TILE)
        part = np.ascontiguousarray(picture[top : top + TILE, left : left + TILE])
        stream = bytes(imagecodecs.jpeg8_encode(part, level=quality, subsampling="420"))
        tables, tile = _split(stream)
        tiles.append(tile)
    return tiles, tables


def _split(stream: bytes) -> tuple[bytes, bytes]:
    """Return the tables of a JPEG, and what is left, each a stream of its own (TIFF tag 347)."""
    at, tables, kept = 2, b"", b""
    while stream[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        if stream[at + 1] in (0xDB, 0xC4):
            tables += stream[at:end]
        elif stream[at + 1] == 0xC0:
            kept += stream[at:end]
        at = end
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + kept + stream[at:]


def _write_tiles(file, bank: list[bytes], count: int) -> None:
    whole = b"".join(bank)
    block = whole * max(1, _BLOCK_BYTES // len(whole))
    rounds, rest = divmod(count, len(bank))
    for start in range(0, rounds, len(block) // len(whole)):
        left = min(rounds - start, len(block) // len(whole))
        file.write(block[: left * len(whole)])
    file.write(b"".join(bank[:rest]))


def _tags(file, columns: int, rows: int, tables: bytes, offsets, counts):
    """Return the entries of the directory; values that do not fit in are written before it."""
    text = b"Aperio Image Library v12.0.16 \r\nbench|AppMag = 40|MPP = 0.2500\0"
    entries = []
    for code, kind, count, data in (
        (256, _LONG, 1, struct.pack("<I", columns)),
        (257, _LONG, 1, struct.pack("<I", rows)),
        (258, _SHORT, 3, struct.pack("<3H", 8, 8, 8)),
        (259, _SHORT, 1, struct.pack("<H", 7)),
        (262, _SHORT, 1, struct.pack("<H", 6)),
        (270, _ASCII, len(text), text),
        (277, _SHORT, 1, struct.pack("<H", 3)),
        (284, _SHORT, 1, struct.pack("<H", 1)),
        (322, _LONG, 1, struct.pack("<I", TILE)),
        (323, _LONG, 1, struct.pack("<I", TILE)),
        (324, _LONG8, len(offsets), offsets.astype("<u8").tobytes()),
        (325, _LONG, len(counts), counts.astype("<u4").tobytes()),
        (347, _UNDEFINED, len(tables), tables),
        (530, _SHORT, 2, struct.pack("<2H", 2, 2)),
    ):
        value = data
        if len(data) > 8:
            file.write(bytes(-file.tell() % 8))
            value = struct.pack("<Q", file.tell())
            file.write(data)
        entries.append((code, kind, count, value.ljust(8, b"\0")))
    return entries
