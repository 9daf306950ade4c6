"""A backup as the clone engine makes it: a tar of what CLONE LOCAL made of a test server, with its commit record."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.backup_case import Case
from tests.testbed.cache import remove_tree
from tests.testbed.mysql import MysqlServer
from tests.testbed.program import WORK
from wbagent.backup.layout import COMPRESSED, DATADIR, backup_id, manifest_key
from wbagent.backup.manifest import (
    DatabaseRecord,
    DefinitionRecord,
    Manifest,
    Position,
    ServerRecord,
    StoredObject,
    TableRecord,
)
from wbagent.backup.pipeline import Packing, packed
from wbagent.backup.progress import Meter
from wbagent.backup.storing import Storing
from wbagent.database.definitions import objects_of, read_definitions
from wbagent.database.facts import read_server
from wbagent.database.schema import read_database


def ignore(_progress: object) -> None:
    """A reporter that nobody reads."""


def clone_backup(server: MysqlServer, database: str, case: Case, now: float) -> Manifest:
    """Clone the whole server and commit it as a backup of `database`."""
    if not server.execute("SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'clone'"):
        server.execute("INSTALL PLUGIN clone SONAME 'mysql_clone.so'")
    server.execute(f"CLONE LOCAL DATA DIRECTORY = '{WORK}/scratch/cloned'")
    cloned = server.directory / "scratch/cloned"
    try:
        data = _tar(cloned)
    finally:
        remove_tree(cloned)
    with server.connect() as connection:
        facts = read_server(connection)
        found = read_database(connection, database, facts.version)
        definitions = read_definitions(connection, database, objects_of(found))
    counts = {
        table.name: int(server.execute(f"SELECT COUNT(*) FROM `{database}`.`{table.name}`")[0][0])
        for table in found.tables
    }
    gtids = str(server.execute("SELECT @@GLOBAL.gtid_executed")[0][0]).replace("\n", "")
    moment = datetime.fromtimestamp(now, UTC)
    manifest = Manifest(
        id=backup_id(now),
        owner=case.settings.backup.owner,
        host="db1",
        engine="clone",
        options=(),
        tools={},
        server=ServerRecord(version=facts.version_text, comment=facts.comment, host=facts.host, uuid=facts.uuid),
        database=DatabaseRecord(name=database, address="db1", charset=found.charset, collation=found.collation),
        position=Position(gtid_set=gtids, file="binlog.000001", offset=4),
        tables=tuple(
            TableRecord(
                name=table.name,
                engine=table.engine,
                rows=counts[table.name],
                rows_estimate=0,
                auto_increment=table.auto_increment,
            )
            for table in found.tables
        ),
        definitions=tuple(
            DefinitionRecord(object=each.object, sha256=each.sha256, sql_mode=each.sql_mode) for each in definitions
        ),
        views=found.views,
        routines=found.routines,
        triggers=found.triggers,
        events=found.events,
        objects=(store(case, backup_id(now), DATADIR + COMPRESSED, data),),
        started_at=moment,
        finished_at=moment,
        duration_s=1.0,
        warnings=(),
    )
    case.store.put(manifest_key(manifest.owner, manifest.id), manifest.to_bytes())
    return manifest


def store(case: Case, name: str, file: str, data: bytes) -> StoredObject:
    """Store an object of a backup as the pipeline does."""
    with Storing(case.store, (case.settings.backup.owner, name), file, case.settings.backup.object_size) as storing:
        with packed(Packing(1), storing, Meter("storing", ignore)) as pipeline:
            pipeline.write(data)
            plain = pipeline.finish()
        storing.commit()
        return storing.proven(plain, ignore)


def _tar(directory: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(directory.rglob("*")):
            archive.add(path, path.relative_to(directory), recursive=False)
    return buffer.getvalue()
