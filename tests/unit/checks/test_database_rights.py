"""How the rights and passwords of the accounts at a MySQL server are judged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.checks.database_case import (
    by_about,
    database,
    look,
    server,
    settings,
)
from wbagent.checks.database import rights
from wbagent.checks.database.look import Look, OldAccount
from wbagent.database.clone import CloneFacts
from wbagent.database.grants import ALL_ON_DATABASE, Grants, parse_grants


def granted(*lines: str) -> Grants:
    return parse_grants("wandb_local@%", lines)


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (["GRANT ALL PRIVILEGES ON `wandb_local`.* TO `wandb_local`@`%` WITH GRANT OPTION"], 0),
        ([r"GRANT ALL PRIVILEGES ON `wandb\_local`.* TO `wandb_local`@`%`"], 0),
        (["GRANT ALL PRIVILEGES ON `wandb%`.* TO `wandb_local`@`%`"], 0),
        (["GRANT ALL PRIVILEGES ON `wandb`.* TO `wandb_local`@`%`"], len(ALL_ON_DATABASE)),
        ([f"GRANT {', '.join(ALL_ON_DATABASE)} ON *.* TO `wandb_local`@`%`"], 0),
        (["GRANT USAGE ON *.* TO `wandb_local`@`%`"], len(ALL_ON_DATABASE)),
        (["GRANT SELECT, INSERT ON `wandb_local`.* TO `wandb_local`@`%`"], len(ALL_ON_DATABASE) - 2),
        (["GRANT SELECT ON *.* TO `w`@`%`", "GRANT INSERT ON `wandb_local`.* TO `w`@`%`"], len(ALL_ON_DATABASE) - 2),
    ],
)
def test_rights_of_the_server(lines: list[str], missing: int) -> None:
    grants = granted(*lines)
    assert len(grants.missing_on("wandb_local", ALL_ON_DATABASE)) == missing
    assert rights.of_server(grants, "wandb_local").verdict == ("fail" if missing else "pass")


def backup_look(*lines: str, **other: Any) -> Look:
    clone = CloneFacts(True, 1000, 0, (), "/var/lib/mysql")
    return look(key="[database] url", server=server(grants=granted(*lines)), clone=clone, **other)


EVERYTHING = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, PROCESS, RELOAD, REPLICATION CLIENT ON *.* TO `b`@`%`"


def test_rights_of_the_backup() -> None:
    found = by_about(rights.of_backup(backup_look(EVERYTHING, local=True), settings()))
    assert [found[about].verdict for about in ("backup", "position", "clone")] == ["pass", "pass", "note"]
    assert "BACKUP_ADMIN" in found["clone"].remedy
    more = by_about(rights.of_backup(backup_look(EVERYTHING, "GRANT BACKUP_ADMIN ON *.* TO `b`@`%`"), settings()))
    assert "another host" in more["clone"].found


def test_a_backup_that_would_not_hold_everything() -> None:
    found = by_about(rights.of_backup(backup_look("GRANT SELECT ON *.* TO `b`@`%`"), settings()))
    assert found["backup"].verdict == "fail"
    assert r"GRANT SHOW VIEW, TRIGGER, EVENT ON \`wandb_local\`.*" in found["backup"].remedy
    assert found["position"].verdict == "note"
    hidden = backup_look(EVERYTHING, database=database(hidden_routines=("PROCEDURE p",)))
    assert "SHOW_ROUTINE" in by_about(rights.of_backup(hidden, settings()))["backup"].remedy


def test_rights_to_ship_binary_logs_and_to_clone_where_that_is_configured() -> None:
    wanted = settings(backup={"engine": "clone", "binlog": {"enabled": True}})
    found = by_about(rights.of_backup(backup_look(EVERYTHING, local=True), wanted))
    assert (found["binlog"].verdict, found["clone"].verdict) == ("fail", "fail")
    assert "GRANT REPLICATION SLAVE ON *.*" in found["binlog"].remedy
    more = "GRANT REPLICATION SLAVE, BACKUP_ADMIN ON *.* TO `b`@`%`"
    found = by_about(rights.of_backup(backup_look(EVERYTHING, more, local=True), wanted))
    assert (found["binlog"].verdict, found["clone"].verdict) == ("pass", "pass")


def test_no_backups_need_no_rights() -> None:
    assert list(rights.of_backup(backup_look(), settings(backup={"enabled": False}))) == []


@pytest.mark.parametrize(
    ("plugin", "version", "expected"),
    [
        ("caching_sha2_password", (9, 7, 4), "pass"),
        ("mysql_native_password", (8, 0, 44), "warn"),
        ("mysql_native_password", (8, 4, 0), "warn"),
        ("sha256_password", (9, 7, 4), "note"),
        ("", (9, 7, 4), "pass"),
    ],
)
def test_own_password(plugin: str, version: tuple[int, int, int], expected: str) -> None:
    assert rights.own_password(granted(), plugin, version).verdict == expected


def test_other_passwords() -> None:
    old = (OldAccount("'a'@'%'", "mysql_native_password"), OldAccount("'b'@'%'", "sha256_password"))
    found = list(rights.other_passwords(old, frozenset({"sha256_password"}), (9, 7, 4)))
    assert [each.verdict for each in found] == ["warn", "note"]
    assert found[0].remedy.startswith("ALTER USER 'a'@'%' IDENTIFIED WITH caching_sha2_password")
    assert list(rights.other_passwords((), frozenset(), (9, 7, 4))) == []
