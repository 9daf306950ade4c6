"""`wbagent verify` with the real wandb client of PyPI, through a real nginx, against a small server of W&B's API."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.address import free_port
from tests.testbed.authority import Authority, Issued
from tests.testbed.fronts import Setup, front
from tests.testbed.rootfs import FRONTS
from tests.testbed.scratch import scratch
from tests.testbed.wandb_api import API_KEY, WandbApi
from wbagent.checks.scratch import Scratch
from wbagent.errors import WbagentError
from wbagent.verify.client import Client, find_client
from wbagent.verify.client import verify as run_client
from wbagent.verify.install import install_client
from wbagent.verify.output import Outcome, read
from wbagent.verify.remedies import UNKNOWN, remedy_of

from .conftest import require

# 9 s and 125 MB. A release to know its words by; what is newer is what users get from --install-client.
_CLIENT = "wandb==0.31.0"
_DEBIANS_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """The directory of an environment that --install-client made."""
    with scratch("wandb-client") as directory:
        try:
            install_client(Scratch(), directory / "client", python=_DEBIANS_PYTHON, requirement=_CLIENT)
        except WbagentError as error:
            pytest.skip(f"no wandb client to test with: {error}")
        yield directory / "client"


@pytest.fixture
def client(installed: Path) -> Client:
    found = find_client(Scratch(), installed)
    assert found is not None
    return found


@contextmanager
def serving(certificate: Issued | None, body_limit: int = 0, *, good: bool = True) -> Iterator[tuple[str, WandbApi]]:
    """The API behind nginx, and the address of that. Not `good`: without sweeps, its store without CORS."""
    require(FRONTS)
    api = WandbApi()
    port, http_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    setup = Setup(f"127.0.0.1:{api.port}", certificate, port=port, http_port=http_port, body_limit=body_limit)
    api.url, api.cors, api.sweeps = setup.url, good, good
    with api.serving(), front("nginx", setup):
        yield setup.url, api


def configured(directory: Path, host: str, port: int, authority: Authority) -> Path:
    path = directory / "wbagent.toml"
    path.write_text(
        f'[server]\nhost = "{host}"\nport = {port}\nimage = "wandb/local:0.83.0"\nembedded = true\n'
        f'[monitor.certificate]\nauthorities = ["{authority.certificate}"]\n'
    )
    return path


def command(config: Path, key: Path, client: Path) -> subprocess.Popen[str]:
    """The command line, with the client on PATH."""
    arguments = [sys.executable, "-m", "wbagent.cli.main", "--config", str(config), "verify", "--json"]
    path = f"{client / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [*arguments, "--api-key-file", str(key)],
        env=os.environ | {"PATH": path, "WBAGENT_STATE_DIRECTORY": str(config.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wbagent_verify(config: Path, key: Path, client: Path) -> tuple[int, dict[str, Any], str]:
    """What came of it: status, JSON and stderr."""
    with command(config, key, client) as running:
        said, errors = running.communicate(timeout=300)
    return running.returncode, json.loads(said), errors


def left_of(client: Path) -> list[str]:
    """Processes of the client, and homes that were made for it."""
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    homes = [str(path) for path in Path(tempfile.gettempdir()).glob("wbagent-verify-*")]
    return [line for line in running.splitlines() if str(client) in line] + homes


def of_client(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {found["about"]: found for found in document["results"] if found["area"] == "wandb verify"}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{API_KEY}\n")
    path.chmod(0o600)
    return path


def test_all_is_well_behind_a_good_front(installed: Path, authority: Authority, tmp_path: Path, key: Path) -> None:
    with serving(authority.issue("127.0.0.1")) as (url, api):
        status, document, said = wbagent_verify(configured(tmp_path, url, api.port, authority), key, installed)
    found = of_client(document)
    assert {about: one["verdict"] for about, one in found.items() if about} == {
        "if logged in": "pass",
        "signed URL upload": "pass",
        "ability to send large payloads through proxy": "pass",
        "requests to base url": "pass",
        "requests made over signed URLs": "pass",
        "CORs configuration of the bucket": "pass",
        "wandb package version is up to date": "pass",
        "logged metrics, saving and downloading a file": "pass",
        "artifact save and download workflows": "pass",
        "sweep creation and agent execution": "pass",
    }
    assert status == 0
    assert api.largest > 10**7
    others = {one["check"]: one["verdict"] for one in document["results"] if one["area"] in {"address", "tls"}}
    assert {check: verdict for check, verdict in others.items() if verdict != "pass"} == {
        # This host does not trust the authority, but the configuration names it; http:// is not on its usual port.
        "authority": "note",
        "redirect": "note",
    }
    assert {"ready", "public address", "body of 10 MB", "websocket", "Host", "https", "name"} <= others.keys()
    assert API_KEY not in json.dumps(document) + said
    assert left_of(installed) == []


def test_a_body_limit_a_bucket_without_cors_and_no_sweeps(
    installed: Path, authority: Authority, tmp_path: Path, key: Path
) -> None:
    with serving(authority.issue("127.0.0.1"), 1 << 20, good=False) as (url, api):
        _, document, _ = wbagent_verify(configured(tmp_path, url, api.port, authority), key, installed)
    found = of_client(document)
    large = found["ability to send large payloads through proxy"]
    assert large["verdict"] == "fail"
    assert "client_max_body_size 0;" in large["remedy"]
    cors = found["CORs configuration of the bucket"]
    assert (cors["verdict"], cors["remedy"]) == ("warn", "wbagent bucket cors")
    sweeps = found["sweep creation and agent execution"]
    assert (sweeps["verdict"], sweeps["found"]) == (
        "fail",
        "Failed to create sweep: input: unknown operation UpsertSweep",
    )
    assert found["artifact save and download workflows"]["verdict"] == "pass"


def test_a_self_signed_certificate_is_told_once_and_the_client_not_run(
    installed: Path, authority: Authority, tmp_path: Path, key: Path
) -> None:
    with serving(authority.self_signed("127.0.0.1")) as (url, api):
        status, document, _ = wbagent_verify(configured(tmp_path, url, api.port, authority), key, installed)
    assert status == 2
    found = {one["check"]: one for one in document["results"]}
    assert found["ready"]["verdict"] == "note"
    assert found["authority"]["verdict"] == "fail"
    assert "self-signed, which W&B does not support" in found["authority"]["found"]
    (not_run,) = of_client(document).values()
    assert (not_run["verdict"], not_run["found"]) == ("note", f"not run: {url} cannot be used (above)")


def test_a_key_that_the_server_does_not_know(client: Client, authority: Authority) -> None:
    class Refusing(WandbApi):
        def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
            return 401, b'{"errors":[{"message":"user is not logged in"}]}', {}

    api = Refusing()
    with api.serving():
        ended = run_client(client, api.url, API_KEY, [authority.certificate], Scratch())
    assert ended.status == 1
    (step,) = read(ended.output).steps
    assert step.outcome is Outcome.FAILED
    assert "/authorize" in remedy_of(" ".join(step.reasons), api.url)


class Silent(WandbApi):
    """Is ready, and does not answer what the client asks."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.over = threading.Event(), threading.Event()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        # The area proxy asks with a large body, and the client first of all who it is.
        if path == "/graphql" and b"Viewer" in body[:100]:
            self.asked.set()
            self.over.wait(60)
        return super().answer(method, path, body)


