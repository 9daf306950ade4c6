"""The embedded mode: what the real image runs itself when MYSQL and BUCKET are not set, as far as it can be had here.

MySQL is real: mysqld on 127.0.0.1:3306 within the container, its data in /vol/mysql. The object store on
127.0.0.1:9000 is NOT the one that is in the real image: connections are passed on to the store that
STANDIN_BUCKET_AT=HOST:PORT names, so its answers are those of a real S3 store too.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import threading
from pathlib import Path

from .log import boot_line, entry

MYSQL = "mysql://wandb_local:wandb_local@127.0.0.1:3306/wandb_local"
PROGRAM = Path("/opt/mysql/bin/mysqld")

_VOLUME = Path("/vol")
_LIBRARIES = PROGRAM.parents[1] / "lib"
_ADDRESS = ("127.0.0.1", 3306)
_BUCKET_ADDRESS = ("127.0.0.1", 9000)
_ACCOUNT = """\
CREATE DATABASE IF NOT EXISTS wandb_local CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE USER IF NOT EXISTS 'wandb_local'@'%' IDENTIFIED BY 'wandb_local';
GRANT ALL ON wandb_local.* TO 'wandb_local'@'%' WITH GRANT OPTION;
"""


class Mysql:
    """The container's own mysqld: made at the first start, started again when it dies, as runit does."""

    def __init__(self) -> None:
        self._data = _VOLUME / "mysql"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def start(self) -> None:
        """Return when it takes connections."""
        if not (self._data / "mysql.ibd").exists():
            boot_line("Initializing the embedded MySQL in /vol/mysql...")
            self._data.mkdir(mode=0o750, exist_ok=True)
            subprocess.run(_command("--initialize-insecure"), check=True)
        # Read at each start; its statements change nothing at the second one.
        account = Path("/tmp/account.sql")  # noqa: S108 - nobody else is in the container
        account.write_text(_ACCOUNT)
        self._begin()
        threading.Thread(target=self._keep, daemon=True).start()
        while not _answers(_ADDRESS):
            threading.Event().wait(0.05)

    def stop(self) -> None:
        """Shut it down in order."""
        self._stopping = True
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    def _begin(self) -> None:
        # Not in pid 1's process group: it decides itself when the database ends.
        options = ["--init-file=/tmp/account.sql", f"--bind-address={_ADDRESS[0]}", f"--port={_ADDRESS[1]}"]
        self._process = subprocess.Popen(_command(*options), process_group=0)

    def _keep(self) -> None:
        while self._process and not self._stopping:
            status = self._process.wait()
            if not self._stopping:
                entry("ERROR", f"mysqld ended with status {status}; it is started again")
                # runit starts nothing more often than once a second.
                threading.Event().wait(1.0)
                self._begin()


def _command(*options: str) -> list[str]:
    """mysqld with its own C library, which is newer than that of the image's Python."""
    loader = [str(_LIBRARIES / "ld-linux-x86-64.so.2"), "--library-path", str(_LIBRARIES), str(PROGRAM)]
    base = PROGRAM.parents[1]
    return [
        *loader,
        "--no-defaults",
        f"--basedir={base}",
        f"--lc-messages-dir={base}/share",
        f"--character-sets-dir={base}/share/charsets",
        "--datadir=/vol/mysql",
        "--tmpdir=/tmp",
        "--socket=/tmp/mysqld.sock",
        "--pid-file=/tmp/mysqld.pid",
        "--mysqlx=OFF",
        "--secure-file-priv=NULL",
        "--innodb-buffer-pool-size=64M",
        # The kernel's count of native requests is shared by every mysqld of the machine.
        "--innodb-use-native-aio=OFF",
        *options,
    ]


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=1):
            return True
    except OSError:
        return False


def write_own_files() -> None:
    """What the server makes for itself in /vol/env at its first start and cannot do without later."""
    for name, text in (
        ("users.htpasswd", f"local@wandb.com:{{PLAIN}}{secrets.token_hex(8)}\n"),
        ("internal_signer.key", f"{secrets.token_hex(32)}\n"),
    ):
        path = _VOLUME / "env" / name
        if not path.exists():
            path.write_text(text)
            path.chmod(0o600)


def forward_bucket() -> None:
    """Pass connections to 127.0.0.1:9000 on to the store of STANDIN_BUCKET_AT, from now on."""
    host, _, port = os.environ.get("STANDIN_BUCKET_AT", "").rpartition(":")
    if host:
        listener = socket.create_server(_BUCKET_ADDRESS, backlog=128)
        threading.Thread(target=_accept, args=(listener, (host, int(port))), daemon=True).start()


def _accept(listener: socket.socket, target: tuple[str, int]) -> None:
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection(target, timeout=10)
        except OSError:
            near.close()
            continue
        far.settimeout(None)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone; the other learns it from its own socket.
        source.close()
