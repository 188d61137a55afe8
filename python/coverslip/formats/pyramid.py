"""What all tiled pyramids share: directories as levels, and what may be none."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coverslip.errors import LimitError, SourceError, UnsupportedSlideError
from coverslip.formats.likeness import BITS_PER_SAMPLE, SAMPLES_PER_PIXEL, size_of
from coverslip.formats.raster import is_decoded, piece_ranges, raster_level
from coverslip.formats.spacings import resolution
from coverslip.limits import LIMITS
from coverslip.model import (
    AssociatedImage,
    ItemKind,
    Level,
    Mosaic,
    Picture,
    RawMetadata,
    Role,
    SourceItem,
    SourceText,
    StoredPixels,
    Strips,
    TileIndex,
    Uint64Array,
)
from coverslip.tiff import Directory, Tiff
from coverslip.tiff.tags import (
    ICC_PROFILE,
    IMAGE_DEPTH,
    JPEG_TABLES,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    TILE_LENGTH,
    TILE_WIDTH,
    split_at_end,
)

_COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _ORIENTATION, _PLANAR = 259, 262, 266, 274, 284
_ROWS_PER_STRIP, _PREDICTOR = 278, 317
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _TILE_DEPTH = 338, 339, 32998
_MAX_FRAME_SIDE = 65535
"""Rows and Columns are 16-bit unsigned in DICOM."""
_JPEG = 7
CUT_FRAME = 1024
"""Side of the frames that a picture is cut into, the same on all levels: readers ask for that."""
_ANEW = (
    "write its pixels anew without loss, with `tiffcp -c zip` for example, and convert that with "
    "--allow-pixel"
)
"""What can be done about a codec that is not decoded here."""

COPIED = {7: "JPEG", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000"}
REFUSED = {6: "old-style JPEG", 34892: "lossy DNG JPEG"}


def to_level(directory: Directory) -> Level:
    """Return a directory as a level, tiled or in strips, even if none of it can go out.

    Such a level says why it is refused, so that it can be shown beside the others.

    Raises
    ------
    SourceError
        If its numbers make no sense.
    LimitError
        If it is larger than a level may be.
    """
    try:
        return _accepted(directory)
    except UnsupportedSlideError as error:
        return _refused(directory, error)


def _check_count(directory: Directory, frames: int) -> None:
    if frames > LIMITS.tiles:
        raise LimitError(
            f"{directory.place} needs {frames} frames, more than the limit tiles = {LIMITS.tiles}"
        )


def _refused(directory: Directory, error: UnsupportedSlideError) -> Level:
    """Return what can be told of a level that is refused: its tiles are not."""
    width, length = size_of(directory)
    tile_width = directory.integer(TILE_WIDTH, width)
    tile_length = directory.integer(TILE_LENGTH, directory.integer(_ROWS_PER_STRIP, length))
    if min(width, length, tile_width, tile_length) < 1:
        raise SourceError(f"{directory.place} has a width or length of 0") from None
    if not directory.is_tiled:
        tile_length = min(tile_length, length)
    across, down = -(-width // tile_width), -(-length // tile_length)
    _check_count(directory, across * down)
    level = _as_its_tags_say(directory, (tile_width, tile_length), no_tiles(across, down))
    return replace(level, refused=error.with_traceback(None))


def _as_its_tags_say(directory: Directory, frame: tuple[int, int], tiles: TileIndex) -> Level:
    """Return a level with the size and samples of its tags, and frames of a width and length."""
    width, length = size_of(directory)
    return Level(
        ifd=directory.number,
        image_width=width,
        image_length=length,
        tile_width=frame[0],
        tile_length=frame[1],
        samples_per_pixel=directory.integer(SAMPLES_PER_PIXEL, 1),
        bits_per_sample=(directory.integers(BITS_PER_SAMPLE) or (1,))[0],
        compression=directory.integer(_COMPRESSION, 1),
        photometric_interpretation=directory.integer(_PHOTOMETRIC, -1),
        tiles=tiles,
        spacing=resolution(directory),
    )


def _accepted(directory: Directory) -> Level:
    """Return a level that may go out; see `to_level`."""
    _check_structure(directory)
    if is_decoded(directory):
        return raster_level(directory, resolution(directory))
    if not directory.is_tiled:
        return _accepted_picture(directory)
    width, length = size_of(directory)
    tile_width, tile_length = directory.integer(TILE_WIDTH, 0), directory.integer(TILE_LENGTH, 0)
    if min(width, length, tile_width, tile_length) < 1:
        raise SourceError(f"{directory.place} has a width or length of 0")
    if max(tile_width, tile_length) > _MAX_FRAME_SIDE:
        raise UnsupportedSlideError(
            f"{directory.place} has tiles of {tile_width}x{tile_length}, more than a frame can have"
        )
    across, down = -(-width // tile_width), -(-length // tile_length)
    is_planar = directory.integer(_PLANAR, 1) != 1
    tiles = no_tiles(across, down) if is_planar else _tile_index(directory, across, down)
    return replace(
        _as_its_tags_say(directory, (tile_width, tile_length), tiles),
        jpeg_tables=directory.raw(JPEG_TABLES),
        picture=_planes(directory, across, down) if is_planar else None,
    )


def _planes(directory: Directory, across: int, down: int) -> Mosaic:
    """Return JPEG tiles of one colour each, three at each place."""
    planes = directory.integer(SAMPLES_PER_PIXEL, 1)
    offsets, byte_counts = piece_ranges(directory, across * down * planes)
    return Mosaic(
        offsets=offsets,
        byte_counts=byte_counts,
        across=across,
        tile_width=directory.integer(TILE_WIDTH, 0),
        tile_length=directory.integer(TILE_LENGTH, 0),
        planes=planes,
    )


def no_tiles(across: int, down: int) -> TileIndex:
    """Return the frames that a level is cut into, without data."""
    none = np.zeros(across * down, np.uint64)
    return TileIndex(offsets=none, byte_counts=none, across=across, down=down)


def picture_level(directory: Directory, starts: Uint64Array | None = None) -> Level:
    """Return a directory that is not tiled: one JPEG in one strip, or JPEG strips.

    Parameters
    ----------
    directory
        The directory.
    starts
        Where the restart intervals of its one JPEG begin, from its own start, if the file says so.

    Raises
    ------
    SourceError
        If its numbers make no sense.
    LimitError
        If it is larger than a level may be.
    """
    try:
        return _accepted_picture(directory, starts)
    except UnsupportedSlideError as error:
        return _refused(directory, error)


def _accepted_picture(directory: Directory, starts: Uint64Array | None = None) -> Level:
    """Return a level that is not tiled and may go out; see `picture_level`."""
    _check_structure(directory)
    if directory.integer(_COMPRESSION, 1) != _JPEG:
        raise UnsupportedSlideError(
            f"{directory.place} is stored in strips that are not JPEG, which are not joined"
        )
    width, length = size_of(directory)
    if min(width, length) < 1:
        raise SourceError(f"{directory.place} has a width or length of 0")
    across, down = -(-width // CUT_FRAME), -(-length // CUT_FRAME)
    _check_count(directory, across * down)
    return replace(
        _as_its_tags_say(directory, (CUT_FRAME, CUT_FRAME), no_tiles(across, down)),
        jpeg_tables=directory.raw(JPEG_TABLES),
        picture=_stored_picture(directory, length, starts),
    )


def _stored_picture(
    directory: Directory, length: int, starts: Uint64Array | None
) -> Picture | Strips:
    offsets, counts = directory.array(STRIP_OFFSETS), directory.array(STRIP_BYTE_COUNTS)
    rows_per_strip = min(directory.integer(_ROWS_PER_STRIP, length), length)
    if offsets is None or counts is None or rows_per_strip < 1:
        raise SourceError(f"{directory.place} has no strip offsets or no byte counts")
    strips = -(-length // rows_per_strip)
    if min(len(offsets), len(counts)) < strips or not counts[:strips].all():
        raise SourceError(f"{directory.place} has fewer strips than its {length} rows need")
    if strips == 1:
        return Picture(offset=int(offsets[0]), byte_count=int(counts[0]), starts=starts)
    return Strips(
        offsets=offsets[:strips], byte_counts=counts[:strips], rows_per_strip=rows_per_strip
    )


def told_image(directory: Directory, told: Role | None) -> AssociatedImage:
    """Return a directory as a picture that shows what the slide tells of it.

    What nothing tells of, ``None``, may be the label, so it stays with the labels.
    """
    picture = associated_image(directory, told or Role.LABEL)
    return replace(picture, is_known_label=told is Role.LABEL)


def associated_image(directory: Directory, role: Role) -> AssociatedImage:
    """Return a directory as a picture that is not a level; a LABEL only may be one."""
    width, length = size_of(directory)
    return AssociatedImage(
        ifd=directory.number,
        role=role,
        image_width=width,
        image_length=length,
        pixels=_stored_pixels(directory),
    )


def _stored_pixels(directory: Directory) -> StoredPixels | None:
    """Return where the pixels of a directory are; ``None`` if they are damaged or unusual.

    A slide is never refused for one of its small pictures.
    """
    width, length = size_of(directory)
    if directory.is_tiled:
        tile = directory.integer(TILE_WIDTH, 0), directory.integer(TILE_LENGTH, 0)
    else:
        tile = width, min(directory.integer(_ROWS_PER_STRIP, length), length)
    is_plain = (
        min(width, length, *tile) > 0
        and directory.integer(_ORIENTATION, 1) == 1
        and directory.integer(_PLANAR, 1) == 1
        and directory.integer(_FILL_ORDER, 1) == 1
        and set(directory.integers(BITS_PER_SAMPLE)) == {8}
        and not directory.integers(_EXTRA_SAMPLES)
    )
    if not is_plain or max(width, length) > _MAX_FRAME_SIDE:
        return None
    try:
        tiles = _tile_index(directory, -(-width // tile[0]), -(-length // tile[1]))
    except (SourceError, LimitError):
        return None
    return StoredPixels(
        image_width=width,
        image_length=length,
        tile_width=tile[0],
        tile_length=tile[1],
        is_tiled=directory.is_tiled,
        samples_per_pixel=directory.integer(SAMPLES_PER_PIXEL, 1),
        compression=directory.integer(_COMPRESSION, 1),
        photometric_interpretation=directory.integer(_PHOTOMETRIC, -1),
        predictor=directory.integer(_PREDICTOR, 1),
        tiles=tiles,
        jpeg_tables=directory.raw(JPEG_TABLES),
    )


def _check_structure(directory: Directory) -> None:
    def refuse(why: str, hint: str | None = None) -> None:
        raise UnsupportedSlideError(f"{directory.place} {why}", hint=hint)

    compression = directory.integer(_COMPRESSION, 1)
    if compression not in COPIED and not is_decoded(directory):
        name = REFUSED.get(compression, "an unknown codec")
        refuse(f"has {name} tiles (compression {compression}), which are not copied yet", _ANEW)
    if directory.integer(_ORIENTATION, 1) != 1:
        refuse("is stored turned or mirrored (tag 274 Orientation is not 1)")
    is_merged = directory.is_tiled and compression == _JPEG
    if directory.integer(_PLANAR, 1) != 1 and not (is_merged or is_decoded(directory)):
        refuse("stores its colours apart (tag 284 PlanarConfiguration is not 1)")
    if directory.integer(IMAGE_DEPTH, 1) != 1 or directory.integer(_TILE_DEPTH, 1) != 1:
        refuse("is a volume (tag 32997 ImageDepth is not 1)")
    if directory.integer(_FILL_ORDER, 1) != 1:
        refuse("stores its bits reversed (tag 266 FillOrder is not 1)")
    if directory.integers(_EXTRA_SAMPLES):
        refuse("has an alpha channel (tag 338 ExtraSamples)")
    if set(directory.integers(_SAMPLE_FORMAT)) - {1}:
        refuse("has samples that are not unsigned integers (tag 339 SampleFormat)")
    if len(set(directory.integers(BITS_PER_SAMPLE))) > 1:
        refuse("has samples of different depths (tag 258 BitsPerSample)")
    if directory.integer(SAMPLES_PER_PIXEL, 1) not in (1, 3):
        refuse("has neither one nor three samples a pixel (tag 277)")
    width, length = size_of(directory)
    if width * length > LIMITS.level_pixels:
        raise LimitError(
            f"{directory.place} has {width}x{length} pixels, more than the limit "
            f"level_pixels = {LIMITS.level_pixels}"
        )


def _tile_index(directory: Directory, across: int, down: int) -> TileIndex:
    offsets, byte_counts = piece_ranges(directory, across * down)
    return TileIndex(offsets=offsets, byte_counts=byte_counts, across=across, down=down)


def private_ranges(tiff: Tiff, levels: Iterable[Level]) -> npt.NDArray[np.uint64]:
    """Return offset and byte count of everything that no frame may touch, shape (n, 2).

    That is the header of each file, its directories, their values, and all pictures that are no
    level; and files that are texts.
    A picture without a length is private up to whatever else is private behind it.
    """
    level_ifds = {ifd for level in levels for ifd in level.ifds}
    ranges = [np.array([file.header for file in tiff.files], np.uint64)]
    for directory in tiff.directories:
        values = [directory.table, *directory.value_ranges()]
        ranges.append(np.array(values, np.uint64).reshape(-1, 2))
        ranges.append(directory.picture_ranges(is_level=directory.number in level_ifds))
    private = np.concatenate(ranges)
    is_open = private[:, 1] == 0
    starts = np.unique(np.append(private[:, 0], np.uint64(tiff.byte_count)))
    behind = np.searchsorted(starts, private[is_open, 0], side="right")
    private[is_open, 1] = starts[np.minimum(behind, len(starts) - 1)] - private[is_open, 0]
    return private


def raw_metadata(
    tiff: Tiff,
    items: Sequence[SourceItem],
    device: Sequence[SourceText],
    levels: Sequence[Level] = (),
) -> RawMetadata:
    """Return the sealed metadata: ``items`` of the format, and every text tag besides.

    A tag that the format took apart into items of that place is not told once more, but for what
    stands behind its end. The colour
    profile is that of a level, if ``levels`` are given: an overview comes from another camera.
    """
    taken = {item.place for item in items}
    others = []
    for item in (item for directory in tiff.directories for item in directory.text_items()):
        if item.place in taken:
            taken.remove(item.place)  # a tag that is there once more was not taken apart
            _, behind = split_at_end(item.text)
            if behind.reveal():
                others.append(replace(item, key=None, kind=ItemKind.UNKNOWN, text=behind))
        elif item.text.reveal():
            others.append(item)
    profiles = {d.number: profile for d in tiff.directories if (profile := d.raw(ICC_PROFILE))}
    wanted = [level.ifd for level in levels] or list(profiles)
    chosen = next((profiles[number] for number in wanted if number in profiles), None)
    others += [
        SourceItem(
            place=f"{tiff.directories[number].place} ICCProfile",
            key="ICCProfile",
            kind=ItemKind.DEVICE,
            text=SourceText(profile.decode("latin-1")),
        )
        for number, profile in profiles.items()
        if profile != chosen
    ]
    items = (*items, *others)
    places = {item.place for item in items}
    values = {
        place: value
        for directory in tiff.directories
        for place, value in directory.values()
        if place in places
    }
    return RawMetadata(
        items=items,
        device=tuple(device),
        icc_profile=chosen,
        values=values,
        structure=tuple(directory.link for directory in tiff.directories),
    )
