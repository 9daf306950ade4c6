"""`wbagent check` of all areas at once, interrupted while each that makes something has made it: nothing is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.testbed.address import free_port
from tests.testbed.ceph import Ceph
from tests.testbed.faulty_store import FaultyStore
from tests.testbed.mysql import MysqlServer
from wbagent.checks.areas import AREAS
from wbagent.config.dsn import S3URL, MysqlURL

# The object of each has been put when it is asked for.
OF_BUCKET = r"^HEAD .*/\.wbagent-check/.*/object\?"
OF_BACKUP = r"^GET .*/web1/\.check/"


def configuration(path: Path, store: S3URL, database: MysqlURL, public: int) -> Path:
    path.touch(0o600)
    path.write_text(
        f'[server]\nhost = "http://127.0.0.1:{public}"\nport = {free_port("127.0.0.1")}\nbind = "127.0.0.1"\n'
        f'image = "wandb/local:0.83.0"\nmysql = "{database}"\nbucket = "{replace(store, prefix="files")}"\n'
        f'[database]\nurl = "{database}"\n'
        f'[backup]\nowner = "web1"\ndestination = "{replace(store, prefix="backups")}"\n'
    )
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_all_areas_it_leaves_nothing(
    ceph: Ceph, bucket: S3URL, mysql: MysqlServer, database: MysqlURL, tmp_path: Path, number: signal.Signals
) -> None:
    # A load balancer that takes connections and says nothing.
    with FaultyStore((ceph.address, ceph.port)) as front, socket.create_server(("127.0.0.1", 0)) as silent:
        store = replace(bucket, host=front.address, port=front.port)
        file = configuration(tmp_path / "wbagent.toml", store, database, silent.getsockname()[1])
        front.fail([OF_BUCKET, OF_BACKUP], "stall", 1)
        checking = subprocess.Popen(
            [sys.executable, "-m", "wbagent.cli.main", "--config", str(file), "check", *AREAS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "WBAGENT_STATE_DIRECTORY": str(tmp_path / "state")},
            text=True,
        )
        for each in (OF_BUCKET, OF_BACKUP):
            front.wait_until_met(each)
        assert len(ceph.keys(bucket.bucket)) == 2
        checking.send_signal(number)
        printed, said = checking.communicate(timeout=30)
    assert (checking.returncode, printed) == (128 + number, "")
    assert said == "interrupted; what checks had made is removed\n"
    assert ceph.keys(bucket.bucket) == []
    assert list(mysql.directory.rglob(".wbagent-check-*")) == []
    assert not (tmp_path / "state").exists()
