"""What an operator asks and orders on a booted host: the history, what a restart would change, a pause."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.host.server_case import QUICK_PROBES, UNIT, history, serve
from tests.testbed.bed import IMAGE, Bed, configure, reload
from tests.testbed.watch import journal_from_now, wait_for_unit
from wbagent import events


def start_fails(bed: Bed) -> dict[str, Any]:
    """Start the unit, which must fail; the newest record."""
    assert bed.web.run(["systemctl", "start", UNIT], check=False).returncode != 0
    bed.web.run(["systemctl", "stop", UNIT])
    return next(record for record in reversed(history(bed.web)) if record["reason"] != "stopped")


def test_history_tells_each_end_and_how_long_it_lasted(hosts: Bed) -> None:
    web = hosts.web
    serve(hosts, **QUICK_PROBES)
    web.run(["docker", "kill", "wandb-local"])
    wait_for_unit(web, UNIT, lambda unit: unit["ActiveState"] == "active" and unit["NRestarts"] == "1")
    web.run(["systemctl", "stop", UNIT])
    web.run(["systemctl", "start", UNIT])
    records = history(web)
    assert [record["reason"] for record in records] == ["ready", "exited", "ready", "stopped", "ready"]
    crash, stop = records[1]["outage"], records[3]["outage"]
    assert crash["over"] == records[2]["at"]
    assert 0 < crash["seconds"] < 30
    assert (crash["asked"], stop["asked"]) == (False, True)
    shown = web.run(["wbagent", "server", "history", "4"]).stdout
    assert "SIGKILL" in shown
    assert "exit status: 137" in shown
    assert "serves http" in shown


def test_history_needs_no_root(hosts: Bed) -> None:
    web = hosts.web
    serve(hosts, **QUICK_PROBES)
    for group in ("wbagent", "systemd-journal"):
        web.run(["useradd", "--no-create-home", "--groups", group, f"of-{group}"])
        try:
            assert [record["reason"] for record in history(web, user=f"of-{group}")] == ["ready"]
        finally:
            web.run(["userdel", f"of-{group}"])
    refused = web.run(["wbagent", "server", "history"], user="nobody", check=False)
    assert refused.returncode == 77
    assert "systemd-journal" in refused.stderr


def test_a_start_that_cannot_be_has_the_name_of_its_reason(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings(server={"image": "wandb/local:0.0.1"}))
    assert start_fails(hosts)["reason"] == "image missing"
    configure(web, hosts.web_settings(server={"volume": "no volume's name"}))
    assert start_fails(hosts)["reason"] == "specification refused"
    configure(web, hosts.web_settings())
    web.run(["docker", "run", "--detach", "--name=squatter", "--publish=8080:8080", IMAGE])
    try:
        taken = start_fails(hosts)
        assert taken["reason"] == "port taken"
        assert "ss -ltnp" in taken["known"]["remedy"]
    finally:
        web.run(["docker", "rm", "--force", "squatter"])
    web.run(["docker", "create", "--name=wandb-local", IMAGE])
    try:
        assert start_fails(hosts)["reason"] == "foreign container"
    finally:
        web.run(["docker", "rm", "wandb-local"])


def test_diff_shows_what_a_restart_would_change_and_no_secret(hosts: Bed) -> None:
    web = hosts.web
    serve(hosts, **QUICK_PROBES)
    same = web.run(["wbagent", "server", "diff"], check=False)
    assert (same.returncode, same.stderr) == (0, "")
    changes = {"server": {"stop_timeout": "2m"}, "server.env": {"OIDC_SECRET": "not-to-be-shown"}}
    configure(web, hosts.web_settings(**QUICK_PROBES, **changes))
    with journal_from_now(web, f"MESSAGE_ID={events.RESTART_NEEDED}") as journal:
        reload(web)
        journal.wait_for("old settings", timeout=20)
    needed = "a restart would apply changed settings"
    wait_for_unit(web, "wbagent.service", lambda unit: needed in unit["StatusText"])
    assert needed in web.run(["wbagent", "status"], check=False).stdout
    differs = web.run(["wbagent", "server", "diff"], check=False)
    assert differs.returncode == 1
    assert "stop timeout: 60s -> 120s" in differs.stdout
    # The kernel here may have no controllers; a limit that Docker drops is no difference.
    assert "memory" not in differs.stdout
    assert "environment OIDC_SECRET: added" in differs.stdout
    assert "not-to-be-shown" not in differs.stdout
    web.run(["systemctl", "restart", UNIT])
    assert web.run(["wbagent", "server", "diff"], check=False).returncode == 0
    assert "a restart would apply" not in web.run(["wbagent", "status"], check=False).stdout
    web.run(["useradd", "--no-create-home", "--groups", "wbagent", "of-wbagent"])
    try:
        refused = web.run(["wbagent", "server", "diff"], user="of-wbagent", check=False)
        assert refused.returncode == 77
        assert "group docker" in refused.stderr
    finally:
        web.run(["userdel", "of-wbagent"])


def _has(wanted: Mapping[str, str], unit: Mapping[str, str]) -> bool:
    return wanted.items() <= unit.items()


def test_a_crash_loop_is_one_alert_with_the_reason(hosts: Bed) -> None:
    web = hosts.web
    serve(hosts, **QUICK_PROBES)
    for number in range(1, 8):
        web.run(["docker", "kill", "wandb-local"])
        up_again = {"ActiveState": "active", "NRestarts": str(number)}
        wait_for_unit(web, UNIT, partial(_has, up_again))
    told = hosts.receiver.wait_for(lambda alert: "times in" in alert.text, timeout=30)
    assert "SIGKILL" in told.text
    wait_for_unit(web, "wbagent.service", lambda unit: "ALERT: W&B server is in a crash loop" in unit["StatusText"])
    # The first end was told before anybody could know that it begins a loop.
    titles = [str(alert.body["title"]) for alert in hosts.receiver.alerts]
    assert len(titles) == 2, titles
    assert titles[0].endswith("W&B server ended")


def test_a_pause_holds_restarts_and_alerts_and_ends_by_itself(hosts: Bed) -> None:
    web = hosts.web
    serve(hosts, **QUICK_PROBES)
    [before] = web.run(["docker", "ps", "--quiet", "--no-trunc"]).stdout.split()
    matches = [f"MESSAGE_ID={number}" for number in (events.PAUSE_BEGAN, events.PAUSE_ENDED, events.LIVENESS_FAILED)]
    with journal_from_now(web, *matches) as journal:
        web.run(["wbagent", "server", "pause", "disk is replaced"])
        # More than the three failures that would end it: the unit's runner goes on counting.
        web.run(["docker", "pause", "wandb-local"])
        journal.wait_for("paused for 1h by root: disk is replaced")
        journal.wait_for("5 of 3 liveness probes failed")
        assert "PAUSED for" in web.properties("wbagent.service")["StatusText"]
        web.run(["systemctl", "restart", "wbagent.service"])
        assert "disk is replaced" in web.run(["wbagent", "status"], check=False).stdout
        assert web.run(["docker", "ps", "--quiet", "--no-trunc"]).stdout.split() == [before]
        assert [alert.text for alert in hosts.receiver.alerts] == []
        # Replaced by one whose end can be awaited; nothing needs to happen before that end.
        web.run(["wbagent", "server", "pause", "disk is nearly replaced", "--for", "3s"])
        journal.wait_for("paused for 3s by root: disk is nearly replaced")
        web.run(["systemctl", "restart", "wbagent.service"])
        journal.wait_for("the pause is over")
    wait_for_unit(web, UNIT, lambda unit: unit["ActiveState"] == "active" and unit["NRestarts"] == "1")
    assert history(web)[-2]["reason"] == "liveness lost"
    hosts.receiver.wait_for(lambda alert: "W&B server ended" in alert.text, timeout=30)


def test_a_pause_can_be_ended_and_is_for_operators(hosts: Bed) -> None:
    web = hosts.web
    serve(hosts, **QUICK_PROBES)
    web.run(["wbagent", "server", "pause", "network works"])
    assert "PAUSED for" in web.run(["wbagent", "status"], check=False).stdout
    web.run(["wbagent", "server", "resume"])
    assert "PAUSED" not in web.run(["wbagent", "status"], check=False).stdout
    assert "no pause lasts" in web.run(["wbagent", "server", "resume"]).stdout
    refused = web.run(["wbagent", "server", "pause", "no right to"], user="nobody", check=False)
    assert refused.returncode == 77
    assert web.run(["wbagent", "server", "pause", "too long", "--for", "8d"], check=False).returncode == 64
