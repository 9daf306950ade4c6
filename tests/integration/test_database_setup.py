"""`wbagent database init` on a real MySQL: from nothing, again, interrupted, refused, with names of every kind."""

from __future__ import annotations

import os
import pty
import select
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.integration.database_setup_case import Host, made_host, untuned_server
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.config.dsn import MysqlURL
from wbagent.database.account import Account, check_names
from wbagent.database.administrator import administrator, by_socket, carry_out
from wbagent.database.administrator import look as look_at_account
from wbagent.database.connection import quoted_name, rows, session
from wbagent.database.provisioning import plan_for_server
from wbagent.errors import DatabaseError, UsageError

ODD_PASSWORD = "p'a\"s\\s%w@r+d/?#&=:;`$ €é🔑"


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with untuned_server() as running:
        yield running


@pytest.fixture
def host(server: MysqlServer, tmp_path: Path) -> Iterator[Host]:
    with made_host(server, tmp_path) as made:
        yield made


def logs_in(url: MysqlURL) -> bool:
    try:
        with session(url) as connection:
            return rows(connection, "SELECT 1") == ((1,),)
    except DatabaseError as error:
        if "(1045)" in error.message:
            return False
        raise


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
