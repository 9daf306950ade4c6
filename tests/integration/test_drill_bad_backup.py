"""A drill finds out each way in which a backup can be bad, also one that was proven before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from tests.integration.clone_case import clone_backup, store
from tests.integration.drill_case import Drilled, made_host, sample_database
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.backup.layout import manifest_key, object_key
from wbagent.backup.manifest import Manifest, parse_manifest
from wbagent.backup.proof import write_proof
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.drill.job import DrillFailedError

END = b"\n-- Dump completed"
# InnoDB's.
PAGE = 16384
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def database(mysql: MysqlServer) -> Iterator[MysqlURL]:
    with sample_database(mysql) as url:
        yield url


@pytest.fixture
def host(bucket: S3URL, database: MysqlURL, clients: ClientPrograms, mysqld: Path) -> Iterator[Drilled]:
    with made_host(bucket, database, clients, mysqld) as made:
        yield made


def exchanged(host: Drilled, manifest: Manifest, data: bytes) -> Manifest:
    """Another object in the place of the dump, and a commit record that says that all is well."""
    stored = store(host, manifest.id, manifest.data.file, data)
    fresh = manifest.model_copy(update={"objects": (stored,)})
    host.store.put(manifest_key(fresh.owner, fresh.id), fresh.to_bytes())
    return parse_manifest(fresh.to_bytes(), "")


def dumped(host: Drilled, manifest: Manifest) -> bytes:
    packed = b"".join(host.store.get(object_key(manifest.owner, manifest.id, manifest.data.file)))
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


def flip(host: Drilled, manifest: Manifest) -> Manifest:
    """One bit of what is stored."""
    key = object_key(manifest.owner, manifest.id, manifest.data.file)
    data = bytearray(b"".join(host.store.get(key)))
    data[len(data) // 2] ^= 1
    host.store.put(key, bytes(data))
    return manifest


def lose_object(host: Drilled, manifest: Manifest) -> Manifest:
    host.store.delete(object_key(manifest.owner, manifest.id, manifest.data.file))
    return manifest


def truncate(host: Drilled, manifest: Manifest) -> Manifest:
    """A dump that was cut between two statements and ended well, as a program may that loses its connection."""
    text = dumped(host, manifest)
    at = text.index(b"\n-- Table structure for table `" + manifest.tables[-1].name.encode())
    return exchanged(host, manifest, text[:at] + END + b"\n")


def lose_rows(host: Drilled, manifest: Manifest) -> Manifest:
    """All checksums are right, and all tables there."""
    text = dumped(host, manifest)
    return exchanged(host, manifest, text.replace(END, b"\nDELETE FROM `audit` LIMIT 1;" + END))


def lose_rows_that_nobody_counted(host: Drilled, manifest: Manifest) -> Manifest:
    """As under writers, when the dump's moment is not the counts'."""
    guesses = {"audit": 20_000}
    tables = tuple(
        each.model_copy(update={"rows": None, "rows_estimate": guesses.get(each.name, 0)}) for each in manifest.tables
    )
    text = dumped(host, manifest).replace(END, b"\nDELETE FROM `audit`;" + END)
    return exchanged(host, manifest.model_copy(update={"tables": tables}), text)


def break_statement(host: Drilled, manifest: Manifest) -> Manifest:
    return exchanged(host, manifest, dumped(host, manifest).replace(b"INSERT INTO", b"INSERT INT", 1))


def define_otherwise(host: Drilled, manifest: Manifest) -> Manifest:
    """A lost index, and a view and programs of the same names that do something else."""
    text = dumped(host, manifest)
    for was, becomes in (
        (b",\n  KEY `by_run` (`run_id`)", b""),
        (b"> 0.9", b"> 0.1"),
        ("🏃".encode(), b"x"),
        (b"`runs` = runs + 1", b"`runs` = runs + 2"),
        (b"runs = runs + 1", b"runs = runs + 2"),
        (b"INTERVAL 1 YEAR", b"INTERVAL 1 DAY"),
    ):
        text = text.replace(was, becomes)
    at = text.index(b"PROCEDURE `archive_runs`")
    mode = text.rindex(b"SET sql_mode ", 0, at)
    end = text.index(b"*/", mode)
    return exchanged(host, manifest, text[:mode] + b"SET sql_mode              = '' " + text[end:])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip, "cannot be decompressed|is not what was stored"),
        (lose_object, "is missing"),
        (truncate, "tables missing"),
        (lose_rows, "table audit has"),
        (lose_rows_that_nobody_counted, "table audit has 0 rows, and MySQL guessed 20000"),
        (break_statement, "ended with status 1"),
        (
            define_otherwise,
            ".*".join(
                ("TABLE files is", "VIEW best_runs is", "run_label is", "count_runs is", "expire_audit is", "sql_mode")
            ),
        ),
    ],
)
def test_bad_backup_is_found_out(host: Drilled, damage: object, reason: str) -> None:
    assert callable(damage)
    manifest = damage(host, host.run().manifest)
    with pytest.raises(DrillFailedError, match=f"NOT a good one: .*({reason})"):
        host.drill()
    proof = host.proof(manifest)
    assert proof
    assert not proof.ok
    assert host.fact("drill.last")["result"] == "disproven"
    assert host.left() == []


def test_a_backup_that_was_proven_and_is_bad_now_does_not_count_any_more(host: Drilled) -> None:
    older = host.run().manifest
    assert host.drill()
    newer = host.run().manifest
    assert host.drill()
    assert host.fact("drill.proven")["id"] == newer.id
    host.store.delete(object_key(newer.owner, newer.id, newer.data.file))
    with pytest.raises(DrillFailedError, match=r"NOT a good one: .*is missing"):
        host.drill(newer.id)
    assert host.fact("drill.proven")["id"] == older.id, "its age is what counts from now on"
    host.store.delete(object_key(older.owner, older.id, older.data.file))
    with pytest.raises(DrillFailedError, match=r"NOT a good one: .*is missing"):
        host.drill(older.id)
    assert host.fact("drill.proven") == {}


def test_two_drills_of_one_backup_must_agree(host: Drilled) -> None:
    """A store or a memory that gives other bytes than the time before, and nothing else tells."""
    manifest = host.run().manifest
    first = host.drill()
    assert first
    other = (first.tables[0].model_copy(update={"checksum": 1}), *first.tables[1:])
    write_proof(host.store, first.model_copy(update={"tables": other}))
    with pytest.raises(DrillFailedError, match=f"table {other[0].name} holds other rows than a drill has read"):
        host.drill(manifest.id)


def test_clone_that_is_too_old_is_found_out(host: Drilled, mysql: MysqlServer) -> None:
    """All is sound in it, and it is not what was there when the backup was made."""
    manifest = clone_backup(mysql, "drill_sample", host, NOW)
    later = tuple(
        each.model_copy(update={"rows": None, "rows_estimate": 10**6, "auto_increment": 10**9})
        if each.name == "files"
        else each
        for each in manifest.tables
    )
    record = manifest.model_copy(update={"tables": later})
    host.store.put(manifest_key(record.owner, record.id), record.to_bytes())
    reason = "table files would number its next row .* was at 1000000000 .*table files has .* MySQL guessed 1000000"
    with pytest.raises(DrillFailedError, match=reason):
        host.drill()


def test_clone_with_a_torn_page_is_found_out(host: Drilled, mysql: MysqlServer) -> None:
    """All checksums of what is stored are right: only InnoDB knows."""
    manifest = clone_backup(mysql, "drill_sample", host, NOW)
    archive = bytearray(dumped(host, manifest))
    header = archive.index(b"drill_sample/history.ibd\0")
    size = int(archive[header + 124 : header + 135], 8)
    # The second half of a page in the midst of the file, as of a write that did not come to its end.
    page = header + 512 + size // (2 * PAGE) * PAGE
    archive[page + PAGE // 2 : page + PAGE] = bytes(PAGE // 2)
    exchanged(host, manifest, bytes(archive))
    with pytest.raises(DrillFailedError, match="NOT a good one"):
        host.drill()
    assert host.left() == []
