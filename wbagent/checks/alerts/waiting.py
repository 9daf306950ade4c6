"""What the state file tells of alerts: what fires, what was not delivered, what is silenced, what the agent refused."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from wbagent.alerts import outbox, silences
from wbagent.alerts.outbox import Waiting
from wbagent.alerts.silences import Silence
from wbagent.alerts.states import firing_titles, stored
from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.state import AGENT_CONFIG, State

# Two rounds of a delivery that fails at first; longer than that is no passing trouble.
_STUCK_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Known:
    """`refused`: why the agent did not take the configuration as it is now, or ""; `left`: seconds of each silence."""

    refused: str
    firing: tuple[str, ...]
    waiting: tuple[Waiting, ...]
    silences: tuple[tuple[Silence, float], ...]
    now: float


def read() -> Known:
    """Raises AccessError, StateError."""
    now = Moment.now()
    with State(read_only=True) as state:
        config = state.get(AGENT_CONFIG)
        return Known(
            str(config.value.get("refused") or "") if config else "",
            firing_titles(stored(state)),
            outbox.waiting(state),
            tuple((each, each.left(now)) for each in silences.active(state, now)),
            time.time(),
        )


def judge_refused(known: Known) -> Finding:
    """Whether the agent goes by the configuration as it is now."""
    if known.refused:
        return fail(
            f"the agent refused the configuration and goes on with the old one: {known.refused}",
            needed="one that it takes",
            remedy="wbagent config check, then systemctl reload wbagent",
        )
    return passed("the agent took the configuration that it was given last")


def judge_outbox(known: Known, named: Collection[str]) -> Iterator[Finding]:
    """Each destination for which something waits; `named`: the ids of those that [alerts] to names."""
    waiting: dict[tuple[str, bool], list[Waiting]] = {}
    for row in known.waiting:
        waiting.setdefault((row.label, row.destination in named), []).append(row)
    for (name, wanted), rows in waiting.items():
        oldest = known.now - min(row.created_at for row in rows)
        if not wanted:
            yield note(
                f"{len(rows)} waiting, and [alerts] to names it no more: given up a week after they were raised",
                about=name,
            )
            continue
        said = next((row.last_error for row in rows if row.last_error), "")
        found = f"{len(rows)} waiting, the oldest for {format_duration(max(oldest, 0.0))}{f': {said}' if said else ''}"
        told = fail if oldest > _STUCK_S else warn
        yield told(found, needed="delivered", remedy="wbagent alerts list; wbagent alerts test", about=name)
    if not waiting:
        yield passed("nothing waits to be delivered")


def judge_firing(known: Known) -> Iterator[Finding]:
    """Each alert."""
    for title in known.firing:
        yield warn(title, needed="not firing", remedy="wbagent alerts list")
    if not known.firing:
        yield passed("no alert fires")


def judge_silences(known: Known) -> Iterator[Finding]:
    """Each silence."""
    for silence, left in known.silences:
        yield note(
            f'"{silence.pattern}" is silenced for {format_duration(left)} more by {silence.by}: {silence.why}',
            remedy=f"wbagent alerts unsilence {silence.id}",
        )
    if not known.silences:
        yield passed("nothing is silenced")
