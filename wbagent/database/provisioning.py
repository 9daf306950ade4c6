"""What makes a database and an account as they should be: pure decisions that give the statements still to be run.

Sources: W&B's guide, "MySQL" (the server's database and account); MySQL's manual, "mysqldump", "Cloning Data Locally",
"Privileges Provided by MySQL" (an account that can make backups and do nothing else).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pymysql.converters import escape_string

from wbagent.database.account import Account
from wbagent.database.connection import quoted_name
from wbagent.database.facts import Version
from wbagent.database.grants import ALL_ON_DATABASE, Grants

# As the guide's CREATE DATABASE has them.
CHARSET: Final = "utf8mb4"
COLLATION: Final = "utf8mb4_general_ci"
PLACEHOLDER: Final = "PASSWORD"
# An account may have two passwords for a while: whoever has not been told the new one goes on with the old one.
RETAINS_SINCE: Final = (8, 0, 14)

_CLONES_SINCE: Final = (8, 0, 17)
_EVERYWHERE: Final = ""
_AS_GOOD: Final = {"FLUSH_TABLES": ("RELOAD",), "REPLICATION CLIENT": ("SUPER",)}
_HERE_ONLY: Final = "MySQL listens where this host alone reaches it, and no container of this host either; to mend it, "
_LISTENS: Final = "[mysqld]\nbind_address = *"

# Privileges on one database, or on all as `_EVERYWHERE`.
Privileges = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One statement and what it is for. The password is not in it: it belongs between two of the `parts`."""

    purpose: str
    parts: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The statement for a person, with a word in the password's place."""
        return f"'{PLACEHOLDER}'".join(self.parts) + ";"

    def statement(self, password: str) -> str:
        """The statement as it is run, in a session without NO_BACKSLASH_ESCAPES."""
        return f"'{escape_string(password)}'".join(self.parts)


