"""Where something is asked: Discord's channels, threads and direct messages as the trunk's `Channel`."""

from typing import Any

import discord

from bot.core.people import Channel
from bot.core.replies import MessageRef

NAME = "discord"

USER_INSTALLS = "user-installs"
"""The workspace of people who brought the bot along to a place that did not invite it."""


def is_direct(interaction: discord.Interaction) -> bool:
    """Whether it came from the direct messages between somebody and the bot."""
    return interaction.guild_id is None and interaction.context.dm_channel


def is_user_install(interaction: discord.Interaction) -> bool:
    """Whether only its person installed the bot, and not the place: there the bot can do nothing but answer."""
    return not (is_direct(interaction) or interaction.is_guild_integration())


def build_channel(channel: Any, workspace: str) -> Channel:
    """A channel or a thread. Threads are as age-restricted as the channel they are in."""
    if isinstance(channel, discord.Thread):
        return Channel(NAME, workspace, str(channel.parent_id), str(channel.id), channel.is_nsfw())
    is_restricted = bool(getattr(channel, "nsfw", False))
    return Channel(NAME, workspace, str(channel.id), is_age_restricted=is_restricted)


def get_discord_channel_id(where: Channel | MessageRef) -> int:
    """Return the id of the thread if there is a thread, else of the channel: Discord addresses both alike."""
    if isinstance(where, Channel):
        return int(where.thread if where.thread and not where.is_reply_chain else where.id)
    return int(where.thread or where.channel)
