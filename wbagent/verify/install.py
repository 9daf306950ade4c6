"""Makes a Python environment with the `wandb` client in it, apart from the system's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from wbagent.checks.scratch import Scratch
from wbagent.child import how_it_ended
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


def install_client(
    scratch: Scratch, directory: Path, *, python: str = sys.executable, requirement: str = "wandb"
) -> None:
    """Make it, or bring it up to date; what could not be finished is removed. Raises UsageError, WbagentError."""
    directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    whole = False
    with scratch.removed(lambda: None if whole else shutil.rmtree(directory, ignore_errors=True)):
        directory.mkdir(mode=0o755, exist_ok=True)
        give(directory)
        with temporary_home(scratch) as home:
            _run([python, "-m", "venv", str(directory)], home)
            # Only built packages: nothing that comes along runs code of its own to install itself.
            pip = [str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            _run([*pip, "--no-cache-dir", "--only-binary", ":all:", "--upgrade", requirement], home)
        whole = True


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
    except OSError as error:
        raise UsageError(
            f"{command[0]} cannot be run by a user without rights: {error.strerror}",
            hint="run this as a plain user, or put wandb on PATH yourself",
        ) from None
    except subprocess.TimeoutExpired:
        raise WbagentError(
            f"the client could not be installed within {_LIMIT_S:g} s", hint="see whether this host reaches PyPI"
        ) from None
    if done.returncode == 0:
        return
    said = (done.stdout + done.stderr).decode(errors="replace")
    if "ensurepip is not" in said:
        raise UsageError(
            "Python's venv is not complete on this host: the package python3-venv is missing",
            hint="apt install python3-venv",
        )
    errors = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()
    raise WbagentError(
        f"the client could not be installed: {errors[-1] if errors else how_it_ended(done.returncode)}",
        hint="see whether this host reaches PyPI, and through which proxy (https_proxy); or put wandb on PATH yourself",
    )
