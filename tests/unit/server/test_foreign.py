"""Whose a foreign container is: its maker is named, its secrets are not."""

from __future__ import annotations

from wbagent.server.foreign import whose


def details(**labels: str) -> dict[str, object]:
    return {
        "Created": "2026-11-24T10:00:00.123456789Z",
        "Path": "/sbin/my_init",
        "Args": ["--password=SECRET"],
        "State": {"Running": True, "Status": "running"},
        "Config": {"Image": "wandb/local:0.70.0", "Env": ["MYSQL=SECRET"], "Labels": labels},
        "HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}},
    }


def test_its_maker_is_named_and_nothing_that_may_be_secret() -> None:
    said = whose(details(**{"com.docker.compose.project": "wandb", "token": "SECRET"}))
    assert said == (
        "image wandb/local:0.70.0, created 2026-11-24T10:00:00Z, running, program /sbin/my_init,"
        " made by Docker Compose, project wandb, Docker starts it by itself (restart policy always)"
    )


def test_one_that_went_meanwhile() -> None:
    assert whose(None) == "it is gone again"
