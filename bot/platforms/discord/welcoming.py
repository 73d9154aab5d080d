"""Servers that the bot joins and leaves: a first message that names the next step, and a row that says it is gone."""

import logging

import aiohttp
import discord

from bot.core.clock import Clock
from bot.core.errors import UserError
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.replies import Reply
from bot.moderation.moderation import Moderation
from bot.platforms.discord.permissions import find_missing_permissions
from bot.platforms.discord.places import NAME
from bot.platforms.discord.platform import DiscordPlatform
from bot.storage.database import Database

log = logging.getLogger(__name__)

_KNOWN = (
    "Hello! I draw, upscale, caption and chat. Try `/imagine prompt: a lighthouse at dusk`, or mention me and ask "
    "something. `/help` lists what I can do."
)
_UNKNOWN = (
    "Hello! Before I may be used here, my owner has to allow this server: they type `/setup`, which also asks for "
    "channels, moderators and a budget. Then `/help` lists what I can do."
)


class GuildGreeter:
    """Greets servers."""

    def __init__(self, platform: DiscordPlatform, moderation: Moderation, database: Database, clock: Clock) -> None:
        self._platform = platform
        self._moderation = moderation
        self._database = database
        self._clock = clock

    async def handle_join(self, guild: discord.Guild) -> None:
        """Say hello where the server wants such messages, else in the first channel that may be written in."""
        log.info("discord.joined", extra={"workspace": str(guild.id)})
        channel = _first_channel(guild)
        if channel is None:
            return
        text = _KNOWN if await self._is_allowed(guild) else _UNKNOWN
        if lacking := find_missing_permissions(guild.me.guild_permissions, include_optional=True):
            text += f"\nI also need the permission {', '.join(lacking)}."
        place = Channel(NAME, str(guild.id), str(channel.id))
        destination = Destination(User(NAME, str(guild.id), "", ""), place, "", f"w{guild.id}")
        try:
            await self._platform.post(destination, Reply(text))
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("discord.no_welcome", extra={"workspace": str(guild.id), "reason": repr(error)})

    async def handle_leave(self, guild: discord.Guild) -> None:
        """The bot was removed: what is kept of the server goes as retention says."""
        log.info("discord.left", extra={"workspace": str(guild.id)})
        async with self._database.write() as tx:
            await tx.people.forbid_workspace(NAME, str(guild.id), self._clock.now(), is_removed=True)

    async def _is_allowed(self, guild: discord.Guild) -> bool:
        try:
            await self._moderation.admit(User(NAME, str(guild.id), "", ""))
        except UserError:
            return False
        return True


def _first_channel(guild: discord.Guild) -> discord.TextChannel | None:
    first = [guild.system_channel] if guild.system_channel else []
    for channel in (*first, *guild.text_channels):
        may = channel.permissions_for(guild.me)
        if may.view_channel and may.send_messages:
            return channel
    return None
