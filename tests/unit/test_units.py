"""What is installed beside the program agrees with it: units, polkit rule, journal catalogs, package."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import click
import pytest

import wbagent
from wbagent import events
from wbagent.backup import drill_key
from wbagent.cli.main import cli
from wbagent.systemd import unit_names

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "units"
SERVICES = sorted(UNITS.glob("*.service"))
OF_THE_JOBS = UNITS / "wbagent-.service.d" / "hardening.conf"

# What an exec environment of ours may differ in; anything else is an accident.
_OWN = {"User", "Group", "DynamicUser", "SupplementaryGroups", "StateDirectory", "StateDirectoryMode", "ReadWritePaths"}
_OWN |= {"ProcSubset", "RestrictAddressFamilies"}


def _settings(path: Path) -> list[tuple[str, str]]:
    # A backslash at a line's end joins the next one to it with a space.
    lines = re.sub(r"\\\n\s*", " ", path.read_text()).splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return [(key, value) for key, _, value in pairs]


def _values(path: Path, key: str) -> list[str]:
    return [value for name, value in _settings(path) if name == key]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_commands_exist(path: Path) -> None:
    commands = [line for key in ("ExecStartPre", "ExecStart", "ExecStopPost") for line in _values(path, key)]
    assert commands
    for line in commands:
        if lean := re.fullmatch(
            r"/usr/bin/python3 -I -c 'from (wbagent[.]\w+[.]__main__) import main; main\(\)'", line
        ):
            assert callable(importlib.import_module(lean[1]).main)
            continue
        # What the sandbox, or StateDirectory=, needs made anew: tests/host removes it.
        if line.endswith(
            "/usr/bin/systemd-tmpfiles --create --prefix=/var/lib/wbagent wbagent.conf" + "'" * ("sh -c" in line)
        ):
            continue
        # What stands in a shell's condition, as the clean-up does.
        program, *words = re.sub(r"^\+/bin/sh -c '.* --bounding-set=-all (.*) ;; esac'$", r"\1", line).split()
        # Of root's own and of no consequence when they fail: systemd.service(5), COMMAND LINES.
        assert program.removeprefix("-+") == "/usr/bin/wbagent"
        command: click.Command = cli
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words[0])
            assert found, f"{line}: there is no {words[0]}"
            command = found
            words = words[1:]
        # Raises UsageError for an option or argument that the command does not take; %i stands for itself.
        command.make_context(command.name, words)


def test_units_that_the_program_names_are_installed() -> None:
    named = {value for name, value in vars(unit_names).items() if name.endswith("_UNIT")}
    assert named <= {path.name for path in SERVICES}
    assert len(named) > 1


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_failure_is_told(path: Path) -> None:
    # The agent tells of the server's restarts: OnFailure= would fire at every crash of a crash loop.
    silent = {
        "wandb-local-drill@.service",
        "wandb-local-files@.service",
        "wandb-local-mysql@.service",
        "wandb-local-bucket@.service",
    }
    silent |= {"wbagent-deliver.service", "wbagent-alert@.service", "wandb-local.service"}
    assert _values(path, "OnFailure") == ([] if path.name in silent else ["wbagent-alert@%n.service"])


@pytest.mark.parametrize("name", ["wbagent-alert@.service", "wbagent-deliver.service"])
def test_what_waits_in_the_outbox_is_no_failed_unit(name: str) -> None:
    assert _values(UNITS / name, "SuccessExitStatus") == ["75"]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_nothing_waits_for_ever(path: Path) -> None:
    if _values(path, "Type") == ["oneshot"]:
        assert _values(path, "TimeoutStartSec")
    else:
        assert _values(path, "WatchdogSec") or _values(path, "RuntimeMaxSec")


@pytest.mark.parametrize("name", ["wbagent.service", "wandb-local.service"])
def test_sandboxes_are_alike(name: str) -> None:
    shared = [pair for pair in _settings(OF_THE_JOBS) if pair[0] not in _OWN]
    own = _settings(UNITS / name)
    assert [pair for pair in shared if pair not in own] == []


def test_the_upgrade_has_a_sandbox_of_its_own() -> None:
    # The same name: systemd takes the file of the unit's own directory instead of the shared one.
    own = UNITS / "wbagent-upgrade.service.d" / OF_THE_JOBS.name
    assert _values(own, "User") == ["root"]
    wider = {"CapabilityBoundingSet", "PrivateUsers", "PrivateTmp", "ProtectHome", "RemoveIPC", "SystemCallFilter"}
    shared = [pair for pair in _settings(OF_THE_JOBS) if pair[0] not in _OWN | wider]
    assert [pair for pair in shared if pair not in _settings(own)] == []


def test_what_stands_behind_a_socket_has_a_sandbox_as_strict() -> None:
    shared = [pair for pair in _settings(OF_THE_JOBS) if pair[0] not in _OWN | {"ImportCredential", "UMask"}]
    own = _settings(UNITS / "wandb-local-.service.d" / "hardening.conf")
    assert [pair for pair in shared if pair not in own] == []
    assert ("DynamicUser", "yes") in own
    for path in UNITS.glob("wandb-local-*@.service"):
        assert _values(path, "RestrictAddressFamilies")
        assert _values(path.with_name(path.name.replace("@.service", ".socket")), "SocketMode") == ["0660"]


def test_jobs_get_the_shared_sandbox() -> None:
    jobs = {path.name for path in SERVICES if path.name.startswith("wbagent-")} - {"wbagent-upgrade.service"}
    assert jobs == {f"wbagent-{job}.service" for job in ("alert@", "backup", "binlog", "deliver", "drill")}
    for name in jobs:
        assert not _values(UNITS / name, "User"), "the drop-in gives it; a second one would win or lose unseen"


def test_backup_and_drill_share_the_directory_of_the_one_time_key() -> None:
    for unit in ("wbagent-backup.service", "wbagent-drill.service"):
        assert _values(UNITS / unit, "RuntimeDirectory") == [drill_key.DIRECTORY.name]
        assert _values(UNITS / unit, "RuntimeDirectoryMode") == ["0700"]
        assert _values(UNITS / unit, "RuntimeDirectoryPreserve") == ["yes"]


def test_polkit_rule_names_the_services() -> None:
    rule = (UNITS / "wbagent.rules").read_text()
    listed = re.search(r"units = \[(.*?)\]", rule, re.DOTALL)
    assert listed
    named = set(re.findall(r'"([^"]+)"', listed[1]))
    # The upgrade is root's: user wbagent must not choose what image runs.
    assert named == {path.name for path in SERVICES if "@" not in path.name} - {"wbagent-upgrade.service"}
    assert r"wbagent-alert@" in rule


def test_everything_is_packaged() -> None:
    lines = (ROOT / "debian/wbagent.install").read_text().splitlines()
    sources = {line.split()[0] for line in lines}
    for path in UNITS.rglob("*"):
        if path.is_file():
            relative = path.relative_to(ROOT)
            assert {str(relative), str(relative.parent)} & sources, f"{relative} is not installed"
    for source in sources:
        assert source.startswith("build/") or (ROOT / source).exists()


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packaged = re.match(r"wbagent \(([^)]+)\)", (ROOT / "debian/changelog").read_text())
    assert packaged
    assert packaged[1] == project["version"] == wbagent.__version__
    assert f"## [{wbagent.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    for page in (ROOT / "docs/man").glob("*.md"):
        assert f'"wbagent {wbagent.__version__}"' in page.read_text().splitlines()[0]


# --- the journal's catalogs ---

NAMED = {
    name.lower().replace("_", "-"): value
    for name, value in vars(events).items()
    if isinstance(value, str) and name.isupper()
}
NAMED |= {f"alert-{kind}": value for kind, value in events.ALERTS.items()}
EVENTS = {value: name for name, value in NAMED.items()}


def _catalog(name: str) -> dict[str, str]:
    entries = re.split(r"^-- ([0-9a-f]{32})\n", (UNITS / name).read_text(), flags=re.MULTILINE)
    ids, texts = entries[1::2], entries[2::2]
    assert len(set(ids)) == len(ids), "an entry is there twice"
    return dict(zip(ids, texts, strict=True))


@pytest.mark.parametrize(("name", "advice"), [("wbagent.catalog", "To do"), ("wbagent.ja.catalog", "対処")])
def test_every_event_is_explained(name: str, advice: str) -> None:
    catalog = _catalog(name)
    assert {EVENTS[entry] for entry in catalog} == set(EVENTS.values())
    for entry, text in catalog.items():
        header, _, body = text.partition("\n\n")
        assert header.startswith("Subject: "), EVENTS[entry]
        assert "\nDefined-By: wbagent\nSupport: man:wbagent(8)" in header, EVENTS[entry]
        assert advice in body, EVENTS[entry]


def test_catalogs_use_the_same_fields() -> None:
    english, japanese = _catalog("wbagent.catalog"), _catalog("wbagent.ja.catalog")
    for entry, name in EVENTS.items():
        fields = [set(re.findall(r"@([A-Z_]+)@", catalog[entry])) for catalog in (english, japanese)]
        assert fields[0] == fields[1], name


def test_ids_are_unique() -> None:
    assert len(EVENTS) == len(NAMED)
    assert [name for name, value in NAMED.items() if not re.fullmatch("[0-9a-f]{32}", value)] == []


def test_every_event_is_in_the_manual_with_its_id() -> None:
    """What is there can be typed behind MESSAGE_ID=."""
    text = (ROOT / "docs/man/wbagent.8.md").read_text()
    logs = text[text.index("# LOGS") : text.index("# SECURITY")]
    assert {name: id_ for id_, name in re.findall(r"^    ([0-9a-f]{32})  (\S+)$", logs, re.MULTILINE)} == NAMED
