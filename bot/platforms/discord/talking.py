"""What people say: to the bot directly, by its name, in reply to it, or in a thread where it is talking already."""

import logging
import re
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import discord

from bot.core.conversations import Role
from bot.core.errors import UserError
from bot.core.invocations import Attachment, Said
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.replies import Reply, Tone
from bot.dispatch.dispatcher import sentence
from bot.dispatch.speaking import PLAIN_WORDS_GO_TO, call_of, may_go_on, spoken
from bot.moderation.settings import WorkspaceSettings
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.messages import IS_LAYOUT
from bot.platforms.discord.places import NAME, by_replies, channel_of, is_by_replies
from bot.platforms.discord.platform import said_key
from bot.platforms.discord.threads import open_thread, takes_threads
from bot.storage.database import Database
from bot.streaming.layout import Layout

log = logging.getLogger(__name__)

_MOST_EARLIER = 20
_KINDS = (discord.MessageType.default, discord.MessageType.reply)


@dataclass(frozen=True, slots=True)
class _Heard:
    """A message that may be for us."""

    message: discord.Message
    user: User
    here: Channel
    is_named: bool
    """Whether the bot was mentioned."""
    answered: discord.Message | None
    """The message it replies to, where that could be read."""

    @property
    def is_direct(self) -> bool:
        return self.message.guild is None


