"""Dead man's pings to a real HTTP server: what it hears, and that one that is away spoils nothing."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tests.testbed.switch import Heard, Switch
from wbagent.alerts.ping import Ping, ping


def test_each_ending_with_what_is_sent_along() -> None:
    with Switch() as server:
        for what in Ping:
            assert ping(SecretStr(server.url("secret-id")), what, f"last line of {what.name}") == ""
        assert server.heard == [
            Heard("/secret-id", "last line of SUCCESS"),
            Heard("/secret-id/start", "last line of START"),
            Heard("/secret-id/fail", "last line of FAIL"),
            Heard("/secret-id/log", "last line of LOG"),
        ]


def test_a_service_that_refuses_or_is_away_is_named_without_the_secret() -> None:
    with Switch() as server:
        refused = ping(SecretStr(server.url("secret-id/gone")), Ping.SUCCESS)
        away = SecretStr(server.url("secret-id"))
    assert refused == "http://127.0.0.1/… answered 404 Not Found"
    gone = ping(away, Ping.SUCCESS)
    assert gone.startswith("http://127.0.0.1/… cannot be reached: ")
    assert "secret" not in gone + refused


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/secret-id\u200b", f"http://{'a' * 64}.example.com/secret-id", "http://127.0.0.1/secret-id\x01"],
)
def test_an_address_that_none_can_be_is_told_and_spoils_no_backup(address: str) -> None:
    """Such as one that was copied with something invisible behind it."""
    said = ping(SecretStr(address), Ping.START)
    assert "cannot be reached: its address holds" in said
    assert "secret" not in said
