"""What a support bundle is made of: for each of its files the program that says it, and what it is for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wbagent
from wbagent.systemd.unit_names import AGENT_UNIT, SERVER_UNIT

# The product's units, and what they stand on.
UNITS: Final = (
    "wandb-local.service", "wbagent.service", "wbagent-backup.service", "wbagent-drill.service",
    "wbagent-binlog.service", "wbagent-deliver.service", "wbagent-upgrade.service", "wandb.slice",
    "wandb-local-mysql.socket", "wandb-local-files.socket", "wandb-local-drill.socket",
)  # fmt: skip
_BESIDE: Final = ("docker.service", "containerd.service", "mysql.service", "mysqld.service", "nginx.service")
_PACKAGES: Final = (
    "wbagent", "docker*", "containerd*", "mysql*", "percona*", "mariadb*", "systemd", "python3-boto3",
    "python3-pymysql", "apprise", "nginx*", "haproxy", "caddy",
)  # fmt: skip
_LINES: Final = 3000
_FEWER_LINES: Final = 500
_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the bundle. `newest`: its end is what matters, not its beginning; `file`: what the program writes."""

    name: str
    what: str
    command: Sequence[str | Path]
    limit_s: float = 20.0
    most_bytes: int = 2 * _MEBIBYTE
    newest: bool = False
    file: Path | None = None


def parts(configuration: Path, page: Path) -> tuple[Part, ...]:
    """All of them; the report is written to `page`, since it wants a file."""
    return (*_of_the_product(configuration, page), *_of_units(), *_of_the_host())


