"""From the installed package to a running, checked server by `wbagent init`: by options, and by a person who types."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.testbed.authority import Authority
from tests.testbed.bed import IMAGE, Bed
from tests.testbed.fronts import Setup, front
from tests.testbed.host import Host
from tests.testbed.place import place
from tests.testbed.terminal import Terminal, terminal

STORE = "/etc/credstore.encrypted"
NAMES = ("alerts.to", "backup.destination", "server.bucket", "server.license", "server.mysql")
LICENCE = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ0ZXN0cyJ9.c2lnbmF0dXJlLVhxN0xwMg"
_FILES = f"ls -A /etc/ {STORE} /etc/credstore | grep wbagent"
# Ends as `kill -9` at the so many-th rename would end it.
_KILLED = """
import os, signal, sys
left = int(sys.argv.pop(1))
def count(event, arguments):
    global left
    if event == "os.rename":
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
sys.argv[0] = "wbagent"
from wbagent.cli.main import main
sys.addaudithook(count)
main()
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificate of the public address."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def public(booted: Bed, authority: Authority) -> Iterator[str]:
    """The address that users open: nginx with TLS before web1, at an address of its own; web1 trusts its authority."""
    with place(booted.bridge, "front", 40) as there:
        setup = Setup(f"{booted.web.address}:8080", authority.issue(there.address), address=there.address)
        with front("nginx", setup, there.network), trusting(booted.web, authority):
            yield setup.url


@contextmanager
def trusting(host: Host, authority: Authority) -> Iterator[None]:
    authority.trusted_by(host)
    yield
    host.run(["sh", "-c", "rm /usr/local/share/ca-certificates/test-authority.crt; update-ca-certificates --fresh"])


@pytest.fixture
def secrets(hosts: Bed) -> dict[str, str]:
    """What each secret is; on web1 in files that only root can read, and MySQL's programs where the units find them."""
    web = hosts.web
    found = {
        "mysql": str(hosts.mysql_url),
        "bucket": str(hosts.bucket("wandb-files")),
        "license": LICENCE,
        "destination": str(hosts.bucket("wandb-backups", "web1")),
        "alerts": hosts.alerts_url,
    }
    for name, secret in found.items():
        web.write(f"/root/init/{name}", f"{secret}\n", mode=0o600)
    web.run(["sh", "-c", "ln -sf /opt/mysql-client/bin/mysql /opt/mysql-client/bin/mysqldump /usr/local/bin/"])
    return found


def options(address: str, *more: str) -> list[str]:
    files = [
        word
        for name in ("mysql", "bucket", "license", "destination")
        for word in (f"--{name}-file", f"/root/init/{name}")
    ]
    return ["init", "--unattended", "--host", address, "--image", IMAGE, *files, "--alerts-file", "-", *more]


def kept(web: Host) -> str:
    """The names of all files that init could have made or left."""
    return web.run(["sh", "-c", _FILES]).stdout


def state(web: Host) -> str:
    """Everything that is configured, to the byte."""
    return web.run(["sh", "-c", f"cat /etc/wbagent.toml {STORE}/* 2>/dev/null | sha256sum; {_FILES}"]).stdout


def assert_served(address: str, authority: Authority) -> None:
    trust = ssl.create_default_context(cafile=authority.certificate)
    with urllib.request.urlopen(f"{address}/ready", timeout=5, context=trust) as answer:
        assert answer.status == 200


