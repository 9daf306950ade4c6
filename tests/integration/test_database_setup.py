"""`wbagent database init`, `user` and `tune` on a real MySQL: from nothing, again, interrupted, refused, restarted."""

from __future__ import annotations

import os
import pty
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pymysql
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.integration.backup_case import make_case
from tests.integration.conftest import require
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.program import WORK
from tests.testbed.rootfs import MYSQL
from tests.testbed.sample import fill
from wbagent.backup.engines.choose import Offer
from wbagent.backup.engines.clone import Clone
from wbagent.backup.engines.clone_checks import why_no_clone
from wbagent.backup.engines.clone_directory import Place
from wbagent.backup.engines.mydumper_checks import Room, why_no_mydumper
from wbagent.backup.source import look
from wbagent.binlog.source import check as check_binlog
from wbagent.config.dsn import MysqlURL
from wbagent.database.account import Account, check_names
from wbagent.database.administrator import administrator, by_socket, carry_out
from wbagent.database.administrator import look as look_at_account
from wbagent.database.clone import read_clone_facts
from wbagent.database.connection import quoted_name, rows, session
from wbagent.database.facts import read_server
from wbagent.database.option_files import Program, drop_in, start_arguments
from wbagent.database.provisioning import plan_for_server
from wbagent.database.tuning import not_taken, option_file
from wbagent.errors import DatabaseError, UsageError
from wbagent.moment import Moment
from wbagent.monitor.mysql_load import read_load

# What a server has that nobody tuned, and worse: on its command line, where an option file cannot change it,
ON_ITS_COMMAND_LINE = {"sync_binlog": "0", "general_log": "ON", "general_log_file": f"{WORK}/data/general.log"}
# and in its option file.
IN_ITS_FILE = f"""[mysqld]
binlog_row_image = FULL
innodb_flush_log_at_trx_commit = 2
innodb_online_alter_log_max_size = 134217728
sort_buffer_size = 32768
!includedir {WORK}/scratch
"""
TUNED = (
    "SELECT @@GLOBAL.sync_binlog, @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.binlog_row_image,"
    " @@GLOBAL.innodb_online_alter_log_max_size, @@GLOBAL.sort_buffer_size, @@GLOBAL.max_prepared_stmt_count"
)
WANTED = [(1, 1, "MINIMAL", 268435456, 33554432, 1048576)]
ODD_PASSWORD = "p'a\"s\\s%w@r+d/?#&=:;`$ €é🔑"
_numbers = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    require(MYSQL)
    with MysqlServer(settings=ON_ITS_COMMAND_LINE, option_file=IN_ITS_FILE) as running:
        yield running


