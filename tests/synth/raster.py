"""Tiles and strips of codecs that cannot be frames: what is in them is the truth itself."""

import lzma
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import imagecodecs
import numpy as np

from tests.synth import tiff
from tests.synth.slide import SynthLevel
from tests.synth.texture import halved, tiles_of, tissue

BYTES: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (1, bytes),
    "lzw": (5, imagecodecs.lzw_encode),
    "deflate": (8, imagecodecs.zlib_encode),
    "deflate_32946": (32946, imagecodecs.zlib_encode),
    "packbits": (32773, imagecodecs.packbits_encode),
    "lzma": (34925, lzma.compress),
    "zstd": (50000, imagecodecs.zstd_encode),
    "zstd_34926": (34926, imagecodecs.zstd_encode),
}
PICTURES: dict[str, tuple[int, Callable[..., bytes], Callable[..., np.ndarray], object]] = {
    "webp": (50001, imagecodecs.webp_encode, imagecodecs.webp_decode, 80),
    "webp_34927": (34927, imagecodecs.webp_encode, imagecodecs.webp_decode, 80),
    "jpegxr": (22610, imagecodecs.jpegxr_encode, imagecodecs.jpegxr_decode, 0.8),
    "jpegxr_34934": (34934, imagecodecs.jpegxr_encode, imagecodecs.jpegxr_decode, None),
    "jpegxl": (50002, imagecodecs.jpegxl_encode, imagecodecs.jpegxl_decode, 90),
    "lerc": (34887, imagecodecs.lerc_encode, imagecodecs.lerc_decode, 0),
    "lerc_lossy": (34887, imagecodecs.lerc_encode, imagecodecs.lerc_decode, 4),
    "jpegxl_52546": (52546, imagecodecs.jpegxl_encode, imagecodecs.jpegxl_decode, None),
}
CODECS = {*BYTES, *PICTURES}
PALETTE = np.random.default_rng(8).permutation(256).astype(np.uint8)[:, np.newaxis] ^ np.array(
    [0, 85, 170], np.uint8
)
"""Red, green and blue of each number."""
_LOSSLESS_JPEG = partial(imagecodecs.jpeg8_encode, lossless=True, predictor=1)
_JPEG_12 = partial(imagecodecs.jpeg8_encode, bitspersample=12)
_J2K_12 = partial(imagecodecs.jpeg2k_encode, bitspersample=12, codecformat="j2k")
CODED: dict[str, tuple[int, Callable[..., bytes], Callable[..., np.ndarray], object]] = {
    "ljpeg": (7, _LOSSLESS_JPEG, imagecodecs.ljpeg_decode, None),
    "jpeg": (7, imagecodecs.jpeg8_encode, imagecodecs.jpeg8_decode, 85),
    "jpeg12": (7, _JPEG_12, imagecodecs.jpeg8_decode, 85),
    "j2k12": (34712, _J2K_12, imagecodecs.jpeg2k_decode, 0),
    "jpegls": (34712, imagecodecs.jpegls_encode, imagecodecs.jpegls_decode, 0),
    "jpegls_near": (34712, imagecodecs.jpegls_encode, imagecodecs.jpegls_decode, 3),
}
"""Kin of codecs that can be frames, as they cannot be."""
LOSSY_TERMS = {
    **dict.fromkeys(("webp", "webp_34927"), "RFC_9649"),
    **dict.fromkeys(("jpegxr", "jpegxr_34934"), "ISO_29199_2"),
    **dict.fromkeys(("jpegxl", "jpegxl_52546"), "ISO_18181_1"),
    "lerc_lossy": "ESRI_LERC",
}
FRAME = 1024
"""Side of the frames that strips are cut into."""


