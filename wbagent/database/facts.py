"""Facts about a MySQL server that decide how it is backed up: version, flavour, binary log, the account's grants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wbagent.database.connection import Connection, rows
from wbagent.database.grants import Grants, parse_grants

Version = tuple[int, int, int]
_VARIABLES: Final = (
    "SHOW GLOBAL VARIABLES WHERE variable_name IN ('version', 'version_comment', 'hostname', 'server_uuid',"
    " 'log_bin', 'binlog_format', 'gtid_mode', 'log_bin_trust_function_creators', 'lower_case_table_names',"
    " 'innodb_page_size', 'innodb_data_file_path')"
)
_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was read from one server; `version_text` and `comment` are as the server says them."""

    version: Version
    version_text: str
    comment: str
    host: str
    uuid: str
    binary_log: bool
    gtid_mode: bool
    trusts_creators: bool
    grants: Grants
    lower_case_table_names: int = 0
    page_size: int = 16384
    data_file_path: str = ""
    binlog_format: str = "ROW"

    @property
    def flavour(self) -> str:
        """One of "MySQL", "Percona", "MariaDB"."""
        return flavour_of(f"{self.version_text} {self.comment}")


def flavour_of(text: str) -> str:
    """Whose MySQL a version text speaks of: "MySQL", "Percona" or "MariaDB"."""
    lowered = text.lower()
    if "mariadb" in lowered:
        return "MariaDB"
    return "Percona" if "percona" in lowered else "MySQL"


def parse_version(text: str) -> Version:
    """The three numbers of a text such as "9.7.4-2"; (0, 0, 0) when there are none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def show_version(version: Version) -> str:
    """A version as people write it: "9.7.4"."""
    return ".".join(str(part) for part in version)


def read_server(connection: Connection) -> ServerFacts:
    """Read the facts; raises PyMySQL's errors."""
    found = {str(name): str(value) for name, value in rows(connection, _VARIABLES)}
    version = parse_version(found.get("version", ""))
    return ServerFacts(
        version=version,
        version_text=found.get("version", ""),
        comment=found.get("version_comment", ""),
        host=found.get("hostname", ""),
        uuid=found.get("server_uuid", ""),
        binary_log=found.get("log_bin") == "ON",
        gtid_mode=found.get("gtid_mode") == "ON",
        trusts_creators=found.get("log_bin_trust_function_creators") == "ON",
        grants=_read_grants(connection, version),
        lower_case_table_names=int(found.get("lower_case_table_names", 0)),
        page_size=int(found.get("innodb_page_size", 16384)),
        data_file_path=found.get("innodb_data_file_path", ""),
        # A release that has no such variable any more knows only rows.
        binlog_format=found.get("binlog_format", "ROW"),
    )


def _read_grants(connection: Connection, version: Version) -> Grants:
    """The grants of the session's account, those of its active roles (MySQL 8) included."""
    ((account,),) = rows(connection, "SELECT CURRENT_USER()")
    using = ""
    if version >= (8, 0, 0):
        ((roles,),) = rows(connection, "SELECT CURRENT_ROLE()")
        using = f" USING {roles}" if roles not in {None, "NONE"} else ""
    return parse_grants(
        str(account), [str(row[0]) for row in rows(connection, f"SHOW GRANTS FOR CURRENT_USER(){using}")]
    )
