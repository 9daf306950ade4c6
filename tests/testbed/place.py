"""An address of its own on the run's bridge for programs that need no booted host, such as the bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.bridge import Bridge
from tests.testbed.command import run


@dataclass(frozen=True)
class Place:
    """A network namespace with one address; its link can be cut like a host's."""

    address: str
    namespace: str
    link: str

    @property
    def network(self) -> Path:
        """The namespace's file, as `nsenter --net` takes it."""
        return Path("/run/netns") / self.namespace

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` with this place's network."""
        return ["nsenter", f"--net={self.network}", *argv]

    def cut(self) -> None:
        """Cut the place's network link."""
        run(["ip", "link", "set", self.link, "down"])

    def restore(self) -> None:
        """Put the network link back."""
        run(["ip", "link", "set", self.link, "up"])

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Keep the network link cut for the length of the `with` block."""
        self.cut()
        try:
            yield
        finally:
            self.restore()


@contextmanager
def place(bridge: Bridge, name: str, last: int) -> Iterator[Place]:
    """Set up a place whose address ends in `last`; it goes at the end."""
    here = Place(bridge.address(last), f"{bridge.name}-{name}", f"vp-{name}-{bridge.number}")
    run(["ip", "netns", "add", here.namespace])
    try:
        end = ["peer", "name", "eth0", "netns", here.namespace]
        run(["ip", "link", "add", here.link, "master", bridge.name, "type", "veth", *end])
        inside = ["ip", "-netns", here.namespace]
        run([*inside, "address", "add", f"{here.address}/24", "dev", "eth0"])
        for link in ("lo", "eth0"):
            run([*inside, "link", "set", link, "up"])
        run([*inside, "route", "add", "default", "via", bridge.gateway])
        here.restore()
        yield here
    finally:
        run(["ip", "link", "delete", here.link], check=False)
        run(["ip", "netns", "delete", here.namespace], check=False)