@dataclass(frozen=True)
class Storage:
    """How the samples of a slide lie in its file."""

    codec: str
    big_endian: bool = False
    predictor: int = 1
    planar: bool = False
    grey: bool = False
    bits: int = 8
    white_is_zero: bool = False
    rows_per_strip: int | None = None
    """For strips instead of tiles."""
    is_emitted: bool = False
    """Whether a missing tile is black, as in fluorescence."""
    ycbcr: tuple[int, int] | None = None
    """Columns and rows that share their chroma, for YCbCr."""
    palette: bool = False
    """Whether samples are numbers of colours."""
    full_last_strip: bool = False
    """Whether the last strip has as many rows as the others."""


def build_levels(
    storage: Storage,
    *,
    size: tuple[int, int],
    tile: int,
    levels: int,
    factor: int,
    seed: int,
    missing: tuple[tuple[int, int], ...],
) -> list[SynthLevel]:
    """Return the levels of a pyramid; ``missing`` lists level and tile number."""
    base = tissue(*size, seed)
    pictures = [base if n == 0 else halved(base, factor**n) for n in range(levels)]
    return [
        _level(storage, picture, tile, {index for level, index in missing if level == number})
        for number, picture in enumerate(pictures)
    ]


def pieces(storage: Storage, picture: np.ndarray) -> list[bytes]:
    """Return the strips of a picture that is no level."""
    return _level(storage, picture, 0, set()).pieces


def tags(storage: Storage) -> dict[int, tiff.Value]:
    """Return the tags that say how samples are stored."""
    samples = 1 if storage.grey or storage.palette else 3
    compression = (BYTES.get(storage.codec) or (PICTURES | CODED)[storage.codec])[0]
    described = {
        258: tiff.short(*[storage.bits] * samples),
        259: tiff.short(compression),
        262: tiff.short((0 if storage.white_is_zero else 1) if storage.grey else 2),
        277: tiff.short(samples),
        284: tiff.short(2 if storage.planar else 1),
        317: tiff.short(storage.predictor),
    }
    if storage.palette:
        described |= {262: tiff.short(3), 320: tiff.short(*(PALETTE.T.ravel().astype(int) * 257))}
    if storage.ycbcr is not None:
        described |= {262: tiff.short(6), 530: tiff.short(*storage.ycbcr)}
    if storage.rows_per_strip is not None:
        described[278] = tiff.long(storage.rows_per_strip)
    return described


