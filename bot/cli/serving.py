"""The bot with its page, from start to a clean stop: what `run` and `demo` share."""

import asyncio
from collections.abc import Callable, Sequence

from bot.app import App
from bot.cli.signals import until_stopped
from bot.platforms.web.platform import WebPlatform
from bot.settings import Owner, Settings
from bot.telemetry.loop import measure_loop_lag


async def serve(
    settings: Settings,
    *,
    ready: Callable[[str], None],
    badge: str = "",
    owners: Sequence[Owner] = (),
    find_free: bool = False,
) -> None:
    """Run until somebody stops it. `ready` gets the page's address once it is served."""
    app = App(settings, badge=badge, owners=owners)
    web = WebPlatform(app.database, app.clock)
    await app.open(web)
    lag = asyncio.create_task(measure_loop_lag())
    try:
        ready(await app.serve(web, find_free=find_free))
        await until_stopped()
        await app.drain()
    finally:
        lag.cancel()
        await app.close()
