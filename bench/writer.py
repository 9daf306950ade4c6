"""A writer that commits a row every few milliseconds, and remembers how long one commit took at most."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import TracebackType
from typing import Final, Self

import pymysql

from tests.testbed.mysql import MysqlServer

DATABASE: Final = "writer"
# As somebody who logs metrics does. One that takes all it can get writes the more the less a backup takes.
_EVERY_S: Final = 0.005


class Writer:
    """Runs in a process of its own, so that nothing of the measurement delays it.

    After the block `commits` is how many it made, `longest_ms` what the slowest of them took, `slow_ms` what all but
    one in a thousand stayed below.
    """

    def __init__(self, server: MysqlServer) -> None:
        server.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        server.execute("DROP TABLE IF EXISTS rows_written", database=DATABASE)
        server.execute("CREATE TABLE rows_written (n BIGINT PRIMARY KEY, at DOUBLE)", database=DATABASE)
        self._socket = str(server.socket)
        self.commits = 0
        self.longest_ms = self.slow_ms = 0.0

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
            commits, slow, longest = answer.split()
            self.commits, self.slow_ms, self.longest_ms = int(commits), float(slow), float(longest)


def main(socket: str) -> None:
    """Write until standard input ends; print number of commits, slowest but 0.1 %, slowest, in milliseconds."""
    connection = pymysql.connect(unix_socket=socket, user="root", database=DATABASE, autocommit=True)
    os.set_blocking(0, False)
    took: list[float] = []
    with connection, connection.cursor() as cursor:
        print("writing", flush=True)
        due = time.perf_counter()
        while True:
            begun = time.perf_counter()
            cursor.execute("INSERT INTO rows_written VALUES (%s, %s)", (len(took), begun))
            took.append((time.perf_counter() - begun) * 1000)
            # After a stall it goes on at its pace: nobody logs faster for having been kept waiting.
            due = max(due + _EVERY_S, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                if not os.read(0, 1):
                    break
            except BlockingIOError:
                continue
    took.sort()
    print(len(took), took[len(took) * 999 // 1000], took[-1])


if __name__ == "__main__":
    main(sys.argv[1])
