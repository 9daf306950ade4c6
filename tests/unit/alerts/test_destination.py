"""Destinations: told apart without storing a secret, and errors without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.alerts.destination import Destination, destinations, masked


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("json://user:pass@alerts.example.com:8443/hook", "json://alerts.example.com:8443"),
        ("mailto://ops:secret@mail.example.com?to=a@example.com", "mailto://mail.example.com"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops", "slack://…"),
        ("tgram://123456789:AAtoken/12315544/", "tgram://…"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord://…"),
        ("json://user:[raw@host/", "json://…"),
        ("json://host:notaport/", "json://host"),
    ],
)
def test_label_names_a_host_only_where_it_is_one(url: str, label: str) -> None:
    assert Destination.of(url).label == label


def test_the_url_is_not_in_its_own_description() -> None:
    assert "secret" not in repr(Destination.of("json://user:secret@host/"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("json://user:old@host/hook", "json://user:new@host/hook"),
        ("json://user:old@host/hook", "json://user:n@w:er@host/hook"),
        ("mailto://host?user=a&pass=old&to=b@c", "mailto://host?user=a&pass=new&to=b@c"),
    ],
)
def test_a_new_password_is_the_same_destination(before: str, after: str) -> None:
    assert Destination.of(before).id == Destination.of(after).id


@pytest.mark.parametrize(
    "other", ["json://user:pass@other/hook", "json://user:pass@host/hook2", "xml://user:pass@host/hook"]
)
def test_another_address_is_another_destination(other: str) -> None:
    assert Destination.of(other).id != Destination.of("json://user:pass@host/hook").id


def test_each_once() -> None:
    urls = ["json://a:1@host/", "json://host/2", "json://a:1@host/", "json://a:2@host/"]
    found = destinations(urls)
    assert [one.url for one in found] == ["json://a:1@host/", "json://host/2", "json://a:2@host/"]
    assert len({one.id for one in found}) == 3


secret = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=8, max_size=30)


@given(st.sampled_from(["slack", "tgram", "discord"]), secret, secret, secret, secret)
def test_no_part_that_may_be_secret_is_told(scheme: str, token: str, user: str, password: str, path: str) -> None:
    url = f"{scheme}://{user}:{password}@{token}/{path}"
    text = f'cannot reach "{url}": {token.lower()} said {path!r} to {user} ({password})'
    shown = masked(text, url).lower()
    assert not [part for part in (token, user, password, path) if part.lower() in shown]
    assert shown.startswith('cannot reach "***')


def test_escaped_forms_are_secret_too() -> None:
    url = "json://user:p%40ssw%2Frd@host.example.com/hook?token=abcdefgh"
    text = masked("host.example.com refused p@ssw/rd and p%40ssw%2Frd with abcdefgh", url)
    assert text == "host.example.com refused *** and *** with ***"
