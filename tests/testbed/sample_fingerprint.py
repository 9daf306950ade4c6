"""What a database is and holds, as text that can be compared before and after a restore."""

from __future__ import annotations

import re
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

_ROUTINES = (
    "SELECT ROUTINE_NAME AS name FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE = '{kind}'"
)


def fingerprint(connection: pymysql.Connection[Any], database: str) -> dict[str, str]:
    """Return every table's definition, row count and checksum, and every program's definition, by name.

    Two databases with equal fingerprints hold the same rows (by MySQL's CHECKSUM TABLE) under the same
    definitions. Left out of these are the database's own name and the character set that a collation implies
    anyway, which MySQL spells out or not by how the table came about. `connection` must be allowed to see the
    definitions: root, or the user who made them.
    """
    with connection.cursor(DictCursor) as cursor:
        cursor.execute("SELECT DATABASE() AS here")
        before = _row(cursor)["here"]
        connection.select_db(database)
        try:
            facts = {**_tables(cursor, database), **_programs(cursor, database)}
        finally:
            if before:
                connection.select_db(before)
    return {name: _comparable(text, database) for name, text in sorted(facts.items())}


def _tables(cursor: DictCursor, database: str) -> dict[str, str]:
    facts = {}
    cursor.execute("SHOW FULL TABLES")
    listed = [(str(row[f"Tables_in_{database}"]), row["Table_type"]) for row in cursor.fetchall()]
    for name, kind in listed:
        if kind == "VIEW":
            cursor.execute(f"SHOW CREATE VIEW `{name}`")
            facts[f"view {name}"] = str(_row(cursor)["Create View"])
            continue
        cursor.execute(f"SHOW CREATE TABLE `{name}`")
        facts[f"table {name}"] = str(_row(cursor)["Create Table"])
        cursor.execute(f"SELECT count(*) AS number FROM `{name}`")
        number = _row(cursor)["number"]
        cursor.execute(f"CHECKSUM TABLE `{name}`")
        facts[f"rows of {name}"] = f"{number} rows, checksum {_row(cursor)['Checksum']}"
    return facts


def _programs(cursor: DictCursor, database: str) -> dict[str, str]:
    facts = {}
    for kind, query in (
        ("Trigger", "SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s"),
        ("Event", "SELECT EVENT_NAME AS name FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"),
        ("Procedure", _ROUTINES.format(kind="PROCEDURE")),
        ("Function", _ROUTINES.format(kind="FUNCTION")),
    ):
        cursor.execute(query, (database,))
        for name in [str(row["name"]) for row in cursor.fetchall()]:
            cursor.execute(f"SHOW CREATE {kind.upper()} `{name}`")
            shown = _row(cursor)
            definition = shown["SQL Original Statement" if kind == "Trigger" else f"Create {kind}"]
            facts[f"{kind.lower()} {name}"] = f"{definition}\nsql_mode {shown['sql_mode']}"
    return facts


def _row(cursor: DictCursor) -> dict[str, Any]:
    row = cursor.fetchone()
    assert row is not None
    return row


def _comparable(definition: str, database: str) -> str:
    spelled_once = re.sub(r"CHARACTER SET (\w+) (?=COLLATE \1_)", "", definition)
    return spelled_once.replace(f"`{database}`.", "")
