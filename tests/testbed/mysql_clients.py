"""MySQL's own client programs and MariaDB's dump program, made to run on this machine whatever its release."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.rootfs import MYSQL, TOOLS, Recipe, root_file_system

# What `default-mysql-client` brings on Debian: there `mysqldump` is a link to MariaDB's program.
MARIADB_CLIENT = Recipe("mariadb-client", "trixie", "mariadb-client")


@dataclass(frozen=True)
class ClientPrograms:
    """Paths to give as `[backup].mysqldump`, `[backup].mysql` and `[backup.binlog].mysqlbinlog`."""

    mysqldump: Path
    mysql: Path
    mysqlbinlog: Path = Path("mysqlbinlog")


def client_programs(directory: Path) -> ClientPrograms:
    """Write runnable `mysqldump`, `mysql` and `mysqlbinlog` of MySQL 9.7 into `directory`; return where they are."""
    tree = root_file_system(MYSQL)
    return ClientPrograms(
        _wrapper(directory / "mysqldump", tree, "usr/bin/mysqldump"),
        _wrapper(directory / "mysql", tree, "usr/bin/mysql"),
        _wrapper(directory / "mysqlbinlog", tree, "usr/bin/mysqlbinlog"),
    )


def mariadb_dump(directory: Path) -> Path:
    """Write a runnable `mysqldump` that is MariaDB's, as Debian 13 installs it, into `directory`; return its path."""
    tree = root_file_system(MARIADB_CLIENT)
    plugins = tree / "usr/lib/x86_64-linux-gnu/libmariadb3/plugin"
    return _wrapper(directory / "mysqldump", tree, "usr/bin/mariadb-dump", f"MARIADB_PLUGIN_DIR={plugins}")


def _wrapper(path: Path, tree: Path, program: str, *environment: str) -> Path:
    """Write a script that becomes the tree's program, with the tree's C library and this machine's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    loader = tree / "usr/lib64/ld-linux-x86-64.so.2"
    command = [*environment, "exec", loader, "--argv0", path.name, "--library-path", libraries, tree / program]
    path.write_text(f'#!/bin/sh\n{shlex.join(str(part) for part in command)} "$@"\n')
    path.chmod(0o755)
    return path


def age_programs(directory: Path) -> Path:
    """Write runnable `age` and `age-keygen` of Debian 13 into `directory`, and return it, for PATH."""
    tree = root_file_system(TOOLS)
    for program in ("age", "age-keygen"):
        _wrapper(directory / program, tree, f"usr/bin/{program}")
    return directory
