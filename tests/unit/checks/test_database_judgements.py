"""How each thing that was seen of a MySQL server is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wbagent.alerts.disk import FREE
from wbagent.checks.check import Finding
from wbagent.checks.database import charset, checks, growth, rights, standby, tables, way
from wbagent.checks.database import settings as judged_settings
from wbagent.checks.database.look import Collations, Look, OldAccount
from wbagent.checks.database.standby import StandbyLook
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.database.clone import CloneFacts
from wbagent.database.facts import ServerFacts
from wbagent.database.grants import ALL_ON_DATABASE, Grants, parse_grants
from wbagent.database.schema import DatabaseFacts, TableFacts
from wbagent.database.wanted import WANTED
from wbagent.moment import Moment
from wbagent.monitor.disk import Asker, file_systems
from wbagent.monitor.replication import Threads
from wbagent.monitor.sample import Sample
from wbagent.monitor.samples import FILE, Bucket, Collector
from wbagent.server.resolving import Lookup

ACCOUNT = "'wandb_local'@'%'"
URL = MysqlURL("wandb_local", "own", "db1.example.com", 3306, "wandb_local")
GRANTED = (("wandb_local", frozenset({"ALL PRIVILEGES"})),)
GIB = 1 << 30


def table(name: str, engine: str = "InnoDB", size: int = 0) -> TableFacts:
    return TableFacts(name, engine, 0, size, "")


def database(*found: TableFacts, **other: Any) -> DatabaseFacts:
    facts = DatabaseFacts("wandb_local", "utf8mb4", "utf8mb4_general_ci", found, (), (), (), (), (), (), ())
    return replace(facts, **other)


def server(version: tuple[int, int, int] = (8, 4, 0), **other: Any) -> ServerFacts:
    text = ".".join(str(part) for part in version)
    grants = Grants(ACCOUNT, frozenset(), GRANTED)
    return replace(ServerFacts(version, text, "", "db1", "uuid-1", True, True, False, grants), **other)


def look(**other: Any) -> Look:
    seen = Look(
        key="[server] mysql",
        url=URL,
        local=False,
        encryption="TLSv1.3",
        server=server(),
        variables={each.name: each.better or each.value for each in WANTED}
        | {
            "gtid_mode": "ON",
            "binlog_expire_logs_seconds": "2592000",
            "max_connections": "151",
            "innodb_buffer_pool_size": str(GIB),
            "character_set_server": "utf8mb4",
            "collation_server": "utf8mb4_0900_ai_ci",
        },
        status={"Max_used_connections": "12"},
        plugin="caching_sha2_password",
        plugins=frozenset({"caching_sha2_password"}),
        database=database(table("runs", size=1000)),
        collations=Collations({"runs": "utf8mb4_general_ci"}, {}),
    )
    return replace(seen, **other)


def with_variables(**values: str) -> Look:
    seen = look()
    return replace(seen, variables={**seen.variables, **values})


def settings(**sections: Any) -> Settings:
    return Settings.model_validate({"database": {"url": str(URL)}} | sections)


def by_about(found: Any) -> dict[str, Finding]:
    return {each.about: each for each in found}


# --- the way ---------------------------------------------------------------------------------------------------------


def url(**options: str) -> MysqlURL:
    return replace(URL, options=tuple(options.items()))


@pytest.mark.parametrize(
    ("seen", "expected", "words"),
    [
        (look(url=url(tls="true")), "pass", "MySQL's certificate is verified"),
        (look(url=url(tls="skip-verify")), "note", "nobody verifies"),
        (look(), "warn", "without tls="),
        (look(key="[database] url"), "note", "tls=preferred"),
        (look(encryption=""), "warn", "in the clear over the network"),
        (look(encryption="", local=True), "pass", "within this host"),
        (look(encryption="", local=True, url=url(socket="/run/mysqld/mysqld.sock")), "pass", "socket"),
    ],
)
def test_encryption(seen: Look, expected: str, words: str) -> None:
    found = way.encryption(seen)
    assert (found.verdict, words in found.found) == (expected, True)


def test_a_server_that_offers_no_tls_is_told_to_get_certificates() -> None:
    assert "mysql://wandb_local:PASSWORD@db1.example.com:3306/wandb_local?tls=true" in way.encryption(look()).remedy
    assert "ssl_cert" in way.encryption(replace(with_variables(tls_version=""), encryption="")).remedy
    assert "ssl_cert" not in way.encryption(replace(with_variables(tls_version="TLSv1.3"), encryption="")).remedy


def test_the_agent_belongs_on_a_remote_database_too() -> None:
    found = way.place(look())
    assert found.verdict == "note"
    assert "40 %" in found.found
    assert "5 minutes" in found.found
    assert "ssh db1.example.com apt install" in found.remedy
    assert way.place(look(local=True)).verdict == "pass"


def test_backups_of_another_database() -> None:
    backup = look(key="[database] url", server=server(uuid="uuid-2"))
    assert [each.verdict for each in way.same_database(look(), backup)] == ["warn"]
    assert [each.verdict for each in way.same_database(look(), look(key="[database] url"))] == ["pass"]
    replica = replace(with_variables(super_read_only="ON"), server=server(uuid="uuid-2"))
    assert [each.verdict for each in way.same_database(look(), replica)] == ["note"]


# --- settings --------------------------------------------------------------------------------------------------------


def test_all_settings_right() -> None:
    assert {each.verdict for each in judged_settings.wanted(look())} == {"pass"}


@pytest.mark.parametrize(
    ("name", "value", "expected", "remedy"),
    [
        ("log_bin", "OFF", "warn", "restart MySQL"),
        ("binlog_format", "STATEMENT", "fail", "SET PERSIST binlog_format = ROW;"),
        ("binlog_row_image", "FULL", "warn", "SET PERSIST binlog_row_image = MINIMAL;"),
        ("sync_binlog", "0", "fail", "SET PERSIST sync_binlog = 1;"),
        ("innodb_flush_log_at_trx_commit", "2", "fail", "SET PERSIST innodb_flush_log_at_trx_commit = 1;"),
        ("innodb_online_alter_log_max_size", "134217728", "warn", "= 268435456;"),
        ("sort_buffer_size", "262144", "fail", "SET PERSIST sort_buffer_size = 33554432;"),
        ("max_prepared_stmt_count", "16382", "warn", "SET PERSIST max_prepared_stmt_count = 1048576;"),
    ],
)
def test_a_wrong_setting(name: str, value: str, expected: str, remedy: str) -> None:
    found = by_about(judged_settings.wanted(with_variables(**{name: value})))[name]
    assert (found.verdict, value in found.found) == (expected, True)
    assert remedy in found.remedy
    assert found.remedy.startswith("wbagent database tune")
    assert ("needs a restart" if name == "log_bin" else "without a restart") in found.needed


def test_before_8_0_a_line_of_the_option_file_as_well() -> None:
    seen = replace(with_variables(sync_binlog="0"), server=server((5, 7, 44)))
    found = by_about(judged_settings.wanted(seen))
    assert "SET GLOBAL sync_binlog = 1; and the line `sync_binlog = 1`" in found["sync_binlog"].remedy
    assert "sort_buffer_size" not in found


def test_setting_by_version() -> None:
    steps = (("gtid_mode", "ON_PERMISSIVE"), ("gtid_mode", "ON"))
    assert (
        judged_settings.setting((8, 0, 28), *steps)
        == "SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;"
    )
    old = judged_settings.setting((5, 7, 44), *steps)
    assert old.startswith("SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON;")
    assert old.endswith("my.cnf `gtid_mode = ON`")


@pytest.mark.parametrize(
    ("version", "name", "purge"),
    [
        ((5, 7, 44), "expire_logs_days = 30", False),
        ((8, 0, 28), "binlog_expire_logs_seconds = 2592000", False),
        ((8, 4, 0), "binlog_expire_logs_seconds = 2592000", True),
    ],
)
def test_expiry_by_version(version: tuple[int, int, int], name: str, purge: bool) -> None:
    seen = replace(with_variables(binlog_expire_logs_seconds="0"), server=server(version))
    remedy = by_about(judged_settings.binary_log(seen, settings()))["binlog_expire_logs_seconds"].remedy
    assert name in remedy
    assert ("auto_purge" in remedy) is purge


def test_enough_and_passing() -> None:
    enough = by_about(judged_settings.wanted(with_variables(sort_buffer_size="33554432")))["sort_buffer_size"]
    assert (enough.verdict, "SET PERSIST sort_buffer_size = 67108864;" in enough.remedy) == ("note", True)
    passing = by_about(judged_settings.wanted(look(passing=frozenset({"sync_binlog"}))))["sync_binlog"]
    assert (passing.verdict, "restart may take it back" in passing.found) == ("note", True)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [({}, "note"), ({"standby": {"url": str(URL)}}, "warn"), ({"backup": {"binlog": {"enabled": True}}}, "fail")],
)
def test_no_gtids(sections: dict[str, Any], expected: str) -> None:
    found = by_about(judged_settings.binary_log(with_variables(gtid_mode="OFF"), settings(**sections)))
    assert found["gtid_mode"].verdict == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"binlog_expire_logs_seconds": "2592000"}, "pass"),
        ({"binlog_expire_logs_seconds": "3600"}, "warn"),
        ({"binlog_expire_logs_seconds": "0"}, "warn"),
        ({"binlog_expire_logs_seconds": "0", "expire_logs_days": "7"}, "pass"),
        ({"binlog_expire_logs_auto_purge": "OFF"}, "warn"),
    ],
)
def test_expiry_of_binary_logs(values: dict[str, str], expected: str) -> None:
    found = by_about(judged_settings.binary_log(with_variables(**values), settings()))
    assert found["binlog_expire_logs_seconds"].verdict == expected
    assert found["gtid_mode"].verdict == "pass"


def test_without_a_binary_log_its_own_settings_say_nothing() -> None:
    assert list(judged_settings.binary_log(look(server=server(binary_log=False)), settings())) == []


@pytest.mark.parametrize(("peak", "expected"), [("120", "pass"), ("121", "warn"), ("152", "warn")])
def test_headroom_of_connections(peak: str, expected: str) -> None:
    assert judged_settings.connections(look(status={"Max_used_connections": peak}), settings()).verdict == expected


@pytest.mark.parametrize(
    ("pool", "size", "memory", "expected"),
    [
        (GIB, GIB, 0, "pass"),
        (GIB, 4 * GIB, 0, "note"),
        (128 << 20, 4 * GIB, 16 * GIB, "note"),
        # Half of the memory is in use already: no more is asked for.
        (8 * GIB, 40 * GIB, 16 * GIB, "pass"),
        (14 * GIB, GIB, 16 * GIB, "warn"),
    ],
)
def test_buffer_pool(pool: int, size: int, memory: int, expected: str) -> None:
    seen = replace(with_variables(innodb_buffer_pool_size=str(pool)), memory=memory)
    found = judged_settings.buffer_pool(replace(seen, database=database(table("runs", size=size))))
    assert found.verdict == expected
    assert bool(found.remedy) is (expected != "pass")


# --- character sets --------------------------------------------------------------------------------------------------


def test_all_utf8mb4() -> None:
    assert {each.verdict for each in charset.judge(look())} == {"pass"}


def test_server_and_database_in_another_character_set() -> None:
    seen = with_variables(character_set_server="latin1", collation_server="latin1_swedish_ci")
    old = replace(seen, database=database(charset="utf8mb3", collation="utf8mb3_general_ci"))
    found = by_about(charset.judge(old))
    assert found["server"].verdict == "note"
    assert found["database wandb_local"].verdict == "fail"
    assert "ALTER DATABASE `wandb_local` CHARACTER SET utf8mb4" in found["database wandb_local"].remedy


def test_database_in_another_collation() -> None:
    seen = look(database=database(collation="utf8mb4_0900_ai_ci"))
    assert by_about(charset.judge(seen))["database wandb_local"].verdict == "warn"


def test_tables_in_other_collations() -> None:
    found = list(charset.tables("w", {"a": "latin1_swedish_ci", "b": "utf8mb4_0900_ai_ci", "c": "utf8mb4_general_ci"}))
    assert [(each.verdict, each.found) for each in found] == [
        ("fail", "1 of 3 are not utf8mb4: a (latin1_swedish_ci)"),
        ("warn", "1 of 3 have another collation: b (utf8mb4_0900_ai_ci)"),
    ]
    assert "ALTER TABLE `w`.`a` CONVERT TO CHARACTER SET utf8mb4" in found[0].remedy


def test_many_tables_are_not_all_written_out() -> None:
    (found,) = charset.tables("w", {f"t{number}": "utf8mb3_bin" for number in range(30)})
    assert found.remedy.count("ALTER TABLE") == 5
    assert "the same for 25 more" in found.remedy


def test_columns() -> None:
    columns = {"runs.name": "latin1_swedish_ci", "runs.hash": "ascii_bin", "runs.key": "utf8mb4_bin"}
    found = charset.judge(look(collations=Collations({"runs": "utf8mb4_general_ci"}, columns)))
    told = [(each.verdict, each.found) for each in found if each.about == "columns"]
    assert told == [
        ("warn", "1 are not utf8mb4: runs.name (latin1_swedish_ci)"),
        ("note", "2 differ from their table, which can be on purpose: runs.hash (ascii_bin), runs.key (utf8mb4_bin)"),
    ]


# --- tables ----------------------------------------------------------------------------------------------------------


def test_database_that_is_not_there_or_empty() -> None:
    missing = tables.presence(look(database=None))
    assert (missing.verdict, "wbagent database init" in missing.remedy) == ("fail", True)
    assert tables.presence(look(database=database())).verdict == "note"
    assert tables.presence(look()).found == "wandb_local: 1000B in 1 tables, the largest is runs (1000B)"


def test_storage_engines() -> None:
    assert tables.engines(database(table("runs"))).verdict == "pass"
    found = tables.engines(database(table("runs"), table("old", "MyISAM")))
    assert (found.verdict, found.remedy) == ("fail", "ALTER TABLE `wandb_local`.`old` ENGINE = InnoDB;")


def test_float_columns() -> None:
    assert tables.floats(database(), "auto").verdict == "pass"
    found = tables.floats(database(float_columns=("runs.loss",)), "auto")
    assert (found.verdict, "runs.loss" in found.found) == ("note", True)


DAY = 86400


@pytest.mark.parametrize(
    ("past", "full_in", "expected", "words"),
    [
        ((), None, "note", "not known yet"),
        (((0, 100.0), (3600, 90.0)), None, "note", "not known yet"),
        (((0, 3.0 * GIB), (DAY, 2.0 * GIB)), None, "pass", "1.00G a day more"),
        (((0, 2.0 * GIB), (2 * DAY, 4.0 * GIB)), None, "pass", "1.00G a day less"),
        (((0, 3.0 * GIB), (DAY, 2.0 * GIB)), 2.0 * DAY, "note", "full in 2d"),
    ],
)
def test_growth(past: tuple[tuple[int, float], ...], full_in: float | None, expected: str, words: str) -> None:
    found = growth.judge([Bucket(at, 3600, mean, mean, mean) for at, mean in past], full_in)
    assert (found.verdict, words in found.found) == (expected, True)


@pytest.mark.parametrize(("hours", "expected"), [(30, "1.00G a day more"), (3, "not known yet")])
def test_growth_by_the_samples_of_this_host(
    hours: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    now = Moment.now()
    answer = Asker().answers([str(tmp_path)])[str(tmp_path)]
    (system,) = file_systems([("mysql", answer)])
    collector = Collector()
    for ago in range(hours, -1, -1):
        free = 1000 * GIB + ago / 24 * GIB
        collector.take([Sample(FREE, free, (("path", system.point),))], now.wall - 3600 * ago)
    collector.store(tmp_path / FILE, now)
    seen = with_variables(datadir=str(tmp_path))
    (found,) = growth.growth_of(replace(seen, local=True), now.wall)
    assert expected in found.found
    # Of a server elsewhere this host has no samples.
    assert list(growth.growth_of(seen, now.wall)) == []


# --- rights ----------------------------------------------------------------------------------------------------------


def granted(*lines: str) -> Grants:
    return parse_grants("wandb_local@%", lines)


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (["GRANT ALL PRIVILEGES ON `wandb_local`.* TO `wandb_local`@`%` WITH GRANT OPTION"], 0),
        ([r"GRANT ALL PRIVILEGES ON `wandb\_local`.* TO `wandb_local`@`%`"], 0),
        (["GRANT ALL PRIVILEGES ON `wandb%`.* TO `wandb_local`@`%`"], 0),
        (["GRANT ALL PRIVILEGES ON `wandb`.* TO `wandb_local`@`%`"], len(ALL_ON_DATABASE)),
        ([f"GRANT {', '.join(ALL_ON_DATABASE)} ON *.* TO `wandb_local`@`%`"], 0),
        (["GRANT USAGE ON *.* TO `wandb_local`@`%`"], len(ALL_ON_DATABASE)),
        (["GRANT SELECT, INSERT ON `wandb_local`.* TO `wandb_local`@`%`"], len(ALL_ON_DATABASE) - 2),
        (["GRANT SELECT ON *.* TO `w`@`%`", "GRANT INSERT ON `wandb_local`.* TO `w`@`%`"], len(ALL_ON_DATABASE) - 2),
    ],
)
def test_rights_of_the_server(lines: list[str], missing: int) -> None:
    grants = granted(*lines)
    assert len(grants.missing_on("wandb_local", ALL_ON_DATABASE)) == missing
    assert rights.of_server(grants, "wandb_local").verdict == ("fail" if missing else "pass")


def backup_look(*lines: str, **other: Any) -> Look:
    clone = CloneFacts(True, 1000, 0, (), "/var/lib/mysql")
    return look(key="[database] url", server=server(grants=granted(*lines)), clone=clone, **other)


EVERYTHING = "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, PROCESS, RELOAD, REPLICATION CLIENT ON *.* TO `b`@`%`"


def test_rights_of_the_backup() -> None:
    found = by_about(rights.of_backup(backup_look(EVERYTHING, local=True), settings()))
    assert [found[about].verdict for about in ("backup", "position", "clone")] == ["pass", "pass", "note"]
    assert "BACKUP_ADMIN" in found["clone"].remedy
    more = by_about(rights.of_backup(backup_look(EVERYTHING, "GRANT BACKUP_ADMIN ON *.* TO `b`@`%`"), settings()))
    assert "another host" in more["clone"].found


def test_a_backup_that_would_not_hold_everything() -> None:
    found = by_about(rights.of_backup(backup_look("GRANT SELECT ON *.* TO `b`@`%`"), settings()))
    assert found["backup"].verdict == "fail"
    assert r"GRANT SHOW VIEW, TRIGGER, EVENT ON \`wandb_local\`.*" in found["backup"].remedy
    assert found["position"].verdict == "note"
    hidden = backup_look(EVERYTHING, database=database(hidden_routines=("PROCEDURE p",)))
    assert "SHOW_ROUTINE" in by_about(rights.of_backup(hidden, settings()))["backup"].remedy


def test_rights_to_ship_binary_logs_and_to_clone_where_that_is_configured() -> None:
    wanted = settings(backup={"engine": "clone", "binlog": {"enabled": True}})
    found = by_about(rights.of_backup(backup_look(EVERYTHING, local=True), wanted))
    assert (found["binlog"].verdict, found["clone"].verdict) == ("fail", "fail")
    assert "GRANT REPLICATION SLAVE ON *.*" in found["binlog"].remedy
    more = "GRANT REPLICATION SLAVE, BACKUP_ADMIN ON *.* TO `b`@`%`"
    found = by_about(rights.of_backup(backup_look(EVERYTHING, more, local=True), wanted))
    assert (found["binlog"].verdict, found["clone"].verdict) == ("pass", "pass")


def test_no_backups_need_no_rights() -> None:
    assert list(rights.of_backup(backup_look(), settings(backup={"enabled": False}))) == []


@pytest.mark.parametrize(
    ("plugin", "version", "expected"),
    [
        ("caching_sha2_password", (9, 7, 4), "pass"),
        ("mysql_native_password", (8, 0, 44), "warn"),
        ("mysql_native_password", (8, 4, 0), "warn"),
        ("sha256_password", (9, 7, 4), "note"),
        ("", (9, 7, 4), "pass"),
    ],
)
def test_own_password(plugin: str, version: tuple[int, int, int], expected: str) -> None:
    assert rights.own_password(granted(), plugin, version).verdict == expected


def test_other_passwords() -> None:
    old = (OldAccount("'a'@'%'", "mysql_native_password"), OldAccount("'b'@'%'", "sha256_password"))
    found = list(rights.other_passwords(old, frozenset({"sha256_password"}), (9, 7, 4)))
    assert [each.verdict for each in found] == ["warn", "note"]
    assert found[0].remedy.startswith("ALTER USER 'a'@'%' IDENTIFIED WITH caching_sha2_password")
    assert list(rights.other_passwords((), frozenset(), (9, 7, 4))) == []


# --- standby ---------------------------------------------------------------------------------------------------------

WELL = StandbyLook((8, 4, 0), "MySQL", Threads("", ""), caught_up=True, read_only=True)


@pytest.mark.parametrize(
    ("seen", "about", "expected"),
    [
        (replace(WELL, threads=Threads("replica", "")), "replication", "fail"),
        (replace(WELL, threads=Threads("applier", "Duplicate entry")), "replication", "fail"),
        (replace(WELL, threads=None), "replication", "note"),
        (replace(WELL, caught_up=False), "lag", "warn"),
        (replace(WELL, caught_up=None), "lag", "note"),
        (replace(WELL, read_only=False), "writes", "warn"),
        (replace(WELL, version=(8, 0, 44)), "version", "warn"),
        (replace(WELL, flavour="MariaDB"), "version", "fail"),
    ],
)
def test_standby_that_is_not_well(seen: StandbyLook, about: str, expected: str) -> None:
    assert by_about(standby.judge(seen, URL, (8, 4, 0)))[about].verdict == expected


def test_standby_that_is_well() -> None:
    assert {each.verdict for each in standby.judge(WELL, URL, (8, 4, 0))} == {"pass"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("[server] mysql", "OFF", "pass"), ("[server] mysql", "ON", "fail"), ("[database] url", "ON", "note")],
)
def test_writes(key: str, value: str, expected: str) -> None:
    assert standby.takes_writes(replace(with_variables(read_only=value), key=key)).verdict == expected


# --- which checks there are ------------------------------------------------------------------------------------------


def test_nothing_configured_and_embedded() -> None:
    (nothing,) = checks(Settings())
    assert nothing.name == "configured"
    embedded = {"host": "http://w.example.com", "image": "wandb/local:0.83.0", "embedded": True}
    (own,) = checks(Settings.model_validate({"server": embedded}))
    assert own.name == "embedded"


def test_names_are_unique() -> None:
    names = [check.name for check in checks(settings(standby={"url": str(URL)}))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        (Lookup("db1.example.com", ("10.1.2.3",), ("10.1.2.3",)), "pass"),
        (Lookup("db1", ("10.1.2.3",), (), hosts_file=True), "fail"),
        (Lookup("db1", ("10.1.2.3",), (), hosts_file=True, sure=False), "warn"),
    ],
)
def test_the_name_is_judged_as_the_container_sees_it(host: Lookup, verdict: str) -> None:
    finding = way.judge_name(host)
    assert finding.verdict == verdict
    assert ("in [server] mysql: name it by its address, 10.1.2.3" in finding.remedy) is (verdict != "pass")
