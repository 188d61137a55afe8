"""Pictures that are one whole JPEG in a text of the file."""

from collections.abc import Iterator

import numpy as np

from coverslip.model import AssociatedImage, Role, StoredPixels, TileIndex

_SOS, _STAND_ALONE = 0xDA, {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG, _BLACK_IS_ZERO, _YCBCR = 7, 1, 6
"""Values of tags 259 and 262."""


def segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker segments of a JPEG up to its first scan, markers included."""
    at = 0
    while at + 2 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _STAND_ALONE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        if marker == _SOS or not at + 4 <= end <= len(stream):
            return
        yield marker, stream[at:end]
        at = end


def picture_of(stream: bytes, ifd: int, role: Role) -> AssociatedImage:
    """Return a JPEG that stands in a text of a directory as a picture that is not a level.

    The text says what it shows. One that does not say its size has no pixels.
    """
    is_label = role is Role.LABEL
    for marker, segment in segments(stream):
        if marker in _FRAMES and len(segment) >= 10:
            length, width = (int.from_bytes(segment[at : at + 2]) for at in (5, 7))
            pixels = _stored(stream, width, length, segment[9])
            return AssociatedImage(
                ifd=ifd,
                role=role,
                image_width=width,
                image_length=length,
                pixels=pixels,
                is_known_label=is_label,
            )
    return AssociatedImage(
        ifd=ifd, role=role, image_width=0, image_length=0, is_known_label=is_label
    )


def _stored(stream: bytes, width: int, length: int, samples: int) -> StoredPixels | None:
    if min(width, length) < 1 or samples not in (1, 3):
        return None
    offsets, byte_counts = np.array([[0], [len(stream)]], np.uint64)
    return StoredPixels(
        image_width=width,
        image_length=length,
        tile_width=width,
        tile_length=length,
        is_tiled=False,
        samples_per_pixel=samples,
        compression=_JPEG,
        photometric_interpretation=_BLACK_IS_ZERO if samples == 1 else _YCBCR,
        tiles=TileIndex(offsets=offsets, byte_counts=byte_counts, across=1, down=1),
        held=stream,
    )
