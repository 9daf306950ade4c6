"""From MySQL as the distribution installs it to a server on it and a backup of it: root, the socket, three commands."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.testbed.bed import Bed, configure
from tests.testbed.watch import wait_for_unit
from wbagent.config.dsn import MysqlURL

OPTION_FILE = "/etc/mysql/mysql.conf.d/zz-wbagent.cnf"
# The first, as Debian's own mysqld.cnf, is read late, and behind the bed's own.
HERE_ONLY, LISTENS = "/etc/mysql/mysql.conf.d/zz-wandb2.cnf", "/etc/mysql/mysql.conf.d/zz-wbagent-listens.cnf"
CREDENTIAL = "/etc/credstore.encrypted/wbagent.database.url"
SECRET = "/etc/wbagent.toml.d/server.mysql"
LISTENING = ("[mysqld]", "bind_address = *")
NAMES = ["--database", "made", "--yes"]


@pytest.fixture
def untouched(hosts: Bed) -> Iterator[Bed]:
    """Accounts, database and settings of this test go with it: the bed's own stay for the others."""
    try:
        yield hosts
    finally:
        hosts.db.run(["rm", "-f", OPTION_FILE, CREDENTIAL, HERE_ONLY, LISTENS])
        hosts.db.run(["systemctl", "restart", "mysql.service"], timeout=120)
        hosts.sql(
            "DROP DATABASE IF EXISTS made; DROP USER IF EXISTS 'made'@'%', 'made_backup'@'localhost'; RESET PERSIST;"
        )
        hosts.sql("UNINSTALL PLUGIN clone")


def test_database_and_accounts_from_the_package(untouched: Bed) -> None:
    bed, db, web = untouched, untouched.db, untouched.web
    refused = db.run(["wbagent", "database", "init", *NAMES], user="nobody", check=False)
    assert (refused.returncode, "sudo" in refused.stderr) == (77, True)

    first = db.run(["wbagent", "database", "init", "--user", "made", *NAMES]).stdout
    assert "tried:   'made'@'%' logs in" in first
    assert db.run(["stat", "--format=%a %U:%G", SECRET]).stdout == "640 root:wbagent\n"
    assert f"    wbagent init --mysql-file {SECRET}\n" in first
    assert f"Nothing here needs it: when the server has it, rm {SECRET}\n" in first
    url = MysqlURL.parse(db.read(SECRET).strip())
    # Its name is a bare one, in /etc/hosts alone: web1 knows it, and the container there does not.
    assert (db.run(["hostname", "--fqdn"]).stdout, url.host) == ("db1\n", db.address)
    assert "to do" not in db.run(["wbagent", "database", "init", "--user", "made", *NAMES]).stdout

    # On the server's host, as the command says: its migrations run on what was made.
    web.write(SECRET, str(url), mode=0o640, owner="root:wbagent")
    settings = bed.web_settings()
    configure(web, settings | {"server": {key: value for key, value in settings["server"].items() if key != "mysql"}
                               | {"mysql_file": SECRET}})  # fmt: skip
    web.run(["systemctl", "start", "wandb-local.service"], timeout=120)

    configure(db, {"backup": bed.db_settings()["backup"], "backup.drill": {"enabled": False}})
    second = db.run(["wbagent", "database", "user", "--user", "made_backup", *NAMES]).stdout
    assert "systemctl try-restart wbagent wbagent-binlog" in second
    assert db.run(["stat", "--format=%a %U", CREDENTIAL]).stdout == "600 root\n"
    assert "to do" not in db.run(["wbagent", "database", "user", "--user", "made_backup", *NAMES]).stdout
    db.run(["systemctl", "try-restart", "wbagent", "wbagent-binlog"])
    assert "is complete" in db.run(["wbagent", "backup", "run"], timeout=120).stdout
    shown = json.loads(db.run(["wbagent", "backup", "show", "latest", "--json"]).stdout)
    assert (shown["engine"], shown["database"]["name"], shown["position"]["exact"]) == ("clone", "made", True)

    bed.sql("SET GLOBAL sync_binlog = 0; SET PERSIST binlog_row_image = FULL")
    tuned = db.run(["wbagent", "database", "tune", "--in-file", "--yes"]).stdout
    assert f"tried:   /usr/sbin/mysqld reads {OPTION_FILE} and goes by it" in tuned
    assert bed.sql("SELECT @@GLOBAL.sync_binlog, @@GLOBAL.binlog_row_image") == "1\tMINIMAL\n"
    db.write(HERE_ONLY, "[mysqld]\nbind_address = 127.0.0.1\n")
    db.run(["systemctl", "restart", "mysql.service"], timeout=120)
    wait_for_unit(db, "mysql.service", lambda unit: unit["ActiveState"] == "active")
    where = "SELECT variable_path FROM performance_schema.variables_info WHERE variable_name = "
    assert bed.sql(f"{where} 'sync_binlog'; {where} 'binlog_row_image'") == f"{OPTION_FILE}\n" * 2
    assert "stays so after a restart" in db.run(["wbagent", "database", "tune", "--yes"]).stdout
    told = db.run(["wbagent", "database", "init", "--user", "made", *NAMES]).stdout
    assert f"make the file {LISTENS} of these two lines" in told
    db.write(LISTENS, "".join(f"{line.strip()}\n" for line in told.splitlines() if line.strip() in LISTENING))
    db.run(["systemctl", "restart", "mysql.service"], timeout=120)
    assert bed.sql("SELECT @@GLOBAL.bind_address") == "*\n"
    checked = db.run(["wbagent", "check", "database"], check=False)
    assert checked.returncode < 2, checked.stdout
    for text in (first, second, tuned):
        assert url.password not in text
