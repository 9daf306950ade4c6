"""What the tests of upgrades on a booted host share: releases, the command, what it notes, how it is killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql

from tests.host.server_case import UNIT, container, get
from tests.testbed.bed import PASSWORD, Bed, configure, reload
from tests.testbed.command import Result
from tests.testbed.host import Host
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.standin_image import image_changes, image_tar
from tests.testbed.watch import Properties, wait_for_property, wait_for_unit

UPGRADE = "wbagent-upgrade.service"
BACKUP = "wbagent-backup.service"
OLD = "wandb/local:0.82.0"
NEW = "wandb/local:0.83.0"
# With migrations that take some seconds, and (the last) longer than the start-up budget: they end dirty.
SLOW, DIRTY, PANICS = "wandb/local:0.83.1", "wandb/local:0.83.2", "wandb/local:0.83.3"
RELEASES = {
    OLD: {},
    NEW: {"STANDIN_SCHEMA_VERSION": "4"},
    SLOW: {"STANDIN_SCHEMA_VERSION": "4", "STANDIN_MIGRATION_SECONDS": "4"},
    DIRTY: {"STANDIN_SCHEMA_VERSION": "4", "STANDIN_MIGRATION_SECONDS": "60"},
    PANICS: {"STANDIN_PANIC": "NoSuchBucket"},
}
PROBES = {"startup_failures": 7, "startup_period": "1s", "liveness_period": "1s"}


def import_releases(bed: Bed) -> None:
    """The releases, on web1."""
    for name, environment in RELEASES.items():
        bed.web.import_image(image_tar(), name, image_changes(**environment))


def serve(bed: Bed, image: str, **sections: dict[str, object]) -> Bed:
    sections = {"server.probes": PROBES, **sections}
    configure(bed.web, bed.web_settings(server={"image": image}, **sections))
    reload(bed.web)
    bed.web.run(["systemctl", "enable", "--now", UNIT])
    return bed


def upgrade(web: Host, *words: str) -> Result:
    """`wbagent server upgrade`, whatever comes of it."""
    return web.run(["wbagent", "server", "upgrade", *words], check=False, timeout=150)


def state(web: Host) -> dict[str, Any]:
    """What the upgrade has noted."""
    shown = web.run(["wbagent", "server", "upgrade", "--status", "--json"], check=False).stdout
    found: dict[str, Any] = json.loads(shown)
    return found


def serves(bed: Bed, image: str) -> bool:
    """Whether users get an answer from this image, and the configuration and the agent agree."""
    assert container(bed.web)["Config"]["Image"] == image
    assert f'image = "{image}"' in bed.web.read("/etc/wbagent.toml")
    assert "a restart would apply" not in bed.web.run(["wbagent", "status"], check=False).stdout
    return get(bed) == 200


def schema(bed: Bed) -> str:
    return bed.sql("SELECT version, dirty FROM schema_migrations", "wandb_local").strip()


def data(bed: Bed) -> Any:
    url = bed.mysql_url
    connection = pymysql.connect(host=url.host, user=url.user, password=PASSWORD, charset="utf8mb4", autocommit=True)
    with connection:
        return fingerprint(connection, url.database)


def kill_when(web: Host, arrived: Any) -> None:
    """SIGKILL of the upgrade's unit once its status line says so."""
    unit = wait_for_unit(web, UPGRADE, lambda unit: unit["ActiveState"] == "activating" and arrived(unit))
    web.kill(int(unit["MainPID"]))
    wait_for_property(web, UPGRADE, "ActiveState", "failed")


def at(text: str) -> Any:
    def arrived(unit: Properties) -> bool:
        return text in unit.get("StatusText", "")

    return arrived


@contextmanager
def begun(web: Host, *words: str) -> Iterator[None]:
    """An upgrade under way, after Ctrl-C in its terminal."""
    with web.running(["wbagent", "server", "upgrade", *words]) as process:
        wait_for_property(web, UPGRADE, "ActiveState", "activating")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout
        assert b"the upgrade goes on without this command" in process.stdout.read()
        yield
