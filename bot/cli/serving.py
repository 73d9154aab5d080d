"""The bot with its page, from start to a clean stop: what `run` and `demo` share."""

import asyncio
from collections.abc import Callable

from bot.app import App
from bot.cli.garbage import settle
from bot.cli.signals import until_stopped
from bot.platforms.web.door import Door
from bot.platforms.web.platform import WebPlatform
from bot.settings import Settings
from bot.telemetry.loop import measure_loop_lag

DoorOf = Callable[[App, WebPlatform], Door]
"""Who is let in to the page of this bot."""


async def serve(
    settings: Settings,
    door_of: DoorOf,
    *,
    ready: Callable[[str], None],
    badge: str = "",
    find_free: bool = False,
    connected: bool = False,
) -> None:
    """Run until somebody stops it. `ready` gets the page's address once it is served.

    `connected` joins Discord and Slack, where the settings name them.
    """
    app = App(settings, badge=badge)
    web = WebPlatform(app.database, app.clock)
    await app.open(web, connections=app.connections_chosen() if connected else ())
    lag = asyncio.create_task(measure_loop_lag())
    try:
        ready(await app.serve(web, door_of(app, web), find_free=find_free))
        settle()
        await until_stopped()
        await app.drain()
    finally:
        lag.cancel()
        await app.close()
