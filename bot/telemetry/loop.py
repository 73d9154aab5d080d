"""How late the event loop is: what a person waits for when something blocks it."""

import asyncio

from bot.telemetry.metrics import loop_lag_seconds


async def measure_loop_lag(seconds_between: float = 0.5) -> None:
    """Observe the lag for ever; run it as a task and cancel it at the end."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + seconds_between
        await asyncio.sleep(seconds_between)
        loop_lag_seconds.observe(max(0.0, loop.time() - due))
