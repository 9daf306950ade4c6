"""Two tables that always agree: whether a backup under writers is of one moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

from tests.testbed.mysql import MysqlServer

TABLES = ("one", "two")


def make_two_tables(server: MysqlServer, database: str) -> None:
    for name in TABLES:
        server.execute(f"CREATE TABLE {name} (n INT PRIMARY KEY)", database=database)


@contextmanager
def writer(server: MysqlServer, database: str) -> Iterator[None]:
    """Somebody who writes the same number into two tables in one transaction, again and again."""
    begun, over = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        with closing(server.connect(database)) as connection, connection.cursor() as cursor:
            while not over.is_set():
                number += 1
                cursor.execute("BEGIN")
                for name in TABLES:
                    cursor.execute(f"INSERT INTO {name} VALUES (%s)", (number,))
                cursor.execute("COMMIT")
                begun.set()

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        try:
            assert begun.wait(30)
            yield
        finally:
            over.set()
        writing.result()
