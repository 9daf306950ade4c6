"""Changes an embedded server's configuration file into that of an external one, leaving every other byte as it is."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, Final

from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.errors import ConfigError

_TABLE: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")
_EMBEDDED: Final = re.compile(r"(\s*)embedded\s*=\s*true\s*(#.*)?")


def externalized(text: str, mysql: MysqlURL, bucket: S3URL) -> str:
    """The same file with `embedded = true` of [server] replaced by the two; raises ConfigError when it cannot be found.

    Invariant: read as TOML, the result differs from the file in these keys alone.
    """
    lines, table, found = text.splitlines(keepends=True), "", -1
    for number, line in enumerate(lines):
        if header := _TABLE.match(line):
            table = header[1]
        elif table == "server" and _EMBEDDED.fullmatch(line.rstrip("\r\n")):
            found = number
    if found < 0:
        raise _elsewhere()
    end = lines[found][len(lines[found].rstrip("\r\n")) :] or "\n"
    # JSON's strings are TOML's too.
    lines[found] = f"mysql = {json.dumps(str(mysql))}{end}bucket = {json.dumps(str(bucket))}{end}"
    result = "".join(lines)
    before, after = tomllib.loads(text), tomllib.loads(result)
    if _without(before, "embedded") != _without(after, "mysql", "bucket"):
        raise _elsewhere()
    return result


def is_embedded(text: str) -> bool:
    """Whether this file says `embedded = true`; raises tomllib.TOMLDecodeError."""
    return tomllib.loads(text).get("server", {}).get("embedded") is True


def _without(tree: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {**tree, "server": {key: value for key, value in tree["server"].items() if key not in keys}}


def _elsewhere() -> ConfigError:
    return ConfigError(
        "the line `embedded = true` below [server] was not found, so it cannot be replaced",
        hint="write it on a line of its own below [server] in /etc/wbagent.toml",
    )
