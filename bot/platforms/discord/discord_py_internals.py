"""Where Discord is. discord.py keeps its addresses in classes, so one process talks to one Discord."""

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.platforms.discord.config import OFFICIAL_CDN


def use_api(api_url: str) -> None:
    """Send every request of discord.py there: it reads this for each one."""
    Route.BASE = api_url.rstrip("/")


def use_gateway(gateway_url: str) -> None:
    """Connect there, also after a session was lost. A resumed session goes where Discord sends it."""
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)


def build_file_url(url: str, cdn_url: str) -> str:
    """The address of an attached file, at the owner's proxy where there is one."""
    official = f"{OFFICIAL_CDN}/"
    return cdn_url.rstrip("/") + "/" + url.removeprefix(official) if url.startswith(official) else url
