"""The entry point of `wbagent`: finds the command group; errors become a sentence, a hint and an exit status."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from pathlib import Path
from typing import Final

import click

from wbagent import __version__
from wbagent.errors import EX_IOERR, EX_USAGE, UsageError, WbagentError
from wbagent.systemd import journal

# Each group is imported only when it is called: `wbagent status` must not wait for boto3.
_GROUPS: Final = {
    "agent": "the agent itself (run by wbagent.service)",
    "alerts": "what is firing, and who is told",
    "backup": "make, list, show, prove and prune backups",
    "binlog": "binary logs, for restores to any moment",
    "bucket": "make the bucket, let pages of W&B use it, check it",
    "check": "everything that W&B's guide asks for, measured, with what mends it",
    "config": "check and show /etc/wbagent.toml",
    "database": "set MySQL up: database, accounts, settings",
    "init": "set this host up: questions, tests of the answers, the configuration",
    "report": "one page about this host, to look at",
    "restore": "restore a backup into MySQL or a data directory",
    "server": "the wandb/local container",
    "status": "server, database, backups and alerts at a glance",
    "support-bundle": "one archive for W&B's support, without secrets",
    "verify": "after the installation: end to end, as a client sees it",
}


class _LazyGroups(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _GROUPS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"wbagent.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table above: importing every group to list it would cost a second.
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_GROUPS.items()))


@click.group(cls=_LazyGroups, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wbagent")
@click.option(
    "--config",
    # Not checked here: whether it can be read is said, with a remedy, by the commands that need it.
    type=click.Path(path_type=Path, readable=False),
    default=Path(os.environ.get("WBAGENT_CONFIG") or "/etc/wbagent.toml"),
    show_default=True,
    help="The configuration file; drop-ins are read from the directory of the same name with .d added.",
)
@click.option("--verbose", is_flag=True, help="Say more, on stderr or in the journal.")
@click.pass_context
def cli(ctx: click.Context, config: Path, verbose: bool) -> None:
    """Do the duties of a self-hosted Weights & Biases server: keep it up, back it up, watch it, tell a person."""
    if not config.name:
        raise UsageError(f"--config names no file: {config}", hint="--config /etc/wbagent.toml")
    ctx.obj = config
    ctx.meta["verbose"] = verbose


def main() -> None:
    """Run the command line and exit; no error of ours or of the system ends in a traceback."""
    _prepare_streams()
    trouble: OSError | None = None
    try:
        status = cli.main(standalone_mode=False, prog_name="wbagent")
    except click.exceptions.Exit as done:
        status = done.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        status = 130
    except click.ClickException as error:
        error.show()
        status = EX_USAGE
    except WbagentError as error:
        journal.failure(error)
        status = error.exit_status
    except UnicodeEncodeError:
        journal.send("an argument is no text in UTF-8", level="error")
        status = EX_USAGE
    except BrokenPipeError:
        status = 0
    except OSError as error:
        trouble = error
    if (unwritten := _unwritten()) is not None:
        journal.send(f"the output cannot be written: {unwritten.strerror}", level="error")
        status = EX_IOERR
    elif trouble is not None:
        named = f" {trouble.filename}" if trouble.filename else ""
        # Of a write that fails the system names no file: mostly it is the output, which went to a full disk.
        said = "cannot write: " if trouble.errno in {errno.ENOSPC, errno.EDQUOT} and not named else ""
        journal.send(f"{said}{trouble.strerror or trouble}{named}", level="error")
        status = EX_IOERR
    sys.exit(status if isinstance(status, int) else 0)


def _prepare_streams() -> None:
    """What is closed (`>&-`) becomes nowhere; a terminal that lacks a letter gets a question mark and no traceback."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It takes the lowest number that is free: nothing that is opened later gets what is printed.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _unwritten() -> OSError | None:
    """Why what is still to be written cannot be; at exit Python would tell it in words of its own, with status 120."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What failed once would fail again then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # `wbagent … | head`: the reader has left, with all that it wanted.
        return None if isinstance(error, BrokenPipeError) else error
    return None


if __name__ == "__main__":
    main()
