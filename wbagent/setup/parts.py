"""Connection strings out of their parts, for people who have a password and not its %XX form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from wbagent.config.connection_string import escape, join, with_port
from wbagent.config.dsn import MysqlURL


@dataclass(frozen=True, slots=True)
class Part:
    """One part, asked on a line of its own."""

    name: str
    asks: str
    default: str = ""
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What is asked, and how the connection string is made of it: everything that is special is escaped.

    `joined` raises ValueError, which never repeats a secret.
    """

    asked: tuple[Part, ...]
    joined: Callable[[Mapping[str, str]], str]


def _mysql(given: Mapping[str, str]) -> str:
    if not given["port"].isdecimal():
        raise ValueError("the port is a number, 3306 as a rule")
    options = (("tls", given["tls"]),)
    return str(
        MysqlURL(
            given["user"], given["password"], given["host"].strip("[]"), int(given["port"]), given["database"], options
        )
    )


def _s3(given: Mapping[str, str]) -> str:
    if given["tls"] not in {"yes", "no"}:
        raise ValueError("TLS: yes or no")
    host, _, port = given["host"].rpartition(":") if given["host"].count(":") == 1 else (given["host"], "", "")
    if port and not port.isdecimal():
        raise ValueError("what follows the host's colon is a port, a number")
    options = (("region", given["region"]), ("tls", "true" if given["tls"] == "yes" else "false"))
    address = with_port(host.strip("[]"), int(port) if port else None)
    # What is wrong with a bucket's name is told when it is read.
    return join("s3", given["key"], escape(given["secret"]), address, f"/{given['bucket'].strip('/')}", options)


MYSQL: Final = Parts(
    (
        Part("host", "host"),
        Part("port", "port", "3306"),
        Part("database", "database", "wandb_local"),
        Part("user", "user", "wandb_local"),
        Part("password", "password, as it is", secret=True),
        Part("tls", "TLS (true, preferred, skip-verify, false)", "preferred"),
    ),
    _mysql,
)
S3: Final = Parts(
    (
        Part("host", "host of the store, with :PORT where it is not the usual one"),
        Part("tls", "TLS (yes, no)", "yes"),
        Part("bucket", "bucket, with /PREFIX where there is one"),
        Part("region", "region", "us-east-1"),
        Part("key", "access key"),
        Part("secret", "secret key, as it is", secret=True),
    ),
    _s3,
)