def test_from_the_bare_package_to_a_verified_server_by_options(
    hosts: Bed, public: str, secrets: dict[str, str], authority: Authority
) -> None:
    web = hosts.web
    bare = kept(web)
    wrong = str(hosts.mysql_url).replace("p%2Ba", "wrong")
    web.write("/root/init/mysql", wrong, mode=0o600)
    refused = web.run(["wbagent", *options(public)], input=secrets["alerts"], check=False)
    assert refused.returncode == 69
    assert "Access denied" in refused.stdout
    assert "nothing was written: mysql did not pass" in refused.stderr
    assert kept(web) == bare

    web.write("/root/init/mysql", secrets["mysql"], mode=0o600)
    done = web.run(
        ["wbagent", *options(public, "--test-alert", "--start")], input=secrets["alerts"], check=False, timeout=180
    )
    # The last commands are `wbagent check` and `verify`, which have remarks about a test bed.
    assert done.returncode in {0, 1, 2}, done.stdout + done.stderr
    assert "bucket CORS" not in done.stdout.partition("FAIL ")[2]
    assert "not needed any more: /root/init/mysql /root/init/bucket" in done.stdout
    assert_served(public, authority)
    assert hosts.receiver.wait_for(lambda alert: "test" in alert.text, 10)
    verified = json.loads(web.run(["wbagent", "verify", "--no-client", "--json"], check=False).stdout)
    # The bed's store has no TLS.
    bad = [(each["area"], each["check"]) for each in verified["results"] if each["verdict"] in {"warn", "fail"}]
    assert (verified["status"], bad) == (1, [("bucket", "endpoint")])
    assert web.run(["sh", "-c", f"cd {STORE} && ls wbagent.*"]).stdout.split() == [f"wbagent.{name}" for name in NAMES]
    everything = web.run(["sh", "-c", f"cat /etc/wbagent.toml {STORE}/wbagent.*"]).stdout + done.stdout + done.stderr
    for secret in (hosts.mysql_url.password, secrets["mysql"], secrets["destination"], LICENCE, "/alerts"):
        assert secret not in everything

    # What root types reads them, and so do the agent and the backup's unit.
    shown = json.loads(web.run(["wbagent", "config", "show", "--json"]).stdout)
    assert shown["backup.destination"]["from"] == "credential wbagent.backup.destination"
    assert "wandb-backups/web1" in web.run(["wbagent", "backup", "list"]).stdout
    assert "off-site" in web.run(["wbagent", "status"], check=False).stdout

    before = state(web)
    again = web.run(["wbagent", *options(public)], input=secrets["alerts"], check=False)
    assert again.returncode == 73
    assert "configured already" in again.stderr
    assert state(web) == before
    web.run(["wbagent", *options(public, "--into", "/root/other.toml")], input=secrets["alerts"])
    assert state(web) == before
    assert secrets["mysql"] in web.read("/root/other.toml")
    web.run(["wbagent", "--config", "/root/other.toml", "config", "show"])

    # As of another host.
    web.write(f"{STORE}/wbagent.server.mysql", "c3RyYW5nZQ==\n", mode=0o600)
    strange = web.run(["wbagent", "config", "check"], check=False)
    assert strange.returncode == 78
    assert "wbagent.server.mysql: cannot be decrypted" in strange.stderr


def test_a_credential_that_is_there_answers_and_stays(hosts: Bed, secrets: dict[str, str]) -> None:
    """As of `wbagent database init`, which makes one."""
    web = hosts.web
    member = ["setpriv", "--reuid=nobody", "--regid=wbagent", "--clear-groups", "wbagent", "config", "check"]
    web.run(member)
    made = "systemd-creds encrypt --name=wbagent.server.mysql /root/init/mysql"
    web.run([*made.split(), f"{STORE}/wbagent.server.mysql"])
    before = web.run(["sha256sum", f"{STORE}/wbagent.server.mysql"]).stdout
    command = options(f"http://{web.address}:8080", "--no-start")
    refused = web.run(["wbagent", *command], input=secrets["alerts"], check=False)
    assert refused.returncode == 73
    assert "the credential wbagent.server.mysql is there already" in refused.stderr
    without = [word for word in command if word not in {"--mysql-file", "/root/init/mysql"}]
    embedded = web.run(["wbagent", *without, "--storage", "embedded"], input=secrets["alerts"], check=False)
    assert embedded.returncode != 0
    done = web.run(["wbagent", *without], input=secrets["alerts"])
    assert "good: MySQL" in done.stdout
    web.run(["wbagent", "config", "check"])
    assert web.run(["sha256sum", f"{STORE}/wbagent.server.mysql"]).stdout == before

    # Who may read the file and not the credentials is not shown half of the configuration.
    web.run(["systemctl", "restart", "wbagent.service"])
    half = web.run(member, check=False)
    assert half.returncode == 77
    assert "only root and the units may read" in half.stderr
    # What needs no secret is checked for them, and also for those who may not read the file.
    for group, told in (("wbagent", "the credentials are root's"), ("nogroup", "may not read it")):
        user = ["setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups"]
        checked = web.run([*user, "wbagent", "check", "host", "docker", "database"], check=False)
        assert checked.returncode in {0, 1, 2}, checked.stderr
        assert told in checked.stdout
        assert "sudo wbagent check" in checked.stdout
        assert "processors" in checked.stdout


