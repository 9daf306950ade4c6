"""Reads the file `metadata` that mydumper writes at the end of a dump: its position, its tables and their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from wbagent.backup.engines.engine import UnfitError
from wbagent.backup.manifest import Position

FILE: Final = "metadata"
_TABLE: Final = re.compile(r"\[`(?P<database>.+)`\.`(?P<file>.+)`\]")
_FINISHED: Final = re.compile(r"^# Finished dump at: ", re.MULTILINE)
_VALUE: Final = r'^#? *{} *= *"?([^"\n]*)"?$'
_LOG_FILE, _LOG_POS, _GTID_SET = (
    re.compile(_VALUE.format(name), re.MULTILINE) for name in ("SOURCE_LOG_FILE", "SOURCE_LOG_POS", "executed_gtid_set")
)
_OTHER: Final = "this mydumper may write another format than 1.0's; name another one in [backup] mydumper"


@dataclass(frozen=True, slots=True)
class Metadata:
    """`rows` of each base table; `stems` are what the names of its files begin with."""

    position: Position | None
    rows: Mapping[str, int]
    stems: Mapping[str, str] = field(default_factory=dict)


def parse_metadata(text: str) -> Metadata:
    """Read the whole file; raises UnfitError unless it is of a dump that came to its end."""
    if not _FINISHED.search(text):
        raise UnfitError("mydumper's metadata has no end: the dump is not complete", hint="wbagent backup run")
    rows, stems = {}, {}
    for header, section in _sections(text):
        if not (found := _TABLE.fullmatch(header)) or section.get("is_view", "").strip() == "1":
            continue
        name, count = section.get("real_table_name", ""), section.get("rows", "").strip()
        if not (name and count.isdecimal()) or name in rows:
            raise UnfitError(f"mydumper's metadata does not say how many rows {header} has", hint=_OTHER)
        rows[name] = int(count)
        stems[name] = f"{found['database']}.{found['file']}"
    return Metadata(_position(text), rows, stems)


def _sections(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    header, values = "", dict[str, str]()
    for line in text.splitlines():
        if line.startswith("["):
            yield header, values
            header, values = line.strip(), {}
        elif not line.startswith("#"):
            name, _, value = line.partition("=")
            values[name.strip()] = value
    yield header, values


def _position(text: str) -> Position | None:
    file, offset, gtid_set = (pattern.search(text) for pattern in (_LOG_FILE, _LOG_POS, _GTID_SET))
    if not (file and file[1] and offset and offset[1].isdecimal()):
        return None
    return Position(gtid_set=gtid_set[1] or None if gtid_set else None, file=file[1], offset=int(offset[1]))
