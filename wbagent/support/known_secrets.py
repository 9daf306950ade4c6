"""The secrets of this host: in the configuration, whatever is wrong with it, in credentials, and in the container."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from wbagent.alerts.destination import secret_parts
from wbagent.config.credstore import stored_credentials, unseal
from wbagent.config.layers import SECRET_KEYS
from wbagent.config.sources import CREDENTIAL_PREFIX, configuration_files
from wbagent.errors import ConfigError, WbagentError
from wbagent.server.container import Docker
from wbagent.server.specification import NAME
from wbagent.support.contents import UNITS
from wbagent.support.masking import SHORTEST

# What units were given; the stores may hold something newer.
_GIVEN: Final = Path("/run/credentials")
_QUOTED: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"' + "|'([^'\n]*)'")
_FILE_KEY: Final = re.compile(r"""_file\s*=\s*["']([^"'\n]+)""")
# Of text that is no TOML nobody knows what is a secret.
_SHORTEST_UNKNOWN: Final = 8
# In the addresses of alerts these are no secrets, and hiding them everywhere would leave no text.
_PUBLIC: Final = frozenset({
    "text", "html", "markdown", "true", "false", "split", "upstream", "truncate", "none", "auto", "high", "normal",
    "low", "starttls", "insecure", "services", "service", "webhook", "webhooks", "hooks", "hook", "notify", "ping",
    "post", "send", "message", "messages", "alert", "alerts", "localhost", "wbagent", "wandb", "root", "http", "https",
    "json", "backup",
})  # fmt: skip
_SECRET_NAME: Final = re.compile("pass|pwd|secret|token|cred|key", re.IGNORECASE)
_ADDRESSES: Final = frozenset({"HOST", "AWS_REGION", "BUCKET_QUEUE", "PATH", "HOME"})
# Of a variable whose value is a word or a number, hiding it everywhere would leave no text.
_WORD: Final = re.compile(r"[a-z]{1,12}|[A-Z]{1,12}|[\d.:]+|/[\w/.-]*", re.ASCII)


@dataclass(frozen=True)
class Known:
    """`secrets` are what nobody may see; `values` stand where secrets may stand, and may be anything.

    `names`: variables whose values are secrets too short to be hidden wherever they are.
    """

    secrets: frozenset[str]
    values: frozenset[str]
    names: frozenset[str] = frozenset()

    def __or__(self, other: Known) -> Known:
        return Known(self.secrets | other.secrets, self.values | other.values, self.names | other.names)


NOTHING: Final = Known(frozenset(), frozenset())


def known_secrets(configuration: Path) -> Known:
    """All that this user can read; what cannot be read cannot have come into what this user can collect either."""
    found = NOTHING
    for file in configuration_files(configuration):
        found |= of_file(file)
    for text in _credentials():
        found |= of_value(text)
    return found | _of_container() | _of_units()


def of_file(path: Path) -> Known:
    """The secrets in one file of the configuration and in those that its KEY_file keys name."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:
        return NOTHING
    try:
        tree = tomllib.loads(text)
    except (RecursionError, ValueError):
        return of_broken(text)
    return of_tree(tree)


def of_broken(text: str) -> Known:
    """Everything in quotes: what is no TOML could hold its secrets anywhere; and what KEY_file keys name."""
    found = NOTHING
    for name in _FILE_KEY.findall(text):
        for content in _read(Path(name)):
            found |= of_value(content)
    for quoted, literal in _QUOTED.findall(text):
        for each in {literal or quoted, _unescaped(quoted)}:
            if "://" in each:
                found |= of_value(each)
            elif len(each) >= _SHORTEST_UNKNOWN:
                found |= Known(frozenset({each}), frozenset())
    return found


def _unescaped(quoted: str) -> str:
    """What a string in double quotes means, as far as that is so in JSON too."""
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        return quoted


def of_tree(tree: Mapping[str, Any]) -> Known:
    """The secrets of a configuration as TOML gives it, also where a value is not what it should be."""
    found = NOTHING
    for section, key in SECRET_KEYS:
        table = tree.get(section)
        if not isinstance(table, dict):
            continue
        for text in _texts(table.get(key)):
            found |= of_value(text)
        for name in _texts(table.get(f"{key}_file")):
            for text in _read(Path(name)):
                found |= of_value(text)
    server = tree.get("server")
    return found | of_environment(server.get("env") if isinstance(server, dict) else None)


def of_environment(variables: Any) -> Known:
    """Those in [server.env] or in a container's environment."""
    found = NOTHING
    for name, value in variables.items() if isinstance(variables, dict) else ():
        text = str(value)
        if ("://" in text and "@" in text) or _SECRET_NAME.search(name):
            found |= of_value(text)
        elif "://" in text:
            found |= Known(frozenset(), frozenset({text}))
        elif not _WORD.fullmatch(text):
            found |= Known(frozenset({text}), frozenset())
        if len(text) < SHORTEST and text in found.secrets:
            found |= Known(frozenset(), frozenset(), frozenset({name}))
    return found


def of_value(text: str) -> Known:
    """A secret, or the secret parts of a connection string or of addresses, one after the other."""
    text = text.strip()
    if "://" not in text:
        return Known(frozenset({text}), frozenset())
    urls = text.split()
    parts = frozenset(form for url in urls for part in _parts(url) for form in (part, unquote(part)) if form)
    return Known(parts - _PUBLIC, frozenset(urls))


def _parts(url: str) -> Iterator[str]:
    """What of an address may be a secret, as it is written."""
    scheme, _, rest = url.partition("://")
    # Up to the last @, as people write passwords that should have been escaped.
    credentials, _, _ = rest.partition("?")[0].rpartition("@")
    user, _, password = credentials.partition(":")
    yield password
    if scheme in {"mysql", "s3", "redis", "gs", "az", "cw"}:
        # Beside a password the user is named in many messages; an access key is half of a secret.
        yield from (user,) if scheme != "mysql" else ()
        yield from (value for name, value in _options(rest) if _SECRET_NAME.search(name))
    elif scheme in {"http", "https"}:
        yield from (part for part in rest.partition("?")[0].split("/")[1:] if len(part) >= SHORTEST)
    else:
        known_to_all = {user} if password else set()
        yield from (part for part in secret_parts(url) if len(part) >= SHORTEST and part not in known_to_all)


def _options(rest: str) -> list[tuple[str, str]]:
    return parse_qsl(rest.partition("?")[2], keep_blank_values=True)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))


