"""The bot with its page, from start to a clean stop: what `run` and `demo` share."""

import asyncio
from collections.abc import Callable

from bot.app import App
from bot.cli.garbage import freeze_startup_objects
from bot.cli.signals import wait_for_stop_signal
from bot.platforms.web.door import Authenticator
from bot.platforms.web.platform import WebPlatform
from bot.settings import Settings
from bot.telemetry.loop import measure_loop_lag

MakeAuthenticator = Callable[[App, WebPlatform], Authenticator]
"""Who is let in to the page of this bot."""


async def serve(
    settings: Settings,
    make_authenticator: MakeAuthenticator,
    *,
    report_address: Callable[[str], None],
    badge: str = "",
    find_free: bool = False,
    has_connections: bool = False,
) -> None:
    """Run until somebody stops it. `ready` gets the page's address once it is served.

    `connected` joins Discord and Slack, where the settings name them.
    """
    app = App(settings, badge=badge)
    web = WebPlatform(app.database, app.clock)
    await app.open(web, connections=app.make_connections() if has_connections else ())
    lag = asyncio.create_task(measure_loop_lag())
    try:
        report_address(await app.serve(web, make_authenticator(app, web), find_free=find_free))
        freeze_startup_objects()
        await wait_for_stop_signal()
        await app.drain()
    finally:
        lag.cancel()
        await app.close()
