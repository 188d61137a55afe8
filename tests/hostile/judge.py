"""Converts a hostile slide and judges what came of it: a typed error, or a right result."""

import re
import shutil
import traceback
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom

import coverslip
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import Given, MetadataTable
from coverslip.model import OperatorText
from tests.hostile.structure import Structure, Table, parse
from tests.interop.readers import frames_of
from tests.privacy.search import encodings_of

REFUSED, CONVERTED = "refused", "converted"
DEFLATE = (8, 32946)
PALETTE, YCBCR = 3, 6
Samples = npt.NDArray[Any]


class WrongResult(AssertionError):
    """A conversion ended as none may end; the message holds no value of a slide."""


CUSTODY = Custody(metadata=MetadataTable(rows={"*": Given(patient_id=OperatorText("4711"))}))
CHOICES: dict[str, dict[str, Any]] = {
    "public": {},
    "public, masked overview": {"overview": "mask"},
    "research": {"profile": "research", "label": "substitute"},
    "research, masked overview": {"profile": "research", "overview": "mask"},
    "care": {"profile": "care", "custody": CUSTODY},
}
"""What an operator may choose; under `care` label and overview are kept as they are."""


def judge(
    path: Path, out: Path, secrets: Sequence[str], *, deep: bool, choice: str = "public"
) -> str:
    """Convert a slide, and return what became of it.

    Parameters
    ----------
    path, out
        The slide; a folder that does not exist, and does not exist afterwards.
    secrets
        Identifiers that must not get out.
    deep
        Whether to look for them in every encoding, which takes longer.
    choice
        Of `CHOICES`.

    Raises
    ------
    WrongResult
        If it is neither refused with a typed error and nothing left behind, nor right.
    """
    try:
        try:
            result = coverslip.convert(
                path,
                out,
                mpp_um=0.5,
                allow_pixel=True,
                **CHOICES[choice],
            )
        except coverslip.CoverslipError as error:
            _check_refusal(error, out, secrets)
            if isinstance(error, coverslip.QuarantineError) and error.study_path is not None:
                _check_privacy(error.study_path, (), secrets, deep=deep)
            return f"{REFUSED} {type(error).__name__}"
        _check_privacy(out, result.notes, secrets, deep=deep)
        if len(list(out.rglob("*.dcm"))) != len(result.instances):
            raise WrongResult("there are other instances than those that are told")
        _check_fidelity(path, result)
        return CONVERTED
    finally:
        shutil.rmtree(out, ignore_errors=True)
        # Of the profiles that keep originals; what it holds is the operator's. And what was set
        # aside.
        for kind in ("vault", "quarantine"):
            shutil.rmtree(out.with_name(f"{out.name}.{kind}"), ignore_errors=True)


def _check_refusal(error: Exception, out: Path, secrets: Sequence[str]) -> None:
    text = "".join(traceback.format_exception(error)) + str(getattr(error, "hint", ""))
    if any(secret in text for secret in secrets):
        raise WrongResult("an error tells an identifier")
    if out.exists():
        raise WrongResult("a refused slide left something behind")


def _check_privacy(
    folder: Path, notes: Sequence[str], secrets: Sequence[str], *, deep: bool
) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    others = [path for path in files if path.suffix != ".dcm"]
    if len(others) != 1 or not others[0].name.endswith(".certificate.json"):
        raise WrongResult("there are other files than instances and a certificate")
    data = [path.read_bytes() for path in files]
    data.append("\n".join([*map(str, files), *notes]).encode())
    for secret in secrets:
        if secret.isdigit():
            # Random UIDs hold every number of eight digits sooner or later: it must stand alone.
            alone = re.compile(rb"(?<!\d)" + secret.encode() + rb"(?!\d)")
            is_found = any(alone.search(content) for content in data)
        else:
            forms = encodings_of(secret) if deep else (secret.encode(),)
            is_found = any(form in content for form in forms for content in data)
        if is_found:
            raise WrongResult("an identifier is in the output")


