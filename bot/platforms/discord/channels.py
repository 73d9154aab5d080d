"""Translates Discord's channels, threads and direct messages into `Channel`s, and names requests by Discord's ids."""

from typing import Any

import discord

from bot.core.people import Channel
from bot.core.replies import MessageRef

NAME = "discord"

# The workspace of users who installed the bot for themselves, in places that did not invite the bot.
USER_INSTALLS = "user-installs"

_MESSAGE_KEY_PREFIX = f"{NAME}:message:"


def is_direct(interaction: discord.Interaction) -> bool:
    """Whether the interaction came from the direct messages between a user and the bot."""
    return interaction.guild_id is None and interaction.context.dm_channel


def is_user_install(interaction: discord.Interaction) -> bool:
    """Whether only the user installed the bot, not the guild: there the bot can respond to interactions and no more."""
    return not (is_direct(interaction) or interaction.is_guild_integration())


def build_channel(channel: Any, workspace: str) -> Channel:
    """Return the `Channel` of discord.py's channel or thread. Threads inherit the age restriction of their channel."""
    if isinstance(channel, discord.Thread):
        return Channel(NAME, workspace, str(channel.parent_id), str(channel.id), channel.is_nsfw())
    is_restricted = bool(getattr(channel, "nsfw", False))
    return Channel(NAME, workspace, str(channel.id), is_age_restricted=is_restricted)


def get_discord_channel_id(where: Channel | MessageRef) -> int:
    """Return the id of the thread if there is a thread, else of the channel: Discord addresses both alike."""
    if isinstance(where, Channel):
        return int(where.thread if where.thread and not where.is_reply_chain else where.id)
    return int(where.thread or where.channel)


def build_request_key(interaction: discord.Interaction) -> str:
    """Return the request key of an interaction: an event that Discord repeats makes no second job."""
    return f"{NAME}:{interaction.id}"


def parse_interaction_id(key: str) -> int:
    """Return the id of the interaction behind a request key; 0 for other requests."""
    interaction_id = key.removeprefix(f"{NAME}:")
    return int(interaction_id) if interaction_id != key and interaction_id.isdecimal() else 0


def build_message_request_key(message_id: int) -> str:
    """Return the request key of a chat message."""
    return f"{_MESSAGE_KEY_PREFIX}{message_id}"


def parse_message_request_key(key: str) -> str:
    """Return the id of the chat message behind a request key; an empty text for other requests."""
    message_id = key.removeprefix(_MESSAGE_KEY_PREFIX)
    return message_id if message_id != key and message_id.isdecimal() else ""
