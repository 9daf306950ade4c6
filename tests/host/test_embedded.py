"""A server that runs its own MySQL and object store: told as such, backed up through its container, moved out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.host.server_case import UNIT
from tests.testbed.bed import Bed, configure, reload
from tests.testbed.embedded_image import TAG, embedded_image_tar
from tests.testbed.host import Host
from tests.testbed.standin_image import image_changes
from tests.testbed.watch import journal_from_now, wait_for_unit
from wbagent import events

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
    for key in hosts.store.keys(OWN_BUCKET):
        hosts.store.client().delete_object(Bucket=OWN_BUCKET, Key=key)
    web.run(["rm", "-f", "/etc/wbagent.toml.embedded"])
    settings = hosts.web_settings(server={"image": TAG, "embedded": True}, **FEW_FILES)
    settings["server"] = {name: value for name, value in settings["server"].items() if name not in {"mysql", "bucket"}}
    configure(web, settings)
    reload(web)
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
    bed.web.write("/root/into", f"{replace(bed.mysql_url, database=database)}\n", mode=0o600)
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
    assert "as many as were in the backup" in restored.stdout
    assert embedded.sql("SELECT COUNT(*) FROM standin_users", "restored").strip() == "2"
    assert web.run(["stat", "--format=%a %U", "/root/env.tar"]).stdout.strip() == "600 root"
    assert web.run(["tar", "-xOf", "/root/env.tar", "env/internal_signer.key"]).stdout == key
    embedded.sql("DROP DATABASE restored")

    # The whole way back into the embedded server, as the manual says it.
    web.run(["rm", "-f", "/var/lib/docker/volumes/wandb/_data/env/internal_signer.key"])
    sql(web, "DROP DATABASE wandb_local")
    web.run(["wbagent", "restore", "latest", "--into", "embedded"], timeout=120)
    web.run(["sh", "-c", "docker cp - wandb-local:/vol < /root/env.tar"])
    web.run(["systemctl", "restart", UNIT], timeout=120)
    assert sql(web, "SELECT COUNT(*) FROM standin_users").strip() == "2"
    assert web.read("/var/lib/docker/volumes/wandb/_data/env/internal_signer.key") == key
    owner = web.run(["stat", "--format=%u:%g %a", "/var/lib/docker/volumes/wandb/_data/env/internal_signer.key"])
    assert owner.stdout.strip() == "999:0 600"
    web.run(["rm", "/root/env.tar", "/root/into"])


def test_encrypted_files_come_back_with_the_secret_key_alone(embedded: Bed) -> None:
    web = embedded.web
    web.run(["sh", "-c", "rm -f /root/key /root/env.tar; age-keygen -o /root/key"])
    public = web.read("/root/key").split("public key: ")[1].split()[0]
    web.run(["mkdir", "-p", "/etc/wbagent.toml.d"])
    web.write("/etc/wbagent.toml.d/encrypt.toml", f'[backup]\nencrypt_to = ["{public}"]\n', mode=0o644)
    key = web.read("/var/lib/docker/volumes/wandb/_data/env/internal_signer.key")
    web.run(["wbagent", "backup", "run"], timeout=120)
    names = [name.rpartition("/")[2] for name in embedded.store.keys("wandb-backups")]
    assert names == ["database.sql.zst.age", "files.tar.zst.age", "manifest.json"]
    command = ["wbagent", "restore", "latest", "--files", "/root/env.tar"]
    refused = web.run(command, check=False)
    assert (refused.returncode, "--identity FILE" in refused.stderr) == (74, True)
    assert not web.exists("/root/env.tar")
    web.run([*command, "--identity", "/root/key"])
    assert web.run(["tar", "-xOf", "/root/env.tar", "env/internal_signer.key"]).stdout == key
    web.run(["rm", "/root/env.tar", "/root/key"])


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


# --- moving out ---


def write_ends(bed: Bed, bucket: str = "wandb-files") -> list[str]:
    """The command that moves the server to db1 and a bucket, its secrets in files."""
    own = replace(bed.bucket(OWN_BUCKET), host="127.0.0.1", port=9000)
    for name, url in (("mysql", bed.mysql_url), ("bucket", bed.bucket(bucket)), ("own", own)):
        bed.web.write(f"/root/{name}", f"{url}\n", mode=0o600)
    options = ["--mysql", "@/root/mysql", "--bucket", "@/root/bucket", "--own-bucket", "@/root/own"]
    return ["wbagent", "server", "externalize", *options]


@pytest.fixture
def trial(embedded: Bed) -> Bed:
    """People have tried it: rows in the database, objects in the bucket."""
    sql(embedded.web, "INSERT INTO standin_users (email) VALUES ('ada@example.com'), ('bob@example.com')")
    client = embedded.store.client()
    for number in range(3):
        client.put_object(
            Bucket=OWN_BUCKET, Key=f"run {number}/model", Body=bytes(1000 * number), ContentType="text/x-model"
        )
    # More than one part of an upload.
    client.put_object(Bucket=OWN_BUCKET, Key="large", Body=b"x" * (20 << 20))
    return embedded


def assert_embedded_as_before(bed: Bed, configuration: str) -> None:
    assert bed.web.read("/etc/wbagent.toml") == configuration
    assert bed.web.properties(UNIT)["ActiveState"] == "active"
    assert serves(bed)
    assert json.loads(bed.web.run(["wbagent", "status", "--json"], check=False).stdout)["closed"] is None
    assert sql(bed.web, "SELECT COUNT(*) FROM standin_users").strip() == "2"


def serves(bed: Bed) -> bool:
    """Whether a user's browser gets an answer."""
    asked = f"import urllib.request; urllib.request.urlopen('http://{bed.web.address}:8080/ready', timeout=5)"
    return bed.db.run(["python3", "-c", asked], check=False).returncode == 0


