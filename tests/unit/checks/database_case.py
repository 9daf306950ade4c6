"""What the tests of how a database is judged share: a server with which all is well, and what differs from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wbagent.checks.check import Finding
from wbagent.checks.database.look import Collations, Look
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.database.facts import ServerFacts
from wbagent.database.grants import Grants
from wbagent.database.schema import DatabaseFacts, TableFacts
from wbagent.database.wanted import WANTED

ACCOUNT = "'wandb_local'@'%'"
URL = MysqlURL("wandb_local", "own", "db1.example.com", 3306, "wandb_local")
GRANTED = (("wandb_local", frozenset({"ALL PRIVILEGES"})),)
GIB = 1 << 30


def table(name: str, engine: str = "InnoDB", size: int = 0) -> TableFacts:
    return TableFacts(name, engine, 0, size, "")


def database(*found: TableFacts, **other: Any) -> DatabaseFacts:
    facts = DatabaseFacts("wandb_local", "utf8mb4", "utf8mb4_general_ci", found, (), (), (), (), (), (), ())
    return replace(facts, **other)


def server(version: tuple[int, int, int] = (8, 4, 0), **other: Any) -> ServerFacts:
    text = ".".join(str(part) for part in version)
    grants = Grants(ACCOUNT, frozenset(), GRANTED)
    return replace(ServerFacts(version, text, "", "db1", "uuid-1", True, True, False, grants), **other)


def look(**other: Any) -> Look:
    seen = Look(
        key="[server] mysql",
        url=URL,
        local=False,
        encryption="TLSv1.3",
        server=server(),
        variables={each.name: each.better or each.value for each in WANTED}
        | {
            "gtid_mode": "ON",
            "binlog_expire_logs_seconds": "2592000",
            "max_connections": "151",
            "innodb_buffer_pool_size": str(GIB),
            "character_set_server": "utf8mb4",
            "collation_server": "utf8mb4_0900_ai_ci",
        },
        status={"Max_used_connections": "12"},
        plugin="caching_sha2_password",
        plugins=frozenset({"caching_sha2_password"}),
        database=database(table("runs", size=1000)),
        collations=Collations({"runs": "utf8mb4_general_ci"}, {}),
    )
    return replace(seen, **other)


def with_variables(**values: str) -> Look:
    seen = look()
    return replace(seen, variables={**seen.variables, **values})


def settings(**sections: Any) -> Settings:
    return Settings.model_validate({"database": {"url": str(URL)}} | sections)


def by_about(found: Any) -> dict[str, Finding]:
    return {each.about: each for each in found}
