"""Every cap on what a TIFF may ask of the Python side; the core has its own in ``limits.rs``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps on untrusted input, each with its reason. An error names the field."""

    directories: int = 4096
    """A slide has some tens; z-stacks and channels some hundreds."""
    tags_in_directory: int = 4096
    """Vendors write below a hundred."""
    value_bytes: int = 64 << 20
    """Largest value that is read whole: some XML descriptions hold pictures in Base64."""
    metadata_bytes: int = 256 << 20
    """All values of all directories together, those of tiles aside: many tags may point at the
    same bytes, so a small file can claim far more than it has."""
    description_characters: int = 1 << 20
    """Most of a description that is taken apart into keys; the rest is one unknown item."""
    description_keys: int = 256
    """Most keys of one description, for the same reason; vendors write below a hundred."""
    tiles: int = 50_000_000
    """Tiles and strips of all directories together, 16 bytes each; a slide of 20 GB has about a
    million."""
    overview_pixels: int = 6 << 20
    """An overview that is to be masked is decoded and searched many times; cameras take one or
    two million."""
    searched_pixels: int = 32 << 20
    """Of the lowest level, which is decoded and searched: some 0.3 seconds."""


LIMITS = Limits()
