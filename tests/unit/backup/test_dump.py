"""mysqldump's options, the plan for its position, and how its end is judged."""

from __future__ import annotations

import pytest

from wbagent.backup.engines.dump import dump_options, judge, plan_position
from wbagent.database.clients import ClientProgram
from wbagent.database.facts import ServerFacts, Version
from wbagent.database.grants import parse_grants
from wbagent.errors import BackupError


def client(version: Version) -> ClientProgram:
    return ClientProgram("/usr/bin/mysqldump", "MySQL", version, "")


def server(grants: str, *, binary_log: bool = True, version: Version = (9, 7, 4)) -> ServerFacts:
    lines = [f"GRANT {grants} ON *.* TO `wandb_local`@`%`"]
    return ServerFacts(version, "9.7.4", "", "db1", "u", binary_log, True, False, parse_grants("wandb_local@%", lines))


@pytest.mark.parametrize(
    ("version", "position", "there", "absent"),
    [
        ((9, 7, 4), True, "--source-data=2 --set-gtid-purged=COMMENTED --loose-skip-masking-policies", "--master-data"),
        ((9, 7, 4), False, "--set-gtid-purged=OFF", "--source-data=2"),
        ((8, 4, 3), True, "--source-data=2 --set-gtid-purged=COMMENTED --column-statistics=0", "masking"),
        ((8, 0, 20), True, "--master-data=2 --set-gtid-purged=COMMENTED", "--source-data"),
        ((5, 7, 44), True, "--master-data=2 --set-gtid-purged=OFF", "column-statistics"),
    ],
)
def test_options_that_the_client_knows(version: Version, position: bool, there: str, absent: str) -> None:
    options = dump_options(client(version), position=position)
    assert set(there.split()) <= set(options)
    assert absent not in " ".join(options)
    assert {"--single-transaction", "--hex-blob", "--routines", "--events", "--triggers", "--no-tablespaces"} <= set(
        options
    )


@pytest.mark.parametrize(
    "grants", ["ALL PRIVILEGES", "RELOAD, PROCESS, REPLICATION CLIENT", "FLUSH_TABLES, SUPER, PROCESS"]
)
def test_position_is_noted_where_the_account_may(grants: str) -> None:
    assert plan_position(server(grants), 0).wanted


@pytest.mark.parametrize(
    ("facts", "long_queries", "told"),
    [
        (server("USAGE"), 0, "GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO 'wandb_local'@'%';"),
        (server("USAGE", version=(5, 7, 44)), 0, "GRANT RELOAD, REPLICATION CLIENT, PROCESS ON *.*"),
        (server("RELOAD"), 0, "GRANT REPLICATION CLIENT, PROCESS ON *.*"),
        (server("ALL PRIVILEGES", binary_log=False), 0, "log_bin"),
        (server("ALL PRIVILEGES"), 2, "2 statements have run for long"),
    ],
)
def test_position_is_left_out_and_the_way_to_it_told(facts: ServerFacts, long_queries: int, told: str) -> None:
    plan = plan_position(facts, long_queries)
    assert not plan.wanted
    assert told in plan.warning


@pytest.mark.parametrize(
    ("status", "said", "message", "hint"),
    [
        (2, "mysqldump: Got error: 2013: Lost connection to MySQL server", "ended with status 2", "error log"),
        (-9, "", "killed by signal 9: and said nothing", "backup run"),
        (0, "mysqldump: Error: 'denied' when trying to dump", "ended with status 0", "GRANT ALL"),
        (2, "mysqldump: u has insufficient privileges to SHOW CREATE FUNCTION `f`!", "status 2", "SHOW_ROUTINE"),
        (2, "Error 1412: Table definition has changed, please retry", "status 2", "migration"),
    ],
)
def test_failed_dump_is_told_with_what_it_said(status: int, said: str, message: str, hint: str) -> None:
    with pytest.raises(BackupError, match=message) as caught:
        judge(status, said)
    assert hint in caught.value.hint


def test_warnings_are_kept_but_for_the_one_on_partial_dumps() -> None:
    said = (
        "Warning: A partial dump from a server that has GTIDs will by default include the GTIDs of all transactions.\n"
        "mysqldump: [Warning] Using a deprecated option.\n"
    )
    assert judge(0, said) == ("mysqldump: [Warning] Using a deprecated option.",)
