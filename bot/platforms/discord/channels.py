"""Where something is asked: Discord's channels, threads and direct messages as the trunk's `Channel`."""

from typing import Any

import discord

from bot.core.people import Channel
from bot.core.replies import MessageRef

NAME = "discord"

USER_INSTALLS = "user-installs"
"""The workspace of people who brought the bot along to a place that did not invite it."""

_REPLIES = "m"
"""A conversation that goes on by replies has no thread: it is called after its first message, with this in front."""

_FIRST = "first:"
"""In front of the token of an interaction's first message, which Discord knows as `@original` and not by its id."""


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


def build_reply_thread_id(message_id: int | str) -> str:
    """The name, as a thread, of a conversation that goes on by replies to this message."""
    return f"{_REPLIES}{message_id}"


def is_reply_thread(thread: str) -> bool:
    return thread.startswith(_REPLIES)


def get_discord_channel_id(where: Channel | MessageRef) -> int:
    """The id that Discord knows: of the thread if there is one, else of the channel."""
    channel = where.id if isinstance(where, Channel) else where.channel
    return int(where.thread if where.thread and not is_reply_thread(where.thread) else channel)


def mark_original_token(token: str) -> str:
    """The token of an interaction, for its first message."""
    return f"{_FIRST}{token}"


def is_original_token(token: str) -> bool:
    return token.startswith(_FIRST)


def strip_token_mark(token: str) -> str:
    """The token as Discord gave it."""
    return token.removeprefix(_FIRST)
