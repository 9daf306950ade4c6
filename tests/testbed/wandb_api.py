"""A small server of W&B's API: as much of it as `wandb verify` of the real client needs.

It answers GraphQL by the name of the operation, takes what a run streams, and gives out addresses for files at its own
`/store/`, which stand for the signed URLs of a bucket.
"""

from __future__ import annotations

import json
import posixpath
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import quote, unquote

from tests.testbed.wandb_artifacts import Artifacts

API_KEY: Final = "a1" * 20
_ENTITY: Final = "tester"
_PROJECT: Final = {"id": "1", "internalId": "1", "name": "verify", "entity": {"id": "1", "name": _ENTITY}}
_ARTIFACTS: Final = "artifacts"
# The clients that it takes; what is newer is told that it is.
_CLIENTS: Final = {"min_cli_version": "0.9.0", "max_cli_version": "99.0.0"}


@dataclass
class _Run:
    config: str = "{}"
    streamed: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class WandbApi:
    """Listens on a free port of 127.0.0.1. `url` is the address in the links that it gives out.

    `cors`: whether its store allows a browser anything; `sweeps`: whether it has any; `largest`: the size of the
    largest request so far.
    """

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.cors = True
        self.sweeps = True
        self.largest = 0
        # What belongs to no run is stored beside them.
        self._runs = {_ARTIFACTS: _Run()}
        self._artifacts = Artifacts(
            lambda name: self._link(_ARTIFACTS, name), lambda name: self._runs[_ARTIFACTS].files[name], _PROJECT
        )

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer for the length of the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                api.largest = max(api.largest, len(body))
                status, answer, headers = api.answer(self.command, self.path, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_OPTIONS = _any  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
                """Say nothing."""

        return Handler

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        if path in {"/healthz", "/ready"}:
            return 200, b"ok\n", {}
        if path == "/graphql":
            return 200, json.dumps(self._graphql(json.loads(body))).encode(), {"Content-Type": "application/json"}
        if path.startswith("/files/"):
            self._stream(path.split("/")[4], json.loads(body))
            return 200, b"{}", {"Content-Type": "application/json"}
        if path.startswith("/store/"):
            return self._store(method, path, body)
        return 404, b"not found\n", {}

    # --- files ---

    def _stream(self, run: str, sent: dict[str, Any]) -> None:
        for name, chunk in (sent.get("files") or {}).items():
            self._runs[run].streamed.setdefault(name, []).extend(chunk["content"])

    def _store(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        run, _, name = unquote(path).removeprefix("/store/").partition("/")
        files = self._runs[run].files
        if method == "OPTIONS":
            return 200, b"", {"Access-Control-Allow-Origin": "*"} if self.cors else {}
        if method == "PUT":
            files[name] = body
            return 200, b"", {}
        return (200, files[name], {}) if name in files else (404, b"", {})

    def _link(self, run: str, name: str) -> str:
        return f"{self.url}/store/{run}/{quote(name)}"

    # --- GraphQL ---

    def _graphql(self, asked: dict[str, Any]) -> dict[str, Any]:
        named = re.match(r"\W*(?:query|mutation)\s+(\w+)|", asked["query"].removeprefix("#graphql"))
        name = asked.get("operationName") or (named and named[1])
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "Viewer": lambda _: self._viewer(),
            "GetDefaultEntity": lambda _: self._viewer(),
            "ServerInfo": lambda _: {"serverInfo": {"cliVersionInfo": _CLIENTS}},
            "UpsertBucket": self._upsert,
            "CreateRunFiles": self._create_files,
            "Run": lambda asked: {"project": _PROJECT | {"run": self._run(asked["name"])}},
            "RunFiles": self._list_files,
            "Project": lambda _: {"project": None},
            **self._artifacts.operations,
            **(self._artifacts.sweeps if self.sweeps else {}),
        }
        if name not in known:
            return {"data": None, "errors": [{"message": f"unknown operation {name}"}]}
        return {"data": known[name](asked.get("variables") or {})}

    def _viewer(self) -> dict[str, Any]:
        teams = {"edges": [{"node": {"name": _ENTITY}}]}
        return {"viewer": {"id": "1", "entity": _ENTITY, "username": _ENTITY, "flags": "{}", "teams": teams}}

    def _upsert(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["name"]
        run = self._runs.setdefault(name, _Run(asked.get("config") or "{}"))
        bucket = {"id": name, "name": name, "displayName": name, "config": run.config, "historyLineCount": 0}
        return {"upsertBucket": {"bucket": bucket | {"project": _PROJECT}, "inserted": True}}

    def _create_files(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = asked["run"]
        files = [{"name": name, "uploadUrl": self._link(run, name)} for name in asked["files"]]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}

    def _list_files(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = asked["name"]
        wanted = {posixpath.normpath(name) for name in asked.get("fileNames") or ()}
        names = [name for name in self._runs[run].files if not wanted or name in wanted]
        nodes = [self._file(run, name) for name in names]
        files = {
            "edges": [{"node": node, "cursor": node["id"]} for node in nodes],
            "pageInfo": {"endCursor": None, "hasNextPage": False},
        }
        return {"project": {"internalId": "1", "run": {"fileCount": len(nodes), "files": files}}}

    def _file(self, run: str, name: str) -> dict[str, Any]:
        link, size = self._link(run, name), len(self._runs[run].files[name])
        facts = {"mimetype": "text/plain", "updatedAt": "2026-01-01T00:00:00", "md5": "", "sizeBytes": size}
        return {"id": name, "name": name, "url": link, "directUrl": link} | facts

    def _run(self, name: str) -> dict[str, Any] | None:
        run = self._runs.get(name)
        if run is None:
            return None
        history = [json.loads(line) for line in run.streamed.get("wandb-history.jsonl", [])]
        summaries = run.streamed.get("wandb-summary.json", ["{}"])
        keys = {key: {"previousValue": value} for line in history for key, value in _flat(line, "")}
        last = history[-1]["_step"] if history else -1
        return {
            "id": name,
            "name": name,
            "displayName": name,
            "state": "finished",
            "tags": [],
            "config": run.config,
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00",
            "heartbeatAt": "2026-01-01T00:00:00",
            "systemMetrics": "{}",
            "summaryMetrics": summaries[-1],
            "historyLineCount": len(history),
            "user": {"name": _ENTITY, "username": _ENTITY},
            "historyKeys": {"lastStep": last, "keys": keys},
        }


def _flat(tree: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    """{"a": {"b": 1}} -> ("a.b", 1), as the server names what was logged."""
    for name, value in tree.items():
        if isinstance(value, dict) and "_type" not in value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
