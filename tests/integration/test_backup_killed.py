"""A backup killed (SIGKILL) at each of its stages leaves no backup and no orphan, and the next run clears up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.backup_case import make_case, running, sample_database
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from wbagent.config.dsn import S3URL, MysqlURL


@pytest.fixture(scope="module")
def sample(mysql: MysqlServer) -> Iterator[MysqlURL]:
    with sample_database(mysql, "killed", 24) as url:
        yield url


@pytest.mark.parametrize("off_site", [True, False])
@pytest.mark.parametrize("words", [("dumping:", "stored"), ("reading back:",)])
def test_killed(
    tmp_path: Path,
    mysql: MysqlServer,
    sample: MysqlURL,
    clients: ClientPrograms,
    ceph: Ceph,
    bucket: S3URL,
    off_site: bool,
    words: tuple[str, ...],
) -> None:
    destination = bucket if off_site else None
    with Proxy((mysql.address, mysql.port)) as link:
        # So slow that a second passes before the dump is complete.
        link.limit_after(0, 16e6)
        url = MysqlURL(sample.user, sample.password, link.address, link.port, sample.database)
        case = make_case(tmp_path, url, clients, destination)
        with running(case) as run:
            run.wait_for_status(*words)
            children = psutil.Process(run.process.pid).children(recursive=True)
            run.process.send_signal(signal.SIGKILL)
        assert psutil.wait_procs(children, timeout=30)[1] == [], "mysqldump ends by itself, its reader being gone"
        assert [state for state in case.stored().values() if state == "complete"] == []
        link.pass_on()
        made = case.run().manifest.id
    assert case.stored()[made] == "complete"
    assert ceph.unfinished_uploads(bucket.bucket) == []
    assert list(tmp_path.rglob("*.unfinished")) == []


def test_stopped_by_systemd(tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, mysql: MysqlServer) -> None:
    """SIGTERM to the real process: an exit status of its own, and the reason on record."""
    with Proxy((mysql.address, mysql.port)) as link:
        link.limit_after(0, 16e6)
        url = MysqlURL(sample.user, sample.password, link.address, link.port, sample.database)
        case = make_case(tmp_path, url, clients)
        with running(case) as run:
            run.wait_for_status("dumping:", "stored")
            run.process.terminate()
            assert run.process.wait(30) == 74
    with case.state() as state:
        failure = state.get("backup.last_failure")
    assert failure
    assert "ended by SIGTERM" in failure.value["reason"]
    assert case.stored() == {}
