"""Reads messages of Discord: the words with names for ids, forwarded messages, embeds, and the last picture."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import discord

from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment
from bot.core.time_format import format_moment
from bot.platforms.discord.errors import REQUEST_ERRORS
from bot.platforms.discord.uploads import DiscordFiles
from bot.platforms.discord.users import DiscordUsers

ReadableMessage = discord.Message | discord.MessageSnapshot

MAX_EARLIER_MESSAGES = 20
_MAX_SEARCHED_MESSAGES = 30
# All other types are system messages, such as "pinned a message".
USER_MESSAGE_TYPES = (discord.MessageType.default, discord.MessageType.reply)
_COMMAND_ANSWER_TYPES = (discord.MessageType.chat_input_command, discord.MessageType.context_menu_command)

_NOTE_LINE = re.compile(r"^-# .*$", re.MULTILINE)
_USER = re.compile(r"<@!?(\d{1,21})>")
_ROLE = re.compile(r"<@&(\d{1,21})>")
_CHANNEL = re.compile(r"<#(\d{1,21})>")
_EMOJI = re.compile(r"<a?(:\w{1,40}:)\d{1,21}>")
_COMMAND = re.compile(r"<(/[^<>:]{1,100}):\d{1,21}>")
_TIME = re.compile(r"<t:(-?\d{1,13})(?::[tTdDfFR])?>")


class DiscordMessageReader:
    """Reads the words and pictures of messages, also the earlier messages of a channel or thread."""

    def __init__(self, users: DiscordUsers, files: DiscordFiles) -> None:
        self._users = users
        self._files = files

    async def find_names(self, text: str, message: discord.Message) -> dict[int, str]:
        """Return the names, by id, of the people in a text of a message."""
        people = {user.id: user.display_name for user in (*message.mentions, message.author)}
        return await self._users.find_names(message.guild, find_user_ids(text), people)

    async def read_words(self, message: discord.Message, *, is_own: bool = False) -> str:
        """Return everything that a message says, with names for ids; empty for a message without words.

        Of the bot's own messages the notes with model and price are left out.
        """
        text = _NOTE_LINE.sub("", join_words(message)).strip() if is_own else join_words(message)
        return replace_mentions(text, await self.find_names(text, message), message.guild)

    def list_files(self, message: discord.Message) -> list[Attachment]:
        """Return the files of a message: attached, forwarded, and pictures of components and embeds."""
        parts: list[ReadableMessage] = [message, *message.message_snapshots]
        return [file for part in parts for file in self._files.list_attachments(part)]

    async def list_earlier(self, channel: Any, before: discord.Message) -> list[discord.Message]:
        """Return the last messages of a thread before a message, the message at the thread's head included."""
        try:
            history = channel.history(limit=MAX_EARLIER_MESSAGES, before=before)
            messages = [_resolve_starter(message) async for message in history]
        except REQUEST_ERRORS:  # without the permission to read the history
            return []
        messages.reverse()
        if len(messages) >= MAX_EARLIER_MESSAGES and (head := await _fetch_head(channel)) is not None:
            messages.insert(0, head)
        return [message for message in messages if message.type in (*USER_MESSAGE_TYPES, *_COMMAND_ANSWER_TYPES)]

    async def find_last_file(
        self, channel: Any, kinds: Sequence[MediaKind], before: discord.abc.Snowflake | None = None
    ) -> Attachment | None:
        """Return the last file of some kinds in a channel or thread, of people or of the bot; the head counts."""
        try:
            async for message in channel.history(limit=_MAX_SEARCHED_MESSAGES, before=before):
                if (file := self._find_file(_resolve_starter(message), kinds)) is not None:
                    return file
        except REQUEST_ERRORS:  # without the permission to read the history
            return None
        head = await _fetch_head(channel)
        return self._find_file(head, kinds) if head is not None else None

    def _find_file(self, message: discord.Message, kinds: Sequence[MediaKind]) -> Attachment | None:
        return next((file for file in self.list_files(message) if file.kind in kinds), None)


