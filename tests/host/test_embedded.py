"""A server that runs its own MySQL and object store: told as such, backed up through its container, moved out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.testbed.bed import Bed, configure
from tests.testbed.embedded_image import TAG, embedded_image_tar
from tests.testbed.host import Host
from tests.testbed.standin_image import image_changes
from tests.testbed.watch import journal_from_now, wait_for_unit
from wbagent import events

UNIT = "wandb-local.service"
OWN_BUCKET = "local-files"
# The machine that carries the bed may not allow what the product asks for by itself; the unit test holds that.
FEW_FILES = {"server.ulimits": {"nofile": "4096:4096"}}


@pytest.fixture(scope="module")
def image(booted: Bed) -> Iterator[None]:
    """The image with a MySQL in it, and the bucket that stands behind its own address."""
    store = f"{booted.store.address}:{booted.store.port}"
    booted.web.import_image(embedded_image_tar(), TAG, image_changes(STANDIN_BUCKET_AT=store))
    booted.store.create_bucket(OWN_BUCKET)
    yield
    for key in booted.store.keys(OWN_BUCKET):
        booted.store.client().delete_object(Bucket=OWN_BUCKET, Key=key)
    booted.store.client().delete_bucket(Bucket=OWN_BUCKET)
    booted.web.run(["docker", "rmi", "--force", TAG])


@pytest.fixture
def embedded(image: None, hosts: Bed) -> Bed:
    """An embedded server runs on web1."""
    web = hosts.web
    settings = hosts.web_settings(server={"image": TAG, "embedded": True}, **FEW_FILES)
    settings["server"] = {name: value for name, value in settings["server"].items() if name not in {"mysql", "bucket"}}
    configure(web, settings)
    web.run(["systemctl", "reload", "wbagent.service"])
    web.run(["systemctl", "start", UNIT], timeout=120)
    return hosts


def sql(host: Host, statements: str) -> str:
    """Run statements in the embedded database as an operator does."""
    command = ["/opt/mysql-client/bin/mysql", "--socket=/run/wbagent/mysql.sock", "--user=wandb_local"]
    command += ["--password=wandb_local", "--batch", "--skip-column-names", "wandb_local"]
    return host.run(command, input=statements).stdout


def shown(host: Host) -> dict[str, Any]:
    """The newest backup's commit record."""
    record: dict[str, Any] = json.loads(host.run(["wbagent", "backup", "show", "latest", "--json"]).stdout)
    return record


def into(bed: Bed, database: str) -> str:
    """An account on db1 that may make `database`; the option's value."""
    bed.sql(f"DROP DATABASE IF EXISTS {database}; GRANT ALL ON {database}.* TO 'wandb_local'@'%' WITH GRANT OPTION;")
    bed.web.write("/root/into", f"{bed.mysql_url}".replace("/wandb_local", f"/{database}") + "\n", mode=0o600)
    return "@/root/into"


def test_everybody_is_told_that_it_is_not_for_production(embedded: Bed) -> None:
    web = embedded.web
    for command in (["wbagent", "status"], ["wbagent", "config", "check"]):
        said = web.run(command, check=False).stdout
        assert "EMBEDDED, for trials, not for production" in said
        assert "NOT in the backup" in said
    assert json.loads(web.run(["wbagent", "status", "--json"], check=False).stdout)["embedded"] is True
    assert [entry for entry in web.journal(UNIT) if entry.get("MESSAGE_ID") == events.SERVER_EMBEDDED]
    [container] = json.loads(web.run(["docker", "inspect", "wandb-local"]).stdout)
    names = {entry.partition("=")[0] for entry in container["Config"]["Env"]}
    assert not names & {"MYSQL", "BUCKET", "REDIS"}


