"""`wbagent check database` over each way to a server: closed, silent, hanging, in the clear, with certificates."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from tests.integration.conftest import require
from tests.integration.database_check_case import SMALL, found_by, settings
from tests.testbed.address import free_port
from tests.testbed.bridge import bridge
from tests.testbed.mysql import MysqlServer
from tests.testbed.place import Place, place
from tests.testbed.rootfs import MYSQL
from wbagent.alerts.mysql_load import MysqlWatch
from wbagent.checks.check import Finding, Subject
from wbagent.checks.database import checks
from wbagent.checks.database import look as looking
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config.dsn import MysqlURL
from wbagent.database import connection
from wbagent.moment import Moment
from wbagent.monitor import mysql_load
from wbagent.monitor.reach import Reach, cut_off


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[MysqlServer, Place]]:
    """On an address that is not this machine's, without TLS and binary log."""
    require(MYSQL)
    bare = SMALL | {"tls_version": "", "skip_log_bin": "1"}
    with (
        bridge() as run_,
        place(run_, "db", 50) as there,
        MysqlServer(address=there.address, port=3306, network=there.network, settings=bare) as server,
    ):
        server.create("wandb_local", "wandb_local", "own")
        come_in_once(server)
        yield server, there


def come_in_once(server: MysqlServer) -> None:
    """Without TLS a password is checked over the network only after it came by a way that nobody can listen to."""
    pymysql.connect(unix_socket=str(server.socket), user="wandb_local", password="own").close()


def only_failure(url: MysqlURL) -> Finding:
    """The one failure; nothing else is told of a database that cannot be reached."""
    wanted = settings(url)
    results = run({"database": checks(wanted)}, Subject(wanted, Scratch()))
    assert {each.check for each in results} <= {"account of [server] mysql", "standby"}
    (failed,) = [each.finding for each in results if each.finding.verdict == "fail"]
    return failed


def test_every_way_not_to_get_there(database: MysqlURL) -> None:
    refused = only_failure(replace(database, port=free_port("127.0.0.1")))
    assert "Connection refused" in refused.found
    assert "systemctl status mysql" in refused.remedy
    unnamed = only_failure(replace(database, host="nowhere.invalid"))
    assert "not known" in unnamed.found
    assert "getent hosts nowhere.invalid" in unnamed.remedy
    denied = only_failure(replace(database, password="another"))
    assert "Access denied" in denied.found
    assert "user and password" in denied.remedy
    assert "another" not in repr(denied)
    unproven = only_failure(replace(database, options=(("tls", "true"),)))
    assert "CERTIFICATE_VERIFY_FAILED" in unproven.found
    assert "ssl-ca" in unproven.remedy
    assert len({each.remedy for each in (refused, unnamed, denied, unproven)}) == 4


def test_unknown_database(database: MysqlURL) -> None:
    found = found_by(settings(replace(database, database="elsewhere")))
    assert found["database"].verdict == "fail"
    assert "no database 'elsewhere'" in found["database"].found
    assert r"CREATE DATABASE \`elsewhere\`" in found["database"].remedy
    # It comes in, and everything about the server itself is told.
    assert found["account of [server] mysql"].verdict == "pass"
    assert found["grants: server"].verdict == "fail"


def test_server_that_is_stopped(elsewhere: tuple[MysqlServer, Place]) -> None:
    server, _ = elsewhere
    url = server.url("wandb_local", "wandb_local")
    assert found_by(settings(url))["account of [server] mysql"].verdict == "pass"
    server.stop()
    assert "Connection refused" in only_failure(url).found
    server.start()
    come_in_once(server)
    assert found_by(settings(url))["account of [server] mysql"].verdict == "pass"


