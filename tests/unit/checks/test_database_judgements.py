"""How the way to a MySQL server and its standby are judged, and which checks of a database there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.checks.database_case import (
    URL,
    by_about,
    look,
    server,
    settings,
    with_variables,
)
from wbagent.checks.database import checks, standby, way
from wbagent.checks.database.look import Look
from wbagent.checks.database.standby import StandbyLook
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.monitor.replication import Threads
from wbagent.server.resolving import Lookup


def url(**options: str) -> MysqlURL:
    return replace(URL, options=tuple(options.items()))


@pytest.mark.parametrize(
    ("seen", "expected", "words"),
    [
        (look(url=url(tls="true")), "pass", "MySQL's certificate is verified"),
        (look(url=url(tls="skip-verify")), "note", "nobody verifies"),
        (look(), "warn", "without tls="),
        (look(key="[database] url"), "note", "tls=preferred"),
        (look(encryption=""), "warn", "in the clear over the network"),
        (look(encryption="", local=True), "pass", "within this host"),
        (look(encryption="", local=True, url=url(socket="/run/mysqld/mysqld.sock")), "pass", "socket"),
    ],
)
def test_encryption(seen: Look, expected: str, words: str) -> None:
    found = way.encryption(seen)
    assert (found.verdict, words in found.found) == (expected, True)


def test_a_server_that_offers_no_tls_is_told_to_get_certificates() -> None:
    assert "mysql://wandb_local:PASSWORD@db1.example.com:3306/wandb_local?tls=true" in way.encryption(look()).remedy
    assert "ssl_cert" in way.encryption(replace(with_variables(tls_version=""), encryption="")).remedy
    assert "ssl_cert" not in way.encryption(replace(with_variables(tls_version="TLSv1.3"), encryption="")).remedy


def test_the_agent_belongs_on_a_remote_database_too() -> None:
    found = way.place(look())
    assert found.verdict == "note"
    assert "40 %" in found.found
    assert "5 minutes" in found.found
    assert "ssh db1.example.com apt install" in found.remedy
    assert way.place(look(local=True)).verdict == "pass"


def test_backups_of_another_database() -> None:
    backup = look(key="[database] url", server=server(uuid="uuid-2"))
    assert [each.verdict for each in way.same_database(look(), backup)] == ["warn"]
    assert [each.verdict for each in way.same_database(look(), look(key="[database] url"))] == ["pass"]
    replica = replace(with_variables(super_read_only="ON"), server=server(uuid="uuid-2"))
    assert [each.verdict for each in way.same_database(look(), replica)] == ["note"]


# --- standby ---

WELL = StandbyLook((8, 4, 0), "MySQL", Threads("", ""), caught_up=True, read_only=True)


@pytest.mark.parametrize(
    ("seen", "about", "expected"),
    [
        (replace(WELL, threads=Threads("replica", "")), "replication", "fail"),
        (replace(WELL, threads=Threads("applier", "Duplicate entry")), "replication", "fail"),
        (replace(WELL, threads=None), "replication", "note"),
        (replace(WELL, caught_up=False), "lag", "warn"),
        (replace(WELL, caught_up=None), "lag", "note"),
        (replace(WELL, read_only=False), "writes", "warn"),
        (replace(WELL, version=(8, 0, 44)), "version", "warn"),
        (replace(WELL, flavour="MariaDB"), "version", "fail"),
    ],
)
def test_standby_that_is_not_well(seen: StandbyLook, about: str, expected: str) -> None:
    assert by_about(standby.judge(seen, URL, (8, 4, 0)))[about].verdict == expected


def test_standby_that_is_well() -> None:
    assert {each.verdict for each in standby.judge(WELL, URL, (8, 4, 0))} == {"pass"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("[server] mysql", "OFF", "pass"), ("[server] mysql", "ON", "fail"), ("[database] url", "ON", "note")],
)
def test_writes(key: str, value: str, expected: str) -> None:
    assert standby.takes_writes(replace(with_variables(read_only=value), key=key)).verdict == expected


# --- which checks there are ---


def test_nothing_configured_and_embedded() -> None:
    (nothing,) = checks(Settings())
    assert nothing.name == "configured"
    embedded = {"host": "http://w.example.com", "image": "wandb/local:0.83.0", "embedded": True}
    (own,) = checks(Settings.model_validate({"server": embedded}))
    assert own.name == "embedded"


def test_names_are_unique() -> None:
    names = [check.name for check in checks(settings(standby={"url": str(URL)}))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        (Lookup("db1.example.com", ("10.1.2.3",), ("10.1.2.3",)), "pass"),
        (Lookup("db1", ("10.1.2.3",), (), hosts_file=True), "fail"),
        (Lookup("db1", ("10.1.2.3",), (), hosts_file=True, sure=False), "warn"),
    ],
)
def test_the_name_is_judged_as_the_container_sees_it(host: Lookup, verdict: str) -> None:
    finding = way.judge_name(host)
    assert finding.verdict == verdict
    assert ("in [server] mysql: name it by its address, 10.1.2.3" in finding.remedy) is (verdict != "pass")
