"""What a check has found so far, and in which words it says so: by place, never a value."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from coverslip import _core
from coverslip.verification import allowed, header
from coverslip.verification.files import Entry
from coverslip.verification.report import Survivor
from coverslip.verification.terms import Terms


def scanner_of(terms: Terms) -> _core.Scanner:
    """Return what looks for terms."""
    return _core.Scanner([(term.spelling, term.whole_word) for term in terms.terms])


@dataclass(kw_only=True)
class Notes:
    """What one run over a folder has found."""

    terms: Terms
    scanner: _core.Scanner
    """What looks for them."""
    found: list[Survivor] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    sizes: set[str] = field(default_factory=set)
    """Numbers that the outputs tell rightfully."""

    def problems(self, entry: Entry, problems: Iterable[tuple[str, str]]) -> None:
        """Note places, and what is wrong there."""
        shown = self._shown(entry)
        self.found.extend(Survivor(file=shown, place=place, what=what) for place, what in problems)

    def not_checked(self, entry: Entry, why: Iterable[object]) -> None:
        """Note that something of a file could not be checked."""
        self.unchecked.extend(f"{entry.shown}: {what}" for what in why)

    def doubt(self, entry: Entry) -> None:
        """Note that an instance says of its pixels that they may identify."""
        self.in_doubt.append(f"{self._shown(entry)}: (0028,0301) says that its pixels may identify")

    def text(self, entry: Entry, place: str, text: str | bytes) -> None:
        """Search what stands beside the bytes of a file, and note what is found."""
        self.hits(entry, place, self.scanner.scan_bytes(os.fsencode(text)))

    def hits(
        self,
        entry: Entry,
        place: str | None,
        hits: Iterable[_core.Hit],
        instance: header.Header | None = None,
    ) -> None:
        """Note terms that were found in a place, or in the bytes of a file."""
        shown = self._shown(entry)
        for hit in hits:
            term = self.terms.terms[hit.term]
            if term.spelling in self.sizes:
                continue
            where = place or f"byte {hit.offset}"
            if place is None and instance is not None:
                where = f"{instance.place_of(hit.offset)}, byte {hit.offset}"
            what = f"term {hit.term + 1} ({term.kind})"
            self.found.append(Survivor(file=shown, place=where, what=what, encoding=hit.encoding))

    def _shown(self, entry: Entry) -> str:
        """Return a name for the report: none in which a term is."""
        if self.scanner.scan_bytes(os.fsencode(entry.relative)):
            return "a file with a name that identifies"
        return entry.shown


def outside(hits: Iterable[_core.Hit], ranges: tuple[allowed.Range, ...]) -> Iterator[_core.Hit]:
    """Yield hits that begin in none of some ranges."""
    for hit in hits:
        if not any(start <= hit.offset < end for start, end in ranges):
            yield hit
