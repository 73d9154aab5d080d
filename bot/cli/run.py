"""`python -m bot run`: the bot with the settings of the environment and `.env`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from bot.cli.failing import in_sentences
from bot.cli.serving import serve
from bot.settings import Owner, Settings, SettingsError, load_settings
from bot.telemetry import logs


@in_sentences
def main(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="python -m bot run", description=__doc__).parse_args(arguments)
    settings = load_settings()
    if settings.replicate_api_token is None:
        raise SettingsError("REPLICATE_API_TOKEN is missing. `python -m bot demo` needs none; see .env.example.")
    logs.configure(settings.log_level, settings.log_format, settings.secrets())
    # Whoever holds the page's key, or sits at this machine, owns it; invitations will tell people apart.
    asyncio.run(serve(settings, ready=_told, badge=_badge(settings), owners=(Owner("web", "page", "owner"),)))
    return 0


def _told(address: str) -> None:
    print(f"Easel is at {address}", file=sys.stderr, flush=True)


def _badge(settings: Settings) -> str:
    """A backend that is not Replicate's own is named on every result."""
    official = Settings.model_fields["replicate_base_url"].default
    return "" if settings.replicate_base_url == official else f"by {settings.replicate_base_url}"
