"""The agent from the installed package: its schedule, its reload, its alerts, and what its death disturbs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.testbed.bed import Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.watch import journal_from_now, wait_for_property, wait_for_unit
from wbagent import events

AGENT = "wbagent.service"
BACKUP = "wbagent-backup.service"

# The guide's rule is 40 % for 5 minutes; the same rule in a tenth of the time.
QUICK_RULE: dict[str, Any] = {"above_percent": 60, "for_minutes": 0.1, "resolve_minutes": 0.05, "sample_every": "1s"}


def verbose(host: Host) -> None:
    """Restart the agent so that it also tells what it does not do."""
    options = "[Service]\nExecStart=\nExecStart=/usr/bin/wbagent --verbose agent run\n"
    host.write(f"/etc/systemd/system/{AGENT}.d/verbose.conf", options)
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "restart", AGENT])


def backups(host: Host) -> list[str]:
    """The ids of the backups that `wbagent backup list` shows."""
    listed = json.loads(host.run(["wbagent", "backup", "list", "--json"]).stdout)
    return [str(row["id"]) for row in listed["backups"]]


@contextmanager
def busy(host: Host) -> Iterator[None]:
    """All processors of the host are busy, for real."""
    with ExitStack() as load:
        for _ in range(os.cpu_count() or 1):
            load.enter_context(host.running(["sh", "-c", "while :; do :; done"]))
        yield


def test_a_fresh_agent_says_what_is_missing(hosts: Bed) -> None:
    for host in hosts.hosts:
        unit = host.properties(AGENT)
        assert unit["ActiveState"] == "active"
        assert "set [server] or [database] in /etc/wbagent.toml" in unit["StatusText"]
        page = host.run(["wbagent", "status"], check=False)
        assert (page.returncode, "set [server] or [database]" in page.stdout) == (3, True)


def test_a_reload_takes_the_new_file_or_keeps_the_old_one_and_says_why(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings())
    reload(web)
    assert web.properties(AGENT)["StatusText"].startswith("server not running")
    configure(web, hosts.web_settings(backup={"keep_dayss": 7}))
    with journal_from_now(web, f"MESSAGE_ID={events.CONFIG_INVALID}") as journal:
        reload(web)
        assert 'did you mean "keep_days"?' in journal.wait_for("the old configuration is kept")["MESSAGE"]
    text = web.properties(AGENT)["StatusText"]
    assert text.startswith("NEW CONFIGURATION REFUSED")
    assert "server not running" in text
    page = web.run(["wbagent", "status"], check=False)
    assert page.returncode == 3
    assert "REFUSED, the old one is in use: /etc/wbagent.toml:" in page.stdout
    configure(web, hosts.web_settings())
    reload(web)
    assert "REFUSED" not in web.properties(AGENT)["StatusText"]


def test_a_file_that_the_agent_may_not_read_is_refused_like_a_wrong_one(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings())
    reload(web)
    web.run(["chown", "root:root", "/etc/wbagent.toml"])
    # Root may read it, and is told nevertheless.
    checked = web.run(["wbagent", "config", "check"], check=False)
    assert checked.returncode == 78
    assert "the agent, user wbagent, may not read it" in checked.stderr
    assert "chown root:wbagent /etc/wbagent.toml" in checked.stderr
    with journal_from_now(web, f"MESSAGE_ID={events.CONFIG_INVALID}") as journal:
        reload(web)
        assert "may not read it" in journal.wait_for("the old configuration is kept")["MESSAGE"]
    assert web.properties(AGENT)["StatusText"].startswith("NEW CONFIGURATION REFUSED")
    configure(web, hosts.web_settings())
    reload(web)
    assert "REFUSED" not in web.properties(AGENT)["StatusText"]


def test_a_broken_file_at_the_start_is_one_clear_message(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings(server={"mysql": "mysql://u:SECRET+x@h/db"}))
    with journal_from_now(web, f"MESSAGE_ID={events.CONFIG_INVALID}") as journal:
        web.run(["systemctl", "restart", AGENT], check=False)
        message = journal.wait_for("%2B")["MESSAGE"]
    assert "SECRET" not in message
    assert "[server] mysql" in message
    unit = web.properties(AGENT)
    assert (unit["ActiveState"], unit["ExecMainStatus"]) == ("failed", "78")


def test_a_missed_backup_is_made_up_for_once(hosts: Bed) -> None:
    db = hosts.db
    hosts.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)", "wandb_local")
    configure(db, hosts.db_settings(backup={"at": "00:00", "catch_up_after": "1s"}))
    with journal_from_now(db, f"MESSAGE_ID={events.BACKUP_DONE}") as journal:
        db.run(["systemctl", "restart", AGENT])
        journal.wait_for("is complete", timeout=60)
    wait_for_property(db, BACKUP, "ActiveState", "inactive")
    [first] = backups(db)
    # Down and up again on the same day: nothing was missed, so nothing is started.
    with journal_from_now(db, f"_SYSTEMD_UNIT={AGENT}") as journal:
        verbose(db)
        journal.wait_for("the daily backup is not due", timeout=30)
    assert backups(db) == [first]


@pytest.mark.alone
def test_real_load_fires_once_and_resolves_once(hosts: Bed) -> None:
    db = hosts.db
    configure(db, hosts.db_settings(**{"monitor.cpu": QUICK_RULE}))
    reload(db)
    with busy(db):
        fired = hosts.receiver.wait_for(lambda alert: "db1" in alert.text and "CPU" in alert.text, timeout=60)
        assert "short of resources" in fired.text
        wait_for_unit(db, AGENT, lambda unit: "ALERT" in unit["StatusText"])
        # The state outlives the agent: restarted while the load lasts, it fires no second time.
        killed = db.properties(AGENT)["MainPID"]
        db.kill(int(killed))
        wait_for_unit(
            db, AGENT, lambda unit: unit["MainPID"] not in {killed, "0"} and "ALERT" in unit.get("StatusText", "")
        )
    hosts.receiver.wait_for(lambda alert: "the agent failed" in alert.text, timeout=60)
    hosts.receiver.wait_for(lambda alert: "resolved" in alert.text.lower(), timeout=60)
    titles = [str(alert.body["title"]) for alert in hosts.receiver.alerts]
    # The agent's own death is told too, by its OnFailure= unit.
    assert sum("CPU" in title for title in titles) == 2, titles
    assert sum("the agent failed" in title for title in titles) == 1, titles
    assert "no alerts" in wait_for_unit(db, AGENT, lambda unit: "no alerts" in unit["StatusText"])["StatusText"]


@pytest.mark.alone
def test_a_short_burst_of_load_fires_nothing(hosts: Bed) -> None:
    db = hosts.db
    configure(db, hosts.db_settings(**{"monitor.cpu": QUICK_RULE | {"for_minutes": 1}}))
    verbose(db)
    with journal_from_now(db, f"_SYSTEMD_UNIT={AGENT}") as journal:
        with busy(db):
            journal.wait_for("cpu: inactive -> pending", timeout=30)
        journal.wait_for("cpu: pending -> inactive", timeout=30)
    assert hosts.receiver.alerts == []


def test_an_agent_that_hangs_is_restarted_by_the_watchdog(hosts: Bed) -> None:
    web = hosts.web
    web.write(f"/etc/systemd/system/{AGENT}.d/quick.conf", "[Service]\nWatchdogSec=3s\n")
    web.run(["systemctl", "daemon-reload"])
    web.run(["systemctl", "restart", AGENT])
    pid = web.properties(AGENT)["MainPID"]
    web.run(["kill", "-STOP", pid])
    wait_for_unit(web, AGENT, lambda unit: unit["ActiveState"] == "active" and unit["MainPID"] != pid, timeout=60)
    assert int(web.properties(AGENT)["NRestarts"]) == 1


def test_the_database_going_away_is_seen(hosts: Bed) -> None:
    db = hosts.db
    configure(db, hosts.db_settings())
    db.run(["systemctl", "stop", "mysql.service"])
    try:
        db.run(["systemctl", "restart", AGENT])
        wait_for_unit(db, AGENT, lambda _unit: "AWAY" in db.run(["wbagent", "status"], check=False).stdout)
    finally:
        db.run(["systemctl", "start", "mysql.service"])


def test_an_agent_that_is_stopped_in_the_midst_of_a_look_says_nothing_of_it(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings())
    with journal_from_now(web, f"_SYSTEMD_UNIT={AGENT}") as journal:
        for _ in range(5):
            # Everything is looked at right after the start.
            web.run(["systemctl", "restart", AGENT])
        web.run(["systemctl", "stop", AGENT])
        web.run(["systemctl", "start", AGENT])
        journal.wait_for("the agent is up", timeout=30)
    said = [str(entry.get("MESSAGE")) for entry in web.journal(AGENT)]
    assert [text for text in said if "Traceback" in text or "raised an exception" in text] == []


def test_ctrl_c_in_the_midst_of_news_from_systemd_is_an_interruption(hosts: Bed) -> None:
    """What a handler raises while libsystemd calls back came out as SystemError, with a traceback."""
    program = """
