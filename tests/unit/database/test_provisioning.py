"""Which statements make database and accounts: the guide's own, only what lacks, and no more rights than are needed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.database.account import Account, check_names, new_password
from wbagent.database.connection import quoted_name
from wbagent.database.facts import Version
from wbagent.database.grants import Grants, parse_grants, quoted_account
from wbagent.database.provisioning import (
    BackupNeeds,
    Found,
    Step,
    backup_privileges,
    plan_for_backup,
    plan_for_server,
)
from wbagent.errors import UsageError

SERVER = Account("wandb_local", "%")
BACKUP = Account("wandb_backup", "localhost")
EIGHT = (8, 4, 0)
GUIDE = [
    "CREATE DATABASE `wandb_local` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;",
    "CREATE USER 'wandb_local'@'%' IDENTIFIED BY 'PASSWORD';",
    "GRANT ALL ON `wandb_local`.* TO 'wandb_local'@'%' WITH GRANT OPTION;",
]
RIGHT = ("utf8mb4", "utf8mb4_general_ci")
# What changes anything but the state of a server.
WRITES = {"INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "GRANT OPTION", "CREATE USER",
          "SUPER", "FILE", "SHUTDOWN", "EXECUTE", "ALL PRIVILEGES", "RELOAD"}  # fmt: skip
anything = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)


def rights(*lines: str, of: Account = SERVER) -> Grants:
    """As MySQL shows them."""
    return parse_grants(f"{of.user}@{of.host}", lines)


ALL_ON_IT = rights(
    "GRANT USAGE ON *.* TO `wandb_local`@`%`",
    "GRANT ALL PRIVILEGES ON `wandb_local`.* TO `wandb_local`@`%` WITH GRANT OPTION",
)


def done(step: Step, found: Found) -> Found:
    """What a server is after the step, as it shows it."""
    statement = step.statement("secret")
    if statement.startswith("CREATE DATABASE"):
        return replace(found, database=RIGHT)
    if statement.startswith("CREATE USER"):
        return replace(found, grants=rights("GRANT USAGE ON *.* TO `u`@`%`"))
    if statement.startswith("INSTALL PLUGIN"):
        return replace(found, clone_plugin=True)
    shown = statement.replace("GRANT ALL ON", "GRANT ALL PRIVILEGES ON")
    assert found.grants
    more = rights(shown)
    return replace(
        found,
        grants=Grants("u", found.grants.everywhere | more.everywhere, (*found.grants.databases, *more.databases)),
    )


def test_a_new_server_gets_the_guides_statements() -> None:
    plan = plan_for_server(Found(EIGHT), SERVER, "wandb_local")
    assert [step.shown for step in plan.steps] == GUIDE
    assert (plan.already, plan.notes, plan.wrong) == ((), (), ())


def test_what_is_there_is_left_alone() -> None:
    plan = plan_for_server(Found(EIGHT, RIGHT, ALL_ON_IT), SERVER, "wandb_local")
    assert plan.steps == ()
    assert plan.already == (
        "the database wandb_local is there, in utf8mb4 and utf8mb4_general_ci",
        "the account 'wandb_local'@'%' is there, with all rights on wandb_local",
    )


@pytest.mark.parametrize("reached", range(4))
def test_a_run_that_was_interrupted_is_completed_by_the_next(reached: int) -> None:
    found = Found(EIGHT)
    for step in plan_for_server(found, SERVER, "wandb_local").steps[:reached]:
        found = done(step, found)
    assert [step.shown for step in plan_for_server(found, SERVER, "wandb_local").steps] == GUIDE[reached:]


@pytest.mark.parametrize("version", [(5, 7, 44), (8, 0, 19), (8, 0, 20), (9, 7, 4)])
@pytest.mark.parametrize("needs", [BackupNeeds(clone=False, binlog=False), BackupNeeds(clone=True, binlog=True)])
def test_every_interruption_of_the_backup_account_is_completed(version: Version, needs: BackupNeeds) -> None:
    found = Found(version, RIGHT)
    whole = plan_for_backup(found, BACKUP, "wandb_local", needs).steps
    for reached, step in enumerate(whole):
        assert plan_for_backup(found, BACKUP, "wandb_local", needs).steps == whole[reached:]
        found = done(step, found)
    assert plan_for_backup(found, BACKUP, "wandb_local", needs).steps == ()


@pytest.mark.parametrize("database", [("latin1", "latin1_swedish_ci"), ("utf8mb4", "utf8mb4_0900_ai_ci")])
def test_a_database_in_another_character_set_is_told_and_not_altered(database: tuple[str, str]) -> None:
    plan = plan_for_server(Found(EIGHT, database), SERVER, "wandb_local")
    assert [step.shown for step in plan.steps] == GUIDE[1:]
    assert database[1] in plan.wrong[0]
    assert "ALTER DATABASE `wandb_local` CHARACTER SET utf8mb4" in plan.wrong[0]


def test_a_password_is_changed_only_when_that_is_asked_for() -> None:
    there = Found(EIGHT, RIGHT, ALL_ON_IT)
    assert plan_for_server(there, SERVER, "wandb_local", renew=False).steps == ()
    (step,) = plan_for_server(there, SERVER, "wandb_local", renew=True).steps
    assert step.shown == "ALTER USER 'wandb_local'@'%' IDENTIFIED BY 'PASSWORD' RETAIN CURRENT PASSWORD;"
    (old,) = plan_for_server(replace(there, version=(5, 7, 44)), SERVER, "wandb_local", renew=True).steps
    assert old.shown == "ALTER USER 'wandb_local'@'%' IDENTIFIED BY 'PASSWORD';"


def test_rights_without_the_right_to_grant_them_are_completed() -> None:
    found = Found(EIGHT, RIGHT, rights("GRANT ALL PRIVILEGES ON `wandb_local`.* TO `wandb_local`@`%`"))
    assert [step.shown for step in plan_for_server(found, SERVER, "wandb_local").steps] == GUIDE[2:]


@pytest.mark.parametrize(
    ("address", "told"), [("127.0.0.1", 1), ("127.0.0.1,::1", 1), ("127.0.0.1,10.0.0.2", 0), ("*", 0)]
)
def test_a_server_that_no_container_reaches_is_told(address: str, told: int) -> None:
    plan = plan_for_server(Found(EIGHT, bind_address=address), SERVER, "wandb_local")
    assert len(plan.notes) == told


@pytest.mark.parametrize(
    ("file", "says"),
    [("", "reads last (on Debian"), ("/etc/mysql/mysql.conf.d/zz-x.cnf", "the file /etc/mysql/mysql.c")],
)
def test_where_it_is_told_to_listen_is_the_file_that_is_read_last(file: str, says: str) -> None:
    (note,) = plan_for_server(Found(EIGHT, bind_address="127.0.0.1", option_file=file), SERVER, "wandb_local").notes
    assert says in note
    assert note.endswith("\n[mysqld]\nbind_address = *")


@pytest.mark.parametrize("version", [(8, 0, 23), (8, 4, 0), (9, 7, 4)])
def test_the_backup_account_can_write_nothing(version: Version) -> None:
    wanted = backup_privileges(version, "wandb_local", BackupNeeds(clone=True, binlog=True))
    assert not WRITES & {each for privileges in wanted.values() for each in privileges}
    assert "SELECT" not in wanted[""], "only its database is read"


def test_each_engine_asks_for_its_own_rights() -> None:
    dumps = backup_privileges(EIGHT, "db", BackupNeeds(clone=False, binlog=False))[""]
    assert list(dumps) == ["PROCESS", "REPLICATION CLIENT", "FLUSH_TABLES", "SHOW_ROUTINE"]
    assert set(backup_privileges(EIGHT, "db", BackupNeeds(clone=True, binlog=False))[""]) - set(dumps) == {
        "BACKUP_ADMIN"
    }
    assert set(backup_privileges(EIGHT, "db", BackupNeeds(clone=False, binlog=True))[""]) - set(dumps) == {
        "REPLICATION SLAVE"
    }
    # SHOW_ROUTINE came with 8.0.20, FLUSH_TABLES with 8.0.23.
    older = backup_privileges((5, 7, 44), "db", BackupNeeds(clone=False, binlog=False))[""]
    assert list(older) == ["PROCESS", "REPLICATION CLIENT", "RELOAD", "SELECT"]


def test_an_account_that_may_do_more_is_told() -> None:
    lines = ("GRANT PROCESS, SUPER ON *.* TO `wandb_backup`@`localhost`",
             "GRANT SELECT, DELETE ON `wandb\\_local`.* TO `wandb_backup`@`localhost` WITH GRANT OPTION")  # fmt: skip
    found = Found(EIGHT, RIGHT, rights(*lines, of=BACKUP))
    notes = plan_for_backup(found, BACKUP, "wandb_local", BackupNeeds(clone=False, binlog=False)).notes
    assert "REVOKE SUPER ON *.* FROM 'wandb_backup'@'localhost';" in notes[0]
    assert "REVOKE DELETE, GRANT OPTION ON `wandb\\_local`.* FROM 'wandb_backup'@'localhost';" in notes[1]


def test_an_account_that_was_made_by_hand_is_good_enough() -> None:
    by_hand = "GRANT RELOAD, SELECT, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER, PROCESS, REPLICATION CLIENT, SHOW_ROUTINE"
    found = Found(EIGHT, RIGHT, rights(f"{by_hand} ON *.* TO `wandb_backup`@`localhost`"))
    plan = plan_for_backup(found, BACKUP, "wandb_local", BackupNeeds(clone=False, binlog=False))
    assert (plan.steps, plan.notes) == ((), ())


def test_another_account_of_the_same_user_is_told() -> None:
    found = Found(EIGHT, RIGHT, other_hosts=("%", "10.0.0.%"))
    (note,) = plan_for_backup(found, BACKUP, "wandb_local", BackupNeeds(clone=False, binlog=False)).notes
    assert "also 'wandb_backup'@'%', 'wandb_backup'@'10.0.0.%'" in note


@pytest.mark.parametrize(
    ("account", "database", "match"),
    [
        (Account("", "%"), "db", "no name"),
        (Account("u", ""), "db", "no name"),
        (Account("u" * 33, "%"), "db", "more than the 32"),
        (Account("u", "%"), "d" * 65, "more than the 64"),
        (Account("u", "%"), "100%", "other databases too"),
        (Account("u", "%"), "a/b", "no connection string"),
        (Account("u", "%"), "ends ", "a space"),
        (Account("u\n", "%"), "db", "does not take"),
        (Account("🔑", "%"), "db", "does not take"),
        (Account("u", "a@b"), "db", "holds a @"),
        (Account("u", "%"), "MySQL", "one of MySQL's own"),
    ],
)
def test_names_that_cannot_be(account: Account, database: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        check_names(account, database)


def test_names_with_odd_characters_can_be() -> None:
    check_names(Account("o'neil\"\\%", "10.0.0.0/255.0.0.0"), "odd`na'me-é")


def test_passwords_made_are_many_and_of_every_kind() -> None:
    made = {new_password() for _ in range(200)}
    assert len(made) == 200
    for each in made:
        assert re.fullmatch(r"[A-Za-z0-9-]{43}", each)
        assert re.search("[a-z]", each)
        assert re.search("[A-Z]", each)
        assert re.search("[0-9]", each)


@given(password=anything)
def test_a_password_is_one_literal_whatever_it_holds(password: str) -> None:
    step = Step("create the account", ("CREATE USER 'u'@'%' IDENTIFIED BY ", ""))
    statement = step.statement(password)
    assert unquoted(statement.removeprefix("CREATE USER 'u'@'%' IDENTIFIED BY ")) == password
    assert "PASSWORD" in step.shown


@given(user=anything, host=anything.filter(lambda text: "@" not in text))
def test_an_account_is_two_literals_whatever_its_names_hold(user: str, host: str) -> None:
    quoted = quoted_account(f"{user}@{host}")
    assert any(
        (unquoted(quoted[:at]), unquoted(quoted[at + 1 :])) == (user, host)
        for at, character in enumerate(quoted)
        if character == "@"
    )


@given(name=anything)
def test_an_identifier_is_one_whatever_it_holds(name: str) -> None:
    assert re.fullmatch("`(?:[^`]|``)+`", quoted_name(name))
    assert quoted_name(name)[1:-1].replace("``", "`") == name


def unquoted(literal: str) -> str | None:
    """What MySQL reads in a literal by its manual ("String Literals"); None when it does not end where it should."""
    escapes = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
    if len(literal) < 2 or literal[0] != "'" or literal[-1] != "'":
        return None
    read, rest = "", literal[1:-1]
    while rest:
        if rest[0] == "'":
            return None
        if rest[0] == "\\" and len(rest) > 1:
            read, rest = read + escapes.get(rest[1], rest[1]), rest[2:]
        elif rest[0] == "\\":
            return None
        else:
            read, rest = read + rest[0], rest[1:]
    return read