def test_host_that_does_not_answer(elsewhere: tuple[MysqlServer, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    server, there = elsewhere
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.5)
    with there.cut_off():
        silent = only_failure(server.url("wandb_local", "wandb_local"))
    assert "timed out" in silent.found
    assert "firewall" in silent.remedy


def test_mysqld_that_hangs(elsewhere: tuple[MysqlServer, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = elsewhere
    monkeypatch.setattr(looking, "_ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(mysql_load, "_ANSWER_WITHIN_S", 0.5)
    url, reach, now = server.url("wandb_local", "wandb_local"), Reach(), Moment.now()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        hangs = only_failure(url)
        MysqlWatch(reach).look(settings(url), now)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert "timed out" in hangs.found
    assert "SHOW PROCESSLIST" in hangs.remedy
    # The agent takes it for what it is, and not for a network that is gone.
    reach.note("store.example.com", False, now)
    assert reach.found(now)[server.address].reached
    assert not cut_off(reach.found(now))


def test_over_a_network_without_tls_and_binary_log(elsewhere: tuple[MysqlServer, Place]) -> None:
    server, _ = elsewhere
    found = found_by(settings(server.url("wandb_local", "wandb_local")))
    assert (found["encryption: [server] mysql"].verdict, found["settings: log_bin"].verdict) == ("warn", "warn")
    assert "in the clear" in found["encryption: [server] mysql"].found
    assert "log_bin = binlog" in found["settings: log_bin"].remedy
    assert "restart MySQL" in found["settings: log_bin"].remedy
    assert "binary log: gtid_mode" not in found
    assert (found["place"].verdict, "40 %" in found["place"].found) == ("note", True)
    assert f"ssh {server.address} apt install" in found["place"].remedy


def test_certificates(elsewhere: tuple[MysqlServer, Place], tmp_path: Path) -> None:
    """What MySQL makes itself is refused by name, one that names the host passes, each way to ask less is told."""
    server, _ = elsewhere
    url = server.url("wandb_local", "wandb_local")

    def way(tls: str, authority: Path | None = None) -> MysqlURL:
        return replace(url, options=(("tls", tls), *([("ssl-ca", str(authority))] if authority else [])))

    def encryption(tls: str, authority: Path | None = None) -> Finding:
        return found_by(settings(way(tls, authority)))["encryption: [server] mysql"]

    server.execute("SET GLOBAL tls_version = 'TLSv1.3'")
    server.execute("ALTER INSTANCE RELOAD TLS")
    try:
        own = server.directory / "data" / "ca.pem"
        refused = only_failure(way("true", own))
        assert f"names no host: give mysqld one that names {server.address}" in refused.remedy
        without = found_by(settings(url))["encryption: [server] mysql"]
        assert (without.verdict, "without tls=" in without.found) == ("warn", True)
        skipped = encryption("skip-verify")
        assert (skipped.verdict, "nobody verifies" in skipped.found) == ("note", True)
        made = certificates(tmp_path, server)
        server.execute("ALTER INSTANCE RELOAD TLS")
        verified = encryption("true", made)
        assert (verified.verdict, "TLSv1.3, MySQL's certificate is verified" in verified.found) == ("pass", True)
    finally:
        # A running server can be given TLS, and not be rid of it.
        server.stop()
        server.start()
        come_in_once(server)


def certificates(directory: Path, server: MysqlServer) -> Path:
    """Give the server a certificate that names its address; return the file of the authority."""

    def openssl(*arguments: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9")
        subprocess.run(["openssl", *arguments, *key], cwd=directory, check=True, capture_output=True)

    openssl("req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    openssl(
        "req", "-x509", "-keyout", "server-key.pem", "-out", "server-cert.pem", "-subj", "/CN=db", "-CA", "ca.pem",
        "-CAkey", "ca.key", "-addext", f"subjectAltName=IP:{server.address}",
    )  # fmt: skip
    for name in ("ca.pem", "server-key.pem", "server-cert.pem"):
        there = server.directory / "data" / name
        owner = there.stat()
        shutil.copyfile(directory / name, there)
        os.chown(there, owner.st_uid, owner.st_gid)
    return directory / "ca.pem"
