"""What wbagent-upgrade.service does: one step after the other, each noted before it is begun, until the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from wbagent import events
from wbagent.backup.lock import no_backup
from wbagent.backup.progress import Progress, to_systemd
from wbagent.config import load
from wbagent.config.rewrite import replace_value
from wbagent.errors import (
    EX_IOERR,
    EX_TEMPFAIL,
    BackupError,
    BusError,
    ConfigError,
    DockerError,
    UsageError,
    WbagentError,
)
from wbagent.moment import Moment
from wbagent.monitor import backup_facts
from wbagent.quantities import format_duration
from wbagent.state import State
from wbagent.state_directory import state_directory
from wbagent.systemd import journal
from wbagent.systemd.bus import Verb
from wbagent.systemd.jobs import run_job, run_unit, wait_for_end
from wbagent.systemd.notify import extension, notify
from wbagent.systemd.unit_names import AGENT_UNIT, BACKUP_UNIT, SERVER_UNIT
from wbagent.upgrade import account, image, server, telling
from wbagent.upgrade.plan import Done, Failed, Outcome, Step, Upgrade, after
from wbagent.upgrade.preflight import KEY, server_of

# The unit's own time limit ends what shows no sign of life for this long.
_PATIENCE_S: Final = 900.0
_EVENTS: Final = {
    Outcome.UPGRADED: (events.UPGRADE_DONE, "notice"),
    Outcome.UNCHANGED: (events.UPGRADE_FAILED, "error"),
    Outcome.UNDONE: (events.UPGRADE_FAILED, "error"),
    Outcome.STUCK: (events.UPGRADE_STUCK, "critical"),
}


def run(path: Path) -> int:
    """Carry out the upgrade that the command noted; `path` is the configuration. The unit's exit status."""
    with account.alone():
        upgrade = account.read()
        if upgrade is None or upgrade.outcome is not None:
            raise UsageError("no upgrade was asked for", hint="wbagent server upgrade TAG")
        return Job(path, upgrade).run()


