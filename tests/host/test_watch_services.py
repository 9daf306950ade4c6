"""What the server stands on goes away, on booted hosts: one cause is one message, whatever follows from it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.host.server_case import UNIT
from tests.testbed.bed import Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.watch import Journal, journal_from_now

AGENT = "wbagent.service"
MYSQL = "mysql.service"
# Looks come often, but nothing fires within these: the cause is to be seen before what follows from it, and at its end
# that is to have time to end as well, however slow this machine is.
WIDE: dict[str, dict[str, Any]] = {
    "server.probes": {"unready_after": "5s"},
    "monitor.database": {"every": "2s", "for_minutes": 5},
    "monitor.mysql": {"every": "10s"},
    "monitor.outside": {"every": "5s"},
    "monitor.store": {"every": "10s"},
}
# Once the cause is seen, the rest may fire soon; not sooner, since a look at what does not answer takes its seconds.
NARROW = WIDE | {
    f"monitor.{name}": {**WIDE.get(f"monitor.{name}", {}), "for_minutes": 0.2}
    for name in ("database", "network", "outside", "store")
}


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


def watch(bed: Bed, windows: dict[str, dict[str, Any]], **backup: str) -> None:
    """With these windows; no backup is made here, so that `fresh_within` of a few seconds is over at once."""
    configure(bed.web, bed.web_settings(backup={"catch_up_after": "1h", **backup}, **windows))
    reload(bed.web)


def switch(bed: Bed, name: str) -> None:
    """The stand-in's /ready does not ask MySQL by itself."""
    request = urllib.request.Request(f"http://{bed.web.address}:8080/standin/{name}", method="POST")
    urllib.request.urlopen(request, timeout=5).close()


def test_a_dead_mysql_and_a_cut_cable_are_one_message_each(hosts: Bed) -> None:
    web, db = hosts.web, hosts.db
    watch(hosts, WIDE)
    web.run(["systemctl", "start", UNIT])
    try:
        with journal_from_now(web, f"_SYSTEMD_UNIT={AGENT}") as journal:
            db.run(["systemctl", "mask", "--runtime", MYSQL])
            db.kill(int(db.properties(MYSQL)["MainPID"]))
            wait_for_phase(journal, "pending", "database-away")
            switch(hosts, "unready")
            watch(hosts, NARROW, fresh_within="5s")
            wait_for_phase(journal, "firing", "database-away", "outside", "server-unready", "backup-stale")
        assert held(web) == dict.fromkeys(("outside", "server-unready", "backup-stale"), "database-away")
        hosts.receiver.wait_for(lambda alert: "MySQL does not answer" in alert.text, timeout=30)
        # No backup was made: that would be told rightly once MySQL is back.
        watch(hosts, WIDE)
    finally:
        db.run(["systemctl", "unmask", "--runtime", MYSQL])
        db.run(["systemctl", "start", MYSQL])
    switch(hosts, "ready")
    hosts.receiver.wait_for(lambda alert: "MySQL answers again" in alert.text, timeout=60)
    assert hosts.receiver.titles == ["MySQL does not answer", "MySQL answers again"]

    hosts.receiver.forget()
    missed = ("network", "database-away", "store:files", "store:backups")
    with journal_from_now(web, f"_SYSTEMD_UNIT={AGENT}") as journal:
        with web.cut_off():
            wait_for_phase(journal, "pending", "network")
            watch(hosts, NARROW)
            wait_for_phase(journal, "firing", *missed)
            assert set(held(web).values()) == {"network"}
            watch(hosts, WIDE)
        wait_for_phase(journal, "inactive", *missed)
    hosts.receiver.wait_for(lambda alert: "reaches other machines again" in alert.text, timeout=180)
    assert hosts.receiver.titles == ["this host reaches no other machine", "this host reaches other machines again"]
    said = [str(entry.get("MESSAGE")) for entry in web.journal(AGENT)]
    assert [text for text in said if "Traceback" in text] == []
