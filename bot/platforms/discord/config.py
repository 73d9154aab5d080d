"""Holds the credentials and addresses for Discord. Free of discord.py, which is loaded only if Discord is used."""

from dataclasses import dataclass
from pathlib import Path

OFFICIAL_CDN = "https://cdn.discordapp.com"


@dataclass(frozen=True, slots=True)
class DiscordConfig:
    """`api_url` ends in `/api/v10`; an empty `gateway_url` asks Discord for the address."""

    token: str
    data_dir: Path
    api_url: str = "https://discord.com/api/v10"
    gateway_url: str = ""
    cdn_url: str = OFFICIAL_CDN
    shard_count: int | None = None
    shard_ids: tuple[int, ...] = ()
    allow_user_installs: bool = False
