"""Posts and edits the messages of jobs on Discord: by the interaction's token while it lives, then as the bot."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import discord

from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.file_types import FILE_TYPES
from bot.core.people import Channel
from bot.core.platform import Destination, MessageLimits, MessageLost, Pacer
from bot.core.replies import MessageRef, Reply, Tone
from bot.media.media import Media
from bot.media.recordings import read_voice
from bot.moderation.moderation import Moderation
from bot.platforms.discord.channels import NAME, USER_INSTALLS, get_discord_channel_id, parse_message_request_key
from bot.platforms.discord.discord_py_internals import Payload
from bot.platforms.discord.errors import (
    CANNOT_READ_HISTORY,
    DELIVERY_ERRORS,
    MISSING_PERMISSIONS,
    REQUEST_ERRORS,
    REQUEST_TOO_LARGE,
    TOKEN_EXPIRED,
    UNKNOWN_WEBHOOK,
    get_error_code,
)
from bot.platforms.discord.messages import (
    EPHEMERAL,
    HAS_COMPONENTS_V2,
    LONGEST_TEXT,
    add_ask_button,
    add_show_button,
    has_components,
    render_payload,
    render_voice_payload,
)
from bot.platforms.discord.pacing import DiscordEditLimits, DiscordPacer
from bot.platforms.discord.responses import InteractionResponder
from bot.platforms.discord.rest_api import DiscordRestApi
from bot.platforms.discord.threads import DiscordThreads
from bot.platforms.discord.uploads import (
    DEFAULT_LIMIT_BYTES,
    DiscordUpload,
    describe_uploads,
    prepare_uploads,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

# A token lives 15 minutes. The bot edits public messages with its own permissions from minute 14 on: an edit that
# waits for a rate limit must not meet a dead token.
SWITCH_BEFORE_END = timedelta(seconds=60)
# From here on a running job's message that only the token reaches gets a button that shows the job again.
OFFER_SHOW_BEFORE_END = timedelta(seconds=150)
# Such a message is edited almost to the end; the margin covers clock differences and travel time.
STOP_BEFORE_END = timedelta(seconds=3)

_LONGEST_NONCE = 25
_MOST_REMEMBERED_MESSAGES = 4096
_SMALLEST_LIMIT_BYTES = 1_000_000
_CONTENT_TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class _PreparedReply:
    """A reply ready to send: `reply` without withheld pictures, its JSON, and its files."""

    reply: Reply
    payload: Payload
    uploads: Sequence[DiscordUpload] = ()


class DiscordPlatform:
    """Implements `core.platform.Platform`. `media` keeps the pictures."""

    name = NAME
    limits = MessageLimits(max_length=LONGEST_TEXT, has_spoilers=True, shows_previews=True, voice_mime="audio/ogg")

    def __init__(
        self,
        client: discord.Client,
        api: DiscordRestApi,
        responder: InteractionResponder,
        threads: DiscordThreads,
        edit_limits: DiscordEditLimits,
        moderation: Moderation,
        media: Media,
        clock: Clock,
    ) -> None:
        self._client = client
        self._api = api
        self._responder = responder
        self._threads = threads
        self._edit_limits = edit_limits
        self._moderation = moderation
        self._media = media
        self._clock = clock
        # An edit that changes nothing would cost a slot of the bucket.
        self._fingerprints: RecentItems[str, bytes] = RecentItems(_MOST_REMEMBERED_MESSAGES)
        self._redirects: RecentItems[str, MessageRef] = RecentItems(_MOST_REMEMBERED_MESSAGES)
        self._private_threads: RecentItems[int, bool] = RecentItems(_MOST_REMEMBERED_MESSAGES)

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Answer the interaction, edit the placeholder, or create a message. Raise `MessageLost` if nothing can be
        posted there.
        """
        posted = await self._post(destination, reply)
        if destination.channel.begins_with(destination.request_key):
            self._threads.begin(destination, posted)
        return posted

    async def _post(self, destination: Destination, reply: Reply) -> MessageRef:
        if reply.is_voice:
            return await self._post_voice(destination, reply)
        placeholder = destination.placeholder
        if placeholder is not None and placeholder.is_unanswered:
            given = await self.answer(placeholder, destination.request_key, reply, is_private=destination.is_private)
            if given is None:
                return await self._post_instead(destination, placeholder, reply)
            placeholder = given
        if placeholder is not None:
            try:
                await self._edit(placeholder, reply)
            except MessageLost:
                if _is_reachable_by_token_only(placeholder, reply) or destination.is_private:
                    raise
            except REQUEST_ERRORS as error:
                # The placeholder exists and announces an answer: the next edit tries again.
                log.warning("discord.placeholder_failed", extra={"reason": repr(error)})
                return placeholder
            else:
                return placeholder
        if (previous := destination.previous_part) is not None:
            return await self._post_after(destination, previous, reply)
        if destination.is_private:
            raise MessageLost("What only you may see can be shown as the answer to a command only.")
        return await self._create(destination, get_discord_channel_id(destination.channel), reply)

    async def answer(
        self, placeholder: MessageRef, request_key: str, reply: Reply, *, is_private: bool
    ) -> MessageRef | None:
        """Answer an interaction with a reply; return the message's address, or None if no response can arrive.

        The message may show something else, after a deferral or a crash: an edit follows, which sends only a change.
        Raise `MessageLost` if another process answers the interaction.
        """
        prepared = await self._prepare(placeholder, replace(reply, is_private=is_private or reply.is_private))
        payload = _add_private_flag(prepared, prepared.reply)
        given = await self._responder.answer(placeholder, request_key, payload)
        if given is None:
            return None
        ref = replace(placeholder, id=given.message_id)
        if given.is_shown:
            self._fingerprints[ref.id] = _compute_fingerprint(prepared)
        return ref

    async def _post_instead(self, destination: Destination, placeholder: MessageRef, reply: Reply) -> MessageRef:
        """Post an ordinary message, since no response reached the interaction.

        Where only a response can be shown, return the unanswered placeholder: the result waits for `/show`.
        """
        log.warning("discord.answered_by_message", extra={"request": destination.request_key})
        if destination.is_private or placeholder.workspace == USER_INSTALLS:
            return placeholder
        try:
            return await self._create(destination, get_discord_channel_id(destination.channel), reply)
        except MessageLost as error:
            log.warning("discord.answer_lost", extra={"request": destination.request_key, "reason": str(error)})
            return placeholder

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Edit a message. Return the new address if the user asked for the job in another message."""
        redirected = self._redirects.get(message.id)
        await self._edit(redirected or message, reply)
        return redirected

    async def delete(self, message: MessageRef) -> None:
        """Delete a message for all. An ephemeral message with a dead token stays: nothing reaches the message."""
        if message.is_unanswered:
            return
        if self.get_usable_token(message):
            await self._api.delete_response(message)
        elif message.workspace != USER_INSTALLS:
            await self._api.delete_message(get_discord_channel_id(message), message.id)

    def pacer(self, message: MessageRef) -> Pacer:
        def get_token(message: MessageRef) -> str:
            return self.get_usable_token(self._redirects.get(message.id, message))

        return DiscordPacer(self._edit_limits, message, get_token)

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Return the direct messages of a user; None if Discord refuses."""
        if not user.isdecimal():
            return None
        try:
            channel = await self._api.open_direct_channel(int(user))
        except DELIVERY_ERRORS as error:
            log.info("discord.no_direct_channel", extra={"user": user, "reason": repr(error)})
            return None
        return Channel(NAME, workspace, str(channel["id"]))

    # For messages of interactions without a job.

    def is_direct_channel(self, channel: Channel) -> bool:
        """Return whether no server of the bot has the channel: Discord tells the bot all channels of its servers."""
        return not isinstance(self._client.get_channel(int(channel.id)), discord.abc.GuildChannel)

    async def is_private_thread(self, channel: Channel) -> bool:
        """Return whether a thread is private. A thread that Discord does not show to the bot counts as private."""
        if not channel.thread or channel.is_reply_chain:
            return False
        thread = int(channel.thread)
        if (is_private := self._private_threads.get(thread)) is not None:
            return is_private
        # discord.py drops archived threads from its cache.
        if isinstance(cached := self._client.get_channel(thread), discord.Thread):
            return cached.is_private()
        try:
            found = await self._api.get_channel(thread)
        except DELIVERY_ERRORS as error:
            log.info("discord.thread_unknown", extra={"place": thread, "reason": repr(error)})
            return True
        # A thread never changes between public and private.
        self._private_threads[thread] = found.get("type") == discord.ChannelType.private_thread.value
        return self._private_threads[thread]

    def redirect(self, message_id: str, target: MessageRef) -> None:
        """Send later edits of a message to another message, in which the user asked for the job."""
        self._redirects[message_id] = target

    def remember_address(self, message: MessageRef) -> None:
        """Remember the token of a private message: a press on the message names only its id."""
        self.redirect(message.id, message)

    async def edit_response(self, message: MessageRef, reply: Reply, *, is_private: bool) -> None:
        """Show a reply as an interaction's first message."""
        await self._edit(message, replace(reply, is_private=is_private))

    async def send_followup(self, message: MessageRef, reply: Reply) -> MessageRef:
        """Send a further message of the same interaction, ephemeral if the reply is private."""
        prepared = await self._prepare(message, reply)
        created = await self._send_shrinking(
            lambda it: self._api.create_followup(message.token, _add_private_flag(it, reply), it.uploads), prepared
        )
        return replace(message, id=str(created["id"]), is_original_response=False)

    async def _edit(self, message: MessageRef, reply: Reply) -> None:
        if message.is_unanswered:
            raise MessageLost("Discord took no answer to that command in time, and I cannot post there.")
        prepared = await self._prepare(message, self._add_show_button_in_time(message, reply))
        fingerprint = _compute_fingerprint(prepared)
        if self._fingerprints.get(message.id) == fingerprint:
            return
        # Forget before sending: after an error nobody knows which text the message shows.
        self._fingerprints.pop(message.id, None)
        if has_components(reply) and not prepared.uploads:
            # An edit without files keeps the files of the message: an unfinished picture must go.
            prepared = replace(prepared, payload={**prepared.payload, "attachments": []})
        if self.get_usable_token(message, reply):
            try:
                await self._send_shrinking(
                    lambda it: self._api.edit_response(message, _clear_text(it.payload), it.uploads), prepared
                )
            except MessageLost as error:
                if get_error_code(error) not in (TOKEN_EXPIRED, UNKNOWN_WEBHOOK):
                    raise
                await self._edit_as_bot(message, prepared, reply)  # Discord's clock is ahead of ours
        else:
            await self._edit_as_bot(message, prepared, reply)
        self._fingerprints[message.id] = fingerprint

    async def _edit_as_bot(self, message: MessageRef, prepared: _PreparedReply, reply: Reply) -> None:
        if _is_reachable_by_token_only(message, reply):
            raise MessageLost("That message is too old for Discord to let me change it.")
        channel = get_discord_channel_id(message)
        await self._send_shrinking(
            lambda it: self._api.edit_message(channel, message.id, _clear_text(it.payload), it.uploads), prepared
        )

    async def _post_after(self, destination: Destination, previous: MessageRef, reply: Reply) -> MessageRef:
        """Post the next part of a long answer beside the previous part."""
        if self.get_usable_token(previous, reply):
            return await self.send_followup(previous, reply)
        if _is_reachable_by_token_only(previous, reply):
            raise MessageLost("That message is too old for Discord to let me go on.")
        return await self._create(destination, get_discord_channel_id(previous), reply)

    async def _post_voice(self, destination: Destination, reply: Reply) -> MessageRef:
        """Post a voice message below the message before. Raise `MessageLost` where the bot can post none."""
        previous = destination.previous_part
        if previous is None or previous.workspace == USER_INSTALLS:
            raise MessageLost("Voice messages need a channel of the bot.")
        return await self._create(destination, get_discord_channel_id(previous), reply)

    async def _prepare_voice(self, message: MessageRef, reply: Reply) -> _PreparedReply:
        """Return a voice message. Raise `MessageLost` for a sound that a voice message cannot hold."""
        (upload,) = await prepare_uploads(
            reply.result_files, self._media, self._get_upload_limit_bytes(message.workspace)
        )
        voice = await asyncio.to_thread(read_voice, upload.data)
        # A voice message has no words, and no spoiler for a flagged sound.
        if voice is None or reply.result_files[0].is_flagged:
            raise MessageLost(upload.reason or "That sound is no voice message.")
        return _PreparedReply(reply, render_voice_payload(upload.name, voice), [upload])

    async def _create(self, destination: Destination, discord_channel: int, reply: Reply) -> MessageRef:
        channel = destination.channel
        is_in_thread = not channel.is_reply_chain and str(discord_channel) != channel.id
        ref = MessageRef(NAME, channel.workspace, channel.id, channel.thread if is_in_thread else "", "")
        prepared = await self._prepare(ref, reply)
        nonce = {"nonce": _shorten_nonce(destination.nonce), "enforce_nonce": True}
        reference = _build_reference(destination, discord_channel)
        try:
            created = await self._send_create(discord_channel, prepared, nonce | reference)
        except MessageLost as error:
            if not reference or get_error_code(error) not in (MISSING_PERMISSIONS, CANNOT_READ_HISTORY):
                raise
            # Without "Read Message History" Discord refuses the reference alone.
            created = await self._send_create(discord_channel, prepared, nonce)
        ref = replace(ref, id=str(created["id"]))
        self._fingerprints[ref.id] = _compute_fingerprint(prepared)
        return ref

    async def _send_create(self, discord_channel: int, prepared: _PreparedReply, extra: Payload) -> Any:
        return await self._send_shrinking(
            lambda it: self._api.create_message(discord_channel, {**it.payload, **extra}, it.uploads), prepared
        )

    async def _prepare(self, message: MessageRef, reply: Reply) -> _PreparedReply:
        if reply.is_voice:
            return await self._prepare_voice(message, reply)
        if message.workspace == USER_INSTALLS:
            reply = add_ask_button(reply)
        if reply.preview is not None:
            upload = DiscordUpload(f"preview.{FILE_TYPES[reply.preview.mime].extension}", reply.preview.data)
            return _PreparedReply(reply, render_payload(reply, names=[upload.name]), [upload])
        if not reply.made_files:
            files = [DiscordUpload(file.name, file.text.encode()) for file in reply.files]
            return _PreparedReply(reply, render_payload(reply), files)
        if any(file.is_flagged for file in reply.made_files) and await self._refuses_flagged(message.workspace):
            pictures = tuple(picture for picture in reply.pictures if not picture.is_flagged)
            others = tuple(file for file in reply.result_files if not file.is_flagged)
            text = "\n".join(part for part in (reply.text, "⚠ What the model flagged is not shown here.") if part)
            reply = replace(reply, text=text, pictures=pictures, result_files=others)
        return await self._render(reply, self._get_upload_limit_bytes(message.workspace))

    async def _render(self, reply: Reply, limit_bytes: int) -> _PreparedReply:
        uploads = await prepare_uploads(reply.made_files, self._media, limit_bytes)
        names = [upload.name for upload in uploads]
        return _PreparedReply(reply, render_payload(reply, names=names, remark=describe_uploads(uploads)), uploads)

    async def _send_shrinking(self, send: Callable[[_PreparedReply], Awaitable[T]], prepared: _PreparedReply) -> T:
        """Send a reply, with smaller pictures and fewer other files after each refusal for size.

        The known limit is the server's; a proxy may have a lower limit, and several pictures count together.
        """
        limit = max((len(upload.data) for upload in prepared.uploads), default=0)
        while True:
            try:
                return await send(prepared)
            except discord.HTTPException as error:
                is_too_large = error.code == REQUEST_TOO_LARGE or error.status == _CONTENT_TOO_LARGE
                is_smallest = prepared.reply.is_voice or not prepared.reply.made_files or limit <= _SMALLEST_LIMIT_BYTES
                if not is_too_large or is_smallest:
                    raise
            limit //= 2
            prepared = await self._render(prepared.reply, limit)

    def _add_show_button_in_time(self, message: MessageRef, reply: Reply) -> Reply:
        """Add the Show button while the token still lives, if only the token reaches the running job's message."""
        expires = message.token_expires_at
        if reply.tone is not Tone.WORKING or expires is None or not _is_reachable_by_token_only(message, reply):
            return reply
        is_late = self._clock.now() >= expires - OFFER_SHOW_BEFORE_END
        return add_show_button(reply, reply.buttons[0].job) if is_late and reply.buttons else reply

    def get_usable_token(self, message: MessageRef, reply: Reply | None = None) -> str:
        """Return the interaction's token if edits go by the token now; an empty text near the end and afterwards."""
        if not message.token or message.token_expires_at is None:
            return ""
        has_no_other_way = message.workspace == USER_INSTALLS or (reply is not None and reply.is_private)
        margin = STOP_BEFORE_END if has_no_other_way else SWITCH_BEFORE_END
        return message.token if self._clock.now() < message.token_expires_at - margin else ""

    def _get_upload_limit_bytes(self, workspace: str) -> int:
        guild = self._client.get_guild(int(workspace)) if workspace.isdecimal() else None
        return guild.filesize_limit if guild is not None else DEFAULT_LIMIT_BYTES

    async def _refuses_flagged(self, workspace: str) -> bool:
        return (await self._moderation.get_settings(NAME, workspace)).flagged == "refuse"


