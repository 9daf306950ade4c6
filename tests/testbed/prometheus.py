"""A real Prometheus beside an agent, in its network, and promtool: Debian's package, run out of a tree of its own."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.testbed.command import DeadlineError, Result, run
from tests.testbed.errors import BedError
from tests.testbed.program import WORK, Program, inside
from tests.testbed.rootfs import PROMETHEUS, root_file_system
from tests.testbed.scratch import scratch

_READY_WITHIN = 60.0
_ASK_AGAIN_S = 0.25


class Prometheus:
    """The server's HTTP interface at one address."""

    def __init__(self, address: str) -> None:
        self._api = f"http://{address}/api/v1"

    def ask(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer; raises BedError with Prometheus' own words when it refuses."""
        url = f"{self._api}/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise BedError(f"{url}: {error.read().decode(errors='replace')}") from None

    def query(self, expression: str) -> list[Mapping[str, Any]]:
        """The series that an expression gives now."""
        return list(self.ask("query", query=expression)["result"])

    def wait_for(self, condition: Callable[[Prometheus], Any], what: str, *, timeout: float = 60) -> Any:
        """What the condition gives as soon as that is true; it is asked again and again: Prometheus tells nobody."""
        deadline = time.monotonic() + timeout
        while not (found := condition(self)):
            if time.monotonic() > deadline:
                raise DeadlineError(f"Prometheus did not see {what} in {timeout} s: {self.ask('targets')}")
            time.sleep(_ASK_AGAIN_S)
        return found


@contextmanager
def prometheus(network: Path, address: str, target: str, rules: Path) -> Iterator[Prometheus]:
    """Run it in a network namespace (its file) at address:port, to scrape `target` as job "wbagent" every second."""
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(WORK / rules.name)],
        "scrape_configs": [{"job_name": "wbagent", "static_configs": [{"targets": [target]}]}],
    }
    tree = root_file_system(PROMETHEUS)
    with scratch("prometheus") as work:
        # JSON is YAML.
        (work / "prometheus.yml").write_text(json.dumps(settings))
        (work / rules.name).write_text(rules.read_text())
        command = ["prometheus", f"--config.file={WORK}/prometheus.yml", f"--storage.tsdb.path={WORK}/data"]
        command += [f"--web.listen-address={address}"]
        program = Program("prometheus", inside(tree, work, command, network=network), work / "log")
        try:
            program.wait_for_line("Server is ready to receive web requests", _READY_WITHIN)
            yield Prometheus(address)
        finally:
            program.stop(timeout=10)


def promtool(arguments: Sequence[str], *files: Path, text: str = "") -> Result:
    """Run promtool with `files` in its directory and `text` as its input; raises BedError where it complains."""
    tree = root_file_system(PROMETHEUS)
    with scratch("promtool") as work:
        for file in files:
            (work / file.name).write_text(file.read_text())
        line = ["sh", "-c", f'cd {WORK} && exec promtool "$@"', "promtool", *arguments]
        return run(inside(tree, work, line), input=text)
