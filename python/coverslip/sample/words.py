"""Invented identifiers: what a laboratory would have written about a slide that never was."""

import random
from dataclasses import dataclass

_SURNAMES = ("Quillfeather", "Brambleworth", "Osterholtzer", "Vandermoolen", "Thistlebury")
_FORENAMES = ("Ottoline", "Barnaby", "Philippa", "Cornelius", "Henrietta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Everything about an invented patient that the sample gives away."""

    surname: str
    forename: str
    case: str
    barcode: str
    image_id: str
    scanner_serial: str
    operator: str
    host: str
    date: str
    time: str
    birth_date: str

    def all(self) -> tuple[str, ...]:
        """Return every identifier as it stands in the file."""
        return tuple(str(getattr(self, name)) for name in self.__slots__)


def invent(seed: int | None) -> Identity:
    """Return an identity; the same for the same seed, random for ``None``."""
    chance = random.SystemRandom() if seed is None else random.Random(f"sample {seed}")  # noqa: S311

    def digits(count: int) -> str:
        return "".join(chance.choices("0123456789", k=count))

    mark = "".join(chance.choices("BCDFGHJKLMNPRSTVWZ", k=4)).lower()
    return Identity(
        surname=chance.choice(_SURNAMES) + mark,
        forename=chance.choice(_FORENAMES) + mark[::-1],
        case=f"B{chance.randint(15, 24)}-{digits(6)}",
        barcode=f"{digits(7)}-A{chance.randint(1, 9)}-HE",
        image_id=digits(8),
        scanner_serial=f"SS{digits(6)}",
        operator=f"technician-{mark}",
        host=f"scanroom-{mark}-pc",
        date=f"{chance.randint(1, 12):02}/{chance.randint(1, 28):02}/{chance.randint(2010, 2024)}",
        time=f"{chance.randint(7, 18):02}:{chance.randint(10, 59)}:{chance.randint(10, 59)}",
        birth_date=f"19{chance.randint(30, 79)}-0{chance.randint(1, 9)}-{chance.randint(10, 28)}",
    )
