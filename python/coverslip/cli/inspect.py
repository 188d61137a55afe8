"""``coverslip inspect``."""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from coverslip.audit import place_class
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.stains import channel_name
from coverslip.dicom.geometry import level_spacing, region_spacing
from coverslip.errors import CoverslipError, UsageError
from coverslip.model import (
    AssociatedImage,
    CleanMetadata,
    CleanOpticalPath,
    Finding,
    ItemKind,
    Level,
    Montage,
    Picture,
    Role,
    SealedFinding,
    Spacing,
    Strips,
)
from coverslip.routes import Route
from coverslip.slide import OpenedSlide, open

PURPOSES = {
    Profile.CARE: (
        "those who treat the patient",
        "names the patient as your table does (--metadata), and shows label and overview",
    ),
    Profile.RESEARCH: (
        "a research project that was approved",
        "pseudonyms, which a key or the vault can resolve; your dates moved by whole weeks",
    ),
    Profile.PUBLIC: (
        "everybody else: publication, teaching, open data",
        "random pseudonyms that nobody keeps, no dates; what is done unless you say otherwise",
    ),
}
"""Who may get an output of a profile, and what it says of the patient."""
_WORDS = {
    ItemKind.PERSON: "names of persons",
    ItemKind.IDENTIFIER: "numbers of the case, the slide or the scan",
    ItemKind.PICTURE: "what is written on the label",
    ItemKind.DATE: "dates",
    ItemKind.NAME: "names of files",
    ItemKind.TEXT: "whatever was typed into free text",
    ItemKind.PLACE: "the computer or the institution",
    ItemKind.DEVICE: "which device scanned it",
    ItemKind.UNKNOWN: "what its vendor alone knows",
}
_ANY_FILE = ("file name", "file system times")
_MOST_NAMES = 6
_MOST_CHARACTERS = 200
"""Of a value that is shown: some are documents."""


def run(
    path: Path,
    policy: Policy,
    *,
    show_values: bool,
    as_json: bool,
) -> None:
    """Show what a slide is, what it gives away and what would become of it."""
    try:
        if not path.exists():
            raise UsageError("there is no such slide")
        slide, routes = open(path).routed(policy)
    except (CoverslipError, OSError) as error:
        if as_json:
            sys.stdout.write(json.dumps(_refusal(error), indent=2) + "\n")
        raise
    if as_json:
        described = describe(slide, routes, show_values=show_values)
        sys.stdout.write(json.dumps(described, indent=2) + "\n")
    else:
        sys.stdout.write(_text(slide, routes, show_values=show_values))


def _refusal(error: CoverslipError | OSError) -> dict[str, str | None]:
    """Return why a slide cannot even be opened, fit for JSON; a system's message names no file."""
    if isinstance(error, OSError):
        return {"error": error.strerror or type(error).__name__, "kind": "OSError", "hint": None}
    return {"error": str(error), "kind": type(error).__name__, "hint": error.hint}


def describe(
    slide: OpenedSlide, routes: tuple[Route, ...], *, show_values: bool = False
) -> dict[str, object]:
    """Return what is fit for JSON; it holds no source value unless that is wanted."""
    scrubbed = slide.scrub(Policy())
    return {
        "format": slide.format,
        "files": len(slide.files),
        "spacing_um": _microns(slide.spacing),
        "objective_power": slide.description.objective_power,
        "optical_paths": [
            {
                "optical_path": number,
                "illumination": "fluorescence" if path.is_fluorescence else "brightfield",
                "wave_length_nm": path.wave_length_nm,
                "name": name,
            }
            for number, (name, path) in enumerate(_optical_paths(slide, scrubbed.clean), 1)
        ],
        "levels": [
            {
                "level": number,
                "region": level.region,
                "optical_path": level.optical_path + 1,
                "focal_planes": len(level.focal_planes),
                "plane_distance_um": level.plane_distance_um,
                "ifd": level.ifd,
                "columns": level.image_width,
                "rows": level.image_length,
                "spacing_um": _microns(_spacing(slide, number)),
                "stored": _stored(level),
                "frame_columns": level.tile_width,
                "frame_rows": level.tile_length,
                "frames": level.frame_count,
                "missing_tiles": _missing(level),
                **route.to_dict(),
            }
            for number, (level, route) in enumerate(zip(slide.levels, routes, strict=True))
        ],
        "associated_images": [
            {"ifd": image.ifd, "role": str(image.role), "fate": _fate(image)}
            for image in slide.associated_images
        ],
        "findings": [
            {
                "place": item.finding.place,
                "key": item.finding.key,
                "kind": str(item.finding.kind),
                "fate": str(item.finding.fate),
                **_amount(item.finding),
                **({"value": _value(item)} if show_values else {}),
            }
            for item in scrubbed.sealed
        ],
        "may_tell": _may_tell(slide),
        "profiles": [
            {"profile": str(profile), "for": whom, "writes": what}
            for profile, (whom, what) in PURPOSES.items()
        ],
        "notes": list(slide.description.notes),
    }


