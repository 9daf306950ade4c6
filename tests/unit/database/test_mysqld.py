"""Which mysqld may take over which data, and what its error log asks for."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from wbagent.database.facts import Version
from wbagent.database.mysqld import (
    LocalMysqld,
    NoServerProgramError,
    check_mysqld,
    denial,
    find_mysqld,
    last_lines,
    load_refusal,
    log_needs,
    upgrade_refusal,
)
from wbagent.errors import DatabaseError

DENIED = "2026-11-26T14:53:35Z 0 [ERROR] [MY-012592] [InnoDB] Operating system error number 13 in a file operation."


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ((9, 7, 4), (9, 7, 4), True),
        ((8, 0, 28), (8, 0, 36), True),
        ((8, 0, 36), (8, 0, 28), False),
        ((8, 0, 36), (8, 4, 2), True),
        ((8, 0, 36), (9, 7, 4), False),
        ((8, 3, 0), (8, 4, 0), True),
        ((8, 3, 0), (9, 0, 0), False),
        ((8, 4, 2), (9, 1, 0), True),
        ((8, 4, 2), (9, 7, 4), True),
        ((9, 7, 4), (8, 4, 9), False),
    ],
)
def test_upgrade_of_a_data_directory(old: Version, new: Version, allowed: bool) -> None:
    assert (upgrade_refusal(old, new) == "") is allowed


@pytest.mark.parametrize(
    ("dumped", "target", "allowed"),
    [
        ((8, 0, 36), (9, 7, 4), True),
        ((9, 7, 4), (9, 7, 1), True),
        ((8, 4, 2), (8, 0, 36), True),
        ((9, 7, 4), (8, 4, 2), True),
        ((9, 7, 4), (8, 0, 36), False),
        ((8, 0, 36), (5, 7, 44), False),
    ],
)
def test_dump_goes_back_one_long_term_series_at_most(dumped: Version, target: Version, allowed: bool) -> None:
    assert (load_refusal(dumped, target) == "") is allowed


def test_a_dump_loads_into_any_newer_one() -> None:
    program = LocalMysqld("/usr/sbin/mysqld", "MySQL", (9, 7, 4), "mysqld  Ver 9.7.4")
    assert check_mysqld(program, "5.7.44", (5, 7, 44), physical=False) == ()
    with pytest.raises(DatabaseError, match=r"must not skip the series 8\.0"):
        check_mysqld(program, "5.7.44", (5, 7, 44), physical=True)
    with pytest.raises(DatabaseError, match="an older mysqld may not understand"):
        check_mysqld(program, "9.8.0", (9, 8, 0), physical=False)
    (warning,) = check_mysqld(program, "9.7.1", (9, 7, 1), physical=True)
    assert "the older one cannot use it again" in warning


def test_what_is_not_a_server_program(tmp_path: Path) -> None:
    with pytest.raises(NoServerProgramError, match="there is no mysqld on this host"):
        find_mysqld(str(tmp_path / "none"))
    for text, reason in (
        ("mariadbd  Ver 11.8.3-MariaDB for debian-linux-gnu", "is MariaDB's"),
        ("hello", "does not say which MySQL it is"),
    ):
        program = tmp_path / "mysqld"
        program.write_text(f"#!/bin/sh\necho '{text}'\n")
        program.chmod(stat.S_IRWXU)
        with pytest.raises(DatabaseError, match=reason):
            find_mysqld(str(program))


def test_what_the_data_was_made_with() -> None:
    log = (
        "[ERROR] [MY-011087] [Server] Different lower_case_table_names settings for server ('0') and data dictionary"
        " ('1').\n[ERROR] [MY-012264] [InnoDB] Data file './ibdata1' uses page size 8192, but the innodb_page_size"
        " start-up parameter is 16384"
    )
    assert log_needs(log) == {"lower-case-table-names": "1", "innodb-page-size": "8192"}
    assert log_needs("ready for connections") == {}


def test_denials_come_with_their_remedy() -> None:
    assert "apparmor_parser" in denial(DENIED, "/data", apparmor=True, selinux=False)
    assert "semanage fcontext" in denial(DENIED, "/data", apparmor=False, selinux=True)
    assert "every directory above it" in denial(DENIED, "/data", apparmor=False, selinux=False)
    assert denial("[ERROR] Table is corrupt", "/data", apparmor=True, selinux=True) == ""


def test_errors_are_what_is_shown_of_a_log() -> None:
    assert last_lines(["starting", "[ERROR] one", "[ERROR] one", "aborting"]) == "[ERROR] one"
    assert last_lines(["starting", "aborting"]) == "starting / aborting"
