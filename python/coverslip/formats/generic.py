"""Generic tiled pyramids: libvips, ASAP, cuCIM, GDAL and whoever else writes plain TIFF."""

from coverslip.errors import UnsupportedSlideError
from coverslip.formats.likeness import NEW_SUBFILE_TYPE, passed_over, size_of, with_reduced
from coverslip.formats.pyramid import private_ranges, raw_metadata, to_level, told_image
from coverslip.model import LabelSide, Slide
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
        shown = [d for d in pictures if not _is_mask(d)]
        # Beside tiles, strips are a label or an overview; alone they are the slide.
        candidates = [d for d in shown if d.is_tiled] or shown
        if not candidates:
            raise UnsupportedSlideError("the TIFF holds masks only")
        base = max(candidates, key=lambda d: size_of(d)[0] * size_of(d)[1])
        chosen = with_reduced(base, candidates)
        notes = () if base.is_tiled else (_NOT_TILED,)
        levels = tuple(to_level(directory) for directory in chosen)
        rest = [d for d in pictures if d not in chosen and not _is_mask(d)]
        return Slide(
            format=self.name,
            levels=levels,
            # Nothing says what these show, so each is taken for a label.
            associated_images=tuple(told_image(d, None) for d in rest),
            metadata=raw_metadata(tiff, (), ()),
            spacing=levels[0].spacing,
            objective_power=None,
            label_side=LabelSide.RIGHT,
            private_ranges=private_ranges(tiff, levels),
            notes=notes + passed_over(base, rest),
        )


def _is_mask(directory: Directory) -> bool:
    return bool(directory.integer(NEW_SUBFILE_TYPE, 0) & _MASK)