def test_database_and_files_come_back_from_the_bucket(embedded: Bed) -> None:
    web = embedded.web
    sql(web, "INSERT INTO standin_users (email) VALUES ('ada@example.com'), ('bob@example.com')")
    key = web.read("/var/lib/docker/volumes/wandb/_data/env/internal_signer.key")
    web.run(["wbagent", "backup", "run"], timeout=120)
    record = shown(web)
    assert (record["files"]["members"], record["database"]["name"]) == (3, "wandb_local")
    assert record["warnings"] == []
    names = [name.rpartition("/")[2] for name in embedded.store.keys("wandb-backups")]
    assert names == ["database.sql.zst", "files.tar.zst", "manifest.json"]

    restored = web.run(
        ["wbagent", "restore", "latest", "--into", into(embedded, "restored"), "--files", "/root/env.tar"], timeout=120
    )
    assert "as many as were dumped" in restored.stdout
    assert embedded.sql("SELECT COUNT(*) FROM standin_users", "restored").strip() == "2"
    assert web.run(["stat", "--format=%a %U", "/root/env.tar"]).stdout.strip() == "600 root"
    assert web.run(["tar", "-xOf", "/root/env.tar", "env/internal_signer.key"]).stdout == key
    embedded.sql("DROP DATABASE restored")

    # The whole way back into the embedded server, as the manual says it.
    web.run(["rm", "-f", "/var/lib/docker/volumes/wandb/_data/env/internal_signer.key"])
    sql(web, "DROP DATABASE wandb_local")
    web.run(["wbagent", "restore", "latest", "--into", "embedded"], timeout=120)
    web.run(["sh", "-c", "docker cp --archive - wandb-local:/vol < /root/env.tar"])
    web.run(["systemctl", "restart", UNIT], timeout=120)
    assert sql(web, "SELECT COUNT(*) FROM standin_users").strip() == "2"
    assert web.read("/var/lib/docker/volumes/wandb/_data/env/internal_signer.key") == key
    owner = web.run(["stat", "--format=%u:%g %a", "/var/lib/docker/volumes/wandb/_data/env/internal_signer.key"])
    assert owner.stdout.strip() == "999:0 600"
    web.run(["rm", "/root/env.tar", "/root/into"])


def test_backup_after_a_crash_goes_through_the_new_container(embedded: Bed) -> None:
    web = embedded.web
    before = web.run(["readlink", "/run/wandb-local/netns"]).stdout
    sql(web, "INSERT INTO standin_users (email) VALUES ('ada@example.com')")
    web.run(["docker", "kill", "wandb-local"])
    wait_for_unit(web, UNIT, lambda unit: unit["ActiveState"] == "active" and unit["NRestarts"] == "1", timeout=60)
    assert web.run(["readlink", "/run/wandb-local/netns"]).stdout != before
    web.run(["wbagent", "backup", "run"], timeout=120)
    [rows] = [table["rows"] for table in shown(web)["tables"] if table["name"] == "standin_users"]
    assert rows == 1


def test_adopted_container_is_reached_too(embedded: Bed) -> None:
    web = embedded.web
    web.kill(int(web.properties(UNIT)["MainPID"]))
    wait_for_unit(web, UNIT, lambda unit: unit["ActiveState"] == "active" and unit["NRestarts"] == "1", timeout=60)
    web.run(["wbagent", "backup", "run"], timeout=120)


def test_backup_without_a_running_server_fails_with_the_reason(embedded: Bed) -> None:
    web = embedded.web
    web.run(["systemctl", "stop", UNIT], timeout=120)
    failed = web.run(["wbagent", "backup", "run"], check=False, timeout=120)
    assert failed.returncode == 74
    assert "systemctl status wandb-local" in failed.stderr
    assert embedded.store.keys("wandb-backups") == []


def test_only_the_agents_group_gets_in(embedded: Bed) -> None:
    web = embedded.web
    ask = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/wbagent/{}.sock')"
    for name in ("mysql", "files"):
        refused = web.run(["python3", "-c", ask.format(name)], user="nobody", check=False)
        assert "Permission denied" in refused.stderr


def test_an_external_servers_files_are_not_given_away(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings())
    web.run(["systemctl", "start", UNIT])
    read = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/wbagent/files.sock'); print(s.recv(9))"
    with journal_from_now(web, "_COMM=wbagent") as journal:
        assert web.run(["python3", "-c", read]).stdout == "b''\n"
        journal.wait_for("not an embedded one")


@pytest.mark.parametrize("unit", ["wandb-local-mysql@x.service", "wandb-local-files@x.service", UNIT])
def test_sandbox(hosts: Bed, unit: str) -> None:
    said = hosts.web.run(["systemd-analyze", "security", "--no-pager", unit]).stdout
    level = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", said)
    assert level
    assert float(level[1]) <= 1.2