def assert_moved(bed: Bed) -> None:
    assert serves(bed)
    [container] = json.loads(bed.web.run(["docker", "inspect", "wandb-local"]).stdout)
    assert f"MYSQL={bed.mysql_url}" in container["Config"]["Env"]
    assert bed.sql("SELECT COUNT(*) FROM standin_users", "wandb_local").strip() == "2"
    assert bed.store.keys("wandb-files") == bed.store.keys(OWN_BUCKET)
    answer = bed.store.client().head_object(Bucket="wandb-files", Key="run 2/model")
    assert (answer["ContentType"], answer["ContentLength"]) == ("text/x-model", 2000)
    page = json.loads(bed.web.run(["wbagent", "status", "--json"], check=False).stdout)
    assert (page["embedded"], page["closed"]) == (False, None)
    assert not bed.web.exists("/var/lib/wbagent/server/externalize.json")


def test_move_to_an_external_mysql_and_bucket(trial: Bed) -> None:
    web = trial.web
    move = write_ends(trial)
    before = web.read("/etc/wbagent.toml")
    checked = web.run([*move, "--check"], timeout=120)
    assert "nothing was changed" in checked.stdout
    assert_embedded_as_before(trial, before)
    done = web.run(move, timeout=240)
    assert "4 objects" in done.stdout
    assert_moved(trial)
    after = web.read("/etc/wbagent.toml")
    assert [line for line in before.splitlines() if line not in after.splitlines()] == ["embedded = true"]
    assert web.run(["stat", "--format=%a %U:%G", "/etc/wbagent.toml"]).stdout.strip() == "640 root:wbagent"
    assert web.read("/etc/wbagent.toml.embedded") == before
    assert web.exists("/var/lib/docker/volumes/wandb/_data/mysql/ibdata1")
    # The backup goes on with the external database.
    web.run(["wbagent", "backup", "run"], timeout=120)
    assert shown(web)["files"] is None
    refused = web.run(move, check=False)
    assert (refused.returncode, "nothing to move out" in refused.stderr) == (64, True)


