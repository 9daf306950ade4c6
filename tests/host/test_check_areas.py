"""`wbagent check server backup alerts` on booted hosts: what is well passes, what is broken fails for its reason."""

from __future__ import annotations

from tests.host.check_case import check, verdicts
from tests.host.server_case import UNIT, history
from tests.testbed.bed import Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.watch import wait_for_unit


def test_what_is_well_and_what_is_broken(hosts: Bed) -> None:
    web = hosts.web
    before = check(web, "server", "backup", "alerts")
    assert verdicts(before, "server", "backup", "agent", "destinations") == ["note", "note", "pass", "warn"]
    configure(web, hosts.web_settings(metrics={"listen": "127.0.0.1:9797"}))
    reload(web)
    stopped = check(web, "server", "backup")
    assert verdicts(stopped, "unit", "probes", "newest") == ["fail", "fail", "fail"]
    assert stopped["unit"]["remedy"] == f"systemctl enable --now {UNIT}"
    web.run(["systemctl", "enable", "--now", UNIT])
    web.run(["systemctl", "start", "wbagent-backup.service"], timeout=120)
    serving(web)
    removed(web)
    broken(hosts)


def serving(web: Host) -> None:
    """Everything that this bed has passes; what it lacks is said."""
    well = check(web, "server", "backup", "alerts")
    good = ("unit", "probes", "container", "start-up log", "region", "volume", "port", "environment")
    assert verdicts(well, *good) == ["pass"] * len(good)
    assert "stand-in" in well["image"]["found"]
    made = ("destination", "reachable", "programs", "retention", "schedule", "room for drills")
    assert verdicts(well, *made) == ["pass"] * len(made)
    assert verdicts(well, "keys", "engine", "drill") == ["warn", "note", "warn"]
    assert "the server is on another host" in well["engine"]["found"]
    told = ("agent", "configuration", "destination 1", "outbox", "units", "Prometheus")
    assert verdicts(well, *told) == ["pass"] * len(told), [well[name] for name in told]
    # A plain user may not read the configuration; whoever may read that may not ask Docker.
    agent = check(web, "server", user="wbagent")
    assert verdicts(agent, "unit", "probes", "container") == ["pass", "pass", "note"]
    assert "may not speak to Docker" in agent["container"]["found"]


def removed(web: Host) -> None:
    """A state directory that was removed: named while it lacks, and made anew by whoever starts."""
    state = "/var/lib/wbagent"
    web.run(["rm", "-r", f"{state}/server"])
    lacks = check(web, "server")
    assert verdicts(lacks, "state", "container") == ["fail", "note"]
    assert f"{state}/server/digest.key is missing" in lacks["container"]["found"]
    web.run(["install", "--directory", "--mode=2750", "--group=wbagent", f"{state}/server"])
    assert "cannot write" in check(web, "server")["state"]["found"]
    web.run(["sh", "-c", lacks["state"]["remedy"]])
    assert verdicts(check(web, "server"), "state") == ["pass"]
    web.run(["systemctl", "stop", UNIT, "wbagent.service"])
    # All that is in it: what is made anew there takes after the ACL of what is left.
    web.run(["sh", "-c", f"rm -rf {state}/*; systemd-tmpfiles --create wbagent.conf"])
    web.run(["systemctl", "start", "wbagent.service"])
    web.run(["systemctl", "start", UNIT])
    assert verdicts(check(web, "server"), "state", "unit", "container") == ["pass"] * 3
    assert [each["reason"] for each in history(web)] == ["ready"]
    web.run(["systemctl", "stop", UNIT, "wbagent.service"])
    web.run(["rm", "-r", state])
    # Before the agent, which would make it too.
    web.run(["systemctl", "start", UNIT])
    web.run(["systemctl", "start", "wbagent.service"])
    assert [each["reason"] for each in history(web)] == ["ready"]
    assert verdicts(check(web, "server"), "state", "unit") == ["pass"] * 2


def broken(hosts: Bed) -> None:
    """One thing after the other."""
    web = hosts.web
    wrong = hosts.web_settings(
        server={"memory": "4G", "stop_timeout": "2min", "image": "wandb/local:0.78.1"},
        alerts={"to": ["json://127.0.0.1:9/x", "slak://A/B/C"]},
        backup={"destination": str(hosts.bucket("no-such-bucket", "web1")), "keep_days": 3},
    )
    configure(web, wrong)
    found = check(web, "server", "backup", "alerts")
    assert verdicts(found, "image", "container", "limits") == ["fail", "warn", "warn"]
    assert "stop timeout: 60s -> 120s" in found["container"]["found"]
    assert "NOT on this host" in found["container"]["found"]
    assert verdicts(found, "reachable", "newest", "retention") == ["fail", "note", "warn"]
    assert "no-such-bucket" in found["reachable"]["found"]
    assert verdicts(found, "destination 1", "destination 2") == ["fail", "fail"]
    configure(web, hosts.web_settings())
    web.run(["docker", "kill", "wandb-local"])
    wait_for_unit(web, UNIT, lambda unit: unit["NRestarts"] == "1" and unit["ActiveState"] == "active")
    assert "once in the last week" in check(web, "server")["restarts"]["found"]
    web.run(["systemctl", "stop", UNIT, "wbagent.service"])
    web.run(["docker", "run", "--detach", "--name=wandb-local", "--publish=8080:8080", "wandb/local:stand-in"])
    foreign = check(web, "server", "alerts")
    assert verdicts(foreign, "container", "unit", "agent") == ["note", "fail", "fail"]
    assert foreign["container"]["remedy"] == "wbagent check docker"
    web.run(["docker", "rm", "--force", "wandb-local"])
    web.run(["systemctl", "stop", "docker.service", "docker.socket"])
    away = check(web, "server")
    assert verdicts(away, "container", "start-up log", "volume") == ["note", "note", "note"]
    web.run(["systemctl", "start", "docker.socket", "docker.service"])
