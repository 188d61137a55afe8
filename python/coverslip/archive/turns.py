"""Which slides a run has to convert, in their order: in a table that goes with the connection."""

import sqlite3
from collections.abc import Iterator

from coverslip.archive.database import in_pages, told


class Turns:
    """Numbers of slides in the order in which they were added, on the disk.

    Parameters
    ----------
    connection
        To the ledger's data base; the table is a temporary one beside it, and there is one only.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._count = 0
        with told():
            connection.execute("DROP TABLE IF EXISTS temp.turn")
            connection.execute("CREATE TEMP TABLE turn (place INTEGER PRIMARY KEY, number INTEGER)")

    def add(self, number: int) -> None:
        """Add a slide."""
        with told():
            self._connection.execute("INSERT INTO turn (number) VALUES (?)", (number,))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        query = "SELECT place, number FROM turn WHERE place > ? ORDER BY place LIMIT ?"
        with told():
            yield from (number for _, number in in_pages(self._connection, query))
