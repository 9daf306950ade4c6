"""Gathers what is known of a unit that failed: from systemd, from what the unit left behind, from the journal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from wbagent.alerts.unit_failure import Ended
from wbagent.errors import WbagentError
from wbagent.monitor import backup_facts
from wbagent.state import State
from wbagent.systemd.bus import Bus
from wbagent.systemd.journal_lines import newest_lines
from wbagent.systemd.unit_names import BACKUP_UNIT, DRILL_UNIT

_FAILURES: Final = {BACKUP_UNIT: backup_facts.LAST_FAILURE, DRILL_UNIT: backup_facts.DRILL}
# A reason older than this is of another failure (seconds): the unit writes it as its last act.
_FRESH_S: Final = 300.0
# The newest lines of a unit among which its own words are looked for, behind the alerts that it told.
_LOOKED_THROUGH: Final = 20
_HINT: Final = "\n  try: "
_CLD_NAMES: Final = {1: "exited", 2: "killed", 3: "dumped"}


def how_it_ended(unit: str) -> Ended:
    """What systemd says: in the environment of OnFailure='s unit, else on the bus; blanks where it cannot be asked."""
    told = Ended.from_environment(os.environ)
    if told is not None and os.environ.get("MONITOR_UNIT", unit) == unit:
        return told
    try:
        with Bus() as bus:
            properties = bus.properties(unit)
    except (WbagentError, ImportError):
        return Ended("", "", "", "")
    code = _CLD_NAMES.get(int(properties.get("ExecMainCode", 0)), "")
    return Ended(str(properties.get("Result", "")), code, str(properties.get("ExecMainStatus", "")), "")


def own_words(unit: str, state: State | None, now: float) -> Mapping[str, Any]:
    """What the unit itself left in the state file, "reason" and "hint" among it; {} where it left nothing."""
    if unit not in _FAILURES or state is None:
        return {}
    fact = state.get(_FAILURES[unit])
    return fact.value if fact is not None and 0 <= now - fact.at <= _FRESH_S else {}


def last_words(unit: str, ended: Ended) -> tuple[str, str]:
    """(reason, hint): the last error that the unit's last run wrote to the journal, if readable; else its last line.

    What was killed did not say why: its last line is about something else. So is an alert that the agent told, which is
    an error in the journal too. Both are empty where nothing can be read. A hint stands in the line as
    `wbagent.cli.main` writes it.
    """
    chosen = f"_SYSTEMD_INVOCATION_ID={ended.invocation}" if ended.invocation else f"_SYSTEMD_UNIT={unit}"
    for priority in (["--priority=err"],) if ended.code in {"killed", "dumped"} else (["--priority=err"], []):
        for line in newest_lines(*priority, chosen, count=_LOOKED_THROUGH, without="WBAGENT_ALERT")[-1:]:
            reason, _, hint = line.partition(_HINT)
            return " ".join(reason.split()), hint.strip()
    return "", ""


def log_tail(unit: str, lines: int = 20) -> str:
    """The last lines of the unit in the journal, oldest first; "" where they cannot be read."""
    return "\n".join(newest_lines(f"_SYSTEMD_UNIT={unit}", count=lines))
