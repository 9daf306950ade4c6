"""`wbagent verify` on a booted host, from the package: the server in Docker behind nginx, good, broken, stopped."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.testbed.authority import Authority
from tests.testbed.bed import Bed, configure
from tests.testbed.fronts import Setup, front


def verify(bed: Bed, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and what was found by check."""
    ran = bed.web.run(["wbagent", "verify", "--json", *options], check=False, timeout=120)
    results = json.loads(ran.stdout)["results"]
    return ran.returncode, {f"{one['check']}: {one['about']}" if one["about"] else one["check"]: one for one in results}


def test_an_installation_behind_tls_and_the_same_one_stopped(hosts: Bed, tmp_path: Path) -> None:
    web, address = hosts.web, f"https://{hosts.web.address}"
    authority = Authority(tmp_path)
    authority.trusted_by(web)
    try:
        configure(web, hosts.web_settings(server={"host": address}))
        web.run(["wbagent", "bucket", "cors", "--yes"])
        web.run(["systemctl", "start", "wandb-local.service"])
        setup = Setup("127.0.0.1:8080", authority.issue(web.address), address=web.address)
        with front("nginx", setup, web.network):
            status, found = verify(hosts)
            # There is no client, and the bed's store has no TLS.
            assert {name for name, one in found.items() if one["verdict"] != "pass"} == {"client", "endpoint"}
            seen = {one["check"] for one in found.values()}
            assert {"ready", "body of 10 MB", "authority", "signed URL", "CORS", "start"} <= seen
            assert (status, found["endpoint"]["verdict"]) == (1, "warn")
            missing = web.run(["wbagent", "verify", "--install-client"], check=False)
            assert (missing.returncode, "apt install python3-venv" in missing.stderr) == (64, True)
            assert not web.exists("/var/cache/wbagent/wandb-client")
            # A start that goes wrong while the container stays up, as W&B's image does.
            panic = f"http://{web.address}:8080/standin/panic"
            urllib.request.urlopen(urllib.request.Request(panic, method="POST"), timeout=10).close()
            status, found = verify(hosts, "--no-client")
            assert status == 2
            assert found["ready"]["verdict"] == "fail"
            assert "Unable to start backend" in found["start"]["found"]
            web.run(["systemctl", "stop", "wandb-local.service"])
            status, found = verify(hosts, "--no-client")
            assert status == 2
            assert "does not reach the server" in found["ready"]["found"]
            assert "stopped" in found["start"]["found"]
            # Told once: what lies behind the load balancer is not looked at.
            assert "public address" not in found
    finally:
        web.run(["rm", "/usr/local/share/ca-certificates/test-authority.crt"])
        web.run(["update-ca-certificates", "--fresh"])
