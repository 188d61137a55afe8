"""What the ledger holds of one slide."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path


class State(StrEnum):
    """Where a slide is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    GONE = "gone"
    """It was not converted, and is no longer where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What a slide left in the output folder; only names of ours."""

    study: str
    series: tuple[str, ...]
    certificate: str
    digests: tuple[str | None, ...] = ()
    """Of the instances, if they were read back."""
    byte_count: int = 0
    frames: int = 0
    files: tuple[tuple[str, int], ...] = ()
    """Path below the study and byte count of each; what an earlier version wrote has none."""
    certificate_sha256: str | None = None
    routes: Mapping[str, int] = field(default_factory=dict)
    """How many frames took which route."""
    doubt: str | None = None
    """What its levels show that may identify, or why they cannot be searched for it."""

    def to_json(self) -> str:
        """Return what `from_json` takes."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Outputs":
        """Return what `to_json` was called on, be it that of the first version."""
        stored = json.loads(text)
        if isinstance(stored, list):
            names = ("study", "series", "certificate", "digests", "byte_count", "frames")
            stored = dict(zip(names, stored, strict=True))
        stored["series"] = tuple(stored["series"])
        digests = stored.pop("sha256", None)  # of an earlier version
        stored["digests"] = tuple(stored["digests"] if digests is None else digests)
        stored["files"] = tuple((name, size) for name, size in stored.get("files", ()))
        return cls(**stored)

    @property
    def is_read_back(self) -> bool:
        """Whether all instances were read back and compared with the slide."""
        return bool(self.digests) and None not in self.digests

    def are_in(self, out: Path) -> bool:
        """Tell whether they are there, with the lengths they had."""
        study = out / self.study
        files = self.files or ((self.certificate, None),)
        try:
            return all(
                size in (None, (study / name).stat(follow_symlinks=False).st_size)
                for name, size in files
            )
        except OSError:
            return False

    def paths(self, out: Path) -> Iterator[Path]:
        """Yield certificate and folders, in the order in which they may go."""
        yield out / self.study / self.certificate
        for series in self.series:
            yield out / self.study / series

    def remove_but(self, kept: "Outputs", out: Path) -> None:
        """Remove what an earlier state of a slide left, but for what the new one replaced."""
        new = set(kept.paths(out))
        for path in self.paths(out):
            if path in new:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        with suppress(OSError):
            (out / self.study).rmdir()


UNLINKED_BYTE_COUNT = -1
"""Of a row that does not say which slide it is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRecord:
    """A row of the ledger."""

    number: int
    path: Path = field(repr=False)
    """As the operator gave it; it is told from others by where it leads."""
    byte_count: int
    mtime_ns: int
    state: State
    reason: str | None
    hint: str | None
    attempts: int
    policy_sha256: str | None
    seconds: float | None
    updated: str
    outputs: Outputs | None
    stale: Outputs | None
    """What an earlier state of the slide left, to be removed once the new is there."""
    made_with: str | None = field(repr=False)
    """What decided over its outputs beside the slide, see `Making`."""
    quick_digest: str | None = field(repr=False)
    seed: bytes | None = field(repr=False)
    """What random names are made of, until the slide is done."""
    set_aside: str | None
    """Name of the study in the quarantine that the slide became, until it is done."""

    @property
    def is_unlinked(self) -> bool:
        """Whether nobody keeps what the slide became: digests stand for all that is of it."""
        return self.byte_count == UNLINKED_BYTE_COUNT


COLUMNS = (
    *("number", "path", "byte_count", "mtime_ns", "state", "reason", "hint", "attempts"),
    *("policy_sha256", "seconds", "updated", "outputs", "stale", "made_with", "quick_digest"),
    *("seed", "set_aside"),
)
ADDED_COLUMNS = frozenset({"set_aside"})
"""Those that tables of the same version may not have yet."""
NEW_COLUMNS = ADDED_COLUMNS | {"made_with", "quick_digest"}
"""Those that the first version did not have."""


def record_of(row: tuple[object, ...]) -> SlideRecord:
    """Return the record of a row that has the columns of `COLUMNS`."""
    values = dict(zip(COLUMNS, row, strict=True))
    for name in ("outputs", "stale"):
        text = values[name]
        values[name] = Outputs.from_json(text) if isinstance(text, str) else None
    values["path"] = Path(os.fsdecode(values["path"]))  # type: ignore[arg-type] # a BLOB
    values["state"] = State(str(values["state"]))
    return SlideRecord(**values)  # type: ignore[arg-type] # the table's own types
