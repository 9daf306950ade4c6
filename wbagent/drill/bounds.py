"""What a backup can be held against whose rows nobody counted: what was true a moment before its own.

Of a clone or a dump under writers nobody knows how many rows it has to have. What was true before it bounds what can be
true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from wbagent.backup.manifest import Manifest
from wbagent.backup.proof import TableProof

# InnoDB guesses from a few pages, and what is not committed is in the guess already.
_WORTH_A_LOOK: Final = 1000
_WORTH_A_WORD: Final = 10_000
_FEWER: Final = 0.25
_LOST: Final = 0.01
# Numbers that were given out and never came to a row are forgotten by a server that starts on its files: an INSERT of
# many rows takes up to twice as many as it needs.
_BACK: Final = 0.1


def gone_back(manifest: Manifest, counters: Mapping[str, int | None]) -> tuple[str, ...]:
    """The tables whose next AUTO_INCREMENT is far below the one before the clone: they are of an earlier state."""
    return tuple(
        f"table {table.name} would number its next row {counters[table.name] or 'not at all'}, and was at"
        f" {table.auto_increment} before the backup"
        for table in manifest.tables
        if table.auto_increment is not None
        and table.name in counters
        and (counters[table.name] or 0) < table.auto_increment * _BACK
    )


def far_fewer(manifest: Manifest, tables: Iterable[TableProof]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tables with far fewer rows than MySQL guessed before the backup: what cannot be, and what should be looked at.

    Only where the record has no count. A hundredth of the guess is no error of guessing; a quarter may be one.
    """
    guesses = {each.name: each.rows_estimate for each in manifest.tables if each.rows is None}
    wrong, notes = [], []
    for table in tables:
        guess = guesses.get(table.name, 0)
        said = f"table {table.name} has {table.rows} rows, and MySQL guessed {guess} before the backup"
        if guess >= _WORTH_A_WORD and table.rows < guess * _LOST:
            wrong.append(said)
        elif guess >= _WORTH_A_LOOK and table.rows < guess * _FEWER:
            notes.append(f"{said}: look whether rows are missing")
    return tuple(wrong), tuple(notes)
