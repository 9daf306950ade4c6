"""How the end of mydumper is judged, and what it left behind: an account, files for each table, each of them whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zstandard

from tests.unit.backup.test_mydumper_metadata import END, SOURCE, START, TABLES
from wbagent.backup.engines.engine import UnfitError
from wbagent.backup.engines.mydumper_run import check_files, check_whole, failed_child, judge

# As 1.0.1 wrote them.
HARMLESS = (
    "\n** (mydumper:25699): WARNING **: 15:12:26.717: Using --trx-tables options, binlog coordinates will not be"
    " accurate if you are writing to non transactional tables.\n"
)
NO_POSITION = "** (mydumper:22818): WARNING **: 15:12:01.819: Couldn't get master position - ERROR 1064: You have …"


def test_good_end() -> None:
    assert judge(0, HARMLESS) == ()
    assert judge(0, HARMLESS + "** Message: 15:12:01.818: Thread 1: Creating Jobs\n") == ()
    assert judge(0, NO_POSITION) == ("mydumper: Couldn't get master position - ERROR 1064: You have …",)


@pytest.mark.parametrize(
    ("status", "complaints", "said", "hint"),
    [
        (-11, HARMLESS, "was killed by signal 11: and said nothing", "another engine"),
        (1, HARMLESS + NO_POSITION, "ended with status 1: Couldn't get master position", "another engine"),
        (0, "zstd: error 70 : Write error : cannot write block : No space left on device", "No space", "make room"),
        (
            1,
            "** (mydumper:1): CRITICAL **: 15:12:01.787: Row count mismatch found for w.runs: got 5 of 6 expected",
            "Row count mismatch found for w.runs: got 5 of 6",
            "report it",
        ),
        (
            1,
            "** (mydumper:1): CRITICAL **: 15:12:01.787: Couldn't acquire global lock - ERROR 1205: Lock wait timeout",
            "Lock wait timeout",
            "end it",
        ),
    ],
)
def test_bad_end(status: int, complaints: str, said: str, hint: str) -> None:
    with pytest.raises(UnfitError) as caught:
        judge(status, complaints)
    assert said in caught.value.message
    assert hint in str(caught.value.hint)


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """What mydumper leaves of one table with rows, one without, and a view."""
    (tmp_path / "metadata").write_text(START + SOURCE + TABLES + END)
    names = ("w-schema-create", "w.audit-schema", "w.audit.00000", "w.mydumper_0-schema", "w.best_runs-schema-view")
    for name in names:
        (tmp_path / f"{name}.sql.zst").write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(b"x" * 5000))
    return tmp_path


BASE_TABLES = ["audit", "odd.name = `x`"]


def test_whole_dump(dump: Path) -> None:
    assert check_files(dump, BASE_TABLES).rows["audit"] == 600


@pytest.mark.parametrize("name", ["w.audit.00000.sql.zst", "w.audit-schema.sql.zst", "w.mydumper_0-schema.sql.zst"])
@pytest.mark.parametrize("empty", [True, False])
def test_file_that_is_missing(dump: Path, name: str, empty: bool) -> None:
    (dump / name).write_bytes(b"") if empty else (dump / name).unlink()
    with pytest.raises(UnfitError, match="its files do not show"):
        check_files(dump, BASE_TABLES)


def test_table_that_is_left_out(dump: Path) -> None:
    with pytest.raises(UnfitError, match="left out the table runs"):
        check_files(dump, ["runs", *BASE_TABLES])


def test_rows_that_the_account_does_not_have(dump: Path) -> None:
    (dump / "w.mydumper_0.00000.sql.zst").write_bytes((dump / "w.audit.00000.sql.zst").read_bytes())
    with pytest.raises(UnfitError, match="has 0 rows"):
        check_files(dump, BASE_TABLES)


@pytest.mark.parametrize("damage", ["cut", "changed", "longer"])
def test_file_that_is_not_whole(dump: Path, damage: str) -> None:
    path = dump / "w.audit.00000.sql.zst"
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-1], "changed": data[:-1] + bytes([data[-1] ^ 1]), "longer": data + b"more"}[damage])
    with pytest.raises(UnfitError, match=r"not whole.*audit"):
        check_files(dump, BASE_TABLES)


def test_many_files(tmp_path: Path) -> None:
    names = [f"{number}.sql.zst" for number in range(1001)]
    for name in names:
        (tmp_path / name).write_bytes(zstandard.compress(b"x"))
    check_whole(tmp_path, names)
    (tmp_path / max(names)).write_bytes(b"x")
    with pytest.raises(UnfitError, match="not whole"):
        check_whole(tmp_path, names)


def test_no_account(dump: Path) -> None:
    (dump / "metadata").rename(dump / "metadata.partial")
    with pytest.raises(UnfitError, match="no account"):
        check_files(dump, BASE_TABLES)


_PARENT = "import subprocess, sys, time; child = subprocess.Popen(['sh', '-c', sys.argv[1]]); time.sleep(60)"


@pytest.fixture
def parent(request: pytest.FixtureRequest) -> Iterator[int]:
    """A program that started another one and does not wait for it."""
    with subprocess.Popen([sys.executable, "-c", _PARENT, request.param], stdin=subprocess.PIPE) as process:
        while not psutil.Process(process.pid).children():
            pass
        yield process.pid
        process.kill()


@pytest.mark.parametrize(
    ("parent", "status"), [("exit 3", 3 << 8), ("kill -9 $$", 9), ("exit 0", 0), ("cat", 0)], indirect=["parent"]
)
def test_failed_child_is_seen(parent: int, status: int) -> None:
    found = failed_child(parent)
    while status and not found:
        found = failed_child(parent)
    assert found == status


def test_no_children() -> None:
    assert failed_child(os.getpid()) == 0
