"""What the accounts may do: the server's on its database, the backup's by engine; and how passwords are checked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wbagent.backup.engines.clone_checks import why_no_clone
from wbagent.backup.engines.clone_directory import Place
from wbagent.backup.source import some
from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.database.look import Look, OldAccount
from wbagent.config import Settings
from wbagent.database.connection import quoted_name
from wbagent.database.facts import Version
from wbagent.database.grants import ALL_ON_DATABASE, Grants, mysql_command

# What mysqldump reads all of a database with, under --single-transaction (MySQL manual, "mysqldump").
DUMP: Final = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
_NATIVE: Final = "mysql_native_password"
_OFF_SINCE: Final = (8, 4, 0)
_GONE_SINCE: Final = (9, 0, 0)


def of_server(grants: Grants, database: str) -> Finding:
    """Whether the server's account may do everything in its database, as the guide's GRANT ALL says."""
    missing = grants.missing_on(database, ALL_ON_DATABASE)
    if not missing:
        return passed(f"{grants.account} has ALL on {database}", about="server")
    return fail(
        f"{grants.account} lacks {', '.join(missing)} on {database}",
        needed="ALL on its database: migrations of W&B's server make and alter tables",
        remedy="wbagent database init; or on its host: "
        + mysql_command(f"GRANT ALL ON {quoted_name(database)}.* TO {grants.account} WITH GRANT OPTION;"),
        about="server",
    )


def of_backup(look: Look, settings: Settings) -> Iterable[Finding]:
    """What the account of the backups lacks, by engine."""
    if not settings.backup.enabled:
        return
    grants, name = look.server.grants, look.url.database
    missing = list(grants.missing_on(name, DUMP))
    if missing:
        yield fail(
            f"{grants.account} lacks {', '.join(missing)} on {name}: a backup would not hold everything",
            needed=", ".join(DUMP),
            remedy="wbagent database user; or on its host: "
            + mysql_command(f"GRANT {', '.join(missing)} ON {quoted_name(name)}.* TO {grants.account};"),
            about="backup",
        )
    elif look.database is not None and look.database.hidden_routines:
        yield fail(
            f"{grants.account} may not read {some(look.database.hidden_routines)}: a backup would not hold them",
            needed="SHOW_ROUTINE (before MySQL 8.0.20: SELECT ON *.*)",
            remedy=grants.command(["SHOW_ROUTINE" if look.server.version >= (8, 0, 20) else "SELECT"]),
            about="backup",
        )
    else:
        yield passed(f"{grants.account} reads all of {name}", about="backup")
    yield _position(look)
    if settings.backup.binlog.enabled:
        yield _shipping(grants)
    if settings.backup.engine in {"auto", "clone"}:
        yield _clone(look, settings)


def _position(look: Look) -> Finding:
    grants = look.server.grants
    missing = grants.missing_for_position(look.server.version)
    if not missing:
        return passed("a dump can note the binary log's position", about="position")
    return note(
        f"{grants.account} lacks {', '.join(missing)}: mysqldump cannot note the binary log's position, and mydumper"
        " cannot be used",
        needed="an account of its own for backups, in [database] url",
        remedy=f"wbagent database user; or on its host: {grants.command(missing)}",
        about="position",
    )


def _shipping(grants: Grants) -> Finding:
    missing = [each for each in ("REPLICATION SLAVE", "REPLICATION CLIENT") if not grants.has(each)]
    if not missing:
        return passed(f"{grants.account} may read the binary logs", about="binlog")
    return fail(
        f"{grants.account} lacks {', '.join(missing)}: [backup.binlog] cannot read the binary logs",
        needed="both",
        remedy=f"wbagent database user; or on its host: {grants.command(missing)}",
        about="binlog",
    )


def _clone(look: Look, settings: Settings) -> Finding:
    """What the server says to a clone; whether its directory and room will do is the backup's own question."""
    if look.database is None or look.clone is None:
        return note("no clone: the database is not there, or MySQL is older than 8.0.17", about="clone")
    place = Place(Path(settings.backup.clone_directory), 1 << 62)
    refusal = why_no_clone(look.server, look.database, look.clone, place, same_host=look.local)
    if refusal is None:
        return passed("backups can be clones: exact, and restored in a sixth of the time", about="clone")
    if settings.backup.engine == "clone":
        return fail(
            f'[backup] engine = "clone", but {refusal.reason}', needed="a clone", remedy=refusal.remedy, about="clone"
        )
    return note(f"backups are no clones: {refusal.reason}", remedy=refusal.remedy, about="clone")


def own_password(grants: Grants, plugin: str, version: Version) -> Finding:
    """How the password of the account that came in is checked."""
    if plugin == _NATIVE:
        when = "is switched off by default here" if version >= _OFF_SINCE else "is off from MySQL 8.4 on, gone in 9.0"
        return warn(
            f"{_NATIVE}, which {when}: after the next upgrade or restart nobody comes in",
            needed="caching_sha2_password",
            remedy=f"ALTER USER {grants.account} IDENTIFIED WITH caching_sha2_password BY 'PASSWORD';",
            about=grants.account,
        )
    if plugin == "sha256_password":
        return note(
            f"{plugin}, which is deprecated and checks a password slowly at each login",
            needed="caching_sha2_password",
            remedy=f"ALTER USER {grants.account} IDENTIFIED WITH caching_sha2_password BY 'PASSWORD';",
            about=grants.account,
        )
    return passed(plugin or "not told by this server", about=grants.account)


def other_passwords(found: tuple[OldAccount, ...], active: frozenset[str], version: Version) -> Iterable[Finding]:
    """Further accounts of the server with old password checks, told as one."""
    locked_out = [each for each in found if each.plugin not in active]
    old = [each for each in found if each.plugin in active]
    if locked_out:
        names = some([f"{each.account} ({each.plugin})" for each in locked_out])
        yield warn(
            f"nobody can come in as {names}: this server has no such check of passwords",
            needed="caching_sha2_password",
            remedy=_alter(locked_out),
            about="other accounts",
        )
    if old:
        gone = "" if version >= _GONE_SINCE else "; an upgrade to 8.4 locks out who uses mysql_native_password"
        yield note(
            f"old checks of passwords: {some([f'{each.account} ({each.plugin})' for each in old])}{gone}",
            needed="caching_sha2_password",
            remedy=_alter(old),
            about="other accounts",
        )


def _alter(found: Iterable[OldAccount]) -> str:
    return "\n".join(
        f"ALTER USER {each.account} IDENTIFIED WITH caching_sha2_password BY 'PASSWORD';" for each in found
    )