def test_a_database_host_backs_up_with_what_was_given(hosts: Bed) -> None:
    db = hosts.db
    hosts.sql("CREATE TABLE runs (id INT PRIMARY KEY)", "wandb_local")
    destination = str(hosts.bucket("wandb-backups", "db1"))
    db.write("/root/init/database", str(hosts.backup_url), mode=0o600)
    command = ["--role", "database", "--database-file", "/root/init/database", "--destination-file", "-"]
    done = db.run(["wbagent", "init", "--unattended", *command], input=destination)
    assert "good: MySQL" in done.stdout
    assert "wandb-local" not in done.stdout
    db.run(["systemctl", "restart", "wbagent.service"])
    db.run(["wbagent", "backup", "run"], timeout=120)
    assert "wandb-backups/db1" in db.run(["wbagent", "backup", "list"]).stdout


@pytest.fixture
def missing(hosts: Bed) -> Iterator[str]:
    """A bucket that is not there yet, and goes with the test."""
    yield "init-made"
    with suppress(hosts.store.client().exceptions.NoSuchBucket):
        hosts.store.client().delete_bucket(Bucket="init-made")


def test_what_the_server_could_not_use_is_told_and_a_bucket_is_made(
    hosts: Bed, secrets: dict[str, str], missing: str
) -> None:
    web = hosts.web
    command = options(f"http://{web.address}:8080")
    bare = kept(web)
    # web1 has db1 in /etc/hosts, and lets the account in; the container has not, and would wait for ever.
    web.write("/root/init/mysql", secrets["mysql"].replace(hosts.db.address, "db1"), mode=0o600)
    web.write("/root/init/destination", str(hosts.bucket(missing, "web1")), mode=0o600)
    refused = web.run(["wbagent", *command], input=secrets["alerts"], check=False)
    assert refused.returncode == 69
    assert "this host knows db1 from its /etc/hosts, and the server's container asks the DNS" in refused.stdout
    assert f"name it by its address, {hosts.db.address}" in refused.stdout
    assert "mysql, destination did not pass" in refused.stderr
    assert "--make-buckets makes the bucket" in refused.stderr
    assert kept(web) == bare

    web.write("/root/init/mysql", secrets["mysql"], mode=0o600)
    made = web.run(["wbagent", *command, "--make-buckets", "--into", "/root/made.toml"], input=secrets["alerts"]).stdout
    assert f"good: the bucket {missing} is made, and stays" in made
    assert "PROBLEM" not in made

    hosts.store.client().delete_bucket(Bucket=missing)
    later = web.run(["wbagent", *command, "--keep", "--no-start"], input=secrets["alerts"]).stdout
    assert "  wbagent bucket create --backup --yes\n  wbagent backup run\n" in later
    assert "make the bucket" in web.run(["wbagent", "bucket", "create", "--backup", "--yes"]).stdout


def test_a_host_that_cannot_encrypt_keeps_secrets_for_root_alone(hosts: Bed, secrets: dict[str, str]) -> None:
    web = hosts.web
    address = f"http://{web.address}:8080"
    broken = 'mount --bind /bin/false /usr/bin/systemd-creds && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", broken, "sh", "wbagent", *options(address, "--no-start")]
    done = web.run(command, input=secrets["alerts"])
    assert "NOT encrypted" in done.stderr
    assert web.run(["stat", "--format=%a %U", "/etc/credstore/wbagent.server.mysql"]).stdout == "600 root\n"
    web.run(["systemctl", "start", "wandb-local.service"])
    assert "credential wbagent.server.mysql" in web.run(["wbagent", "config", "show"]).stdout


