"""What is made of a look at an address, a database, a store, an image or a licence."""

from __future__ import annotations

import pytest

from wbagent.config.dsn import MysqlURL
from wbagent.database.facts import ServerFacts, parse_version
from wbagent.database.grants import Grants
from wbagent.errors import DatabaseError
from wbagent.monitor.outside import Certificate, Doubt, Outside, Stage
from wbagent.monitor.store_probe import Asked, Trouble
from wbagent.setup.questions import NAMED
from wbagent.setup.trying import (
    attempt,
    judge_host,
    judge_image,
    judge_licence,
    judge_mysql,
    judge_store,
    mend_mysql,
)

URL = MysqlURL("wandb_local", "p", "db1.example.com", 3306, "wandb_local")
HTTPS, HTTP = "https://wandb.example.com", "http://wandb.example.com:8080"
GOOD = Certificate(2e9)


@pytest.mark.parametrize(
    ("problem", "makes"),
    [
        ("MySQL at db: Access denied for user 'x'@'web1' (1045)", True),
        ("MySQL at db: Unknown database 'wandb_local' (1049)", True),
        ("MySQL at db: Can't connect to MySQL server on 'db' (timed out) (2003)", False),
        ("MySQL at db: Can't connect ([Errno 113] No route to host) (2003)", False),
        ("MySQL at db: Can't connect ([Errno -2] Name or service not known) (2003)", False),
    ],
)
def test_what_init_would_make_is_named_only_where_mysql_answered(problem: str, makes: bool) -> None:
    error = DatabaseError(problem, hint="look")
    assert ("wbagent database init" in mend_mysql(error, backups=False)) is makes
    assert mend_mysql(error, backups=True) == "look"


@pytest.mark.parametrize(
    ("address", "look", "here", "problem"),
    [
        (HTTPS, Outside(None, "200 OK", 0.1, 200, GOOD), False, ""),
        # Before the server runs, this is as it should be.
        (HTTPS, Outside(Stage.PROXY, "502 Bad Gateway", 0.1, 502, GOOD), False, ""),
        (HTTP, Outside(Stage.REFUSED, "refused", 0.1), True, ""),
        (HTTP, Outside(Stage.REFUSED, "refused", 0.1), False, "Nothing listens there"),
        (HTTPS, Outside(Stage.REFUSED, "refused", 0.1), True, "Nothing listens there"),
        (HTTPS, Outside(Stage.NAME, "not known", 0.1), False, "name is not found"),
        (HTTPS, Outside(Stage.SILENT, "no connection", 10), False, "Nobody answers"),
        (HTTP, Outside(Stage.REDIRECT, "301 to https://…", 0.1, 301), False, "sends elsewhere"),
        (
            HTTPS,
            Outside(Stage.PROXY, "502", 0.1, 502, Certificate(None, Doubt.SELF_SIGNED, "self-signed")),
            False,
            "signed by itself",
        ),
        (HTTPS, Outside(None, "200", 0.1, 200, Certificate(1.0, Doubt.EXPIRED, "expired")), False, "has expired"),
    ],
)
def test_an_address(address: str, look: Outside, here: bool, problem: str) -> None:
    tried = judge_host(address, look, here=here)
    assert problem in tried.problem
    assert bool(tried.problem) == bool(problem)
    assert bool(tried.problem) == bool(tried.hint)
    if not problem:
        assert ("plain HTTP" in "".join(tried.remarks)) == (address == HTTP)


def facts(version: str, *grants: str) -> ServerFacts:
    return ServerFacts(
        parse_version(version), version, "", "db1", "uuid", True, True, True, Grants("'u'@'%'", frozenset(grants))
    )


@pytest.mark.parametrize(
    ("server", "charset", "problem"),
    [
        (facts("8.4.4"), "utf8mb4", ""),
        (facts("5.7.44"), "utf8mb4", ""),
        (facts("8.0.27"), "utf8mb4", "does not support"),
        (facts("11.4.2-MariaDB"), "utf8mb4", "MariaDB"),
        (facts("8.4.4"), "latin1", "latin1 instead of utf8mb4"),
    ],
)
def test_a_database(server: ServerFacts, charset: str, problem: str) -> None:
    tried = judge_mysql(URL, server, charset, backups=False)
    assert problem in tried.problem
    assert bool(tried.problem) == bool(problem)


def test_an_account_for_backups_is_told_what_it_lacks() -> None:
    lacking = judge_mysql(URL, facts("8.4.4"), "utf8mb4", backups=True)
    assert "GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO 'u'@'%';" in lacking.remarks[0]
    assert not judge_mysql(
        URL, facts("8.4.4", "RELOAD", "REPLICATION CLIENT", "PROCESS"), "utf8mb4", backups=True
    ).remarks


@pytest.mark.parametrize("trouble", list(Trouble))
def test_every_trouble_of_a_store_has_a_remedy_for_who_sets_up(trouble: Trouble) -> None:
    tried = judge_store(Asked(trouble, "PUT: 403", 0.1))
    assert tried.problem
    assert tried.hint
    assert "{" not in tried.hint + tried.problem
    # The host is not configured yet.
    assert "reload" not in tried.hint
    assert "[" not in tried.hint


def test_only_a_bucket_that_is_not_there_is_missing() -> None:
    tried = {trouble: judge_store(Asked(trouble, "PUT: 404", 0.1)) for trouble in Trouble}
    assert [trouble for trouble in Trouble if tried[trouble].missing] == [Trouble.BUCKET]
    assert "--make-buckets" in tried[Trouble.BUCKET].hint


def test_a_store_that_answers() -> None:
    assert judge_store(Asked(None, "", 0.1)).said
    assert "could not be removed" in judge_store(Asked(None, "", 0.1, left=True)).remarks[0]


def test_an_image() -> None:
    assert not judge_image("wandb/local:0.83.0", docker=True).problem
    assert "never to run" in judge_image("wandb/local:0.78.0", docker=True).problem
    assert "apt install docker.io" in judge_image("wandb/local:0.83.0", docker=False).remarks[0]


def test_a_licence() -> None:
    assert "longer than 5" in judge_licence("12345").problem
    assert not judge_licence(".".join(["a" * 40] * 3)).remarks
    assert judge_licence("a" * 60).remarks


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mysql", "mysql://u:p@127.0.0.1/d"),
        ("mysql", "mysql://u:p@localhost/d"),
        ("mysql", "mysql://u:p@[::1]/d"),
        ("bucket", "s3://K:S@localhost:9000/files"),
    ],
)
def test_what_the_container_would_look_for_within_itself(name: str, text: str) -> None:
    assert "within the server's container that one" in attempt(NAMED[name], text, {}).problem


# Apprise's own, before Python 3.13.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_alerts_of_an_unknown_kind() -> None:
    tried = attempt(NAMED["alerts"], "json://localhost:1/ nosuch://token@x", {})
    assert "nosuch://" in tried.problem
    assert "token" not in tried.problem
