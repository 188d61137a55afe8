"""Writes small valid inputs for each fuzz target under seeds/; needs jpegtran."""

import io
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SEEDS = Path(__file__).parent / "seeds"


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


DQT = segment(0xDB, b"\0" + bytes([3] * 64))
DC = segment(0xC4, b"\x00" + bytes([0, 0, 0, 12]) + bytes(12) + bytes(range(12)))
AC = segment(0xC4, b"\x10" + bytes([1, 1]) + bytes(14) + b"\x00\x01")
TABLES = DQT + DC + AC
SHARED = b"\xff\xd8" + TABLES + b"\xff\xd9"


def jpeg(tables: bytes, components: int, extra: bytes = b"") -> bytes:
    sof = b"\x08\x00\x10\x00\x10" + bytes([components])
    sos = bytes([components])
    for component in range(components):
        sof += bytes([component + 1, 0x11, 0])
        sos += bytes([component + 1, 0])
    header = segment(0xC0, sof) + segment(0xDA, sos + b"\x00\x3f\x00")
    return b"\xff\xd8" + extra + tables + header + b"\x12\x34\xff\x00\x56\xff\xd9"


def tile_part(number: int, data: bytes, *, is_open: bool = False) -> bytes:
    length = 0 if is_open else 14 + len(data)
    return segment(0x90, struct.pack(">HIBB", 0, length, number, 0)) + b"\xff\x93" + data


def codestream(extra: bytes = b"", *, is_open: bool = False) -> bytes:
    siz = struct.pack(">HIIIIIIIIH", 0, 16, 16, 0, 0, 16, 16, 0, 0, 3) + b"\x07\x01\x01" * 3
    cod = bytes([0, 0, 0, 1, 0, 1, 4, 4, 0, 0])
    main = b"\xff\x4f" + segment(0x51, siz) + segment(0x52, cod) + segment(0x5C, b"\x42" + bytes(8))
    parts = tile_part(0, b"\xc0\x11") + tile_part(1, b"\xc0\x22", is_open=is_open)
    return main + extra + parts + b"\xff\xd9"


def jp2(stream: bytes) -> bytes:
    colr = b"\0\0\0\x0fcolr\x01\0\0\0\0\0\x12"
    header = struct.pack(">I4s", 8 + len(colr), b"jp2h") + colr
    return b"\0\0\0\x0cjP  \r\n\x87\n" + header + struct.pack(">I4s", 0, b"jp2c") + stream


def level(kind: int, shared: bytes, tiles: list[bytes], times: int = 1) -> bytes:
    ranges, data = b"", b"II*\0"
    for tile in tiles:
        ranges += struct.pack("<HHB", len(data) if tile else 0, len(tile), 0)
        data += tile
    numbers = len(tiles) + (times - 1 << 5)
    return bytes([kind, numbers, len(shared)]) + ranges + shared + data


def starts_of(stream: bytes) -> list[int]:
    """Return where each restart interval begins but the first."""
    return [
        at + 2
        for at in range(len(stream) - 1)
        if stream[at] == 0xFF and 0xD0 <= stream[at + 1] <= 0xD7
    ]


def mosaic(shape: tuple[int, int, int, int], streams: list[bytes], chosen: bytes) -> bytes:
    """Return width and height less one, grid and overlap, then tiles; see the target."""
    lengths = b"".join(struct.pack("<H", len(stream)) for stream in streams)
    return bytes([*shape, len(streams)]) + lengths + chosen + b"".join(streams)


def pictures() -> None:
    """Write pictures of another encoder: with and without restart intervals, stitched ones too."""
    random = np.random.default_rng(1)
    looks = [
        (100, 70, {"subsampling": "4:4:4"}),
        (100, 70, {"subsampling": "4:2:0", "restart_marker_rows": 1}),
        (128, 64, {"subsampling": "4:4:4", "restart_marker_blocks": 8}),
        (90, 50, {"subsampling": "4:2:2", "optimize": True, "restart_marker_blocks": 3}),
    ]
    for target in ("retile", "retile_pixels"):
        (SEEDS / target).mkdir(parents=True, exist_ok=True)
    for number, (width, length, look) in enumerate(looks):
        noise = random.integers(0, 60, (length, width, 3)) + np.arange(width)[None, :, None]
        out = io.BytesIO()
        picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
        picture.save(out, "JPEG", quality=50, **look)
        size, stream = struct.pack("<HH", width, length), out.getvalue()
        (SEEDS / "retile" / str(number)).write_bytes(size + b"\0" + stream)
        (SEEDS / "retile_pixels" / str(number)).write_bytes(size + stream)
        told = starts_of(stream)[:15]
        if told:
            hint = bytes([len(told)]) + struct.pack(f"<{len(told)}H", *told)
            (SEEDS / "retile" / f"{number}-starts").write_bytes(size + hint + stream)