def _level(storage: Storage, picture: np.ndarray, size: int, gone: set[int]) -> SynthLevel:
    length, width = picture.shape[:2]
    parts = _strips(storage, picture) if storage.rows_per_strip else tiles_of(picture, size, size)
    parts = [_samples(storage, part) for part in parts]
    planes = [parts]
    if storage.planar:
        planes = [[part[..., plane] for part in parts] for plane in range(3)]
    pieces = [
        b"" if index in gone else _encoded(storage, part)
        for plane in planes
        for index, part in enumerate(plane)
    ]
    nothing = 0 if storage.is_emitted else (1 << storage.bits) - 1
    decoded = [
        np.full_like(_truth(storage, part), nothing) if index in gone else _truth(storage, part)
        for index, part in enumerate(parts)
    ]
    across = 1 if storage.rows_per_strip else -(-width // size)
    rows = [
        np.concatenate(decoded[at : at + across], axis=1) for at in range(0, len(decoded), across)
    ]
    side = FRAME if storage.rows_per_strip else size
    frames = -(-width // side) * -(-length // side)
    return SynthLevel(
        width=width,
        length=length,
        tile=side,
        entropy=[None if index in gone else b"" for index in range(frames)],
        rgb=np.concatenate(rows, axis=0)[:length, :width],
        jpeg_tables=None,
        pieces=pieces,
    )


def _strips(storage: Storage, picture: np.ndarray) -> list[np.ndarray]:
    rows = storage.rows_per_strip
    if storage.full_last_strip:
        picture = np.pad(picture, ((0, -len(picture) % rows), (0, 0), (0, 0)), mode="edge")
    return [picture[at : at + rows] for at in range(0, len(picture), rows)]


def _samples(storage: Storage, part: np.ndarray) -> np.ndarray:
    """Return the samples as they shall look, in the depth and colours of the slide."""
    part = part[..., 1] if storage.grey or storage.palette else part
    if storage.bits == 8:
        return part
    noise = np.random.default_rng(3).integers(0, 256, part.shape)
    return ((part.astype(np.uint16) << 8) + noise.astype(np.uint16)) >> (16 - storage.bits)


def _encoded(storage: Storage, part: np.ndarray) -> bytes:
    if storage.white_is_zero:
        part = (1 << storage.bits) - 1 - part
    if storage.codec in PICTURES or storage.codec in CODED:
        return _picture(storage.codec, part)
    if storage.ycbcr is not None:
        part = _packed(storage, *_groups(storage, part))
    if storage.predictor == 2:
        first = np.zeros_like(part[:, :1])
        part = np.diff(part, axis=1, prepend=first).astype(part.dtype)
    order = ">" if storage.big_endian else "<"
    data = part.astype(part.dtype.newbyteorder(order)).tobytes()
    return bytes(BYTES[storage.codec][1](data))


def _groups(storage: Storage, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the luminance of each pixel, and the chroma of groups: that of their first."""
    wide, high = storage.ycbcr
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    chroma = np.stack([(b - y) / 1.772 + 128, (r - y) / 1.402 + 128], axis=-1)
    both = (np.rint(plane).clip(0, 255).astype(np.uint8) for plane in (y, chroma))
    luminance, chroma = both
    return luminance, chroma[::high, ::wide]


def rgb_of(luminance: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Return red, green and blue (JFIF 1.02), chroma repeated as often as it must."""
    factors = (
        -(-whole // part) for whole, part in zip(luminance.shape, chroma.shape, strict=False)
    )
    for axis, factor in enumerate(factors):
        chroma = chroma.repeat(factor, axis=axis)
    cb, cr = np.moveaxis(chroma[: len(luminance), : luminance.shape[1]].astype(float) - 128, -1, 0)
    rgb = (
        luminance + 1.402 * cr,
        luminance - 0.344136 * cb - 0.714136 * cr,
        luminance + 1.772 * cb,
    )
    return np.rint(np.stack(rgb, axis=-1)).clip(0, 255).astype(np.uint8)


def _packed(storage: Storage, luminance: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Return groups as TIFF stores them: luminance row by row, then blue and red."""
    wide, high = storage.ycbcr
    if storage.ycbcr == (1, 1):
        return np.concatenate([luminance[..., np.newaxis], chroma], axis=2)
    down, across = chroma.shape[:2]
    missing = (down * high - luminance.shape[0], across * wide - luminance.shape[1])
    luminance = np.pad(luminance, ((0, missing[0]), (0, missing[1])), mode="edge")
    groups = [
        [*luminance[y * high : (y + 1) * high, x * wide : (x + 1) * wide].ravel(), *chroma[y, x]]
        for y in range(down)
        for x in range(across)
    ]
    return np.array(groups, np.uint8)


def _picture(codec: str, part: np.ndarray) -> bytes:
    _, encode, _, level = (PICTURES | CODED)[codec]
    options = {"lossless": False} if codec.startswith("webp") else {}
    return bytes(encode(np.ascontiguousarray(part), level, **options))


def _truth(storage: Storage, part: np.ndarray) -> np.ndarray:
    """Return what a decoder makes of a part: of codecs of bytes, the part itself."""
    if storage.palette:
        return PALETTE[part]
    if storage.ycbcr is not None:
        return rgb_of(*_groups(storage, part))
    if storage.codec in BYTES:
        return part
    if storage.white_is_zero:
        part = (1 << storage.bits) - 1 - part
    decoded = (PICTURES | CODED)[storage.codec][2](_picture(storage.codec, part))
    return (1 << storage.bits) - 1 - decoded if storage.white_is_zero else decoded