def _resolve_starter(message: discord.Message) -> discord.Message:
    """Return the message at a thread's head for the system message that stands for the head in the thread."""
    is_starter = message.type is discord.MessageType.thread_starter_message and message.reference is not None
    resolved = message.reference.resolved if is_starter and message.reference else None
    return resolved if isinstance(resolved, discord.Message) else message


async def _fetch_head(channel: Any) -> discord.Message | None:
    """Return the message on which a thread was opened, None for another channel and for a deleted message."""
    if not isinstance(channel, discord.Thread) or not isinstance(channel.parent, discord.TextChannel):
        return None
    try:
        # A thread on a message has the message's id.
        return await channel.parent.fetch_message(channel.id)
    except REQUEST_ERRORS:
        return None


def join_words(message: discord.Message) -> str:
    """Return the text of a message, of its components, embeds and poll, and of the messages that it forwards."""
    forwarded = [words for snapshot in message.message_snapshots if (words := _join_own_words(snapshot))]
    return "\n\n".join([part for part in (_join_own_words(message),) if part] + [f"Forwarded: {x}" for x in forwarded])


def _join_own_words(message: ReadableMessage) -> str:
    # A preview of a link repeats the page's title: only the embeds of apps say more than the text.
    embeds = [embed for embed in message.embeds if embed.type == "rich" or not message.content]
    parts = [message.content, *_read_components(message.components), *map(_read_embed, embeds)]
    # A forwarded message has no poll: Discord leaves the poll out.
    if isinstance(message, discord.Message) and message.poll is not None:
        parts.append(_read_poll(message.poll))
    return "\n".join(part for part in parts if part)


def _read_embed(embed: discord.Embed) -> str:
    fields = [f"{field.name}: {field.value}" for field in embed.fields]
    parts = [embed.author.name, embed.title, embed.description, *fields, embed.footer.text]
    return "\n".join(part for part in parts if part)


def _read_poll(poll: discord.Poll) -> str:
    answers = [f"- {answer.text} ({answer.vote_count})" for answer in poll.answers]
    return "\n".join([f"Poll: {poll.question}", *answers])


def _read_components(components: Sequence[Any]) -> Iterator[str]:
    for component in components:
        if isinstance(component, discord.TextDisplay):
            yield component.content
        elif isinstance(component, discord.SectionComponent | discord.Container):
            yield from _read_components(component.children)
        elif isinstance(component, discord.MediaGalleryComponent):
            yield from (item.description for item in component.items if item.description)


def find_user_ids(text: str) -> list[int]:
    """Return the ids of the people that a text mentions, each once."""
    return list(dict.fromkeys(int(match[1]) for match in _USER.finditer(text)))


def replace_mentions(text: str, names: Mapping[int, str], guild: discord.Guild | None) -> str:
    """Return the text with words for Discord's tokens: people, roles, channels, emoji, commands and times."""

    def name_role(match: re.Match[str]) -> str:
        role = guild.get_role(int(match[1])) if guild is not None else None
        return f"@{role.name}" if role is not None else "@a role"

    def name_channel(match: re.Match[str]) -> str:
        channel = guild.get_channel_or_thread(int(match[1])) if guild is not None else None
        return f"#{channel.name}" if channel is not None else "#another-channel"

    if "<" not in text:
        return text
    text = _USER.sub(lambda match: f"@{names.get(int(match[1]), 'somebody')}", text)
    text = _CHANNEL.sub(name_channel, _ROLE.sub(name_role, text))
    text = _COMMAND.sub(r"\1", _EMOJI.sub(r"\1", text))
    return _TIME.sub(_format_time, text)


def _format_time(match: re.Match[str]) -> str:
    try:
        return format_moment(datetime.fromtimestamp(int(match[1]), UTC), "UTC")
    except (ValueError, OverflowError, OSError):  # a year beyond the calendar
        return match[0]
