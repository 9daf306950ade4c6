"""What the tests of `wbagent check database` share: a configuration, what is found by it, and how that is mended."""

from __future__ import annotations

import re
from typing import Any

from tests.testbed.mysql import MysqlServer
from wbagent.checks.check import Finding, Subject
from wbagent.checks.database import checks
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL

SMALL = {"innodb_buffer_pool_size": "32M"}


def settings(url: MysqlURL, backups_as: MysqlURL | None = None, **sections: Any) -> Settings:
    """Of a host with the server, and where `backups_as` is given with an account of its own for backups."""
    server = {
        "host": "http://wandb.example.com",
        "image": "wandb/local:0.83.0",
        "bucket": "s3://KEY:SECRET@127.0.0.1:9/wandb-files",
        "mysql": str(url),
        "license": "none",
    }
    database = {"database": {"url": str(backups_as)}} if backups_as else {}
    return Settings.model_validate({"server": server, **database, **sections})


def found_by(wanted: Settings) -> dict[str, Finding]:
    """By "check" or "check: about"; no finding names a password."""
    results = run({"database": checks(wanted)}, Subject(wanted, Scratch()))
    assert not [each for each in results if "pass/word" in repr(each)]
    return {": ".join(filter(None, (each.check, each.finding.about))): each.finding for each in results}


def mend(server: MysqlServer, finding: Finding) -> None:
    """Run the statements that the finding says to run."""
    statements = re.findall(r"(?:SET|ALTER|GRANT|CREATE|INSTALL) [^;]+;", finding.remedy.replace("\\`", "`"))
    assert statements
    for statement in statements:
        server.execute(statement)
