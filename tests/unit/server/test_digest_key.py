"""The key of the specification's hash: one for all who ask, closed to others, and never a reason to stay down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.unit.server.test_specification import settings
from wbagent.server.digest_key import digest_key
from wbagent.server.specification import specification


def test_all_who_ask_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "digest.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: digest_key(path), range(64)))
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 1
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["digest.key"]


def test_without_a_place_for_it_there_is_none(tmp_path: Path) -> None:
    assert digest_key(tmp_path / "no-such-directory" / "digest.key") == b""


def test_another_key_is_another_hash() -> None:
    digests = {specification(settings(), systemd_cgroups=True, key=key).digest for key in (b"", b"a" * 32, b"b" * 32)}
    assert len(digests) == 3
