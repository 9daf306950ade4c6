"""Metrics of the installed package, scraped by a real Prometheus that has the package's rules."""

from __future__ import annotations

import json
from pathlib import Path

from tests.testbed.bed import Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.prometheus import prometheus, promtool
from tests.testbed.watch import journal_from_now
from wbagent import events

AGENT = "wbagent.service"
SHARE = "/usr/share/wbagent"
# The guide's rule is 40 % for 5 minutes; this one is true as soon as one processor has something to do.
QUICK_RULE = {"above_percent": 10, "for_minutes": 0.05, "sample_every": "1s"}

# Runs on the host, as a user with no rights: GET over TCP or over a Unix socket.
_GET = """
import http.client, socket, sys
where = sys.argv[1]
client = http.client.HTTPConnection("localhost" if where.startswith("/") else where, timeout=10)
if where.startswith("/"):
    client.sock = socket.socket(socket.AF_UNIX)
    client.sock.connect(where)
client.request("GET", "/metrics")
answer = client.getresponse()
assert answer.status == 200, answer.status
print(answer.read().decode(), end="")
"""


def page(host: Host, where: str) -> str:
    return host.run(["runuser", "--user", "nobody", "--", "python3", "-c", _GET, where]).stdout


def test_prometheus_scrapes_the_agent_and_fires(hosts: Bed, tmp_path: Path) -> None:
    web = hosts.web
    rules = tmp_path / "wbagent.rules.yml"
    rules.write_text(web.read(f"{SHARE}/prometheus/wbagent.rules.yml"))
    configure(web, hosts.web_settings(metrics={"listen": "127.0.0.1:9797"}, **{"monitor.cpu": QUICK_RULE}))
    reload(web)
    with prometheus(web.network, f"{web.address}:9090", "127.0.0.1:9797", rules) as server:
        server.wait_for(lambda asked: asked.query('up{job="wbagent"} == 1'), "the agent")
        with web.running(["sh", "-c", "while :; do :; done"]):
            firing = 'ALERTS{alertname="WbagentAlert", alert="cpu", severity="warning", alertstate="firing"}'
            server.wait_for(lambda asked: asked.query(firing), "the alert about processors")
        promtool(["check", "metrics"], text=page(web, "127.0.0.1:9797"))
        (target,) = server.ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        for group in server.ask("rules")["groups"]:
            assert [rule["name"] for rule in group["rules"] if rule["health"] != "ok"] == []
        assert server.query("wbagent_database_up")[0]["value"][1] == "1"
        assert server.query("wbagent_server_enabled")[0]["value"][1] == "0"
        for panel in json.loads(web.read(f"{SHARE}/grafana/wbagent.json"))["panels"]:
            for query in panel.get("targets", ()):
                server.query(query["expr"].replace("$instance", ".*"))
        web.run(["systemctl", "stop", AGENT])
        server.wait_for(lambda asked: asked.query('ALERTS{alertname="WbagentDown"}'), "that the agent is gone")


def test_metrics_stay_on_the_host(hosts: Bed) -> None:
    """By a socket or on loopback; anything else is refused in words, and what was is kept."""
    web, path = hosts.web, "/run/wbagent-metrics/http"
    configure(web, hosts.web_settings(metrics={"listen": f"unix:{path}"}))
    with journal_from_now(web, f"_SYSTEMD_UNIT={AGENT}") as journal:
        reload(web)
        journal.wait_for(f"metrics are served at unix:{path}")
        assert "wbagent_build_info" in page(web, path)
        configure(web, hosts.web_settings(metrics={"listen": "0.0.0.0:9797"}))
        reload(web)
        refused = journal.wait_for("other machines reach 0.0.0.0:9797")
        assert refused["MESSAGE_ID"] == events.CONFIG_INVALID
    assert "wbagent_config_refused 1.0" in page(web, path)
    configure(web, hosts.web_settings(metrics={"listen": "127.0.0.1:9797"}))
    with (
        journal_from_now(web, f"_SYSTEMD_UNIT={AGENT}") as journal,
        web.running(
            [
                "python3",
                "-c",
                "import socket; s = socket.create_server(('127.0.0.1', 9797)); print('x', flush=True); s.accept()",
            ]
        ) as other,
    ):
        assert other.stdout
        assert other.stdout.readline()
        reload(web)
        assert "ss -lptn" in journal.wait_for("metrics cannot be had at 127.0.0.1:9797")["WBAGENT_HINT"]
        assert not web.exists(path)
        # Nobody does anything more: it listens there once the port is free.
        web.run(["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 9797)).close()"])
        journal.wait_for("metrics are served at 127.0.0.1:9797")
    assert "wbagent_config_refused 0.0" in page(web, "127.0.0.1:9797")
    there = hosts.db.run(["python3", "-c", _GET, f"{web.address}:9797"], check=False)
    assert "ConnectionRefusedError" in there.stderr
