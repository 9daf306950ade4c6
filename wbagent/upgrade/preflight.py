"""What is looked at before an upgrade begins; whatever speaks against it is said while nothing has been done yet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.backup.catalog import find_backup
from wbagent.config import Loaded, Settings
from wbagent.config.rewrite import replace_value
from wbagent.config.server import ServerSettings
from wbagent.database.clients import check_client, find_client
from wbagent.database.connection import session
from wbagent.database.facts import read_server
from wbagent.database.schema import read_database
from wbagent.errors import ConfigError, DockerError, StateError, UsageError, WbagentError
from wbagent.moment import Moment
from wbagent.monitor.backup_facts import LAST
from wbagent.quantities import format_size
from wbagent.restore.target import refuse_unfit_account
from wbagent.server import door, pause
from wbagent.server.container import Docker
from wbagent.server.probe import READINESS, probe
from wbagent.state import State
from wbagent.state_directory import state_directory
from wbagent.systemd.bus import Bus
from wbagent.systemd.unit_names import BACKUP_UNIT, SERVER_UNIT
from wbagent.upgrade import image, release
from wbagent.upgrade.plan import Upgrade
from wbagent.upgrade.resumption import Facts, Wish

KEY: Final = ("server", "image")
# A new release is about as large as the present one, and is unpacked beside what was fetched of it.
_ROOM_FACTOR: Final = 2
_PROBE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """An upgrade that may begin, and what a person should know."""

    upgrade: Upgrade
    warnings: tuple[str, ...]


def server_of(settings: Settings) -> ServerSettings:
    """The section [server]; raises ConfigError when this host has none."""
    if settings.server is None:
        raise ConfigError("there is no section [server], so there is no server to upgrade", hint="man wbagent.toml")
    return settings.server


def look(settings: Settings) -> Facts:
    """What a run with an interrupted upgrade before it must know; raises BusError."""
    with Bus() as bus:
        serving = bus.properties(SERVER_UNIT)["ActiveState"] in {"active", "reloading"}
    return Facts(server_of(settings).image, serving)


def prepare(loaded: Loaded, wish: Wish) -> Prepared | None:
    """Check everything; None when the configuration names the wanted image already. Raises WbagentError."""
    server = server_of(loaded.settings)
    new = release.target(server.image, wish.new)
    if new == server.image:
        return None
    warnings = release.judge(server.image, new)
    replace_value(loaded.origins[KEY], KEY, server.image, new, dry=True)
    _check_standing(server.image)
    file = _checked_file(wish.file, new)
    _check_room(server.image, new, file)
    if wish.with_backup:
        _check_backup(loaded.settings)
    if wish.restore_database:
        _check_restore(loaded.settings, with_backup=wish.with_backup)
    upgrade = Upgrade(
        server.image,
        new,
        file=str(file) if file else "",
        with_backup=wish.with_backup,
        restore_database=wish.restore_database,
    )
    return Prepared(upgrade, warnings)


def enough_room(what: str, where: Path, free: int, size: int) -> None:
    """Raise StateError when less than twice `size` bytes is free there."""
    needed = _ROOM_FACTOR * size
    if free < needed:
        raise StateError(
            f"{what} needs about {format_size(needed)} in {where}, and {format_size(free)} is free",
            hint=f"df -h {where}; docker system df; make room, then try again",
        )


def _check_standing(old: str) -> None:
    with Bus() as bus:
        active = bus.properties(SERVER_UNIT)["ActiveState"]
        backing_up = bus.properties(BACKUP_UNIT)["ActiveState"] == "activating"
    if active not in {"active", "reloading"}:
        raise DockerError(
            f"the server does not serve ({SERVER_UNIT} is {active}): what is broken now would look like the new"
            " release's fault",
            hint="wbagent status; when it serves: wbagent server upgrade TAG",
        )
    if backing_up:
        raise StateError("a backup is being made", hint=f"wait for it: systemctl status {BACKUP_UNIT}")
    if door.closed():
        raise UsageError(
            "the server is closed to its users: it is being moved to an external database and bucket",
            hint="complete that first (wbagent server externalize), or undo it (wbagent server externalize --undo)",
        )
    if paused := pause.current(Moment.now()):
        raise UsageError(
            f"the server's supervision is paused by {paused[0].by} ({paused[0].why}): a start that never ends would not"
            " be given up",
            hint="wbagent server resume; an upgrade holds the server's alerts by itself",
        )
    with Docker() as docker:
        found = docker.find()
    if found is None or found.image != old:
        raise DockerError(
            f"the server runs {found.image if found else 'no container'}, but the configuration names {old}: there"
            " would be no tried image to go back to",
            hint="wbagent server diff; systemctl restart wandb-local; then try again",
        )
    answer = probe(found.addresses, READINESS, _PROBE_S)
    if not answer.ok:
        raise DockerError(
            f"the server lives but is not ready ({answer.sentence()}): what is broken now would look like the new"
            " release's fault",
            hint="wbagent status; when it is ready: wbagent server upgrade TAG",
        )


def check_way_back(settings: Settings, upgrade: Upgrade) -> None:
    """Raise, before the server is stopped for the way back, when that could not be gone to its end.

    A database that is torn already waits for its restore, whatever else is wrong.
    """
    if upgrade.outcome is not None or upgrade.torn:
        return
    if not image.is_here(upgrade.old):
        raise DockerError(
            f"{upgrade.old} is not on this host any more, so there is nothing to go back to; nothing was changed",
            hint=f"docker pull {upgrade.old}  (or, without a registry: docker load --input FILE), then try again",
        )
    if upgrade.restore_database and not upgrade.restored:
        _check_restore(settings, with_backup=bool(upgrade.backup))
        _check_loadable(settings, upgrade.backup)


def _checked_file(name: str, new: str) -> Path | None:
    if not name:
        return None
    if "@" in new:
        raise UsageError(
            "a file of `docker save` keeps no digest: name the tag that it holds",
            hint="wbagent server upgrade 0.84.0 --from-file FILE",
        )
    file = Path(name).resolve()
    if not file.is_file():
        raise UsageError(f"{file} is not a file", hint="docker save --output FILE IMAGE  where the image is")
    image.check_file(file, new)
    return file


def _check_room(old: str, new: str, file: Path | None) -> None:
    if file is None and image.is_here(new):
        return
    root, free, present = image.room(old)
    enough_room(f"the image {new}", root, free, file.stat().st_size if file else present)


def _check_backup(settings: Settings) -> None:
    url, own = settings.database_url(), server_of(settings).database
    advice = "set up backups (man wbagent.toml), or take the risk: --without-backup"
    if url is None or not settings.backup.enabled:
        raise ConfigError("no backup can be made before the upgrade: backups are not set up on this host", hint=advice)
    if own is None or url.database != own.database:
        raise ConfigError(
            f"the backups of this host are of the database {url.database!r}, which is not the server's", hint=advice
        )
    if settings.backup.destination is None:
        directory = state_directory()
        with State(read_only=True) as state:
            last = state.get(LAST)
        free = os.statvfs(directory)
        size = int(last.value["stored_bytes"]) if last else 0
        enough_room("the backup before the upgrade", directory, free.f_bavail * free.f_frsize, size)


def _check_loadable(settings: Settings, backup: str) -> None:
    """Refuse a clone: to read it takes a mysqld of one's own, which this unit may not start as another user."""
    from wbagent.bucket.open import open_store  # noqa: PLC0415 - boto3, which most upgrades do without

    store = open_store(settings.backup, state_directory())
    if find_backup(store, settings.backup.owner, backup).engine == "clone":
        raise StateError(
            f"backup {backup} is a clone, which an upgrade cannot restore; nothing was done",
            hint=f"wbagent server upgrade --undo; systemctl stop wandb-local; wbagent restore {backup} --into DSN"
            " --overwrite",
        )


def _check_restore(settings: Settings, *, with_backup: bool) -> None:
    """Find out now whether the database could be restored: when it is needed is no time to install a client."""
    if not with_backup:
        raise UsageError("--restore-database needs the backup that --without-backup leaves out")
    url = server_of(settings).mysql
    if url is None:
        raise ConfigError("the server has its own database inside, which cannot be restored from outside")
    try:
        client = find_client(settings.backup.mysql, "mysql")
        with session(url, database="") as connection:
            server = read_server(connection)
            check_client(client, server.version, "mysql")
            refuse_unfit_account(server, read_database(connection, url.database, server.version), replacing=True)
    except WbagentError as error:
        raise StateError(f"--restore-database could not be kept: {error.message}", hint=error.hint) from None
