"""Opens threads on messages, also the thread of a conversation that begins with the answer to a command."""

import logging
from dataclasses import replace

import discord

from bot.core.background_tasks import BackgroundTasks
from bot.core.jobs import Job
from bot.core.people import Channel
from bot.core.platform import Destination
from bot.core.replies import MessageRef
from bot.core.text import mend_text
from bot.platforms.discord.channels import USER_INSTALLS, can_open_thread
from bot.platforms.discord.errors import DELIVERY_ERRORS, THREAD_EXISTS
from bot.platforms.discord.rest_api import DiscordRestApi
from bot.storage.database import Database

log = logging.getLogger(__name__)

ARCHIVED_AFTER_MINUTES = 1440
_LONGEST_THREAD_NAME = 80


class DiscordThreads:
    """Moves conversations into threads."""

    def __init__(self, client: discord.Client, api: DiscordRestApi, database: Database) -> None:
        self._client = client
        self._api = api
        self._database = database
        self._tasks = BackgroundTasks("discord")

    def begin(self, destination: Destination, answer: MessageRef) -> None:
        """Open a thread on the first answer of a conversation, in the background: the model need not wait."""
        if answer.id and self._may_open(answer):
            self._tasks.spawn(self._begin(destination, answer), f"thread on {answer.id}")

    async def close(self) -> None:
        await self._tasks.cancel()

    def _may_open(self, answer: MessageRef) -> bool:
        channel = self._client.get_channel(int(answer.channel))
        if answer.workspace == USER_INSTALLS or not isinstance(channel, discord.abc.GuildChannel):
            return False
        return can_open_thread(channel, channel.permissions_for(channel.guild.me))

    async def _begin(self, destination: Destination, answer: MessageRef) -> None:
        async with self._database.read() as tx:
            job = await tx.jobs.get_by_request_key(destination.request_key)
        if job is None or not job.channel.begins_with(job.request_key):
            return
        # The conversation moves first: words in the new thread must find the conversation. A thread has the id of the
        # message on which it stands.
        await self._move(job, replace(job.channel, thread=answer.id, is_reply_chain=False))
        if not await open_thread(self._api, int(answer.channel), answer.id, str(job.options.get("message", ""))):
            await self._move(job, job.channel)

    async def _move(self, job: Job, channel: Channel) -> None:
        async with self._database.write() as tx:
            await tx.conversations.move(job.conversation, channel)
            await tx.jobs.move_to_channel(job.id, channel)


async def open_thread(api: DiscordRestApi, channel: int, message: str, text: str) -> bool:
    """Open a thread on a message, named after the text; return whether the thread exists now."""
    try:
        await api.create_thread(channel, message, build_thread_name(text), ARCHIVED_AFTER_MINUTES)
    except DELIVERY_ERRORS as error:
        if isinstance(error, discord.HTTPException) and error.code == THREAD_EXISTS:
            return True
        log.warning("discord.no_thread", extra={"channel": channel, "reason": repr(error)})
        return False
    return True


def build_thread_name(text: str) -> str:
    """Return the text as one line, cut between words."""
    line = " ".join(mend_text(text).split())
    if len(line) > _LONGEST_THREAD_NAME:
        line = line[:_LONGEST_THREAD_NAME].rpartition(" ")[0] or line[:_LONGEST_THREAD_NAME]
        line = f"{line}…"
    return line or "Conversation"
