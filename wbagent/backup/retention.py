"""Which backups have had their time: a pure decision that gives each one a verdict and the reason for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from wbagent.backup.lease import SKEW
from wbagent.quantities import format_duration

_DAY: Final = timedelta(days=1)


class Standing(StrEnum):
    """How far what is stored can be trusted: only a proven one was restored and compared."""

    PROVEN = "proven"
    COMMITTED = "committed"
    DISPROVEN = "disproven"
    DAMAGED = "damaged"
    INCOMPLETE = "incomplete"


class Rule(StrEnum):
    """What decided about one backup; the first six keep it."""

    YOUNG = "young"
    FLOOR = "floor"
    PERIOD = "period"
    LAST_PROOF = "last proof"
    LEASED = "leased"
    NOTHING_BETTER = "nothing better"
    EXPIRED = "expired"
    REMAINS = "remains"


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a backup is kept, and how many are kept however old they are (at least one).

    `keep_weekly`, `keep_monthly`: of so many of the newest ISO weeks (months) that have a backup, the newest one. Weeks
    and months are those of UTC, as ids are: in local time a change of the zone would move backups between them.
    `unproven_because`: why backups count that no drill has proven; "" when only proven ones do.
    `remains_after`: what has no commit record after this time belongs to a run that died.
    """

    keep_days: int
    keep_at_least: int
    keep_weekly: int = 0
    keep_monthly: int = 0
    unproven_because: str = ""
    remains_after: timedelta = _DAY

    @property
    def floor(self) -> int:
        """How many backups that count always stay."""
        return max(self.keep_at_least, 1)

    @property
    def counting(self) -> frozenset[Standing]:
        """What counts as a backup."""
        return frozenset({Standing.PROVEN, Standing.COMMITTED} if self.unproven_because else {Standing.PROVEN})


@dataclass(frozen=True, slots=True)
class Backup:
    """What is stored under one id of the owner; `at` (aware): its end by its commit record, else its beginning."""

    id: str
    standing: Standing
    at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one backup stays, the rule that decided it, and the reason in plain words."""

    id: str
    keep: bool
    rule: Rule
    reason: str


def decide(
    backups: Iterable[Backup], policy: Policy, now: datetime, leased: Collection[str] = ()
) -> tuple[Verdict, ...]:
    """A verdict for each backup of one owner, oldest first; `leased`: the ids that somebody reads now.

    What is later than `now` by more than SKEW was made when a clock was wrong, and is taken for the oldest: as the
    newest it would let go of those that are.

    Invariant, whatever the clock says and in whatever order the backups are given. Those that count are the proven
    ones; the committed ones too where no drill can be made (`policy.unproven_because`). Of those that stay:

    1. the `floor` newest that count, and so never nothing; also the newest that was ever proven;
    2. every one with a commit record that is younger than `keep_days` (or from the future);
    3. the newest that counts of each of the last `keep_weekly` weeks and `keep_monthly` months that have one;
    4. what somebody holds a lease on.

    What goes and has a commit record is older than `keep_days`, and `floor` newer ones that count stay. Remains
    without a commit record go when they are older than `remains_after` and one newer that counts stays. So where
    nothing counts nothing goes; and any part of the answer may be carried out and interrupted: asking again gives the
    rest.
    """
    ordered = sorted(backups, key=lambda backup: (backup.at <= now + SKEW, backup.at, backup.id))
    counting = [each for each in ordered if each.standing in policy.counting]
    kept = _kept_for_good(ordered, counting, policy)
    ages = {each.id: age for age, each in enumerate(ordered)}
    newer = [sum(ages[each.id] > age for each in counting) for age in range(len(ordered))]
    return tuple(_verdict(each, number, kept, leased, policy, now) for each, number in zip(ordered, newer, strict=True))


def _kept_for_good(ordered: list[Backup], counting: list[Backup], policy: Policy) -> dict[str, tuple[Rule, str]]:
    """What stays however old it is, and why; the first reason that holds is told."""
    word = "proven" if not policy.unproven_because else "committed"
    kept: dict[str, tuple[Rule, str]] = {}
    for each in counting[-policy.floor :]:
        kept[each.id] = Rule.FLOOR, f"one of the {policy.floor} newest {word}"
    for layout, name, count in (("%G-W%V", "week", policy.keep_weekly), ("%Y-%m", "month", policy.keep_monthly)):
        newest = {each.at.astimezone(UTC).strftime(layout): each for each in counting}
        for period in sorted(newest)[max(len(newest) - count, 0) :]:
            kept.setdefault(newest[period].id, (Rule.PERIOD, f"the newest {word} of {name} {period}"))
    proven = [each for each in ordered if each.standing is Standing.PROVEN]
    for each in proven[-1:]:
        kept.setdefault(each.id, (Rule.LAST_PROOF, "the newest that was ever proven"))
    return kept


def _verdict(
    backup: Backup,
    newer: int,
    kept: Mapping[str, tuple[Rule, str]],
    leased: Collection[str],
    policy: Policy,
    now: datetime,
) -> Verdict:
    if backup.id in leased:
        return Verdict(backup.id, True, Rule.LEASED, "somebody reads it (a lease)")
    if backup.standing is Standing.INCOMPLETE:
        return _remains(backup, newer, policy, now)
    days = timedelta(days=policy.keep_days)
    about = "" if backup.standing in policy.counting else f"{_SHORT[backup.standing]}; "
    if backup.at > now - days:
        return Verdict(backup.id, True, Rule.YOUNG, f"{about}younger than {policy.keep_days} days")
    if backup.id in kept:
        rule, why = kept[backup.id]
        return Verdict(backup.id, True, rule, why)
    word = "proven" if not policy.unproven_because else "committed"
    if newer < policy.floor:
        why = f"{about}only {newer} newer of the {policy.floor} that must stay are {word}"
        return Verdict(backup.id, True, Rule.NOTHING_BETTER, why)
    why = f"{about}older than {policy.keep_days} days, and {newer} newer are {word}"
    return Verdict(backup.id, False, Rule.EXPIRED, why)


def _remains(backup: Backup, newer: int, policy: Policy, now: datetime) -> Verdict:
    limit = format_duration(policy.remains_after.total_seconds())
    if backup.at > now - policy.remains_after:
        return Verdict(backup.id, True, Rule.YOUNG, f"no commit record yet, begun less than {limit} ago")
    if not newer:
        # Without a record the data may still be there: somebody may have lost the records alone.
        return Verdict(backup.id, True, Rule.NOTHING_BETTER, "no commit record, but nothing newer to trust either")
    return Verdict(backup.id, False, Rule.REMAINS, f"no commit record {limit} after its beginning: its run died")


_SHORT: Final = {
    Standing.COMMITTED: "not proven",
    Standing.DISPROVEN: "its drill failed",
    Standing.DAMAGED: "damaged",
}
