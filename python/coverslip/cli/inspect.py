"""``coverslip inspect``."""

import json
import sys
from collections import Counter
from pathlib import Path

from coverslip.colour import Samples
from coverslip.model import AssociatedImage, Level, Role, Spacing
from coverslip.routes import Route
from coverslip.slide import OpenedSlide, open


def run(path: Path, *, colour: Samples | None, allow_pixel: bool, as_json: bool) -> None:
    """Show what a slide is and what would become of it."""
    slide = open(path)
    routes = slide.routes(colour=colour, allow_pixel=allow_pixel)
    described = describe(slide, routes)
    if as_json:
        sys.stdout.write(json.dumps(described, indent=2) + "\n")
    else:
        sys.stdout.write(_text(slide, routes))


def describe(slide: OpenedSlide, routes: tuple[Route, ...]) -> dict[str, object]:
    """Return what is fit for JSON; it holds no source value."""
    return {
        "format": slide.format,
        "spacing_um": _microns(slide.spacing),
        "objective_power": slide.description.objective_power,
        "levels": [
            {
                "level": number,
                "region": level.region,
                "optical_path": level.optical_path + 1,
                "focal_planes": len(level.focal_planes),
                "ifd": level.ifd,
                "columns": level.image_width,
                "rows": level.image_length,
                "tile_columns": level.tile_width,
                "tile_rows": level.tile_length,
                "tiles": level.frame_count,
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
            {"place": f.place, "key": f.key, "kind": str(f.kind), "fate": str(f.fate)}
            for f in slide.findings
        ],
        "notes": list(slide.description.notes),
    }


def _fate(image: AssociatedImage) -> str:
    return "only if masked" if image.role is Role.OVERVIEW else "not written"


def _missing(level: Level) -> int:
    if not level.has_tiles:
        return 0
    return sum(int((plane.tiles.byte_counts == 0).sum()) for plane in level.focal_planes)


def _microns(spacing: Spacing | None) -> list[float] | None:
    if spacing is None:
        return None
    return [round(spacing.row_mm * 1000, 6), round(spacing.column_mm * 1000, 6)]


def _text(slide: OpenedSlide, routes: tuple[Route, ...]) -> str:
    spacing = slide.spacing
    lines = [
        slide.format,
        "pixel spacing  "
        + (f"{spacing.row_mm * 1000:.4g} um" if spacing else "unknown: give it with --mpp"),
        "",
        f"{'level':<7}{'columns x rows':<20}{'tiles':<18}{'codec':<18}{'route':<8}colour",
    ]
    regions = len(slide.description.regions)
    for number, (level, route) in enumerate(zip(slide.levels, routes, strict=True)):
        colour = route.frame_format.photometric_interpretation if route.frame_format else "-"
        size = f"{level.image_width} x {level.image_length}"
        tiles = f"{level.frame_count} of {level.tile_width}x{level.tile_length}"
        lines.append(f"{number:<7}{size:<20}{tiles:<18}{route.codec:<18}{route.kind:<8}{colour}")
        lines.append(f"       {route.reason}")
        if regions > 1:
            lines.append(f"       of region {level.region}, in series {level.region + 1}")
        if len(slide.description.optical_paths) > 1:
            lines.append(f"       of optical path {level.optical_path + 1}")
        if level.planes_above:
            planes = f"{len(level.focal_planes)} focal planes"
            lines.append(f"       {planes}, {level.plane_distance_um:.4g} um apart")
        lines.extend(f"       note: {note}" for note in route.notes)
    lines.extend(f"note: {note}" for note in slide.description.notes)
    hints = [route.error.hint for route in routes if route.error is not None]
    lines.extend(f"hint: {hint}" for hint in dict.fromkeys(hints) if hint is not None)
    lines += ["", "what the slide gives away, and what becomes of it in profile public:"]
    counts = Counter((f.kind, f.fate) for f in slide.findings)
    lines.extend(
        f"  {count:>4} {kind:<12} {fate}" for (kind, fate), count in sorted(counts.items())
    )
    return "\n".join(lines) + "\n"
