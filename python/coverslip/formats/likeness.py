"""Which pictures may be levels of one pyramid, and which may not be passed over."""

from collections.abc import Iterable

from coverslip.errors import UnsupportedSlideError
from coverslip.tiff import Directory

NEW_SUBFILE_TYPE, IMAGE_WIDTH, IMAGE_LENGTH = 254, 256, 257
BITS_PER_SAMPLE, SAMPLES_PER_PIXEL = 258, 277
_ASPECT_TOLERANCE = 0.02


def size_of(directory: Directory) -> tuple[int, int]:
    """Return width and length of a directory's picture; 0 where it says nothing."""
    return directory.integer(IMAGE_WIDTH, 0), directory.integer(IMAGE_LENGTH, 0)


def is_like(base: Directory, other: Directory) -> bool:
    """Tell whether a tiled directory may be a reduced level of ``base``."""
    return _has_samples_of(base, other) and has_shape_of(base, other)


def _has_samples_of(base: Directory, other: Directory) -> bool:
    return all(
        base.integers(tag) == other.integers(tag) for tag in (SAMPLES_PER_PIXEL, BITS_PER_SAMPLE)
    )


def has_shape_of(base: Directory, other: Directory) -> bool:
    """Tell whether a picture is smaller than ``base`` and has its proportions."""
    return is_reduced(size_of(base), size_of(other))


def is_reduced(base: tuple[int, int], other: tuple[int, int]) -> bool:
    """Tell whether a size is a smaller one of the same proportions."""
    (width, length), (other_width, other_length) = base, other
    if not 0 < other_width < width or not 0 < other_length < length:
        return False
    across, down = width / other_width, length / other_length
    # Rounding by one pixel moves the ratio of a small level by more than the tolerance.
    rounding = max(across / other_width, down / other_length)
    return abs(across - down) <= _ASPECT_TOLERANCE * across + 2 * rounding


def with_reduced(base: Directory, others: Iterable[Directory]) -> list[Directory]:
    """Return the base and its reduced pictures, strictly smaller from one to the next."""
    levels = [base]
    for directory in sorted(others, key=lambda d: -size_of(d)[0] * size_of(d)[1]):
        is_smaller = size_of(directory)[0] < size_of(levels[-1])[0]
        if is_smaller and is_like(base, directory):
            levels.append(directory)
    return levels


def passed_over(base: Directory, others: Iterable[Directory]) -> tuple[str, ...]:
    """Return a note on each picture that is no level and that nothing explains.

    Raises
    ------
    UnsupportedSlideError
        If one may be a channel or focal plane of the base: it would be lost.
    """
    others = list(others)
    for other in others:
        if size_of(other) == size_of(base) and _has_samples_of(base, other):
            raise UnsupportedSlideError(
                f"{other.place} has the size and samples of {base.place}, and nothing says "
                "whether it is a channel, a focal plane or something else"
            )
    return tuple(f"{other.place} is no level of the pyramid: not written" for other in others)