def test_a_person_sets_a_server_up_on_a_terminal(
    hosts: Bed, public: str, secrets: dict[str, str], authority: Authority
) -> None:
    web = hosts.web
    bare = kept(web)
    with terminal(web, ["wbagent", "init"]) as typed:
        answer_until_the_database(typed, public)
        typed.expect("The server's database (or parts):")
        typed.press_ctrl_c()
        typed.expect("nothing was written")
        assert typed.wait() == 130
        # One line, and that is all.
        assert typed.seen.endswith("nothing was written\r\n")
    assert kept(web) == bare

    with terminal(web, ["wbagent", "init"]) as typed:
        answer_until_the_database(typed, public)
        typed.answer("The server's database (or parts):", secrets["mysql"].replace("p%2Ba", "p+a"))
        typed.expect("not taken: the user or password holds a raw +")
        typed.answer("The server's database (or parts):", secrets["mysql"].replace("p%2Ba", "wrong"))
        typed.expect("PROBLEM: MySQL at")
        typed.expect("Access denied")
        typed.answer("correct, keep, back [correct]:", "?")
        typed.expect("keep: take this one with its problem")
        typed.answer("correct, keep, back [correct]:", "")
        typed.answer("The server's database (or parts):", secrets["mysql"])
        typed.expect("mysql://wandb_local:***@")
        typed.expect("good: MySQL")
        typed.answer("The server's bucket (or parts):", "back")
        typed.answer("The server's database (or parts):", secrets["mysql"])
        typed.answer("The server's bucket (or parts):", str(hosts.bucket("not-there")))
        typed.expect("PROBLEM:")
        typed.answer("Make this bucket now, with these keys? [Y/n]:", "?")
        typed.expect("in the region of the connection string")
        typed.answer("Make this bucket now, with these keys? [Y/n]:", "n")
        typed.answer("correct, keep, back [correct]:", "")
        typed.answer("The server's bucket (or parts):", "parts")
        typed.answer("host of the store", f"{hosts.store.address}:{hosts.store.port}")
        typed.answer("TLS (yes, no) [yes]:", "no")
        typed.answer("bucket, with /PREFIX", "wandb-files")
        typed.answer("region [us-east-1]:", "")
        typed.answer("access key:", hosts.store.credentials.access_key)
        typed.answer("secret key, as it is:", hosts.store.credentials.secret_key)
        typed.expect("good: an object was stored, read and removed")
        typed.answer("The licence [skip]:", "?")
        typed.expect("LICENSE of the container")
        typed.answer("The licence [skip]:", LICENCE)
        typed.answer("The account for backups (or parts) [skip]:", "")
        typed.answer("The bucket for backups (or parts) [skip]:", secrets["destination"])
        typed.answer("Who is told when something is wrong [skip]:", secrets["alerts"])
        typed.answer("Send a test message there now?", "y")
        typed.expect("good: the test message was taken")
        typed.expect("That is all:")
        typed.answer("Write this configuration (yes, back, no) [yes]:", "?")
        typed.expect("no: end, and nothing is written")
        typed.answer("Write this configuration (yes, back, no) [yes]:", "")
        typed.expect("encrypted")
        for command in (
            "config check",
            "systemctl restart",
            "docker pull",
            "systemctl enable",
            "bucket cors",
            "backup run",
        ):
            typed.answer(f"{command}", "")
        typed.answer("wbagent check?", "?")
        typed.expect("y runs this command now")
        typed.answer("wbagent check?", "n")
        typed.answer("wbagent verify?", "n")
        assert typed.wait() == 0, typed.seen
        for secret in (hosts.mysql_url.password, hosts.store.credentials.secret_key, secrets["mysql"], LICENCE):
            assert secret not in typed.seen
    assert_served(public, authority)
    assert web.run(["systemctl", "is-enabled", "wandb-local.service"]).stdout == "enabled\n"


def answer_until_the_database(typed: Terminal, public: str) -> None:
    typed.answer("What does this host do (server, database, both) [server]:", "")
    typed.answer("The address that users open:", public)
    typed.expect("good: the load balancer answers")
    typed.answer("The image of the server, with its release:", IMAGE)
    typed.answer("Where the server keeps its data (external, embedded) [external]:", "")


@pytest.mark.parametrize("renames", [0, 3, 6])
def test_killed_while_it_writes_it_leaves_a_configuration_and_the_next_run_goes_on(
    hosts: Bed, secrets: dict[str, str], renames: int
) -> None:
    web = hosts.web
    address = f"http://{web.address}:8080"
    # The first rename is what makes it count, the last one puts the file in its place; the unit test has all of them.
    command = ["python3", "-c", _KILLED, str(renames), *options(address)]
    assert web.run(command, input=secrets["alerts"], check=False).returncode == -9
    # What is there now is a configuration that the units can read, of nothing or of the whole.
    web.run(["wbagent", "config", "check"])
    web.run(["systemctl", "restart", "wbagent.service"])
    done = web.run(["wbagent", *options(address, "--no-start")], input=secrets["alerts"])
    assert ("an earlier run was interrupted" in done.stdout) == (renames > 0)
    assert [name for name in kept(web).splitlines() if name.startswith(".")] == []
    shown = json.loads(web.run(["wbagent", "config", "show", "--json"]).stdout)
    assert {shown[name]["from"] for name in NAMES} == {f"credential wbagent.{name}" for name in NAMES}
