"""`./dev bench recovery`: from the kill of the container (or its hang) until it serves again, beside the peers."""

from __future__ import annotations

import time

from bench.engine import Engine
from bench.measurement import Measurement
from bench.parties import PERIOD_S, THRESHOLD, DockerPolicy, Party, Quadlet, Wbagent
from bench.rootfs import BENCH_HOST
from bench.serving import kill, outer_pid, post, wait_until_serving
from tests.testbed.bed import Bed, bed

ROUNDS = 7
_IN_A_ROW = 5
# Docker forgets its back-off when a container ran for 10 s.
_HEALTHY_S = 11.0
_FLOOR_PORT = 8089


def measure(rounds: int = ROUNDS) -> Measurement:
    """Run all rounds on a bed of its own; each round takes every party in turn."""
    figures = Measurement("recovery")
    with bed(BENCH_HOST) as up:
        leader = int((up.bridge.directory / "web1/leader").read_text())
        parties: tuple[Party, ...] = (Wbagent(up), DockerPolicy(up), Quadlet(up))
        since = {}
        for party in parties:
            party.start()
            since[party.name] = wait_until_serving(up.web.address, party.port)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            for party in parties:
                time.sleep(max(0.0, since[party.name] + _HEALTHY_S - time.monotonic()))
                party.forget()
                took = [_kill(up, leader, party) for _ in range(_IN_A_ROW)]
                print(f"  {party.name:<8}", *(f"{seconds:.2f}" for seconds in took), flush=True)
                figures.add(party.name, "first_crash_s", took[0])
                figures.add(party.name, "fifth_crash_s", took[-1])
                since[party.name] = time.monotonic()
            figures.add("wbagent", "hang_extra_s", _hang(up, leader, (number + 0.5) / rounds))
            since["wbagent"] = time.monotonic()
            made, told = Engine(leader, up.web.address).limits("wandb-local", _FLOOR_PORT)
            figures.add("floor", "death_told_s", told)
            figures.add("floor", "create_start_ready_s", made)
            figures.add("floor", "both_s", told + made)
    return figures


def _kill(up: Bed, leader: int, party: Party) -> float:
    killed = kill(outer_pid(leader, party.pid()))
    return wait_until_serving(up.web.address, party.port) - killed


def _hang(up: Bed, leader: int, phase: float) -> float:
    """Seconds from a hang until it serves again, beyond threshold x period; `phase` is where between two probes."""
    party = Wbagent(up)
    party.forget()
    # Probes come every period from the first one that is answered, which a restart sets.
    kill(outer_pid(leader, party.pid()))
    serving = wait_until_serving(up.web.address, party.port)
    time.sleep(max(0.0, serving + PERIOD_S * (1 + phase) - time.monotonic()))
    begun = time.monotonic()
    post(up.web.address, party.port, "/standin/hang")
    return wait_until_serving(up.web.address, party.port) - begun - THRESHOLD * PERIOD_S
