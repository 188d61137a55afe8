"""What other programs make of built slides: whether they show what the builder says is there.

OpenSlide is asked first, tifffile next, opentile last. A program believes a slide if it knows its
format, and shows every level and focal plane with the same pixels wherever there are tiles.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tests.interop import alike
from tests.synth import FORMATS, SynthLevel, SynthSlide

VENDORS = {
    **dict.fromkeys(("svs", "grundium"), "aperio"),
    **dict.fromkeys(("generic", "motic", "mikroscan", "3dhistech"), "generic-tiff"),
    **{"ndpi": "hamamatsu", "philips": "philips", "scn": "leica", "trestle": "trestle"},
    **{"ventana": "ventana", "huron": "huron", "argos": "argos"},
}
"""What OpenSlide calls the formats whose names begin so; the others it does not know."""
_KINDS = {"svs": "svs", "grundium": "svs", "ndpi": "ndpi", "ndpis": "ndpi", "philips": "philips",
          "scn": "scn", "ventana": "bif", "ome": "ome", "qptiff": "qpi",
          "argos": "avs"}  # fmt: skip
"""What tifffile calls them; whatever else it takes for a plain TIFF."""
_TEXTS = {".ome", ".ndpis"}
"""Files of sets that tell of the others, and hold no picture."""
_TILERS = {"ndpi": "NdpiTiler", "svs": "SvsTiler", "trestle": "TrestleTiffTiler"}
_LEAST_SHOWN = 0.75
"""Share of a level that has to be shown: of a last row that is no whole one OpenSlide has none."""


def family(name: str) -> str:
    return name.partition("-")[0]


def believer(name: str, slide: SynthSlide) -> str | None:
    """Return the first program that believes a slide."""
    programs = {"OpenSlide": by_openslide, "tifffile": by_tifffile, "opentile": by_opentile}
    return next((called for called, shows in programs.items() if shows(family(name), slide)), None)


def by_openslide(kind: str, slide: SynthSlide) -> bool:
    import openslide

    if any(level.above for level in slide.levels):
        return False  # it takes focal planes for levels
    try:
        with openslide.OpenSlide(slide.path) as opened:
            if opened.properties["openslide.vendor"] != VENDORS.get(kind):
                return False
            areas = list(_areas(opened, slide))
            return bool(areas) and all(
                _is_alike(np.asarray(opened.read_region(*area)), level) for area, level in areas
            )
    except openslide.OpenSlideError:
        return False


def _areas(opened, slide: SynthSlide) -> Iterator[tuple[object, SynthLevel]]:
    """Yield what to read of each level; of regions on one glass, each from its corner."""
    for level in slide.levels:
        first = next(base for base in slide.levels if base.region == level.region)
        downsample = round(first.width / level.width)
        corner, most = (0, 0), (level.width, level.length)
        region = f"openslide.region[{level.region}]"
        if f"{region}.x" in opened.properties:
            corner = tuple(int(opened.properties[f"{region}.{axis}"]) for axis in "xy")
        number = min(
            range(opened.level_count),
            key=lambda n: abs(opened.level_downsamples[n] - downsample),
        )
        if abs(opened.level_downsamples[number] - downsample) > 0.1 * downsample:
            yield ((0, 0), 0, (1, 1)), level  # it is not shown at all
            continue
        yield (corner, number, most), level


def by_tifffile(kind: str, slide: SynthSlide) -> bool:
    import tifffile

    with ExitStack() as files:
        try:
            paths = [path for path in slide.paths if path.suffix not in _TEXTS]
            tiffs = [files.enter_context(tifffile.TiffFile(path)) for path in paths]
        except Exception:  # noqa: BLE001 (whatever it cannot read)
            return False
        if kind in _KINDS and not all(getattr(tiff, f"is_{_KINDS[kind]}") for tiff in tiffs):
            return False
        pages = [page for tiff in tiffs for page in _pages(tiff.pages)]
        planes = (plane for level in slide.levels for plane in level.planes)
        return all(any(_shows(page, plane) for page in pages) for plane in planes)


def _pages(pages) -> Iterator[object]:
    for page in pages:
        yield page
        if page.pages is not None:
            yield from _pages(page.pages)


def _shows(page, level: SynthLevel) -> bool:
    if level.stored is not None or page.imagewidth < level.width or page.imagelength < level.length:
        return False
    if (page.imagewidth - level.width) >= 2 * level.tile or page.dtype != level.rgb.dtype:
        return False
    try:
        shown = page.asarray()
    except Exception:  # noqa: BLE001 (whatever it cannot read)
        return False
    if page.planarconfig == 2 and shown.ndim == 3:
        shown = np.moveaxis(shown, 0, -1)
    if page.photometric == 0:
        shown = np.invert(shown)
    # Focal planes may be a volume in one directory.
    return any(_is_alike(one, level) for one in (shown if page.imagedepth > 1 else [shown]))


def by_opentile(kind: str, slide: SynthSlide) -> bool:
    from opentile import OpenTile

    try:
        with OpenTile.open(slide.path, tile_size=512) as opened:
            return (
                type(opened).__name__ == _TILERS.get(kind)
                and len(opened.levels) == sum(len(level.planes) for level in slide.levels)
                and all(
                    _is_alike(_of_tiles(shown), level)
                    for shown, level in zip(opened.levels, slide.levels, strict=True)
                )
            )
    except Exception:  # noqa: BLE001 (whatever it cannot read)
        return False


def _of_tiles(level) -> np.ndarray:
    return np.concatenate(
        [
            np.concatenate(
                [level.get_decoded_tile((x, y)) for x in range(level.tiled_size.width)], axis=1
            )
            for y in range(level.tiled_size.height)
        ]
    )


def _is_alike(shown: np.ndarray, level: SynthLevel) -> bool:
    """Tell whether a picture is that of a level, wherever there are tiles and it is shown."""
    length, width = level.rgb.shape[:2]
    shown, truth = shown[:length, :width], level.rgb
    truth = truth[: shown.shape[0], : shown.shape[1]]
    seen = _present(level)[: shown.shape[0], : shown.shape[1]]
    wanted = _LEAST_SHOWN * _present(level).mean() * length * width
    if shown.ndim == 3 and shown.shape[2] == 4:
        seen = seen & (shown[..., 3] == 255)
        shown = shown[..., :3]
    if truth.ndim == 2 and shown.ndim == 3:
        shown = shown[..., 0]
    if shown.shape != truth.shape or seen.sum() < wanted:
        return False
    distances = alike.difference(shown[seen], truth[seen])
    scale = np.iinfo(truth.dtype).max / 255
    return distances.mean() < 2.5 * scale and alike.nearly_all_within(distances, 24 * scale)


def _present(level: SynthLevel) -> np.ndarray:
    """Return where there are tiles."""
    length, width = level.rgb.shape[:2]
    seen = np.ones((length, width), bool)
    down = level.tile_length or level.tile
    across = -(-width // level.tile)
    for number, entropy in enumerate(level.entropy):
        if entropy is None:
            row, column = divmod(number, across)
            rows = slice(row * down, (row + 1) * down)
            seen[rows, column * level.tile : (column + 1) * level.tile] = False
    return seen


def build(name: str, folder: Path) -> SynthSlide:
    return FORMATS[name](folder, 5)
