"""Watches the text of mysqldump go by: which tables it holds, its position, and whether it came to its end."""

from __future__ import annotations

import re
from typing import Final

from wbagent.backup.manifest import Position
from wbagent.errors import BackupError

_TABLE: Final = b"\n-- Table structure for table `"
_TRAILER: Final = re.compile(rb"\n-- Dump completed(?: on [^\n]*)?\s*\Z")
# Longer than any line that is looked for (a table's name is at most 64 characters), and than mysqldump's last lines.
_HELD_BACK: Final = 4096
_LONGEST_HEADER: Final = 8 << 20
_FILE: Final = re.compile(rb"(?:SOURCE|MASTER)_LOG_FILE='([^']+)', (?:SOURCE|MASTER)_LOG_POS=(\d+)")
_GTID: Final = re.compile(rb"GTID_PURGED=(?:/\*!80000 '\+'\*/ )?'\+?([^']*)'")
# mysqldump turns off the binary log for the restore. That needs a right that W&B's account does not have, and
# a restored primary would tell its replicas nothing. A dump of one database restores well without.
_UNWANTED: Final = re.compile(
    rb"^SET (?:@MYSQLDUMP_TEMP_LOG_BIN = @@SESSION\.SQL_LOG_BIN|@@SESSION\.SQL_LOG_BIN ?= ?[^;\n]+);\n", re.MULTILINE
)


class DumpText:
    """A filter for the dump's bytes: what goes in comes out unchanged but for the lines on SQL_LOG_BIN.

    The header (all before the first table) comes out when it is complete, the last bytes with `finish`.
    """

    def __init__(self) -> None:
        self.tables: list[str] = []
        self.position: Position | None = None
        self._held = b""
        self._in_header = True

    @property
    def began(self) -> bool:
        """Whether the first table was seen: by then mysqldump has its snapshot."""
        return not self._in_header

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the dump; returns what may be passed on."""
        block = self._held + data
        if self._in_header:
            end = block.find(_TABLE)
            if end < 0 and len(block) <= _LONGEST_HEADER:
                self._held = block
                return b""
            self._in_header = False
            end = max(end, 0)
            block = self._read_header(block[:end]) + block[end:]
        cut = max(len(block) - _HELD_BACK, 0)
        self._find_tables(block, cut)
        self._held = block[cut:]
        return block[:cut]

    def finish(self) -> bytes:
        """The last bytes; raises BackupError when the dump does not end as a complete one does."""
        block = self._held
        if self._in_header:
            block = self._read_header(block)
        self._find_tables(block, len(block))
        if not _TRAILER.search(block):
            raise BackupError(
                "the dump has no end: mysqldump's last line (-- Dump completed) is missing",
                hint="see the unit's log; if it happens again, look at MySQL's error log for lost connections",
            )
        return _UNWANTED.sub(b"", block)

    def _read_header(self, header: bytes) -> bytes:
        place, gtid = _FILE.search(header), _GTID.search(header)
        if place:
            gtid_set = gtid[1].decode().replace("\n", "") if gtid else None
            self.position = Position(gtid_set=gtid_set, file=place[1].decode(), offset=int(place[2]))
        return _UNWANTED.sub(b"", header)

    def _find_tables(self, block: bytes, end: int) -> None:
        """Note the tables whose line begins before `end`; the others come by once more."""
        at = block.find(_TABLE)
        while 0 <= at < end:
            name, _, _ = block[at + len(_TABLE) : at + _HELD_BACK].partition(b"`\n")
            self.tables.append(name.decode(errors="replace").replace("``", "`"))
            at = block.find(_TABLE, at + 1)
