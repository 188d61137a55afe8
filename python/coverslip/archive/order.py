"""The order of slides: that of people, in which ``case 2`` comes before ``case 10``."""

import os
import re
from collections.abc import Iterable, Iterator

from coverslip.archive.database import temporary, told

_TABLE = """
CREATE TABLE entry (
    list INTEGER, key BLOB, name BLOB, is_folder INTEGER, PRIMARY KEY (list, key, name)
) WITHOUT ROWID
"""
_WHAT = "the list of files, a temporary file,"
_END, _TEXT, _NUMBER = b"\0", b"\1", b"\2"


def natural_key(text: str) -> bytes:
    """Return what sorts numbers in a text by their value: ``a2`` before ``a10``."""
    return b"".join(map(_part, re.findall(r"\d+|\D+", text)))


def _part(part: str) -> bytes:
    if not part.isdecimal():
        return _TEXT + part.encode("utf-8", "surrogatepass") + _END
    digits = str(int(part)).encode()
    return _NUMBER + len(digits).to_bytes(2) + digits


class NaturalOrder:
    """Sorts any number of names in the same little memory, in a file without a name."""

    def __init__(self) -> None:
        self._lists = 0
        with told(_WHAT):
            self._connection = temporary()
            self._connection.execute(_TABLE)

    def of(self, names: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
        """Take names, each with whether it is of a folder, and return them in their order.

        Other names may be sorted while these are read.
        """
        self._lists += 1
        number = self._lists
        with told(_WHAT):
            self._connection.executemany(
                "INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?)",
                ((number, natural_key(name), os.fsencode(name), kind) for name, kind in names),
            )
        return self._read(number)

    def _read(self, number: int) -> Iterator[tuple[str, bool]]:
        query = "SELECT name, is_folder FROM entry WHERE list = ? ORDER BY key, name"
        with told(_WHAT):
            for name, is_folder in self._connection.execute(query, (number,)):
                yield os.fsdecode(name), bool(is_folder)
            self._connection.execute("DELETE FROM entry WHERE list = ?", (number,))

    def close(self) -> None:
        """Remove what holds them."""
        self._connection.close()
