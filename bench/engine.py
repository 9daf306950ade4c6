"""The limit: Docker alone creates and starts the same container, with nobody watching, until it serves."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

from bench.serving import wait_until_serving
from tests.testbed.errors import BedError


class Engine:
    """Docker's API on a host, spoken to from this machine through the host's root directory."""

    def __init__(self, leader: int, address: str) -> None:
        self._socket = f"/proc/{leader}/root/run/docker.sock"
        self._address = address

    def start_like(self, container: str, port: int) -> float:
        """Seconds from the request for a container like that one, on another port, until it serves; removed then."""
        config, host_config = self._description(container)
        host_config["PortBindings"] = {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]}
        begun = time.monotonic()
        created = self._ask("POST", "/containers/create", config | {"HostConfig": host_config})
        self._ask("POST", f"/containers/{created['Id']}/start")
        seconds = wait_until_serving(self._address, port) - begun
        self._ask("DELETE", f"/containers/{created['Id']}?force=true&v=true")
        return seconds

    def _description(self, container: str) -> tuple[dict[str, Any], dict[str, Any]]:
        details = self._ask("GET", f"/containers/{container}/json")
        names = ("Image", "Env", "User", "ExposedPorts", "Labels", "Cmd")
        config = {name: details["Config"].get(name) for name in names}
        # Its network's settings are of the container that there is.
        return config, dict(details["HostConfig"])

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("docker", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self._socket)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, f"/v1.44{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise BedError(f"Docker answers {answer.status} to {method} {path}: {text.decode(errors='replace')}")
        return dict(json.loads(text or "{}"))
