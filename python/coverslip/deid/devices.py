"""Names of scanners that may be written: a closed list, looked up in what a slide says."""

import re
from collections.abc import Iterable

from coverslip.model import SourceText

UNKNOWN = "Unknown"

_LEICA = "Leica Biosystems"
_APERIO = "Aperio"
_HAMAMATSU = "Hamamatsu"
_VENTANA = "Ventana"
_3DHISTECH = "3DHISTECH"

_MODELS = (
    (_LEICA, "Aperio GT 450 DX", r"GT ?450 ?DX"),
    (_LEICA, "Aperio GT 450", r"GT ?450"),
    (_LEICA, "Aperio AT2 DX", r"AT2 ?DX"),
    (_LEICA, "Aperio AT2", r"AT2"),
    (_LEICA, "Aperio AT Turbo", r"AT ?Turbo"),
    (_LEICA, "Aperio CS2", r"(?:ScanScope ?)?CS2"),
    (_LEICA, "Aperio CSO", r"CSO"),
    (_LEICA, "Aperio LV1", r"LV1"),
    (_LEICA, "Aperio VERSA 200", r"VERSA ?200"),
    (_LEICA, "Aperio VERSA 8", r"VERSA ?8"),
    (_LEICA, "Aperio VERSA", r"VERSA"),
    (_LEICA, "SCN400 F", r"SCN ?400 ?F"),
    (_LEICA, "SCN400", r"SCN ?400"),
    (_APERIO, "ScanScope AT", r"ScanScope ?AT"),
    (_APERIO, "ScanScope CS", r"ScanScope ?CS"),
    (_APERIO, "ScanScope FL", r"ScanScope ?FL"),
    (_APERIO, "ScanScope GL", r"ScanScope ?GL"),
    (_APERIO, "ScanScope OS", r"ScanScope ?OS"),
    (_APERIO, "ScanScope T2", r"ScanScope ?T2"),
    (_APERIO, "ScanScope T3", r"ScanScope ?T3"),
    (_APERIO, "ScanScope XT", r"ScanScope ?XT"),
    (_APERIO, "ScanScope", r"ScanScope"),
    (_HAMAMATSU, "NanoZoomer S360MD", r"S360 ?MD|C13220-?2[01]MD[A-Z]*"),
    (_HAMAMATSU, "NanoZoomer S360", r"S360|C13220(?:-\d\d)?"),
    (_HAMAMATSU, "NanoZoomer S210", r"S210|C13239(?:-\d\d)?"),
    (_HAMAMATSU, "NanoZoomer S60", r"S60|C13210(?:-\d\d)?"),
    (_HAMAMATSU, "NanoZoomer S20MD", r"S20 ?MD"),
    (_HAMAMATSU, "NanoZoomer SQ", r"NanoZoomer[ -]?SQ|C13140(?:-\d\d)?"),
    (_HAMAMATSU, "NanoZoomer XR", r"NanoZoomer[ -]?XR|C12000(?:-\d\d)?"),
    (_HAMAMATSU, "NanoZoomer 2.0-HT", r"2\.0-?HT|C9600(?:-\d\d)?"),
    (_HAMAMATSU, "NanoZoomer 2.0-RS", r"2\.0-?RS|C10730(?:-\d\d)?"),
    (_HAMAMATSU, "NanoZoomer", r"NanoZoomer"),
    ("Philips", "Ultra Fast Scanner", r"Ultra Fast Scanner|UFS(?: Scanner)?"),
    ("Philips", "SG300", r"SG ?300"),
    ("Philips", "SG60", r"SG ?60"),
    ("Philips", "SG20", r"SG ?20"),
    (_VENTANA, "DP 600", r"DP ?600"),
    (_VENTANA, "DP 200", r"DP ?200"),
    (_VENTANA, "iScan Coreo", r"iScan Coreo(?: Au)?|Coreo"),
    (_VENTANA, "iScan HT", r"iScan HT"),
    (_VENTANA, "iScan", r"iScan"),
    (_3DHISTECH, "Pannoramic 1000", r"P(?:ANNORAMIC )?1000"),
    (_3DHISTECH, "Pannoramic 250", r"P(?:ANNORAMIC ?)?250(?: Flash(?: I{1,3})?)?"),
    (_3DHISTECH, "Pannoramic", r"PANNORAMIC"),
    ("Akoya Biosciences", "PhenoImager HT", r"PhenoImager HT|Vectra ?Polaris"),
    ("Akoya Biosciences", "Vectra 3", r"Vectra 3"),
    ("Evident", "VS200", r"VS200"),
    ("Grundium", "Ocus 40", r"Ocus ?40"),
    ("Grundium", "Ocus 20", r"Ocus ?20"),
    ("Grundium", "Ocus", r"Ocus"),
    ("Motic", "EasyScan", r"EasyScan(?: Pro| One| Infinity)?"),
    ("Trestle", "MedScan", r"MedScan"),
)
"""Manufacturer, model, how texts spell it; of several that fit, the first counts."""

_MANUFACTURERS = (
    (_LEICA, r"Leica"),
    (_APERIO, r"Aperio"),
    (_HAMAMATSU, r"Hamamatsu"),
    ("Philips", r"Philips"),
    (_VENTANA, r"Ventana|Roche"),
    (_3DHISTECH, r"3D ?HISTECH"),
    ("Akoya Biosciences", r"Akoya|PerkinElmer"),
    ("Evident", r"Evident"),
    ("Olympus", r"Olympus"),
    ("Grundium", r"Grundium"),
    ("Huron", r"Huron"),
    ("KFBIO", r"KFBIO|Kfbio"),
    ("Mikroscan", r"Mikroscan"),
    ("Motic", r"Motic"),
    ("Trestle", r"Trestle"),
    ("Zeiss", r"(?:Carl )?Zeiss"),
)

_DEVICE_CHARACTERS = 4096
"""Where a scanner's name stands in a text; some have millions of characters, a profile for one."""


def device_of(texts: Iterable[SourceText]) -> tuple[str, str]:
    """Return manufacturer and model by our names, from the first text that tells most."""
    revealed = [text.reveal()[:_DEVICE_CHARACTERS] for text in texts]
    for text in revealed:
        for manufacturer, model, pattern in _MODELS:
            if _contains(text, pattern):
                return manufacturer, model
    for text in revealed:
        for manufacturer, pattern in _MANUFACTURERS:
            if _contains(text, pattern):
                return manufacturer, UNKNOWN
    return UNKNOWN, UNKNOWN


def _contains(text: str, pattern: str) -> bool:
    """Return whether a text has a name between characters that are neither letter nor digit."""
    return bool(re.search(rf"(?<![0-9A-Za-z])(?:{pattern})(?![0-9A-Za-z])", text, re.IGNORECASE))
