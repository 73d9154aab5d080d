"""Answers chat messages: direct messages, mentions, replies to the bot, and messages in the bot's threads."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import discord

from bot.core.caches import RecentItems
from bot.core.errors import BadFile, UserError
from bot.core.file_types import MediaKind
from bot.core.invocations import PICTURE_ALONE, Attachment, EarlierMessage, TurnRole
from bot.core.people import Channel, User, format_author
from bot.core.platform import Destination
from bot.core.replies import Reply, Tone
from bot.dispatch.dispatcher import format_error
from bot.dispatch.parsing import is_request
from bot.dispatch.plain_text import (
    DEFAULT_COMMAND,
    guess_kinds,
    invocation_from_text,
    may_continue_conversation,
    parse_plain_text,
)
from bot.moderation.moderation import WorkspaceSettings
from bot.platforms.discord.channels import NAME, build_channel, build_message_request_key, can_open_thread
from bot.platforms.discord.errors import DELIVERY_ERRORS
from bot.platforms.discord.incoming import DiscordMessageReader, join_words, replace_mentions
from bot.platforms.discord.messages import HAS_COMPONENTS_V2
from bot.platforms.discord.replies import InteractionContext
from bot.platforms.discord.threads import open_thread
from bot.storage.database import Database
from bot.streaming.editor import lay_out_whole

log = logging.getLogger(__name__)

_MOST_REMEMBERED_MESSAGES = 10_000


@dataclass(frozen=True, slots=True)
class _IncomingMessage:
    """A message that may be for the bot, with the author as a user of the channel's workspace."""

    message: discord.Message
    user: User
    channel: Channel
    discord_channel: Any
    """discord.py's channel or thread, complete also for a thread that returned from the archive."""
    is_mention: bool
    replied_to: discord.Message | None
    """The message to which the author replies, if Discord sent that message along."""
    text: str
    """The typed words without mentions of the bot."""
    files: Sequence[Attachment]
    quoted_files: Sequence[Attachment]
    """The files of a forwarded message, of embeds, and of the message replied to."""

    @property
    def is_direct(self) -> bool:
        return self.message.guild is None