def _amount(finding: Finding) -> dict[str, int | None]:
    """Return how much of something was found that lies beside tags and pixels."""
    if not finding.is_leftover:
        return {}
    return {
        "pieces": finding.pieces,
        "bytes": finding.byte_count,
        "streams_looked_at": finding.looked_at,
        "streams": finding.among,
    }


def _fate(image: AssociatedImage) -> str:
    return "only if masked" if image.role is Role.OVERVIEW else "not written"


def _spacing(slide: OpenedSlide, number: int) -> Spacing | None:
    """Return the spacing that the instance of a level will have, if the slide tells it."""
    if slide.spacing is None:
        return None
    level = slide.levels[number]
    base = next(
        other
        for other in slide.levels
        if (other.region, other.optical_path) == (level.region, level.optical_path)
    )
    return level_spacing(region_spacing(slide.spacing, slide.levels[0], base), base, level)


def _stored(level: Level) -> dict[str, object]:
    """Return as what the file holds the pixels of one focal plane: frames may be cut of it."""
    if isinstance(level.picture, Montage):
        return _stored(level.picture.stored)
    if isinstance(level.picture, Picture):
        kind, count, size = "picture", 1, (level.image_width, level.image_length)
    elif isinstance(level.picture, Strips):
        kind, count = "strips", len(level.picture.offsets)
        size = level.image_width, level.picture.rows_per_strip
    elif level.picture is not None:
        kind, count = "tiles", len(level.picture.offsets)
        size = level.picture.tile_width, level.picture.tile_length
    elif level.raster is not None:
        kind, count = "tiles" if level.raster.is_tiled else "strips", len(level.raster.offsets)
        size = level.raster.width, level.raster.length
    else:
        padding = 0 if level.surplus is None else len(level.surplus)
        kind, count = "tiles", level.tiles.across * level.tiles.down + padding
        size = level.tile_width, level.tile_length
    return {"kind": kind, "count": count, "columns": size[0], "rows": size[1]}


def _missing(level: Level) -> int:
    if not level.has_tiles or level.refused is not None:
        return 0
    return sum(int((plane.tiles.byte_counts == 0).sum()) for plane in level.focal_planes)


def _microns(spacing: Spacing | None) -> list[float] | None:
    if spacing is None:
        return None
    return [round(spacing.row_mm * 1000, 6), round(spacing.column_mm * 1000, 6)]


def _value(item: SealedFinding) -> str | None:
    """Return a text so that it cannot steer a terminal, ``None`` if what was found is no text."""
    if item.text is None:
        return None
    text = item.text.reveal()
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode()
    )
    return shown + ("..." if len(text) > _MOST_CHARACTERS else "")