@dataclass(frozen=True, slots=True)
class Found:
    """What is there: the database's character set and collation, and what the account may do.

    None for what is not there. `other_hosts` are those of accounts with the same user. `option_file`: one that its
    mysqld would read after all others, "" where that is not known.
    """

    version: Version
    database: tuple[str, str] | None = None
    grants: Grants | None = None
    clone_plugin: bool = False
    other_hosts: tuple[str, ...] = ()
    port: int = 3306
    bind_address: str = "*"
    option_file: str = ""

    @property
    def listens_here_only(self) -> bool:
        """Whether no other host and no container can reach it over the network."""
        addresses = {address.strip().partition("/")[0] for address in self.bind_address.split(",")}
        return self.port == 0 or addresses <= {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, what is so already, what a person should know, and what is wrong and for a person to mend."""

    steps: tuple[Step, ...]
    already: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupNeeds:
    """What the account for backups is to be good for beside dumps."""

    clone: bool
    binlog: bool


def plan_for_server(found: Found, account: Account, database: str, *, renew: bool = False) -> Plan:
    """The guide's database and account, in the guide's SQL.

    Invariant: what is there is never altered, but for the grants that lack and a password that is asked for.
    """
    steps, already, wrong = [], [], []
    name = quoted_name(database)
    if found.database is None:
        create = f"CREATE DATABASE {name} CHARACTER SET {CHARSET} COLLATE {COLLATION}"
        steps.append(Step(f"create the database {database}", (create,)))
    elif found.database == (CHARSET, COLLATION):
        already.append(f"the database {database} is there, in {CHARSET} and {COLLATION}")
    else:
        wrong.append(
            f"the database {database} is in {found.database[0]} ({found.database[1]}) instead of {CHARSET}"
            f" ({COLLATION}); nothing was altered. For new tables:\n"
            f"ALTER DATABASE {name} CHARACTER SET {CHARSET} COLLATE {COLLATION};\n"
            "Those that are there: wbagent check database"
        )
    wanted = {database: (*ALL_ON_DATABASE, "GRANT OPTION")}
    steps += _account_steps(found, account, renew=renew)
    missing = _missing(wanted, found.grants)
    if missing:
        grant = f"GRANT ALL ON {name}.* TO {account} WITH GRANT OPTION"
        steps.append(Step(f"give {account} all rights on {database}", (grant,)))
    if found.grants is not None:
        already.append(f"the account {account} is there" + ("" if missing else f", with all rights on {database}"))
    notes = [*_namesakes(found, account), *([_here_only(found)] if found.listens_here_only else [])]
    return Plan(tuple(steps), tuple(already), tuple(notes), tuple(wrong))


def plan_for_backup(found: Found, account: Account, database: str, needs: BackupNeeds, *, renew: bool = False) -> Plan:
    """An account that can make backups and change nothing."""
    wanted = backup_privileges(found.version, database, needs)
    steps = []
    if _clones(found.version, needs) and not found.clone_plugin:
        # The first, since a MySQL that was packed without it has no other step that can fail.
        steps.append(Step("load MySQL's clone plugin", ("INSTALL PLUGIN clone SONAME 'mysql_clone.so'",)))
    steps += _account_steps(found, account, renew=renew)
    missing = _missing(wanted, found.grants)
    for scope, privileges in missing.items():
        grant = f"GRANT {', '.join(privileges)} ON {_on(scope)} TO {account}"
        steps.append(Step(f"let {account} read {scope or 'the state of the server'}", (grant,)))
    already = []
    if found.grants is not None:
        already.append(f"the account {account} is there" + ("" if missing else ", with all that a backup needs"))
    notes = [*_namesakes(found, account), *_more_than(wanted, found.grants)]
    if found.database is None:
        notes.append(f"there is no database {database}; the rights hold when it is made: wbagent database init")
    return Plan(tuple(steps), tuple(already), tuple(notes))


def backup_privileges(version: Version, database: str, needs: BackupNeeds) -> Privileges:
    """What dumps need, and clones and the shipping of binary logs where wanted.

    Nothing here can write a row. SELECT on all databases is asked for only where the definition of a routine cannot be
    had otherwise (before 8.0.20).
    """
    everywhere = [
        "PROCESS",
        "REPLICATION CLIENT",
        # As missing_for_position() of grants.py: it allows much less than RELOAD.
        "FLUSH_TABLES" if version >= (8, 0, 23) else "RELOAD",
        "SHOW_ROUTINE" if version >= (8, 0, 20) else "SELECT",
    ]
    if _clones(version, needs):
        everywhere.append("BACKUP_ADMIN")
    if needs.binlog:
        everywhere.append("REPLICATION SLAVE")
    wanted = {
        database: ("SELECT", "LOCK TABLES", "SHOW VIEW", "EVENT", "TRIGGER"),
        # For the watch over the database's load (monitor/mysql_load.py).
        "performance_schema": ("SELECT",),
    }
    beyond = {scope: [each for each in named if each not in everywhere] for scope, named in wanted.items()}
    return {_EVERYWHERE: everywhere, **{scope: named for scope, named in beyond.items() if named}}


def _clones(version: Version, needs: BackupNeeds) -> bool:
    return needs.clone and version >= _CLONES_SINCE


def _account_steps(found: Found, account: Account, *, renew: bool) -> Iterator[Step]:
    if found.grants is None:
        yield Step(f"create the account {account}", (f"CREATE USER {account} IDENTIFIED BY ", ""))
    elif renew:
        kept = " RETAIN CURRENT PASSWORD" if found.version >= RETAINS_SINCE else ""
        yield Step(f"give {account} a new password", (f"ALTER USER {account} IDENTIFIED BY ", kept))


def _here_only(found: Found) -> str:
    # A line in a file that is read earlier counts for nothing: Debian's own, mysql.conf.d/mysqld.cnf, sets another one.
    if found.option_file:
        return f"{_HERE_ONLY}make the file {found.option_file} of these two lines, and restart MySQL:\n{_LISTENS}"
    return (
        f"{_HERE_ONLY}make a file of these two lines in the directory of option files that its mysqld reads last (on"
        f" Debian /etc/mysql/mysql.conf.d), with a name that comes last there, and restart MySQL:\n{_LISTENS}"
    )


def _namesakes(found: Found, account: Account) -> Iterator[str]:
    # MySQL's manual, "Access Control, Stage 1: Connection Verification".
    others = ", ".join(str(Account(account.user, host)) for host in found.other_hosts)
    if others:
        yield f"there is also {others}; who comes from where both fit gets the one whose host is the narrower"


def _missing(wanted: Privileges, grants: Grants | None) -> dict[str, list[str]]:
    if grants is None:
        return {scope: list(privileges) for scope, privileges in wanted.items()}
    lacks = {
        scope: [each for each in privileges if not grants.has(each, *_AS_GOOD.get(each, ()))]
        if scope == _EVERYWHERE
        else list(grants.missing_on(scope, privileges))
        for scope, privileges in wanted.items()
    }
    return {scope: privileges for scope, privileges in lacks.items() if privileges}


def _more_than(wanted: Privileges, grants: Grants | None) -> Iterator[str]:
    """What no backup needs, on whatever it is: an account may read more than one database, as older ones were made."""
    used = {"USAGE", "SELECT", "RELOAD"}.union(*wanted.values())
    scopes = ((_EVERYWHERE, grants.everywhere), *grants.databases) if grants else ()
    for scope, privileges in scopes:
        more = sorted(privileges - used)
        if grants and more:
            yield (
                f"{grants.account} may do more than a backup needs; what it does not use for other things, take away:\n"
                f"REVOKE {', '.join(more)} ON {_on(scope)} FROM {grants.account};"
            )


def _on(scope: str) -> str:
    return f"{quoted_name(scope)}.*" if scope else "*.*"
