"""`python -m bot run`: the bot with the settings of the environment and `.env`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from bot.app import App
from bot.cli.failing import print_errors
from bot.cli.serving import serve
from bot.platforms.web.administration import KEY_FILE
from bot.platforms.web.door import Authenticator
from bot.platforms.web.invited_door import InvitationAuthenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.visitors import WebUsers
from bot.settings import Settings, SettingsError, load_settings
from bot.telemetry import logs


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
