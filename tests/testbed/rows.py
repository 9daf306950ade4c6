"""Two databases compared row by row, to show that a restore brought everything back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias

import pymysql
from pymysql.cursors import SSCursor

Connection: TypeAlias = "pymysql.Connection[Any]"


@dataclass(frozen=True)
class Comparison:
    """One table: how many rows were compared, and the first difference ("" when there is none)."""

    name: str
    rows: int
    difference: str


def compare(original: Connection, copy: Connection) -> Iterator[Comparison]:
    """Compare every table of the first connection's database with its namesake in the second's.

    Rows are read side by side in the order of all their columns, so a table without a primary key
    is compared like any other; MySQL's own checksum adds the digits that its text protocol rounds.
    """
    with original.cursor() as cursor:
        cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        tables = [str(row[0]) for row in cursor.fetchall()]
    with copy.cursor() as cursor:
        cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        copied = {str(row[0]) for row in cursor.fetchall()}
    for name in sorted(copied.difference(tables)):
        yield Comparison(name, 0, "exists in the copy only")
    for name in tables:
        yield _compare_table(original, copy, name) if name in copied else Comparison(name, 0, "is missing in the copy")


def _compare_table(original: Connection, copy: Connection, name: str) -> Comparison:
    checksums = [_checksum(connection, name) for connection in (original, copy)]
    rows = 0
    with original.cursor(SSCursor) as left, copy.cursor(SSCursor) as right:
        query = f"SELECT * FROM `{name}` ORDER BY {_order(original, name)}"
        left.execute(query)
        right.execute(query)
        for row, other in zip_longest(left, right):
            if row != other:
                return Comparison(name, rows, f"row {rows + 1} differs")
            rows += 1
    if checksums[0] != checksums[1]:
        return Comparison(name, rows, f"checksums differ: {checksums[0]} and {checksums[1]}")
    return Comparison(name, rows, "")


def _checksum(connection: Connection, name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"CHECKSUM TABLE `{name}`")
        row = cursor.fetchone()
    assert row
    return int(row[1])


def _order(connection: Connection, name: str) -> str:
    """Return the columns that put the rows into one order: the primary key, or else all columns."""
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW COLUMNS FROM `{name}`")
        columns = cursor.fetchall()
    key = [f"`{column[0]}`" for column in columns if column[3] == "PRI"]
    return ", ".join(key or [f"`{column[0]}`" for column in columns])