class Job:
    """One run of the unit, from the noted step to the outcome."""

    def __init__(self, path: Path, upgrade: Upgrade) -> None:
        self._path = path
        self._upgrade = upgrade

    def run(self) -> int:
        """Go on until there is an outcome; whatever goes wrong in a step is that step's failure."""
        journal.send(
            f"upgrading from {self._upgrade.old} to {self._upgrade.new}: {self._upgrade.step}",
            message_id=events.UPGRADE_BEGUN,
            old=self._upgrade.old,
            new=self._upgrade.new,
            step=self._upgrade.step,
        )
        with ExitStack() as stack:
            held = False
            while self._upgrade.outcome is None:
                # The intent, before anything of it is done.
                account.write(self._upgrade)
                self._say(str(self._upgrade.step))
                if self._upgrade.replacing and not held:
                    stack.enter_context(no_backup(state_directory(), self._wait_for_backup))
                    held = True
                result = self._perform(self._upgrade.step)
                if isinstance(result, Failed):
                    self._note(f"FAILED to {self._upgrade.step}: {result.why}")
                self._upgrade = after(self._upgrade, result, Moment.now())
            # While this unit is still at work: of the ends that this brought about, the agent tells nobody.
            self._tell_agent()
            account.write(self._upgrade)
        return self._tell(self._upgrade.outcome)

    def _perform(self, step: Step) -> Done | Failed:
        work: dict[Step, Callable[[], Done | Failed]] = {
            Step.FETCH: self._fetch,
            Step.BACKUP: self._back_up,
            Step.REPLACE: lambda: self._write(self._upgrade.old, self._upgrade.new),
            Step.START: lambda: self._start(self._upgrade.new),
            Step.STOP: self._stop,
            Step.PUT_BACK: lambda: self._write(self._upgrade.new, self._upgrade.old),
            Step.RESTORE: self._restore,
            Step.START_OLD: lambda: self._start(self._upgrade.old),
        }
        try:
            return work[step]()
        except server.InterruptedUpgradeError as error:
            self._note(f"INTERRUPTED: {error.message}")
            account.write(self._upgrade)
            raise
        except WbagentError as error:
            return Failed(f"{error.message}" + (f" (try: {error.hint})" if error.hint else ""))
        except Exception as error:
            # Also a fault of ours must lead back to a server that serves.
            return Failed(f"{type(error).__name__}: {error}; this may be a fault of wbagent, please report it")

    # --- the steps ---

    def _fetch(self) -> Done:
        new, file = self._upgrade.new, self._upgrade.file
        if file:
            image.load(Path(file), new, _progress)
            self._note(f"loaded {new} from {file}")
        elif image.is_here(new):
            self._note(f"{new} is on this host already")
        else:
            began = time.monotonic()
            image.pull(new, _progress)
            self._note(f"pulled {new} in {format_duration(time.monotonic() - began)}, while {self._upgrade.old} served")
        return Done()

    def _back_up(self) -> Done:
        began = time.time()
        if self._upgrade.restore_database:
            with State() as state:
                state.put(backup_facts.LOADABLE, {"by": "upgrade"}, began)
        result = run_unit(BACKUP_UNIT, self._say, _alive)
        with State(read_only=True) as state:
            last, failure = state.get(backup_facts.LAST), state.get(backup_facts.LAST_FAILURE)
        if not result.ok or last is None or last.at < began:
            reason = failure.value["reason"] if failure and failure.at >= began else f"{BACKUP_UNIT}: {result.result}"
            raise BackupError(f"no backup was made: {reason}", hint="journalctl -u wbagent-backup")
        self._note(f"backup {last.value['id']} was made, read back and compared, in {last.value['destination']}")
        return Done(str(last.value["id"]))

    def _write(self, old: str, new: str) -> Done:
        """Have the configuration name `new`."""
        loaded = load(self._path, only="server")
        configured, origin = server_of(loaded.settings).image, loaded.origins[KEY]
        if configured == new:
            return Done()
        if configured != old:
            raise ConfigError(
                f"{origin}: the image is {configured} now, which somebody else wrote", hint="wbagent status"
            )
        if not self._upgrade.going_back and not image.is_here(new):
            raise DockerError(f"the image {new} is not on this host any more", hint=f"docker pull {new}")
        replace_value(origin, KEY, old, new)
        if server_of(load(self._path, only="server").settings).image != new:
            raise ConfigError(f"{origin}: was written, but another place still says {old}", hint="wbagent config show")
        self._note(f'wrote image = "{new}" into {origin}')
        return Done()

    def _start(self, image_name: str) -> Done:
        self._note(server.start(image_name, self._say_of_server, _alive))
        return Done()

    def _stop(self) -> Done:
        begun = self._upgrade.account[0][0] if self._upgrade.account else 0.0
        evidence = server.end_of(self._upgrade.new, begun)
        self._upgrade = replace(self._upgrade, evidence=evidence or self._upgrade.evidence)
        run_job(Verb.STOP, SERVER_UNIT, self._say_of_server, _alive)
        self._note("stopped the server")
        return Done()

    def _restore(self) -> Done:
        from wbagent.bucket.open import open_store  # noqa: PLC0415
        from wbagent.restore.run import restore_backup  # noqa: PLC0415 - most upgrades need none of it

        settings = load(self._path).settings
        url = server_of(settings).mysql
        if url is None:
            raise ConfigError("the server has its own database inside, which cannot be restored from outside")
        # A host that was restarted meanwhile has started it.
        run_job(Verb.STOP, SERVER_UNIT, on_life=_alive)
        store = open_store(settings.backup, state_directory(), patient=True)
        done = restore_backup(store, settings.backup, self._upgrade.backup, url, _progress, replacing=self._tear)
        self._note(
            f"restored backup {done.manifest.id} into {done.target}: {done.tables} tables,"
            f" {done.compared.row_count} rows counted; what was written after it is lost"
        )
        return Done()

    def _tear(self) -> None:
        self._upgrade = replace(self._upgrade, torn=True)
        account.write(self._upgrade)
        self._note("the backup is proven; the database is dropped and made anew")

    # --- telling ---

    def _say(self, text: str) -> None:
        notify(f"STATUS={text}", extension(_PATIENCE_S))

    def _say_of_server(self, line: str) -> None:
        self._say(f"the server: {line}")

    def _note(self, text: str) -> None:
        self._upgrade = self._upgrade.noting(time.time(), text)
        journal.send(text)

    def _wait_for_backup(self) -> None:
        self._say("waiting for a backup that is being made")
        wait_for_end(BACKUP_UNIT, _alive)

    def _tell_agent(self) -> None:
        try:
            run_job(Verb.RELOAD, AGENT_UNIT, on_life=_alive)
        except BusError as error:
            self._note(f"the agent was not told: {error.message}")

    def _tell(self, outcome: Outcome) -> int:
        wanted = outcome is Outcome.UPGRADED or (outcome is Outcome.UNDONE and self._upgrade.undo_asked)
        message_id, level = _EVENTS[outcome]
        if wanted:
            message_id, level = events.UPGRADE_DONE, "notice"
        hint = next((line for line in telling.standing(self._upgrade) if line.startswith("next: ")), "")
        text = telling.sentence(self._upgrade) + (f"\n  try: {hint.removeprefix('next: ')}" if hint else "")
        journal.send(text, level=level, message_id=message_id, old=self._upgrade.old, new=self._upgrade.new)
        notify(f"STATUS={telling.sentence(self._upgrade)}")
        if wanted:
            return 0
        return EX_IOERR if outcome is Outcome.STUCK else EX_TEMPFAIL


def _progress(progress: Progress) -> None:
    _alive()
    to_systemd(progress)


def _alive() -> None:
    notify(extension(_PATIENCE_S))
