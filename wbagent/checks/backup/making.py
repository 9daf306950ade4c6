"""How backups would be made and proven now: the engine, the programs, and a server to restore them into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wbagent.backup.engines.choose import Choice, Offer, choices
from wbagent.backup.source import Source, look
from wbagent.checks.asking_docker import with_docker
from wbagent.checks.check import Finding, Run, Subject, fail, note, passed, warn
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.config.model import BackupSettings
from wbagent.database.clients import check_client, find_client
from wbagent.database.facts import Version, show_version
from wbagent.database.mysqld import NoServerProgramError, find_mysqld
from wbagent.errors import BackupError, DatabaseError
from wbagent.state_directory import state_directory


def look_at(url: MysqlURL) -> Source | BackupError:
    """The database, or why it cannot be backed up as it is now. Raises DatabaseError."""
    try:
        return look(url)
    except BackupError as error:
        return error


def engine(settings: Settings, url: MysqlURL) -> Callable[[Source | BackupError], Finding]:
    """Which one a backup would take now."""

    def judge(source: Source | BackupError) -> Finding:
        if isinstance(source, BackupError):
            return warn(source.message, needed="a database with tables", remedy=source.hint)
        staging = state_directory() / "staging"
        # What looks for room there makes the directory: it shall not be root's.
        offer = Offer(settings.backup, url, source, staging if staging.is_dir() else state_directory(), lambda _: None)
        return judge_engine(next(choices(offer)))

    return judge


def judge_engine(choice: Choice) -> Finding:
    """The best is a clone; why another one is taken is in the reason."""
    if choice.engine.name == "clone" or choice.reason == "as configured":
        return passed(f"{choice.engine.name} ({choice.reason})")
    return note(f"{choice.engine.name} ({choice.reason})")


def programs(settings: Settings) -> Callable[[Source | BackupError], Iterator[Finding]]:
    """mysqldump for backups, mysql for restores, held to the server's version where that is known."""
    backup = settings.backup

    def judge(source: Source | BackupError) -> Iterator[Finding]:
        server = source.server.version if isinstance(source, Source) else None
        for name, key in ((backup.mysqldump, "mysqldump"), (backup.mysql, "mysql")):
            yield judge_program(name, key, server)

    return judge


def judge_program(name: str, key: str, server: Version | None) -> Finding:
    """One of MySQL's client programs."""
    try:
        client = find_client(name, key)
        remarks = check_client(client, server, key) if server else ()
    except DatabaseError as error:
        return fail(error.message, needed="MySQL's own, of the server's version or newer", remedy=error.hint, about=key)
    if remarks:
        return note("; ".join(remarks), about=key)
    return passed(f"{client.path} is {client.flavour}'s, {show_version(client.version)}", about=key)


def drill(settings: Settings) -> Run:
    """Whether one can be made here."""
    options = settings.backup.drill

    def look(subject: Subject) -> Finding | Iterable[Finding]:
        image = options.image
        if not options.enabled:
            return warn(
                "drills are switched off, so nothing shows that a backup restores",
                needed="a drill after each backup",
                remedy="[backup.drill] enabled = true",
            )
        if image is not None:
            return with_docker(lambda docker: judge_image(image, docker.inspect_image(image)))(subject)
        try:
            program = find_mysqld(options.mysqld)
        except NoServerProgramError as error:
            return warn(error.message, needed="MySQL's server program, or an image of it", remedy=error.hint)
        return passed(f"in {program.path}, MySQL {show_version(program.version)}")

    return look


def can_drill(backup: BackupSettings) -> bool:
    """Whether there is a server to restore into."""
    if backup.drill.image is not None:
        return True
    try:
        find_mysqld(backup.drill.mysqld)
    except DatabaseError:
        return False
    return True


def judge_image(name: str, found: object) -> Finding:
    """The image that drills restore into; `found` is None when it is not on this host."""
    if found is None:
        return note(f"the image {name} is not on this host; the first drill fetches it", remedy=f"docker pull {name}")
    return passed(f"in a container of {name}")
