"""Edits on the page come as fast as eyes follow, and the last one at once."""

import asyncio

from bot.platforms.web.platform import SECONDS_BETWEEN_EDITS, WebPacer
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import settle


async def test_a_second_edit_waits_a_blink_and_the_last_one_never() -> None:
    clock = ManualClock()
    pacer = WebPacer(clock)
    await pacer.wait_for_edit(is_final=False)

    second = asyncio.create_task(pacer.wait_for_edit(is_final=False))
    await settle()
    waited = not second.done()
    await pacer.wait_for_edit(is_final=True)
    await clock.advance(SECONDS_BETWEEN_EDITS)

    assert waited
    assert second.done()
