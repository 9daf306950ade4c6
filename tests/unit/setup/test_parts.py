"""A connection string made of parts means these parts, whatever characters they hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.setup.parts import MYSQL, S3

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
DATABASE = {"host": "db1.example.com", "port": "3307", "database": "wandb_local", "user": "u", "tls": "true"}
STORE = {"host": "minio.example.com:9000", "tls": "yes", "bucket": "files/a", "region": "eu-west-1", "key": "K"}


@given(TEXT, TEXT)
def test_any_user_and_password_of_mysql(user: str, password: str) -> None:
    url = MysqlURL.parse(MYSQL.joined(DATABASE | {"user": user, "password": password}))
    assert (url.user, url.password) == (user, password)
    assert (url.host, url.port, url.database, url.tls) == ("db1.example.com", 3307, "wandb_local", "true")


@given(TEXT, TEXT)
def test_any_keys_of_a_store(key: str, secret: str) -> None:
    url = S3URL.parse(S3.joined(STORE | {"key": key, "secret": secret}))
    assert (url.access_key, url.secret_key) == (key, secret)
    assert (url.host, url.port, url.bucket, url.prefix) == ("minio.example.com", 9000, "files", "a")
    assert (url.tls, url.region) == (True, "eu-west-1")


@pytest.mark.parametrize("host", ["minio.example.com", "[fd00::1]", "fd00::1"])
def test_hosts_without_a_port(host: str) -> None:
    url = S3URL.parse(S3.joined(STORE | {"host": host, "tls": "no", "secret": "s"}))
    assert (url.host, url.port, url.tls) == (host.strip("[]"), None, False)


@pytest.mark.parametrize("wrong", [{"port": "x"}, {"port": ""}])
def test_a_port_that_is_none(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="port is a number"):
        MYSQL.joined(DATABASE | {"password": "s3cret"} | wrong)


@pytest.mark.parametrize("wrong", [{"tls": "maybe"}, {"host": "h:x"}])
def test_a_store_that_cannot_be(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"TLS|port"):
        S3.joined(STORE | {"secret": "s3cret"} | wrong)
