"""Values get into the commented configuration, whatever they hold, and nothing else in it changes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.config import load
from wbagent.config.filling import filled
from wbagent.config.layers import KeyPath
from wbagent.config.template import template
from wbagent.config.toml_text import toml_text
from wbagent.errors import ConfigError

HOST: KeyPath = ("server", "host")
VALUES: dict[KeyPath, object] = {
    HOST: "https://wandb.example.com",
    ("server", "image"): "wandb/local:0.83.0",
    ("server", "embedded"): True,
    ("backup", "drill", "image"): "mysql:8.4",
    ("alerts", "to"): ("mailto://u:p@mail.example.com",),
}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_text_is_read_back_as_it_was(text: str) -> None:
    assert tomllib.loads(f"key = {toml_text(text)}") == {"key": text}


def test_what_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="Unicode"):
        toml_text("a\udc80b")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.lists(st.text("ab\"'\\#[]\n=\x7f\x85\u2028")))
def test_odd_values_get_into_the_template(text: str, items: list[str]) -> None:
    made = filled(template(), {HOST: text, ("alerts", "to"): tuple(items)}, {("server", "mysql"): "elsewhere"})
    assert tomllib.loads(made) == {"server": {"host": text}, "alerts": {"to": items}}


def test_each_value_takes_the_place_of_its_commented_line() -> None:
    before = template().splitlines()
    after = filled(template(), VALUES).splitlines()
    changed = {new: old for old, new in zip(before, after, strict=True) if old != new}
    assert changed["[server]"] == "#[server]"
    assert changed['host = "https://wandb.example.com"'] == '#host = "https://wandb.example.com"'
    assert changed['image = "mysql:8.4"'] == '#image = "mysql:8.4"'
    # Three headers and five keys.
    assert len(changed) == 8


def test_the_filled_template_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text(filled(template(), VALUES))
    path.chmod(0o640)
    settings = load(path).settings
    assert settings.server
    assert settings.server.embedded
    assert settings.backup.drill.image == "mysql:8.4"


def test_a_note_stands_above_the_key_that_stays_commented() -> None:
    lines = filled(template(), {}, {("server", "mysql"): "set by a credential"}).splitlines()
    place = lines.index("# set by a credential")
    assert lines[place + 1].startswith("#mysql = ")
    assert len(lines) == len(template().splitlines()) + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '\n[server]\nhost = "h"\n'),
        ("# ours\n#[server]\n# a comment\n", '# ours\n[server]\nhost = "h"\n# a comment\n'),
        ("[server]\nport = 80\n#host = 1\n", '[server]\nport = 80\nhost = "h"\n'),
        ("#[server]\n#[backup]\n#host = 1\n", '[server]\nhost = "h"\n#[backup]\n#host = 1\n'),
    ],
)
def test_a_file_that_is_not_the_template(text: str, expected: str) -> None:
    assert filled(text, {HOST: "h"}) == expected


@pytest.mark.parametrize("text", ["server = { port = 80 }\n", '[server]\nhost = "x"\n', 'a = """\n[server]\n"""\n'])
def test_where_it_would_be_guesswork_nothing_is_made(text: str) -> None:
    with pytest.raises(ConfigError, match="guesswork"):
        filled(text, {HOST: "h"})
