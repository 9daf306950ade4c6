"""What an account may do, read from SHOW GRANTS; decides whether a backup can record its position."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pymysql.converters import escape_string

_GRANT: Final = re.compile(
    r"GRANT (?P<what>.+?) ON (?:\*|`(?P<pattern>(?:[^`]|``)+)`)\.\* TO .*?(?P<option> WITH GRANT OPTION.*)?",
    re.IGNORECASE | re.DOTALL,
)
# What GRANT ALL on a database gives (MySQL manual, "Privileges Provided by MySQL"); from 8.0 on SHOW GRANTS names each
# of them for *.*, and says ALL PRIVILEGES for a database only.
ALL_ON_DATABASE: Final = (
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EVENT",
    "TRIGGER",
)


@dataclass(frozen=True, slots=True)
class Grants:
    """The privileges on `*.*` of one account (upper case, GRANT OPTION among them); `account` is 'user'@'host'.

    `databases`: further ones, each with the pattern of databases' names that it was granted on (% and _ as in LIKE).
    """

    account: str
    everywhere: frozenset[str]
    databases: tuple[tuple[str, frozenset[str]], ...] = ()

    def has(self, *alternatives: str) -> bool:
        """Whether the account holds at least one of the privileges on all databases."""
        return bool(self.everywhere & {"ALL PRIVILEGES", *alternatives})

    def missing_on(self, database: str, wanted: Iterable[str]) -> tuple[str, ...]:
        """Those of the privileges that the account does not hold on all of this database, in their order."""
        held = set(self.everywhere)
        for pattern, privileges in self.databases:
            if _like(pattern).fullmatch(database):
                held |= privileges
        # ALL is everything that can be granted on a database, but not the right to grant it on.
        every = "ALL PRIVILEGES" in held
        return tuple(each for each in wanted if each not in held and (not every or each == "GRANT OPTION"))

    def missing_for_position(self, version: tuple[int, int, int]) -> tuple[str, ...]:
        """The privileges without which mysqldump cannot note the binary log's position, or not without danger.

        PROCESS shows the statements of other accounts: behind a long one, the flush that the position needs stops all
        who want the same tables, and goes on doing so after it was given up.
        """
        # FLUSH_TABLES came with 8.0.23 and allows much less than RELOAD.
        lock = "FLUSH_TABLES" if version >= (8, 0, 23) else "RELOAD"
        missing = []
        if not self.has("RELOAD", "FLUSH_TABLES"):
            missing.append(lock)
        if not self.has("REPLICATION CLIENT", "SUPER"):
            missing.append("REPLICATION CLIENT")
        if not self.has("PROCESS"):
            missing.append("PROCESS")
        return tuple(missing)

    def statement(self, privileges: Iterable[str]) -> str:
        """The GRANT that an administrator runs to add them."""
        return f"GRANT {', '.join(privileges)} ON *.* TO {self.account};"

    def command(self, privileges: Iterable[str]) -> str:
        """The same as root types it on MySQL's host."""
        return mysql_command(self.statement(privileges))


def mysql_command(statement: str) -> str:
    """A statement as root types it on MySQL's host: a shell takes backquotes, dollars and backslashes for its own."""
    return 'mysql -e "' + re.sub(r'(["\\`$])', r"\\\1", statement) + '"'


def parse_grants(account: str, lines: Iterable[str]) -> Grants:
    """Read the lines of SHOW GRANTS; `account` is CURRENT_USER(), that is user@host."""
    everywhere: set[str] = set()
    databases: list[tuple[str, frozenset[str]]] = []
    for line in lines:
        if found := _GRANT.fullmatch(line):
            named = {part.strip().upper() for part in found["what"].split(",")}
            named |= {"GRANT OPTION"} if found["option"] else set()
            if found["pattern"] is None:
                everywhere |= named
            else:
                databases.append((found["pattern"].replace("``", "`"), frozenset(named)))
    return Grants(quoted_account(account), frozenset(everywhere), tuple(databases))


def _like(pattern: str) -> re.Pattern[str]:
    r"""The pattern of a GRANT: % for anything, _ for one character, \ before what stands for itself."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part, re.escape(part[-1])) for part in parts), re.DOTALL)


def quoted_account(account: str) -> str:
    """The account user@host as a statement names it: 'user'@'host'."""
    user, _, host = account.rpartition("@")
    return f"'{escape_string(user)}'@'{escape_string(host)}'"
