"""The dump's text is watched and passed on whole, however it is cut into chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.backup.engines.dump_text import DumpText
from wbagent.errors import BackupError

HEADER = b"""-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;
SET @@SESSION.SQL_LOG_BIN= 0;

--
-- GTID state at the beginning of the backup
--

/* SET @@GLOBAL.GTID_PURGED='+8ed7bd16-e7b3-11f1-97d6-02fc00000001:1-14,
9ed7bd16-e7b3-11f1-97d6-02fc00000001:1-3';*/

--
-- Position to start replication or point-in-time recovery from
--

-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000001', SOURCE_LOG_POS=3951;

--"""
BODY = b"""
-- Table structure for table `runs`
--
INSERT INTO `runs` VALUES (1,'SET @@SESSION.SQL_LOG_BIN= 0;\\n-- Table structure for table `no`\\n');
--
-- Table structure for table `odd``name`
--
"""
TRAILER = b"""SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-24  3:00:00
"""
FILLER = b"INSERT INTO `runs` VALUES (2,'" + b"x" * 9000 + b"');\n"
UNWANTED = (
    b"SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\n",
    b"SET @@SESSION.SQL_LOG_BIN= 0;\n",
    b"SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;\n",
)


def passed(dump: bytes, cuts: list[int]) -> tuple[DumpText, bytes]:
    text, out, begin = DumpText(), b"", 0
    for cut in [*sorted(cut % (len(dump) + 1) for cut in cuts), len(dump)]:
        out += text.feed(dump[begin:cut])
        begin = cut
    return text, out + text.finish()


@given(st.lists(st.integers(min_value=0, max_value=100_000), max_size=12), st.integers(min_value=0, max_value=3))
def test_whole_dump_passes_but_for_the_lines_on_the_binary_log(cuts: list[int], fillers: int) -> None:
    dump = HEADER + BODY + FILLER * fillers + TRAILER
    text, out = passed(dump, cuts)
    expected = dump
    for line in UNWANTED:
        expected = expected.replace(line, b"")
    assert out == expected
    assert text.tables == ["runs", "odd`name"]
    assert text.position
    assert (text.position.file, text.position.offset) == ("binlog.000001", 3951)
    assert text.position.gtid_set
    assert text.position.gtid_set.count(":") == 2
    assert "\n" not in text.position.gtid_set


def test_position_of_older_servers() -> None:
    header = (
        b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'aaa:1-5';\n"
        b"-- CHANGE MASTER TO MASTER_LOG_FILE='mysql-bin.000003', MASTER_LOG_POS=154;\n--"
    )
    text, _ = passed(header + BODY + TRAILER, [])
    assert text.position
    assert (text.position.gtid_set, text.position.file, text.position.offset) == ("aaa:1-5", "mysql-bin.000003", 154)


def test_begins_with_the_first_table() -> None:
    text = DumpText()
    assert text.feed(HEADER) == b""
    assert not text.began
    text.feed(BODY)
    assert text.began


@pytest.mark.parametrize("dump", [b"", HEADER, HEADER + BODY, HEADER + BODY + TRAILER[:-20] + b"\n" + FILLER])
def test_dump_without_its_end_is_refused(dump: bytes) -> None:
    with pytest.raises(BackupError, match="has no end"):
        passed(dump, [])
