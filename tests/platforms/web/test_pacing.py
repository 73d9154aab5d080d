"""The pace of edits on the page."""

import asyncio

from bot.platforms.web.platform import SECONDS_BETWEEN_EDITS, WebPacer
from tests.fakes.clock import ManualClock
from tests.fakes.event_loop import settle


async def test_a_second_edit_waits_and_the_final_edit_does_not() -> None:
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