def _read(path: Path) -> Iterator[str]:
    try:
        yield path.read_bytes().decode(errors="replace")
    except OSError:
        return


def _credentials() -> Iterator[str]:
    for path in _GIVEN.glob(f"*/{CREDENTIAL_PREFIX}*"):
        yield from _read(path)
    for path in stored_credentials():
        try:
            yield unseal(path)
        except (ConfigError, OSError, ValueError):
            continue


def _of_units() -> Known:
    """Those that somebody gave a unit of the product in a drop-in."""
    command = ["systemctl", "show", "--property=Environment", "--value", *UNITS]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True)
        entries = shlex.split(done.stdout.decode(errors="replace"))
    except (OSError, subprocess.SubprocessError, ValueError):
        return NOTHING
    return of_environment(dict(entry.split("=", 1) for entry in entries if "=" in entry))


def _of_container() -> Known:
    """Those that the server was started with, which may be older than the configuration's."""
    try:
        with Docker() as docker:
            container = docker.inspect(NAME)
    except WbagentError:
        return NOTHING
    entries = (container or {}).get("Config", {}).get("Env") or ()
    found = NOTHING
    for name, _, value in (entry.partition("=") for entry in entries):
        if name in _ADDRESSES:
            continue
        found |= of_value(value) if name in {"LICENSE", "MYSQL", "BUCKET", "REDIS"} else of_environment({name: value})
    return found
