"""A look that lasts too long: the library's own words about it reach nobody."""

from __future__ import annotations

import asyncio

import pytest
from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.triggers.interval import IntervalTrigger

from wbagent.agent.loop import scheduler


def test_a_look_that_lasts_too_long_is_left_out_without_jargon(caplog: pytest.LogCaptureFixture) -> None:
    async def overlap() -> None:
        left_out, over = asyncio.Event(), asyncio.Event()
        loop, quiet = asyncio.get_running_loop(), scheduler()
        quiet.add_listener(lambda _: loop.call_soon_threadsafe(left_out.set), EVENT_JOB_MAX_INSTANCES)
        quiet.add_job(over.wait, IntervalTrigger(seconds=1), max_instances=1, coalesce=True)
        quiet.start()
        await asyncio.wait_for(left_out.wait(), 10)
        over.set()
        quiet.shutdown(wait=False)

    asyncio.run(overlap())
    assert [record for record in caplog.records if record.name.startswith("apscheduler")] == []
