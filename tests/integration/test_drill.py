"""A drill proves a good backup once; whatever interrupts it leaves no proof and no rubbish."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from tests.integration.backup_case import Once, child, killed_while
from tests.integration.clone_case import clone_backup
from tests.integration.drill_case import NOBODY, Drilled, made_host, sample_database
from tests.integration.test_prune import put_backup
from tests.testbed.ceph import Ceph
from tests.testbed.memory_disk import fill_up, memory_disk
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from tests.testbed.switch import Heard, Switch
from wbagent.backup.layout import lease_prefix
from wbagent.backup.lease import leased
from wbagent.backup.manifest import Manifest
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.drill.job import DrillFailedError

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def database(mysql: MysqlServer) -> Iterator[MysqlURL]:
    with sample_database(mysql) as url:
        yield url


@pytest.fixture
def host(bucket: S3URL, database: MysqlURL, clients: ClientPrograms, mysqld: Path) -> Iterator[Drilled]:
    with made_host(bucket, database, clients, mysqld) as made:
        yield made


@pytest.fixture(scope="module")
def unproven(
    ceph: Ceph, database: MysqlURL, clients: ClientPrograms, mysqld: Path
) -> Iterator[tuple[Drilled, Manifest]]:
    """A host with one backup that no test manages to drill."""
    ceph.create_bucket("drill-unproven")
    with made_host(ceph.url("drill-unproven", "p"), database, clients, mysqld) as made:
        yield made, made.run().manifest


def assert_nothing_is_said(host: Drilled, manifest: Manifest) -> None:
    """Neither good nor bad of the backup, and nothing is left."""
    assert host.proof(manifest) is None
    assert host.fact("drill.last")["result"] == "not done"
    assert host.left() == []
    assert leased(host.store, manifest.owner, datetime.now(UTC)) == frozenset()


def test_good_backup_is_proven_once(host: Drilled) -> None:
    manifest = host.run().manifest
    proof = host.drill()
    assert proof
    assert proof.ok
    assert proof == host.proof(manifest)
    assert {table.name: table.rows for table in proof.tables} == {each.name: each.rows for each in manifest.tables}
    assert all(table.checksum is not None for table in proof.tables)
    assert host.left() == []
    assert host.fact("drill.proven")["id"] == manifest.id
    assert host.drill() is None, "it is proven already"
    again = host.drill(manifest.id)
    assert again, "but a person may ask again"
    assert again.tables == proof.tables
    assert "the checksums of the proof before" in again.compared


def test_old_backup_that_is_proven_again_is_no_sign_of_life(host: Drilled) -> None:
    with Switch() as service:
        alerts = host.settings.alerts.model_copy(update={"ping_backup": SecretStr(service.url("id"))})
        one = Drilled(host.directory, host.settings.model_copy(update={"alerts": alerts}))
        old = one.run(clock=lambda: time.time() - 3 * 86400).manifest
        assert one.drill(old.id)
        new = one.run().manifest
        assert one.drill()
        assert [each for each in service.heard if each.path == "/id"] == [Heard("/id", f"backup {new.id} is proven")]


def test_proof_lets_older_backups_go_at_once(host: Drilled) -> None:
    keep = host.settings.backup.model_copy(update={"keep_at_least": 1})
    one = Drilled(host.directory, host.settings.model_copy(update={"backup": keep}))
    old = {put_backup(one.store, "host1", timedelta(days=days)) for days in (30, 40)}
    manifest = one.run().manifest
    assert set(one.stored()) == {manifest.id, *old}, "the new one does not count yet"
    assert one.drill()
    assert set(one.stored()) == {manifest.id}


def test_clone_is_proven(host: Drilled, mysql: MysqlServer) -> None:
    manifest = clone_backup(mysql, "drill_sample", host, NOW)
    proof = host.drill()
    assert proof
    assert proof.ok
    assert manifest.position
    assert proof.gtid_executed == manifest.position.gtid_set
    assert "pages and indexes (CHECK TABLE)" in proof.compared


@pytest.fixture
def small(mysql: MysqlServer) -> Iterator[MysqlURL]:
    """A database with rows that take a while to store at the pace of `paced`."""
    url = mysql.create("drill_small", "drill_small", "password")
    mysql.execute("CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)", database=url.database)
    for _ in range(8):
        mysql.execute("INSERT INTO a (v) VALUES (%s)", os.urandom(1 << 20), database=url.database)
    yield url
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


@pytest.fixture
def paced(bucket: S3URL, small: MysqlURL, clients: ClientPrograms, mysqld: Path) -> Iterator[Drilled]:
    with made_host(bucket, small, clients, mysqld) as made:
        slow = made.settings.backup.model_copy(update={"bandwidth": 3 << 20})
        yield Drilled(made.directory, made.settings.model_copy(update={"backup": slow}))


def test_rows_that_no_snapshot_holds_are_no_measure(paced: Drilled, mysql: MysqlServer) -> None:
    """A table of MyISAM is counted and dumped at two moments, between which somebody writes."""
    database = "drill_small"
    mysql.execute("CREATE TABLE z (id INT) ENGINE=MyISAM", database=database)
    write = Once("dumping", lambda: mysql.execute("INSERT INTO z VALUES (1)", database=database))
    manifest = paced.run(write).manifest
    assert write.done
    assert {table.name: table.rows for table in manifest.tables} == {"a": 8, "z": None}
    proof = paced.drill()
    assert proof
    assert proof.ok


@pytest.mark.parametrize("meanwhile", [True, False])
def test_an_event_whose_time_has_passed_is_not_missing(paced: Drilled, mysql: MysqlServer, *, meanwhile: bool) -> None:
    """MySQL drops it at its end, which may come during the backup, and makes none that is of the past."""
    mysql.execute("SET GLOBAL event_scheduler = OFF")
    try:
        for name, schedule in (("once", "AT NOW() + INTERVAL 1 SECOND"), ("stays", "EVERY 1 YEAR")):
            mysql.execute(f"CREATE EVENT {name} ON SCHEDULE {schedule} DO SELECT 1", database="drill_small")
        scheduler = Once("dumping", lambda: mysql.execute("SET GLOBAL event_scheduler = %s", meanwhile))
        manifest = paced.run(scheduler).manifest
        assert scheduler.done
        assert manifest.events == ("stays",)
        left = mysql.execute("SELECT event_name FROM information_schema.events WHERE event_schema = 'drill_small'")
        assert (("once",) in left) is not meanwhile
    finally:
        mysql.execute("SET GLOBAL event_scheduler = ON")
    proof = paced.drill()
    assert proof
    assert proof.ok


# --- drills that cannot be made ---


@pytest.mark.parametrize("name", ["nope", "../x", "20200101T000000Z"])
def test_a_slip_of_the_pen_is_no_failed_drill(unproven: tuple[Drilled, Manifest], name: str) -> None:
    """The unit's failure would wake people with "a backup is not proven"."""
    host, _ = unproven
    typed = host.command("backup", "drill", name)
    assert typed.returncode == 74
    assert "wbagent backup list" in typed.stderr, typed.stderr
    with host.state() as state:
        assert state.get("drill.wanted") is None, "the unit was not asked"


