"""The sources of the configuration as layers: each a tree of values and the place that each value came from."""

from __future__ import annotations

import os
import pwd
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from wbagent.config.credstore import key_of, stored_credentials, unseal
from wbagent.config.sources import credential_files
from wbagent.errors import AccessError, ConfigError

# Keys whose value may be kept in a file of its own (KEY_file) or in a systemd credential (wbagent.SECTION.KEY).
SECRET_KEYS: Final = frozenset(
    {
        ("server", "license"),
        ("server", "bucket"),
        ("server", "mysql"),
        ("server", "redis"),
        ("database", "url"),
        ("standby", "url"),
        ("backup", "destination"),
        ("alerts", "to"),
        ("alerts", "ping_agent"),
        ("alerts", "ping_backup"),
    }
)

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: a file with a line (0 when unknown) or a credential."""

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Layer:
    """One source: `tree` as TOML gives it, `origins` for each key of it (tables too)."""

    tree: dict[str, Any]
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)


def file_layer(path: Path) -> Layer:
    """One TOML file; AccessError when this user may not read it, ConfigError when it is no TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except PermissionError:
        raise AccessError(
            f"{path}: user {_own_name()} may not read it",
            hint=f"run the command as root or as a member of group wbagent; for the agent: {grant_reading(path)}",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 at byte {error.start}", hint="save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: {_toml_problem(str(error))}",
            hint="strings stand in double quotes, tables as [section]; see wbagent.toml(5)",
        ) from None
    except (RecursionError, ValueError):
        # Neither is an error of TOML's, and Python reads no further.
        raise ConfigError(
            f"{path}: holds a number of thousands of digits, or hundreds of tables in each other",
            hint="wbagent config template",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint="wbagent config template") from None
    origins = {key: Origin(str(path), _line_of(text, key)) for key in _keys(tree)}
    return _with_secret_files(Layer(tree, origins), path)


def credential_layer(directory: Path | None) -> Layer:
    """systemd credentials named `wbagent.SECTION.KEY`, from $CREDENTIALS_DIRECTORY; empty when there are none."""
    return _layer(credential_files(directory), _read_secret)


def stored_layer(section: str = "") -> Layer:
    """The same credentials out of the host's stores, for commands that root types: systemd hands them to units only."""
    return _layer(stored_credentials(section), unseal)


def _layer(credentials: Iterable[Path], read: Callable[[Path], str]) -> Layer:
    tree: dict[str, Any] = {}
    origins: dict[KeyPath, Origin] = {}
    for path in credentials:
        key = key_of(path)
        _put(tree, key, read(path))
        origins[key] = Origin(f"credential {path.name}")
    return Layer(tree, origins)


def grant_reading(path: Path) -> str:
    """What lets the agent read a file and nobody else."""
    return f"chown root:wbagent {path} && chmod 0640 {path}"


def agent_may_read(path: Path) -> bool:
    """Whether mode and owner let user wbagent read it; where there is no such user, nothing is to be said."""
    try:
        agent = pwd.getpwnam("wbagent")
    except KeyError:
        return True
    status = path.stat()
    if status.st_uid == agent.pw_uid:
        return bool(status.st_mode & stat.S_IRUSR)
    if status.st_gid == agent.pw_gid:
        return bool(status.st_mode & stat.S_IRGRP)
    return bool(status.st_mode & stat.S_IROTH)


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def readable_by_others(path: Path) -> bool:
    """Whether users outside the file's group may read it."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def _toml_problem(message: str) -> str:
    # tomllib says "Cannot declare ('monitor', 'cpu') twice".
    if twice := re.match(r"Cannot declare \((?P<names>.*)\) twice", message):
        section = ".".join(re.findall("'([^']*)'", twice["names"]))
        message = f"the section [{section}] stands twice{message[twice.end() :]}"
    # And "Expected '=' … (at line 3, column 5)": the place comes first for people.
    match = re.fullmatch(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", message)
    return f"line {match['line']}, column {match['column']}: {match['what']}" if match else message


def _keys(tree: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    for name, value in tree.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from _keys(value, (*above, name))


def _line_of(text: str, key: KeyPath) -> int:
    """The line that sets `key`, 0 when it is written in a way that this simple reading does not see (inline tables)."""
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            found: KeyPath = table
        elif assignment := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            found = (*table, *(part.strip("\"'") for part in assignment[1].split(".")))
        else:
            continue
        if found == key:
            return number
    return 0


def _with_secret_files(layer: Layer, path: Path) -> Layer:
    origins = dict(layer.origins)
    for key in SECRET_KEYS:
        table = layer.tree.get(key[0])
        file_key = f"{key[1]}_file"
        if not isinstance(table, dict) or file_key not in table:
            continue
        origin = origins[(key[0], file_key)]
        if key[1] in table:
            raise ConfigError(f"{origin}: [{key[0]}] has both {key[1]} and {file_key}", hint="keep one of the two")
        name = table.pop(file_key)
        if not isinstance(name, str) or not Path(name).is_absolute():
            raise ConfigError(f"{origin}: [{key[0]}] {file_key}: expected the absolute path of a file")
        table[key[1]] = _read_secret(Path(name), origin)
        origins[key] = Origin(name)
    return Layer(layer.tree, origins)


def _read_secret(path: Path, origin: Origin | None = None) -> str:
    named_by = f"{origin}: " if origin else ""
    try:
        if readable_by_others(path):
            raise ConfigError(
                f"{named_by}{path} holds a secret and every user of this host may read it",
                hint=grant_reading(path),
            )
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name or content is no text in UTF-8"
        raise ConfigError(
            f"{named_by}{path}: cannot be read: {reason}", hint="it must be readable by group wbagent"
        ) from None


def _put(tree: dict[str, Any], key: KeyPath, value: str) -> None:
    for name in key[:-1]:
        tree = tree.setdefault(name, {})
    tree[key[-1]] = value
