"""Ventana BIF and stitched TIFF, as iScan and DP scanners write them."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np

from tests.synth import identifiers as ids
from tests.synth import tiff
from tests.synth.parts import level_directory, picture_directory
from tests.synth.slide import SynthLevel, SynthSlide, build_levels, stacked
from tests.synth.texture import tissue

Joints = Literal["all", "none", "unreadable"]
_MPP = 0.465
_TILE, _TILE_LENGTH = 128, 96
"""Not square, as the tiles of many scanners are."""
_ACROSS, _DOWN = 6, 4


def build_ventana(
    folder: Path,
    seed: int | None = None,
    *,
    stitched: bool = False,
    codec: str = "jpeg_ycbcr420",
    overlap: tuple[str, str] = ("0", "0"),
    is_joined: bool = True,
    model: str = "VENTANA DP 200",
    focal_planes: int = 1,
    said_planes: int | None = None,
    z_spacing: str = "1.5",
    planes_below: bool = True,
    repeated: bool = False,
    clipped: bool = False,
    joints: Joints = "all",
    not_scanned: bool = False,
    overlaps: tuple[int, int] | None = None,
    second_area: tuple[float, float] | None = None,
    in_metadata: bool = False,
    quote: str = '"',
    unnamed: bool = False,
    big_endian: bool = False,
    levels: int = 3,
    missing: tuple[tuple[int, int], ...] = (),
    style: dict[str, object] | None = None,
) -> SynthSlide:
    """Write overview, map of tissue, and levels.

    ``overlap`` is that of the last joint, which was not used unless it ``is_joined``; ``overlaps``
    are those of all in each direction, with the picture they overlap in; ``repeated`` writes the
    base twice; ``not_scanned`` takes the last two columns for an area without tiles,
    ``second_area`` for one that lies so many pixels beside its tiles. Of ``focal_planes`` the one
    in the middle comes first, then those below and those above, each the further the later;
    ``said_planes`` is how many the XML says, ``planes_below`` whether lower levels have them too.
    """
    secret = ids.of(seed)
    if not_scanned:
        missing += tuple((0, r * _ACROSS + c) for r in range(_DOWN) for c in (4, 5))
        missing += tuple((1, r * 3 + 2) for r in range(2) if levels > 1)
    middle = focal_planes // 2
    has_own_tables = (style or {}).get("tables") == "own"
    pyramids = [
        build_levels(
            codec,
            secret,
            size=(_ACROSS * _TILE, _DOWN * _TILE_LENGTH),
            picture=None if overlaps is None else _mosaic(overlaps, 31 + z),
            tile=_TILE,
            tile_length=_TILE_LENGTH,
            levels=levels,
            factor=2,
            seed=31 + z,
            missing=missing,
            style=style if z == middle or has_own_tables else {**(style or {}), "comments": False},
            clipped=clipped,
        )
        for z in range(focal_planes)
    ]
    built = pyramids[middle]
    columns = [4, 2] if not_scanned or second_area is not None else [_ACROSS]
    pyramid = [
        level_directory(level, codec, _common(secret, f"level={n} mag={40 / 2**n:g} quality=90"))
        for n, level in enumerate(built)
    ]
    for number, directory in enumerate(pyramid):
        if focal_planes > 1 and (planes_below or number == 0):
            order = [middle, *range(middle - 1, -1, -1), *range(middle + 1, focal_planes)]
            directory.pieces = [piece for z in order for piece in pyramids[z][number].pieces]
            directory.tags[32997] = tiff.long(focal_planes)
    if not stitched:
        said = overlaps or overlap
        areas = _areas(
            columns, said, joints, second_area, scanned_last=not not_scanned, is_same=bool(overlaps)
        )
        if not is_joined:
            head, _, last = areas[0].rpartition('FlagJoined="1"')
            areas[0] = f'{head}FlagJoined="0"{last}'
        pyramid[0].tags[700] = tiff.byte(_encode_info(secret, areas).encode())
    if repeated:
        pyramid.insert(1, level_directory(built[0], codec, _common(secret, "level=0 mag=40")))
    z_layers = (said_planes or focal_planes, z_spacing)
    names = ["Label Image", "Thumbnail"] if stitched else ["Label_Image", "Probability_Image"]
    names += [secret.word()] if unnamed else []
    pictures = [picture_directory(secret, (250, 750), _common(secret, name)) for name in names]
    pictures[0].tags[700] = tiff.byte(
        _iscan(secret, quote, z_layers, model, in_metadata=in_metadata).encode()
    )
    for directory, profile in ((pictures[0], "adobergb"), (pyramid[0], "srgb")):
        directory.tags[34675] = tiff.undefined(imagecodecs.cms_profile(profile))
    path = folder / f"{secret.word()}-{secret.number()}.{'tif' if stitched else 'bif'}"
    tiff.write_tiff(
        path,
        pictures + pyramid,
        bigtiff=not stitched,
        big_endian=big_endian,
        gap=secret.word().encode(),
        tail=secret.word().encode(),
    )
    if overlaps is not None:
        pyramids = [
            [_composed(level, overlaps, 2**n) for n, level in enumerate(built)]
            for built in pyramids
        ]
    return SynthSlide(
        path=path,
        levels=stacked(pyramids),
        identifiers=tuple(secret.drawn),
        mpp_um=_MPP,
        recode=None if overlaps is None else 95,
    )


def _mosaic(overlaps: tuple[int, int], seed: int) -> np.ndarray:
    """Return tiles side by side that share the last columns and rows with their neighbours."""
    right, below = _TILE - overlaps[0], _TILE_LENGTH - overlaps[1]
    picture = tissue(_ACROSS * right + overlaps[0], _DOWN * below + overlaps[1], seed)
    rows = []
    for y in range(0, _DOWN * below, below):
        tiles = [
            picture[y : y + _TILE_LENGTH, x : x + _TILE] for x in range(0, _ACROSS * right, right)
        ]
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


def _composed(level: SynthLevel, overlaps: tuple[int, int], factor: int) -> SynthLevel:
    """Return what a level shows when each tile of the base is where it belongs in it."""
    right, below = _TILE - overlaps[0], _TILE_LENGTH - overlaps[1]
    width, length = _ACROSS * right + overlaps[0], _DOWN * below + overlaps[1]
    part, part_length = _TILE // factor, _TILE_LENGTH // factor
    whole = np.full((-(-length // factor), -(-width // factor), 3), 255, np.uint8)
    for row, column in itertools.product(range(_DOWN), range(_ACROSS)):
        x, y = round(column * right / factor), round(row * below / factor)
        stored = level.rgb[row * part_length :, column * part :][:part_length, :part]
        room = whole[y : y + stored.shape[0], x : x + stored.shape[1]]
        room[:] = stored[: room.shape[0], : room.shape[1]]
    return replace(
        level,
        width=whole.shape[1],
        length=whole.shape[0],
        tile=1024,
        tile_length=None,
        entropy=[b""],
        rgb=whole,
    )


def _common(secret, text: str) -> dict[int, tiff.Value]:
    return {
        270: tiff.ascii_(text),
        305: tiff.ascii_(secret.word()),
        306: tiff.ascii_(secret.date()),
    }


def _iscan(secret, quote: str, z_layers: tuple[int, str], model: str, *, in_metadata: bool) -> str:
    said = {
        "ScanRes": _MPP,
        "Magnification": 20,
        "Z-layers": z_layers[0],
        "Z-spacing": z_layers[1],
        "ScannerModel": f"{model} {secret.number()}",
        **{key: secret.number() for key in ("UnitNumber", "Barcode1D", "BarCode1", "UniqueID")},
        **{key: secret.word() for key in ("Barcode2D", "BarCode2", "BaseName", "JP2FileName")},
        **{key: secret.word() for key in ("UserName", "OperatorID", "CaseID", "SampleID")},
        **{
            key: secret.name() for key in ("SlideAnnotation", "PatientName", "LabelText", "Comment")
        },
        **{key: secret.date() for key in ("BuildDate", "ScanDate", "StartTime", "EndTime")},
        "DeviceSerialNumber": secret.number(),
        "BuildVersion": secret.number(),
        secret.word(): secret.word(),
    }
    attributes = " ".join(f"{key}={quote}{value}{quote}" for key, value in said.items())
    element = f"<iScan {attributes}><{secret.word()}>{secret.word()}</{secret.drawn[-2]}></iScan>"
    return f"<Metadata>{element}</Metadata>" if in_metadata else f"<?xml version='1.0'?>{element}"


def _areas(
    columns, overlap, joints, second_area, *, scanned_last: bool, is_same: bool
) -> list[str]:
    areas = []
    left = 0
    for number, across in enumerate(columns):
        beside = second_area if number and second_area else (0, 0)
        scanned = int(number == 0 or scanned_last)
        inside = "" if joints == "none" else _joints(across, overlap, joints, is_same=is_same)
        areas.append(
            f'<ImageInfo AOIScanned="{scanned}" AOIIndex="{number}" Width="{_TILE}"'
            f' Height="{_TILE_LENGTH}" NumRows="{_DOWN}" NumCols="{across}"'
            f' Pos-X="{left + beside[0]:.1f}" Pos-Y="{beside[1]:.1f}">'
            f"{inside if scanned else ''}</ImageInfo>"
        )
        left += across * _TILE
    return areas


def _joints(across: int, overlap: tuple[object, object], kind: Joints, *, is_same: bool) -> str:
    """Return every joint; tiles count from the lower left, back and forth like a serpent."""

    def tile(column: int, row: int) -> int:
        along = column if row % 2 == 0 else across - 1 - column
        return row * across + along + 1

    pairs = [("RIGHT", tile(c, r), tile(c + 1, r)) for r in range(_DOWN) for c in range(across - 1)]
    pairs += [("UP", tile(c, r), tile(c, r + 1)) for r in range(_DOWN - 1) for c in range(across)]
    written = []
    for index, (direction, one, other) in enumerate(pairs):
        x, y = overlap if index == len(pairs) - 1 else ("0", "0")
        if is_same:
            x, y = (overlap[0], 0) if direction == "RIGHT" else (0, overlap[1])
        if kind == "unreadable":
            x = "DOE"
        written.append(
            f'<TileJointInfo FlagJoined="1" Confidence="98" Direction="{direction}"'
            f' Tile1="{one}" Tile2="{other}" OverlapX="{x}" OverlapY="{y}"/>'
        )
    return "".join(written)


def _encode_info(secret, areas: list[str]) -> str:
    origins, left = "", 0
    for number, area in enumerate(areas):
        origins += f'<AOI{number} OriginX="{left}" OriginY="0"/>'
        left += int(area.split('NumCols="')[1].split('"')[0]) * _TILE
    return (
        f'<EncodeInfo Ver="2"><SlideInfo {secret.word()}="{secret.word()}"/>'
        f"<SlideStitchInfo>{''.join(areas)}</SlideStitchInfo><AoiOrigin>{origins}</AoiOrigin>"
        f"<!-- {secret.word()} --></EncodeInfo>"
    )