def test_no_mysqld_is_no_failure(unproven: tuple[Drilled, Manifest], capsys: pytest.CaptureFixture[str]) -> None:
    host, _ = unproven
    missing = host.settings.backup.drill.model_copy(update={"mysqld": "/nowhere/mysqld"})
    backup = host.settings.backup.model_copy(update={"drill": missing})
    bare = Drilled(host.directory, host.settings.model_copy(update={"backup": backup}))
    capsys.readouterr()
    assert bare.drill() is None
    assert "backups are not proven: there is no mysqld on this host" in capsys.readouterr().err
    assert bare.fact("drill.last")["result"] == "no mysqld"


def test_killed_at_any_stage(host: Drilled) -> None:
    manifest = host.run().manifest
    for stage in ("restoring", "comparing"):
        children = killed_while(host, stage, "backup", "drill", "--in-process")
        assert children
        assert psutil.wait_procs(children, timeout=30)[1] == [], "mysqld ends with who started it"
        assert host.proof(manifest) is None
    proof = host.drill()
    assert proof
    assert proof.ok
    assert host.left() == []


def test_killed_mysqld_says_nothing_about_the_backup(unproven: tuple[Drilled, Manifest]) -> None:
    """As when memory runs out."""
    host, manifest = unproven
    with pytest.raises(
        DrillFailedError, match=r"no backup was proven: mysqld ended in the midst of it .*: it was killed \(SIGKILL\)"
    ):
        host.drill(report=Once("comparing", lambda: child("restoring-").kill(), from_start=True))
    assert_nothing_is_said(host, manifest)


