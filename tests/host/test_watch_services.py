"""What the server stands on goes away, on booted hosts: one cause is one message, whatever follows from it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.testbed.bed import Bed, configure
from tests.testbed.host import Host
from tests.testbed.watch import Journal, journal_from_now

AGENT = "wbagent.service"
UNIT = "wandb-local.service"
MYSQL = "mysql.service"
# Less than the defaults, each cause before what follows from it.
QUICK: dict[str, dict[str, Any]] = {
    "server.probes": {"unready_after": "45s"},
    "monitor.database": {"every": "5s", "for_minutes": 0.5},
    "monitor.mysql": {"every": "10s"},
    "monitor.network": {"for_minutes": 0.2},
    "monitor.outside": {"every": "5s", "for_minutes": 0.7},
    "monitor.store": {"every": "10s", "for_minutes": 0.7},
}


def titles(bed: Bed) -> list[str]:
    """What the receiver was told, without severity and host."""
    return [str(alert.body["title"]).partition(": ")[2] for alert in bed.receiver.alerts if alert.accepted]


def held(host: Host) -> dict[str, str]:
    """What fires and is not told, and because of what."""
    listed = json.loads(host.run(["wbagent", "alerts", "list", "--json"]).stdout)
    return {
        row["fingerprint"]: row["held_by"] for row in listed["alerts"] if row["held_by"] and row["phase"] == "firing"
    }


def wait_for_phase(journal: Journal, phase: str, *alerts: str) -> None:
    """Until each of them (in any order) has got there, told or not."""
    missing = set(alerts)
    while missing:
        entry = journal.wait(lambda entry: str(entry.get("MESSAGE")).endswith(f"-> {phase}"), timeout=150)
        missing.discard(str(entry["MESSAGE"]).rpartition(": ")[0])


def switch(bed: Bed, name: str) -> None:
    """The stand-in's /ready does not ask MySQL by itself."""
    request = urllib.request.Request(f"http://{bed.web.address}:8080/standin/{name}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()


def test_a_dead_mysql_and_a_cut_cable_are_one_message_each(hosts: Bed) -> None:
    web, db = hosts.web, hosts.db
    due = {"fresh_within": "50s", "catch_up_after": "1h"}
    configure(web, hosts.web_settings(backup=due, **QUICK))
    web.run(["systemctl", "reload", AGENT])
    web.run(["systemctl", "start", UNIT])
    try:
        with journal_from_now(web, f"_SYSTEMD_UNIT={AGENT}") as journal:
            db.run(["systemctl", "mask", "--runtime", MYSQL])
            db.kill(int(db.properties(MYSQL)["MainPID"]))
            switch(hosts, "unready")
            wait_for_phase(journal, "firing", "database-away", "outside", "server-unready", "backup-stale")
        assert held(web) == dict.fromkeys(("outside", "server-unready", "backup-stale"), "database-away")
        hosts.receiver.wait_for(lambda alert: "MySQL does not answer" in alert.text, timeout=30)
        # No backup was made: that would be told rightly once MySQL is back.
        configure(web, hosts.web_settings(backup={**due, "fresh_within": "1d"}, **QUICK))
        web.run(["systemctl", "reload", AGENT])
    finally:
        db.run(["systemctl", "unmask", "--runtime", MYSQL])
        db.run(["systemctl", "start", MYSQL])
    switch(hosts, "ready")
    hosts.receiver.wait_for(lambda alert: "MySQL answers again" in alert.text, timeout=60)
    assert titles(hosts) == ["MySQL does not answer", "MySQL answers again"]

    hosts.receiver.forget()
    missed = ("network", "database-away", "store:files", "store:backups")
    with journal_from_now(web, f"_SYSTEMD_UNIT={AGENT}") as journal:
        with web.cut_off():
            wait_for_phase(journal, "firing", *missed)
            assert set(held(web).values()) == {"network"}
        wait_for_phase(journal, "inactive", *missed)
    hosts.receiver.wait_for(lambda alert: "reaches other machines again" in alert.text, timeout=180)
    assert titles(hosts) == ["this host reaches no other machine", "this host reaches other machines again"]
    said = [str(entry.get("MESSAGE")) for entry in web.journal(AGENT)]
    assert [text for text in said if "Traceback" in text] == []
