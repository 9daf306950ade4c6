"""Whether all that a condition may ever tell can be said, in each language: a missing fact shows only at night else."""

from __future__ import annotations

from wbagent.alerts.condition import Condition, compose
from wbagent.alerts.words import LANGUAGES
from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, Transition


def check(condition: Condition) -> Condition:
    """The condition itself; raises KeyError for a text or fact that is not there."""
    now = Moment(0.0, 0.0, "boot")
    for language in LANGUAGES:
        lacking = condition.lacks_data(language)
        assert condition.value is not None or condition.no_data or condition.no_data_for == float("inf")
        for each in (lacking, condition) if condition.value is not None else (lacking,):
            for transition in Transition:
                assert compose(each, transition, INACTIVE, now, language).title
        assert condition.name(language)
    return condition
