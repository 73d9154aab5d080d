"""Discord as a platform: what the trunk shows becomes messages there, edited by their interaction or by the bot."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aiohttp
import discord

from bot.core.clock import Clock
from bot.core.people import Channel
from bot.core.platform import Destination, MessageLimits, MessageLost, Pacer
from bot.core.replies import MessageRef, Reply, Tone
from bot.moderation.moderation import Moderation
from bot.platforms.discord.channels import (
    NAME,
    USER_INSTALLS,
    get_discord_channel_id,
)
from bot.platforms.discord.messages import (
    EPHEMERAL,
    LONGEST_TEXT,
    Payload,
    add_ask_button,
    add_show_button,
    render_payload,
)
from bot.platforms.discord.pacing import DiscordEditLimits, DiscordPacer
from bot.platforms.discord.rest_api import (
    CANNOT_READ_HISTORY,
    MISSING_PERMISSIONS,
    REQUEST_TOO_LARGE,
    TOKEN_EXPIRED,
    UNKNOWN_WEBHOOK,
    DiscordRestApi,
    get_error_code,
)
from bot.platforms.discord.uploads import (
    DEFAULT_LIMIT_BYTES,
    DiscordUpload,
    PathOf,
    describe_uploads,
    open_files,
    prepare_uploads,
)

log = logging.getLogger(__name__)

SWITCH_BEFORE_END = timedelta(seconds=60)
"""From here on the bot edits by its own right: at minute 14 of the fifteen that a token lives."""
OFFER_SHOW_BEFORE_END = timedelta(seconds=150)
"""From here on a message that only its token reaches has a button that brings the job back."""
_STOP_BEFORE_END = timedelta(seconds=3)
_LONGEST_NONCE = 25
_MOST_REMEMBERED = 4096
_SMALLEST_LIMIT_BYTES = 1_000_000
_MESSAGE_KEY_PREFIX = f"{NAME}:message:"


def build_message_request_key(message_id: int) -> str:
    """The request key of something that was said rather than called."""
    return f"{_MESSAGE_KEY_PREFIX}{message_id}"


@dataclass(frozen=True, slots=True)
class _PreparedReply:
    """A reply ready to send."""

    reply: Reply
    """What it shows, without what is withheld here."""
    payload: Payload
    uploads: Sequence[DiscordUpload] = ()

    @property
    def files(self) -> list[discord.File]:
        return open_files(self.uploads)


class DiscordPlatform:
    """Posts and edits messages. `path_of` finds a kept picture."""

    name = NAME
    limits = MessageLimits(max_length=LONGEST_TEXT)

    def __init__(
        self,
        client: discord.Client,
        sender: DiscordRestApi,
        buckets: DiscordEditLimits,
        moderation: Moderation,
        path_of: PathOf,
        clock: Clock,
    ) -> None:
        self._client = client
        self._api = sender
        self._buckets = buckets
        self._moderation = moderation
        self._path_of = path_of
        self._clock = clock
        self._shown: OrderedDict[str, bytes] = OrderedDict()
        self._redirects: OrderedDict[str, MessageRef] = OrderedDict()

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Make the waiting message into this, or create one. Raises `MessageLost` when nothing can be posted there."""
        if (waiting := destination.placeholder) is not None:
            try:
                await self._edit(waiting, reply)
            except MessageLost:
                if self._is_reachable_by_token_only(waiting, reply) or destination.is_private:
                    raise
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                # It is there, and says that an answer comes: the next edit tries again.
                log.warning("discord.placeholder_failed", extra={"reason": repr(error)})
                return waiting
            else:
                return waiting
        if (before := destination.previous_part) is not None:
            return await self._post_after(destination, before, reply)
        if destination.is_private:
            raise MessageLost("What only you may see can be shown as the answer to a command only.")
        return await self._create(destination, get_discord_channel_id(destination.channel), reply)

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Show this instead: by the interaction's token while it lives, then by the bot's own right.

        Gives the new address where its person asked for it in another message.
        """
        moved = self._redirects.get(message.id)
        await self._edit(moved or message, reply)
        return moved

    async def _edit(self, message: MessageRef, reply: Reply) -> None:
        made = await self._prepare(message, self._add_show_button_in_time(message, reply))
        fingerprint = _compute_fingerprint(made)
        if self._shown.get(message.id) == fingerprint:
            return
        self._shown.pop(message.id, None)
        if self._usable_token(message, reply):
            try:
                await self._send_shrinking(lambda it: self._api.edit_response(message, it.payload, it.files), made)
            except MessageLost as error:
                if get_error_code(error) not in (TOKEN_EXPIRED, UNKNOWN_WEBHOOK):
                    raise
                await self._edit_as_bot(message, made, reply)  # Discord's clock is ahead of ours
        else:
            await self._edit_as_bot(message, made, reply)
        _remember(self._shown, message.id, fingerprint)

    async def _edit_as_bot(self, message: MessageRef, made: _PreparedReply, reply: Reply) -> None:
        if self._is_reachable_by_token_only(message, reply):
            raise MessageLost("That message is too old for Discord to let me change it.")
        place = get_discord_channel_id(message)
        await self._send_shrinking(lambda it: self._api.edit_message(place, message.id, it.payload, it.files), made)

    async def delete(self, message: MessageRef) -> None:
        """Take it away for everyone."""
        if self._usable_token(message):
            await self._api.delete_response(message)
        elif message.workspace != USER_INSTALLS:
            await self._api.delete_message(get_discord_channel_id(message), message.id)

    def pacer(self, message: MessageRef) -> Pacer:
        return DiscordPacer(self._buckets, message, lambda ref: self._usable_token(self._redirects.get(ref.id, ref)))

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """The direct messages of somebody; None where Discord does not let us."""
        if not user.isdecimal():
            return None
        try:
            channel = await self._api.open_direct_channel(int(user))
        except (MessageLost, discord.HTTPException, OSError) as error:
            log.info("discord.no_direct_channel", extra={"user": user, "reason": repr(error)})
            return None
        return Channel(NAME, workspace, str(channel["id"]))

    def redirect(self, message: str, to: MessageRef) -> None:
        """Show in another message, from now on, what goes to this one: its person asked for it there."""
        _remember(self._redirects, message, to)

    async def edit_response(self, message: MessageRef, reply: Reply, *, is_private: bool) -> None:
        """Make an interaction's first message into this reply, which no job stands behind."""
        await self._edit(message, replace(reply, is_private=is_private))

    async def send_followup(self, message: MessageRef, reply: Reply) -> MessageRef:
        """Another message of the same interaction, private if the reply is."""
        made = await self._prepare(message, reply)
        told = await self._send_shrinking(
            lambda it: self._api.create_followup(message.token, _add_private_flag(it, reply), it.files), made
        )
        return replace(message, id=str(told["id"]), is_original_response=False)

    def remember_address(self, message: MessageRef) -> None:
        """Remember how a private message is reached, for who only knows its id: the button that was pressed on it."""
        _remember(self._redirects, message.id, message)

    async def _post_after(self, destination: Destination, before: MessageRef, reply: Reply) -> MessageRef:
        """The next part of a long answer, where the one before it is."""
        if self._usable_token(before, reply):
            return await self.send_followup(before, reply)
        if self._is_reachable_by_token_only(before, reply):
            raise MessageLost("That message is too old for Discord to let me go on.")
        return await self._create(destination, get_discord_channel_id(before), reply)

    async def _create(self, destination: Destination, place: int, reply: Reply) -> MessageRef:
        channel = destination.channel
        ref = MessageRef(NAME, channel.workspace, channel.id, channel.thread, "")
        if channel.is_reply_chain or str(place) == channel.id:
            ref = replace(ref, thread="")
        made = await self._prepare(ref, reply)
        nonce = {"nonce": _shorten_nonce(destination.nonce), "enforce_nonce": True}
        reference = _build_reference(destination, place)
        try:
            told = await self._send_create(place, made, nonce | reference)
        except MessageLost as error:
            if not reference or get_error_code(error) not in (MISSING_PERMISSIONS, CANNOT_READ_HISTORY):
                raise
            told = await self._send_create(place, made, nonce)  # we may write here, but not read what we answer
        ref = replace(ref, id=str(told["id"]))
        _remember(self._shown, ref.id, _compute_fingerprint(made))
        return ref

    async def _send_create(self, place: int, made: _PreparedReply, extra: Payload) -> Any:
        return await self._send_shrinking(
            lambda it: self._api.create_message(place, {**it.payload, **extra}, it.files), made
        )

    async def _prepare(self, message: MessageRef, reply: Reply, limit_bytes: int | None = None) -> _PreparedReply:
        if message.workspace == USER_INSTALLS:
            reply = add_ask_button(reply)
        if not reply.pictures:
            return _PreparedReply(
                reply, render_payload(reply), [DiscordUpload(file.name, file.text.encode()) for file in reply.files]
            )
        limit_bytes = limit_bytes or self._get_upload_limit_bytes(message.workspace)
        if any(picture.is_flagged for picture in reply.pictures) and await self._refuses_flagged(message.workspace):
            kept = tuple(picture for picture in reply.pictures if not picture.is_flagged)
            text = "\n".join(part for part in (reply.text, "⚠ What the model flagged is not shown here.") if part)
            reply = replace(reply, text=text, pictures=kept)
        made = await prepare_uploads(reply.pictures, self._path_of, limit_bytes)
        return _PreparedReply(
            reply, render_payload(reply, names=[upload.name for upload in made], remark=describe_uploads(made)), made
        )

    async def _send_shrinking(self, send: Any, made: _PreparedReply) -> Any:
        """Send it; what is too large after all is made smaller."""
        reply = made.reply
        limit = max((len(upload.data) for upload in made.uploads), default=0)
        while True:
            try:
                return await send(made)
            except discord.HTTPException as error:
                is_too_large = error.code == REQUEST_TOO_LARGE or error.status == 413
                if not is_too_large or not reply.pictures or limit <= _SMALLEST_LIMIT_BYTES:
                    raise
            limit //= 2
            smaller = await prepare_uploads(reply.pictures, self._path_of, limit)
            names = [upload.name for upload in smaller]
            made = _PreparedReply(
                reply, {**made.payload, **render_payload(reply, names=names, remark=describe_uploads(smaller))}, smaller
            )

    def _add_show_button_in_time(self, message: MessageRef, reply: Reply) -> Reply:
        """What only a token reaches offers a way on before the token dies."""
        expires = message.token_expires_at
        if reply.tone is not Tone.WORKING or expires is None or not self._is_reachable_by_token_only(message, reply):
            return reply
        is_late = self._clock.now() >= expires - OFFER_SHOW_BEFORE_END
        return add_show_button(reply, reply.buttons[0].job) if is_late and reply.buttons else reply

    def _usable_token(self, message: MessageRef, reply: Reply | None = None) -> str:
        """The interaction's token while it is to be used; empty afterwards."""
        if not message.token or message.token_expires_at is None:
            return ""
        is_needed = message.workspace == USER_INSTALLS or (reply is not None and reply.is_private)
        margin = _STOP_BEFORE_END if is_needed else SWITCH_BEFORE_END
        return message.token if self._clock.now() < message.token_expires_at - margin else ""

    def _is_reachable_by_token_only(self, message: MessageRef, reply: Reply) -> bool:
        """Whether the bot's own right does not reach it: it is private, or the bot is not where it is."""
        return bool(message.token_expires_at) and (reply.is_private or message.workspace == USER_INSTALLS)

    def _get_upload_limit_bytes(self, workspace: str) -> int:
        guild = self._client.get_guild(int(workspace)) if workspace.isdecimal() else None
        return guild.filesize_limit if guild is not None else DEFAULT_LIMIT_BYTES

    async def _refuses_flagged(self, workspace: str) -> bool:
        return (await self._moderation.get_settings(NAME, workspace)).flagged == "refuse"


def _add_private_flag(made: _PreparedReply, reply: Reply) -> Payload:
    if not reply.is_private:
        return made.payload
    return {**made.payload, "flags": made.payload["flags"] | EPHEMERAL}


def _build_reference(destination: Destination, place: int) -> Payload:
    """Whose words it answers, where they can be seen above it."""
    said = destination.request_key.removeprefix(_MESSAGE_KEY_PREFIX)
    if said == destination.request_key or said == str(place) or not said.isdecimal():
        return {}
    return {"message_reference": {"message_id": said, "fail_if_not_exists": False}}


def _shorten_nonce(nonce: str) -> str:
    """Discord takes 25 characters."""
    return nonce if len(nonce) <= _LONGEST_NONCE else hashlib.blake2b(nonce.encode(), digest_size=12).hexdigest()


def _compute_fingerprint(made: _PreparedReply) -> bytes:
    seen = hashlib.blake2b(repr(made.payload).encode(), digest_size=16)
    for upload in made.uploads:
        seen.update(upload.data)
    return seen.digest()


def _remember(kept: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _MOST_REMEMBERED:
        kept.popitem(last=False)