class DiscordChat:
    """Answers the messages that are for the bot and ignores all others."""

    def __init__(self, client: discord.Client, context: InteractionContext, database: Database) -> None:
        self._client = client
        self._context = context
        self._database = database
        self._reader = DiscordMessageReader(context.users, context.files)
        self._answered: RecentItems[int, None] = RecentItems(_MOST_REMEMBERED_MESSAGES)
        self._started_at = discord.utils.utcnow()

    async def handle_edit(self, message: discord.Message) -> None:
        """Answer a message of a server that an edit makes a mention of the bot, unless the message was answered."""
        # An older message may have been answered by an earlier process.
        is_recent = message.created_at >= self._started_at
        if is_recent and message.guild is not None and self._get_text(message) != message.content.strip():
            await self.handle_message(message)

    async def handle_message(self, message: discord.Message) -> None:
        """Answer a user's message if the message is for the bot."""
        # Without a look-up: most messages of a server end here.
        if not self._may_concern_bot(message):
            return
        try:
            user = await self._context.users.get_message_author(message)
        except UserError as error:
            author = User(NAME, "", str(message.author.id), message.author.display_name)
            await self._show_error(self._build_incoming(message, author, message.channel), error)
            return
        incoming = self._build_incoming(message, user, await self._fetch_channel(message))
        try:
            conversation = await self._find_conversation(incoming)
            if conversation is not None and self._answered.add_if_new(message.id, None):
                await self._answer(incoming, conversation)
        except UserError as error:
            await self._show_error(incoming, error)

    def _build_incoming(self, message: discord.Message, user: User, discord_channel: Any) -> _IncomingMessage:
        replied_to, shown_files = _get_replied_message(message), self._reader.list_files(message)
        return _IncomingMessage(
            message,
            user,
            build_channel(discord_channel, user.workspace),
            discord_channel,
            self._mentions_bot(message),
            replied_to,
            self._get_text(message),
            files=shown_files if message.attachments else (),
            quoted_files=shown_files or (self._reader.list_files(replied_to) if replied_to is not None else ()),
        )

    def _may_concern_bot(self, message: discord.Message) -> bool:
        if message.guild is None or self._mentions_bot(message) or self._replies_to_bot(message):
            return True
        # In threads any message may continue a conversation. A PartialMessageable may be an archived thread.
        is_plain_channel = isinstance(message.channel, discord.abc.GuildChannel)
        has_content = message.content or message.attachments or message.message_snapshots or message.embeds
        return not is_plain_channel and bool(has_content)

    def _mentions_bot(self, message: discord.Message) -> bool:
        """Whether the message mentions the bot or the role that Discord creates for the bot in each server."""
        me = self._client.user
        role = message.guild.self_role if message.guild else None
        is_mentioned = me is not None and any(user.id == me.id for user in message.mentions)
        return is_mentioned or (role is not None and role in message.role_mentions)

    def _replies_to_bot(self, message: discord.Message) -> bool:
        replied_to = _get_replied_message(message)
        me = self._client.user
        return replied_to is not None and me is not None and replied_to.author.id == me.id

    def _is_remark_on_result(self, incoming: _IncomingMessage) -> bool:
        """Whether a user comments on a made file of the bot: for other people, unless the text mentions the bot.

        Words that ask for a change of the picture are for the bot.

        A reply notifies the replied author, so `mentions` of such a message always has the bot.
        """
        replied_to, content = incoming.replied_to, incoming.message.content
        is_made = replied_to is not None and bool(replied_to.flags.value & HAS_COMPONENTS_V2 or replied_to.attachments)
        has_mention = incoming.text != content.strip()
        return is_made and self._replies_to_bot(incoming.message) and not (has_mention or is_request(content))

    async def _fetch_channel(self, message: discord.Message) -> Any:
        # discord.py drops archived threads from its cache and knows a returning thread by id alone.
        if isinstance(message.channel, discord.PartialMessageable) and message.guild is not None:
            return await self._client.fetch_channel(message.channel.id)
        return message.channel

    async def _find_conversation(self, incoming: _IncomingMessage) -> Channel | None:
        """Return the conversation of the message; None if the message is not for the bot."""
        if incoming.is_direct:
            return incoming.channel
        moderation = self._context.dispatcher.services.moderation
        settings = await moderation.get_settings(NAME, incoming.user.workspace)
        if incoming.channel.thread:
            return await self._find_thread_conversation(incoming, settings)
        if self._replies_to_bot(incoming.message) and not self._is_remark_on_result(incoming):
            return await self._find_reply_conversation(incoming)
        if not incoming.is_mention or settings.mention == "off" or self._is_remark_on_result(incoming):
            return None
        # Before a thread is opened: a server that is not allowed gets one sentence and no thread.
        await moderation.admit(incoming.user)
        return await self._begin_conversation(incoming, settings)

    async def _find_thread_conversation(
        self, incoming: _IncomingMessage, settings: WorkspaceSettings
    ) -> Channel | None:
        conversation = await self._context.dispatcher.services.conversations.get_current(incoming.channel)
        if conversation is None:
            is_mention = incoming.is_mention and settings.mention != "off"
            is_request = self._replies_to_bot(incoming.message) or is_mention
            return incoming.channel if is_request and not self._is_remark_on_result(incoming) else None
        if may_continue_conversation(conversation, incoming.user, settings.join):
            is_for_others = bool(incoming.message.mentions) and not incoming.is_mention
            return None if is_for_others else incoming.channel
        if incoming.is_mention:
            raise UserError("Only the person who began this conversation may go on with it. Mention me elsewhere.")
        return None

    async def _find_reply_conversation(self, incoming: _IncomingMessage) -> Channel:
        """Return the conversation of the replied message: its thread, its reply chain, or a new reply chain."""
        replied_to = incoming.replied_to or incoming.message
        job = await self._context.dispatcher.services.jobs.find_by_message(incoming.channel, str(replied_to.id))
        if job is not None and job.conversation and job.channel.thread:
            guild = incoming.message.guild
            thread, is_reply_chain = job.channel.thread, job.channel.is_reply_chain
            if is_reply_chain or (guild and guild.get_thread(int(thread))):
                return replace(incoming.channel, thread=thread, is_reply_chain=is_reply_chain)
        return replace(incoming.channel, thread=str(replied_to.id), is_reply_chain=True)

    async def _begin_conversation(self, incoming: _IncomingMessage, settings: WorkspaceSettings) -> Channel:
        """Return the place for a mention: the channel for commands, else a new thread or a reply chain."""
        message, services = incoming.message, self._context.dispatcher.services
        text, discord_channel, files = incoming.text, incoming.discord_channel, incoming.files or incoming.quoted_files
        if parse_plain_text(text, services.menu, given=guess_kinds(files)).command != DEFAULT_COMMAND:
            return incoming.channel
        me = message.guild.me if message.guild else None
        may_open = me is not None and can_open_thread(discord_channel, discord_channel.permissions_for(me))
        has_content = bool(text or files or (not message.content and join_words(message)))
        opens_thread = settings.mention == "thread" and may_open and has_content
        if opens_thread:
            title = replace_mentions(text, await self._reader.find_names(text, message), message.guild)
            opens_thread = await open_thread(self._context.api, discord_channel.id, str(message.id), title)
        if opens_thread:
            return replace(incoming.channel, thread=str(message.id))
        return replace(incoming.channel, thread=str(message.id), is_reply_chain=True)

    async def _answer(self, incoming: _IncomingMessage, conversation: Channel) -> None:
        if is_request(incoming.text) and not incoming.files:
            _check_replied(incoming.message)
        names, guild = await self._reader.find_names(incoming.text, incoming.message), incoming.message.guild
        invocation = await invocation_from_text(
            self._context.dispatcher.services,
            incoming.user,
            conversation,
            incoming.text,
            build_message_request_key(incoming.message.id),
            files=incoming.files,
            quoted_words="" if incoming.message.content else await self._reader.read_words(incoming.message),
            quoted_files=incoming.quoted_files,
            earlier=await self._read_earlier_messages(incoming, conversation),
            name_mentions=lambda words: replace_mentions(words, names, guild),
            find_file=lambda kinds: self._find_file(incoming, kinds),
            read_replied=lambda: self._read_replied_words(incoming),
            find_replied_job=lambda: self._find_replied_job(incoming),
        )
        if invocation.command == DEFAULT_COMMAND and (words := await self._read_unknown_words(incoming, conversation)):
            message = f"{invocation.options['message']}\n\n{words}"
            invocation = replace(invocation, options={**invocation.options, "message": message})
        reply = await self._context.dispatcher.handle(invocation)
        if reply is not None:
            await self._show(incoming, conversation, reply)

    async def _find_replied_job(self, incoming: _IncomingMessage) -> str:
        if incoming.replied_to is None:
            return ""
        jobs = self._context.dispatcher.services.jobs
        job = await jobs.find_by_message(incoming.channel, str(incoming.replied_to.id))
        return job.id if job is not None else ""

    async def _find_file(self, incoming: _IncomingMessage, kinds: Sequence[MediaKind]) -> Attachment | None:
        """Return the last file of some kinds in the channel or thread. Raise `BadFile` for a reply to nothing."""
        _check_replied(incoming.message)
        return await self._reader.find_last_file(incoming.discord_channel, kinds, incoming.message)

    async def _read_unknown_words(self, incoming: _IncomingMessage, conversation: Channel) -> str:
        """Return the words of the message replied to if the conversation goes on and lacks that message."""
        replied_to, services = incoming.replied_to, self._context.dispatcher.services
        current = await services.conversations.get_current(conversation)
        if replied_to is None or current is None:
            return ""
        async with self._database.read() as tx:
            question = await tx.jobs.get_by_request_key(build_message_request_key(replied_to.id))
        job = question or await services.jobs.find_by_message(incoming.channel, str(replied_to.id))
        if job is not None and job.conversation == current.id:
            return ""
        words = await self._read_replied_words(incoming)
        return f"In reply to {replied_to.author.display_name}: {words}" if words else ""

    async def _read_replied_words(self, incoming: _IncomingMessage) -> str:
        replied_to, me = incoming.replied_to, self._client.user
        if replied_to is None:
            return ""
        return await self._reader.read_words(replied_to, is_own=me is not None and replied_to.author.id == me.id)

    def _get_text(self, message: discord.Message) -> str:
        """Return the text without mentions of the bot."""
        me = self._client.user
        text = re.sub(rf"<@!?{me.id}>", "", message.content) if me else message.content
        role = message.guild.self_role if message.guild else None
        return (text.replace(role.mention, "") if role else text).strip()

    async def _read_earlier_messages(
        self, incoming: _IncomingMessage, conversation: Channel
    ) -> tuple[EarlierMessage, ...]:
        """Return the replied message and, where the bot is mentioned in a thread, the thread's last messages."""
        if await self._context.dispatcher.services.conversations.get_current(conversation) is not None:
            return ()
        replied_to, messages = incoming.replied_to, []
        if incoming.channel.thread and incoming.is_mention and incoming.message.guild is not None:
            messages = await self._reader.list_earlier(incoming.discord_channel, incoming.message)
        if replied_to is not None and replied_to.id not in [message.id for message in messages]:
            messages.insert(0, replied_to)
        earlier = [await self._build_earlier_message(message) for message in messages]
        return tuple(message for message in earlier if message is not None)

    async def _build_earlier_message(self, message: discord.Message) -> EarlierMessage | None:
        """Return a message with the author's name before the words; None without words and pictures."""
        is_own = self._client.user is not None and message.author.id == self._client.user.id
        pictures = tuple(file for file in self._reader.list_files(message) if file.kind is MediaKind.PICTURE)
        words = await self._reader.read_words(message, is_own=is_own) or (PICTURE_ALONE if pictures else "")
        if not words:
            return None
        if is_own:
            return EarlierMessage(TurnRole.ASSISTANT, "", words, str(message.id), pictures)
        text = f"{message.author.display_name}: {words}"
        return EarlierMessage(
            TurnRole.USER, format_author(NAME, str(message.author.id)), text, str(message.id), pictures
        )

    async def _show_error(self, incoming: _IncomingMessage, error: UserError) -> None:
        await self._show(incoming, incoming.channel, format_error(error))

    async def _show(self, incoming: _IncomingMessage, channel: Channel, reply: Reply) -> None:
        """Answer the message. A private reply goes to the author's direct messages."""
        # Errors are short and hold no secrets; buttons must stay where the dispatcher expects their press.
        is_secret = reply.is_private and reply.tone is not Tone.ERROR and not reply.buttons
        if is_secret and not incoming.is_direct:
            direct = await self._context.platform.find_direct_channel(incoming.user.workspace, incoming.user.id)
            if direct is not None and await self._post(incoming, direct, reply, "d"):
                return
            text = "I cannot write to you directly. Type the command with a slash: then only you see the answer."
            reply = Reply(text, tone=Tone.ERROR)
        request_key = build_message_request_key(incoming.message.id)
        await self._post(incoming, channel, reply, "m", request_key)

    async def _post(
        self, incoming: _IncomingMessage, channel: Channel, reply: Reply, kind: str, request_key: str = ""
    ) -> bool:
        """Post a reply; return whether Discord took the reply. `kind` tells the nonces of two places apart."""
        platform = self._context.platform
        parts = await lay_out_whole(replace(reply, is_private=False), platform.limits)
        try:
            for n, part in enumerate(parts):
                nonce = f"{kind}{incoming.message.id}:{n}"
                await platform.post(Destination(incoming.user, channel, request_key, nonce), part)
        except DELIVERY_ERRORS as error:
            log.warning("discord.answer_lost", extra={"channel": channel.id, "reason": repr(error)})
            return False
        return True


def _check_replied(message: discord.Message) -> None:
    """Raise `BadFile` for a reply to a deleted message."""
    if message.reference is not None and isinstance(message.reference.resolved, discord.DeletedReferencedMessage):
        # Another picture than the one meant would cost money and surprise.
        raise BadFile("The message that you reply to is deleted. Send the picture or recording again.")


def _get_replied_message(message: discord.Message) -> discord.Message | None:
    resolved = message.reference.resolved if message.reference is not None else None
    return resolved if isinstance(resolved, discord.Message) else None
