"""The alerts about the host: what fires at which figures, what is told of it, and what explains what."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wbagent.alerts import clock, cpu, disk, failed_units, memory
from wbagent.alerts.condition import Condition, compose
from wbagent.alerts.cpu import CpuWatch
from wbagent.alerts.judging import judge
from wbagent.alerts.message import Message
from wbagent.alerts.words import LANGUAGES
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.disk import FileSystem, Space
from wbagent.monitor.rules import INACTIVE, Severity, Transition
from wbagent.monitor.samples import Collector
from wbagent.state import State

UNITS = Path(__file__).parents[3] / "units"
SETTINGS = Settings.model_validate({"alerts": {"to": ["json://one.example.com/"]}})
GIB = 1024**3


def at(seconds: float) -> Moment:
    return Moment(1_000_000.0 + seconds, seconds, "boot")


def system(used: float, inodes: float = 10.0, size: int = 100 * GIB) -> FileSystem:
    """One of this size, so many percent of its space and inodes used."""
    taken = int(size * used / 100)
    space = Space(size, taken, size - taken, 1000, 1000 - int(10 * inodes))
    return FileSystem("/var/lib/mysql", ("mysql", "state"), space)


def breaching(conditions: tuple[Condition, ...]) -> set[str]:
    return {each.kind for each in conditions if each.value is not None and each.value >= each.above}


@pytest.mark.parametrize(
    ("each", "full_in", "kinds"),
    [
        (system(89), None, set()),
        (system(91), None, {disk.LOW}),
        (system(98), None, {disk.LOW, disk.FULL}),
        (system(50, inodes=91), None, {disk.INODES}),
        (system(50), 86401.0, set()),
        (system(50), 3600.0, {disk.FILLING}),
    ],
)
def test_disks(each: FileSystem, full_in: float | None, kinds: set[str]) -> None:
    assert breaching(disk.conditions_of(SETTINGS, each, full_in)) == kinds


def test_bytes_count_too_where_that_is_wanted() -> None:
    settings = Settings.model_validate({"monitor": {"disk": {"free_below": "60G"}}})
    assert breaching(disk.conditions_of(settings, system(50), None)) == {disk.LOW}
    assert breaching(disk.conditions_of(settings, system(30), None)) == set()


def look(state: State, conditions: tuple[Condition, ...], seconds: float) -> tuple[Message, ...]:
    return judge(state, SETTINGS.alerts, disk.KINDS, conditions, at(seconds))


def told(state: State, each: FileSystem, begin: float, full_in: float | None = None) -> list[str]:
    """The titles told while it is like this for an hour, looked at each minute."""
    looks = [look(state, disk.conditions_of(SETTINGS, each, full_in), begin + 60 * number) for number in range(60)]
    return [message.title for messages in looks for message in messages]


def test_one_message_for_each_step_and_none_for_what_follows_from_it(state: State) -> None:
    assert told(state, system(50), 0, full_in=7200.0) == ["disk /var/lib/mysql is full in 2h"]
    assert told(state, system(92), 3600, full_in=7200.0) == ["disk /var/lib/mysql: 92 % full, 8.00G left"]
    assert told(state, system(99), 7200) == [
        "disk /var/lib/mysql is FULL: 99 %, 1.00G left",
        "disk /var/lib/mysql does not fill up any more",
    ]
    over = told(state, system(20), 10800)
    assert sorted(over) == [
        "disk /var/lib/mysql has room again",
        "disk /var/lib/mysql is no longer full",
    ]


def test_a_disk_that_is_full_at_once_is_one_message(state: State) -> None:
    assert told(state, system(99), 0, full_in=60.0) == ["disk /var/lib/mysql is FULL: 99 %, 1.00G left"]
    assert told(state, system(50), 3600) == ["disk /var/lib/mysql is no longer full"]


def test_one_message_about_a_file_system_that_hangs(state: State) -> None:
    hung = FileSystem("/mnt/nas", ("volume",), None, "it does not answer within 5 s", hangs=True)
    assert told(state, hung, 0) == ["disk /mnt/nas (the server's volume) does not answer"]
    well = FileSystem("/mnt/nas", ("volume",), system(10).space)
    assert told(state, well, 3600) == ["disk /mnt/nas answers again"]


def test_one_message_about_a_file_system_that_cannot_be_seen(state: State) -> None:
    unseen = FileSystem("/mnt/nas", ("volume",), None, "/mnt/nas: Permission denied")
    assert told(state, unseen, 0) == ["not watched: disk /mnt/nas (the server's volume) is full"]
    assert told(state, FileSystem("/mnt/nas", ("volume",), system(10).space), 3600) == [
        "watched again: disk /mnt/nas (the server's volume) is full"
    ]


def test_the_past_is_read_and_says_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hours in which 2 GiB an hour went, stored as the agent does it."""
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    collector, begin = Collector(), 1_799_971_200.0
    for minute in range(240):
        now = Moment(begin + 60 * minute, 60.0 * minute, "boot")
        left = 20 * GIB - 2 * GIB * minute // 60
        each = FileSystem("/", ("state",), Space(100 * GIB, 100 * GIB - left, left, 0, 0))
        collector.take(disk.samples_of(each), now.wall)
        collector.store(tmp_path / "samples.db", now)
    (seconds,) = disk.ends([each], now).values()
    assert seconds == pytest.approx(6 * 3600, rel=0.02)


def test_without_a_past_nothing_is_foretold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    assert disk.ends([system(50)], at(0)) == {}


