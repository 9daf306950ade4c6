"""The alerts about backups that last: none that is fresh, one that shrank, a bad one, none apart from the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wbagent.alerts import judging
from wbagent.alerts.condition import Condition
from wbagent.alerts.database import AWAY
from wbagent.alerts.message import Message
from wbagent.alerts.network import NETWORK
from wbagent.alerts.store import BACKUPS
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.config.model import AlertSettings
from wbagent.moment import Moment
from wbagent.monitor.backup_facts import BackupFacts, why_unproven_count
from wbagent.monitor.freshness import WATCH_FACT, Watch, age, look
from wbagent.monitor.rules import Severity
from wbagent.quantities import format_duration, format_size
from wbagent.state import State

KINDS: Final = frozenset({"backup-stale", "backup-shrunk", "backup-drill", "backup-beside"})
_SHRUNK_SHARE: Final = 0.5
# What is wrong by configuration stays wrong: once a week is enough.
_SELDOM_S: Final = 7 * 86400.0


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
    judging.judge(state, settings.alerts, KINDS, conditions(settings, facts, old), now)
    return old


def conditions(settings: Settings, facts: BackupFacts, old: float | None) -> Iterator[Condition]:
    """What there is to say, `old` being the age of the newest backup that counts (None: none is wanted)."""
    wanted = old is not None
    backup, last, drill = settings.backup, facts.last, facts.drill
    yield _stale(settings, facts, old)
    size, previous = int(last.get("plain_bytes", 0)), int(last.get("previous_plain_bytes", 0))
    yield Condition(
        "backup-shrunk",
        float(wanted and size < previous * _SHRUNK_SHARE),
        facts={"id": last.get("id"), "size": format_size(size), "previous": format_size(previous)},
    )
    yield _disproven(drill, wanted=wanted and backup.drill.enabled)
    yield Condition(
        "backup-beside",
        float(wanted and bool(last.get("beside_database"))),
        repeat_at_least=_SELDOM_S,
        facts={"destination": last.get("destination")},
    )


def tell_disproven(state: State, alerts: AlertSettings, drill: Mapping[str, Any], now: Moment) -> Message | None:
    """Raise the alert about a bad backup at once; None when it is told already, or held. Raises StateError.

    The drill's end tells of it, and so does the agent's next look: whoever comes first, it is one alert.
    """
    return next(iter(judging.judge(state, alerts, (), [_disproven(drill, wanted=True)], now)), None)


def _disproven(drill: Mapping[str, Any], *, wanted: bool) -> Condition:
    return Condition(
        "backup-drill",
        float(wanted and drill.get("result") == "disproven"),
        severity=Severity.CRITICAL,
        facts={
            "id": drill.get("id"),
            "reason": drill.get("reason"),
            "hint": drill.get("hint") or "wbagent backup run",
        },
    )


def _stale(settings: Settings, facts: BackupFacts, old: float | None) -> Condition:
    language, backup = settings.alerts.language, settings.backup
    counts = "backup" if why_unproven_count(backup, facts.drill) else "proven"
    said = {
        "word": say(language, f"backup-stale.{counts}"),
        "limit": format_duration(backup.fresh_within),
        "age": format_duration(old or 0.0),
        "evidence": _evidence(settings, facts),
        "hint": _newest_trouble(facts)[1].get("hint") or "wbagent backup run",
    }
    over = "backup-stale.switched_off" if old is None else "backup-stale.fresh"
    return Condition(
        "backup-stale",
        old or 0.0,
        backup.fresh_within,
        measured_in="seconds",
        severity=Severity.CRITICAL,
        because_of=(AWAY, NETWORK, BACKUPS),
        facts=said | {"over": say(language, over, said)},
    )


def _place(settings: Settings) -> str:
    """Where backups are wanted, "" for nowhere: another place begins without any."""
    backup = settings.backup
    if settings.database_url() is None or not backup.enabled:
        return ""
    return backup.destination.address if backup.destination else "this host"


def _evidence(settings: Settings, facts: BackupFacts) -> str:
    def words(part: str, **known: object) -> str:
        return say(settings.alerts.language, f"backup-stale.{part}", known)

    good = facts.good(settings.backup)
    parts = [words("newest", id=good.id) if good else words("none")]
    committed = facts.last.get("id")
    if committed and (good is None or committed != good.id):
        parts.append(words("unproven", id=committed))
    which, trouble = _newest_trouble(facts)
    parts.append(words(f"trouble_{which}", reason=trouble.get("reason", "")) if which else words("no_trouble"))
    return " ".join(parts)


def _newest_trouble(facts: BackupFacts) -> tuple[str, Mapping[str, Any]]:
    """The newest failure that nothing good came after: of which job ("" for none), and its reason and hint."""
    troubles: list[tuple[float, str, Mapping[str, Any]]] = []
    if facts.failed > float(facts.last.get("finished_at", 0.0)):
        troubles.append((facts.failed, "backup", facts.failure))
    if facts.drill.get("result") in {"disproven", "not done"}:
        troubles.append((facts.drilled, "drill", facts.drill))
    _, which, trouble = max(troubles, key=lambda found: found[0], default=(0.0, "", {}))
    return which, trouble
