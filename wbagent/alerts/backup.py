"""The alerts about backups that last: none that is fresh, one that shrank, a bad one, none apart from the database."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wbagent import events
from wbagent.alerts import raising
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Kind, Message
from wbagent.config import Settings
from wbagent.config.model import AlertSettings
from wbagent.moment import Moment
from wbagent.monitor.backup_facts import BackupFacts, why_unproven_count
from wbagent.monitor.freshness import WATCH_FACT, Watch, age, look
from wbagent.monitor.rules import AlertState, Rule, Severity, Transition
from wbagent.quantities import format_duration, format_size
from wbagent.state import State

_LOOK: Final = "wbagent status; wbagent backup list; journalctl -x -u wbagent-backup -u wbagent-drill -n 50"
_SHRUNK_SHARE: Final = 0.5
# What is wrong by configuration stays wrong: once a week is enough.
_SELDOM_S: Final = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is looked at: it fires when `value` reaches `above`. The texts are those of a Message."""

    fingerprint: str
    severity: Severity
    event: str
    value: float
    above: float
    title: str
    what: str
    why: str
    remedy: str
    over: str
    seldom: bool = False


def judge(state: State, settings: Settings, now: Moment) -> float | None:
    """One look at what backups and drills have left; the age (seconds) of the newest that counts. Raises StateError.

    None where no backups are wanted: then what still fires is over.
    """
    known = state.get(WATCH_FACT)
    before = Watch.from_json(known.value) if known else Watch()
    facts = BackupFacts.read(state)
    watch = look(before, _place(settings), facts.good(settings.backup), now)
    if watch != before:
        state.put(WATCH_FACT, watch.to_json(), now.wall)
    old = age(watch, now)
    for finding in findings(settings, facts, old, now):
        _raise(state, settings.alerts, finding, now)
    return old


def findings(settings: Settings, facts: BackupFacts, old: float | None, now: Moment) -> Iterator[Finding]:
    """What there is to say, `old` being the age of the newest backup that counts (None: none is wanted)."""
    wanted = old is not None
    backup, last, drill = settings.backup, facts.last, facts.drill
    word = "backup" if why_unproven_count(backup, drill) else "proven backup"
    limit = format_duration(backup.fresh_within)
    yield Finding(
        "backup-stale", Severity.CRITICAL, events.BACKUP_STALE, old or 0.0, backup.fresh_within,
        f"no {word} for {limit}",
        f"The newest {word} is {format_duration(old or 0.0)} old. {_evidence(settings, facts, now)}",
        "what was written since then is lost with the database; W&B's guide asks for a backup every day",
        str(_newest_trouble(facts).get("hint") or "wbagent backup run"),
        f"There is a {word} younger than {limit} again." if wanted else "Backups are switched off on this host.",
    )  # fmt: skip
    size, previous = int(last.get("plain_bytes", 0)), int(last.get("previous_plain_bytes", 0))
    yield Finding(
        "backup-shrunk", Severity.WARNING, events.BACKUP_SHRUNK,
        float(wanted and size < previous * _SHRUNK_SHARE), 1.0,
        "the newest backup is less than half as large as the one before",
        f"Backup {last.get('id')} holds {format_size(size)}, the one before it held {format_size(previous)}.",
        "data may have been lost in the database, and with time backups from before it are removed",
        "look for tables that are missing or empty; if data was lost, restore an older backup beside it",
        "The newest backup is about as large as the one before it.",
    )  # fmt: skip
    yield _disproven(drill, wanted=wanted and backup.drill.enabled)
    yield Finding(
        "backup-beside", Severity.WARNING, events.BACKUP_BESIDE,
        float(wanted and bool(last.get("beside_database"))), 1.0,
        "backups are on the machine of the database",
        f"{last.get('destination')} is on the machine that the database runs on.",
        "one broken disk, fire or thief takes the database and all its backups",
        "name a bucket elsewhere in [backup] destination, then: systemctl reload wbagent && wbagent backup run",
        "The newest backup is on another machine than the database.",
        seldom=True,
    )  # fmt: skip


def tell_disproven(state: State, alerts: AlertSettings, drill: Mapping[str, Any], now: Moment) -> Message | None:
    """Raise the alert about a bad backup at once; None when it is told already. Raises StateError.

    The drill's end tells of it and the agent's next look does: whoever comes first, it is one alert.
    """
    return _raise(state, alerts, _disproven(drill, wanted=True), now)


def _disproven(drill: Mapping[str, Any], *, wanted: bool) -> Finding:
    return Finding(
        "backup-drill", Severity.CRITICAL, events.BACKUP_DISPROVEN,
        float(wanted and drill.get("result") == "disproven"), 1.0,
        "the newest backup that was tried does not restore",
        f"The drill of backup {drill.get('id')} failed: {drill.get('reason')}",
        "it would not bring the database back; while it is so, no older backup is removed",
        str(drill.get("hint") or "wbagent backup run"),
        "The newest drill was a success, or drills are switched off.",
    )  # fmt: skip


def _place(settings: Settings) -> str:
    """Where backups are wanted, "" for nowhere: another place begins without any."""
    backup = settings.backup
    if settings.database_url() is None or not backup.enabled:
        return ""
    return backup.destination.address if backup.destination else "this host"


def _evidence(settings: Settings, facts: BackupFacts, now: Moment) -> str:
    good = facts.good(settings.backup)
    newest = f"It is {good.id}." if good else "There is none yet."
    committed = facts.last.get("id")
    if committed and (good is None or committed != good.id):
        newest += f" {committed} was made and is not proven."
    trouble = _newest_trouble(facts)
    return f"{newest} {trouble['reason']}" if trouble.get("reason") else f"{newest} No later try is on record."


def _newest_trouble(facts: BackupFacts) -> dict[str, str]:
    """The newest failure of a backup or drill that nothing good came after, with its reason and hint."""
    troubles = []
    if facts.failed > float(facts.last.get("finished_at", 0.0)):
        troubles.append((facts.failed, "The last backup failed", facts.failure))
    if facts.drill.get("result") in {"disproven", "not done"}:
        troubles.append((facts.drilled, "The last drill failed", facts.drill))
    if not troubles:
        return {}
    _, words, value = max(troubles, key=lambda trouble: trouble[0])
    return {"reason": f"{words}: {value.get('reason', '')}", "hint": str(value.get("hint", ""))}


def _raise(state: State, alerts: AlertSettings, finding: Finding, now: Moment) -> Message | None:
    repeat = alerts.repeat_every
    rule = Rule(
        fingerprint=finding.fingerprint,
        title=finding.title,
        severity=finding.severity,
        above=finding.above,
        for_seconds=0.0,
        longest_gap=0.0,
        repeat_every=max(repeat, _SELDOM_S) if finding.seldom else repeat,
    )

    def compose(transition: Transition, _before: AlertState, _value: float) -> Message:
        ended = transition is Transition.RESOLVED
        return Message(
            fingerprint=finding.fingerprint,
            kind=Kind.RESOLVED if ended else Kind.FIRING,
            severity="info" if ended else finding.severity.value,
            title=f"over: {finding.title}" if ended else finding.title,
            what=finding.over if ended else finding.what,
            host=socket.gethostname(),
            at=now.wall,
            why="" if ended else finding.why,
            remedy="" if ended else finding.remedy,
            look="" if ended else _LOOK,
        )

    return raising.judge(state, rule, finding.value, now, compose, configured(alerts), event=finding.event)
