"""The lines that load balancers need, and which one it is."""

from __future__ import annotations

import pytest

from wbagent.checks.fronts import LINES, Front, Need, recognised, remedy
from wbagent.checks.public import Answer, Public

PUBLIC = Public("https://wandb.example.com:8443")


def test_each_need_has_a_line_for_each() -> None:
    assert {need: set(lines) for need, lines in LINES.items()} == {need: set(Front) for need in Need}


def test_names_are_filled_in() -> None:
    for need in Need:
        text = remedy(need, None, PUBLIC, "10.0.0.1:8080")
        assert [f"{front}: " in text for front in Front] == [True] * 3
        assert "{upstream}" not in text
        assert "{host}" not in text
        assert "{named}" not in text
    assert remedy(Need.UPSTREAM, Front.CADDY, PUBLIC, "10.0.0.1:8080") == "Caddy: reverse_proxy 10.0.0.1:8080"
    redirect = remedy(Need.REDIRECT, Front.NGINX, PUBLIC, "")
    assert "server_name wandb.example.com; return 301 https://wandb.example.com:8443$request_uri;" in redirect


@pytest.mark.parametrize(
    ("said", "behind", "front"),
    [
        ("nginx/1.26.3", None, Front.NGINX),
        ("openresty/1.25", "nginx", Front.NGINX),
        ("nginx/1.26.3", "nginx", Front.NGINX),
        # The one behind is passed on by HAProxy, which says nothing of its own.
        ("nginx", "nginx", None),
        ("Caddy", "nginx", Front.CADDY),
        ("cloudflare", "nginx", None),
        ("", None, None),
    ],
)
def test_which_one_it_is_by_its_name(said: str, behind: str | None, front: Front | None) -> None:
    direct = None if behind is None else Answer(200, {"server": behind})
    assert recognised(Answer(200, {"server": said} if said else {}), direct) is front