def tiles() -> None:
    """Write tiles of other processes than the baseline one, and cut ones."""
    random = np.random.default_rng(2)
    looks = [
        (64, 64, "4:2:0", ["-progressive"]),
        (64, 64, "4:4:4", ["-progressive", "-restart", "3B"]),
        (64, 64, "4:2:2", ["-arithmetic"]),
        (64, 64, "4:4:4", ["-arithmetic", "-progressive", "-restart", "1"]),
        (40, 24, "4:4:4", ["-progressive"]),
        (33, 17, "4:4:4", []),
        (48, 64, "4:4:4", ["-grayscale", "-progressive"]),
    ]
    (SEEDS / "rewrite").mkdir(parents=True, exist_ok=True)
    made = []
    for number, (width, length, subsampling, options) in enumerate(looks):
        slope = np.add.outer(np.arange(length) * 2, np.arange(width))[:, :, None]
        noise = random.integers(0, 30, (length, width, 3)) + slope
        out = io.BytesIO()
        picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
        picture.save(out, "JPEG", quality=40, subsampling=subsampling)
        command = ["jpegtran", "-copy", "none", *options]
        tile = subprocess.run(  # noqa: S603 (a tool with options of ours)
            command, input=out.getvalue(), capture_output=True, check=True
        )
        shape = (width - 1, length - 1, 0, 0)
        (SEEDS / "rewrite" / str(number)).write_bytes(mosaic(shape, [tile.stdout], b"\1"))
        made.append(tile.stdout)
    whole, apart = made[1], made[-1]
    more = {
        "2x2": mosaic((127, 127, 0b0101, 0), [whole], b"\1\1\0\1"),
        "2x2-overlap": mosaic((111, 103, 0b0101, 0x32), [whole], b"\1\1\1\1"),
        "colours-apart": mosaic((47, 63, 0b010000, 0), [apart], b"\1\1\1"),
        "colours-apart-overlap": mosaic((90, 63, 0b010001, 1), [apart], b"\1" * 6),
    }
    for name, seed in more.items():
        (SEEDS / "rewrite" / name).write_bytes(seed)


def strips(shared: bytes, pieces: list[bytes], rows: int) -> bytes:
    """Return strips of 16 columns, the last one as long as the others."""
    size = struct.pack("<HHBBB", 16, rows * len(pieces), rows, len(pieces), len(shared))
    lengths = b"".join(struct.pack("<H", len(piece)) for piece in pieces)
    return size + lengths + shared + b"".join(pieces)


def instance(term: bytes, header: bytes, frames: list[bytes]) -> bytes:
    """Return a term and a file of a header and encapsulated frames."""
    items = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in (b"", *frames)
    )
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return bytes([len(header), len(term)]) + term + header + pixels + items + end


COMMENT = segment(0xFE, b"comment") + segment(0xE1, b"Exif\xff\xc0\xff\xda\xff\xd9")
SEED_INPUTS = {
    "jpeg_header": [
        b"\x00" + jpeg(TABLES, 3),
        b"\x01" + jpeg(TABLES, 3, COMMENT + segment(0xDD, b"\0\1")),
        b"\x02" + jpeg(DQT, 1),
    ],
    "jpeg_tables": [SHARED, SHARED[:-2] + segment(0xDD, b"\0\4") + COMMENT + b"\xff\xd9"],
    "jp2k_header": [
        codestream(),
        codestream(segment(0x64, b"\0\1comment")),
        jp2(codestream()),
        tile_part(0, b"\xc0\x11"),
    ],
    "strips": [
        strips(b"", [jpeg(TABLES, 3), jpeg(TABLES, 3)], 16),
        strips(SHARED, [jpeg(b"", 1)] * 3, 16),
        strips(SHARED, [jpeg(b"", 3, segment(0xDD, b"\0\4")), jpeg(b"", 3, COMMENT)], 16),
    ],
    "scan": [
        instance(b"SURNAME", b"DICM", [jpeg(TABLES, 3)]),
        instance(b"SURNAMEX", b"S\0U\0R\0N\0", [codestream(), jpeg(TABLES, 1) + b"\0"]),
        instance(b"Q1234567", b"UTEyMzQ1Njc=", [codestream(is_open=True) + b"Q1234567"]),
    ],
    "plan_and_verify": [
        level(0, SHARED, [jpeg(b"", 3), b"", jpeg(b"", 3, COMMENT)]),
        level(18, SHARED, [jpeg(b"", 1), jpeg(b"", 1)[:-2]]),
        level(1, b"", [jpeg(TABLES, 3) + b"\0\0\0"]),
        level(33, b"", [jpeg(TABLES, 3), jpeg(TABLES, 3)]),
        level(128, b"", [codestream(), codestream(is_open=True)]),
        level(128 + 8, b"", [jp2(codestream()), b""]),
        level(128 + 4, b"", [codestream(segment(0x64, b"\0\1comment"))]),
        level(0, SHARED, [jpeg(b"", 3), b"", *[jpeg(b"", 3)] * 4], times=8),
        level(128, b"", [codestream()] * 6, times=8),
        level(192 + 8, b"", [zlib.compress(b"tile"), b"", zlib.compress(b"more")]),
        level(194, b"", [zlib.compress(b"\0" * 12)]),
    ],
}

for target, inputs in SEED_INPUTS.items():
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(inputs):
        (folder / f"{number}").write_bytes(seed)
pictures()
tiles()
