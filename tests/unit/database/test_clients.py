"""Client programs are told apart by what they say of themselves, and held to the server's version."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.database.clients import ClientProgram, check_client, find_client, parse_client
from wbagent.database.facts import Version
from wbagent.errors import DatabaseError


@pytest.mark.parametrize(
    ("text", "flavour", "version"),
    [
        ("mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "MySQL", (9, 7, 4)),
        ("mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", "MySQL", (8, 0, 36)),
        ("mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)", "MySQL", (5, 7, 44)),
        ("mysqldump  Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL), Release 28)", "Percona", (8, 0, 36)),
        ("mysqldump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)", "MariaDB", (10, 11, 6)),
        ("mysqldump from 11.8.3-MariaDB, client 10.19 for debian-linux-gnu (x86_64)", "MariaDB", (11, 8, 3)),
        ("hello", "MySQL", (0, 0, 0)),
    ],
)
def test_what_a_program_says_of_itself(text: str, flavour: str, version: Version) -> None:
    found = parse_client("/usr/bin/mysqldump", f"{text}\n")
    assert (found.flavour, found.version) == (flavour, version)


def client(version: Version, flavour: str = "MySQL") -> ClientProgram:
    return ClientProgram("/usr/bin/mysqldump", flavour, version, "its version line")


def test_client_as_new_as_the_server_is_taken() -> None:
    assert check_client(client((8, 4, 3)), (8, 4, 3), "mysqldump") == ()
    assert check_client(client((9, 7, 4)), (5, 7, 44), "mysqldump") == ()


def test_patch_release_behind_is_a_warning() -> None:
    (warning,) = check_client(client((8, 0, 30)), (8, 0, 36), "mysqldump")
    assert "8.0.36" in warning


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (client((8, 0, 36)), "older than the server"),
        (client((11, 8, 3), "MariaDB"), "is MariaDB's program"),
        (client((0, 0, 0)), "does not say which MySQL"),
    ],
)
def test_client_that_cannot_be_trusted_is_refused(program: ClientProgram, reason: str) -> None:
    with pytest.raises(DatabaseError, match=reason) as caught:
        check_client(program, (9, 7, 4), "mysqldump")
    assert "[backup] mysqldump" in caught.value.hint


def test_program_that_is_not_there_or_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="was not found"):
        find_client(str(tmp_path / "nothing"), "mysqldump")
    broken = tmp_path / "mysqldump"
    broken.write_text("#!/nowhere\n")
    broken.chmod(0o755)
    with pytest.raises(DatabaseError, match="--version failed"):
        find_client(str(broken), "mysqldump")