@dataclass(frozen=True)
class Host:
    """Where `wbagent database` is typed: a configuration, and names that no other test has."""

    server: MysqlServer
    directory: Path
    number: int

    @property
    def name(self) -> str:
        """Of the account and of the database."""
        return f"made_{self.number}"

    @property
    def secret(self) -> Path:
        return self.directory / "secret"

    @property
    def admin(self) -> MysqlURL:
        return MysqlURL("root", "", "localhost", self.server.port, "mysql", (("socket", str(self.server.socket)),))

    @property
    def url(self) -> MysqlURL:
        """What was written down, by the way over TCP."""
        kept = MysqlURL.parse(self.secret.read_text().strip())
        return replace(kept, host=self.server.address, port=self.server.port, options=())

    def command(self, verb: str, *options: str, admin: MysqlURL | None = None) -> list[str]:
        command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(self.directory / "wbagent.toml")]
        command += ["database", verb, "--admin", str(admin or self.admin)]
        if verb != "tune":
            names = {"--user": self.name, "--database": self.name, "--into": str(self.secret)}
            command += [word for key, value in names.items() if key not in options for word in (key, value)]
        return [*command, *options]

    def run(
        self, verb: str, *options: str, admin: MysqlURL | None = None, status: int = 0, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """As a person types it; the status is what it has to end with."""
        command = self.command(verb, *options, admin=admin)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def state(self) -> tuple[object, ...]:
        """All that MySQL knows of the account and the database."""
        execute = self.server.execute
        return (
            execute("SELECT * FROM mysql.user WHERE user = %s", self.name),
            execute("SELECT * FROM mysql.db WHERE user = %s", self.name),
            execute("SELECT * FROM information_schema.schemata WHERE schema_name = %s", self.name),
        )


@pytest.fixture
def host(server: MysqlServer, tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "wbagent.toml").touch(mode=0o640)
    made = Host(server, tmp_path, next(_numbers))
    yield made
    server.execute(f"DROP DATABASE IF EXISTS `{made.name}`")
    for user, where in server.execute(
        "SELECT user, host FROM mysql.user WHERE user NOT LIKE 'mysql.%%' AND user <> %s", "root"
    ):
        server.execute("DROP USER %s@%s", user, where)


def logs_in(url: MysqlURL) -> bool:
    try:
        with session(url) as connection:
            return rows(connection, "SELECT 1") == ((1,),)
    except DatabaseError as error:
        if "(1045)" in error.message:
            return False
        raise


# --- init ---


def test_from_nothing_and_again(host: Host) -> None:
    first = host.run("init", "--yes")
    with session(host.url) as connection:
        # What the server's migrations do.
        rows(connection, "CREATE TABLE t (id INT PRIMARY KEY, name TEXT)")
        rows(connection, "ALTER TABLE t ADD COLUMN more JSON, ADD INDEX (name(10))")
        rows(connection, "CREATE VIEW v AS SELECT id FROM t")
        rows(connection, "DROP TABLE t")
        ((charset, collation),) = rows(connection, "SELECT @@character_set_database, @@collation_database")
    assert (charset, collation) == ("utf8mb4", "utf8mb4_general_ci")
    assert stat.S_IMODE(host.secret.stat().st_mode) & 0o137 == 0
    assert f'mysql_file = "{host.secret}"' in first.stdout

    before, kept, changed = host.state(), host.secret.read_bytes(), host.secret.stat().st_mtime_ns
    again = host.run("init")  # It has nothing to ask.
    assert "to do" not in again.stdout
    assert again.stdout.count("is so:") == 2
    assert (host.state(), host.secret.read_bytes(), host.secret.stat().st_mtime_ns) == (before, kept, changed)

    log = (host.server.directory / "data/general.log").read_text()
    assert f"CREATE USER '{host.name}'@'%' IDENTIFIED BY <secret>" in log
    for text in (first.stdout, first.stderr, again.stdout, log):
        assert host.url.password not in text


def test_nobody_to_ask_and_nothing_is_done(host: Host) -> None:
    before = host.state()
    refused = host.run("init", status=64)
    assert "--yes" in refused.stderr
    nowhere = str(host.directory / "nowhere/secret")
    unwritten = host.run("init", "--yes", "--into", nowhere, status=73).stderr
    assert f"{nowhere} cannot be written: No such file or directory" in unwritten
    assert "expected HOST" in host.run("init", "--yes", "--address", "db1:port", status=64).stderr
    assert host.state() == before
    assert not host.secret.exists()


@pytest.mark.parametrize(("answer", "does"), [("y\n", True), ("\n", False), ("\x03", False)])
def test_a_person_is_asked(host: Host, answer: str, does: bool) -> None:
    ours, theirs = pty.openpty()
    # With the terminal as its own, so that ^C is a signal.
    command = ["setsid", "--ctty", *host.command("init")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            seen = ""
            while "Do this? [y/N]" not in seen:
                seen += os.read(ours, 4096).decode()
            os.write(ours, answer.encode())
            with suppress(OSError):  # EIO: the other end is closed.
                while True:
                    # ^C between the question and the read of its answer is lost in any program of Python: press again.
                    while answer == "\x03" and not select.select([ours], [], [], 5)[0]:
                        os.write(ours, b"\x03")
                    seen += os.read(ours, 4096).decode()
        except BaseException:
            # Else its end would be waited for below, for ever.
            process.kill()
            raise
    os.close(ours)
    assert f"CREATE USER '{host.name}'@'%' IDENTIFIED BY 'PASSWORD';" in seen
    assert "Traceback" not in seen
    assert does or "nothing was done" in seen or "interrupted" in seen
    assert (process.returncode, host.secret.exists()) == ((0, True) if does else (130, False))
    assert bool(host.state()[0]) is does


def test_an_embedded_server_is_left_alone(host: Host) -> None:
    text = '[server]\nhost = "https://wandb.example.com"\nimage = "wandb/local:0.83.0"\nembedded = true\n'
    (host.directory / "wbagent.toml").write_text(text)
    for verb in ("init", "user"):
        assert "externalize" in host.run(verb, "--yes", "--into", "credential", status=64).stderr


def test_statements_instead_of_deeds(host: Host, clients: ClientPrograms) -> None:
    before = host.state()
    odd = ("--user", "o'neil\\")
    shown = host.run("init", "--sql", *odd).stdout
    assert host.state() == before
    assert not host.secret.exists()
    # An administrator runs what was printed, with a password of their own, whatever the server's sql_mode is.
    host.server.execute("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'")
    try:
        subprocess.run(
            [clients.mysql, "--no-defaults", "--user=root", f"--socket={host.server.socket}"],
            input=shown.replace("'PASSWORD'", "'Of-my-0wn'"),
            text=True,
            check=True,
        )
        given = host.directory / "given"
        given.write_text("Of-my-0wn\n")
        done = host.run("init", *odd, "--password-file", str(given), "--yes")
    finally:
        host.server.execute("SET GLOBAL sql_mode = DEFAULT")
    assert "CREATE" not in done.stdout
    assert logs_in(host.url)


_names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=16)
_passwords = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(user=_names, name=_names, password=_passwords)
def test_any_name_and_password_that_is_taken_works(server: MysqlServer, user: str, name: str, password: str) -> None:
    account = Account(user, "%")
    try:
        check_names(account, name)
    except UsageError:
        reject()
    door = by_socket(str(server.socket))
    with administrator(door) as connection:
        plan = plan_for_server(look_at_account(connection, account, name), account, name)
        carry_out(connection, door, plan.steps, password, lambda _: None)
        try:
            url = MysqlURL(user, password, server.address, server.port, name)
            assert logs_in(MysqlURL.parse(str(url)))
            assert plan_for_server(look_at_account(connection, account, name), account, name).steps == ()
        finally:
            rows(connection, f"DROP USER {account}")
            rows(connection, f"DROP DATABASE {quoted_name(name)}")


@contextmanager
def no_new_accounts(server: MysqlServer) -> Iterator[None]:
    """While this holds, every CREATE USER waits."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES mysql.user READ")
        yield


def test_killed_half_way_and_completed_by_the_next_run(host: Host) -> None:
    find = "SELECT id FROM information_schema.processlist WHERE info LIKE 'CREATE USER%%' AND user = %s"
    with no_new_accounts(host.server):
        with subprocess.Popen(host.command("init", "--yes"), stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 30
            while not (waiting := host.server.execute(find, "root")):
                assert process.poll() is None
                assert time.monotonic() < deadline
            process.kill()
        for (connection,) in waiting:
            host.server.execute("KILL %s", connection)
    kept = host.secret.read_bytes()
    assert host.server.execute("SHOW DATABASES LIKE %s", host.name)
    assert not host.server.execute("SELECT 1 FROM mysql.user WHERE user = %s", host.name)

    done = host.run("init", "--yes")
    assert "CREATE DATABASE" not in done.stdout
    assert host.secret.read_bytes() == kept
    assert logs_in(host.url)


def test_an_administrator_who_may_not(host: Host) -> None:
    little = host.server.create("little", "little", "password")
    host.server.execute("GRANT CREATE ON *.* TO 'little'@'%'")
    cannot_look = host.run("init", "--yes", admin=little, status=69).stderr
    assert "cannot look whether the account is there" in cannot_look
    host.server.execute("GRANT SELECT ON mysql.* TO 'little'@'%'")
    refused = host.run("init", "--yes", admin=little, status=69).stderr
    assert f"cannot create the account '{host.name}'@'%'" in refused
    assert "--sql" in refused
    host.server.execute("DROP DATABASE little")
    # What was done stays; who may do the rest completes it.
    host.run("init", "--yes")
    assert logs_in(host.url)


def test_a_wrong_password_of_the_administrator(host: Host) -> None:
    wrong = replace(host.admin, user="nobody", password="secret-of-nobody")
    refused = host.run("init", "--yes", admin=wrong, status=69)
    assert "Access denied for user 'nobody'" in refused.stderr
    assert "secret-of-nobody" not in refused.stderr
    assert not host.secret.exists()


def test_a_database_in_latin1_is_told_and_not_altered(host: Host) -> None:
    host.server.execute(f"CREATE DATABASE {host.name} CHARACTER SET latin1")
    told = host.run("init", "--yes", status=1).stdout
    assert f"wrong:   the database {host.name} is in latin1 (latin1_swedish_ci) instead of utf8mb4" in told
    ((charset,),) = host.server.execute(
        "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = %s", host.name
    )
    assert charset == "latin1"
    assert logs_in(host.url)


def test_names_and_passwords_of_every_kind(host: Host) -> None:
    odd = ("--user", "o'neil\"s\\%_`", "--database", "odd`name'é", "--host", "%")
    host.run("init", *odd, "--password-file", "-", "--yes", text=f"{ODD_PASSWORD}\n")
    try:
        assert host.url.password == ODD_PASSWORD
        assert logs_in(host.url)
        assert "to do" not in host.run("init", *odd).stdout
    finally:
        host.server.execute("DROP DATABASE `odd``name'é`")


def test_a_password_that_is_not_right_is_told_and_renewed_when_asked(host: Host) -> None:
    host.run("init", "--yes")
    first = host.url
    host.server.execute("ALTER USER %s@'%%' IDENTIFIED BY 'by somebody else'", host.name)
    told = host.run("init", "--yes", status=69).stderr
    assert "--new-password" in told
    assert host.url == first

    little = host.server.create("little", "little", "password")
    host.server.execute("DROP DATABASE little")
    host.server.execute("GRANT SELECT ON mysql.* TO 'little'@'%'")
    host.run("init", "--yes", "--new-password", admin=little, status=69)
    assert host.url == first, "what is not so on the server is not written down"

    host.run("init", "--yes", "--new-password")
    assert host.url != first
    assert logs_in(host.url)
    # Whoever was not told goes on with the one before.
    assert logs_in(replace(first, password="by somebody else"))
    host.server.execute("ALTER USER %s@'%%' DISCARD OLD PASSWORD", host.name)
    assert not logs_in(replace(first, password="by somebody else"))


def test_what_is_configured_is_made(host: Host) -> None:
    """With the password that stands there; a new one counts in its place, by the way that was configured."""
    configured = MysqlURL(host.name, "Of-my-0wn", "127.0.0.1", host.server.port, host.name, (("tls", "skip-verify"),))
    (host.directory / "wbagent.toml").write_text(f'[database]\nurl = "{configured}"\n')
    made = host.run("user", "--yes", "--no-clone").stdout
    assert f"'{host.name}'@'%'" in made
    assert not host.secret.exists()
    host.server.execute(f"CREATE DATABASE {host.name}")
    assert logs_in(configured)
    told = host.run("user", "--yes", "--no-clone", "--new-password").stdout
    assert f'instead of url = …:\n\n    [database]\n    url_file = "{host.secret}"' in told
    fresh = MysqlURL.parse(host.secret.read_text().strip())
    assert replace(fresh, password="") == replace(configured, password="")
    assert logs_in(fresh)


def test_an_account_whose_password_nobody_knows_is_left_alone(host: Host) -> None:
    host.server.create(host.name, host.name, "a secret")
    before = host.state()
    assert "is not known here" in host.run("init").stdout
    assert host.state() == before
    given = host.directory / "given"
    given.write_text("a guess")
    assert "--new-password" in host.run("init", "--password-file", str(given), "--yes", status=69).stderr
    assert not host.secret.exists()
    assert host.state() == before


def test_a_secret_of_another_account_is_not_overwritten(host: Host) -> None:
    host.secret.write_text("mysql://other:pw@db1/other\n")
    refused = host.run("init", "--yes", status=78).stderr
    assert "another account: other" in refused
    assert host.secret.read_text() == "mysql://other:pw@db1/other\n"


def test_a_replica_is_refused(host: Host) -> None:
    host.server.execute("SET GLOBAL super_read_only = ON")
    try:
        refused = host.run("init", "--yes", status=69).stderr
    finally:
        host.server.execute("SET GLOBAL read_only = OFF")
    assert "run this on its source" in refused


# --- user ---


def test_the_backup_account_backs_up_and_can_do_no_more(host: Host, clients: ClientPrograms, tmp_path: Path) -> None:
    host.server.create(host.name, "owner", "password")
    with host.server.connect(host.name) as connection:
        fill(connection, 1)
    host.run("user", "--user", "saver", "--host", "%", "--clone", "--binlog", "--yes")
    url = host.url
    assert url.user == "saver"

    # Each engine's own preflight, and the real one of them that needs no other host.
    source = look(url)
    case = make_case(tmp_path / "case", url, clients, engine="mysqldump")
    made = case.run().manifest
    assert made.position is not None
    assert [each.split(" ")[0] for each in made.warnings] == ["FLOAT"]
    with session(url) as connection:
        facts = read_clone_facts(connection, source.server, source.database.name)
        place = Place(Path("/var/lib/elsewhere"), 1 << 40)
        assert why_no_clone(source.server, source.database, facts, place, same_host=True) is None
        check_binlog(read_server(connection), url)
        assert len(rows(connection, "SHOW BINARY LOGS")) > 0
        rows(connection, "CLONE LOCAL DATA DIRECTORY = '/mnt/scratch/by-saver'")
        for statement in (
            "DELETE FROM runs",
            "UPDATE runs SET name = ''",
            "INSERT INTO runs SELECT * FROM runs",
            "DROP TABLE runs",
            "TRUNCATE runs",
            "CREATE TABLE more (id INT)",
            "DROP DATABASE " + host.name,
            "SELECT * FROM mysql.user",
            "SET GLOBAL sync_binlog = 0",
            "CREATE USER thief",
        ):
            with pytest.raises(pymysql.MySQLError, match=r"denied|Access"):
                rows(connection, statement)
    assert read_load(url, Moment.now()).missing == ()
    assert "to do" not in host.run("user", "--user", "saver", "--host", "%", "--clone", "--binlog").stdout


def test_mydumper_would_have_all_rights(host: Host, clients: ClientPrograms, tmp_path: Path) -> None:
    host.server.create(host.name, "owner", "password")
    with host.server.connect(host.name) as connection:
        fill(connection, 0.1)
    host.run("user", "--user", "saver", "--host", "%", "--no-clone", "--yes")
    source = look(host.url)
    assert why_no_mydumper(host.url, source, Room(tmp_path, 1 << 40)) is None
    case = make_case(tmp_path / "case", host.url, clients)
    offer = Offer(case.settings.backup, host.url, source, tmp_path, lambda _: None)
    assert not isinstance(offer.clone(), Clone), "without --clone it may not"


# --- tune ---


def test_tuned_now_and_after_a_restart(host: Host) -> None:
    server = host.server
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE sorting")
        cursor.execute("CREATE TABLE sorting.t (id INT, body JSON)")
        cursor.execute(
            "INSERT INTO sorting.t VALUES (1, JSON_ARRAY(REPEAT('x', 60000))), (2, JSON_ARRAY(REPEAT('y', 60000)))"
        )
    sort = "SELECT id, body FROM sorting.t ORDER BY id DESC"
    with pytest.raises(pymysql.err.OperationalError, match="Out of sort memory"):
        server.execute(sort)

    asked = host.run("tune", status=64)
    assert "--yes" in asked.stderr
    assert server.execute("SELECT @@GLOBAL.sync_binlog") == [(0,)]
    done = host.run("tune", "--yes").stdout
    assert "restart of MySQL is needed" not in done
    assert len(server.execute(sort)) == 2
    assert server.execute(TUNED) == WANTED
    assert "to do" not in host.run("tune").stdout

    # Persisted values win over the options that it is started with.
    server.stop()
    server.start()
    assert server.execute(TUNED) == WANTED
    assert "stays so after a restart" in host.run("tune").stdout
    server.execute("DROP DATABASE sorting")


def test_lines_of_an_option_file_last_too(host: Host) -> None:
    """In its chroot MySQL is, as in a container, out of this host's reach: the lines are for a person to put there."""
    server = host.server
    server.execute("RESET PERSIST")
    server.execute("SET PERSIST binlog_row_image = FULL")
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    printed = host.run("tune", "--in-file", "--yes").stdout
    assert "Not written, since its process is not to be seen on this host" in printed
    assert server.execute(TUNED) == WANTED
    lines = [
        line.strip() for line in printed.split("In an option file of that server:")[1].splitlines() if "    " in line
    ]
    assert "binlog_row_image = MINIMAL" in lines
    (server.directory / "scratch/zz-wbagent.cnf").write_text("\n".join(lines))
    server.stop()
    server.start()
    ((row_image, at_commit),) = server.execute(
        "SELECT @@GLOBAL.binlog_row_image, @@GLOBAL.innodb_flush_log_at_trx_commit"
    )
    assert (row_image, at_commit) == ("MINIMAL", 1)


def test_an_administrator_who_may_not_persist(host: Host) -> None:
    host.server.execute("SET GLOBAL sync_binlog = 0")
    little = host.server.create(host.name, "little", "password")
    host.server.execute("GRANT SELECT ON performance_schema.* TO 'little'@'%'")
    refused = host.run("tune", "--yes", admin=little, status=69).stderr
    assert "cannot set " in refused
    assert "SYSTEM_VARIABLES_ADMIN" in refused


def test_a_real_mysqld_reads_the_option_file(mysqld: Path, tmp_path: Path) -> None:
    main, included = tmp_path / "my.cnf", tmp_path / "conf.d"
    (tmp_path / "empty.d").mkdir()
    included.mkdir()
    main.write_text(f"[mysqld]\nsync_binlog = 0\n!includedir {tmp_path}/empty.d\n!include {tmp_path}/more.cnf\n")
    (tmp_path / "more.cnf").write_text(f"!includedir {included}\n")
    (included / "mysqld.cnf").write_text("[mysqld]\nsort-buffer-size = 1M\n")
    program = Program(str(mysqld), (f"--defaults-file={main}",), "")
    place = drop_in(program)
    assert place == included / "zz-wbagent.cnf"
    lines = {"sync_binlog": "sync_binlog = 1", "sort_buffer_size": "sort_buffer_size = 33554432"}
    assert not_taken(lines.values(), start_arguments(program)) == list(lines.values())
    place.write_text(option_file({}, lines))
    assert not_taken(lines.values(), start_arguments(program)) == []
    (included / "zz-zz.cnf").write_text("[mysqld]\nloose-sync-binlog = 0\n")
    assert not_taken(lines.values(), start_arguments(program)) == ["sync_binlog = 1"]
    main.write_text("[mysqld]\n")
    assert "includes a directory" in str(drop_in(program))