def _is_reachable_by_token_only(message: MessageRef, reply: Reply) -> bool:
    """Whether the bot's own permissions do not reach the message: ephemeral, or in a place without the bot."""
    return bool(message.token_expires_at) and (reply.is_private or message.workspace == USER_INSTALLS)


def _add_private_flag(prepared: _PreparedReply, reply: Reply) -> Payload:
    if not reply.is_private:
        return prepared.payload
    return {**prepared.payload, "flags": prepared.payload["flags"] | EPHEMERAL}


def _build_reference(destination: Destination, discord_channel: int) -> Payload:
    """Return a reference to the answered chat message; empty for other requests and for the thread on the message."""
    message_id = parse_message_request_key(destination.request_key)
    if not message_id or message_id == str(discord_channel):
        return {}
    return {"message_reference": {"message_id": message_id, "fail_if_not_exists": False}}


def _shorten_nonce(nonce: str) -> str:
    # Discord refuses more than 25 characters; equal nonces must stay equal.
    return nonce if len(nonce) <= _LONGEST_NONCE else hashlib.blake2b(nonce.encode(), digest_size=12).hexdigest()


def _clear_text(payload: Payload) -> Payload:
    """Return the payload of an edit: a placeholder with plain text becomes a message of components without the text."""
    return {**payload, "content": None} if payload["flags"] & HAS_COMPONENTS_V2 else payload


def _compute_fingerprint(prepared: _PreparedReply) -> bytes:
    digest = hashlib.blake2b(repr(prepared.payload).encode(), digest_size=16)
    for upload in prepared.uploads:
        digest.update(upload.data)
    return digest.digest()
