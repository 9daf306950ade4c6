"""Gives MySQL's client programs their account in a file that exists in memory only.

The password is then in neither argv nor environment, where every user of the machine could read it.
"""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final

from wbagent.config.dsn import MysqlURL

_SSL_MODES: Final = {
    "false": "DISABLED",
    "preferred": "PREFERRED",
    "skip-verify": "REQUIRED",
    "true": "VERIFY_IDENTITY",
    "custom": "VERIFY_IDENTITY",
}
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\b": r"\b"})


@contextmanager
def options_file(url: MysqlURL, more: str = "") -> Iterator[tuple[int, str]]:
    """A descriptor to hand to the program (`pass_fds`), and its first argument: `--defaults-file=/dev/fd/N`.

    `more`: further sections of the file, for a program that reads some of its own.

    `--defaults-file` instead of `--defaults-extra-file`, so that no other file of the machine changes what is dumped.
    """
    descriptor = os.memfd_create("mysql-options", os.MFD_CLOEXEC)
    try:
        # A memfd begins as 0777, and MySQL ignores option files that everyone may write to.
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, (options_text(url) + more).encode())
        yield descriptor, f"--defaults-file=/dev/fd/{descriptor}"
    finally:
        os.close(descriptor)


def start_program(
    path: str,
    url: MysqlURL,
    arguments: Sequence[str],
    *,
    more: str = "",
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start one of MySQL's programs with this option file; Ctrl-C on the terminal is for this process, which ends it.

    Raises OSError.
    """
    with options_file(url, more) as (descriptor, argument):
        return subprocess.Popen(
            [path, argument, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(descriptor,),
            env=environment(),
            process_group=0,
        )


def options_text(url: MysqlURL) -> str:
    """The option file for `url`, its values quoted after MySQL's rules for option files."""
    options = dict(url.options)
    lines = {"user": url.user, "password": url.password, "ssl-mode": _SSL_MODES[url.tls]}
    if url.socket:
        lines |= {"socket": url.socket, "protocol": "SOCKET"}
    else:
        # Without the protocol "localhost" would mean the socket, and another account than the one that was checked.
        lines |= {"host": url.host, "port": str(url.port), "protocol": "TCP"}
    if url.tls in {"true", "custom"} and "ssl-ca" not in options:
        paths = ssl.get_default_verify_paths()
        lines |= {"ssl-ca": paths.cafile} if paths.cafile else {"ssl-capath": paths.capath or "/etc/ssl/certs"}
    lines |= {name: options[name] for name in ("ssl-ca", "ssl-cert", "ssl-key") if name in options}
    text = "".join(f'{name}="{value.translate(_ESCAPES)}"\n' for name, value in lines.items())
    # Without TLS the password goes over encrypted with the server's RSA key, which has to be asked for.
    return f"[client]\n{text}" + ("get-server-public-key\n" if url.tls in {"false", "preferred"} else "")


def environment() -> dict[str, str]:
    """The environment for MySQL's programs: nothing that changes the account, no login path of a home directory."""
    kept = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C.UTF-8"}
