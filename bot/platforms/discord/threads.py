"""Threads for conversations: where one may be opened, what it is called, and opening it."""

import logging

import aiohttp
import discord

from bot.core.platform import MessageLost
from bot.platforms.discord.sending import THREAD_EXISTS, DiscordRestApi

log = logging.getLogger(__name__)

ARCHIVED_AFTER_MINUTES = 1440
_LONGEST_NAME = 80


def can_open_thread(channel: object, permissions: discord.Permissions) -> bool:
    """Whether a thread may be opened on a message there, and written in."""
    is_open = permissions.create_public_threads and permissions.send_messages_in_threads
    return isinstance(channel, discord.TextChannel) and is_open


async def open_thread(sender: DiscordRestApi, channel: int, message: str, words: str) -> bool:
    """Open a thread on a message, called after the first words; gives whether there is one now."""
    try:
        await sender.create_thread(channel, message, build_thread_name(words), ARCHIVED_AFTER_MINUTES)
    except discord.HTTPException as error:
        if error.code == THREAD_EXISTS:
            return True
        log.warning("discord.no_thread", extra={"channel": channel, "reason": repr(error)})
        return False
    except (MessageLost, aiohttp.ClientError, OSError) as error:
        log.warning("discord.no_thread", extra={"channel": channel, "reason": repr(error)})
        return False
    return True


def build_thread_name(words: str) -> str:
    """A thread's name from what was said: one line, cut between words."""
    line = " ".join(words.split())
    if len(line) > _LONGEST_NAME:
        line = line[:_LONGEST_NAME].rpartition(" ")[0] or line[:_LONGEST_NAME]
        line = f"{line}…"
    return line or "Conversation"
