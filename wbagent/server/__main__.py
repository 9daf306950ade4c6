"""What wandb-local.service runs: settings that are at hand, or read anew, then the runner.

Every restart of the server waits for this start, so nothing is imported here that it does not need.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from wbagent.errors import EX_SOFTWARE, ConfigError, WbagentError
from wbagent.server import report
from wbagent.server.runner import Runner
from wbagent.server.settings import Kept, RunSettings, kept
from wbagent.server.torn import refuse_while_torn
from wbagent.systemd import journal


def main() -> None:
    """Run the server until it ends, and end with its status."""
    path = Path(os.environ.get("WBAGENT_CONFIG") or "/etc/wbagent.toml")
    try:
        refuse_while_torn()
        settings = kept(path) or _read(path)
        status = Runner(settings).run() if isinstance(settings, RunSettings) else settings
    except ConfigError as error:
        report.refused(error)
        journal.failure(error)
        status = error.exit_status
    except WbagentError as error:
        # It has been recorded by whoever raised it.
        journal.failure(error)
        status = error.exit_status
    except Exception as error:
        status = _unforeseen(error)
    sys.stderr.flush()
    # Nothing is left to be tidied up, and users wait for what comes after.
    os._exit(status)


def _unforeseen(error: Exception) -> int:
    import traceback  # noqa: PLC0415 - 7 ms, and seldom needed

    traceback.print_exc()
    report.unforeseen(error)
    return EX_SOFTWARE


def _read(path: Path) -> RunSettings | int:
    """Read and check the configuration in a child, so that pydantic stays out of this process (30 MB of 50).

    The status to end with when it is refused; the child has told why.
    """
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        os._exit(_read_in_child(path, target))
    os.close(target)
    with os.fdopen(source, "rb") as pipe:
        content = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        return status if status > 0 else EX_SOFTWARE
    read = Kept.from_json(content)
    read.keep()
    return read.settings


def _read_in_child(path: Path, target: int) -> int:
    try:
        content = _resolve(path).to_json()
    except ConfigError as error:
        report.refused(error)
        journal.failure(error)
        return error.exit_status
    except WbagentError as error:
        report.not_started(error)
        journal.failure(error)
        return error.exit_status
    except Exception as error:
        return _unforeseen(error)
    with os.fdopen(target, "wb") as pipe:
        pipe.write(content)
    return 0


def _resolve(path: Path) -> Kept:
    from wbagent.config import load  # noqa: PLC0415 - pydantic takes 100 ms, and seldom is there anything to read
    from wbagent.config.sources import snapshot  # noqa: PLC0415
    from wbagent.server.digest_key import digest_key  # noqa: PLC0415

    sources = {origin.source for origin in load(path, only="server").origins.values()}
    secret_files = tuple(sorted(source for source in sources if source.startswith("/") and source != str(path)))
    # Read again after the snapshot was taken: settings that are older than it would be kept for ever.
    taken = snapshot(path, secret_files)
    settings = load(path, only="server").settings.server
    if settings is None:
        raise ConfigError(
            f"{path}: has no section [server], so there is no server to run", hint="wbagent config template"
        )
    return Kept(taken, secret_files, RunSettings.of(settings, digest_key()))


if __name__ == "__main__":
    main()
