"""Whether a destination shares its machine with the database, by what the resolver and the kernel say of this host."""

from __future__ import annotations

import socket

import pytest

from wbagent.bucket.nearness import same_machine
from wbagent.config.dsn import S3URL, MysqlURL

# Addresses for documentation (RFC 5737): no machine has them.
ELSEWHERE, ANOTHER = "192.0.2.7", "192.0.2.8"


def bucket(host: str) -> S3URL:
    return S3URL.parse(f"s3://KEY:SECRET@{host}:9000/backups")


def database(host: str, options: str = "") -> MysqlURL:
    return MysqlURL.parse(f"mysql://user:password@{host}/wandb_local{options}")


@pytest.mark.parametrize(
    ("destination", "url", "beside"),
    [
        (None, database("127.0.0.1"), True),
        (None, database("localhost"), True),
        (None, database(ELSEWHERE), False),
        (None, database(ELSEWHERE, "?socket=/run/mysqld/mysqld.sock"), True),
        (bucket("localhost"), database("127.0.0.1"), True),
        (bucket("127.0.0.3"), database(ELSEWHERE, "?socket=/run/mysqld/mysqld.sock"), True),
        (bucket(ELSEWHERE), database("127.0.0.1"), False),
        (bucket(ELSEWHERE), database(ELSEWHERE), True),
        (bucket(ELSEWHERE), database(ANOTHER), False),
        (S3URL.parse("s3://backups?region=eu-west-1"), database("127.0.0.1"), False),
    ],
)
def test_where_both_are(destination: S3URL | None, url: MysqlURL, beside: bool) -> None:
    assert same_machine(destination, url) is beside


def test_a_name_that_cannot_be_resolved_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> list[object]:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    assert not same_machine(bucket("store"), database("db1"))
