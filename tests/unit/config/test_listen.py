"""Where metrics may be had: on this host alone, unless more was asked for in so many words."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.config import load
from wbagent.config.listen import Listen
from wbagent.errors import ConfigError


def metrics(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "wbagent.toml"
    path.write_text(f"[metrics]\n{text}\n")
    return path


@pytest.mark.parametrize("text", ["127.0.0.1:9797", "127.8.0.1:1024", "[::1]:65535", "unix:/run/wbagent-metrics/http"])
def test_this_host_alone(tmp_path: Path, text: str) -> None:
    listen = load(metrics(tmp_path, f'listen = "{text}"')).settings.metrics.listen
    assert listen is not None
    assert listen.stays_here
    assert str(listen) == text
    assert Listen.parse(str(listen)) == listen


@pytest.mark.parametrize("text", ["0.0.0.0:9797", "10.0.0.5:9797", "[::]:9797", "[2001:db8::1]:9797"])
def test_what_others_reach_is_refused_unless_it_is_wanted(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(metrics(tmp_path, f'listen = "{text}"'))
    assert "other machines reach" in caught.value.message
    assert "beyond_loopback = true" in caught.value.message
    settings = load(metrics(tmp_path, f'listen = "{text}"\nbeyond_loopback = true')).settings
    assert str(settings.metrics.listen) == text


@pytest.mark.parametrize(
    "text",
    ["9797", ":9797", "localhost:9797", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:70000", "::1:9797", "300.0.0.1:9797",
     "unix:relative", f"unix:/{'x' * 107}", ""],
)  # fmt: skip
def test_anything_else_says_what_was_expected(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="expected a") as caught:
        load(metrics(tmp_path, f'listen = "{text}"'))
    assert "[metrics] listen" in caught.value.message
