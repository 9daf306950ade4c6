"""The parties that keep the same stand-in alive on one host: wbagent, Docker's restart policy, a Podman Quadlet."""

from __future__ import annotations

import json
from typing import Final, Protocol

from tests.testbed.bed import IMAGE, Bed, Table, configure
from tests.testbed.host import Host
from tests.testbed.standin_image import image_changes, image_tar

PERIOD_S = 2.0
THRESHOLD = 3
# The default's proportion of time-out to period (5 s to 10 s); shorter, since every hang is waited for.
QUICK_PROBES: Final[Table] = {"liveness_period": "2s", "timeout": "1s", "liveness_failures": THRESHOLD}
_ENVIRONMENT = "/etc/bench.env"
_PODMAN_IMAGE = f"localhost/{IMAGE}"

# What podman-systemd.unit(5) shows, with Restart=always. Without the start limit's end, systemd would give up at the
# fifth crash in 10 s, and that is not what is compared here. Notify= stays at its default: that decides when the unit
# counts as started, not when the container serves. PidsLimit= since the test machines' kernels may have no such
# controller, and Podman insists on one where Docker does without.
_QUADLET = f"""\
[Unit]
Description=The stand-in by Quadlet
StartLimitIntervalSec=0

[Container]
ContainerName=bench-quadlet
Image={_PODMAN_IMAGE}
EnvironmentFile={_ENVIRONMENT}
PublishPort=8082:8080
Volume=bench-quadlet:/vol
PidsLimit=0

[Service]
Restart=always

[Install]
WantedBy=multi-user.target
"""


class Party(Protocol):
    """One way to keep the server alive."""

    name: str
    port: int

    def start(self) -> None:
        """Bring it up."""

    def pid(self) -> int:
        """The container's pid 1, as the host numbers it."""

    def forget(self) -> None:
        """Do what a long healthy time does to the back-off."""


class Wbagent:
    """The product, with its unit as installed."""

    name = "wbagent"
    port = 8080

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def start(self, probes: Table = QUICK_PROBES) -> None:
        configure(self._bed.web, self._bed.web_settings(**{"server.probes": probes}))
        self._bed.web.run(["systemctl", "reload", "wbagent.service"])
        self._bed.web.run(["systemctl", "start", "wandb-local.service"])
        environment = json.loads(self._bed.web.run(["docker", "inspect", "wandb-local"]).stdout)[0]["Config"]["Env"]
        # The others get the very same.
        self._bed.web.write(_ENVIRONMENT, "".join(f"{line}\n" for line in environment), mode=0o600)

    def pid(self) -> int:
        return _pid(self._bed.web, "docker", "wandb-local")

    def forget(self) -> None:
        # The agent does this after ten healthy minutes.
        self._bed.web.run(["systemctl", "reset-failed", "wandb-local.service"])


class DockerPolicy:
    """The guide's line, with `--restart=always`."""

    name = "docker"
    port = 8081

    def __init__(self, bed: Bed) -> None:
        self._host = bed.web

    def start(self) -> None:
        line = ["docker", "run", "--detach", "--restart=always", "--name=bench-docker", f"--publish={self.port}:8080"]
        # Docker starts the stopped container again, which this image does not survive; a tmpfs under what its entry
        # point trips over makes it survive, or there would be nothing to measure.
        line += [f"--env-file={_ENVIRONMENT}", "--volume=bench-docker:/vol", "--tmpfs=/etc/service:mode=1777", IMAGE]
        self._host.run(line)

    def pid(self) -> int:
        return _pid(self._host, "docker", "bench-docker")

    def forget(self) -> None:
        """Docker forgets by itself when the container ran for 10 s."""


class Quadlet:
    """A unit that Podman's generator makes."""

    name = "quadlet"
    port = 8082

    def __init__(self, bed: Bed) -> None:
        self._host = bed.web

    def start(self) -> None:
        options = [word for change in image_changes() for word in ("--change", change)]
        with image_tar().open("rb") as file:
            self._host.run(["podman", "import", *options, "-", _PODMAN_IMAGE], input=file, timeout=120)
        # Docker drops what is forwarded for others; its own chain for exceptions lets Podman's bridge through.
        for direction in ("--in-interface", "--out-interface"):
            self._host.run(["iptables", "--insert", "DOCKER-USER", direction, "podman0", "--jump", "ACCEPT"])
        self._host.write("/etc/containers/systemd/bench-quadlet.container", _QUADLET)
        self._host.run(["systemctl", "daemon-reload"])
        self._host.run(["systemctl", "start", "bench-quadlet.service"])

    def pid(self) -> int:
        return _pid(self._host, "podman", "bench-quadlet")

    def forget(self) -> None:
        """Its restarts come after RestartSec=100ms, however many there were."""


def _pid(host: Host, program: str, container: str) -> int:
    return int(host.run([program, "inspect", "--format={{.State.Pid}}", container]).stdout)
