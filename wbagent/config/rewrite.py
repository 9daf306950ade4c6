"""Changes one text value of a configuration file and nothing else: comments, order, mode and owner stay."""

from __future__ import annotations

import copy
import os
import re
import shutil
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from wbagent.config.layers import KeyPath, Origin
from wbagent.durable import whole_file
from wbagent.errors import ConfigError

_ASSIGNMENT: Final = re.compile(
    r"""(?P<before>\s*[A-Za-z0-9_."'-]+\s*=\s*)(?P<value>"[^"\\]*"|'[^']*')(?P<after>\s*(?:\#.*)?(?:\r?\n)?)"""
)


def replaced(text: str, line: int, key: KeyPath, old: str, new: str) -> str:
    """The file's text with `new` for `old` as the value of `key` in line number `line` (from 1).

    Invariant: read as TOML, the result differs from `text` in this one value and in nothing else. Raises ConfigError
    where the line is written in a way that this cannot be done with certainty.
    """
    lines = text.splitlines(keepends=True)
    found = _ASSIGNMENT.fullmatch(lines[line - 1]) if 0 < line <= len(lines) else None
    tree = tomllib.loads(text)
    if found is None or found["value"][1:-1] != old:
        raise _not_by_machine(key, old, new)
    # Written with the quotes that it has: a literal string stays one.
    quote = found["value"][0]
    lines[line - 1] = f"{found['before']}{quote}{new}{quote}{found['after']}"
    changed = "".join(lines)
    if tomllib.loads(changed) != _with_value(tree, key, new):
        raise _not_by_machine(key, old, new)
    return changed


def replace_value(origin: Origin, key: KeyPath, old: str, new: str, *, dry: bool = False) -> None:
    """Write `new` for `old` into the file of `origin`, whole or not at all; a file that holds `new` is left alone.

    With `dry` only find out whether it could be done. Raises ConfigError, OSError.
    """
    path = Path(origin.source)
    if not path.is_absolute() or path.is_symlink():
        what = f"is a link to {path.resolve()}" if path.is_symlink() else "is not a file that can be edited"
        raise ConfigError(
            f"{origin}: {what}, so [{key[0]}] {key[-1]} is not changed there",
            hint=f"take the key out there, and write it into /etc/wbagent.toml: {key[-1]} = {_quoted(old)}",
        )
    # Not read_text(), which would make \n of every line end.
    text = path.read_bytes().decode("utf-8")
    changed = replaced(text, origin.line, key, old, new)
    if dry or changed == text:
        return
    write_like(path, changed, like=path)


def write_like(path: Path, text: str, *, like: Path) -> None:
    """Give a file this text, whole or not at all, with the mode, owner and attributes of `like`. Raises OSError."""
    known = like.stat()
    with whole_file(path, stat.S_IMODE(known.st_mode)) as file:
        file.write(text.encode())
        os.chown(file.fileno(), known.st_uid, known.st_gid)
        shutil.copystat(like, file.name)
        os.utime(file.name)


def _with_value(tree: dict[str, Any], key: KeyPath, value: str) -> dict[str, Any]:
    changed = copy.deepcopy(tree)
    table = changed
    for name in key[:-1]:
        table = table[name]
    table[key[-1]] = value
    return changed


def _not_by_machine(key: KeyPath, old: str, new: str) -> ConfigError:
    table, name = ".".join(key[:-1]), key[-1]
    return ConfigError(
        f"[{table}] {name} does not stand in a line of its own, so its change to {new} would be guesswork",
        hint=f"write it as a line under [{table}]:  {name} = {_quoted(old)}  (not as an inline table), then try again",
    )


def _quoted(text: str) -> str:
    return f'"{text}"'
