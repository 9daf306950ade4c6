"""One root error with a hint, an exit status and a MESSAGE_ID; the subclasses say what kind of thing failed."""

from __future__ import annotations

from typing import ClassVar

from wbagent import events

# Exit statuses of sysexits.h, which systemd.exec(5) names in its own table, so `systemctl status` shows the word.
EX_USAGE = 64
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CANTCREAT = 73
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_NOPERM = 77
EX_CONFIG = 78


class WbagentError(Exception):
    """What happened, as one sentence for a person; `hint` says what to do next.

    Neither may hold a secret: both go to the terminal, the journal and alerts.
    """

    exit_status: ClassVar[int] = EX_SOFTWARE
    message_id: ClassVar[str] = events.FAILURE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def also(self, what: str, remedy: str = "") -> None:
        """Say one more thing that is so now, and what to do after the hint."""
        self.message = f"{self.message}; {what}"
        self.hint = "; ".join(part for part in (self.hint, remedy) if part)


def foreseen(error: Exception, kind: type[WbagentError]) -> WbagentError:
    """The error itself, or what a person can do with one that nobody foresaw: told as any other of its `kind` is."""
    if isinstance(error, WbagentError):
        return error
    return kind(
        f"{type(error).__name__}: {error}", hint="this is a fault of wbagent; please report it with the unit's journal"
    )


class UsageError(WbagentError):
    """A command was called with arguments that make no sense together."""

    exit_status = EX_USAGE


class ConfigError(WbagentError):
    """The configuration is wrong; `problems` holds one line for each thing to mend."""

    exit_status = EX_CONFIG
    message_id = events.CONFIG_INVALID

    def __init__(self, message: str, *, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class DatabaseError(WbagentError):
    """MySQL cannot be reached, refuses, or is not what it should be; `reached`: its host did answer, if MySQL hangs."""

    exit_status = EX_UNAVAILABLE

    def __init__(self, message: str, *, hint: str = "", reached: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.reached = reached


class BucketError(WbagentError):
    """The object store (or local backup directory) cannot be reached or refuses."""

    exit_status = EX_UNAVAILABLE


class DockerError(WbagentError):
    """The Docker daemon cannot be reached or refuses."""

    exit_status = EX_UNAVAILABLE


class BusError(WbagentError):
    """systemd cannot be reached over D-Bus or refuses."""

    exit_status = EX_UNAVAILABLE


class BackupError(WbagentError):
    """A backup could not be made; nothing that existed before was touched."""

    exit_status = EX_IOERR
    message_id = events.BACKUP_FAILED


class DrillError(WbagentError):
    """No backup was proven: the newest one is bad, or the drill could not be made."""

    exit_status = EX_IOERR
    message_id = events.DRILL_FAILED


class RestoreError(WbagentError):
    """A backup could not be restored."""

    exit_status = EX_IOERR


class DamagedError(RestoreError):
    """What is stored is not, or not any more, a backup of what its commit record says."""


class AccessError(WbagentError):
    """The caller may not do or read this."""

    exit_status = EX_NOPERM


class StateError(WbagentError):
    """The state directory cannot be read or written."""

    exit_status = EX_CANTCREAT


class DeliveryError(WbagentError):
    """At least one destination did not take an alert; the alert stays in the outbox."""

    exit_status = EX_TEMPFAIL
    message_id = events.DELIVERY_FAILED
