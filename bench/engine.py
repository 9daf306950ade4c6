"""The limit: Docker alone cleans up after a death, and makes the same container again, with nobody watching."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

from bench.serving import kill, outer_pid, wait_until_serving
from tests.testbed.errors import BedError


class Engine:
    """Docker's API on a host, spoken to from this machine through the host's root directory."""

    def __init__(self, leader: int, address: str) -> None:
        self._leader = leader
        self._socket = f"/proc/{leader}/root/run/docker.sock"
        self._address = address

    def limits(self, container: str, port: int) -> tuple[float, float]:
        """What bounds every recovery, in seconds, measured on one like that container on another port.

        From the request for it until it serves; from its death until Docker tells of it: then only is its port free.
        """
        config, host_config = self._description(container)
        host_config["PortBindings"] = {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]}
        begun = time.monotonic()
        created = self._ask("POST", "/containers/create", config | {"HostConfig": host_config})
        self._ask("POST", f"/containers/{created['Id']}/start")
        seconds = wait_until_serving(self._address, port) - begun
        pid = int(self._ask("GET", f"/containers/{created['Id']}/json")["State"]["Pid"])
        killed = kill(outer_pid(self._leader, pid))
        self._ask("POST", f"/containers/{created['Id']}/wait")
        told = time.monotonic() - killed
        self._ask("DELETE", f"/containers/{created['Id']}?force=true&v=true")
        return seconds, told

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
