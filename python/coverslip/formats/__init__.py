"""The formats that coverslip knows, from the most specific sign to the generic one."""

import functools
from functools import partial
from importlib import metadata
from pathlib import Path

from coverslip.errors import CoverslipError, PolicyError, UnsupportedSlideError
from coverslip.formats import (
    argos,
    generic,
    indica,
    keyed,
    ndpi,
    ndpis,
    ome,
    ome_files,
    philips,
    qptiff,
    refused,
    scn,
    svs,
    ventana,
)
from coverslip.formats.base import Format
from coverslip.model import Slide, SourceText
from coverslip.tiff import TextFile, Tiff, first_directory, is_plain
from coverslip.tiff.tags import IMAGE_DESCRIPTION

FORMATS: tuple[Format, ...] = (
    ndpi.HamamatsuNdpi(),
    philips.PhilipsTiff(),
    scn.LeicaScn(),
    ventana.Ventana(),
    ome.OmeTiff(),
    qptiff.Qptiff(),
    svs.AperioSvs(),
    refused.OlympusVsi(),
    argos.Argos(),
    indica.IndicaHalo(),
    keyed.TRESTLE,
    keyed.HURON,
    keyed.MOTIC,
    keyed.MIKROSCAN,
    keyed.HISTECH,
)
"""Those that come with coverslip and have a sign of their own."""

GENERIC: Format = generic.GenericTiff()
"""Takes what nobody else knows."""

ENTRY_POINTS = "coverslip.formats"
"""Group of entry points under which other packages offer formats: objects like `Format`."""


@functools.cache
def offered() -> tuple[Format, ...]:
    """Return the formats of other packages, in the order of their names.

    Raises
    ------
    PolicyError
        If one of them cannot be loaded: a slide would be taken for something else then.
    """
    found = sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda point: point.name)
    return tuple(_loaded(point) for point in found)


def _loaded(point: metadata.EntryPoint) -> Format:
    try:
        loaded = point.load()
        known: Format = loaded() if isinstance(loaded, type) else loaded
    except Exception as error:
        raise PolicyError(
            f"the format {point.name} of another package cannot be loaded",
            hint="repair or uninstall the package that offers it",
        ) from error
    return known


def detect(tiff: Tiff) -> Slide:
    """Return the slide that a TIFF holds.

    Raises
    ------
    UnsupportedSlideError
        If it is of a format that is not supported, which the message names, or of none.
    SourceError
        If it is damaged.
    """
    for known in FORMATS:
        if known.matches(tiff):
            return known.read(tiff)
    for known in offered():
        slide = _of_another_package(known, tiff)
        if slide is not None:
            return slide
    if GENERIC.matches(tiff):
        return GENERIC.read(tiff)
    raise UnsupportedSlideError(
        "the TIFF holds no tiled picture, so it is no slide that can be copied"
    )


def names_of_files(path: Path) -> list[str | None]:
    """Return the names of the files of a slide, the first one first; ``None`` is the given one.

    Raises
    ------
    CoverslipError, OSError
        If the file cannot be read, or makes no sense.
    """
    with first_directory(path) as (directory, folder):
        if isinstance(directory, TextFile):
            return _plain([None, *ndpis.names_of(directory.text())])
        if not ome_files.is_described(directory):
            return [None]
        text = directory.text(IMAGE_DESCRIPTION) or SourceText("")
        return _plain(ome_files.names_of(text, path.name, partial(ome_files.text_in, folder)))


def _plain(names: list[str | None]) -> list[str | None]:
    """Return names if they are all of one folder; else the given file is what can be told of."""
    return names if all(name is None or is_plain(name) for name in names) else [None]


def _of_another_package(known: Format, tiff: Tiff) -> Slide | None:
    """Return the slide if it is of this format; foreign errors are not shown, they may quote it."""
    failed = UnsupportedSlideError("the format of another package cannot read the slide")
    try:
        slide = known.read(tiff) if known.matches(tiff) else None
    except CoverslipError:
        raise
    except Exception:  # noqa: BLE001 (whatever it is)
        slide = None
    else:
        if slide is None or (isinstance(slide, Slide) and slide.levels):
            return slide
    raise failed