def test_dockers_root_is_where_its_configuration_says(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    assert disk.docker_root(path) == "/var/lib/docker"
    for text in ("{", "[]", '{"data-root": 7}'):
        path.write_text(text)
        assert disk.docker_root(path) == "/var/lib/docker"
    path.write_text('{"data-root": "/srv/docker"}')
    assert disk.docker_root(path) == "/srv/docker"


@pytest.mark.parametrize(
    ("found", "waiting", "kills", "kinds"),
    [
        ((6 * GIB, 100 * GIB), 19.0, [], set()),
        ((5 * GIB, 100 * GIB), 0.0, [], {memory.LOW}),
        ((50 * GIB, 100 * GIB), 20.0, [], {memory.WAITING}),
        ((50 * GIB, 100 * GIB), None, [""], {memory.KILLED}),
    ],
)
def test_memory(found: tuple[int, int], waiting: float | None, kills: list[str], kinds: set[str]) -> None:
    assert breaching(memory.conditions(SETTINGS, found, waiting, kills)) == kinds


def test_what_the_kernel_does_not_say_is_no_data() -> None:
    low, waiting, killed = memory.conditions(SETTINGS, None, None, None)
    assert (low.value, waiting.value, killed.value) == (None, 0.0, None)


def message(condition: Condition, language: str = "en") -> Message:
    return compose(condition, Transition.FIRING, INACTIVE, at(0), language)


def test_kills_name_the_newest_victims() -> None:
    *_, killed = memory.conditions(
        SETTINGS, (GIB, 2 * GIB), None, ["mysql.service (mysqld)", "", "wandb.slice (gorilla)"]
    )
    assert message(killed).title == "killed for want of memory: wandb.slice (gorilla), mysql.service (mysqld)"
    assert "The kernel killed 3 in the last 10min" in message(killed).what
    assert killed.severity is Severity.CRITICAL
    *_, killed = memory.conditions(SETTINGS, (GIB, 2 * GIB), None, [""])
    assert message(killed).title == "killed for want of memory: a process of this host (journalctl -k names it)"


def test_a_clock_says_whether_there_is_a_service_to_look_at() -> None:
    for service, advice in ((True, "NTP (UDP 123)"), (False, "apt install")):
        found = clock.condition(SETTINGS, False, service=service)
        assert found.value == 1.0
        assert advice in message(found).remedy
    assert clock.condition(SETTINGS, None, service=False, reason="the bus is away").value is None


def test_every_unit_is_told_by_itself_by_the_agent_or_here() -> None:
    """A new unit has OnFailure=, or is listed, or is named here with who tells of it."""
    elsewhere = {
        # The agent: restarts, crash loops, a server that is down.
        "wandb-local.service",
        # The caller, who sees its connection end; they are collected when they fail.
        "wandb-local-mysql@.service",
        "wandb-local-files@.service",
        "wandb-local-drill@.service",
    }
    tell, watched = set(), {unit.replace("alert@", "alert@%") for unit in failed_units.UNITS}
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        if "OnFailure=wbagent-alert@%n.service" in path.read_text().splitlines():
            tell.add(path.name)
        elif path.name != "wbagent-alert@.service":
            assert path.name in elsewhere | watched, path.name
    assert {f"wbagent-alert@{unit}.service" for unit in tell} == {
        unit for unit in failed_units.UNITS if unit.startswith("wbagent-alert@")
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_are_whole_on_a_phone(language: str) -> None:
    """None is cut, with the longest facts that are likely."""
    settings = Settings.model_validate({"alerts": {"language": language}})
    facts = {
        "who": "docker-0123456789abcdef0123456789abcdef… 45 %, wbagent-backup.service 30 %, mysql.service 20 %",
        "database": "mysql-primary.internal.example.com",
    }
    beside = cpu.words(language, facts["who"], "5min", (98.0, 3.0), 80.0, facts["database"])
    conditions = [
        cpu.condition(settings.monitor.cpu, 87.0, beside),
        cpu.unit_condition(settings.monitor.cpu, "wbagent-backup.service", 40.0, 87.0),
        clock.condition(settings, False, service=True),
        clock.condition(settings, False, service=False),
        failed_units.condition(settings, "wandb-local-mysql.socket", {"Result": "trigger-limit-hit"}),
        *disk.conditions_of(settings, system(98), 7200.0),
        *memory.conditions(settings, (GIB, 100 * GIB), 50.0, ["mysql.service (mysqld)"] * 2),
    ]
    for condition in conditions:
        found = message(condition, language)
        assert "…" not in found.body().replace(facts["who"], ""), found.body()
        assert "…" not in found.subject()
        assert "{" not in found.subject() + found.body()


def test_one_stray_look_does_not_end_the_alert_about_the_clock(state: State) -> None:
    looks = [False] * 8 + [True] + [False] * 3 + [True] * 3
    told: list[tuple[int, str]] = []
    for number, good in enumerate(looks):
        found = clock.condition(SETTINGS, good, service=True)
        told += [
            (number, each.kind.value) for each in judge(state, SETTINGS.alerts, {"clock"}, [found], at(300.0 * number))
        ]
    assert told == [(6, "firing"), (13, "resolved")]


def test_the_busiest_processor_is_of_the_same_time_as_the_figure_for_all() -> None:
    """Over the window it was the mean of a calm and a busy time: less than all of them were said to be now."""
    settings, watch, parts = Settings.model_validate({"monitor": {"cpu": {"above_percent": 0.001}}}), CpuWatch(), None
    watch.look(settings, Moment.now())
    while not (parts and parts["cores"]):
        (found,) = watch.look(settings, Moment.now()).conditions
        parts = {name: str(value) for name, value in found.facts.items()}
    busy = float(parts["busy"].removesuffix(" %"))
    most, least = (float(figure) for figure in re.findall(r"(\d+) %", parts["cores"]))
    assert least - 1 <= busy <= most + 1
    assert re.search(r"Over the last \d+", parts["who"]) or not parts["who"]
