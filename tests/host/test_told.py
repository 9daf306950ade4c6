"""Who is told, from the installed package: silences, dead destinations, dead man's pings, an expiring certificate."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.testbed.authority import Authority
from tests.testbed.bed import Bed, configure, reload
from tests.testbed.fronts import Setup, front
from tests.testbed.receiver import Alert, Receiver
from tests.testbed.switch import Switch
from tests.testbed.watch import journal_from_now, wait_for_unit

AGENT = "wbagent.service"
BACKUP = "wbagent-backup.service"
DELIVER = "wbagent-deliver.service"
# No backup is ever that young, so it is told at the second look since backups are wanted: each reload makes one.
NEVER: dict[str, Any] = {"fresh_within": "0.1s", "catch_up_after": "1h"}


def stale(alert: Alert) -> bool:
    return "no backup for 0.1s" in alert.text


def test_a_silence_keeps_quiet_until_it_is_ended(hosts: Bed) -> None:
    db = hosts.db
    configure(db, hosts.db_settings())
    reload(db)
    said = db.run(["wbagent", "alerts", "silence", "backup-*", "--for", "1h", "--why", "moving the bucket"]).stdout
    assert "to end it: wbagent alerts unsilence 1" in said
    configure(db, hosts.db_settings(backup=NEVER))
    with journal_from_now(db, f"_SYSTEMD_UNIT={AGENT}") as journal:
        reload(db)
        journal.wait(lambda entry: re.match(r"backup-stale: \w+ -> firing", str(entry.get("MESSAGE"))) is not None)
    listed = db.run(["wbagent", "alerts", "list"], check=False).stdout
    assert "moving the bucket" in listed
    assert "no backup for 0.1s" in listed
    assert hosts.receiver.alerts == []
    db.run(["wbagent", "alerts", "unsilence", "1"])
    # Else the next look at backups is what tells it.
    reload(db)
    hosts.receiver.wait_for(stale, timeout=90)
    assert hosts.receiver.titles == ["no backup for 0.1s"]
    over = db.run(["wbagent", "alerts", "unsilence", "1"], check=False)
    assert (over.returncode, "there is no silence 1" in over.stderr) == (64, True)


def test_a_dead_destination_holds_up_nobody_and_gets_all_when_it_is_back(hosts: Bed) -> None:
    db = hosts.db
    with Receiver(address=hosts.receiver.address) as other:
        port, url = other.port, other.url
    configure(db, hosts.db_settings())
    reload(db)
    configure(db, hosts.db_settings(backup=NEVER, alerts={"to": [url, hosts.alerts_url]}))
    reload(db)
    hosts.receiver.wait_for(stale, timeout=90)
    # Two that are told at the same time: what waits is for the dead one alone.
    wait_for_unit(db, DELIVER, lambda unit: unit["ActiveState"] in {"inactive", "failed"})
    waiting = json.loads(db.run(["wbagent", "alerts", "list", "--json"]).stdout)["waiting"]
    assert [row["destination"] for row in waiting] == [f"json://{hosts.receiver.address}:{port}"]
    assert "Connection refused" in db.run(["wbagent", "alerts", "list"], check=False).stdout
    with Receiver(address=hosts.receiver.address, port=port) as back:
        back.wait_for(stale, timeout=120)
        assert back.titles == ["no backup for 0.1s"]
    assert hosts.receiver.titles == ["no backup for 0.1s"]


def test_the_switch_hears_of_the_agent_and_of_each_backup(hosts: Bed) -> None:
    db = hosts.db
    hosts.sql("CREATE TABLE one (id INT PRIMARY KEY)", "wandb_local")
    with Switch(address=hosts.receiver.address) as switch:
        pings = {"ping_agent": switch.url("agent-id"), "ping_backup": switch.url("backup-id"), "ping_every": "1s"}
        configure(db, hosts.db_settings(alerts={"to": [hosts.alerts_url], **pings}))
        reload(db)
        switch.wait_for(lambda heard: heard.path == "/agent-id", timeout=30)
        db.run(["wbagent", "backup", "run"], timeout=120)
        switch.wait_for(lambda heard: heard.path == "/backup-id", timeout=30)
        backups = [heard.path for heard in switch.heard if heard.path.startswith("/backup-id")]
        assert backups == ["/backup-id/start", "/backup-id"]
        db.kill(int(db.properties(AGENT)["MainPID"]))
        failed = switch.wait_for(lambda heard: heard.path == "/agent-id/fail", timeout=60)
        assert failed.body.startswith("wbagent.service failed on db1\n")
        assert "the agent is up" in failed.body
    # Its switch is away now: a backup is made all the same.
    db.run(["wbagent", "backup", "run"], timeout=120)
    with journal_from_now(db, f"_SYSTEMD_UNIT={BACKUP}") as journal:
        db.run(["systemctl", "start", BACKUP])
        entry = journal.wait_for("the ping about backups was not taken")
    assert "backup-id" not in str(entry["MESSAGE"])


def test_a_certificate_that_expires_is_told_before_and_then_and_until_renewed(hosts: Bed, tmp_path: Path) -> None:
    web, authority, host = hosts.web, Authority(tmp_path), hosts.receiver.address
    web.write("/run/authority.pem", authority.certificate.read_text())
    good = Setup(f"{web.address}:8080", authority.issue(host), address=host, port=8443, http_port=8081)
    monitor: dict[str, dict[str, Any]] = {
        "monitor.certificate": {"authorities": ["/run/authority.pem"]},
        "monitor.outside": {"every": "5s"},
    }
    configure(web, hosts.web_settings(server={"host": good.url}, **monitor))
    reload(web)
    web.run(["systemctl", "start", "wandb-local.service"])
    # Issued when all the rest is up: the first look comes at most 5 s after it.
    soon = datetime.now(UTC) + timedelta(seconds=30)
    with front("nginx", replace(good, certificate=authority.issue(host, ends=soon))):
        told = hosts.receiver.wait_for(lambda alert: "expires in 0 days" in alert.text, timeout=29)
        assert str(told.body["title"]).startswith("[critical] web1: ")
        hosts.receiver.wait_for(lambda alert: "has expired" in alert.text, timeout=90)
    with front("nginx", good):
        hosts.receiver.wait_for(lambda alert: "was renewed" in alert.text, timeout=90)
    its, day = f"the certificate of {good.url}", f"({soon:%Y-%m-%d})"
    assert hosts.receiver.titles == [
        f"{its} expires in 0 days {day}",
        f"still: {its} has expired {day}",
        f"{its} was renewed",
    ]