def environment() -> dict[str, str]:
    """In which this very wbagent is found again, and programs say their things in one language."""
    path = os.pathsep.join(filter(None, (str(Path(wbagent.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "NO_COLOR": "1"}


def _of_the_product(configuration: Path, page: Path) -> tuple[Part, ...]:
    # -P: the working directory may be anybody's.
    program = (sys.executable, "-P", "-m", "wbagent.cli.main", "--config", configuration)

    def say(name: str, what: str, *arguments: str | Path, limit_s: float = 30.0, file: Path | None = None) -> Part:
        return Part(f"wbagent/{name}", what, (*program, *arguments), limit_s, file=file)

    # Without a file the host itself is worth checking all the same.
    checked = configuration if os.path.lexists(configuration) else Path(os.devnull)
    return (
        say("version.txt", "this release of wbagent", "--version"),
        Part("wbagent/checks.json", "everything that W&B's guide asks for, measured (wbagent check)",
             (*program[:-1], checked, "check", "--json"), limit_s=150.0),
        say("config.json", "the configuration, masked, and where each value comes from", "config", "show", "--json"),
        say("config-check.txt", "what is wrong with the configuration, or remarkable", "config", "check"),
        say("status.json", "server, database, backups and alerts now", "status", "--json"),
        say("server-history.json", "starts and ends of the server, with the evidence", "server", "history", "--json",
            "--last", "100"),
        say("server-diff.txt", "what a restart of the server would change", "server", "diff"),
        say("upgrade.txt", "the last upgrade of the server", "server", "upgrade", "--status"),
        say("alerts.json", "what fires, and what waits to be delivered", "alerts", "list", "--json"),
        say("alerts-history.json", "what has fired", "alerts", "history", "--json"),
        say("backups.json", "the backups, with their proofs", "backup", "list", "--all", "--json"),
        say("binlog.json", "how far binary logs are stored", "binlog", "status", "--json"),
        say("report.html", "a page to look at: processors, outages, disks, alerts of the last month", "report",
            "-o", page, limit_s=60.0, file=page),
    )  # fmt: skip


def _of_units() -> tuple[Part, ...]:
    status = ("systemctl", "--no-pager", "--full", "--lines=0", "status", *UNITS, *_BESIDE)
    parts = [
        Part("units/status.txt", "what the units do", status),
        Part("units/properties.txt", "the units' properties", ("systemctl", "show", "--no-pager", *UNITS)),
        Part("units/files.txt", "the unit files as they are in force, drop-ins too",
             ("systemctl", "cat", "--no-pager", *UNITS, "docker.service")),
        Part("units/failed.txt", "every unit of this host that has failed",
             ("systemctl", "--no-pager", "--plain", "--failed", "list-units")),
    ]  # fmt: skip
    for unit in (unit for unit in UNITS if unit.endswith(".service")):
        lines = _LINES if unit in {SERVER_UNIT, AGENT_UNIT} else _FEWER_LINES
        what = "the last lines of the unit" + (", its container's among them" if unit == SERVER_UNIT else "")
        parts.append(_journal(unit.removesuffix(".service"), what, lines, f"--unit={unit}"))
    # Not what containers print, which dockerd writes too.
    docker = ("--unit=docker.service", "--identifier=dockerd")
    parts.append(_journal("docker", "the last lines of Docker's daemon", _FEWER_LINES, *docker))
    kernel = ("--dmesg", "--priority=warning")
    parts.append(_journal("kernel", "the kernel's warnings: memory, disks", _FEWER_LINES, *kernel))
    return tuple(parts)


def _journal(name: str, what: str, lines: int, *selection: str) -> Part:
    command = ("journalctl", "--no-pager", "--quiet", "--output=short-iso-precise", f"--lines={lines}", *selection)
    return Part(f"journal/{name}.txt", what, command, limit_s=30.0, most_bytes=4 * _MEBIBYTE, newest=True)


def _of_the_host() -> tuple[Part, ...]:
    asked = {
        "kernel.txt": ("the kernel", ("uname", "-a")),
        "os-release.txt": ("the distribution", ("cat", "/etc/os-release")),
        "systemd.txt": ("systemd's version", ("systemctl", "--version")),
        "docker-version.txt": ("Docker's version", ("docker", "version")),
        "docker-info.txt": ("Docker's settings", ("docker", "info")),
        "docker-containers.txt": ("containers", ("docker", "ps", "--all", "--no-trunc", "--format", _CONTAINER)),
        "container.txt": ("the server's container", ("docker", "inspect", "--format", _DETAILS, "wandb-local")),
        "docker-images.txt": ("images", ("docker", "images", "--digests")),
        "docker-usage.txt": ("the containers' use of the host", ("docker", "stats", "--no-stream", "--all")),
        "packages.txt": ("packages that matter here", ("dpkg-query", "--show", *_PACKAGES)),
        "memory.txt": ("memory", ("cat", "/proc/meminfo", "/proc/pressure/memory")),
        "processors.txt": ("processors", ("lscpu",)),
        "load.txt": ("load, and for how long this host is up", ("uptime",)),
        "disks.txt": ("file systems", ("df", "--human-readable", "--print-type")),
        "inodes.txt": ("inodes", ("df", "--inodes")),
        "block-devices.txt": ("disks", ("lsblk", "--output", "NAME,TYPE,SIZE,ROTA,MODEL,MOUNTPOINTS")),
        "clock.txt": ("the clock", ("timedatectl", "status")),
        "listening.txt": ("who listens where", ("ss", "--listening", "--tcp", "--numeric", "--processes")),
        "addresses.txt": ("addresses", ("ip", "-brief", "address")),
    }
    return tuple(Part(f"host/{name}", what, command) for name, (what, command) in asked.items())


# Of the environment the names alone.
_DETAILS: Final = (
    "{{json .State}}{{println}}{{json .Config.Image}} {{.Image}}{{println}}{{json .HostConfig}}{{println}}"
    "{{json .Mounts}}{{println}}{{json .NetworkSettings}}{{println}}{{json .Config.Labels}}{{println}}"
    '{{range .Config.Env}}{{index (split . "=") 0}}{{println}}{{end}}'
)
# Not the command: it may hold anything.
_CONTAINER: Final = "{{.ID}} {{.Image}} {{.Names}} {{.Status}} {{.Ports}} {{.CreatedAt}}"
