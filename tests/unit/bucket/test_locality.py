"""Whether a store is on this very machine."""

from __future__ import annotations

import pytest

from wbagent.bucket.nearness import on_this_machine
from wbagent.config.dsn import S3URL


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("localhost", True), ("192.0.2.7", False), ("nowhere.invalid", False)],
)
def test_address(host: str, own: bool) -> None:
    assert on_this_machine(S3URL.parse(f"s3://KEY:SECRET@{host}:9000/bucket")) is own


def test_amazon_is_elsewhere() -> None:
    assert not on_this_machine(S3URL.parse("s3://bucket/prefix"))
