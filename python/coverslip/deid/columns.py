"""What the values of the operator's table must look like, column by column."""

import re
from collections.abc import Callable
from datetime import date

from coverslip.codes import codes
from coverslip.errors import PolicyError
from coverslip.model import OperatorText

Form = Callable[[str], OperatorText]
"""Returns a value as it is written.

Raises `PolicyError` for one that cannot be, with a message that does not tell it.
"""

MAX_STAINS = 6
MAX_UDI = 128
"""More than any issuing agency's have, all parts of the production identifier among them."""
_H_AND_E = "12710003 36879007"
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
"""PS3.5 9.1: components are numbers without zeros in front."""
_STANDARD = "1.2.840.10008."
_EASTERNMOST, _WESTERNMOST = 1400, -1200
"""Of offsets from UTC (PS3.3 C.12.1)."""


def form_of(column: str) -> Form:
    """Return the form of a column; most are any text of at most 64 characters."""
    return _FORMS.get(column, OperatorText)


def _short(text: str) -> OperatorText:
    """Return a text of the representation SH (PS3.5 6.2)."""
    if len(text) > 16:
        raise PolicyError("a text must have at most 16 characters")
    return OperatorText(text)


def _uid(text: str) -> OperatorText:
    """Return a UID that somebody gave to something of theirs."""
    if not _UID.fullmatch(text):
        raise PolicyError("a UID is numbers with dots between them, none with a zero in front")
    if text.startswith(_STANDARD):
        raise PolicyError("it is a UID of the standard's own")
    return OperatorText(text)


def _udi(text: str) -> OperatorText:
    """Return a Unique Device Identifier as people read it (PS3.3 10.29), whoever issued it."""
    if not re.fullmatch(r"[!-~]+", text):
        raise PolicyError("a UDI has no spaces, and no letters but those of ASCII")
    return OperatorText(text, longest=MAX_UDI)


def _name(text: str) -> OperatorText:
    if text.count("^") > 4 or "=" in text:
        raise PolicyError("a name is written Family^Given^Middle^Prefix^Suffix")
    return OperatorText(text)


def _date(text: str) -> OperatorText:
    """Return a date as ``YYYYMMDD``; it may be given as ``YYYY-MM-DD``."""
    match = re.fullmatch(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})", text)
    if match is None:
        raise PolicyError("a date is written YYYY-MM-DD")
    year, month, day = (int(match[group]) for group in (1, 3, 4))
    try:
        parsed = date(year, month, day)
    except ValueError:
        raise PolicyError("there is no such day") from None
    if not 1900 <= year <= 2099:
        raise PolicyError("a year is from 1900 to 2099")
    return OperatorText(parsed.strftime("%Y%m%d"))


def _time(text: str) -> OperatorText:
    """Return a time of day as ``HHMMSS``; it is given as ``HH:MM`` or ``HH:MM:SS``."""
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?", text)
    if match is None:
        raise PolicyError("a time is written HH:MM or HH:MM:SS")
    return OperatorText("".join(part or "00" for part in match.groups()))


def _offset(text: str) -> OperatorText:
    """Return how far the clock is from UTC, as ``+HHMM``; it may be given as ``+HH:MM``."""
    match = re.fullmatch(r"([+-][01][0-9]):?([0-5][0-9])", text)
    if match is None:
        raise PolicyError("an offset from UTC is written +HH:MM or -HH:MM")
    written = match[1] + match[2]
    # The standard knows no -0000.
    if written == "-0000" or not _WESTERNMOST <= int(written) <= _EASTERNMOST:
        raise PolicyError("an offset from UTC is from -12:00 to +14:00")
    return OperatorText(written)


def _measure(text: str) -> OperatorText:
    """Return a size or weight, whose unit the name of the column tells."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text):
        raise PolicyError("a measure is a number such as 1.72")
    return OperatorText(text)


def _smoking(text: str) -> OperatorText:
    if text.upper() not in ("YES", "NO", "UNKNOWN"):
        raise PolicyError("it is YES, NO or UNKNOWN")
    return OperatorText(text.upper())


def _sex(text: str) -> OperatorText:
    if text.upper() not in ("F", "M", "O"):
        raise PolicyError("it is F, M or O")
    return OperatorText(text.upper())


def _age(text: str) -> OperatorText:
    if not re.fullmatch(r"[0-9]{3}[DWMY]", text):
        raise PolicyError("an age is written 057Y, with D, W, M or Y")
    return OperatorText(text)


def _stains(text: str) -> OperatorText:
    """Return codes of stains; H&E, which nearly all slides have, may be given by its name."""
    words = text.upper().replace("H&E", _H_AND_E).replace(",", " ").replace("+", " ").split()
    if not words or len(words) > MAX_STAINS or not all(word in codes("stains") for word in words):
        raise PolicyError("stains are H&E, or codes of SNOMED CT that coverslip lists")
    return OperatorText(" ".join(dict.fromkeys(words)))


def _code_of(name: str) -> Form:
    """Return what reads one code of a list."""

    def parse(text: str) -> OperatorText:
        if text not in codes(name):
            raise PolicyError("it is a code of SNOMED CT that coverslip lists")
        return OperatorText(text)

    return parse


_FORMS: dict[str, Form] = {
    **dict.fromkeys(
        ("patient_name", "referring_physician", "performing_physician", "operator_name"), _name
    ),
    **dict.fromkeys(("birth_date", "study_date", "acquisition_date", "calibration_date"), _date),
    **dict.fromkeys(("study_time", "acquisition_time", "calibration_time"), _time),
    "timezone_offset": _offset,
    **dict.fromkeys(("ethnic_group", "accession_number", "study_id", "station_name"), _short),
    **dict.fromkeys(("patient_size_m", "patient_weight_kg"), _measure),
    **dict.fromkeys(("study_instance_uid", "device_uid"), _uid),
    "device_udi": _udi,
    "sex": _sex,
    "age": _age,
    "smoking_status": _smoking,
    "stains": _stains,
    **{name: _code_of(name) for name in ("fixative", "embedding", "specimen_type", "anatomy")},
}
