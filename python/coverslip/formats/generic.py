"""Generic tiled pyramids: libvips, ASAP, cuCIM, GDAL and whoever else writes plain TIFF."""

from coverslip.errors import UnsupportedSlideError
from coverslip.formats.pyramid import (
    NEW_SUBFILE_TYPE,
    is_like,
    private_ranges,
    raw_metadata,
    size_of,
    to_level,
)
from coverslip.formats.raster import is_decoded
from coverslip.model import AssociatedImage, LabelSide, Role, Slide
from coverslip.tiff import Directory, Tiff

_REDUCED, _MASK = 1, 4
"""Bits of tag 254 NewSubfileType."""
_NOT_TILED = "the picture is in strips, as photographs are: see for yourself that it shows no label"


class GenericTiff:
    """A pyramid that no vendor's sign is in."""

    name = "generic tiled TIFF"

    def matches(self, tiff: Tiff) -> bool:
        """Tell whether there is any picture at all."""
        return any(min(size_of(directory)) > 0 for directory in tiff.directories)

    def read(self, tiff: Tiff) -> Slide:
        """Return the slide: the largest picture, and those that are it reduced.

        Pictures in strips count only where none is tiled: beside a pyramid they are something
        else, most often a label.
        """
        pictures = [d for d in tiff.directories if min(size_of(d)) > 0]
        candidates = [d for d in pictures if d.is_tiled and not _is_mask(d)]
        notes: tuple[str, ...] = ()
        if not candidates:
            candidates = [d for d in pictures if is_decoded(d) and not _is_mask(d)]
            notes = (_NOT_TILED,)
        if not candidates:
            raise UnsupportedSlideError(
                "the picture is stored in strips, which are not joined into frames yet"
            )
        base = max(candidates, key=lambda d: size_of(d)[0] * size_of(d)[1])
        chosen = _levels(base, candidates)
        levels = tuple(to_level(directory) for directory in chosen)
        rest = [d for d in pictures if d not in chosen and not _is_mask(d)]
        return Slide(
            format=self.name,
            levels=levels,
            # Nothing says what these show, so each is taken for a label.
            associated_images=tuple(
                AssociatedImage(
                    ifd=d.number,
                    role=Role.LABEL,
                    image_width=size_of(d)[0],
                    image_length=size_of(d)[1],
                )
                for d in rest
            ),
            metadata=raw_metadata(tiff, (), ()),
            spacing=levels[0].spacing,
            objective_power=None,
            label_side=LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            notes=notes + tuple(f"{d.place} is no level of the pyramid: not written" for d in rest),
        )


def _is_mask(directory: Directory) -> bool:
    return bool(directory.integer(NEW_SUBFILE_TYPE, 0) & _MASK)


def _levels(base: Directory, candidates: list[Directory]) -> list[Directory]:
    """Return the base and its reduced pictures, strictly smaller from one to the next."""
    levels = [base]
    for directory in sorted(candidates, key=lambda d: -size_of(d)[0] * size_of(d)[1]):
        is_smaller = size_of(directory)[0] < size_of(levels[-1])[0]
        if is_smaller and is_like(base, directory):
            levels.append(directory)
    return levels
