"""What of the agent costs what: runs on a booted host that has the package, as root, and prints JSON.

Memory is what each group of modules adds to a fresh process in the agent's order; processor time is that of one call of
each piece of work, times how often the agent does it.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MODULES = (
    ("asyncio, with ssl", ("asyncio", "ssl")),
    ("sqlite3, json, logging", ("sqlite3", "json", "logging")),
    ("pydantic", ("pydantic", "pydantic.fields", "pydantic.functional_validators")),
    ("APScheduler", ("apscheduler.schedulers.asyncio", "apscheduler.triggers.interval", "apscheduler.triggers.cron")),
    ("PyMySQL", ("pymysql",)),
    ("psutil", ("psutil",)),
    ("prometheus_client", ("prometheus_client.exposition",)),
    ("wbagent: configuration", ("wbagent.config.model", "wbagent.config.loading")),
    ("wbagent: everything else", ("wbagent.agent.loop",)),
)
CALLS = 20


def resident_mb() -> float:
    """Of this process."""
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1000


def memory() -> Iterator[tuple[str, float]]:
    """Megabytes that each group adds."""
    before = resident_mb()
    yield "Python itself", before
    absent = importlib.import_module("wbagent.absent").absent
    # As the agent does it, which is without what structlog would load beside it; and it must not write to our output.
    importlib.import_module("wbagent.systemd.journal").configure()
    yield "structlog", (after := resident_mb()) - before
    before = after
    for name, modules in MODULES:
        # As the agent comes by PyMySQL.
        with absent("cryptography"):
            for module in modules:
                importlib.import_module(module)
        yield name, (after := resident_mb()) - before
        before = after
    from wbagent.systemd.bus import Bus  # noqa: PLC0415 - not before its turn

    with Bus() as bus:
        bus.properties("wbagent.service")
        yield "pystemd, the bus open", resident_mb() - before


def percent(work: Callable[[], object], every: float) -> float:
    """Of one processor, when it is done every so many seconds."""
    work()
    begun = time.process_time()
    for _ in range(CALLS):
        work()
    return 100 * (time.process_time() - begun) / CALLS / every


def processor() -> Iterator[tuple[str, float]]:
    """Percent of one processor that each piece of work takes."""
    import asyncio  # noqa: PLC0415 - as above

    from wbagent.systemd import journal  # noqa: PLC0415

    journal.configure()
    from wbagent.agent import duties, loop  # noqa: PLC0415
    from wbagent.agent.units import OLDEST_S, Units  # noqa: PLC0415
    from wbagent.agent.watches import watches  # noqa: PLC0415
    from wbagent.config import load  # noqa: PLC0415
    from wbagent.moment import Moment  # noqa: PLC0415
    from wbagent.state import State  # noqa: PLC0415
    from wbagent.systemd.bus import Bus  # noqa: PLC0415

    settings = load().settings
    with State() as state, Bus() as bus:
        units, work = Units(bus, loop.WATCHED, lambda: None), duties.Duties(settings, state)

        def anew() -> None:
            for unit in loop.WATCHED:
                bus.properties(unit)

        yield "a round", percent(lambda: work.look_at_units(units, time.time()), loop.ROUND_S)
        yield "all units asked anew", percent(anew, OLDEST_S)
        yield (
            "the database's answer",
            percent(lambda: asyncio.run(work.look_at_database()), settings.monitor.database.every),
        )
        yield "backups judged", percent(work.look_at_backups, loop.BACKUPS_S)
        yield "the file of metrics", percent(lambda: asyncio.run(work.offer_metrics()), loop.METRICS_S)
        yield "a page of metrics", percent(lambda: work.prometheus.page(""), loop.METRICS_S)
        yield "samples stored", percent(work.store_samples, loop.SAMPLES_S)
        for watch in watches(work.reach, work.serving):
            if every := watch.every(settings):
                name = f"watch: {', '.join(sorted(watch.kinds))}"
                yield name, percent(lambda watch=watch: watch.look(settings, Moment.now()), every)  # type: ignore[misc]


if __name__ == "__main__":
    print(json.dumps(dict(processor() if sys.argv[1] == "processor" else memory())))
