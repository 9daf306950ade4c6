"""The whole bed: a host that runs the server, one that runs MySQL, a bucket elsewhere, a receiver of alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.testbed.bridge import Bridge, bridge
from tests.testbed.ceph import Ceph
from tests.testbed.host import Host
from tests.testbed.mysql import GUIDE_SETTINGS
from tests.testbed.package import install, package
from tests.testbed.place import Place, place
from tests.testbed.receiver import Receiver
from tests.testbed.rootfs import DATABASE_HOST, HOST, Recipe, root_file_system
from tests.testbed.standin_image import image_changes, image_tar
from wbagent.config.dsn import S3URL, MysqlURL

# Every character that a connection string must escape.
PASSWORD = "p+a/s:s@w#o%r?d&=1"
_GRANTS = "RELOAD, SELECT, LOCK TABLES, SHOW VIEW, EVENT, TRIGGER, PROCESS, REPLICATION CLIENT, SHOW_ROUTINE"

# The configuration as the package installed it, for setting a host back.
PRISTINE = "/var/lib/wbagent-testbed/wbagent.toml"
IMAGE = "wandb/local:stand-in"
BUCKETS = ("wandb-files", "wandb-backups")

Table = Mapping[str, object]


@dataclass(frozen=True)
class Bed:
    """What is up. `web` is Debian 13 with Docker and the stand-in's image, `db` is sid with MySQL as mysql.service."""

    bridge: Bridge
    web: Host
    db: Host
    bucket_place: Place
    store: Ceph
    receiver: Receiver
    deb: Path

    @property
    def hosts(self) -> tuple[Host, Host]:
        """Both hosts."""
        return self.web, self.db

    @property
    def mysql_url(self) -> MysqlURL:
        """The server's own account on db1, as W&B's guide makes it."""
        return MysqlURL("wandb_local", PASSWORD, self.db.address, 3306, "wandb_local")

    @property
    def backup_url(self) -> MysqlURL:
        """The account for backups, for use on db1 itself."""
        return replace(self.mysql_url, user="wandb_backup", host="127.0.0.1")

    @property
    def alerts_url(self) -> str:
        """The receiver, as Apprise posts to it."""
        return self.receiver.url

    def bucket(self, name: str, prefix: str = "") -> S3URL:
        """Return the connection string of a bucket; `store.create_bucket` makes one."""
        return self.store.url(name, prefix)

    def sql(self, statements: str, database: str = "") -> str:
        """Run statements as MySQL's root on db1; return the rows, one a line, columns apart by tabs."""
        command = ["mysql", "--batch", "--skip-column-names", "--raw", *filter(None, [database])]
        return self.db.run(command, input=statements).stdout

    def web_settings(self, **sections: Table) -> dict[str, Table]:
        """Return a complete configuration of web1, each section with the given keys added or replaced."""
        own: dict[str, dict[str, object]] = {
            "server": {
                "host": f"http://{self.web.address}:8080",
                "image": IMAGE,
                "bucket": str(self.bucket("wandb-files")),
                "mysql": str(self.mysql_url),
            },
            "backup": {
                "destination": str(self.bucket("wandb-backups", "web1")),
                "mysqldump": "/opt/mysql-client/bin/mysqldump",
                "mysql": "/opt/mysql-client/bin/mysql",
            },
            "alerts": {"to": [self.alerts_url]},
        }
        return _merged(own, sections)

    def db_settings(self, **sections: Table) -> dict[str, Table]:
        """Return a complete configuration of db1, each section with the given keys added or replaced."""
        own: dict[str, dict[str, object]] = {
            "database": {"url": str(self.backup_url)},
            "backup": {"destination": str(self.bucket("wandb-backups", "db1"))},
            # A drill after each backup is for the tests of drills: it would run into what others do next.
            "backup.drill": {"enabled": False},
            "alerts": {"to": [self.alerts_url]},
        }
        return _merged(own, sections)


def _merged(own: dict[str, dict[str, object]], more: Mapping[str, Table]) -> dict[str, Table]:
    return {name: {**own.get(name, {}), **more.get(name, {})} for name in {**own, **more}}


def toml(sections: Mapping[str, Table]) -> str:
    """Write a configuration file; a key's value may be text, a number, a truth value or a list of these."""

    # TOML's strings, numbers, truth values and lists are written as JSON's are.
    def section(name: str, table: Table) -> str:
        keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        return f"[{name}]\n{keys}\n"

    return "".join(section(name, table) for name, table in sections.items())


def configure(host: Host, sections: Mapping[str, Table]) -> None:
    """Write /etc/wbagent.toml on a host as an operator does, readable for the agent's group only."""
    host.write("/etc/wbagent.toml", toml(sections), mode=0o640, owner="root:wbagent")


def reload(host: Host) -> None:
    """Let the agent take up what is configured now."""
    host.run(["systemctl", "reload", "wbagent.service"])


@contextmanager
def bed(web_tree: Recipe = HOST) -> Iterator[Bed]:
    """Boot both hosts with the package just built installed, and start the services beside them."""
    deb = package()
    with ExitStack() as stack:
        link = stack.enter_context(bridge())
        names = {"web1": link.address(11), "db1": link.address(21), "bucket": link.address(30)}
        web = Host("web1", root_file_system(web_tree), link, 11, names=names)
        db = Host("db1", root_file_system(DATABASE_HOST), link, 21, names=names)
        _configure_mysql(db)
        with ThreadPoolExecutor() as pool:
            booting = [pool.submit(_boot, host, deb) for host in (web, db)]
            for host in (web, db):
                stack.callback(host.power_cut)
            # In this thread: the kernel ends the store together with the thread that started it.
            there = stack.enter_context(place(link, "bucket", 30))
            store = stack.enter_context(Ceph(address=there.address, port=9000, network=there.network))
            receiver = stack.enter_context(Receiver(address=link.gateway))
            for booted in booting:
                booted.result()
        made = Bed(link, web, db, there, store, receiver, deb)
        _create_accounts(made)
        for name in BUCKETS:
            store.create_bucket(name)
        yield made


def _boot(host: Host, deb: Path) -> None:
    host.boot()
    install(host, deb)
    if host.exists("/run/docker.sock"):
        host.import_image(image_tar(), IMAGE, image_changes())
    host.run(["install", "-D", "--preserve-timestamps", "/etc/wbagent.toml", PRISTINE])


def _configure_mysql(db: Host) -> None:
    settings = {**GUIDE_SETTINGS, "bind_address": f"127.0.0.1,{db.address}", "mysqlx": "OFF", "server_id": "21"}
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    # Read last: Debian's own file binds to loopback alone.
    (db.root / "etc/mysql/mysql.conf.d/zz-wandb.cnf").write_text(f"[mysqld]\n{lines}")


def _create_accounts(bed: Bed) -> None:
    bed.sql(
        f"CREATE USER 'wandb_local'@'%' IDENTIFIED BY '{PASSWORD}';"
        f"CREATE USER 'wandb_backup'@'%' IDENTIFIED BY '{PASSWORD}';"
        f"GRANT {_GRANTS} ON *.* TO 'wandb_backup'@'%';"
    )
    create_database(bed)


def create_database(bed: Bed) -> None:
    """Make the server's database anew, empty, as W&B's guide says."""
    bed.sql(
        "DROP DATABASE IF EXISTS wandb_local;"
        "CREATE DATABASE wandb_local CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;"
        "GRANT ALL ON wandb_local.* TO 'wandb_local'@'%' WITH GRANT OPTION;"
    )
