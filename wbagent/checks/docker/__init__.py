"""Checks of the area "docker": what the daemon has to be like for one container that must not stop."""

from __future__ import annotations

from collections.abc import Sequence

from wbagent.checks.check import Check, unconfigured
from wbagent.checks.docker import container, daemon, image
from wbagent.checks.docker.look import Look
from wbagent.config import Settings


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply: on a host of a database alone Docker is needed by drills in a container only."""
    if settings.server is None and settings.database is not None and settings.backup.drill.image is None:
        return (unconfigured("daemon", "not needed: this host has no [server], and no drill in a container", ""),)
    look = Look()
    of_the_daemon = (
        Check("daemon", look.daemon, "the server is a container"),
        Check("version", look.then(daemon.version), "older ones do not let the image's programs start", "Container"),
        Check("start at boot", look.then(daemon.start_at_boot), "the server would stay down after a reboot"),
        Check("storage", look.then(daemon.storage), "others copy whole images, or are no longer looked after"),
        Check("limits", look.then(daemon.limits), "without them the server can take all of this host", "Container"),
    )
    if settings.server is None and settings.database is not None:
        return of_the_daemon
    return (
        *of_the_daemon,
        Check("live-restore", look.then(daemon.live_restore), "each restart of Docker takes the server along"),
        Check("log driver", look.then(daemon.log_driver), "the server's log goes to the journal"),
        Check("other logs", look.then(container.other_logs), "a log without an end fills the disk"),
        Check("image", look.then(image.image), "the server starts from an image that is on this host", "Container"),
        Check("container", look.then(container.own), "one that somebody else made is left alone, and in the way"),
    )
