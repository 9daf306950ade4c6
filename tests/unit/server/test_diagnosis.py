"""Known last words of the server, as users have reported them."""

from __future__ import annotations

import pytest

from wbagent.server.diagnosis import diagnose, while_starting


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("panic: Dirty database version 123. Fix and force version.", "dirty"),
        ("panic: NoSuchBucket: The specified bucket does not exist", "bucket does not exist"),
        ("panic: dial tcp 10.0.0.5:3306: connect: connection refused", "does not answer"),
        ("panic: dial tcp 10.0.0.5:3306: i/o timeout", "does not answer"),
        ("panic: dial tcp: lookup db1 on 8.8.8.8:53: no such host", "does not resolve a name"),
        (
            "dial tcp: lookup db1 on 8.8.8.8:53: read udp 172.17.0.2:41->8.8.8.8:53: i/o timeout",
            "does not resolve a name",
        ),
        ("Error 1045: Access denied for user 'wandb_local'@'10.0.0.4'", "refuses the account"),
        ("!!! Failed to load settings.", "cannot read its settings"),
        ("PermissionError: [Errno 13] Permission denied: '/etc/container_environment/PATH'", "group is not 0"),
        ("mkdir: cannot create directory '/vol/env': Permission denied", "/vol is not writable"),
        ("write /vol/x: no such luck: No space left on device", "disk is full"),
        ("Bind for 0.0.0.0:8080 failed: port is already allocated", "port is taken"),
    ],
)
def test_known_lines(line: str, cause: str) -> None:
    found = diagnose(["*** Running /etc/my_init.d/10_wandb.sh...", line, "*** All services started"])
    assert found is not None
    assert cause in found.cause
    assert found.remedy


def test_the_cause_is_named_before_its_consequence() -> None:
    found = diagnose(["panic: dial tcp 10.0.0.5:3306: i/o timeout", "panic: Dirty database version 7."])
    assert found is not None
    assert "dirty" in found.cause


def test_nothing_known() -> None:
    assert diagnose(["*** All services started", '{"level":"INFO","message":"hello"}']) is None


def test_while_it_starts_the_newest_telling_line_is_quoted_and_nothing_else_of_it() -> None:
    lines = [
        "dial tcp 10.0.0.5:3306: connect: connection refused",
        'mysql "u:s3cret@tcp(db1:3306)/d": dial tcp: lookup db1 on 8.8.8.8:53: no such host; tried again',
        "*** All services started",
    ]
    said = while_starting(lines)
    assert said == (
        "its log says “lookup db1 on 8.8.8.8:53: no such host”: the server's container does not resolve a name of its"
        " settings"
    )
    assert while_starting(lines[2:]) == ""