@pytest.fixture
def silent() -> Iterator[Silent]:
    api = Silent()
    with api.serving():
        yield api
        api.over.set()


def test_it_is_ended_at_the_time_limit_with_all_that_it_started(
    client: Client, installed: Path, silent: Silent
) -> None:
    looking = Scratch()
    ended = run_client(client, silent.url, API_KEY, (), looking, limit_s=3.0)
    assert silent.asked.is_set()
    assert (ended.status, looking.left, left_of(installed)) == (None, [], [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_client_and_leaves_nothing(
    number: int, installed: Path, silent: Silent, authority: Authority, tmp_path: Path, key: Path
) -> None:
    with command(configured(tmp_path, silent.url, silent.port, authority), key, installed) as running:
        assert silent.asked.wait(60)
        running.send_signal(number)
        said, errors = running.communicate(timeout=30)
    assert (running.returncode, said) == (128 + number, "")
    assert "interrupted" in errors
    assert left_of(installed) == []


def test_every_line_that_this_client_can_print_has_a_remedy(installed: Path) -> None:
    (source,) = installed.glob("lib/python3*/site-packages/wandb/sdk/verify/verify.py")
    lines = [line for line in _failures(ast.parse(source.read_text())) if line]
    assert len(lines) > 20
    assert [line for line in lines if remedy_of(line, "H") == UNKNOWN] == []


def _failures(tree: ast.AST) -> Iterator[str]:
    """The words that its functions hand to `failed_test_strings`, `fail_string` and print_results."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"failed_test_strings.append", "fails_list.append"}:
            yield _words(node.args[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"check_secure_requests"}:
            yield _words(node.args[2])
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "fail_string":
            yield _words(node.value)


def _words(node: ast.AST) -> str:
    """The constant parts of a string."""
    return " ".join(
        part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )
