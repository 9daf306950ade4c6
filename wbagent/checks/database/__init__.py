"""Checks of the area "database": each account looks once, and every check judges what was seen then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wbagent.checks.check import Check, Finding, Subject, listed, note, unconfigured
from wbagent.checks.database import charset, rights, standby, tables, version, way
from wbagent.checks.database import settings as mysql_settings
from wbagent.checks.database.growth import growth_of
from wbagent.checks.database.look import BACKUP_KEY, SERVER_KEY, Look, look_by
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.database.wanted import GUIDE
from wbagent.server.resolving import look_up

Judge = Callable[[Look], Finding | Iterable[Finding]]


@dataclass(slots=True)
class Seen:
    """What each account saw, by its key; empty for one that could not come in."""

    looks: dict[str, Look] = field(default_factory=dict)

    def any(self) -> Look | None:
        """The server's view, else the backup's: of settings and tables both tell the same."""
        return self.looks.get(SERVER_KEY) or self.looks.get(BACKUP_KEY)

    def once(self, name: str, judge: Judge, why: str, section: str = "") -> Check:
        """Judge what is the same for every account; nothing of one that could not come in, which has failed already."""

        def run(_: Subject) -> Finding | Iterable[Finding]:
            look = self.any()
            return judge(look) if look is not None else ()

        return Check(name, run, why, section)

    def each(self, name: str, judge: Judge, why: str, section: str = "") -> Check:
        """Judge what each account saw."""

        def run(_: Subject) -> Iterable[Finding]:
            for look in self.looks.values():
                yield from listed(judge(look))

        return Check(name, run, why, section)


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration."""
    if settings.server is not None and settings.server.embedded and settings.database is None:
        return [
            unconfigured(
                "embedded",
                "the server runs the MySQL of its own image: for trials, with the settings of that image",
                "wbagent server externalize   # when the trial becomes serious",
            )
        ]
    urls = _urls(settings)
    if not urls:
        return [
            unconfigured(
                "configured",
                "no database is named on this host",
                'wbagent init; or in /etc/wbagent.toml: mysql = "mysql://…" below [server], url = "…" below [database]',
            )
        ]
    seen = Seen()
    found = [_connection(seen, key, url) for key, url in urls.items()]
    return [*found, *_judging(seen, settings), *_standby(seen, settings)]


def _urls(settings: Settings) -> dict[str, MysqlURL]:
    """The accounts by the key that names them; the backup's only where it is another one."""
    found = {}
    if settings.server is not None and settings.server.mysql is not None:
        found[SERVER_KEY] = settings.server.mysql
    if settings.database is not None and settings.database.url not in found.values():
        found[BACKUP_KEY] = settings.database.url
    return found


def _connection(seen: Seen, key: str, url: MysqlURL) -> Check:
    def run(_: Subject) -> Finding:
        # Raises what the connection says, for each of DNS, network, TLS and password in its own words.
        found = look_by(key, url)
        if found.server.flavour != "MariaDB":
            seen.looks[key] = found
            return way.met(found)
        return version.judge(found)

    return Check(
        f"account of {key}",
        run,
        "without its database the server does not start" if key == SERVER_KEY else "without it there are no backups",
        GUIDE,
    )


def _judging(seen: Seen, settings: Settings) -> Iterable[Check]:
    if SERVER_KEY in _urls(settings):
        yield Check("name", lambda _: _name(seen), "the server looks for its database from within its container")
    yield seen.each("encryption", way.encryption, "passwords and everything that people log go this way")
    yield seen.once(
        "place",
        way.place,
        "processors at 40 % or more for 5 minutes mean that MySQL is short of resources",
        "Monitoring",
    )
    yield seen.once("version", version.judge, "W&B supports some releases only, and some get no fixes any more", GUIDE)
    yield seen.once("settings", mysql_settings.wanted, "W&B's server is run with these, and tested so", GUIDE)
    yield seen.once(
        "binary log",
        lambda found: mysql_settings.binary_log(found, settings),
        "a standby, and a restore to a moment, live on the binary logs",
        "Availability",
    )
    yield seen.once(
        "writes", standby.takes_writes, "a replica takes no writes, and W&B's server writes", "Availability"
    )
    yield seen.once("database", tables.presence, "the server works on this one", "Database")
    yield seen.once("character set", charset.judge, "names and notes of runs are in every language", "Database")
    yield seen.once(
        "storage engine",
        lambda found: tables.engines(found.database) if found.database else (),
        "only InnoDB survives a crash",
    )
    yield seen.once(
        "FLOAT columns",
        lambda found: tables.floats(found.database, settings.backup.engine) if found.database else (),
        "what is restored should be what was there",
    )
    yield seen.each(
        "grants", lambda found: _grants(found, settings), "each account needs its rights, no more", "Database"
    )
    yield seen.each("password check", _passwords, "MySQL 8.4 switches the old one off, and 9.0 has none")
    if len(_urls(settings)) > 1:
        yield seen.once("backup", lambda _: _same(seen), "backups of another database are worth nothing")
    yield seen.once(
        "connections",
        lambda found: mysql_settings.connections(found, settings),
        "at max_connections the server's queries fail (Too many connections)",
    )
    yield seen.once(
        "buffer pool", mysql_settings.buffer_pool, "the database is as fast as what of it is in memory", "Performance"
    )
    yield seen.once("growth", lambda found: growth_of(found, time.time()), "a full disk stops MySQL")


def _name(seen: Seen) -> Iterable[Finding]:
    server = seen.looks.get(SERVER_KEY)
    return [way.judge_name(look_up(server.url.host))] if server else []


def _grants(found: Look, settings: Settings) -> Iterable[Finding]:
    if found.key == SERVER_KEY:
        yield rights.of_server(found.server.grants, found.url.database)
    if found.url == settings.database_url():
        yield from rights.of_backup(found, settings)


def _passwords(found: Look) -> Iterable[Finding]:
    own, release = found.server.grants, found.server.version
    yield rights.own_password(own, found.plugin, release)
    if found.old_accounts is not None:
        others = tuple(each for each in found.old_accounts if each.account != own.account)
        yield from rights.other_passwords(others, found.plugins, release)


def _same(seen: Seen) -> Iterable[Finding]:
    server, backup = seen.looks.get(SERVER_KEY), seen.looks.get(BACKUP_KEY)
    return way.same_database(server, backup) if server and backup else ()


def _standby(seen: Seen, settings: Settings) -> Iterable[Check]:
    why = "when the database's host is lost, all work waits until another one can take over"
    primary, named = settings.database_url(), settings.standby

    def run(_: Subject) -> Iterable[Finding]:
        found = seen.any()
        if found is None or primary is None or named is None:
            return ()
        return list(standby.judge(standby.look(primary, named.url), named.url, found.server.version))

    if named is not None:
        yield Check("standby", run, why, "Availability")
        return
    remedy = 'where there is one: url = "mysql://wbagent:PASSWORD@db2.example.com/wandb_local" below [standby]'
    yield Check("standby", lambda _: note("none is named on this host", remedy=remedy), why, "Availability")
