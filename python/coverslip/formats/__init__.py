"""The formats that coverslip knows, from the most specific sign to the generic one."""

from coverslip.errors import UnsupportedSlideError
from coverslip.formats import (
    argos,
    generic,
    keyed,
    ndpi,
    ome,
    philips,
    qptiff,
    refused,
    scn,
    svs,
    ventana,
)
from coverslip.formats.base import Format
from coverslip.model import Slide
from coverslip.tiff import Tiff

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
    keyed.TRESTLE,
    keyed.HURON,
    keyed.MOTIC,
    keyed.MIKROSCAN,
    keyed.HISTECH,
    generic.GenericTiff(),
)


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
    raise UnsupportedSlideError(
        "the TIFF holds no tiled picture, so it is no slide that can be copied"
    )
