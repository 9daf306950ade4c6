"""How fast the file system of MySQL's data grows, from the samples that the agent of this host keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from wbagent.alerts.disk import FREE, ends
from wbagent.checks.check import Finding, note, passed
from wbagent.checks.database.look import Look
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor.disk import Asker, file_systems
from wbagent.monitor.samples import Bucket, Samples
from wbagent.quantities import format_duration, format_size

_WEEK_S: Final = 7 * 86400.0
_HOUR_S: Final = 3600
# Of less than half a day a pace is chance.
_SHORTEST_S: Final = 43200.0
_DAY_S: Final = 86400.0


def growth_of(look: Look, now: float) -> Iterable[Finding]:
    """Look at the samples; where MySQL runs elsewhere there are none, and the check of its place says so."""
    if not look.local:
        return
    directory = look.variables.get("datadir", "")
    answers = Asker().answers([directory])
    systems = file_systems([("mysql", answers[directory])])
    point = systems[0].point if systems else ""
    try:
        with Samples(read_only=True) as samples:
            past = samples.read(FREE, (("path", point),), now - _WEEK_S, _HOUR_S)
    except StateError:
        past = ()
    yield judge(past, ends(systems, Moment.now()).get(point))


def judge(past: Sequence[Bucket], full_in: float | None) -> Finding:
    """`past`: free bytes of the last week, oldest first; `full_in` seconds, None where there is no trend."""
    span = past[-1].at - past[0].at if past else 0
    if span < _SHORTEST_S:
        return note("not known yet: it takes half a day of the agent's samples of the file system of MySQL's data")
    pace = (past[0].mean - past[-1].mean) / span * _DAY_S
    shown = (
        f"{format_size(abs(pace))} a day {'more' if pace >= 0 else 'less'} on the file system of MySQL's data"
        f" over {format_duration(span)}"
    )
    if full_in is None:
        return passed(shown)
    return note(
        f"{shown}; full in {format_duration(full_in)} at the present pace", remedy="wbagent report -o FILE.html"
    )
