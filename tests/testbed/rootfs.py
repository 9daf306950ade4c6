"""Root file systems of the test bed: Debian trees made by mmdebstrap from the machine's own mirror, cached."""

from __future__ import annotations

import inspect
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.cache import cached, entry_path
from tests.testbed.errors import BedError

_SYSTEM = "acl age ca-certificates dbus iproute2 libpam-systemd polkitd procps python3 systemd systemd-sysv zstd"
_WBAGENT = (
    "apprise python3-apscheduler python3-boto3 python3-click python3-docker python3-jinja2 python3-prometheus-client "
    "python3-psutil python3-pydantic-settings python3-pymysql python3-pystemd python3-rich python3-structlog "
    "python3-zstandard"
)

# Only what this product installs keeps its documentation: tests look at it, and dpkg writes much less.
_DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
    "path-include=/usr/share/doc/wbagent*",
    "path-include=/usr/share/man/*wbagent*",
)


Step = Callable[[Path], None]


@dataclass(frozen=True)
class Recipe:
    """What a root file system is made of: packages of a Debian suite, then steps that complete the tree.

    Each step gets the tree's directory. `needs` are other trees that a step takes something from.
    """

    name: str
    suite: str
    packages: str
    steps: tuple[Step, ...] = ()
    needs: tuple[Recipe, ...] = ()

    def text(self) -> str:
        """Return everything that decides about the result, for the cache's key."""
        steps = (inspect.getsource(step) for step in self.steps)
        return "\n".join((self.suite, self.packages, *_DPKG_OPTIONS, *steps, *(tree.text() for tree in self.needs)))


def root_file_system(recipe: Recipe) -> Path:
    """Return the cached directory of the recipe's tree; read-only for the caller, who mounts or copies it."""

    def build(directory: Path) -> None:
        _mmdebstrap(recipe, directory)
        for step in recipe.steps:
            step(directory)

    return cached(recipe.name, recipe.text(), build)


def is_cached(recipe: Recipe) -> bool:
    """Whether the tree is there already."""
    return entry_path(recipe.name, recipe.text()).is_dir()


def _mmdebstrap(recipe: Recipe, directory: Path) -> None:
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    command += [f"--aptopt={line}" for line in _apt_options()]
    command += [f"--dpkgopt={line}" for line in _DPKG_OPTIONS]
    command += [f"--include={','.join(recipe.packages.split())}", recipe.suite, str(directory), mirror()]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BedError(f"mmdebstrap could not make the tree {recipe.name!r}:\n{result.stderr[-3000:]}")


def mirror() -> str:
    """Return the address of the Debian mirror that this machine's apt installs its own release from."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.MULTILINE))
    suite = release.get("VERSION_CODENAME", "")
    command = ["apt-get", "indextargets", "--format", "$(CREATED_BY) $(RELEASE) $(SITE)", f"Release: {suite}"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        created_by, _, address = line.split(" ", 2)
        if created_by == "Packages":
            return address
    raise BedError(f"apt on this machine has no source for Debian {suite or '(unknown release)'}")


def _apt_options() -> list[str]:
    """Return apt's settings that a tree needs: proxies of this machine, and no expiry of sid's indexes."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    wanted = re.compile(r'Acquire::(https?::|Check-Date)\S* ".+";')
    return [
        'Acquire::Retries "3"',
        'Acquire::Check-Valid-Until "false"',
        'Acquire::Languages "none"',
        *(line for line in dump.splitlines() if wanted.fullmatch(line)),
    ]


def _add_mysql_client(tree: Path) -> None:
    """Give a Debian 13 host MySQL's own client, which Debian 13 does not package: sid's, with its libraries."""
    source = root_file_system(DATABASE_HOST)
    client = tree / "opt/mysql-client"
    for directory in ("bin", "lib", "libexec"):
        (client / directory).mkdir(parents=True)
    for program in ("mysql", "mysqldump"):
        listing = subprocess.run(
            ["chroot", source, "ldd", f"/usr/bin/{program}"], capture_output=True, text=True, check=True
        ).stdout
        libraries = set(re.findall(r"(/\S+) \(0x", listing))
        files = [source / library.lstrip("/") for library in libraries]
        subprocess.run(["cp", "--dereference", "--", *files, client / "lib"], check=True)
        subprocess.run(["cp", "--", source / "usr/bin" / program, client / "libexec"], check=True)
        wrapper = client / "bin" / program
        wrapper.write_text(
            "#!/bin/sh\nexec /opt/mysql-client/lib/ld-linux-x86-64.so.2 "
            f'--library-path /opt/mysql-client/lib /opt/mysql-client/libexec/{program} "$@"\n'
        )
        wrapper.chmod(0o755)


def _forget_builder(tree: Path) -> None:
    """Take out what MySQL's installation noted about the machine that the tree was built on."""
    # Every server makes its own identity at its first start: a shared one breaks replication.
    (tree / "var/lib/mysql/auto.cnf").unlink(missing_ok=True)
    # Written when port 3306 is taken, by a MySQL of the developer's own for instance.
    (tree / "etc/mysql/mysql.conf.d/99-port-backoff.cnf").unlink(missing_ok=True)


def _settle(tree: Path) -> None:
    """Leave out what a host of the bed has no use for, so that it boots fast and comes up as `running`."""
    units = (
        "apt-daily.timer apt-daily-upgrade.timer console-getty.service dpkg-db-backup.timer e2scrub_all.timer "
        "fstrim.timer ldconfig.service man-db.timer nftables.service systemd-modules-load.service "
        "systemd-networkd-wait-online.service systemd-networkd.service systemd-update-done.service"
    )
    for unit in units.split():
        link = tree / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    for name in ("etc/hostname", "etc/resolv.conf"):
        (tree / name).unlink(missing_ok=True)


DATABASE_HOST = Recipe(
    "database-host", "sid", f"{_SYSTEM} {_WBAGENT} mysql-server mysql-client", (_forget_builder, _settle)
)
# In Debian 13 the `docker` command is a package of its own, apart from the daemon.
HOST = Recipe(
    "host",
    "trixie",
    f"{_SYSTEM} {_WBAGENT} docker.io docker-cli iptables",
    (_add_mysql_client, _settle),
    needs=(DATABASE_HOST,),
)
MYSQL = DATABASE_HOST  # One tree serves both: a second one would cost more than it saves.
REGISTRY = Recipe("registry", "trixie", "docker-registry")
# What restores a backup without wbagent. MinIO's mc is called minio-client in Debian.
TOOLS = Recipe("tools", "trixie", "age minio-client zstd")
# What people read the report with.
BROWSER = Recipe("browser", "trixie", "chromium-headless-shell fonts-dejavu-core")
PROMETHEUS = Recipe("prometheus", "trixie", "prometheus")
# What operators put before the server.
FRONTS = Recipe("fronts", "trixie", "nginx-light haproxy caddy")
CEPH = Recipe("ceph", "sid", "ceph-mon ceph-osd ceph-mgr radosgw ceph-common procps iproute2")
BUILDER = Recipe(
    "builder",
    "trixie",
    "build-essential debhelper dh-python fakeroot go-md2man lintian pybuild-plugin-pyproject "
    f"python3-all python3-setuptools {_WBAGENT}",
)
