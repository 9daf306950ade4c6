"""MySQL's own server program, made to run on this machine as any user, whatever the machine's release."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.testbed.command import run
from tests.testbed.rootfs import MYSQL, root_file_system

# What a data directory of MySQL 9.7 needs at its start beside the program.
_PLUGINS = ("component_reference_cache.so", "mysql_clone.so")


def mysqld_program(directory: Path) -> Path:
    """Write a runnable `mysqld` of MySQL 9.7 below `directory`, which any user may enter, and return where it is."""
    tree = root_file_system(MYSQL)
    home = directory / "mysqld-home"
    for name in ("lib", "share", "plugin"):
        (home / name).mkdir(parents=True)
    listing = run(["chroot", str(tree), "ldd", "/usr/sbin/mysqld"]).stdout
    libraries = sorted(set(re.findall(r"(/\S+) \(0x", listing)))
    files = [str(tree / library.lstrip("/")) for library in libraries]
    run(["cp", "--dereference", "--", *files, str(home / "lib")])
    run(["cp", "--", str(tree / "usr/sbin/mysqld"), str(home / "mysqld")])
    found = [tree / "usr/lib/mysql/plugin" / name for name in _PLUGINS]
    run(["cp", "--", *(str(path) for path in found if path.exists()), str(home / "plugin")])
    for name in ("english", "charsets"):
        run(["cp", "--recursive", "--", str(tree / "usr/share/mysql" / name), str(home / "share")])
    program = directory / "mysqld"
    loader = ["exec", home / "lib/ld-linux-x86-64.so.2", "--argv0", "mysqld", "--library-path", home / "lib"]
    command = shlex.join(str(part) for part in [*loader, home / "mysqld"])
    own = shlex.join([f"--lc-messages-dir={home}/share", f"--character-sets-dir={home}/share/charsets",
                      f"--plugin-dir={home}/plugin"])  # fmt: skip
    # Behind the caller's options: --no-defaults has to be the first.
    program.write_text(f'#!/bin/sh\n{command} "$@" {own}\n')
    program.chmod(0o755)
    return program
