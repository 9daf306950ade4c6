"""Tells people, once, that the state file was damaged and what was lost with it."""

from __future__ import annotations

from wbagent import events
from wbagent.alerts import outbox
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Message, event, write_to_journal
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.state import SET_ASIDE, State


def tell_damage(state: State, settings: Settings, now: Moment) -> Message | None:
    """The message that was put into the outbox, if there was something new to tell. Raises StateError."""
    with state.transaction():
        fact = state.get(SET_ASIDE)
        if fact is None or fact.value["told"]:
            return None
        facts = {"path": state.path, "directory": state.path.parent} | fact.value
        message = event("state-damaged", facts, fact.at, settings.alerts.language)
        outbox.enqueue(state, message, configured(settings.alerts), now.wall)
        state.put(SET_ASIDE, {**fact.value, "told": True}, fact.at)
    write_to_journal(message, events.STATE_DAMAGED, alert_kind="state-damaged")
    return message
