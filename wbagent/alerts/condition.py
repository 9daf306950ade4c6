"""A condition: one thing that is watched, as one look found it, and what the message about it is made of."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wbagent.alerts.message import Kind, Message
from wbagent.alerts.words import say
from wbagent.moment import Moment
from wbagent.monitor.rules import AlertState, Rule, Severity, Transition
from wbagent.quantities import format_duration

NO_DATA: Final = "no-data"
# What cannot be looked at for this long is told (seconds): shorter is a restart, or a question that timed out.
NO_DATA_FOR_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Condition:
    """It fires when `value` is at or over `above`; None is no data, and `no_data` then says why.

    `kind` names its table in texts/*.toml, `about` which of several it is (a path, a unit); no two conditions have both
    in common. `facts` are what the texts have in braces; {span} is added: for how long it has been so. `every`: seconds
    between two looks. While one of `because_of` (fingerprints) is pending or fires, this one follows from it and is not
    told. `settles_within`: seconds that it is given to end once its cause is over, where `for_seconds` is no measure of
    that, being 0. `repeat_at_least`: seconds, for what is wrong by configuration and stays so. `escalates`: `value`
    counts steps, and each higher one is told at once. `measured_in`: the unit of `value` and `above`, where these are a
    figure that says something to a person. `not_to`: the id of a destination that is not told, since it is about that.
    Everything else is as in Rule.
    """

    kind: str
    value: float | None
    above: float = 1.0
    severity: Severity = Severity.WARNING
    about: str = ""
    for_seconds: float = 0.0
    resolve_for: float = 0.0
    every: float = 0.0
    because_of: tuple[str, ...] = ()
    settles_within: float = 0.0
    repeat_at_least: float = 0.0
    escalates: bool = False
    measured_in: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    no_data: str = ""
    no_data_for: float = NO_DATA_FOR_S
    not_to: str = ""

    @property
    def fingerprint(self) -> str:
        """The alert's name: the same thing has the same one at every look."""
        return f"{self.kind}:{self.about}" if self.about else self.kind

    def rule(self, repeat_every: float, *, settling: bool = False) -> Rule:
        """The rule that this look belongs to; `settling`: its cause is over, and this is what is left of it."""
        repeat = max(repeat_every, self.repeat_at_least)
        for_seconds = max(self.for_seconds, self.settles_within) if settling else self.for_seconds
        return Rule(self.above, for_seconds, repeat, self.resolve_for, self.every, self.escalates)

    def journal_fields(self) -> Mapping[str, object]:
        """What its entry in the journal can be found by; the figures in plain numbers, without rounding for the eye."""
        fields: dict[str, object] = {"alert_kind": self.kind, "about": self.about or None}
        if self.measured_in and self.value is not None:
            fields |= {"value": f"{self.value:.6g}", "threshold": f"{self.above:.6g}", "measured_in": self.measured_in}
        return fields

    def name(self, language: str) -> str:
        """What it is called in lists, whatever its figures are now."""
        return say(language, f"{self.kind}.name", self.facts)

    def lacks_data(self, language: str) -> Condition:
        """The condition that this one cannot be looked at."""
        facts = {"name": self.name(language), "reason": self.no_data, "fingerprint": self.fingerprint}
        return Condition(
            NO_DATA,
            float(self.value is None),
            about=self.fingerprint,
            for_seconds=self.no_data_for,
            every=self.every,
            because_of=self.because_of,
            facts=facts,
        )


def kind_of(fingerprint: str) -> str:
    """The kind of the condition that an alert is about, also of one that lacks data."""
    kind, _, about = fingerprint.partition(":")
    return kind_of(about) if kind == NO_DATA else kind


def compose(condition: Condition, transition: Transition, before: AlertState, now: Moment, language: str) -> Message:
    """What a person is told of it; `before` is the state before this look."""
    lasted = now.since(before.since) if before.since else None
    facts = {**condition.facts, "span": format_duration(lasted) if lasted else say(language, "_.moment")}
    kind = condition.kind
    if transition is Transition.RESOLVED:
        title = say(language, f"{kind}.over_title", facts)
        return Message(
            fingerprint=condition.fingerprint,
            kind=Kind.RESOLVED,
            severity="info",
            title=title or say(language, "_.over", {"name": condition.name(language)}),
            what=say(language, f"{kind}.over", facts),
            host=socket.gethostname(),
            at=now.wall,
            since=before.since.wall if before.since else 0.0,
            language=language,
        )
    title = say(language, f"{kind}.title", facts) or condition.name(language)
    if transition is Transition.REPEATED:
        title = say(language, "_.still", {"title": title})
    return Message(
        fingerprint=condition.fingerprint,
        kind=Kind.FIRING,
        severity=condition.severity.value,
        title=title,
        what=say(language, f"{kind}.what", facts),
        host=socket.gethostname(),
        at=now.wall,
        why=say(language, f"{kind}.why", facts),
        remedy=say(language, f"{kind}.remedy", facts),
        look=say(language, f"{kind}.look", facts),
        since=before.since.wall if lasted and before.since else 0.0,
        language=language,
    )
