"""The option file that MySQL's programs get: quoted, private, and nothing else read."""

from __future__ import annotations

import os
import stat

import pytest

from wbagent.config.dsn import MysqlURL
from wbagent.database.options_file import environment, options_file, options_text


def url(password: str = "", **options: str) -> MysqlURL:
    return MysqlURL("user", password, "localhost", 3306, "wandb", tuple(options.items()))


def test_password_is_quoted() -> None:
    assert r'password="a\"b\\c#d' in options_text(url('a"b\\c#d'))
    assert "\\n" in options_text(url("a\nb")).split("password=")[1].split("\n")[0]


@pytest.mark.parametrize(
    ("tls", "mode"),
    [("false", "DISABLED"), ("preferred", "PREFERRED"), ("skip-verify", "REQUIRED"), ("true", "VERIFY_IDENTITY")],
)
def test_tls_of_the_connection_string(tls: str, mode: str) -> None:
    text = options_text(url(tls=tls))
    assert f'ssl-mode="{mode}"' in text
    assert ("ssl-ca" in text) == (tls == "true"), "MySQL's client verifies nothing without an authority"
    assert ("get-server-public-key" in text) == (tls in {"false", "preferred"})


def test_host_is_spoken_to_by_tcp() -> None:
    assert 'protocol="TCP"' in options_text(url())


def test_socket_takes_the_place_of_host_and_port() -> None:
    text = options_text(url(socket="/run/m.sock"))
    assert 'protocol="SOCKET"' in text
    assert 'socket="/run/m.sock"' in text
    assert "host=" not in text
    assert "port=" not in text


def test_file_is_nobody_elses_and_gone_afterwards() -> None:
    with options_file(url("secret")) as (descriptor, argument):
        assert argument == f"--defaults-file=/dev/fd/{descriptor}"
        assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o600
        assert not os.get_inheritable(descriptor)
        assert "secret" not in argument
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_environment_does_not_change_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_PWD", "other")
    monkeypatch.setenv("HOME", "/root")
    assert set(environment()) <= {"PATH", "LD_LIBRARY_PATH", "TMPDIR", "LC_ALL"}
