"""The names of ends: what Docker still knows of the container makes an exit more telling, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.server.container import Found
from wbagent.server.ending import exited, named
from wbagent.server.history import Reason
from wbagent.server.report import Outcome

FINAL = Found("id", "wandb/local:1", "now", False, "hash", (), 137, False, "")


@pytest.mark.parametrize(
    ("code", "said"), [(0, "status 0"), (3, "status 3"), (137, "(SIGKILL)"), (139, "(SIGSEGV)"), (255, "status 255")]
)
def test_an_exit_names_its_status_and_signal(code: int, said: str) -> None:
    outcome = exited(code)
    assert (outcome.reason, outcome.exit_status) == (Reason.EXITED, code)
    assert outcome.detail.endswith(said)


def test_a_container_that_is_gone_was_removed() -> None:
    assert exited(None).reason is Reason.REMOVED
    assert named(exited(137), None, with_docker=False).reason is Reason.REMOVED
    assert named(exited(137), replace(FINAL, removing=True), with_docker=False).reason is Reason.REMOVED


def test_what_the_kernel_did_goes_before_what_docker_did() -> None:
    killed = replace(FINAL, oom_killed=True)
    assert named(exited(137), killed, with_docker=True).reason is Reason.OUT_OF_MEMORY
    away = named(exited(0), FINAL, with_docker=True)
    assert away.reason is Reason.DOCKER_AWAY
    assert "live-restore" in away.detail
    assert named(exited(0), FINAL, with_docker=False) == exited(0)


def test_who_ended_it_through_docker_is_told() -> None:
    told = named(exited(137), FINAL, with_docker=False, signals=("15", "9", "9"))
    assert told.reason is Reason.EXITED
    assert "somebody sent it SIGTERM and SIGKILL" in told.detail
    assert named(exited(0), FINAL, with_docker=True, signals=("15",)).reason is Reason.DOCKER_AWAY


@given(st.sampled_from(sorted({*Reason} - {Reason.EXITED})), st.booleans(), st.booleans(), st.booleans())
def test_what_was_decided_keeps_its_name(reason: Reason, gone: bool, killed: bool, with_docker: bool) -> None:
    outcome = Outcome(reason, "why", 69)
    final = None if gone else replace(FINAL, oom_killed=killed)
    assert named(outcome, final, with_docker=with_docker) == outcome
