"""What the tests need of the machine: packages that apt installs, and a Python environment shared by all clones."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path

from tests.testbed.cache import cached
from tests.testbed.command import run
from tests.testbed.missing import lacking_packages

ROOT = Path(__file__).parents[2]
Say = Callable[[str], None]


def install_packages(say: Say, *, hosts: bool) -> None:
    """Install by apt what this machine lacks for the Python environment and, when asked, for booting hosts; as root."""
    found = {
        "gcc": shutil.which("gcc"),
        "git": shutil.which("git"),
        "pkg-config": shutil.which("pkg-config"),
        "libsystemd-dev": _has_libsystemd(),
        "python3-dev": Path(sysconfig.get_path("include"), "Python.h").exists(),
        # For this Python, and for Debian's own, which W&B's client is installed with as its users do.
        "python3-venv": importlib.util.find_spec("ensurepip") and (not hosts or _debian_has_venv()),
    }
    if hosts:
        found["faketime"] = faketime() is not None
    lacking = sorted(package for package, present in found.items() if not present)
    if hosts:
        lacking += lacking_packages()
    if not lacking or not shutil.which("apt-get"):
        return
    say(f"installing by apt: {' '.join(lacking)}")
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    run([*apt, "update"], timeout=300)
    run([*apt, "install", "--yes", "--no-install-recommends", *lacking], timeout=600)


def faketime() -> Path | None:
    """The library that shows one program another time, and can change it while that runs; None where it is not."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def python(say: Say) -> str:
    """Return the Python that has the project's and its tests' dependencies, installing them when they are missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    if not _has_libsystemd():
        # pystemd comes as source only. The unit tests do without; as root its headers have just been installed.
        wanted = [requirement for requirement in wanted if not requirement.startswith("pystemd")]

    def build(directory: Path) -> None:
        say("installing the Python dependencies")
        venv = directory / "venv"
        run([sys.executable, "-m", "venv", str(venv)], timeout=120)
        pip = [str(venv / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        run([*pip, *wanted], timeout=900)
        say("the Python dependencies are installed")

    # The project itself is not installed: every clone uses the same environment, each with its own source.
    directory = cached("python", "\n".join([sys.executable, sys.version, *wanted]), build)
    return str(directory / "venv/bin/python")


def variables() -> dict[str, str]:
    """Return the environment in which this clone's modules are found."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def _debian_has_venv() -> bool:
    own = Path("/usr/bin/python3")
    return own.exists() and run([str(own), "-c", "import ensurepip"], check=False).returncode == 0


def _has_libsystemd() -> bool:
    if not shutil.which("pkg-config"):
        return False
    return run(["pkg-config", "--exists", "libsystemd"], check=False).returncode == 0
