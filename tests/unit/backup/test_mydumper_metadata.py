"""mydumper's own account of a dump is read, and one that is not whole is no account."""

from __future__ import annotations

import pytest

from wbagent.backup.engines.engine import UnfitError
from wbagent.backup.engines.mydumper_metadata import parse_metadata
from wbagent.backup.manifest import Position

# As 1.0.1 wrote it.
START = """\
# Started dump at: 2026-11-26 15:12:26
[config]
quote-character = BACKTICK

[myloader_session_variables]
SQL_MODE='NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION' /*!40101
"""
SOURCE = """
[source]
# Channel_Name = '' # It can be use to setup replication FOR CHANNEL
# executed_gtid_set = "b1ae10aa-e9ab-11f1-8c71-02fc00000001:1-39"
# SOURCE_LOG_FILE = "binlog.000001"
# SOURCE_LOG_POS = 18608666
"""
TABLES = """
[`w`.`audit`]
real_table_name=audit
rows = 600
schema_checksum = f4f46e90

[`w`.`best_runs`]
real_table_name=best_runs
rows = 0
is_view = 1

[`w`.`mydumper_0`]
real_table_name=odd.name = `x`
rows = 0

[`w`]
schema_checksum = E7DF63B3
"""
END = """[config]
max-statement-size = 999766
num-sequences = 0
# Finished dump at: 2026-11-26 15:12:27
"""


def test_whole() -> None:
    found = parse_metadata(START + SOURCE + TABLES + END)
    gtid_set = "b1ae10aa-e9ab-11f1-8c71-02fc00000001:1-39"
    assert found.position == Position(gtid_set=gtid_set, file="binlog.000001", offset=18608666)
    assert found.rows == {"audit": 600, "odd.name = `x`": 0}
    assert found.stems == {"audit": "w.audit", "odd.name = `x`": "w.mydumper_0"}


def test_without_gtids_and_without_any_position() -> None:
    without = "\n".join(line for line in SOURCE.splitlines() if "gtid" not in line)
    assert parse_metadata(START + without + TABLES + END).position == Position(
        gtid_set=None, file="binlog.000001", offset=18608666
    )
    assert parse_metadata(START + TABLES + END).position is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        START + SOURCE + TABLES,
        START + TABLES.replace("rows = 600", "rows = ?") + END,
        START + TABLES.replace("rows = 600\n", "") + END,
        START + TABLES.replace("real_table_name=audit\n", "") + END,
        START + TABLES + TABLES + END,
    ],
)
def test_what_is_no_account(text: str) -> None:
    with pytest.raises(UnfitError, match="mydumper's metadata"):
        parse_metadata(text)
