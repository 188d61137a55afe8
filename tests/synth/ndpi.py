"""Hamamatsu NDPI: 64-bit directories, one JPEG a level, every quirk an option."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from tests.synth import identifiers as ids
from tests.synth import jpeg, raster, tiff
from tests.synth.slide import SynthLevel, SynthSlide, stacked
from tests.synth.texture import halved, tissue

FLOAT, SLONG = 11, 9
_MPP = 0.2300
_BASE_LENS = 40.0


@dataclass(frozen=True)
class Quirks:
    """How the JPEGs of a slide are written."""

    subsampling: str = "4:4:4"
    restart: int | None = 1
    """MCU rows of a restart interval; ``None`` for no restart markers."""
    restart_blocks: int | None = None
    """MCUs of a restart interval instead."""
    small_without_restart: bool = False
    sof_zero: bool = False
    starts: str = "right"
    """``right``, ``wrong`` or ``absent``."""
    high_starts: bool = False
    """Whether the upper halves of the starts are told as well, in a tag of their own."""
    optimised: bool = False
    one_pixel_off: bool = False
    """Tags of the smallest level say one column more than its JPEG."""
    high_words: bool = True
    shift: int = 0
    """Bytes of hole in front of everything but the header."""
    jfif: bool = True


def build_ndpi(
    folder: Path,
    seed: int | None = None,
    *,
    size: tuple[int, int] = (2240, 1100),
    levels: int = 3,
    focal_planes: tuple[int, ...] = (0,),
    fluorescence: bool = False,
    suffix: str = ".ndpi",
    overview: np.ndarray | None = None,
    frame: int = 1024,
    texture: int = 13,
    **quirks: object,
) -> SynthSlide:
    """Write an NDPI file whose every place for text holds an invented identifier.

    ``frame`` is the side of the frames that it is cut into if nothing is said.
    """
    secret = ids.of(seed)
    quirk = Quirks(**quirks)
    built: dict[int, list[SynthLevel]] = {plane: [] for plane in sorted(focal_planes)}
    directories = []
    for number in range(levels):
        is_small = number == levels - 1
        for plane in focal_planes:
            base = tissue(*size, texture + sorted(focal_planes).index(plane))
            picture = base if number == 0 else halved(base, 2**number)
            length, width = picture.shape[:2]
            stream = _jpeg(picture, quirk, secret, is_small=is_small)
            built[plane].append(_level(picture, stream, frame))
            tags = _tags(secret, quirk, _BASE_LENS / 2**number, fluorescence=fluorescence)
            tags |= {
                256: tiff.long(width + (quirk.one_pixel_off and is_small)),
                257: tiff.long(length),
                258: tiff.short(8, 8, 8),
                259: tiff.short(7),
                262: tiff.short(6),
                277: tiff.short(3),
                278: tiff.long(length),
                282: tiff.rational(round(1e8 / (_MPP * 2**number)), 10000),
                283: tiff.rational(round(1e8 / (_MPP * 2**number)), 10000),
                296: tiff.short(3),
                65424: tiff.Value(SLONG, (plane,)),
            }
            starts = _starts(stream, quirk.starts)
            if starts:
                tags[65426] = tiff.long(*starts)
                if quirk.high_starts:
                    tags[65432] = tiff.long(*[0] * len(starts))
            directories.append(tiff.Directory(tags, pieces=[stream], tiled=False))
    glass = tissue(300, 100, 5) if overview is None else overview
    macro = _jpeg(glass, Quirks(restart=None), secret, is_small=False)
    directories.append(_picture(secret, quirk, -1.0, glass.shape[1::-1], macro))
    directories.append(_picture(secret, quirk, -2.0, (60, 20), bytes(60 * 20), compression=1))
    path = folder / f"{secret.word()}-{secret.number()}{suffix}"
    writer = NdpiWriter(quirk, gap=secret.word().encode())
    writer.chain(directories)
    writer.save(path, tail=secret.word().encode())
    return SynthSlide(
        path=path,
        levels=stacked(list(built.values())),
        identifiers=tuple(secret.drawn),
        mpp_um=_MPP,
    )


def _level(picture: np.ndarray, stream: bytes, frame: int) -> SynthLevel:
    length, width = picture.shape[:2]
    whole = bytearray(stream)
    at = whole.index(b"\xff\xc0")
    whole[at + 5 : at + 9] = struct.pack(">HH", length, width)
    return SynthLevel(
        width=width,
        length=length,
        tile=frame,
        entropy=[],
        rgb=imagecodecs.jpeg8_decode(bytes(whole)),
        jpeg_tables=None,
        pieces=[],
        picture=bytes(whole),
    )


def _jpeg(picture: np.ndarray, quirk: Quirks, secret, *, is_small: bool) -> bytes:
    options: dict[str, object] = {}
    if not (is_small and quirk.small_without_restart):
        if quirk.restart_blocks is not None:
            options["restart_marker_blocks"] = quirk.restart_blocks
        elif quirk.restart is not None:
            options["restart_marker_rows"] = quirk.restart
    out = io.BytesIO()
    Image.fromarray(picture).save(
        out,
        "JPEG",
        quality=82,
        subsampling=quirk.subsampling,
        optimize=quirk.optimised,
        **options,
    )
    stream = out.getvalue()
    if not quirk.jfif:
        stream = stream[:2] + stream[2 + 18 :]
    stream = stream[:2] + jpeg.comment(secret.word()) + stream[2:]
    if quirk.sof_zero and not is_small:
        at = stream.index(b"\xff\xc0")
        stream = stream[: at + 5] + bytes(4) + stream[at + 9 :]
    return stream


def _starts(stream: bytes, kind: str) -> list[int]:
    scan = stream.index(b"\xff\xda")
    begin = scan + 2 + int.from_bytes(stream[scan + 2 : scan + 4])
    markers = [
        at + 2
        for at in range(begin, len(stream) - 1)
        if stream[at] == 0xFF and 0xD0 <= stream[at + 1] <= 0xD7
    ]
    if kind == "absent" or not markers:
        return []
    starts = [begin, *markers]
    return [start + 3 for start in starts] if kind == "wrong" else starts


def _tags(secret, quirk: Quirks, lens: float, *, fluorescence: bool) -> dict[int, tiff.Value]:
    properties = "\r\n".join(
        [
            f"Created={secret.date()}",
            f"NDP.S/N={secret.word()}",
            f"Operator={secret.word()}",
            f"{secret.word()}={secret.word()}",
            "Objective.Lens.Magnificant=40",
        ]
    )
    tags = {
        271: tiff.ascii_("Hamamatsu"),
        272: tiff.ascii_("C13210"),
        305: tiff.ascii_(f"NDP.scan {secret.word()}"),
        306: tiff.ascii_(secret.date()),
        65420: tiff.short(1),
        65421: tiff.Value(FLOAT, struct.unpack("<I", struct.pack("<f", lens))),
        65422: tiff.Value(SLONG, (12538720,)),
        65423: tiff.Value(SLONG, (-96063,)),
        65427: tiff.ascii_(secret.word()),
        65428: tiff.long(123456789),
        65442: tiff.ascii_(secret.word()),
        65449: tiff.ascii_(properties),
        65468: tiff.ascii_(secret.number()),
        65477: tiff.ascii_(f"<profile><name>{secret.name()}</name></profile>"),
        65480: tiff.ascii_(secret.word()),
    }
    if fluorescence:
        tags[65434] = tiff.ascii_(secret.word())
        tags[65451] = tiff.Value(FLOAT, struct.unpack("<I", struct.pack("<f", 455.0)))
    return tags


def _picture(secret, quirk, lens, size, data, compression=7) -> tiff.Directory:
    tags = _tags(secret, quirk, lens, fluorescence=False) | {
        256: tiff.long(size[0]),
        257: tiff.long(size[1]),
        258: tiff.short(8, 8, 8) if compression == 7 else tiff.short(8),
        259: tiff.short(compression),
        262: tiff.short(6 if compression == 7 else 1),
        277: tiff.short(3 if compression == 7 else 1),
        278: tiff.long(size[1]),
    }
    return tiff.Directory(tags, pieces=[data], tiled=False)


def build_deep_ndpi(
    folder: Path,
    seed: int | None = None,
    *,
    size: tuple[int, int] = (700, 500),
    levels: int = 2,
    tile: int = 128,
    capture_mode: int | None = 7,
    texture: int = 17,
    missing: tuple[tuple[int, int], ...] = (),
) -> SynthSlide:
    """Write the variant whose levels are tiles of JPEG XR: grey of 16 bits, whatever its tags say.

    Only ``capture_mode`` tells, from 6 on.
    """
    secret = ids.of(seed)
    stored = raster.Storage(codec="jpegxr", grey=True, bits=16, is_emitted=True)
    built = raster.build_levels(
        stored, size=size, tile=tile, levels=levels, factor=2, seed=texture, missing=missing
    )
    directories = []
    for number, level in enumerate(built):
        tags = _tags(secret, Quirks(), _BASE_LENS / 2**number, fluorescence=True) | {
            256: tiff.long(level.width),
            257: tiff.long(level.length),
            258: tiff.short(8, 8, 8),
            259: tiff.short(22610),
            262: tiff.short(2),
            277: tiff.short(3),
            282: tiff.rational(round(1e8 / (_MPP * 2**number)), 10000),
            283: tiff.rational(round(1e8 / (_MPP * 2**number)), 10000),
            296: tiff.short(3),
            322: tiff.short(tile),
            323: tiff.short(tile),
        }
        if capture_mode is not None:
            tags[65441] = tiff.long(capture_mode)
        directories.append(tiff.Directory(tags, pieces=level.pieces))
    macro = _jpeg(tissue(300, 100, 5), Quirks(restart=None), secret, is_small=False)
    directories.append(_picture(secret, Quirks(), -1.0, (300, 100), macro))
    path = folder / f"{secret.word()}-{secret.number()}.ndpi"
    writer = NdpiWriter(Quirks(), gap=secret.word().encode())
    writer.chain(directories)
    writer.save(path, tail=secret.word().encode())
    return SynthSlide(
        path=path,
        levels=built,
        identifiers=tuple(secret.drawn),
        mpp_um=_MPP,
        is_decoded=True,
        lossy_term=raster.LOSSY_TERMS["jpegxr"],
        glows=True,
    )


def build_ndpis(
    folder: Path,
    seed: int | None = None,
    *,
    member: Callable[..., SynthSlide] = build_ndpi,
    channels: int = 2,
    lines: tuple[str, ...] = (),
    **options: object,
) -> SynthSlide:
    """Write an index of NDPI files, each a channel of fluorescence, with more ``lines`` in it."""
    secret = ids.of(None if seed is None else seed + 1000)
    built = [
        member(folder, None if seed is None else seed + number, texture=13 + 7 * number, **options)
        for number in range(channels)
    ]
    text = [
        "[NanoZoomer Digital Pathology Image Set]",
        f"NoImages={channels}",
        *(f"Image{number}={slide.path.name}" for number, slide in enumerate(built)),
        f"{secret.word()}={secret.name()}",
        *lines,
    ]
    path = folder / f"{secret.word()}-{secret.number()}.ndpis"
    path.write_text("\r\n".join([*text, ""]), encoding="utf-8", newline="")
    return replace(
        built[0],
        path=path,
        others=tuple(slide.path for slide in built),
        levels=[
            replace(level, optical_path=number)
            for number, slide in enumerate(built)
            for level in slide.levels
        ],
        identifiers=(*secret.drawn, *(text for slide in built for text in slide.identifiers)),
    )


class NdpiWriter(tiff.Writer):
    """Writes offsets of 64 bits into classic TIFF, their upper halves behind each directory."""

    def __init__(self, quirk: Quirks, gap: bytes) -> None:
        super().__init__(big_endian=False, bigtiff=False, gap=gap)
        self.quirk = quirk
        self.out = bytearray(struct.pack("<2sHQ4s", b"II", 42, 0, b"Hama"))

    def _put(self, data: bytes) -> int:
        return super()._put(data) + self.quirk.shift

    def _patch(self, at: int, offset: int) -> None:
        where = at if at < 16 else at - self.quirk.shift
        struct.pack_into("<Q", self.out, where, offset)

    def _table(self, tags: dict[int, tiff.Value]) -> tuple[int, int]:
        entries, highs = [], []
        for code, value in sorted(tags.items()):
            data = b"" if code in (273, 279) else value.encoded("<")
            if not data:
                wide = value.items[0]
            elif len(data) > 4 or value.field_type == tiff.ASCII:
                wide = self._put(data)
            else:
                wide = int.from_bytes(data, "little")
            entries.append(
                struct.pack("<HHII", code, value.field_type, value.count, wide & 0xFFFFFFFF)
            )
            highs.append(wide >> 32)
        table = struct.pack("<H", len(entries)) + b"".join(entries)
        words = struct.pack(f"<{len(highs)}I", *highs) if self.quirk.high_words else b""
        at = self._put(table + bytes(8) + words)
        return at, at + len(table)

    def save(self, path: Path, tail: bytes) -> None:
        with path.open("wb") as file:
            file.write(self.out[:16])
            file.seek(16 + self.quirk.shift)
            file.write(self.out[16:] + tail)
