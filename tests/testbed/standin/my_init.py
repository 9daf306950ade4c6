"""Pid 1 of the stand-in: boot lines, settings, backend, and the exit statuses of phusion's my_init.

What is set in the environment, beside HOST, LICENSE, BUCKET, BUCKET_QUEUE, AWS_REGION and MYSQL of the real image:

- STANDIN_MIGRATION_SECONDS: how long the pending migrations take (0);
- STANDIN_SCHEMA_VERSION: the schema version of this "release" (3);
- STANDIN_PANIC: the backend panics with this text instead of starting;
- STANDIN_STOP_SECONDS: how long stopping takes after SIGTERM (0);
- STANDIN_FINISHES_MIGRATIONS: when set, SIGTERM lets running migrations end first; else it leaves them half done;
- STANDIN_PORT: where to listen (8080);
- STANDIN_BUCKET_AT: HOST:PORT of the store behind the embedded bucket.

Without MYSQL an image that holds a mysqld (`wandb/local:embedded` of the bed) runs it itself; see `embedded`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from . import embedded, web
from .log import boot_line, entry, warning

_ENVIRONMENT = Path("/etc/container_environment")
_SERVICE = Path("/etc/service/gorilla")
_VOLUME = Path("/vol/env")
_BUCKETS = ("s3", "gs", "az", "cw")


_migrations = {"finishing": False, "stop_asked": False}


def main() -> None:
    """Boot, then wait to be told to stop."""
    booted = False
    mysql = embedded.Mysql() if not os.environ.get("MYSQL") and embedded.PROGRAM.exists() else None
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)
        # signal.pause() would miss a signal that comes just before it, or that the kernel hands to a thread which
        # answers a probe; a byte in a pipe waits to be read.
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        _export_environment()
        _run_startup_files()
        server = web.Server(int(os.environ.get("STANDIN_PORT", "8080")))
        server.start()
        if mysql:
            embedded.write_own_files()
            embedded.forward_bucket()
            mysql.start()
        _start_backend(server, embedded.MYSQL if mysql else os.environ.get("MYSQL", ""))
        # It says so even when the backend gave up: this line is no sign of health.
        boot_line("All services started")
        booted = True
        while True:
            os.read(wake, 1)
    except KeyboardInterrupt:
        boot_line("Shutting down runit daemon (PID 1)...")
        time.sleep(float(os.environ.get("STANDIN_STOP_SECONDS", "0")))
        boot_line("Killing all processes...")
        if mysql:
            mysql.stop()
        if not booted:
            boot_line("Init system aborted.")
        _leave(0 if booted else 2)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _migrations["finishing"]:
        _migrations["stop_asked"] = True
        return
    raise KeyboardInterrupt


def _leave(status: int) -> None:
    """End the process at once: other threads hold no state that must be saved."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _export_environment() -> None:
    """Write each variable to a file, as my_init does; under a wrong GID this ends with its well-known traceback."""
    for name, value in os.environ.items():
        if name not in {"HOME", "USER", "GROUP", "UID", "GID", "SHELL"}:
            (_ENVIRONMENT / name).write_text(value)


def _run_startup_files() -> None:
    """Set the container up; not idempotent, like the real one, so a stopped container cannot be started again."""
    boot_line("Running /etc/my_init.d/00_regen_ssh_host_keys.sh...")
    boot_line("Running /etc/my_init.d/10_wandb.sh...")
    problem = None
    try:
        _VOLUME.mkdir(parents=True, exist_ok=True)
        _SERVICE.mkdir(parents=True)
    except PermissionError as error:
        problem = f"mkdir: cannot create directory '{error.filename}': Permission denied"
    except FileExistsError as error:
        problem = f"mkdir: cannot create directory '{error.filename}': File exists"
    if problem:
        sys.stderr.write(f"{problem}\n")
        warning("Failed to load settings.")
        boot_line("/etc/my_init.d/10_wandb.sh failed with status 1\n")
        boot_line("Killing all processes...")
        _leave(1)
    boot_line("Booting runit daemon...")
    boot_line("Runit started as PID 1")


def _start_backend(server: web.Server, mysql: str) -> None:
    """Migrate and become ready; or say why not, and stay up without ever being ready."""
    panic = os.environ.get("STANDIN_PANIC") or _wrong_setting() or _failed_migration(mysql)
    if panic:
        sys.stderr.write(f"panic: {panic}\n\ngoroutine 1 [running]:\nmain.main()\n")
        warning("Unable to start backend, see logs")
        return
    server.become_ready()
    entry("INFO", f"stand-in for wandb/local serves {os.environ.get('HOST', '(no HOST)')}")


def _wrong_setting() -> str | None:
    if "BUCKET" not in os.environ and embedded.PROGRAM.exists():
        return None
    scheme = os.environ.get("BUCKET", "").partition("://")[0]
    return None if scheme in _BUCKETS else f'unknown connection scheme: "{scheme}"'


def _failed_migration(mysql: str) -> str | None:
    # Imported late: the probes are answered while this takes its 50 ms.
    from . import migrations  # noqa: PLC0415

    seconds = float(os.environ.get("STANDIN_MIGRATION_SECONDS", "0"))
    version = int(os.environ.get("STANDIN_SCHEMA_VERSION", "3"))
    _migrations["finishing"] = bool(os.environ.get("STANDIN_FINISHES_MIGRATIONS"))
    try:
        migrations.migrate(mysql, version, seconds)
    except migrations.MigrationError as error:
        return str(error)
    finally:
        _migrations["finishing"] = False
    if _migrations["stop_asked"]:
        raise KeyboardInterrupt
    return None
