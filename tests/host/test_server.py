"""The server under systemd, from the installed package: every way to end it, and what users and operators see then."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from tests.host.server_case import QUICK_PROBES, UNIT, container, get, history, post, serve, wait_until_serving_again
from tests.testbed.bed import IMAGE, Bed, configure
from tests.testbed.host import Host
from tests.testbed.standin_image import image_changes, image_tar
from tests.testbed.watch import journal_from_now, wait_for_property, wait_for_unit
from wbagent import events

SLOW_TAG = "wandb/local:slow-migrations"


@pytest.fixture
def serving(hosts: Bed) -> Bed:
    """The server runs on web1, with quick liveness probes."""
    return serve(hosts, **QUICK_PROBES)


def status(host: Host) -> dict[str, Any]:
    """`wbagent status --json`."""
    page: dict[str, Any] = json.loads(host.run(["wbagent", "status", "--json"], check=False).stdout)
    return page


def assert_serves_again(bed: Bed, restarts: int) -> None:
    wait_until_serving_again(bed.web, restarts)
    assert get(bed) == 200


def test_the_container_is_what_the_guide_says(serving: Bed) -> None:
    found = container(serving.web)
    names = {entry.partition("=")[0] for entry in found["Config"]["Env"]}
    assert {"HOST", "BUCKET", "BUCKET_QUEUE", "AWS_REGION", "MYSQL"} <= names
    assert f"MYSQL={serving.mysql_url}" in found["Config"]["Env"]
    assert found["Config"]["Image"] == IMAGE
    host = found["HostConfig"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["PortBindings"]["8080/tcp"] == [{"HostIp": "0.0.0.0", "HostPort": "8080"}]
    assert host["CgroupParent"] == "wandb.slice"
    # Limits of memory and processors are accepted but not enforced where the kernel has no such controllers.
    assert host["LogConfig"]["Type"] == "journald"


def test_limits_of_processes_and_certificates_reach_the_container(hosts: Bed) -> None:
    web = hosts.web
    authority = "/etc/ssl/certs/ISRG_Root_X1.pem"
    limits: dict[str, object] = {"nofile": "2048:4096"}
    configure(web, hosts.web_settings(server={"ca_certificates": [authority]}, **{"server.ulimits": limits}))
    web.run(["systemctl", "start", UNIT])
    in_force = web.run(["cat", f"/proc/{container(web)['State']['Pid']}/limits"]).stdout
    assert re.search(r"Max open files +2048 +4096", in_force)
    # The stand-in has no shell; --follow-link is not needed, since Docker mounts what the link points to.
    mounted = "/usr/local/share/ca-certificates/wbagent-0.crt"
    copied = web.run(["sh", "-c", f"docker cp wandb-local:{mounted} - | tar -xO"]).stdout
    assert copied == web.run(["cat", authority]).stdout
    assert web.run(["wbagent", "server", "diff"], check=False).returncode == 0
    # A file that is gone later is a reason with a name, and no directory is made in its place.
    web.write("/root/own.crt", copied)
    configure(web, hosts.web_settings(server={"ca_certificates": ["/root/own.crt"]}))
    web.run(["systemctl", "restart", UNIT])
    web.run(["rm", "/root/own.crt"])
    web.run(["docker", "kill", "wandb-local"])
    wait_for_unit(web, UNIT, lambda _unit: "/root/own.crt" in (status(web)["last_end"] or {"detail": ""})["detail"])
    assert not web.exists("/root/own.crt")


def test_the_key_of_the_hash_is_for_the_product_alone(serving: Bed) -> None:
    shown = serving.web.run(["getfacl", "--omit-header", "/var/lib/wbagent/server/digest.key"]).stdout
    assert "systemd-journal" not in shown
    assert "other::---" in shown


def test_a_killed_container_is_back_with_the_reason_recorded(serving: Bed) -> None:
    with journal_from_now(serving.web, f"MESSAGE_ID={events.SERVER_ENDED}") as journal:
        serving.web.run(["docker", "kill", "wandb-local"])
        entry = journal.wait_for("SIGKILL")
    assert entry["WBAGENT_EXIT_CODE"] == "137"
    assert entry["OBJECT_SYSTEMD_UNIT"] == UNIT
    assert_serves_again(serving, restarts=1)
    page = status(serving.web)
    assert page["server"]["restarts"] == 1
    assert (page["last_end"]["reason"], page["last_end"]["exit_code"]) == ("exited", 137)
    assert any("serves http" in line for line in page["last_end"]["log"])
    told = serving.receiver.wait_for(lambda alert: "W&B server ended" in alert.text, timeout=30)
    assert "SIGKILL" in told.text


def test_a_crash_keeps_its_exit_code(serving: Bed) -> None:
    with journal_from_now(serving.web, f"OBJECT_SYSTEMD_UNIT={UNIT}") as journal:
        post(serving, "crash?code=3")
        # What the new container prints is in the unit's journal too.
        journal.wait_for("*** Booting runit daemon...")
    assert_serves_again(serving, restarts=1)
    assert status(serving.web)["last_end"]["exit_code"] == 3


def test_a_hanging_container_is_restarted_after_the_threshold(serving: Bed) -> None:
    before = container(serving.web)["Id"]
    post(serving, "hang")
    assert_serves_again(serving, restarts=1)
    assert container(serving.web)["Id"] != before
    end = status(serving.web)["last_end"]
    assert end["reason"] == "liveness lost"
    assert end["detail"].startswith("3 failed probes in a row")
    assert "no answer in 1 s" in end["probe"]


def test_losing_readiness_is_told_and_restarts_nothing(serving: Bed) -> None:
    before = container(serving.web)["Id"]
    with journal_from_now(serving.web, f"MESSAGE_ID={events.READINESS_LOST}") as journal:
        post(serving, "unready")
        journal.wait_for("lives but is not ready: /ready: 503", timeout=20)
        wait_for_unit(serving.web, UNIT, lambda unit: "NOT READY" in unit["StatusText"])
        post(serving, "ready")
        journal.wait_for("ready again", timeout=20)
    assert container(serving.web)["Id"] == before


def test_migrations_of_50_seconds_survive_a_base_timeout_of_10(hosts: Bed) -> None:
    web = hosts.web
    # Longer than the 45 s that the runner asks for at a time: it must ask again.
    web.import_image(image_tar(), SLOW_TAG, image_changes(STANDIN_MIGRATION_SECONDS="50"))
    configure(web, hosts.web_settings(server={"image": SLOW_TAG}))
    web.write("/etc/systemd/system/wandb-local.service.d/short.conf", "[Service]\nTimeoutStartSec=10s\n")
    web.run(["systemctl", "daemon-reload"])
    assert web.properties(UNIT)["TimeoutStartUSec"] == "10s"
    web.run(["systemctl", "start", UNIT], timeout=150)
    unit = web.properties(UNIT)
    assert (unit["ActiveState"], unit["NRestarts"]) == ("active", "0")
    assert hosts.sql("SELECT dirty FROM schema_migrations", "wandb_local").strip() == "0"


def test_a_start_that_never_gets_ready_ends_with_its_budget(hosts: Bed) -> None:
    web = hosts.web
    web.import_image(image_tar(), SLOW_TAG, image_changes(STANDIN_PANIC="NoSuchBucket"))
    probes = {"server.probes": {"startup_failures": 4, "startup_period": "1s"}}
    configure(web, hosts.web_settings(server={"image": SLOW_TAG}, **probes))
    started = web.run(["systemctl", "start", UNIT], check=False)
    assert started.returncode != 0
    page = status(web)
    assert page["last_end"]["reason"] == "start-up budget spent"
    assert any("NoSuchBucket" in line for line in page["last_end"]["log"])


def test_a_killed_runner_leaves_neither_an_orphan_nor_a_second_container(serving: Bed) -> None:
    before = container(serving.web)["Id"]
    serving.web.kill(int(serving.web.properties(UNIT)["MainPID"]))
    assert_serves_again(serving, restarts=1)
    assert container(serving.web)["Id"] == before
    assert status(serving.web)["last_end"]["reason"] == "runner died"
    serving.web.run(["systemctl", "stop", UNIT])
    assert serving.web.run(["docker", "ps", "--all", "--quiet"]).stdout == ""


def test_a_runner_that_hangs_is_ended_by_the_watchdog_and_its_container_with_it(serving: Bed) -> None:
    web = serving.web
    # TimeoutAbortSec=: a stopped process does not even take SIGABRT.
    limits = "[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\n"
    web.write("/etc/systemd/system/wandb-local.service.d/short.conf", limits)
    web.run(["systemctl", "daemon-reload"])
    web.run(["systemctl", "restart", UNIT])
    before = container(web)["Id"]
    web.kill(int(web.properties(UNIT)["MainPID"]), signal.SIGSTOP)
    assert_serves_again(serving, restarts=1)
    assert container(web)["Id"] != before
    end = status(web)["last_end"]
    assert end["reason"] == "runner died"
    assert "result watchdog" in end["detail"]


def test_a_restart_takes_the_settings_at_hand_only_while_they_are_those_of_the_file(serving: Bed) -> None:
    web = serving.web
    assert web.properties(UNIT)["NFileDescriptorStore"] == "1"
    for number, value in ((1, "one"), (2, "two")):
        configure(web, serving.web_settings(**{"server.env": {"EXTRA": value}}))
        web.run(["docker", "kill", "wandb-local"])
        assert_serves_again(serving, restarts=number)
        assert f"EXTRA={value}" in container(web)["Config"]["Env"]
    web.run(["systemctl", "stop", UNIT])
    assert web.properties(UNIT)["NFileDescriptorStore"] == "0"


def test_a_history_that_another_user_began_is_gone_on_with(serving: Bed) -> None:
    # DynamicUser= may give the runner another number after a while.
    serving.web.run(["chown", "root:wbagent", "/var/lib/wbagent/server/history.jsonl"])
    serving.web.run(["docker", "kill", "wandb-local"])
    assert_serves_again(serving, restarts=1)
    assert [record["reason"] for record in history(serving.web)] == ["ready", "exited", "ready"]


def test_a_stop_removes_the_container_and_is_no_failure(serving: Bed) -> None:
    serving.web.run(["systemctl", "stop", UNIT])
    assert serving.web.run(["docker", "ps", "--all", "--quiet"]).stdout == ""
    assert serving.web.properties(UNIT)["Result"] == "success"
    assert status(serving.web)["last_end"] is None


def test_a_reboot_ends_with_a_serving_server(serving: Bed) -> None:
    serving.web.run(["systemctl", "enable", UNIT])
    serving.web.reboot()
    wait_for_property(serving.web, UNIT, "ActiveState", "active")
    assert get(serving) == 200
    container(serving.web)


def test_a_power_cut_ends_with_a_serving_server(serving: Bed) -> None:
    serving.web.run(["systemctl", "enable", UNIT])
    serving.web.power_cut()
    serving.web.boot()
    wait_for_property(serving.web, UNIT, "ActiveState", "active")
    assert get(serving) == 200
    assert "lost power" in status(serving.web)["last_end"]["detail"]


def test_a_killed_agent_disturbs_nothing(serving: Bed) -> None:
    before = container(serving.web)["Id"]
    agent = serving.web.properties("wbagent.service")["MainPID"]
    serving.web.kill(int(agent))
    wait_for_unit(
        serving.web, "wbagent.service", lambda unit: unit["ActiveState"] == "active" and unit["MainPID"] != agent
    )
    assert container(serving.web)["Id"] == before
    assert serving.web.properties(UNIT)["NRestarts"] == "0"
    assert get(serving) == 200


def test_a_foreign_container_of_the_same_name_is_left_alone(hosts: Bed) -> None:
    web = hosts.web
    web.run(["docker", "create", "--name=wandb-local", IMAGE])
    configure(web, hosts.web_settings())
    assert web.run(["systemctl", "start", UNIT], check=False).returncode != 0
    assert "did not create" in status(web)["last_end"]["detail"]
    assert web.run(["docker", "ps", "--all", "--quiet"]).stdout.count("\n") == 1


def test_a_missing_image_is_named_with_the_remedy(hosts: Bed) -> None:
    configure(hosts.web, hosts.web_settings(server={"image": "wandb/local:0.0.1"}))
    assert hosts.web.run(["systemctl", "start", UNIT], check=False).returncode != 0
    lines = "\n".join(entry["MESSAGE"] for entry in hosts.web.journal(UNIT))
    assert "wandb/local:0.0.1 is not on this host" in lines
    assert "docker pull wandb/local:0.0.1" in lines


def test_a_configuration_that_is_refused_leaves_a_failed_unit_and_a_critical_alert(serving: Bed) -> None:
    web = serving.web
    # The agent keeps its old configuration; only the server is started with the new one.
    configure(web, serving.web_settings(server={"image": "wandb/local:latest"}))
    assert web.run(["systemctl", "restart", UNIT], check=False).returncode != 0
    unit = web.properties(UNIT)
    assert (unit["ActiveState"], unit["ExecMainStatus"]) == ("failed", "78")
    told = serving.receiver.wait_for(lambda alert: "is not started again" in alert.text, timeout=30)
    assert "upgrades the server by surprise" in told.text
    page = status(web)
    assert page["last_end"]["reason"] == "configuration refused"
    assert page["firing"] == ["W&B server is down and is not started again"]
    configure(web, serving.web_settings())
    web.run(["systemctl", "restart", UNIT])
    # As it is at the look that ends it: starting, or up.
    serving.receiver.wait_for(lambda alert: alert.body["type"] == "success" and "again" in alert.text, timeout=30)


def test_a_stranger_is_told_that_nothing_is_known(serving: Bed) -> None:
    shown = serving.web.run(["wbagent", "status"], user="nobody", check=False)
    assert shown.returncode == 4
    assert "unknown" in shown.stdout
    assert "none" not in shown.stdout
    checked = serving.web.run(["wbagent", "config", "check"], user="nobody", check=False)
    assert checked.returncode == 77
    assert "may not read it" in checked.stderr


def test_what_the_units_run_is_refused_by_hand(serving: Bed) -> None:
    before = container(serving.web)["Id"]
    for command in (["server", "run"], ["agent", "run"]):
        refused = serving.web.run(["wbagent", *command], check=False)
        assert refused.returncode == 64
        assert "systemctl start w" in refused.stderr
    assert container(serving.web)["Id"] == before
    assert status(serving.web)["last_end"] is None


def test_a_mistake_elsewhere_in_the_file_does_not_keep_the_server_down(serving: Bed) -> None:
    configure(serving.web, serving.web_settings(backup={"keep_dayss": 1}))
    serving.web.run(["docker", "kill", "wandb-local"])
    assert_serves_again(serving, restarts=1)


def test_status_works_without_root_and_without_the_agent(serving: Bed) -> None:
    web = serving.web
    web.run(["docker", "kill", "wandb-local"])
    assert_serves_again(serving, restarts=1)
    web.run(["systemctl", "stop", "wbagent.service"])
    for group in ("wbagent", "systemd-journal"):
        web.run(["useradd", "--no-create-home", "--groups", group, f"of-{group}"])
        try:
            shown = web.run(["wbagent", "status"], user=f"of-{group}", check=False)
            assert shown.returncode == 3
            assert "NOT RUNNING" in shown.stdout
            assert "137" in shown.stdout
            assert "MySQL 9." in shown.stdout
            assert shown.stderr == ""
        finally:
            web.run(["userdel", f"of-{group}"])
