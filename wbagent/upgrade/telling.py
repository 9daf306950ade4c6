"""What a person is told of an upgrade: plain lines, from the state alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from wbagent.upgrade.plan import Outcome, Step, Upgrade

_RESTORE: Final = "wbagent server upgrade --undo --restore-database"


def account(upgrade: Upgrade, *, evidence: bool = False, at_work: bool = False) -> Iterator[str]:
    """What was done, line by line, what is the case now and what to do; with `evidence` also what the new one left.

    `at_work`: its unit runs at this moment.
    """
    for at, text in upgrade.account:
        yield f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))}  {text}"
    if evidence and upgrade.evidence:
        log = upgrade.evidence.get("log") or ()
        yield f"the new server's end: {upgrade.evidence['reason']}; {upgrade.evidence['detail']}"
        if probe := upgrade.evidence.get("probe"):
            yield f"  its last probe: {probe}"
        yield from (f"  | {line}" for line in log)
    if at_work and upgrade.outcome is None:
        yield f"at work: {upgrade.step}"
        yield "next: wait; it goes on without a terminal (journalctl -fu wbagent-upgrade)"
        return
    yield from standing(upgrade)


def standing(upgrade: Upgrade) -> Iterator[str]:
    """The last lines of the account."""
    match upgrade.outcome:
        case None:
            yield f"not finished: {upgrade.step}"
            yield f"next: wbagent server upgrade {upgrade.new} completes it; wbagent server upgrade --undo goes back"
        case Outcome.UPGRADED:
            yield f"now: {upgrade.new} serves"
            if upgrade.backup:
                yield f"next: if it does not work, go back to {upgrade.old}: wbagent server upgrade --undo"
                yield f"or with the database as it was before: {_RESTORE} (what is written from now on is lost)"
        case Outcome.UNCHANGED:
            yield f"now: {upgrade.old} serves; nothing was changed"
            yield f"next: mend what is named, then: wbagent server upgrade {upgrade.new}"
        case Outcome.UNDONE:
            yield f"now: {upgrade.old} serves again"
            if upgrade.started and not upgrade.restored:
                yield "the database may have been migrated by the new server already; it was not restored"
                if upgrade.backup:
                    yield f"next: if {upgrade.old} cannot use it: {_RESTORE} (what was written since is lost)"
            elif not upgrade.undo_asked:
                yield "next: look at the evidence (wbagent server upgrade --status) before trying again"
        case Outcome.STUCK:
            yield f"now: STUCK at: {upgrade.step}"
            if upgrade.torn:
                yield "the database is half restored, and the server is kept from starting until it is whole"
            yield "next: mend what is named, then: wbagent server upgrade --undo"
            if upgrade.step is Step.START_OLD and upgrade.backup and not upgrade.restored:
                yield f"if {upgrade.old} cannot live with a migrated database: {_RESTORE}"


def sentence(upgrade: Upgrade) -> str:
    """For the journal and alerts."""
    why = f": {upgrade.failure}" if upgrade.failure else ""
    match upgrade.outcome:
        case Outcome.UPGRADED:
            return f"the server was upgraded from {upgrade.old} to {upgrade.new}"
        case Outcome.UNCHANGED:
            return f"the upgrade to {upgrade.new} was given up before anything was changed{why}"
        case Outcome.UNDONE:
            return f"{upgrade.old} serves again instead of {upgrade.new}{why}"
        case Outcome.STUCK:
            return f"the way back from {upgrade.new} to {upgrade.old} is stuck at: {upgrade.step}{why}"
        case None:
            return f"the upgrade to {upgrade.new} is not finished"
