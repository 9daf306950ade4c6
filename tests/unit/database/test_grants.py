"""Grants as MySQL 5.7, 8 and 9 show them, and the accounts as a statement names them."""

from __future__ import annotations

import subprocess

from hypothesis import given
from hypothesis import strategies as st

from wbagent.database.grants import mysql_command, parse_grants, quoted_account


def test_only_global_privileges_count() -> None:
    grants = parse_grants(
        "wandb_local@%",
        [
            "GRANT USAGE ON *.* TO `wandb_local`@`%`",
            "GRANT REPLICATION CLIENT, RELOAD ON *.* TO `wandb_local`@`%` WITH GRANT OPTION",
            "GRANT FLUSH_TABLES,SHOW_ROUTINE,PROCESS ON *.* TO `wandb_local`@`%`",
            "GRANT SUPER ON `wandb_local`.* TO `wandb_local`@`%`",
            "GRANT `role`@`%` TO `wandb_local`@`%`",
        ],
    )
    assert grants.has("RELOAD")
    assert grants.has("SHOW_ROUTINE")
    assert not grants.has("SUPER")
    assert grants.missing_for_position((8, 4, 0)) == ()


def test_all_privileges_are_all() -> None:
    grants = parse_grants("root@localhost", ["GRANT ALL PRIVILEGES ON *.* TO 'root'@'localhost'"])
    assert grants.has("SET_ANY_DEFINER")


def test_account_is_quoted() -> None:
    assert quoted_account("o'neil@%.example.com") == r"'o\'neil'@'%.example.com'"
    assert quoted_account("a@b@localhost") == "'a@b'@'localhost'"


def test_the_right_to_grant_on_is_one_of_its_own() -> None:
    granted = "GRANT ALL PRIVILEGES ON `odd`` ON it`.* TO 'b'@'%'"
    without, granting = (parse_grants("b@%", [line]) for line in (granted, f"{granted} WITH GRANT OPTION"))
    assert without.missing_on("odd` ON it", ["INSERT", "GRANT OPTION"]) == ("GRANT OPTION",)
    assert granting.missing_on("odd` ON it", ["INSERT", "GRANT OPTION"]) == ()
    # Of a table, a column, a proxy or a role nothing follows for a whole database.
    lines = ["GRANT SELECT (a) ON `d`.`t` TO `b`@`%`", "GRANT `r`@`%` TO `b`@`%`", "GRANT PROXY ON ``@`` TO `b`@`%`"]
    assert parse_grants("b@%", lines).missing_on("d", ["SELECT"]) == ("SELECT",)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_what_is_typed_in_a_shell_reaches_mysql_as_it_is(text: str) -> None:
    # A function in the program's place shows what it would get.
    shown = subprocess.run(
        ["sh", "-c", 'mysql() { printf %s "$2"; }; ' + mysql_command(text)], capture_output=True, check=True
    )
    assert shown.stdout.decode() == text
