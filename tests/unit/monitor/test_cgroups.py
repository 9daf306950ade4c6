"""Who used the processors: names, shares, and what counts when units come, go and begin anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.monitor.cgroups import Reading, Readings, find, groups, is_installed, seconds_used, shares, shown_as
from wbagent.monitor.memory import oom_kills, victim
from wbagent.monitor.pressure import parse, waiting


def reading(at: float, **used: float) -> Reading:
    return Reading(at, used)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as systemd makes it, of plain files."""
    units = (
        "init.scope",
        "wandb.slice/docker-abc.scope",
        "system.slice/mysql.service",
        "user.slice/user-0.slice/a.scope",
        "a.slice/a-b.slice/deep.service",
    )
    for number, unit in enumerate(units):
        (tmp_path / unit).mkdir(parents=True)
        (tmp_path / unit / "cpu.stat").write_text(f"usage_usec {number * 1_500_000}\nuser_usec 1\nsystem_usec 2\n")
    return tmp_path


def test_groups_by_the_names_that_people_know(tree: Path) -> None:
    assert set(groups(tree)) == {"init.scope", "wandb.slice", "mysql.service", "user-0.slice", "a.slice"}
    assert {shown_as(f"/{path.relative_to(tree)}"): path for path in groups(tree).values()} == groups(tree)
    assert shown_as("/wandb.slice/docker-abc.scope") == "wandb.slice"


def test_units_are_found_wherever_they_are(tree: Path) -> None:
    assert find("mysql.service", tree) == tree / "system.slice/mysql.service"
    assert find("deep.service", tree) == tree / "a.slice/a-b.slice/deep.service"
    assert find("no.service", tree) is None
    assert seconds_used(tree / "system.slice/mysql.service") == 3.0
    assert seconds_used(tree / "gone.service") is None


def test_a_name_that_systemd_does_not_know() -> None:
    assert not is_installed("no-such-thing.service")
    assert not is_installed("no-such-thing@1.service")


def test_shares_are_of_all_processors_the_busiest_first() -> None:
    before = reading(0, mysql=10.0, wandb=5.0, gone=50.0)
    after = reading(10, mysql=18.0, wandb=6.0, new=2.0)
    assert shares(before, after, 2) == (("mysql", 40.0), ("new", 10.0), ("wandb", 5.0))


def test_a_unit_that_began_anew_counts_from_then() -> None:
    assert shares(reading(0, mysql=100.0), reading(10, mysql=1.0), 1) == (("mysql", 10.0),)


@given(
    st.dictionaries(st.text(max_size=3), st.floats(0, 1e6), max_size=5),
    st.dictionaries(st.text(max_size=3), st.floats(0, 1e6), max_size=5),
    st.floats(0, 100),
)
def test_shares_are_never_out_of_range(before: dict[str, float], after: dict[str, float], seconds: float) -> None:
    found = shares(Reading(0, before), Reading(seconds, after), 4)
    assert all(0 <= percent <= 100 for _, percent in found)
    assert [percent for _, percent in found] == sorted((percent for _, percent in found), reverse=True)


@given(st.lists(st.floats(0.1, 400), max_size=80))
def test_readings_are_few_and_reach_back_one_window(waits: list[float]) -> None:
    kept, now, window = Readings(), 0.0, 300.0
    for wait in [0.0, *waits]:
        now += wait
        kept.keep(now, window)
        oldest = kept.oldest()
        assert oldest is not None
        assert now - oldest.at <= window + window / 5 + max(waits, default=0.0)
        assert len(kept._kept) <= 8


def test_pressure() -> None:
    text = (
        "some avg10=85.72 avg60=78.76 avg300=64.93 total=8625127388\nfull avg10=0.00 avg60=1.50 avg300=0.00 total=0\n"
    )
    assert parse(text) == {"some": 78.76, "full": 1.5}
    found = waiting("memory", "full")
    assert found is None or 0 <= found <= 100


def test_the_kernel_counts_kills() -> None:
    count = oom_kills()
    assert count is not None
    assert count >= 0


_OOM = "oom-kill:constraint=CONSTRAINT_{},nodemask=(null),cpuset=/,mems_allowed=0,{},task={},pid=15576,uid=0"


@pytest.mark.parametrize(
    ("line", "who"),
    [
        # The first as Linux 6.18 wrote it about a process in a group with a limit, the others after mm/oom_kill.c.
        (_OOM.format("MEMCG", "oom_memcg=/small,task_memcg=/small", "python3"), "small (python3)"),
        (_OOM.format("NONE", "global_oom,task_memcg=/system.slice/mysql.service", "mysqld"), "mysql.service (mysqld)"),
        (_OOM.format("MEMCG", "oom_memcg=/wandb.slice,task_memcg=/wandb.slice/docker-a.scope", "gorilla"),
         "wandb.slice (gorilla)"),
        (_OOM.format("NONE", "global_oom,task_memcg=/", "sh"), "sh"),
        ("Out of memory: Killed process 812 (mysqld) total-vm:1kB", None),
    ],
)  # fmt: skip
def test_victims_by_the_kernels_own_line(line: str, who: str | None) -> None:
    assert victim(line) == who
