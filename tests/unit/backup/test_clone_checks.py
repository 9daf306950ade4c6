"""A clone is taken only where it can be had, and else the first thing that is in its way is named with its remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.backup.engines.clone_checks import why_no_clone
from wbagent.backup.engines.clone_directory import Place
from wbagent.database.clone import CloneFacts
from wbagent.database.facts import ServerFacts
from wbagent.database.grants import parse_grants
from wbagent.database.schema import DatabaseFacts, TableFacts

GIB = 1 << 30
TABLE = TableFacts("runs", "InnoDB", 10, 16384, "v1")
DATABASE = DatabaseFacts("w", "utf8mb4", "utf8mb4_general_ci", (TABLE,), (), (), (), (), (), (), ())
FACTS = CloneFacts(plugin_active=True, data_bytes=GIB, encrypted=0, others=())
PLACE = Place(Path("/clones"), 2 * GIB)


def server(grants: str = "BACKUP_ADMIN, PROCESS", version: tuple[int, int, int] = (8, 4, 3)) -> ServerFacts:
    lines = [f"GRANT {grants} ON *.* TO `w`@`%`"]
    return ServerFacts(version, "8.4.3", "", "db1", "u", True, True, False, parse_grants("w@%", lines))


def test_clone_can_be_taken() -> None:
    assert why_no_clone(server(), DATABASE, FACTS, PLACE, same_host=True) is None


@pytest.mark.parametrize(
    ("facts", "database", "clone", "place", "same_host", "reason", "remedy"),
    [
        (server(), DATABASE, FACTS, PLACE, False, "another host", "run the agent on the database's host"),
        (server(version=(8, 0, 16)), DATABASE, FACTS, PLACE, True, "has no CLONE", "8.0.17"),
        (server(), DATABASE, replace(FACTS, plugin_active=False), PLACE, True, "plugin", "INSTALL PLUGIN clone"),
        (server("PROCESS"), DATABASE, FACTS, PLACE, True, "lacks BACKUP_ADMIN", "GRANT BACKUP_ADMIN ON *.* TO 'w'@'%'"),
        (server("BACKUP_ADMIN"), DATABASE, FACTS, PLACE, True, "lacks PROCESS", "GRANT PROCESS"),
        (
            server(),
            replace(DATABASE, tables=(TABLE, replace(TABLE, name="old", engine="MyISAM"))),
            FACTS,
            PLACE,
            True,
            "old (MyISAM)",
            "ENGINE=InnoDB",
        ),
        (server(), DATABASE, replace(FACTS, encrypted=2), PLACE, True, "2 tablespaces are encrypted", "keyring"),
        (server(), DATABASE, FACTS, replace(PLACE, why_not="/clones: No such file"), True, "No such file", "2770"),
        (server(), DATABASE, replace(FACTS, data_directory="/clones/"), PLACE, True, "data directory", "of its own"),
        (
            server(),
            DATABASE,
            replace(FACTS, data_directory="/clones/mysql"),
            PLACE,
            True,
            "data directory",
            "of its own",
        ),
        (server(), DATABASE, replace(FACTS, data_directory="/"), PLACE, True, "data directory", "of its own"),
        (server(), DATABASE, FACTS, replace(PLACE, free_bytes=GIB), True, "has room for 1.00G", "clone_directory"),
    ],
)
def test_what_is_in_its_way_is_said(
    facts: ServerFacts,
    database: DatabaseFacts,
    clone: CloneFacts,
    place: Place,
    same_host: bool,
    reason: str,
    remedy: str,
) -> None:
    found = why_no_clone(facts, database, clone, place, same_host=same_host)
    assert found
    assert reason in found.reason
    assert remedy in found.remedy


@given(size=st.integers(0, 10**13), free=st.integers(0, 10**13))
def test_there_is_always_room_for_what_is_cloned(size: int, free: int) -> None:
    refusal = why_no_clone(
        server(), DATABASE, replace(FACTS, data_bytes=size), replace(PLACE, free_bytes=free), same_host=True
    )
    assert refusal is not None or free > size