def test_what_is_not_empty_or_not_there_is_refused_before_anything_is_changed(trial: Bed) -> None:
    web = trial.web
    before = web.read("/etc/wbagent.toml")
    move = write_ends(trial)
    trial.sql("CREATE TABLE foreign_one (id INT PRIMARY KEY)", "wandb_local")
    refused = web.run(move, check=False, timeout=120)
    assert (refused.returncode, "is not empty" in refused.stderr) == (69, True)
    trial.sql("DROP TABLE foreign_one", "wandb_local")
    refused = web.run(write_ends(trial, OWN_BUCKET), check=False, timeout=120)
    assert "is not empty (4 objects)" in refused.stderr
    refused = web.run(write_ends(trial, "missing-bucket"), check=False, timeout=120)
    assert "create the bucket" in refused.stderr
    # web1 has db1 in /etc/hosts, and lets the account in; the container has not, and would wait for ever.
    move = write_ends(trial)
    web.write("/root/mysql", f"{replace(trial.mysql_url, host='db1')}\n", mode=0o600)
    refused = web.run([*move, "--check"], check=False, timeout=120)
    assert (refused.returncode, "--mysql: this host knows db1 from its /etc/hosts" in refused.stderr) == (64, True)
    assert_embedded_as_before(trial, before)
    assert web.properties(UNIT)["NRestarts"] == "0"


def test_failure_while_copying_lets_the_embedded_server_serve_again(trial: Bed) -> None:
    web = trial.web
    before = web.read("/etc/wbagent.toml")
    move = write_ends(trial)
    # The last backup is made with a program that fails.
    web.write("/run/systemd/system/wbagent-backup.service.d/fail.conf", "[Service]\nExecStart=\nExecStart=/bin/false\n")
    web.run(["systemctl", "daemon-reload"])
    failed = web.run(move, check=False, timeout=240)
    assert failed.returncode == 74
    assert "serves again, as before" in failed.stderr
    assert_embedded_as_before(trial, before)
    web.run(["rm", "-r", "/run/systemd/system/wbagent-backup.service.d"])
    web.run(["systemctl", "daemon-reload"])
    web.run(move, timeout=240)
    assert_moved(trial)


def killed_at(bed: Bed, move: list[str], line: str) -> None:
    """Run it, and kill it (SIGKILL) once it says that it is about to do this."""
    with bed.web.running(["env", "PYTHONUNBUFFERED=1", *move]) as process:
        assert process.stdout
        for said in process.stdout:
            if line in said.decode():
                break
        else:
            pytest.fail(f"it never said {line!r}")
        bed.web.run(["pkill", "-KILL", "-f", "wbagent server externalize"])


@pytest.mark.parametrize("line", ["restore that backup", "copy the bucket's objects", "start the server with it"])
def test_killed_in_the_middle_and_run_again(trial: Bed, line: str) -> None:
    move = write_ends(trial)
    killed_at(trial, move, line)
    page = trial.web.run(["wbagent", "status"], check=False).stdout
    assert "CLOSED to its users: wbagent server externalize is moving it" in page
    assert not serves(trial)
    trial.web.run(move, timeout=240)
    assert_moved(trial)


@pytest.mark.parametrize("line", ["restore that backup", "start the server with it"])
def test_killed_in_the_middle_and_undone(trial: Bed, line: str) -> None:
    before = trial.web.read("/etc/wbagent.toml")
    killed_at(trial, write_ends(trial), line)
    trial.web.run(["wbagent", "server", "externalize", "--undo"], timeout=240)
    assert_embedded_as_before(trial, before)
    refused = trial.web.run(["wbagent", "server", "externalize", "--undo"], check=False)
    assert refused.returncode in {0, 64}


def test_external_server_that_does_not_start_is_taken_back(trial: Bed) -> None:
    web = trial.web
    move = write_ends(trial)
    # The external database may be used from this host, but not from the container.
    settings = web.read("/etc/wbagent.toml").replace(
        "embedded = true", 'embedded = true\nprobes = {startup_failures = 15, startup_period = "1s"}'
    )
    web.write("/etc/wbagent.toml", settings, mode=0o640, owner="root:wbagent")
    web.run(["iptables", "-I", "FORWARD", "-p", "tcp", "--dport", "3306", "-j", "REJECT"])
    try:
        failed = web.run(move, check=False, timeout=240)
    finally:
        web.run(["iptables", "-D", "FORWARD", "-p", "tcp", "--dport", "3306", "-j", "REJECT"])
    assert failed.returncode == 69
    assert_embedded_as_before(trial, settings)
