"""What the ledger keeps where nobody shall keep what a study was made of.

A slide that is done loses its link to its study: its row has digests of path and state, and the
study stands in a table of its own, in the order of the random UIDs.
"""

from collections.abc import Iterator

from coverslip.archive.database import real_path, told
from coverslip.archive.records import UNLINKED_BYTE_COUNT, Outputs, SlideRecord, State
from coverslip.archive.rows import Rows, now

_NOWHERE = b""
"""In the place of the path of a slide that is done."""


class Links:
    """The links between slides and studies in a ledger, and how they are cut.

    Parameters
    ----------
    rows
        Those of the ledger.
    are_kept
        Whether it remembers which study a slide became.
    """

    def __init__(self, rows: Rows, *, are_kept: bool) -> None:
        self._rows = rows
        self.are_kept = are_kept
        with told():
            self._has_table = bool(list(rows.connection.execute("PRAGMA table_info(unlinked)")))

    def cut(self, record: SlideRecord, outputs: Outputs, quick: str | None) -> None:
        """Note that a slide is done, and forget which study it became, and where it is."""
        byte_count, mtime_ns = self.unlinked_stamp(record.byte_count, record.mtime_ns)
        with self._rows.change():
            self._rows.connection.execute(
                "INSERT OR REPLACE INTO unlinked VALUES (?, ?, ?)",
                (outputs.study, outputs.certificate, outputs.to_json()),
            )
            self._rows.set(
                record.number,
                path=_NOWHERE,
                real=self._rows.digest(real_path(record.path)),
                byte_count=byte_count,
                mtime_ns=mtime_ns,
                state=State.DONE,
                quick_digest=None if quick is None else self._quick(quick),
                updated=now()[:10],
                seed=None,
                set_aside=None,
                outputs=None,
                stale=None,
                seconds=None,
            )

    def cut_all(self) -> None:
        """Forget which study became of which slide, of those that are done."""
        for record in self._rows.some("state = ? AND outputs IS NOT NULL", State.DONE):
            if record.outputs is not None:
                self.cut(record, record.outputs, record.quick_digest)

    def studies(self) -> Iterator[Outputs]:
        """Yield the studies of which is not known what they were made of, by their UIDs."""
        if self._has_table:
            query = "SELECT outputs FROM unlinked ORDER BY uid"
            with told():
                rows = self._rows.connection.execute(query)
                yield from (Outputs.from_json(text) for (text,) in rows)

    def is_stamp(self, record: SlideRecord, byte_count: int, mtime_ns: int) -> bool:
        """Tell whether a row is of a slide with this size and time."""
        stamp = byte_count, mtime_ns
        if record.is_unlinked:
            stamp = self.unlinked_stamp(*stamp)
        return stamp == (record.byte_count, record.mtime_ns)

    def is_quick(self, record: SlideRecord, quick: str) -> bool:
        """Tell whether a row is of a slide with this quick digest."""
        return record.quick_digest == (self._quick(quick) if record.is_unlinked else quick)

    def unlinked_stamp(self, byte_count: int, mtime_ns: int) -> tuple[int, int]:
        """Return what stands in a row in the place of a slide's size and time."""
        digest = self._rows.digest(b"%d %d" % (byte_count, mtime_ns))
        return UNLINKED_BYTE_COUNT, int.from_bytes(digest[1:9], signed=True)

    def _quick(self, quick: str) -> str:
        return self._rows.digest(quick.encode()).hex()
