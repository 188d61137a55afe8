"""What a check of finished files found, by kind and place; never a value."""

from dataclasses import asdict, dataclass

EXIT_CLEAN, EXIT_FOUND, EXIT_IN_DOUBT, EXIT_UNCHECKED = 0, 1, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """Something that must not be there.

    ``file`` is a path below the folder, or a number where the path itself may identify.
    """

    file: str
    place: str
    what: str
    encoding: str | None = None
    """How a term is written, one of the names in `VerifyReport.encodings`."""

    def __str__(self) -> str:
        written = f", as {self.encoding}" if self.encoding is not None else ""
        return f"{self.file}: {self.place}: {self.what}{written}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was checked, what was found, and what could not be checked."""

    files: int
    instances: int
    frames: int
    frames_equal: int | None
    """Frames that were compared with the source, by bytes, coefficients or pixels, and are equal;
    ``None`` without it."""
    byte_count: int
    terms: int
    """Terms that were looked for; 0 if neither a source nor a list was given."""
    encodings: tuple[str, ...]
    found: tuple[Survivor, ...]
    unchecked: tuple[str, ...]
    """What should have been checked and could not be."""
    in_doubt: tuple[str, ...]
    """Instances that say themselves that a person has to look at their pixels."""
    out_of_scope: tuple[str, ...]
    """What this check does not look at."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found, nothing is in doubt and nothing was left unchecked."""
        return not (self.found or self.unchecked or self.in_doubt)

    @property
    def exit_status(self) -> int:
        """0 clean, 1 something was found, 4 something could not be checked, 3 all else is in order.

        With 3 there are instances that say themselves that a person has to look at their pixels.
        """
        if self.found:
            return EXIT_FOUND
        if self.unchecked:
            return EXIT_UNCHECKED
        return EXIT_IN_DOUBT if self.in_doubt else EXIT_CLEAN

    def to_dict(self) -> dict[str, object]:
        """Return what is fit for JSON; it holds no value of the source."""
        return {"is_clean": self.is_clean, **asdict(self)}
