"""Nine days of backups with the clock passed in: the right ones remain, and a failing one costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.backup_case import Case, make_case
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.backup.job import BackupFailedError
from wbagent.backup.lock import restoring
from wbagent.config.dsn import S3URL, MysqlURL

DAY = 86400.0
FIRST = datetime(2026, 11, 1, 3, 0, tzinfo=UTC).timestamp()


def at(day: int) -> Callable[[], float]:
    """A clock that stands at 03:00 of November `day`."""
    return lambda: FIRST + (day - 1) * DAY


@pytest.fixture
def small(mysql: MysqlServer, database: MysqlURL) -> MysqlURL:
    with mysql.connect(database.database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE one (id INT PRIMARY KEY)")
        cursor.execute("INSERT INTO one VALUES (1), (2)")
    return database


def ids(*days: int) -> list[str]:
    return [f"202611{day:02}T030000Z" for day in days]


@pytest.mark.parametrize("off_site", [True, False])
def test_nine_days(
    tmp_path: Path, small: MysqlURL, clients: ClientPrograms, bucket: S3URL, ceph: Ceph, off_site: bool
) -> None:
    case = make_case(tmp_path, small, clients, bucket if off_site else None)
    removed = [case.run(clock=at(day)).thinned for day in range(1, 10)]
    assert [each.removed for each in removed if each] == [()] * 7 + [tuple(ids(1)), tuple(ids(2))]
    assert list(case.stored()) == ids(*range(3, 10))
    with case.state() as state:
        rows = state.get("backup.list")
    assert rows
    assert [row["id"] for row in rows.value] == ids(*range(3, 10))
    if off_site:
        assert len(ceph.keys(bucket.bucket)) == 14


def test_failing_and_empty_backups_delete_nothing(
    tmp_path: Path, small: MysqlURL, clients: ClientPrograms, mysql: MysqlServer, mariadb_mysqldump: Path
) -> None:
    case = make_case(tmp_path / "good", small, clients)
    for day in (1, 2, 3, 4, 5):
        case.run(clock=at(day))
    before = case.stored()

    unreachable = MysqlURL(small.user, "wrong", small.host, small.port, small.database)
    mariadb = ClientPrograms(mariadb_mysqldump, clients.mysql)
    nothing = ClientPrograms(Path("/bin/true"), clients.mysql)
    for number, (url, programs) in enumerate([(unreachable, clients), (small, mariadb), (small, nothing)]):
        failing = make_case(tmp_path / str(number), url, programs)
        moved = Case(case.directory, failing.settings)
        with pytest.raises(BackupFailedError):
            moved.run(clock=at(30))
    mysql.execute(f"DROP TABLE `{small.database}`.one")
    with pytest.raises(BackupFailedError, match="no tables"):
        case.run(clock=at(30))
    assert case.stored() == before

    mysql.execute(f"CREATE TABLE `{small.database}`.one (id INT PRIMARY KEY)")
    thinned = case.run(clock=at(30)).thinned
    assert thinned
    assert thinned.removed == tuple(ids(1, 2, 3)), "the floor of three holds however old they are"


def test_while_no_drill_succeeds_nothing_goes(tmp_path: Path, small: MysqlURL, clients: ClientPrograms) -> None:
    case = make_case(tmp_path, small, clients, keep_at_least=1, drill={"enabled": True})
    for day in (1, 2, 20):
        thinned = case.run(clock=at(day)).thinned
        assert thinned
        assert thinned.removed == ()
    assert list(case.stored()) == ids(1, 2, 20)
    with case.state() as state:
        state.put("drill.last", {"id": "", "result": "no mysqld", "reason": "there is none"}, at(20)())
    thinned = case.run(clock=at(21)).thinned
    assert thinned
    assert thinned.removed == tuple(ids(1, 2))


def test_owner_whose_name_begins_like_another_ones(
    tmp_path: Path, small: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    ten = make_case(tmp_path / "10", small, clients, bucket, owner="node10", keep_at_least=1)
    one = make_case(tmp_path / "1", small, clients, bucket, owner="node1", keep_at_least=1)
    ten.run(clock=at(1))
    one.run(clock=at(1))
    one.run(clock=at(20))
    assert (list(one.stored()), list(ten.stored())) == (ids(20), ids(1))


def test_what_a_restore_reads_is_not_removed(tmp_path: Path, small: MysqlURL, clients: ClientPrograms) -> None:
    case = make_case(tmp_path, small, clients, keep_at_least=1)
    case.run(clock=at(1))
    with restoring(case.state_directory):
        case.run(clock=at(20))
    assert list(case.stored()) == ids(1, 20)
    case.run(clock=at(21))
    assert list(case.stored()) == ids(20, 21)


def test_key_that_may_not_delete_is_told_and_does_not_fail(
    tmp_path: Path,
    small: MysqlURL,
    clients: ClientPrograms,
    bucket: S3URL,
    ceph: Ceph,
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = make_case(tmp_path, small, clients, bucket, keep_at_least=1)
    case.run(clock=at(1))
    ceph.client().put_bucket_policy(Bucket=bucket.bucket, Policy=_deny_deleting(bucket.bucket))
    thinned = case.run(clock=at(20)).thinned
    assert thinned
    assert (thinned.removed, thinned.due) == ((), tuple(ids(1)))
    assert list(case.stored()) == ids(1, 20)
    assert "may not be removed with this key" in capfd.readouterr().err


def _deny_deleting(bucket: str) -> str:
    return (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*",'
        f' "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::{bucket}/*"}}]}}'
    )
