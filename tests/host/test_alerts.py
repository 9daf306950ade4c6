"""Alerts from the installed package: failed units tell it themselves, and what a receiver refuses arrives later."""

from __future__ import annotations

import json

from tests.testbed.bed import Bed, configure, reload
from tests.testbed.watch import journal_from_now, wait_for_unit
from wbagent import events

AGENT = "wbagent.service"
BACKUP = "wbagent-backup.service"
DELIVER = "wbagent-deliver.service"


def test_a_failed_backup_tells_its_reason_and_what_to_do(hosts: Bed) -> None:
    db = hosts.db
    hosts.sql("CREATE TABLE one (id INT PRIMARY KEY)", "wandb_local")
    configure(db, hosts.db_settings(backup={"mysqldump": "/usr/bin/no-such-program"}))
    reload(db)
    with journal_from_now(db, f"MESSAGE_ID={events.UNIT_FAILED}") as journal:
        db.run(["systemctl", "start", BACKUP], check=False)
        told = hosts.receiver.wait_for(lambda alert: "backup failed" in alert.text, timeout=60)
        entry = journal.wait_for("backup failed")
    assert "ended with exit status" in told.text
    assert "no-such-program" in told.text
    assert "W&B's guide asks for a backup every day" in told.text
    assert f"journalctl -x -u {BACKUP}" in told.text
    assert entry["WBAGENT_ALERT"] == f"unit:{BACKUP}"
    assert (entry["WBAGENT_ALERT_KIND"], entry["WBAGENT_ABOUT"]) == ("unit-failed", BACKUP)


def test_an_agent_that_cannot_read_its_configuration_is_told_all_the_same(hosts: Bed) -> None:
    """The rest of the file is wrong, so the agent does not run; who is to be told can be read."""
    db = hosts.db
    configure(db, hosts.db_settings(backup={"keep_dayss": 7}))
    db.run(["systemctl", "restart", AGENT], check=False)
    told = hosts.receiver.wait_for(lambda alert: "the agent failed" in alert.text, timeout=60)
    assert "78/CONFIG" in told.text
    assert "keep_dayss" in told.text
    assert "until it runs again nothing is watched" in told.text


def test_a_killed_agent_is_told(hosts: Bed) -> None:
    db = hosts.db
    configure(db, hosts.db_settings())
    reload(db)
    db.kill(int(db.properties(AGENT)["MainPID"]))
    told = hosts.receiver.wait_for(lambda alert: "the agent failed" in alert.text, timeout=60)
    assert "was killed by signal KILL" in told.text


def test_what_the_receiver_refused_arrives_by_itself(hosts: Bed) -> None:
    """Nobody does anything: the agent starts the deliverer again when the back-off is over."""
    db = hosts.db
    hosts.sql("CREATE TABLE one (id INT PRIMARY KEY)", "wandb_local")
    configure(db, hosts.db_settings(backup={"mysqldump": "/usr/bin/no-such-program"}))
    reload(db)
    hosts.receiver.behave("refuse")
    with journal_from_now(db, f"MESSAGE_ID={events.DELIVERY_FAILED}") as journal:
        db.run(["systemctl", "start", BACKUP], check=False)
        assert "503" in journal.wait_for("was not delivered")["MESSAGE"]
    listed = json.loads(db.run(["wbagent", "alerts", "list", "--json"]).stdout)
    assert [row["attempts"] for row in listed["waiting"]] == [1]
    hosts.receiver.behave("accept")
    hosts.receiver.wait_for(lambda alert: "backup failed" in alert.text, timeout=90)
    wait_for_unit(db, DELIVER, lambda unit: unit["ActiveState"] == "inactive")
    assert json.loads(db.run(["wbagent", "alerts", "list", "--json"]).stdout)["waiting"] == []
    assert len([alert for alert in hosts.receiver.alerts if alert.accepted]) == 1


def test_backups_that_are_not_fresh_are_told_and_over_with_the_next_one(hosts: Bed) -> None:
    """The unit was never started, so nothing but the agent could tell."""
    db, path = hosts.db, "/run/wbagent-metrics/wbagent.prom"
    hosts.sql("CREATE TABLE one (id INT PRIMARY KEY)", "wandb_local")
    never = {"fresh_within": "5s", "catch_up_after": "1h"}
    metrics = {"textfile": path}
    configure(db, hosts.db_settings(backup=never, metrics=metrics, **{"backup.drill": {"enabled": False}}))
    with journal_from_now(db, f"MESSAGE_ID={events.ALERTS['backup-stale']}") as journal:
        reload(db)
        told = hosts.receiver.wait_for(lambda alert: "no backup for 5s" in alert.text, timeout=120)
        entry = journal.wait_for("no backup for 5s")
    assert (entry["WBAGENT_ALERT"], entry["WBAGENT_TRANSITION"]) == ("backup-stale", "firing")
    assert (entry["WBAGENT_THRESHOLD"], entry["WBAGENT_MEASURED_IN"]) == ("5", "seconds")
    assert "There is none yet." in told.text
    assert "no backup for 5s" in db.run(["wbagent", "status"], check=False).stdout
    db.run(["wbagent", "backup", "run"])
    hosts.receiver.wait_for(lambda alert: "There is a backup younger than 5s again" in alert.text, timeout=60)
    read = db.run(["runuser", "--user", "nobody", "--", "cat", path]).stdout
    assert "wbagent_backup_last_success_timestamp_seconds" in read
    assert "wbagent_backup_off_site 1.0" in read
    pruned = json.loads(db.run(["wbagent", "backup", "prune", "--dry-run", "--json"]).stdout)
    assert [each["rule"] for each in pruned["backups"]] == ["young"]


def test_a_test_message_shows_the_answer(hosts: Bed) -> None:
    db = hosts.db
    configure(db, hosts.db_settings())
    done = db.run(["wbagent", "alerts", "test"])
    assert "taken" in done.stdout
    hosts.receiver.wait_for(lambda alert: "[test] db1" in alert.text, timeout=30)
    hosts.receiver.behave("refuse")
    done = db.run(["wbagent", "alerts", "test"], check=False)
    assert done.returncode == 75
    assert "503" in done.stdout
    hosts.receiver.behave("accept")
