"""The texts of both languages: the same tables, texts and facts; every kind of alert has what a person needs."""

from __future__ import annotations

import string

import pytest

from wbagent import events
from wbagent.agent.watches import watches
from wbagent.alerts.outside import Serving
from wbagent.alerts.words import LANGUAGES, say, texts
from wbagent.monitor.reach import Reach

# Told once as they happen: their events are SERVER_RESTARTED, STATE_DAMAGED and, of each unit, UNIT_FAILED.
NOT_ALERTS = {"_", "test", "digest", "server-restarted", "state-damaged", "unit-failed", "wandb-local", "wbagent"}
NOT_ALERTS |= {f"wbagent-{unit}" for unit in ("upgrade", "binlog", "backup", "drill")}
PARTS = {(table, part) for table, found in texts("en").items() for part in found}


def facts(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_facts(language: str) -> None:
    assert {(table, part) for table, found in texts(language).items() for part in found} == PARTS
    differing = [
        f"{table}.{part}"
        for table, part in sorted(PARTS)
        if facts(texts(language)[table][part]) != facts(texts("en")[table][part])
    ]
    assert differing == []


def test_every_alert_has_a_name_why_and_a_remedy() -> None:
    for table, found in texts("en").items():
        if table not in {"_", "test"}:
            assert {"name", "why", "remedy"} <= set(found), table


def test_every_kind_of_alert_has_an_id_for_the_journal() -> None:
    """What is a kind of alert, and what is told of by an event of another name, is all there is."""
    assert set(texts("en")) - NOT_ALERTS == set(events.ALERTS)
    assert set(texts("en")) >= NOT_ALERTS


def test_what_the_agent_watches_has_an_id_for_the_journal() -> None:
    found = watches(Reach(), lambda: Serving.YES)
    assert found
    assert set().union(*(watch.kinds for watch in found)) <= set(events.ALERTS)


def test_a_text_that_is_not_there_is_empty_and_a_table_an_error() -> None:
    assert say("en", "cpu.no_such_text") == ""
    with pytest.raises(KeyError):
        say("en", "no-such-kind.name")
    with pytest.raises(KeyError):
        say("en", "cpu.name", {})
