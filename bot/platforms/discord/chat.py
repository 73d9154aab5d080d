"""Threads for conversations: where one may be opened, what it is called, and opening it."""

import logging
import re
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import discord

from bot.core.errors import UserError
from bot.core.invocations import Attachment, EarlierMessage, TurnRole
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.replies import Reply, Tone
from bot.dispatch.dispatcher import format_error
from bot.dispatch.plain_text import DEFAULT_COMMAND, invocation_from_text, may_continue_conversation, parse_plain_text
from bot.moderation.settings import WorkspaceSettings
from bot.platforms.discord.channels import NAME, build_channel
from bot.platforms.discord.context import InteractionContext
from bot.platforms.discord.messages import IS_LAYOUT
from bot.platforms.discord.platform import build_message_request_key
from bot.platforms.discord.rest_api import THREAD_EXISTS, DiscordRestApi
from bot.storage.database import Database
from bot.streaming.editor import MessageLayout

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


# MERGED What people say: to the bot directly, by its name, in reply to it, or in a thread where it is talking
# MERGED already.

_MOST_EARLIER = 20
_KINDS = (discord.MessageType.default, discord.MessageType.reply)


@dataclass(frozen=True, slots=True)
class _IncomingMessage:
    """A message that may be for us."""

    message: discord.Message
    user: User
    here: Channel
    is_mentioned: bool
    """Whether the bot was mentioned."""
    replied_to: discord.Message | None
    """The message it replies to, where that could be read."""

    @property
    def is_direct(self) -> bool:
        return self.message.guild is None


