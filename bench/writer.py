"""A writer that commits one row after the other, and remembers how long it was made to wait at most."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import pymysql

from tests.testbed.mysql import MysqlServer

DATABASE = "writer"


class Writer:
    """Runs in a process of its own, so that nothing of the measurement delays it; `longest_ms` after the block."""

    def __init__(self, server: MysqlServer) -> None:
        server.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        server.execute("DROP TABLE IF EXISTS rows_written", database=DATABASE)
        server.execute("CREATE TABLE rows_written (n BIGINT PRIMARY KEY, at DOUBLE)", database=DATABASE)
        self._socket = str(server.socket)
        self.longest_ms = 0.0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.writer", self._socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._process.stdout:
            # Its first line says that it writes.
            self._process.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        answer, _ = self._process.communicate()
        if error is None:
            self.longest_ms = float(answer)


def main(socket: str) -> None:
    """Write until standard input ends; print the longest time between two commits in milliseconds."""
    connection = pymysql.connect(unix_socket=socket, user="root", database=DATABASE, autocommit=True)
    os.set_blocking(0, False)
    number, longest, before = 0, 0.0, time.perf_counter()
    with connection, connection.cursor() as cursor:
        while True:
            number += 1
            cursor.execute("INSERT INTO rows_written VALUES (%s, %s)", (number, before))
            now = time.perf_counter()
            longest, before = (max(longest, now - before), now) if number > 1 else (0.0, now)
            if number == 1:
                print("writing", flush=True)
            try:
                if not os.read(0, 1):
                    break
            except BlockingIOError:
                continue
    print(longest * 1000)


if __name__ == "__main__":
    main(sys.argv[1])
