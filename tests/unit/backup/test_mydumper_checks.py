"""mydumper is taken only where it is new enough and may lock, and is called so that its traps are closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.backup.engines.engine import WhyNot
from wbagent.backup.engines.mydumper_checks import (
    Program,
    Room,
    find_program,
    loses,
    options,
    parse_program,
    session_variables,
    why_no_mydumper,
)
from wbagent.backup.source import Source
from wbagent.config import embedded
from wbagent.config.dsn import MysqlURL
from wbagent.database.facts import ServerFacts, Version
from wbagent.database.grants import parse_grants
from wbagent.database.schema import DatabaseFacts, TableFacts

GIB = 1 << 30
URL = MysqlURL("w", "secret", "db1", 3306, "w")
TABLE = TableFacts("runs", "InnoDB", 10, GIB, "v1")
DATABASE = DatabaseFacts("w", "utf8mb4", "utf8mb4_general_ci", (TABLE,), (), (), (), (), (), (), ())
ROOM = Room(Path("/state/staging"), 2 * GIB)


def server(
    grants: str = "RELOAD, PROCESS, REPLICATION CLIENT", *, binary_log: bool = True, version: Version = (9, 7, 4)
) -> ServerFacts:
    lines = [f"GRANT {grants} ON *.* TO `w`@`%`"]
    return ServerFacts(version, "", "(Debian)", "db1", "u", binary_log, True, False, parse_grants("w@%", lines))


@pytest.mark.parametrize(
    "text",
    [
        # As they print it: Debian's 0.10.1, whose text names another version and MariaDB's library as MySQL's.
        "mydumper 0.10.0, built against MySQL 11.8.3",
        "mydumper v0.16.7-5, built against MySQL 8.4.2 with SSL support",
        "mydumper v1.0.0-1, built against MySQL 9.7.4 with SSL support",
        "",
        "usage: …",
    ],
)
def test_old_ones_are_refused(text: str) -> None:
    refused = parse_program("/usr/bin/mydumper", text)
    assert isinstance(refused, WhyNot)
    assert "lose rows" in refused.reason
    assert "1.0.1 or later" in refused.remedy


def test_one_for_another_library_is_refused() -> None:
    refused = parse_program("/usr/bin/mydumper", "mydumper v1.0.1-3, built against MariaDB 11.8.3 with SSL support")
    assert isinstance(refused, WhyNot)
    assert "TLS" in refused.reason


def test_new_one_is_taken() -> None:
    text = "mydumper v1.0.1-3, built against MySQL 9.7.4 with SSL support"
    assert parse_program("/opt/mydumper", text + "\n") == Program("/opt/mydumper", (1, 0, 1), text)


def test_program_that_is_not_there() -> None:
    refused = find_program("/nowhere/mydumper")
    assert isinstance(refused, WhyNot)
    assert "'/nowhere/mydumper' was not found" in refused.reason


def test_it_can_be_taken() -> None:
    assert why_no_mydumper(URL, Source(server(), DATABASE, 0), ROOM) is None
    no_log = server("FLUSH_TABLES, PROCESS", binary_log=False)
    assert why_no_mydumper(URL, Source(no_log, DATABASE, 0), ROOM) is None, "no position needs no right to see it"


@pytest.mark.parametrize(
    ("url", "source", "room", "reason", "remedy"),
    [
        (embedded.MYSQL, Source(server(), DATABASE, 0), ROOM, "embedded", "externalize"),
        (URL, Source(server("PROCESS, REPLICATION CLIENT"), DATABASE, 0), ROOM, "lacks FLUSH_TABLES", "GRANT FLUSH"),
        (URL, Source(server("RELOAD, REPLICATION CLIENT"), DATABASE, 0), ROOM, "lacks PROCESS", "GRANT PROCESS"),
        (URL, Source(server("RELOAD, PROCESS"), DATABASE, 0), ROOM, "lacks REPLICATION CLIENT", "GRANT REPLICATION"),
        (URL, Source(server(), replace(DATABASE, hidden_routines=("FUNCTION f",)), 0), ROOM, "f", "SHOW_ROUTINE"),
        (URL, Source(server(version=(9, 1, 0)), DATABASE, 0), ROOM, "MySQL 9.1.0", "9.2"),
        (URL, Source(server(), replace(DATABASE, name="a,b"), 0), ROOM, "comma", "rename"),
        (URL, Source(server(), DATABASE, 2), ROOM, "2 statements have run for long", "later"),
        (URL, Source(server(), DATABASE, 0), replace(ROOM, free_bytes=GIB // 2), "room for 512M", "free some"),
    ],
)
def test_what_is_in_its_way_is_said(url: MysqlURL, source: Source, room: Room, reason: str, remedy: str) -> None:
    refused = why_no_mydumper(url, source, room)
    assert refused is not None
    assert reason in refused.reason
    assert remedy in refused.remedy


@given(
    st.sets(st.sampled_from(["RELOAD", "FLUSH_TABLES", "PROCESS", "REPLICATION CLIENT"]), min_size=1),
    st.booleans(),
    st.integers(0, 2),
    st.integers(0, 2 * GIB),
)
def test_the_lock_is_asked_for_only_where_it_can_be_had(
    grants: set[str], binary_log: bool, long_queries: int, free: int
) -> None:
    facts = server(", ".join(sorted(grants)), binary_log=binary_log)
    if why_no_mydumper(URL, Source(facts, DATABASE, long_queries), replace(ROOM, free_bytes=free)) is None:
        assert grants & {"RELOAD", "FLUSH_TABLES"}
        assert "PROCESS" in grants
        assert long_queries == 0
        assert free >= GIB
        assert not binary_log or "REPLICATION CLIENT" in grants


def test_what_it_loses_is_named() -> None:
    assert loses(DATABASE) == ""
    assert "FUNCTION f, t" in loses(replace(DATABASE, routines=("FUNCTION f",), triggers=("t",)))


def test_options_close_the_traps() -> None:
    given_options = list(options(server(), 7, 2))
    assert {"--rows=-1", "--check-row-count"} <= set(given_options), "tables are read whole, and counted"
    assert {"--routines", "--events", "--triggers"} <= set(given_options)
    assert "--server-version=mysql-9.7.4" in given_options, "Debian's server would be unknown"
    assert "--ftwrl-timeout-retries=1" in given_options
    assert "--exec-per-thread=zstd -c -7" in given_options
    assert not any("password" in option or "user" in option for option in given_options)


def test_session_variables() -> None:
    assert session_variables((9, 7, 4)).splitlines() == [
        "",
        "[mydumper_session_variables]",
        "lock_wait_timeout = 10",
        "explain_format = TRADITIONAL",
    ]
    assert "explain_format" not in session_variables((8, 0, 20)), "which 8.0.20 does not know"