def _check_fidelity(path: Path, result: coverslip.Result) -> None:
    """Compare each frame with its tile, read again by other code."""
    opened = coverslip.open(path)
    levels = opened.levels
    with ExitStack() as files:
        tables: list[tuple[Structure, Table]] = []  # file after file, as directories are numbered
        for one in opened.files:
            file = files.enter_context(one.path.open("rb"))
            if file.read(2) in (b"II", b"MM"):
                structure = parse(file, one.path.stat().st_size)
                tables += [(structure, table) for table in structure.tables]
        for instance in result.instances:
            counts, frames = instance.frames, frames_of(instance.path)
            if counts.picture:
                continue  # nothing of the slide is in it as it was
            made = counts.copied + counts.stitched + counts.retiled + counts.pixel + counts.blank
            dataset = pydicom.dcmread(instance.path, stop_before_pixels=True)
            across = -(-dataset.TotalPixelMatrixColumns // dataset.Columns)
            down = -(-dataset.TotalPixelMatrixRows // dataset.Rows)
            planes, each = levels[instance.level].focal_planes, across * down
            if not len(frames) == made == each * len(planes):
                raise WrongResult("the number of frames is wrong")
            for number, plane in enumerate(planes):
                structure, table = tables[plane.ifd]
                of_plane = frames[number * each : (number + 1) * each]
                depth = structure.first(table, 32997, 1) if 32997 in table else 1
                stored = Stored(structure, table, across, _in_volume(number, depth))
                if counts.copied:
                    _compare_tiles(stored, of_plane, counts.retiled)
                elif counts.pixel and structure.first(table, 259, 1) in (1, *DEFLATE):
                    _compare_samples(stored, of_plane)


class Stored(NamedTuple):
    """Where the tiles of a focal plane are."""

    structure: Structure
    table: Table
    across: int
    """Frames in a row."""
    place: int
    """Of the plane in its directory, which may hold several (tag 32997)."""


def _in_volume(number: int, depth: int) -> int:
    """Return which plane of a volume is written at a place: the nominal one is stored first, then
    those of near focus, which are written as the lower, then those of far focus."""
    middle = depth // 2
    if depth == 1:
        return 0
    return number if number > middle else middle - number


def _tiles(stored: Stored, frames: int) -> list[bytes]:
    """Return the bytes of the tile of each frame, none where it is missing."""
    structure, table, across, place = stored
    offsets, counts = (
        structure.integers(table[tag]) if tag in table else structure.integers(table[other])
        for tag, other in ((324, 273), (325, 279))
    )
    width = -(-structure.first(table, 256) // structure.first(table, 322))
    first = place * width * -(-structure.first(table, 257) // structure.first(table, 323))
    tiles = []
    for frame in range(frames):
        tile = first + frame // across * width + frame % across
        is_there = tile < min(len(offsets), len(counts)) and offsets[tile] and counts[tile]
        tiles.append(structure.read(offsets[tile], counts[tile]) if is_there else b"")
    return tiles


def _compare_tiles(stored: Stored, frames: list[bytes], retiled: int) -> None:
    """Compare bytes; as many frames may differ as were coded anew, which the converter proves."""
    for number, tile in enumerate(_tiles(stored, len(frames))):
        if tile and entropy_of(tile) != entropy_of(frames[number]):
            retiled -= 1
            if retiled < 0:
                raise WrongResult(f"frame {number} does not hold the bytes of its tile")


def entropy_of(stream: bytes) -> bytes:
    """Return the bytes from the scan's first, or the first tile-part's, to the end marker."""
    if b"\xff\xd8" in stream[:64] and not stream.startswith(b"\xff\x4f"):
        return _jpeg_entropy(stream)
    at = stream.index(b"\xff\x4f\xff\x51") + 2
    while stream[at + 1] != 0x90:
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    parts = b""
    while stream[at : at + 2] == b"\xff\x90":
        length = int.from_bytes(stream[at + 6 : at + 10])
        end = at + length if length else stream.rindex(b"\xff\xd9")
        parts += stream[stream.index(b"\xff\x93", at) : end]
        at = end
    return parts


def _jpeg_entropy(stream: bytes) -> bytes:
    at = stream.index(b"\xff\xd8") + 2
    marker = 0
    while marker != 0xDA:
        while stream[at : at + 2] == b"\xff\xff":
            at += 1
        marker = stream[at + 1]
        at += 2 + int.from_bytes(stream[at + 2 : at + 4])
    begin = at
    while (at := stream.find(b"\xff", at)) >= 0 and at + 1 < len(stream):
        if stream[at + 1] != 0xFF and stream[at + 1] and not 0xD0 <= stream[at + 1] <= 0xD7:
            return stream[begin:at].rstrip(b"\xff")  # fill bytes, or half a marker
        at += 1 if stream[at + 1] == 0xFF else 2
    return stream[begin:].rstrip(b"\xff")


def _compare_samples(stored: Stored, frames: list[bytes]) -> None:
    """Compare decoded frames with tiles that need no codec of others, or zlib's."""
    import imagecodecs

    structure, table, _, _ = stored
    samples, bits = structure.first(table, 277, 1), structure.first(table, 258, 1)
    if 322 not in table or (structure.first(table, 284, 1) != 1 and samples > 1):
        return
    if structure.first(table, 317, 1) != 1 or structure.first(table, 262) == 0:
        return
    rows, columns = structure.first(table, 323), structure.first(table, 322)
    meaning = structure.first(table, 262)
    dtype = np.dtype("u1" if bits == 8 else structure.order + "u2")
    for number, tile in enumerate(_tiles(stored, len(frames))):
        if not tile:
            continue
        if structure.first(table, 259, 1) in DEFLATE:
            # Hostile data may hold any number of bytes more.
            tile = zlib.decompressobj().decompress(tile, rows * columns * samples * dtype.itemsize)
        if meaning == PALETTE:
            expected = _looked_up(structure, table, np.frombuffer(tile, dtype, rows * columns))
        elif meaning == YCBCR:
            expected = _colours(_ungrouped(tile, rows, columns, structure.integers(table[530])))
        else:
            expected = np.frombuffer(tile, dtype, rows * columns * samples)
        decoded = imagecodecs.jpeg2k_decode(frames[number]).ravel().astype(int)
        if np.abs(decoded - expected.ravel()).max() > (1 if meaning == YCBCR else 0):
            raise WrongResult(f"frame {number} does not hold the pixels of its tile")


def _looked_up(structure: Structure, table: Table, samples: Samples) -> Samples:
    """Return the colours of TIFF tag 320 whose numbers the samples are."""
    colours = np.array(structure.integers(table[320])).reshape(3, 256)
    return (colours >> (8 if colours.max() > 255 else 0)).astype(np.uint8)[:, samples].T


def _ungrouped(tile: bytes, rows: int, columns: int, shared: Sequence[int]) -> Samples:
    """Return YCbCr of groups of pixels that share their chroma (TIFF 6.0, section 21)."""
    wide, high = shared
    across, down = -(-columns // wide), -(-rows // high)
    each = wide * high + 2
    groups = np.frombuffer(tile, np.uint8, across * down * each).reshape(down, across, each)
    luminance = groups[..., :-2].reshape(down, across, high, wide).swapaxes(1, 2)
    luminance = luminance.reshape(down * high, across * wide, 1)
    chroma = groups[..., -2:].repeat(high, axis=0).repeat(wide, axis=1)
    return np.concatenate([luminance, chroma], axis=2)[:rows, :columns]


def _colours(ycbcr: Samples) -> Samples:
    """Return RGB of YCbCr as JFIF means it (ITU-R BT.601, full range)."""
    y, cb, cr = np.moveaxis(ycbcr.astype(float), -1, 0) - np.array([0, 128, 128])[:, None, None]
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.stack([red, green, blue], axis=-1).round().clip(0, 255)
