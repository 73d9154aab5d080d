"""Python's garbage collector, kept from stopping the loop."""

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Sequence

from bot.app import App
from bot.cli.terminal import print_errors, wait_for_stop_signal
from bot.platforms.web.auth import Authenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.sessions import InvitationAuthenticator
from bot.platforms.web.users import KEY_FILE, WebUsers
from bot.settings import Settings, SettingsError, load_settings
from bot.telemetry import logs
from bot.telemetry.metrics import measure_loop_lag

_YOUNG, _MIDDLE, _OLD = 1_000, 10, 100
"""New objects between two looks at the young ones, and how many looks at one generation come before the next one's.

Looks at few objects are short; a look at all of them, the last one, comes after a million new ones.
"""


def freeze_startup_objects() -> None:
    """Call once everything is started: what is there now is never looked through again.

    A full collection looks at every object: 140,000 of modules alone, which stood the loop still for over 0.1 s every
    few seconds under load. What dies by its reference count, which is nearly everything, goes at once as before.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


# MERGED The bot with its page, from start to a clean stop: what `run` and `demo` share.

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


# MERGED `python -m bot run`: the bot with the settings of the environment and `.env`.


@print_errors
def main(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="python -m bot run", description=__doc__).parse_args(arguments)
    settings = load_settings()
    if settings.replicate_api_token is None:
        raise SettingsError("REPLICATE_API_TOKEN is missing. `python -m bot demo` needs none; see .env.example.")
    logs.configure_logging(settings.log_level, settings.log_format, settings.list_secrets())
    asyncio.run(
        serve(
            settings,
            _make_authenticator,
            report_address=_print_address,
            badge=_make_badge(settings),
            has_connections=True,
        )
    )
    return 0


def _make_authenticator(app: App, web: WebPlatform) -> Authenticator:
    settings = app.settings
    return InvitationAuthenticator(
        WebUsers(app.database, app.clock, web.feed.close_user),
        host=settings.http_host,
        token=settings.web_token.get_secret_value() if settings.web_token else None,
        public_url=settings.public_url,
        key_file=settings.data_dir / KEY_FILE,
    )


def _print_address(address: str) -> None:
    print(f"Easel is at {address}", file=sys.stderr, flush=True)


def _make_badge(settings: Settings) -> str:
    """A backend that is not Replicate's own is named on every result."""
    official = Settings.model_fields["replicate_base_url"].default
    return "" if settings.replicate_base_url == official else f"by {settings.replicate_base_url}"