def _text(slide: OpenedSlide, routes: tuple[Route, ...], *, show_values: bool) -> str:
    spacing = slide.spacing
    lines = [
        slide.format + (f", a set of {len(slide.files)} files" if len(slide.files) > 1 else ""),
        "pixel spacing  "
        + (f"{spacing.row_mm * 1000:.4g} um" if spacing else "unknown: give it with --mpp"),
        "",
        f"{'level':<7}{'columns x rows':<18}{'um':<8}{'frames':<20}{'codec':<15}{'route':<8}colour",
    ]
    regions = len(slide.description.regions)
    paths = _optical_paths(slide, slide.scrub(Policy()).clean)
    for number, (level, route) in enumerate(zip(slide.levels, routes, strict=True)):
        colour = route.frame_format.photometric_interpretation if route.frame_format else "-"
        size = f"{level.image_width} x {level.image_length}"
        frames = f"{level.frame_count} of {level.tile_width}x{level.tile_length}"
        microns = _microns(_spacing(slide, number))
        um = "?" if microns is None else f"{microns[0]:.4g}"
        lines.append(
            f"{number:<7}{size:<18}{um:<8}{frames:<20}{route.codec:<15}{route.kind:<8}{colour}"
        )
        lines.append(f"       {route.reason}")
        if not level.has_tiles:
            lines.append(
                "       stored as {count} {kind} of {columns}x{rows}".format(**_stored(level))
            )
        if regions > 1:
            lines.append(f"       of region {level.region}, in series {level.region + 1}")
        name, path = paths[level.optical_path]
        if path.is_fluorescence or len(paths) > 1:
            lines.append(f"       {_light(level.optical_path + 1, name, path)}")
        if level.planes_above:
            planes = f"{len(level.focal_planes)} focal planes"
            lines.append(f"       {planes}, {level.plane_distance_um:.4g} um apart")
        lines.extend(f"       note: {note}" for note in route.notes)
    lines.extend(f"note: {note}" for note in slide.description.notes)
    hints = [route.error.hint for route in routes if route.error is not None]
    lines.extend(f"hint: {hint}" for hint in dict.fromkeys(hints) if hint is not None)
    lines += ["", *_given_away(slide, show_values=show_values), "", *_advice(slide)]
    return "\n".join(lines) + "\n"


def _optical_paths(slide: OpenedSlide, clean: CleanMetadata) -> list[tuple[str, CleanOpticalPath]]:
    """Return a name of each optical path, that of a dye or a number, and what may be told of it."""
    paths = zip(slide.description.optical_paths, clean.optical_paths, strict=True)
    return [(channel_name(n, path.name), told) for n, (path, told) in enumerate(paths, 1)]


def _light(number: int, name: str, path: CleanOpticalPath) -> str:
    kind = "fluorescence" if path.is_fluorescence else "brightfield"
    wave = "" if path.wave_length_nm is None else f", lit at {path.wave_length_nm:.0f} nm"
    return f"optical path {number}: {name}, {kind}{wave}"


def _given_away(slide: OpenedSlide, *, show_values: bool) -> Iterator[str]:
    """Yield a line for each kind of thing that is found, with its fate and places."""
    yield "what the slide gives away, what becomes of it in profile public, and where it is:"
    sealed = slide.scrub(Policy()).sealed
    groups: dict[tuple[str, str], list[SealedFinding]] = {}
    for item in sealed:
        groups.setdefault((str(item.finding.kind), str(item.finding.fate)), []).append(item)
    for (kind, fate), items in sorted(groups.items()):
        places = list(dict.fromkeys(place_class(item.finding) for item in items))
        more = f" and {len(places) - _MOST_NAMES} more" if len(places) > _MOST_NAMES else ""
        shown = ", ".join(places[:_MOST_NAMES]) + more
        yield f"  {len(items):>4} {kind:<12} {fate:<9} {shown}"
        for item in items if show_values else ():
            if item.text is not None:
                yield f"         {item.finding.place}, {item.finding.key or '-'}: {_value(item)}"


def _may_tell(slide: OpenedSlide) -> list[str]:
    """Return what somebody who has the file may read from it, in plain words."""
    kinds = {f.kind for f in slide.findings if f.place not in _ANY_FILE}
    return [words for kind, words in _WORDS.items() if kind in kinds]


def _advice(slide: OpenedSlide) -> Iterator[str]:
    """Yield when the slide has to be de-identified, and for whom by which profile."""
    may_tell = _may_tell(slide)
    yield "when this slide needs to be de-identified:"
    if may_tell:
        told = f"as it is, its file may tell {', '.join(may_tell)}; give it only to those who may "
        told += "know who the patient is"
    else:
        told = "no text and no picture that may identify was found in its file; the name of the "
        told += "file, its times and the picture of the tissue may still do so"
    yield from textwrap.wrap(told, 78, initial_indent="  ", subsequent_indent="  ")
    for profile, (whom, what) in PURPOSES.items():
        yield f"  for {whom}: --profile {profile}"
        yield f"      {what}"
    yield "  what these words mean, and what cannot be excluded: docs/deidentification.md"
