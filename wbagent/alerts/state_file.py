"""Tells people, once, that the state file was damaged and what was lost with it."""

from __future__ import annotations

import socket

from wbagent import events
from wbagent.alerts import outbox
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Kind, Message, write_to_journal
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.state import SET_ASIDE, State


def tell_damage(state: State, settings: Settings, now: Moment) -> Message | None:
    """The message that was put into the outbox, if there was something new to tell. Raises StateError."""
    with state.transaction():
        fact = state.get(SET_ASIDE)
        if fact is None or fact.value["told"]:
            return None
        message = Message(
            fingerprint="state-damaged",
            kind=Kind.EVENT,
            severity="warning",
            title="the state file was damaged and begins anew",
            what=f"{state.path} could not be read ({fact.value['reason']}); it is now {fact.value['file']}.",
            host=socket.gethostname(),
            at=fact.at,
            why="alerts that waited to be delivered are lost (the journal has them); a disk may be failing",
            remedy="look at the disk; then the damaged file may be deleted",
            look=f"journalctl -k -p err; ls -l {state.path.parent}",
        )
        outbox.enqueue(state, message, configured(settings.alerts), now.wall)
        state.put(SET_ASIDE, {**fact.value, "told": True}, fact.at)
    write_to_journal(message, events.STATE_DAMAGED)
    return message
