"""What the tests of drills on booted hosts share: a database to back up, how db1 takes drills up, what is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pymysql

from tests.testbed.bed import PASSWORD, Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.sample import fill

AGENT: Final = "wbagent.service"
DRILL: Final = "wbagent-drill.service"
DATABASE: Final = "drill_sample"


@contextmanager
def filled(bed: Bed, megabytes: int = 8) -> Iterator[None]:
    """The database on db1, and an administrator who made it."""
    bed.sql(
        f"CREATE USER 'admin'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO 'admin'@'%';"
        f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    )
    with pymysql.connect(
        host=bed.db.address, user="admin", password=PASSWORD, charset="utf8mb4", autocommit=True
    ) as connection:
        connection.select_db(DATABASE)
        fill(connection, megabytes)
    yield
    bed.sql(f"DROP DATABASE IF EXISTS {DATABASE}; DROP USER 'admin'@'%'")


@contextmanager
def set_up_for_clones(bed: Bed) -> Iterator[None]:
    """db1 as the manual says."""
    bed.sql("INSTALL PLUGIN clone SONAME 'mysql_clone.so'; GRANT BACKUP_ADMIN ON *.* TO 'wandb_backup'@'%';")
    yield
    bed.sql("UNINSTALL PLUGIN clone; REVOKE BACKUP_ADMIN ON *.* FROM 'wandb_backup'@'%'")


def take_up(bed: Bed, backup: Mapping[str, object] | None = None, **drill: object) -> None:
    """Let db1 back the database up, and drill."""
    url = str(replace(bed.backup_url, database=DATABASE))
    drills = {"backup.drill": {"enabled": True, **drill}}
    configure(bed.db, bed.db_settings(database={"url": url}, backup=backup or {}, **drills))
    reload(bed.db)


def listed(host: Host) -> list[dict[str, Any]]:
    """What `wbagent backup list` tells, oldest first."""
    found: list[dict[str, Any]] = json.loads(host.run(["wbagent", "backup", "list", "--json"]).stdout)["backups"]
    return found
