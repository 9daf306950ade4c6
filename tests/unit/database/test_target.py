"""Which MySQL may take an embedded server's database."""

from __future__ import annotations

import pytest

from wbagent.config.dsn import MysqlURL
from wbagent.database.facts import Version
from wbagent.database.target import check_version
from wbagent.errors import DatabaseError

URL = MysqlURL.parse("mysql://wandb_local:SECRET@db1/wandb_local")


@pytest.mark.parametrize(
    ("version", "source"),
    [((8, 4, 0), (8, 0, 32)), ((8, 0, 28), (8, 0, 40)), ((9, 7, 4), (9, 7, 9)), ((5, 7, 44), (5, 7, 40))],
)
def test_fit(version: Version, source: Version) -> None:
    check_version(version, "MySQL", source, URL)


@pytest.mark.parametrize(
    ("version", "flavour", "source", "says"),
    [
        ((11, 4, 2), "MariaDB", (8, 0, 32), "does not support"),
        ((8, 0, 27), "MySQL", (8, 0, 27), "does not support"),
        ((5, 6, 51), "MySQL", (5, 6, 51), "does not support"),
        ((8, 0, 44), "MySQL", (8, 4, 0), "older than the embedded one"),
        ((5, 7, 44), "MySQL", (8, 0, 32), "older than the embedded one"),
    ],
)
def test_unfit(version: Version, flavour: str, source: Version, says: str) -> None:
    with pytest.raises(DatabaseError, match=says) as caught:
        check_version(version, flavour, source, URL)
    assert "SECRET" not in caught.value.message
