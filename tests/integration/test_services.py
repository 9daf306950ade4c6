"""The services of the test bed are real: they refuse what a real one refuses, and break when told to."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import parse_qsl

import pymysql
import pytest
import requests

from tests.testbed.ceph import Ceph
from tests.testbed.errors import BedError
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.receiver import Receiver
from tests.testbed.sample import change_one_row, fill
from tests.testbed.sample_fingerprint import fingerprint
from wbagent.config.dsn import S3URL, MysqlURL


def test_store_serves_a_signed_url_and_refuses_a_tampered_one(ceph: Ceph, bucket: S3URL) -> None:
    client = ceph.client()
    client.put_object(Bucket=bucket.bucket, Key="a b", Body=b"content")
    url = client.generate_presigned_url("get_object", {"Bucket": bucket.bucket, "Key": "a b"}, ExpiresIn=60)

    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"content")
    address, query = url.split("?")
    signed = dict(parse_qsl(query))
    tampered = {**signed, "X-Amz-Signature": signed["X-Amz-Signature"][::-1]}
    assert requests.get(address, params=tampered, timeout=10).status_code == 403
    assert requests.get(address, timeout=10).status_code == 403


def test_store_is_gone_while_its_gateway_is_stopped_and_keeps_its_objects() -> None:
    with Ceph() as store:
        store.create_bucket("files")
        store.client().put_object(Bucket="files", Key="key", Body=b"content")
        store.stop_gateway()
        with pytest.raises(requests.ConnectionError):
            requests.get(store.endpoint_url, timeout=10)
        store.start_gateway()
        assert store.keys("files") == ["key"]


def _post(receiver: Receiver, timeout: float) -> int:
    alert = {"title": "disk", "message": "full"}
    return requests.post(f"http://{receiver.address}:{receiver.port}/alerts", json=alert, timeout=timeout).status_code


def test_receiver_records_refuses_and_hangs(receiver: Receiver) -> None:
    receiver.behave("refuse")
    assert _post(receiver, 10) == 503
    receiver.behave("hang")
    with pytest.raises(requests.ReadTimeout):
        _post(receiver, 0.2)
    with pytest.raises(BedError, match=r"accepted=False disk\nfull"):
        receiver.wait_for(lambda alert: True, 0.01)
    receiver.behave("accept")
    assert _post(receiver, 10) == 200

    assert receiver.wait_for(lambda alert: "full" in alert.text, 10).path == "/alerts"
    assert [alert.accepted for alert in receiver.alerts] == [False, False, True]


def _copy(clients: ClientPrograms, mysql: MysqlServer, source: str, target: str, dump: Path) -> None:
    """Dump one database and restore it into another with nothing but MySQL's own programs."""
    way_in = ["-S", str(mysql.socket), "-uroot"]
    options = ["--single-transaction", "--hex-blob", "--routines", "--events", "--set-gtid-purged=OFF"]
    with dump.open("wb") as file:
        subprocess.run([clients.mysqldump, *way_in, *options, source], stdout=file, check=True)
    with dump.open("rb") as file:
        subprocess.run([clients.mysql, *way_in, target], stdin=file, check=True)


def test_equal_samples_have_equal_fingerprints_also_after_a_dump_and_restore(
    mysql: MysqlServer, database: MysqlURL, clients: ClientPrograms, tmp_path: Path
) -> None:
    mysql.execute("CREATE DATABASE again CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    mysql.execute("CREATE DATABASE restored CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    with mysql.connect(database.database) as here, mysql.connect("again") as there:
        fill(here, 2)
        fill(there, 2)
        before = fingerprint(here, database.database)
        assert fingerprint(there, "again") == before
    _copy(clients, mysql, database.database, "restored", tmp_path / "dump.sql")
    with mysql.connect() as connection:
        assert fingerprint(connection, "restored") == before


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("DELETE FROM audit LIMIT 1", {"rows of audit"}),
        ("UPDATE files SET flags = flags ^ 1 ORDER BY id LIMIT 1", {"rows of files"}),
        ("DROP TRIGGER count_runs", {"trigger count_runs"}),
        ("DROP FUNCTION run_label", {"function run_label"}),
        ("ALTER EVENT expire_audit DISABLE", {"event expire_audit"}),
        ("ALTER VIEW best_runs AS SELECT 1", {"view best_runs"}),
        ("ALTER TABLE audit DROP KEY by_time", {"table audit"}),
        ("ALTER TABLE audit MODIFY who VARCHAR(64) CHARACTER SET latin1", {"table audit"}),
        ("SELECT 1", set()),
    ],
)
def test_fingerprint_names_what_changed(
    mysql: MysqlServer, database: MysqlURL, statement: str, changed: set[str]
) -> None:
    with mysql.connect(database.database) as connection:
        fill(connection, 0.1)
        before = fingerprint(connection, database.database)
        with connection.cursor() as cursor:
            cursor.execute(statement)
        after = fingerprint(connection, database.database)
    assert {name for name in before if before[name] != after.get(name)} == changed


def test_fingerprint_sees_one_bit_of_one_blob(mysql: MysqlServer, database: MysqlURL) -> None:
    with mysql.connect(database.database) as connection:
        fill(connection, 1)
        before = fingerprint(connection, database.database)
        change_one_row(connection)
        after = fingerprint(connection, database.database)
    assert {name for name in before if before[name] != after[name]} == {"rows of history"}


def test_dump_loses_digits_of_rough_floats(
    mysql: MysqlServer, database: MysqlURL, clients: ClientPrograms, tmp_path: Path
) -> None:
    mysql.execute("CREATE DATABASE rough CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    with mysql.connect(database.database) as connection:
        fill(connection, 0.1, rough_floats=True)
        _copy(clients, mysql, database.database, "rough", tmp_path / "dump.sql")
        before, after = fingerprint(connection, database.database), fingerprint(connection, "rough")
    assert {name for name in before if before[name] != after[name]} == {"rows of runs"}


def test_server_comes_back_after_a_kill_with_what_was_committed() -> None:
    with MysqlServer() as server:
        url = server.create("wandb_local", "wandb_local", "secret")
        server.execute("CREATE TABLE kept (id INT PRIMARY KEY)", database="wandb_local")
        server.execute("INSERT INTO kept VALUES (7)", database="wandb_local")
        server.kill()
        with pytest.raises(pymysql.OperationalError, match="refused"):
            pymysql.connect(host=url.host, port=url.port, user=url.user, password=url.password)
        server.start()
        with pymysql.connect(host=url.host, port=url.port, user=url.user, password=url.password) as connection:
            connection.select_db(url.database)
            with connection.cursor() as cursor:
                cursor.execute("SELECT id FROM kept")
                assert cursor.fetchall() == ((7,),)


def test_mariadb_dump_program_is_what_it_says(mariadb_mysqldump: Path, clients: ClientPrograms) -> None:
    versions = [
        subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        for program in (mariadb_mysqldump, clients.mysqldump)
    ]
    assert "MariaDB" in versions[0]
    assert "Ver 9." in versions[1]
    assert "MariaDB" not in versions[1]
