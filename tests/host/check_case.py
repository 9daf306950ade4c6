"""What the tests of `wbagent check` on booted hosts share."""

from __future__ import annotations

import json
from typing import Any

from tests.testbed.host import Host


def check(host: Host, *areas: str, user: str | None = None) -> dict[str, dict[str, Any]]:
    """The findings by check, the worst of each where there are several."""
    done = host.run(["wbagent", "check", "--json", *areas], check=False, user=user, timeout=120)
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (document["status"], "")
    assert all(each["remedy"] for each in document["results"] if each["verdict"] in {"warn", "fail"})
    ranked = sorted(document["results"], key=lambda each: ["pass", "note", "warn", "fail"].index(each["verdict"]))
    return {each["check"]: each for each in ranked}


def verdicts(found: dict[str, dict[str, Any]], *names: str) -> list[str]:
    """How good these are."""
    return [found[name]["verdict"] for name in names]