class Talking:
    """Hears messages and answers those that are for the bot."""

    def __init__(self, client: discord.Client, desk: Desk, database: Database) -> None:
        self._client = client
        self._desk = desk
        self._database = database

    async def hear(self, message: discord.Message) -> None:
        """Answer what is for the bot; everything else is nobody's business."""
        if message.author.bot or message.webhook_id or message.type not in _KINDS or not self._may_concern(message):
            return
        try:
            user = await self._desk.people.of_message(message)
        except UserError as error:
            await self._tell(_Heard(message, _nobody(message), channel_of(message.channel, ""), True, None), error)
            return
        channel = await self._channel(message)
        heard = _Heard(message, user, channel_of(channel, user.workspace), self._names_us(message), _answered(message))
        try:
            where = await self._where(heard, channel)
            if where is not None:
                await self._answer(heard, where)
        except UserError as error:
            await self._tell(heard, error)

    def _may_concern(self, message: discord.Message) -> bool:
        """By what is known without a look-up: most messages of a server end here."""
        if message.guild is None or self._names_us(message) or self._answers_us(message):
            return True
        is_plain_channel = isinstance(message.channel, discord.abc.GuildChannel)
        return not is_plain_channel and bool(message.content or message.attachments)

    def _names_us(self, message: discord.Message) -> bool:
        """By name, or by the role that a server gives its bots."""
        me = self._client.user
        role = message.guild.self_role if message.guild else None
        is_named = me is not None and any(person.id == me.id for person in message.mentions)
        return is_named or (role is not None and role in message.role_mentions)

    def _answers_us(self, message: discord.Message) -> bool:
        answered = _answered(message)
        return answered is not None and self._client.user is not None and answered.author.id == self._client.user.id

    def _remarks_on_picture(self, heard: _Heard) -> bool:
        """Whether somebody says something below a picture of ours: to people, unless our name is in the words.

        A reply notifies whom it replies to, so its list of mentions has our name in any case.
        """
        answered, content = heard.answered, heard.message.content
        is_picture = answered is not None and bool(answered.flags.value & IS_LAYOUT)
        return is_picture and self._answers_us(heard.message) and self._words(heard.message) == content.strip()

    async def _channel(self, message: discord.Message) -> Any:
        """The channel, looked up where discord.py does not know it: a thread that comes back from the archive."""
        if isinstance(message.channel, discord.PartialMessageable) and message.guild is not None:
            return await self._client.fetch_channel(message.channel.id)
        return message.channel

    async def _where(self, heard: _Heard, channel: Any) -> Channel | None:
        """The conversation that this belongs to; None when it is not for us."""
        if heard.is_direct:
            return heard.here
        settings = await self._desk.dispatcher.services.moderation.settings_of(NAME, heard.user.workspace)
        if heard.here.thread:
            return await self._in_thread(heard, settings)
        if self._answers_us(heard.message) and not self._remarks_on_picture(heard):
            return await self._by_reply(heard)
        if not heard.is_named or settings.mention == "off" or self._remarks_on_picture(heard):
            return None
        await self._desk.dispatcher.services.moderation.admit(heard.user)
        return await self._beginning(heard, channel, settings)

    async def _in_thread(self, heard: _Heard, settings: WorkspaceSettings) -> Channel | None:
        conversation = await self._desk.dispatcher.services.conversations.current(heard.here)
        if conversation is None:
            is_asked = self._answers_us(heard.message) or (heard.is_named and settings.mention != "off")
            return heard.here if is_asked and not self._remarks_on_picture(heard) else None
        if may_go_on(conversation, heard.user, settings.join):
            is_for_others = bool(heard.message.mentions) and not heard.is_named
            return None if is_for_others else heard.here
        if heard.is_named:
            raise UserError("Only the person who began this conversation may go on with it. Mention me elsewhere.")
        return None

    async def _by_reply(self, heard: _Heard) -> Channel:
        """What goes on in a channel goes on with the message it replies to: in its thread, or by more replies."""
        answered = heard.answered or heard.message
        async with self._database.read() as tx:
            job_id = await tx.messages.find_job(NAME, heard.here.id, str(answered.id))
        job = await self._desk.dispatcher.services.jobs.get(job_id) if job_id else None
        if job is not None and job.conversation and job.channel.thread:
            guild = heard.message.guild
            if is_by_replies(job.channel.thread) or (guild and guild.get_thread(int(job.channel.thread))):
                return replace(heard.here, thread=job.channel.thread)
        return replace(heard.here, thread=by_replies(answered.id))

    async def _beginning(self, heard: _Heard, channel: Any, settings: WorkspaceSettings) -> Channel:
        """A mention in a channel: in a thread of its own if there may be one."""
        message, services = heard.message, self._desk.dispatcher.services
        words = self._words(message)
        if call_of(words, services.menu).command != PLAIN_WORDS_GO_TO:
            return heard.here
        me = message.guild.me if message.guild else None
        may = me is not None and takes_threads(channel, channel.permissions_for(me))
        is_wanted = settings.mention == "thread" and may and bool(words or self._files(heard))
        if is_wanted and await open_thread(self._desk.sender, channel.id, str(message.id), words):
            return replace(heard.here, thread=str(message.id))
        return replace(heard.here, thread=by_replies(message.id))

    async def _answer(self, heard: _Heard, where: Channel) -> None:
        message = heard.message
        invocation = await spoken(
            self._desk.dispatcher.services,
            heard.user,
            where,
            self._words(message),
            said_key(message.id),
            files=self._files(heard),
            earlier=await self._earlier(heard),
        )
        reply = await self._desk.dispatcher.handle(invocation)
        if reply is not None:
            await self._show(heard, where, reply)

    def _words(self, message: discord.Message) -> str:
        """What was said, without our name in it."""
        me = self._client.user
        text = re.sub(rf"<@!?{me.id}>", "", message.content) if me else message.content
        role = message.guild.self_role if message.guild else None
        return (text.replace(role.mention, "") if role else text).strip()

    def _files(self, heard: _Heard) -> list[Attachment]:
        """Its own, else those of the message it replies to."""
        own = self._desk.files.of_message(heard.message)
        return own or (self._desk.files.of_message(heard.answered) if heard.answered else [])

    async def _earlier(self, heard: _Heard) -> tuple[Said, ...]:
        """What was said before: the message replied to, or the thread that we are called into."""
        answered = heard.answered
        if answered is not None and answered.content:
            return (self._said(answered),)
        if not (heard.here.thread and heard.is_named) or heard.message.guild is None:
            return ()
        try:
            before = [one async for one in heard.message.channel.history(limit=_MOST_EARLIER, before=heard.message)]
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            return ()
        return tuple(self._said(one) for one in reversed(before) if one.content and one.type in _KINDS)

    def _said(self, message: discord.Message) -> Said:
        is_ours = self._client.user is not None and message.author.id == self._client.user.id
        role, who = (Role.ASSISTANT, "") if is_ours else (Role.USER, f"{NAME}:{message.author.id}")
        return Said(role, who, message.content, str(message.id))

    async def _tell(self, heard: _Heard, error: UserError) -> None:
        await self._show(heard, heard.here, sentence(error))

    async def _show(self, heard: _Heard, where: Channel, reply: Reply) -> None:
        """A reply as an answer to the message. What is private goes to the person's direct messages."""
        if reply.is_private and reply.tone is not Tone.ERROR and not (heard.is_direct or reply.buttons):
            direct = await self._desk.platform.direct(heard.user.workspace, heard.user.id)
            if direct is not None and await self._post(heard, direct, reply, "d"):
                return
            text = "I cannot write to you directly. Type the command with a slash: then only you see the answer."
            reply = Reply(text, tone=Tone.ERROR)
        await self._post(heard, where, reply, "m")

    async def _post(self, heard: _Heard, where: Channel, reply: Reply, kind: str) -> bool:
        key = said_key(heard.message.id) if kind == "m" else ""
        pages = Layout(self._desk.platform.limits).pages(replace(reply, is_private=False))
        try:
            for n, page in enumerate(pages):
                nonce = f"{kind}{heard.message.id}:{n}"
                await self._desk.platform.post(Destination(heard.user, where, key, nonce), page.reply)
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("discord.answer_lost", extra={"channel": where.id, "reason": repr(error)})
            return False
        return True


def _answered(message: discord.Message) -> discord.Message | None:
    """The message that is replied to, as Discord sends it along."""
    found = message.reference.resolved if message.reference is not None else None
    return found if isinstance(found, discord.Message) else None


def _nobody(message: discord.Message) -> User:
    return User(NAME, "", str(message.author.id), message.author.display_name)
