"""What `wbagent server upgrade` does: it checks, notes what is asked for, starts the unit and follows it."""

from __future__ import annotations

import getpass
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from wbagent.backup.progress import Progress
from wbagent.cli.context import config_path, load_config, only_systemd
from wbagent.cli.progress import progress_reporter
from wbagent.errors import EX_IOERR, AccessError, StateError, UsageError
from wbagent.moment import Moment
from wbagent.server.torn import account_path
from wbagent.systemd.bus import Bus
from wbagent.systemd.jobs import run_unit
from wbagent.systemd.unit_names import UPGRADE_UNIT
from wbagent.upgrade import account, telling
from wbagent.upgrade.plan import Outcome, Upgrade
from wbagent.upgrade.resumption import Refused, Wish, resume

# While a start is awaited its line changes every second in a number only; a log need not hold each (seconds).
_SAME_AGAIN_S: Final = 15.0


def work(ctx: click.Context) -> int:
    """ExecStart= of wbagent-upgrade.service."""
    only_systemd(UPGRADE_UNIT)
    from wbagent.upgrade.job import run  # noqa: PLC0415 - Docker, MySQL, zstd: the command needs none of it

    return run(config_path(ctx))


def show(*, as_json: bool) -> int:
    """The last upgrade's account; 0 when it left nothing to do, else 3 (as `wbagent status` has it)."""
    try:
        upgrade = account.read()
    except PermissionError:
        raise AccessError(
            f"{account_path()} may not be read by this user",
            hint="run this as root, or as a member of group wbagent or systemd-journal",
        ) from None
    if upgrade is None:
        click.echo("null" if as_json else "no upgrade was made on this host yet")
        return 0
    lines = telling.account(upgrade, evidence=True, at_work=_works())
    click.echo(account.to_json(upgrade) if as_json else "\n".join(lines))
    return 3 if upgrade.outcome in {None, Outcome.STUCK} else 0


def begin(ctx: click.Context, tag: str, file: str, *, with_backup: bool, restore_database: bool) -> int:
    """Begin, resume or (without a tag) undo an upgrade, and follow it to its end; the exit status."""
    if os.geteuid() != 0:
        raise AccessError("an upgrade edits the configuration and speaks to Docker", hint="run this as root (sudo)")
    wish = Wish(tag, not tag, str(Path(file).absolute()) if file else "", with_backup, restore_database)
    if not _works():
        with account.alone():
            upgrade = _decide(ctx, wish)
            if upgrade is None:
                return 0
            account.write(upgrade)
        if upgrade.outcome is not None:
            click.echo("\n".join(telling.standing(upgrade)))
            return 0
    elif not _is_under_way(tag):
        raise StateError("another upgrade is under way", hint=f"systemctl status {UPGRADE_UNIT}")
    return _follow()


def _works() -> bool:
    with Bus() as bus:
        return bool(bus.properties(UPGRADE_UNIT)["ActiveState"] == "activating")


def _is_under_way(tag: str) -> bool:
    """Whether what the unit does now is the upgrade to this tag: then it is followed."""
    from wbagent.upgrade.release import target  # noqa: PLC0415 - pydantic

    running = account.read()
    return running is not None and bool(tag) and running.new == target(running.old, tag)


def _decide(ctx: click.Context, wish: Wish) -> Upgrade | None:
    """What the unit shall do; None when there is nothing to do. Raises WbagentError for whatever speaks against it."""
    from dataclasses import replace  # noqa: PLC0415

    from wbagent.config.loading import DEFAULT_PATH  # noqa: PLC0415
    from wbagent.upgrade import preflight, release  # noqa: PLC0415 - Docker and MySQL

    if config_path(ctx) != DEFAULT_PATH:
        raise UsageError(f"the server's unit reads {DEFAULT_PATH}, so an upgrade changes nothing else")
    loaded = load_config(ctx)
    facts = preflight.look(loaded.settings)
    wish = replace(wish, new=release.target(facts.configured, wish.new) if wish.new else "")
    last = account.read()
    finished = last is not None and last.outcome in {Outcome.UPGRADED, Outcome.UNDONE}
    found = resume(last, wish, facts, Moment.now())
    if isinstance(found, Refused):
        raise UsageError(found.why, hint=found.hint)
    by = os.environ.get("SUDO_USER") or getpass.getuser()
    if found is not None:
        if wish.undo:
            preflight.check_way_back(loaded.settings, found)
            if found.restore_database and not found.restored:
                click.echo(f"what was written to the database since backup {found.backup} is lost", err=True)
        asked = "to go back" if wish.undo else "to complete it"
        stood = "" if finished else f"; it stood at: {found.step}"
        return found.noting(time.time(), f"{by} asked {asked}{stood}")
    prepared = preflight.prepare(loaded, wish)
    if prepared is None:
        click.echo(f"nothing to do: the configuration names {facts.configured} already")
        return None
    upgrade = prepared.upgrade.noting(
        time.time(), f"{by} asked to upgrade from {prepared.upgrade.old} to {prepared.upgrade.new}"
    )
    for warning in prepared.warnings:
        click.echo(f"warning: {warning}", err=True)
        upgrade = upgrade.noting(time.time(), f"warning: {warning}")
    return upgrade


def _follow() -> int:
    """Start the unit (or join it), show what it does, then the account; the exit status."""
    with _shown() as show_status:
        try:
            result = run_unit(UPGRADE_UNIT, show_status)
        except KeyboardInterrupt:
            click.echo(
                f"the upgrade goes on without this command; see: systemctl status {UPGRADE_UNIT}; to end it:"
                f" systemctl stop {UPGRADE_UNIT}, then wbagent server upgrade --undo",
                err=True,
            )
            raise
    upgrade = account.read()
    if upgrade is not None:
        click.echo("\n".join(telling.account(upgrade)))
    if result.ok:
        return 0
    if upgrade is None or upgrade.outcome is None:
        click.echo(f"error: {UPGRADE_UNIT} was ended ({result.result}) before it was done", err=True)
        return EX_IOERR
    click.echo(f"error: {telling.sentence(upgrade)}", err=True)
    return result.exit_status or EX_IOERR


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """Shows status lines: those that tell bytes as a bar on a terminal, the others as lines."""
    terminal, last, told = sys.stderr.isatty(), "", 0.0
    with progress_reporter() as report:

        def show_status(line: str) -> None:
            nonlocal last, told
            progress = Progress.parse(line)
            if progress and terminal:
                report(progress)
                return
            kind = re.sub(r"[\d.]+\S*", "", line)
            if kind != last or time.monotonic() - told >= _SAME_AGAIN_S:
                last, told = kind, time.monotonic()
                # Above the bar: rich takes over stderr while it shows one.
                click.echo(line, err=True)

        yield show_status
