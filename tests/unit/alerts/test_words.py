"""The texts of both languages: the same tables, texts and facts; every kind of alert has what a person needs."""

from __future__ import annotations

import string

import pytest

from wbagent.alerts.words import LANGUAGES, say, texts

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


def test_a_text_that_is_not_there_is_empty_and_a_table_an_error() -> None:
    assert say("en", "cpu.no_such_text") == ""
    with pytest.raises(KeyError):
        say("en", "no-such-kind.name")
    with pytest.raises(KeyError):
        say("en", "cpu.name", {})
