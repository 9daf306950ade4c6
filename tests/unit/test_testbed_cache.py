"""The test bed's cache: a part is built once, is complete or absent, and outlives its recipe only while in use."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.testbed.cache import cache_directory, cached


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WBAGENT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(text: str, into: Path) -> None:
    (into / "part").write_text(text)


def test_a_part_is_built_once_and_found_again() -> None:
    first = cached("part", "recipe", lambda into: write("first", into))
    second = cached("part", "recipe", lambda into: write("second", into))
    assert first == second
    assert (second / "part").read_text() == "first"


def test_another_recipe_makes_another_part() -> None:
    assert cached("part", "recipe 1", lambda _: None) != cached("part", "recipe 2", lambda _: None)


def test_an_interrupted_build_leaves_nothing_to_be_taken_for_a_good_one() -> None:
    def interrupted(into: Path) -> None:
        write("half", into)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("part", "recipe", interrupted)
    whole = cached("part", "recipe", lambda into: write("whole", into))
    assert (whole / "part").read_text() == "whole"
    assert [path.name for path in whole.iterdir()] == ["part"]


def test_callers_side_by_side_share_one_build() -> None:
    builds: list[Path] = []
    results: list[Path] = []
    together = threading.Barrier(4)

    def call() -> None:
        together.wait(10)
        results.append(cached("part", "recipe", builds.append))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(builds) == 1
    assert len(set(results)) == 1
    assert len(results) == 4


def test_an_older_part_goes_unless_another_process_uses_it() -> None:
    program = (
        "import sys; from tests.testbed.cache import cached\n"
        "print(cached('part', 'old', lambda _: None), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as other:
        assert other.stdout
        assert other.stdin
        old = Path(other.stdout.readline().strip())
        cached("part", "new", lambda _: None)
        assert old.is_dir()
        other.stdin.close()
        other.wait(10)
        cached("part", "newer", lambda _: None)
        assert not old.exists()


def test_a_part_with_a_longer_name_is_left_alone() -> None:
    longer = cached("part-of-another", "recipe", lambda _: None)
    cached("part", "recipe", lambda _: None)
    assert longer.is_dir()


def test_the_directory_follows_the_environment(empty_cache: Path) -> None:
    assert cache_directory() == empty_cache
