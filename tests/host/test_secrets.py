"""No secret is where others can read it: all of a running host is searched, by a search that is shown to find."""

from __future__ import annotations

import json

import pytest

from tests.host.server_case import UNIT
from tests.testbed.bed import IMAGE, Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.watch import wait_for_unit

LICENCE, OIDC, TOKEN = "licence-Xq7Lp2", "oidc-Rw4Zt9", "token-Kd8Vb3"

# Runs on the host as root, reads the secrets from its standard input and prints a line for each place of one.
# What may hold them: the configuration, the credentials that systemd hands to the units, the container's own
# processes, Config.Env in `docker inspect` (the image needs it there), and Docker's own files, which hold that too.
_SEARCH = r"""
import json, os, subprocess, sys

wanted = json.load(sys.stdin)
secrets = {name: value.encode() for name, value in wanted["secrets"].items()}
contained = set(wanted["contained"])


def look(place, content):
    for name, value in secrets.items():
        if value in content:
            print(f"{name} in {place}")


def output(*command):
    return subprocess.run(command, capture_output=True, check=True).stdout


for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) in contained or int(pid) == os.getpid():
        continue
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                look(f"process {name}", file.read())
        except OSError:
            continue
look("journal", output("journalctl", "--output=export", "--all", "--no-pager"))
for unit in ("wandb-local.service", "wbagent.service", "wbagent-backup.service", "wbagent-deliver.service"):
    look("unit properties", output("systemctl", "show", unit))
for container in output("docker", "ps", "--all", "--quiet").split():
    [details] = json.loads(output("docker", "inspect", container))
    details["Config"].pop("Env")
    look("docker inspect", json.dumps(details, ensure_ascii=False).encode())
for top in ("/var/lib/wbagent", "/var/log", "/run", "/tmp", "/var/tmp", "/dev/shm"):
    for directory, _, files in os.walk(top):
        if directory.startswith(("/run/credentials", "/run/docker", "/run/containerd")):
            continue
        for file in files:
            path = os.path.join(directory, file)
            # The journal's files are read above, as its readers see them; a network namespace has no content.
            name = os.path.realpath(path)
            if os.path.isfile(path) and not name.endswith(".journal") and "/netns/" not in name:
                with open(path, "rb") as opened:
                    look(f"file {path}", opened.read())
"""


def found(bed: Bed) -> set[str]:
    """Where on web1 a secret is, a line each."""
    web = bed.web
    credentials = bed.store.credentials
    secrets = {
        "the database's password": bed.mysql_url.password,
        "the database's password as written in the URL": str(bed.mysql_url).split(":")[2].partition("@")[0],
        "the object store's key": credentials.secret_key,
        "the licence": LICENCE,
        "a variable of [server.env]": OIDC,
        "the token of an alert's destination": TOKEN,
    }
    inner = web.run(["docker", "top", "wandb-local", "-eo", "pid"]).stdout.split()[1:]
    search = json.dumps({"secrets": secrets, "contained": [int(pid) for pid in inner]})
    return set(web.run(["python3", "-c", _SEARCH], input=search, timeout=120).stdout.splitlines())


@pytest.fixture
def used(hosts: Bed) -> Bed:
    """A host on which everything was done that touches secrets, some of it in vain."""
    web = hosts.web
    settings = hosts.web_settings(
        server={"license": LICENCE},
        alerts={"to": [hosts.alerts_url, f"json://127.0.0.1:9/?token={TOKEN}"]},
        **{"server.env": {"OIDC_SECRET": OIDC}},
    )
    configure(web, settings)
    reload(web)
    web.run(["systemctl", "start", UNIT])
    web.run(["systemctl", "start", "wbagent-backup.service"], timeout=120)
    web.run(["docker", "kill", "wandb-local"])
    wait_for_unit(web, UNIT, lambda unit: unit["ActiveState"] == "active" and unit["NRestarts"] == "1")
    for command in (["status"], ["server", "history", "--verbose"], ["server", "diff"], ["config", "show"]):
        web.run(["wbagent", *command], check=False)
    web.run(["wbagent", "alerts", "test"], check=False)
    wrong = hosts.web_settings(server={"license": LICENCE, "mysql": f"mysql://u:{OIDC}+x@h/db"})
    configure(web, wrong)
    web.run(["systemctl", "reload", "wbagent.service"], check=False)
    configure(web, settings)
    reload(web)
    return hosts


def test_no_secret_is_anywhere_on_the_running_host(used: Bed) -> None:
    assert found(used) == set()


def test_the_search_finds_what_is_planted(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings(server={"license": LICENCE}))
    web.run(["systemctl", "start", UNIT])
    clean = found(hosts)
    plant_journal(web, LICENCE)
    web.write("/var/lib/wbagent/server/planted", f"x {hosts.mysql_url.password} x")
    web.run(["docker", "create", "--name=planted", f"--label=planted={LICENCE}", IMAGE])
    wait = ["python3", "-uc", "import time; print('up'); time.sleep(1000)"]
    with (
        web.running([*wait, hosts.store.credentials.secret_key]) as by_argument,
        web.running(["env", f"PLANTED={OIDC}", *wait]) as by_environment,
    ):
        for process in (by_argument, by_environment):
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
        assert found(hosts) - clean == {
            "the licence in journal",
            "the licence in docker inspect",
            "the database's password in file /var/lib/wbagent/server/planted",
            "the object store's key in process cmdline",
            "a variable of [server.env] in process environ",
        }


def plant_journal(host: Host, secret: str) -> None:
    """A journal entry with the secret in a field that no reader shows by default."""
    host.run(["logger", "--journald"], input=f"MESSAGE=planted\nPLANTED={secret}\n")
