"""Restores one backup into a throw-away MySQL and finds out whether everything is in it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.constants import CR, ER

from wbagent.backup.manifest import Manifest
from wbagent.backup.progress import Meter, Reporter
from wbagent.backup.proof import Proof, TableProof, manifest_digest
from wbagent.bucket.store import NotStoredError
from wbagent.config.model import BackupSettings
from wbagent.database.connection import Connection, rows, session
from wbagent.database.contained import contained_mysqld
from wbagent.database.facts import Version
from wbagent.database.instance import Instance
from wbagent.database.mysqld import Mysqld, last_lines
from wbagent.database.process import NoStartError
from wbagent.database.schema import read_database
from wbagent.drill.bounds import far_fewer, gone_back
from wbagent.errors import DamagedError
from wbagent.restore.compare import Measure, differences, unsound
from wbagent.restore.filling import Filling
from wbagent.restore.load import LoadError
from wbagent.restore.programs import Programs
from wbagent.restore.scratch import check_room, room_needed, scratch
from wbagent.restore.stored import StoredBackup
from wbagent.systemd.notify import notify

# What MySQL says of a table whose file is broken; anything else may be the fault of this host.
_BROKEN: Final = frozenset(
    {ER.NOT_KEYFILE, ER.CRASHED_ON_USAGE, ER.CRASHED_ON_REPAIR, ER.GET_ERRNO, 1712, 1812, 1877, 1932}
)
_LOST: Final = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST})
# One statement that reads the whole of the largest table.
_ONE_ANSWER_S: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a throw-away server held: empty when it never came so far."""

    server: str = ""
    image: str = ""
    compared: tuple[str, ...] = ()
    tables: tuple[TableProof, ...] = ()
    gtid_executed: str | None = None
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def prove(backup: StoredBackup, settings: BackupSettings, parent: Path, report: Reporter, now: float) -> Proof:
    """Drill one backup in a room below `parent`; a proof that is not `ok` when the backup is what is wrong.

    Raises WbagentError for whatever keeps the drill from being made: that says nothing about the backup.
    """
    began = time.monotonic()
    found, reason = Found(), ""
    try:
        found = _find_out(backup, settings, parent, report)
        reason = "; ".join(found.wrong[:10])
    except (DamagedError, NotStoredError) as error:
        # An object that is listed and then cannot be read was removed by somebody: as bad as one that never was there.
        reason = error.message
    except LoadError as error:
        if error.environmental:
            raise
        reason = error.message
    except NoStartError as error:
        # A new server that does not start is this host's fault, one on the files of the backup may be the backup's.
        if error.environmental or backup.manifest.engine != "clone":
            raise
        reason = error.message
    seconds = time.monotonic() - began
    return Proof(
        ok=not reason,
        reason=reason,
        compared=found.compared,
        server=found.server,
        image=found.image,
        tables=found.tables,
        gtid_executed=found.gtid_executed,
        notes=found.notes,
        **_frame(backup.manifest, now, seconds),
    )


def damaged(manifest: Manifest, reason: str, now: float) -> Proof:
    """The proof of what need not be restored to know that it is bad."""
    return Proof(ok=False, reason=reason, server="", **_frame(manifest, now, 0.0))


def _frame(manifest: Manifest, started: float, seconds: float) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "owner": manifest.owner,
        "manifest_sha256": manifest_digest(manifest),
        "host": socket.gethostname(),
        "started_at": datetime.fromtimestamp(started, UTC),
        "finished_at": datetime.fromtimestamp(started + seconds, UTC),
        "duration_s": round(seconds, 3),
    }


def _find_out(backup: StoredBackup, settings: BackupSettings, parent: Path, report: Reporter) -> Found:
    programs = Programs(settings, _contained(settings.drill.image))
    # What is lacking on this host is found before gigabytes are fetched.
    programs.mysqld(backup.manifest)
    with scratch(parent) as (room, account):
        check_room(room, room_needed(backup.manifest))
        backup.check_rest(report)
        filling = Filling(backup, programs, room, account, report)
        with (
            filling.brought_up(filling.room("data")) as server,
            session(server.url(), read_timeout=_ONE_ANSWER_S) as connection,
        ):
            measure = Measure(backup.manifest, backup.proof(), dumped=backup.manifest.engine != "clone")
            return _compare(measure, server, connection, Meter("comparing", report))


def _contained(image: str | None) -> Mysqld | None:
    if image is None:
        return None
    notify(f"STATUS=asking {image} for its MySQL; it is fetched when it is not on this host")
    return contained_mysqld(image)


def _compare(measure: Measure, server: Instance, connection: Connection, meter: Meter) -> Found:
    """Names, definitions, rows (or the guess of them) and checksums; of a clone every page and index, and its GTIDs."""
    compared = ["stored sha256", "tables, views, routines, triggers, events", "rows", "every row read (CHECKSUM TABLE)"]
    manifest = measure.manifest
    database = manifest.database.name
    try:
        result = differences(connection, database, server.version, measure, meter, whole=True)
        wrong, notes = list(result.wrong), list(result.notes)
        if any(each.rows is None for each in manifest.tables):
            compared.append("estimated rows")
        if manifest.definitions:
            compared.append("definitions (SHOW CREATE)")
        if result.proven:
            compared.append("the checksums of the proof before")
        ((executed,),) = rows(connection, "SELECT @@GLOBAL.gtid_executed")
        gtid_executed = str(executed).replace("\n", "")
        if manifest.engine == "clone":
            compared += ["pages and indexes (CHECK TABLE)", "gtid_executed", "AUTO_INCREMENT"]
            present = [table.name for table in result.tables]
            wrong += unsound(connection, database, present, meter)
            wrong += _behind(connection, manifest, gtid_executed)
            wrong += gone_back(manifest, _counters(connection, database, server.version))
        lost, fewer = far_fewer(manifest, result.tables)
        wrong, notes = [*wrong, *lost], [*notes, *fewer]
    except pymysql.MySQLError as error:
        code, said = error.args[0] if error.args else 0, str(error.args[-1] if error.args else error)
        if code in _LOST and server.crashed():
            # An assertion of InnoDB about a broken page ends mysqld: it died of the backup.
            said = last_lines(list(server.log))
        elif code not in _BROKEN:
            raise
        wrong = [f"it cannot be read to its end: {said}"]
        return Found(server.version_text, server.image, tuple(compared), wrong=tuple(wrong))
    return Found(
        server.version_text,
        server.image,
        tuple(compared),
        result.tables,
        gtid_executed or None,
        tuple(notes),
        tuple(wrong),
    )


def _counters(connection: Connection, database: str, version: Version) -> dict[str, int | None]:
    """The next AUTO_INCREMENT of each table."""
    return {table.name: table.auto_increment for table in read_database(connection, database, version).tables}


def _behind(connection: Connection, manifest: Manifest, executed: str) -> list[str]:
    """A clone holds every transaction up to the recorded position; writers may have added some."""
    recorded = manifest.position.gtid_set if manifest.position else None
    if not recorded:
        return []
    ((holds,),) = rows(connection, "SELECT GTID_SUBSET(%s, %s)", recorded, executed)
    return [] if holds else [f"it holds the transactions {executed or '(none)'} and should hold {recorded}"]
