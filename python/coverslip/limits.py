"""Every cap on what a TIFF may ask of the Python side; the core has its own in ``limits.rs``."""

import os
from dataclasses import dataclass, field, fields
from typing import Any

_LEAST_MEMORY = 4 << 30
"""With less address space libraries do not even load on a machine of many cores."""


def _limit(default: int, reason: str) -> Any:  # noqa: ANN401 (a field, as `dataclass` wants it)
    return field(default=default, metadata={"reason": reason})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps on untrusted input, each with its reason.

    An error names the field, ``coverslip --limit NAME=NUMBER`` changes it, and
    ``coverslip --limits`` prints them all.
    """

    directories: int = _limit(
        4096,
        "A slide has some tens; z-stacks and channels some hundreds.",
    )
    set_files: int = _limit(
        256,
        "Files of one slide, all open at once, twice; a process may usually have 1024 open. One "
        "for each channel and focal plane are some tens.",
    )
    tags_in_directory: int = _limit(
        4096,
        "Vendors write below a hundred.",
    )
    value_bytes: int = _limit(
        64 << 20,
        "Largest value that is read whole: some XML descriptions hold pictures in Base64.",
    )
    metadata_bytes: int = _limit(
        256 << 20,
        "All values of all directories together, those of tiles aside: many tags may point at "
        "the same bytes, so a small file can claim far more than it has.",
    )
    description_characters: int = _limit(
        1 << 20,
        "Most of a description that is taken apart into keys; the rest is one unknown item.",
    )
    description_keys: int = _limit(
        256,
        "Most keys of one description, for the same reason; vendors write below a hundred.",
    )
    xml_characters: int = _limit(
        64 << 20,
        "Longest XML text that is parsed; Philips' holds pictures in Base64, Ventana's each joint.",
    )
    xml_depth: int = _limit(
        64,
        "Vendors nest below twenty.",
    )
    xml_parts: int = _limit(
        2_000_000,
        "Elements and attributes of one XML text: about 200 bytes each, once parsed.",
    )
    xml_items: int = _limit(
        4096,
        "Most parts of one XML text that are findings of their own; the rest is one unknown item.",
    )
    tiles: int = _limit(
        50_000_000,
        "Tiles and strips of all directories together, 16 bytes each; a slide of 20 GB has "
        "about a million.",
    )
    profile_bytes: int = _limit(
        8 << 20,
        "Longest colour profile that is rebuilt; a longer one is left out, as is one of more "
        "tags. Those of scanners have below a megabyte.",
    )
    profile_tags: int = _limit(
        100,
        "More than any registered set of tags.",
    )
    table_bytes: int = _limit(
        1 << 20,
        "Longest value of tag 347 JPEGTables that is compared between planes; usual ones have "
        "below a kilobyte.",
    )
    overview_pixels: int = _limit(
        6 << 20,
        "An overview that is to be masked is decoded and searched many times; cameras take one "
        "or two million.",
    )
    searched_pixels: int = _limit(
        1 << 34,
        "Of a lowest level that is larger than others, of an only level mostly, which is decoded "
        "and reduced to be searched: some 80 seconds, and no more memory than a small one.",
    )
    level_pixels: int = _limit(
        1 << 38,
        "Pixels of one level, some 500,000 x 500,000: a whole glass at 100x has a third of it.",
    )
    output_bytes: int = _limit(
        1 << 30,
        "Frames of one slide together, whatever it has: many tiles may share the same bytes, "
        "and a missing one becomes a blank frame. Larger slides may write more, see "
        "`output_growth`.",
    )
    output_growth: int = _limit(
        64,
        "Frames of one slide together, for each of its own bytes: pixels of lossy WebP take "
        "some thirty times as much without loss.",
    )
    decoded_bytes: int = _limit(
        512 << 20,
        "Samples that are decoded at a time: a strip, the rows that make a row of frames, or "
        "all tiles in flight. 1024 rows of 170,000 pixels in RGB.",
    )
    lzma_bytes: int = _limit(
        128 << 20,
        "Memory of an LZMA decoder, which takes as much as the stream asks for; the strongest "
        "usual setting asks for 65 MB.",
    )
    decoder_memory_bytes: int = _limit(
        8 << 30,
        "Address space of a process that decodes: a strip of `decoded_bytes` takes several "
        "times as much on its way, and libraries reserve more than they use.",
    )
    decoder_seconds: int = _limit(
        60,
        "For one tile or strip of `decoded_bytes` at most.",
    )
    memory_bytes: int = _limit(
        32 << 30,
        "Address space of a process of ours that reads slides, but no more than three quarters "
        "of the machine's memory, where that is at least 4 GiB: the largest index of tiles "
        "takes some gigabytes, and libraries reserve more than they use.",
    )
    cpu_seconds: int = _limit(
        300,
        "Of all cores together, for a slide of any size: loading libraries and searching the "
        "lowest level take some seconds, reading its text with the extra `ocr` more.",
    )
    cpu_seconds_per_gigabyte: int = _limit(
        40_000,
        "As much more for each gigabyte of the slide. Storing and proving the pixels of "
        "strongly compressed WebP or JPEG XL took a fifth of it on 2026-11-27, progressive "
        "tiles an eightieth. Tiles that share the same bytes take their time again and again, "
        "and none of it is given.",
    )
    term_characters: int = _limit(
        4 << 20,
        "Of a slide's texts that are taken apart into terms to look for; usual slides have far "
        "fewer.",
    )
    checked_certificate_bytes: int = _limit(
        64 << 20,
        "Longest certificate that is checked with its output.",
    )
    checked_picture_bytes: int = _limit(
        256 << 20,
        "Longest label or overview that is searched for bar codes; usual ones have some megabytes.",
    )
    report_entries: int = _limit(
        2_000_000,
        "Files and folders of an output that a report walks; a slide has about a dozen.",
    )
    report_slides: int = _limit(
        2_000,
        "Slides that a page lists, about 6 kB each; the rest is counted only.",
    )
    report_pictures: int = _limit(
        200,
        "Pictures that a page holds.",
    )
    certificate_bytes: int = _limit(
        1 << 20,
        "Longest certificate that a report reads; usual ones have about 10 kB.",
    )
    pictured_bytes: int = _limit(
        64 << 20,
        "Longest file of which a report shows a picture.",
    )
    pictured_pixels: int = _limit(
        16 << 20,
        "Largest picture that a report decodes; lowest levels have below 4 million pixels.",
    )
    report_picture_bytes: int = _limit(
        14_000,
        "Pictures of one slide in a report: 19 kB in Base64.",
    )


LIMITS = Limits()
CHANGED: dict[str, int] = {}
"""What the operator changed, those of the core as well: other processes have to be told."""


def all_limits() -> list[tuple[str, int, str]]:
    """Return name, value and reason of each limit of the Python side."""
    return [
        (field.name, getattr(LIMITS, field.name), field.metadata["reason"])
        for field in fields(LIMITS)
    ]


def set_limit(name: str, value: int) -> bool:
    """Set a limit for this process, before its first slide; return whether there is one."""
    if name not in {field.name for field in fields(LIMITS)}:
        return False
    object.__setattr__(LIMITS, name, value)  # in place: every room holds this one
    CHANGED[name] = value
    return True


def process_memory() -> int:
    """Return the address space that a process may have which reads slides."""
    if "memory_bytes" in CHANGED or not hasattr(os, "sysconf"):
        return LIMITS.memory_bytes
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(LIMITS.memory_bytes, max(physical * 3 // 4, _LEAST_MEMORY))


def slide_seconds(byte_count: int) -> float:
    """Return the time of all cores that so many bytes of a slide, or of an output, may take."""
    return LIMITS.cpu_seconds + LIMITS.cpu_seconds_per_gigabyte * byte_count / 1e9