class DiscordChat:
    """Hears messages and answers those that are for the bot."""

    def __init__(self, client: discord.Client, desk: InteractionContext, database: Database) -> None:
        self._client = client
        self._desk = desk
        self._database = database

    async def handle_message(self, message: discord.Message) -> None:
        """Answer what is for the bot; everything else is nobody's business."""
        if message.author.bot or message.webhook_id or message.type not in _KINDS or not self._may_concern(message):
            return
        try:
            user = await self._desk.users.get_message_author(message)
        except UserError as error:
            await self._show_error(
                _IncomingMessage(message, _build_unknown_user(message), build_channel(message.channel, ""), True, None),
                error,
            )
            return
        channel = await self._fetch_channel(message)
        heard = _IncomingMessage(
            message,
            user,
            build_channel(channel, user.workspace),
            self._mentions_bot(message),
            _get_replied_message(message),
        )
        try:
            where = await self._find_conversation(heard, channel)
            if where is not None:
                await self._answer(heard, where)
        except UserError as error:
            await self._show_error(heard, error)

    def _may_concern(self, message: discord.Message) -> bool:
        """By what is known without a look-up: most messages of a server end here."""
        if message.guild is None or self._mentions_bot(message) or self._replies_to_bot(message):
            return True
        is_plain_channel = isinstance(message.channel, discord.abc.GuildChannel)
        return not is_plain_channel and bool(message.content or message.attachments)

    def _mentions_bot(self, message: discord.Message) -> bool:
        """By name, or by the role that a server gives its bots."""
        me = self._client.user
        role = message.guild.self_role if message.guild else None
        is_named = me is not None and any(person.id == me.id for person in message.mentions)
        return is_named or (role is not None and role in message.role_mentions)

    def _replies_to_bot(self, message: discord.Message) -> bool:
        answered = _get_replied_message(message)
        return answered is not None and self._client.user is not None and answered.author.id == self._client.user.id

    def _is_remark_on_picture(self, heard: _IncomingMessage) -> bool:
        """Whether somebody says something below a picture of ours: to people, unless our name is in the words.

        A reply notifies whom it replies to, so its list of mentions has our name in any case.
        """
        answered, content = heard.replied_to, heard.message.content
        is_picture = answered is not None and bool(answered.flags.value & IS_LAYOUT)
        return is_picture and self._replies_to_bot(heard.message) and self._get_text(heard.message) == content.strip()

    async def _fetch_channel(self, message: discord.Message) -> Any:
        """The channel, looked up where discord.py does not know it: a thread that comes back from the archive."""
        if isinstance(message.channel, discord.PartialMessageable) and message.guild is not None:
            return await self._client.fetch_channel(message.channel.id)
        return message.channel

    async def _find_conversation(self, heard: _IncomingMessage, channel: Any) -> Channel | None:
        """The conversation that this belongs to; None when it is not for us."""
        if heard.is_direct:
            return heard.here
        settings = await self._desk.dispatcher.services.moderation.get_settings(NAME, heard.user.workspace)
        if heard.here.thread:
            return await self._find_thread_conversation(heard, settings)
        if self._replies_to_bot(heard.message) and not self._is_remark_on_picture(heard):
            return await self._find_reply_conversation(heard)
        if not heard.is_mentioned or settings.mention == "off" or self._is_remark_on_picture(heard):
            return None
        await self._desk.dispatcher.services.moderation.admit(heard.user)
        return await self._begin_conversation(heard, channel, settings)

    async def _find_thread_conversation(self, heard: _IncomingMessage, settings: WorkspaceSettings) -> Channel | None:
        conversation = await self._desk.dispatcher.services.conversations.get_current(heard.here)
        if conversation is None:
            is_asked = self._replies_to_bot(heard.message) or (heard.is_mentioned and settings.mention != "off")
            return heard.here if is_asked and not self._is_remark_on_picture(heard) else None
        if may_continue_conversation(conversation, heard.user, settings.join):
            is_for_others = bool(heard.message.mentions) and not heard.is_mentioned
            return None if is_for_others else heard.here
        if heard.is_mentioned:
            raise UserError("Only the person who began this conversation may go on with it. Mention me elsewhere.")
        return None

    async def _find_reply_conversation(self, heard: _IncomingMessage) -> Channel:
        """What goes on in a channel goes on with the message it replies to: in its thread, or by more replies."""
        answered = heard.replied_to or heard.message
        async with self._database.read() as tx:
            job_id = await tx.messages.find_job(NAME, heard.here.id, str(answered.id))
        job = await self._desk.dispatcher.services.jobs.get(job_id) if job_id else None
        if job is not None and job.conversation and job.channel.thread:
            guild = heard.message.guild
            if job.channel.is_reply_chain or (guild and guild.get_thread(int(job.channel.thread))):
                return replace(heard.here, thread=job.channel.thread, is_reply_chain=job.channel.is_reply_chain)
        return replace(heard.here, thread=str(answered.id), is_reply_chain=True)

    async def _begin_conversation(self, heard: _IncomingMessage, channel: Any, settings: WorkspaceSettings) -> Channel:
        """A mention in a channel: in a thread of its own if there may be one."""
        message, services = heard.message, self._desk.dispatcher.services
        words = self._get_text(message)
        if parse_plain_text(words, services.menu).command != DEFAULT_COMMAND:
            return heard.here
        me = message.guild.me if message.guild else None
        may = me is not None and can_open_thread(channel, channel.permissions_for(me))
        is_wanted = settings.mention == "thread" and may and bool(words or self._list_files(heard))
        if is_wanted and await open_thread(self._desk.api, channel.id, str(message.id), words):
            return replace(heard.here, thread=str(message.id))
        return replace(heard.here, thread=str(message.id), is_reply_chain=True)

    async def _answer(self, heard: _IncomingMessage, where: Channel) -> None:
        message = heard.message
        invocation = await invocation_from_text(
            self._desk.dispatcher.services,
            heard.user,
            where,
            self._get_text(message),
            build_message_request_key(message.id),
            files=self._list_files(heard),
            earlier=await self._read_earlier_messages(heard),
        )
        reply = await self._desk.dispatcher.handle(invocation)
        if reply is not None:
            await self._show(heard, where, reply)

    def _get_text(self, message: discord.Message) -> str:
        """What was said, without our name in it."""
        me = self._client.user
        text = re.sub(rf"<@!?{me.id}>", "", message.content) if me else message.content
        role = message.guild.self_role if message.guild else None
        return (text.replace(role.mention, "") if role else text).strip()

    def _list_files(self, heard: _IncomingMessage) -> list[Attachment]:
        """Its own, else those of the message it replies to."""
        own = self._desk.files.list_attachments(heard.message)
        return own or (self._desk.files.list_attachments(heard.replied_to) if heard.replied_to else [])

    async def _read_earlier_messages(self, heard: _IncomingMessage) -> tuple[EarlierMessage, ...]:
        """What was said before: the message replied to, or the thread that we are called into."""
        answered = heard.replied_to
        if answered is not None and answered.content:
            return (self._build_said(answered),)
        if not (heard.here.thread and heard.is_mentioned) or heard.message.guild is None:
            return ()
        try:
            before = [one async for one in heard.message.channel.history(limit=_MOST_EARLIER, before=heard.message)]
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            return ()
        return tuple(self._build_said(one) for one in reversed(before) if one.content and one.type in _KINDS)

    def _build_said(self, message: discord.Message) -> EarlierMessage:
        is_ours = self._client.user is not None and message.author.id == self._client.user.id
        role, who = (TurnRole.ASSISTANT, "") if is_ours else (TurnRole.USER, f"{NAME}:{message.author.id}")
        return EarlierMessage(role, who, message.content, str(message.id))

    async def _show_error(self, heard: _IncomingMessage, error: UserError) -> None:
        await self._show(heard, heard.here, format_error(error))

    async def _show(self, heard: _IncomingMessage, where: Channel, reply: Reply) -> None:
        """A reply as an answer to the message. What is private goes to the person's direct messages."""
        if reply.is_private and reply.tone is not Tone.ERROR and not (heard.is_direct or reply.buttons):
            direct = await self._desk.platform.find_direct_channel(heard.user.workspace, heard.user.id)
            if direct is not None and await self._post(heard, direct, reply, "d"):
                return
            text = "I cannot write to you directly. Type the command with a slash: then only you see the answer."
            reply = Reply(text, tone=Tone.ERROR)
        await self._post(heard, where, reply, "m")

    async def _post(self, heard: _IncomingMessage, where: Channel, reply: Reply, kind: str) -> bool:
        key = build_message_request_key(heard.message.id) if kind == "m" else ""
        pages = MessageLayout(self._desk.platform.limits).lay_out(replace(reply, is_private=False))
        try:
            for n, page in enumerate(pages):
                nonce = f"{kind}{heard.message.id}:{n}"
                await self._desk.platform.post(Destination(heard.user, where, key, nonce), page.reply)
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("discord.answer_lost", extra={"channel": where.id, "reason": repr(error)})
            return False
        return True


def _get_replied_message(message: discord.Message) -> discord.Message | None:
    """The message that is replied to, as Discord sends it along."""
    found = message.reference.resolved if message.reference is not None else None
    return found if isinstance(found, discord.Message) else None


def _build_unknown_user(message: discord.Message) -> User:
    return User(NAME, "", str(message.author.id), message.author.display_name)