def test_stopped_in_order(unproven: tuple[Drilled, Manifest]) -> None:
    host, manifest = unproven
    stop = Once("restoring", lambda: os.kill(os.getpid(), signal.SIGTERM), from_start=True)
    with pytest.raises(DrillFailedError, match="ended by SIGTERM"):
        host.drill(report=stop)
    assert_nothing_is_said(host, manifest)


def test_link_cut(unproven: tuple[Drilled, Manifest]) -> None:
    host, manifest = unproven
    destination = host.settings.backup.destination
    assert destination
    with Proxy((str(destination.host), int(destination.port or 0))) as link:
        url = replace(destination, host=link.address, port=link.port)
        backup = host.settings.backup.model_copy(update={"destination": url, "retry_for": 1.0})
        far = Drilled(host.directory, host.settings.model_copy(update={"backup": backup}))
        with pytest.raises(DrillFailedError, match="no backup was proven"):
            far.drill(report=Once("restoring", link.refuse, from_start=True))
    # The lease could not be taken back, and ends by itself.
    assert leased(host.store, manifest.owner, datetime.now(UTC)) == {manifest.id}
    for entry in host.store.entries(lease_prefix(manifest.owner)):
        host.store.delete(entry.key)
    assert_nothing_is_said(host, manifest)


@pytest.mark.parametrize(("action", "key"), [("s3:GetObject", "database.sql.zst"), ("s3:PutObject", "proof.json")])
def test_refused_by_the_store(unproven: tuple[Drilled, Manifest], ceph: Ceph, action: str, key: str) -> None:
    host, manifest = unproven
    destination = host.settings.backup.destination
    assert destination
    denied = {"Effect": "Deny", "Principal": "*", "Action": action}
    statement = denied | {"Resource": f"arn:aws:s3:::{destination.bucket}/*{key}"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    ceph.client().put_bucket_policy(Bucket=destination.bucket, Policy=policy)
    try:
        with pytest.raises(DrillFailedError, match="no backup was proven"):
            host.drill()
    finally:
        ceph.client().delete_bucket_policy(Bucket=destination.bucket)
    assert_nothing_is_said(host, manifest)


@pytest.mark.parametrize(
    ("size", "reason"),
    [("64M", "64.0M free and the restore needs about"), ("560M", "is full|No space left|errno: 28|as disk is full")],
)
def test_full_disk(unproven: tuple[Drilled, Manifest], size: str, reason: str) -> None:
    """Before it begins, and while it is under way."""
    host, manifest = unproven
    room = host.state_directory / "scratch"
    with memory_disk(room, size, f"uid={NOBODY}", f"gid={NOBODY}"):
        with pytest.raises(DrillFailedError, match=f"no backup was proven: .*({reason})"):
            host.drill(report=Once("restoring", lambda: fill_up(room), from_start=True))
        (room / "filler").unlink(missing_ok=True)
        assert_nothing_is_said(host, manifest)
    room.rmdir()
