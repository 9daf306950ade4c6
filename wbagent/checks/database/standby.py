"""The standby that [standby] names: whether it replicates, follows at once, and takes no writes of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.database.look import SERVER_KEY, Look
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import rows, session
from wbagent.database.facts import Version, flavour_of, parse_version, show_version
from wbagent.database.grants import mysql_command
from wbagent.monitor.replication import Lag, Threads, read_primary, read_standby

# The alert's own limit is a minute; a standby that is well has the primary's work within milliseconds.
WITHIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class StandbyLook:
    """`caught_up`: within WITHIN_S it had all that the primary had done; None without GTIDs, and when it stands."""

    version: Version
    flavour: str
    threads: Threads | None
    caught_up: bool | None
    read_only: bool


def look(primary: MysqlURL, standby: MysqlURL) -> StandbyLook:
    """Ask both, the primary first. Raises DatabaseError."""
    done = read_primary(primary, Lag())
    threads = read_standby(standby, ()).threads
    moving = threads is None or not threads.stopped
    with session(standby, database="", read_timeout=WITHIN_S + 5) as connection:
        ((text, comment, read_only),) = rows(
            connection, "SELECT @@GLOBAL.version, @@GLOBAL.version_comment, @@GLOBAL.super_read_only"
        )
        caught_up: bool | None = None
        if moving and done.executed is not None:
            # It returns as soon as all of it is there.
            ((timed_out,),) = rows(connection, "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", done.executed, WITHIN_S)
            caught_up = not timed_out
    return StandbyLook(parse_version(str(text)), flavour_of(f"{text} {comment}"), threads, caught_up, bool(read_only))


def takes_writes(primary: Look) -> Finding:
    """Whether the server that is worked on, or backed up, is set to take writes."""
    names = [name for name in ("super_read_only", "read_only") if primary.variables.get(name) == "ON"]
    if not names:
        return passed("it takes writes")
    if primary.key != SERVER_KEY:
        return note(f"{names[0]} is ON: backups are made of a replica")
    return fail(
        f"{names[0]} is ON at {primary.url.address}: W&B's server cannot write, nor begin to work",
        needed="OFF on the primary",
        remedy="where it is the primary (after a failover): SET PERSIST super_read_only = OFF; SET PERSIST read_only ="
        " OFF; else name the primary in [server] mysql",
    )


def judge(found: StandbyLook, url: MysqlURL, primary: Version) -> Iterable[Finding]:
    """All that can be amiss, each by itself."""
    yield _version(found, primary)
    yield _threads(found, url)
    if found.threads is not None and found.threads.stopped:
        return
    if found.caught_up is False:
        yield warn(
            f"{url.address} does not have within {WITHIN_S:g} s what the primary had done",
            needed="a standby that follows at once",
            remedy="wbagent status; on the standby: SHOW REPLICA STATUS",
            about="lag",
        )
    elif found.caught_up:
        yield passed("it has all that the primary had done at the look", about="lag")
    else:
        yield note("its lag cannot be told without gtid_mode = ON", about="lag")
    if found.read_only:
        yield passed("super_read_only is on", about="writes")
    else:
        yield warn(
            "it takes writes of others than the primary, which break replication",
            needed="super_read_only = ON until a failover",
            remedy="on the standby: SET PERSIST super_read_only = ON;",
            about="writes",
        )


def _version(found: StandbyLook, primary: Version) -> Finding:
    shown, theirs = show_version(found.version), show_version(primary)
    if found.flavour == "MariaDB":
        return fail(
            f"MariaDB {shown}, which cannot stand in for MySQL", needed=f"MySQL {theirs}", remedy="", about="version"
        )
    if found.version[:2] < primary[:2]:
        return warn(
            f"MySQL {shown}, older than the primary's {theirs}: it may not understand what it gets",
            needed=f"MySQL {theirs}",
            remedy="upgrade the standby; always before the primary",
            about="version",
        )
    return passed(f"MySQL {shown}, the primary has {theirs}", about="version")


def _threads(found: StandbyLook, url: MysqlURL) -> Finding:
    if found.threads is None:
        return note(
            "whether it replicates cannot be seen: the account of [standby] url lacks REPLICATION CLIENT",
            remedy="on the standby: " + mysql_command(f"GRANT REPLICATION CLIENT ON *.* TO '{url.user}'@'%';"),
            about="replication",
        )
    if found.threads.stopped == "replica":
        return fail(
            f"{url.address} replicates from nobody",
            needed="a replica of the primary",
            remedy="on the standby: CHANGE REPLICATION SOURCE TO …; START REPLICA;",
            about="replication",
        )
    if found.threads.stopped:
        return fail(
            f"the {found.threads.stopped} of {url.address} has stopped: {found.threads.why or 'without an error'}",
            needed="both threads running",
            remedy="mend what it says, then on the standby: START REPLICA;",
            about="replication",
        )
    return passed("receiver and applier run", about="replication")