import os, select, signal
from wbagent.systemd.bus import Bus, Verb
with Bus() as bus:
    bus.subscribe(("wbagent-deliver.service",), lambda unit, properties: os.kill(os.getpid(), signal.SIGINT))
    bus.job(Verb.START, "wbagent-deliver.service")
    try:
        while select.select([bus.fileno()], [], [], 30)[0]:
            bus.process()
    except KeyboardInterrupt:
        print("interrupted")
"""
    done = hosts.db.run(["python3", "-c", program], check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


def test_what_a_login_without_tls_needs_is_loaded_when_it_is_needed(hosts: Bed) -> None:
    program = """
import sys
from wbagent.absent import absent
with absent("cryptography"):
    import pymysql
from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import rows, session
for line in sys.stdin.read().split():
    with session(MysqlURL.parse(line)) as connection:
        print(rows(connection, "SELECT 1")[0][0], "cryptography" in sys.modules)
"""
    # Whom the server has seen since it let in by a hash of the password, for which nothing is needed.
    hosts.sql("FLUSH PRIVILEGES")
    for tls, loaded in (("skip-verify", False), ("false", True)):
        url = str(replace(hosts.mysql_url, options=(("tls", tls),)))
        done = hosts.web.run(["python3", "-c", program], input=url, check=False)
        assert (done.stdout, done.stderr) == (f"1 {loaded}\n", "")
        hosts.sql("FLUSH PRIVILEGES")
