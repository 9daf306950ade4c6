"""The package on a booted Debian 13: what it installs, leaves alone at an upgrade, stops and removes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.bed import Bed, configure, reload
from tests.testbed.command import run
from tests.testbed.host import Host
from tests.testbed.package import install, lint
from tests.testbed.watch import wait_for_property

UNITS = ("wbagent.service", "wandb-local.service", "wbagent-backup.service", "wbagent-deliver.service",
         "wbagent-binlog.service", "wbagent-drill.service")  # fmt: skip
SERVICES = (
    *UNITS,
    "wbagent-alert@wbagent.service.service",
    "wandb-local-mysql@1.service",
    "wandb-local-files@1.service",
    "wandb-local-drill@1.service",
)
# Root's: it edits the configuration and speaks to Docker.
UPGRADE = "wbagent-upgrade.service"
SOCKETS = ("wandb-local-mysql.socket", "wandb-local-files.socket", "wandb-local-drill.socket")
# Others write here all the time; none of it is the package's to remove.
_VOLATILE = (
    "/dev /proc /run /sys /tmp /var/cache /var/lib/apt /var/lib/containerd /var/lib/docker /var/lib/dpkg /var/log"
)


def test_lintian_is_content(booted: Bed) -> None:
    assert lint(booted.deb) == ""


def test_fresh_installation(hosts: Bed) -> None:
    web = hosts.web
    agent = wait_for_property(web, "wbagent.service", "ActiveState", "active")
    assert agent["UnitFileState"] == "enabled"
    assert "[server]" in agent["StatusText"], "the status line says what is missing"
    server = web.properties("wandb-local.service")
    assert (server["UnitFileState"], server["ActiveState"], server["Result"]) == ("disabled", "inactive", "success")
    assert web.run(["systemctl", "list-units", "--failed", "--quiet", "--plain", "--no-legend"]).stdout == ""
    assert web.read("/etc/wbagent.toml") == web.run(["wbagent", "config", "template"]).stdout
    owned = web.run(["stat", "--format=%n %a %U:%G", "/etc/wbagent.toml", "/etc/wbagent.toml.d", "/var/lib/wbagent"])
    assert owned.stdout.splitlines() == [
        "/etc/wbagent.toml 640 root:wbagent",
        "/etc/wbagent.toml.d 750 root:wbagent",
        "/var/lib/wbagent 750 wbagent:wbagent",
    ]
    files = web.run(["dpkg", "--listfiles", "wbagent"]).stdout.splitlines()
    for page in ("man5/wbagent.toml.5.gz", "man8/wbagent.8.gz"):
        assert f"/usr/share/man/{page}" in files
    assert web.run(["dpkg", "--verify", "wbagent"]).stdout == ""
    assert not web.run(["dpkg-query", "--show", "--showformat=${Conffiles}", "wbagent"]).stdout, "it never asks"


def test_units_are_correct(booted: Bed) -> None:
    # The manual pages are there, the `man` program is not.
    checked = booted.web.run(["systemd-analyze", "verify", "--man=no", *SERVICES, *SOCKETS, UPGRADE, "wandb.slice"])
    assert checked.stdout + checked.stderr == ""


@pytest.mark.parametrize(("unit", "limit"), [*((unit, 1.2) for unit in SERVICES), (UPGRADE, 2.5)])
def test_sandbox(booted: Bed, unit: str, limit: float) -> None:
    shown = booted.web.run(["systemd-analyze", "security", "--no-pager", unit]).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", shown)
    assert exposure
    assert float(exposure[1]) <= limit, shown


@pytest.mark.parametrize(
    ("verb", "unit", "allowed"),
    [
        ("reset-failed", "wbagent.service", True),
        ("try-restart", "wandb-local.service", True),
        ("start", "wbagent-deliver.service", True),
        ("stop", "wbagent-backup.service", True),
        ("stop", "wbagent-alert@wbagent.service.service", True),
        ("restart", "docker.service", False),
        ("stop", "dbus.service", False),
        ("start", "rescue.target", False),
        ("start", "wbagent-upgrade.service", False),
        ("stop", "wandb.slice", False),
        ("kill", "wbagent.service", False),
        ("enable", "wandb-local.service", False),
        ("mask", "wbagent-backup.service", False),
    ],
)
def test_agent_manages_its_own_units_only(booted: Bed, verb: str, unit: str, allowed: bool) -> None:
    command = ["systemctl", "--no-ask-password", "--no-block", verb, unit]
    result = booted.web.run(command, user="wbagent", check=False)
    assert (result.returncode == 0) is allowed, result.stderr
    if not allowed:
        assert re.search("Access denied|Interactive authentication required", result.stderr)


def test_state_is_readable_for_readers_of_the_journal(hosts: Bed) -> None:
    web = hosts.web
    wait_for_property(web, "wbagent.service", "ActiveState", "active")
    web.write("/var/lib/wbagent/backups/dump", "secret", mode=0o640, owner="wbagent:wbagent")
    reader = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=systemd-journal", "--"]
    assert web.run([*reader, "head", "--bytes=15", "/var/lib/wbagent/state.db"]).stdout == "SQLite format 3"
    for path in ("/var/lib/wbagent/backups/dump", "/etc/wbagent.toml"):
        denied = web.run([*reader, "cat", path], check=False)
        assert "Permission denied" in denied.stderr
    writing = web.run([*reader, "touch", "/var/lib/wbagent/state.db"], check=False)
    assert "Permission denied" in writing.stderr


def test_catalog_explains_an_event(hosts: Bed) -> None:
    wait_for_property(hosts.web, "wbagent.service", "ActiveState", "active")
    shown = hosts.web.run(["journalctl", "--catalog", "--no-pager", "--unit=wbagent.service", "--boot"]).stdout
    assert "Subject: wbagent has read its configuration" in shown
    # No Japanese locale is there to ask in: look into what journalctl reads.
    database = hosts.web.run(
        ["grep", "--text", "--fixed-strings", "wbagent が設定を", "/var/lib/systemd/catalog/database"]
    )
    assert database.stdout


def test_shell_completion(booted: Bed) -> None:
    asked = ["env", "_WBAGENT_COMPLETE=bash_complete", "COMP_WORDS=wbagent conf", "COMP_CWORD=1", "wbagent"]
    assert booted.web.run(asked).stdout == "plain,config\n"
    assert "_WBAGENT_COMPLETE=bash_complete" in booted.web.read("/usr/share/bash-completion/completions/wbagent")


# --- upgrade, removal, purge ---


@pytest.fixture
def life(hosts: Bed) -> Iterator[Bed]:
    """The bed for a test that takes the package away; it is as it was afterwards."""
    try:
        yield hosts
    finally:
        _purge(hosts.web)
        install(hosts.web, hosts.deb)


def test_upgrade_removal_purge(life: Bed, tmp_path: Path) -> None:
    web = life.web
    _purge(web)
    before = _everything(web)
    install(web, life.deb)
    # As a backup leaves it that was killed: a copy of the whole database.
    web.run(["install", "-d", "-m", "2770", "/var/lib/wbagent-clone/clone-0123"])
    web.write("/var/lib/wbagent-clone/clone-0123/ibdata1", "secret")

    configure(web, life.web_settings())
    web.run(["wbagent", "config", "check"])
    reload(web)
    web.run(["systemctl", "enable", "--now", "wandb-local.service"])
    serving = wait_for_property(web, "wandb-local.service", "ActiveState", "active")
    container = _containers(web)
    assert len(container) == 1
    agent = web.properties("wbagent.service")

    configuration = web.read("/etc/wbagent.toml")
    web.run(["chmod", "0644", "/etc/wbagent.toml"])

    install(web, _newer(life.deb, tmp_path))
    assert web.run(["dpkg-query", "--show", "--showformat=${Version}", "wbagent"]).stdout.endswith("+later")
    assert _containers(web) == container, "an upgrade leaves the server alone"
    after = web.properties("wandb-local.service")
    for name in ("MainPID", "InvocationID", "ActiveState", "UnitFileState", "NRestarts"):
        assert after[name] == serving[name]
    restarted = wait_for_property(web, "wbagent.service", "ActiveState", "active")
    assert restarted["MainPID"] != agent["MainPID"], "an upgrade restarts the agent"
    assert web.read("/etc/wbagent.toml") == configuration, "an upgrade leaves the configuration alone"
    assert web.run(["stat", "--format=%a", "/etc/wbagent.toml"]).stdout == "640\n"

    web.run(["systemctl", "stop", "wandb-local.service"])
    install(web, _newer(life.deb, tmp_path, "+latest"))
    assert web.properties("wandb-local.service")["ActiveState"] == "inactive", "an upgrade starts no stopped server"
    web.run(["systemctl", "start", "wandb-local.service"])

    _apt(web, "remove")
    assert _containers(web) == []
    assert not web.exists("/usr/bin/wbagent")
    assert web.exists("/etc/wbagent.toml")
    assert web.exists("/var/lib/wbagent-clone/clone-0123/ibdata1")
    for unit in UNITS:
        assert web.properties(unit)["ActiveState"] in {"inactive", "failed"}

    _purge(web)
    assert sorted(_everything(web) - before) == []
    for database in ("passwd", "group"):
        assert web.run(["getent", database, "wbagent"], check=False).returncode == 2
    assert web.run(["systemctl", "list-unit-files", "--no-legend", "wbagent*", "wandb*"], check=False).stdout == ""


def test_server_that_was_disabled_stays_so(life: Bed, tmp_path: Path) -> None:
    install(life.web, _newer(life.deb, tmp_path))
    server = life.web.properties("wandb-local.service")
    assert (server["UnitFileState"], server["ActiveState"]) == ("disabled", "inactive")


def _apt(web: Host, verb: str) -> None:
    web.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", verb, "--yes", "wbagent"], timeout=180)


def _purge(web: Host) -> None:
    # Unlike apt-get, content when there is nothing left to purge.
    web.run(["dpkg", "--purge", "wbagent"], timeout=180)


def _containers(web: Host) -> list[str]:
    return web.run(["docker", "ps", "--all", "--quiet", "--no-trunc", "--filter=name=wandb-local"]).stdout.split()


def _everything(web: Host) -> set[str]:
    """Every path of the root file system where nobody else writes."""
    pruned = [word for path in _VOLATILE.split() for word in ("-path", path, "-prune", "-o")]
    return set(web.run(["find", "/", "-xdev", *pruned, "-print"]).stdout.splitlines())


def _newer(deb: Path, directory: Path, suffix: str = "+later") -> Path:
    """The same package with a higher version."""
    tree, packed = directory / f"tree{suffix}", directory / f"wbagent{suffix}.deb"
    run(["dpkg-deb", "--raw-extract", str(deb), str(tree)])
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", rf"\1{suffix}", control.read_text(), flags=re.MULTILINE))
    run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(packed)])
    return packed
