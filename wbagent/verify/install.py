"""Makes a Python environment with the `wandb` client in it, apart from the system's packages."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from wbagent.checks.scratch import Scratch
from wbagent.errors import UsageError, WbagentError
from wbagent.verify.sandbox import environment, give, temporary_home, unprivileged

_LIMIT_S: Final = 600.0
# Of root: not in the state directory, into which the user that the client runs as may not look.
_OF_ROOT: Final = Path("/var/cache/wbagent/wandb-client")


def client_directory() -> Path:
    """Where it is, or would be made."""
    if os.geteuid() == 0:
        return _OF_ROOT
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "wbagent" / "wandb-client"


def install_client(scratch: Scratch) -> Path:
    """Make it with the newest client, or bring it up to date; what could not be finished is removed. WbagentError."""
    if importlib.util.find_spec("ensurepip") is None:
        raise UsageError(
            "Python's venv is not complete on this host: the package python3-venv is missing",
            hint="apt install python3-venv",
        )
    directory = client_directory()
    directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    whole = False
    with scratch.removed(lambda: None if whole else shutil.rmtree(directory, ignore_errors=True)):
        directory.mkdir(mode=0o755, exist_ok=True)
        give(directory)
        with temporary_home(scratch) as home:
            _run([sys.executable, "-m", "venv", str(directory)], home)
            python = str(directory / "bin" / "python")
            # Only built packages: nothing that comes along runs code of its own to install itself.
            pip = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--only-binary", ":all:", "--upgrade"]
            _run([*pip, "wandb"], home)
        whole = True
    return directory


def _run(command: list[str], home: Path) -> None:
    index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(home) | index,
            cwd=home,
            timeout=_LIMIT_S,
            check=False,
            **unprivileged(),
        )
    except subprocess.TimeoutExpired:
        raise WbagentError(
            f"the client could not be installed within {_LIMIT_S:g} s", hint="see whether this host reaches PyPI"
        ) from None
    if done.returncode:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith("ERROR")]
        raise WbagentError(
            f"the client could not be installed: {lines[-1] if lines else f'pip ended with {done.returncode}'}",
            hint="see whether this host reaches PyPI, and the proxy (https_proxy); or put wandb on PATH yourself",
        )
