"""Knows slides again that were done under another path, which is gone: moved or renamed."""

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from coverslip.archive.candidates import Candidate
from coverslip.archive.database import real_path
from coverslip.archive.ledger import Ledger
from coverslip.archive.records import SlideRecord, State
from coverslip.archive.states import quick_digest
from coverslip.sets import files_of


class Moves:
    """Which rows of a ledger are of slides that now lie elsewhere.

    Parameters
    ----------
    ledger
        Which holds what became of slides before.
    candidates
        All slides of the run.
    """

    def __init__(self, ledger: Ledger, candidates: Iterable[Candidate]) -> None:
        self._rows, self._links = ledger.rows, ledger.links
        self._candidates = candidates

    def row_of(self, candidate: Candidate) -> SlideRecord | None:
        """Return the row of the same content under a path that is gone, if there is one.

        Where nobody keeps paths it is also the same time of change, and gone is what is not among
        the slides of the run.
        """
        if not self._rows.is_of_this_version:
            return None
        size, time = self._links.unlinked_stamp(candidate.byte_count, candidate.mtime_ns)
        like = "state = ? AND quick_digest IS NOT NULL AND byte_count = ?"
        found = [
            *self._rows.some(like, State.DONE, candidate.byte_count),
            *self._rows.some(f"{like} AND mtime_ns = ?", State.DONE, size, time),
        ]
        if not found:
            return None
        try:
            quick = quick_digest(files_of(candidate.path))
        except OSError:
            return None
        same = (record for record in found if self._links.is_quick(record, quick))
        return next((record for record in same if self._is_gone(record)), None)

    def follow(self, record: SlideRecord, candidate: Candidate) -> SlideRecord | None:
        """Note where a slide is now, and return its row."""
        real = real_path(candidate.path)
        if record.is_unlinked:
            self._rows.set(record.number, real=self._rows.digest(real), updated=record.updated)
        else:
            path = os.fsencode(candidate.path.absolute())
            time = candidate.mtime_ns
            self._rows.set(
                record.number, path=path, real=real, mtime_ns=time, updated=record.updated
            )
        return self._rows.one("number = ?", record.number)

    def _is_gone(self, record: SlideRecord) -> bool:
        if record.is_unlinked:
            return self._rows.place_of(record.number) not in self._here
        return is_gone(record.path)

    @cached_property
    def _here(self) -> frozenset[bytes]:
        """Digests of where the slides of the run are."""
        return frozenset(self._rows.digest(real_path(one.path)) for one in self._candidates)


def is_gone(path: Path) -> bool:
    """Tell whether a file is sure to be no longer there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # whether it is there cannot be known
    return False
