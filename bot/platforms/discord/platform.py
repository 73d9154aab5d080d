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
from bot.platforms.discord.messages import EPHEMERAL, LONGEST_TEXT, Payload, payload, with_ask, with_show
from bot.platforms.discord.pacing import Buckets, MessagePacer
from bot.platforms.discord.places import NAME, USER_INSTALLS, is_by_replies, place_of, plain_token
from bot.platforms.discord.sending import (
    MISSING_PERMISSIONS,
    NO_HISTORY,
    TOKEN_EXPIRED,
    TOO_LARGE,
    UNKNOWN_WEBHOOK,
    Sender,
    code_of,
)
from bot.platforms.discord.uploads import DEFAULT_LIMIT_BYTES, PathOf, Upload, files, remark, uploads

log = logging.getLogger(__name__)

SWITCH_BEFORE_END = timedelta(seconds=60)
"""From here on the bot edits by its own right: at minute 14 of the fifteen that a token lives."""
OFFER_SHOW_BEFORE_END = timedelta(seconds=150)
"""From here on a message that only its token reaches has a button that brings the job back."""
_STOP_BEFORE_END = timedelta(seconds=3)
_LONGEST_NONCE = 25
_MOST_REMEMBERED = 4096
_SMALLEST_LIMIT_BYTES = 1_000_000
_SAID = f"{NAME}:message:"


def said_key(message_id: int) -> str:
    """The request key of something that was said rather than called."""
    return f"{_SAID}{message_id}"


@dataclass(frozen=True, slots=True)
class _Made:
    """A reply ready to send."""

    reply: Reply
    """What it shows, without what is withheld here."""
    payload: Payload
    uploads: Sequence[Upload] = ()

    @property
    def files(self) -> list[discord.File]:
        return files(self.uploads)


class DiscordPlatform:
    """Posts and edits messages. `path_of` finds a kept picture."""

    name = NAME
    limits = MessageLimits(text=LONGEST_TEXT, pictures=10)

    def __init__(
        self,
        client: discord.Client,
        sender: Sender,
        buckets: Buckets,
        moderation: Moderation,
        path_of: PathOf,
        clock: Clock,
    ) -> None:
        self._client = client
        self._sender = sender
        self._buckets = buckets
        self._moderation = moderation
        self._path_of = path_of
        self._clock = clock
        self._shown: OrderedDict[str, bytes] = OrderedDict()
        self._moved: OrderedDict[str, MessageRef] = OrderedDict()

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Make the waiting message into this, or create one. Raises `MessageLost` when nothing can be posted there."""
        if (waiting := destination.answering) is not None:
            try:
                await self._edit(waiting, reply)
            except MessageLost:
                if self._is_for_token_alone(waiting, reply) or destination.is_private:
                    raise
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                # It is there, and says that an answer comes: the next edit tries again.
                log.warning("discord.placeholder_failed", extra={"reason": repr(error)})
                return waiting
            else:
                return waiting
        if (before := destination.after) is not None:
            return await self._post_after(destination, before, reply)
        if destination.is_private:
            raise MessageLost("What only you may see can be shown as the answer to a command only.")
        return await self._create(destination, place_of(destination.channel), reply)

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Show this instead: by the interaction's token while it lives, then by the bot's own right.

        Gives the new address where its person asked for it in another message.
        """
        moved = self._moved.get(message.id)
        await self._edit(moved or message, reply)
        return moved

    async def _edit(self, message: MessageRef, reply: Reply) -> None:
        made = await self._made(message, self._in_time(message, reply))
        fingerprint = _fingerprint(made)
        if self._shown.get(message.id) == fingerprint:
            return
        self._shown.pop(message.id, None)
        if token := self._token_of(message, reply):
            try:
                await self._sent(lambda it: self._sender.edit_answer(token, message.id, it.payload, it.files), made)
            except MessageLost as error:
                if code_of(error) not in (TOKEN_EXPIRED, UNKNOWN_WEBHOOK):
                    raise
                await self._edit_as_bot(message, made, reply)  # Discord's clock is ahead of ours
        else:
            await self._edit_as_bot(message, made, reply)
        _remember(self._shown, message.id, fingerprint)

    async def _edit_as_bot(self, message: MessageRef, made: _Made, reply: Reply) -> None:
        if self._is_for_token_alone(message, reply):
            raise MessageLost("That message is too old for Discord to let me change it.")
        place = place_of(message)
        await self._sent(lambda it: self._sender.edit(place, message.id, it.payload, it.files), made)

    async def delete(self, message: MessageRef) -> None:
        """Take it away for everyone."""
        if token := self._token_of(message):
            await self._sender.delete_answer(token, message.id)
        elif message.workspace != USER_INSTALLS:
            await self._sender.delete(place_of(message), message.id)

    def pacer(self, message: MessageRef) -> Pacer:
        return MessagePacer(self._buckets, message, lambda ref: self._token_of(self._moved.get(ref.id, ref)))

    async def direct(self, workspace: str, user: str) -> Channel | None:
        """The direct messages of somebody; None where Discord does not let us."""
        if not user.isdecimal():
            return None
        try:
            channel = await self._sender.direct_channel(int(user))
        except (MessageLost, discord.HTTPException, OSError) as error:
            log.info("discord.no_direct_channel", extra={"user": user, "reason": repr(error)})
            return None
        return Channel(NAME, workspace, str(channel["id"]))

    def move(self, message: str, to: MessageRef) -> None:
        """Show in another message, from now on, what goes to this one: its person asked for it there."""
        _remember(self._moved, message, to)

    async def answer(self, message: MessageRef, reply: Reply, *, is_private: bool) -> None:
        """Make an interaction's first message into this reply, which no job stands behind."""
        await self._edit(message, replace(reply, is_private=is_private))

    async def follow_up(self, message: MessageRef, reply: Reply) -> MessageRef:
        """Another message of the same interaction, private if the reply is."""
        made = await self._made(message, reply)
        told = await self._sent(lambda it: self._sender.follow_up(message.token, _flagged(it, reply), it.files), made)
        return replace(message, id=str(told["id"]), token=plain_token(message.token))

    def reach(self, message: MessageRef) -> None:
        """Remember how a private message is reached, for who only knows its id: the button that was pressed on it."""
        _remember(self._moved, message.id, message)

    async def _post_after(self, destination: Destination, before: MessageRef, reply: Reply) -> MessageRef:
        """The next part of a long answer, where the one before it is."""
        if self._token_of(before, reply):
            return await self.follow_up(before, reply)
        if self._is_for_token_alone(before, reply):
            raise MessageLost("That message is too old for Discord to let me go on.")
        return await self._create(destination, place_of(before), reply)

    async def _create(self, destination: Destination, place: int, reply: Reply) -> MessageRef:
        channel = destination.channel
        ref = MessageRef(NAME, channel.workspace, channel.id, channel.thread, "")
        if is_by_replies(channel.thread) or str(place) == channel.id:
            ref = replace(ref, thread="")
        made = await self._made(ref, reply)
        nonce = {"nonce": _nonce(destination.nonce), "enforce_nonce": True}
        reference = _reference(destination, place)
        try:
            told = await self._created(place, made, nonce | reference)
        except MessageLost as error:
            if not reference or code_of(error) not in (MISSING_PERMISSIONS, NO_HISTORY):
                raise
            told = await self._created(place, made, nonce)  # we may write here, but not read what we answer
        ref = replace(ref, id=str(told["id"]))
        _remember(self._shown, ref.id, _fingerprint(made))
        return ref

    async def _created(self, place: int, made: _Made, extra: Payload) -> Any:
        return await self._sent(lambda it: self._sender.create(place, {**it.payload, **extra}, it.files), made)

    async def _made(self, message: MessageRef, reply: Reply, limit_bytes: int | None = None) -> _Made:
        if message.workspace == USER_INSTALLS:
            reply = with_ask(reply)
        if not reply.pictures:
            return _Made(reply, payload(reply), [Upload(file.name, file.text.encode()) for file in reply.files])
        limit_bytes = limit_bytes or self._limit_of(message.workspace)
        if any(picture.is_flagged for picture in reply.pictures) and await self._refuses_flagged(message.workspace):
            kept = tuple(picture for picture in reply.pictures if not picture.is_flagged)
            text = "\n".join(part for part in (reply.text, "⚠ What the model flagged is not shown here.") if part)
            reply = replace(reply, text=text, pictures=kept)
        made = await uploads(reply.pictures, self._path_of, limit_bytes)
        return _Made(reply, payload(reply, names=[upload.name for upload in made], remark=remark(made)), made)

    async def _sent(self, send: Any, made: _Made) -> Any:
        """Send it; what is too large after all is made smaller."""
        reply = made.reply
        limit = max((len(upload.data) for upload in made.uploads), default=0)
        while True:
            try:
                return await send(made)
            except discord.HTTPException as error:
                is_too_large = error.code == TOO_LARGE or error.status == 413
                if not is_too_large or not reply.pictures or limit <= _SMALLEST_LIMIT_BYTES:
                    raise
            limit //= 2
            smaller = await uploads(reply.pictures, self._path_of, limit)
            names = [upload.name for upload in smaller]
            made = _Made(reply, {**made.payload, **payload(reply, names=names, remark=remark(smaller))}, smaller)

    def _in_time(self, message: MessageRef, reply: Reply) -> Reply:
        """What only a token reaches offers a way on before the token dies."""
        expires = message.token_expires_at
        if reply.tone is not Tone.WORKING or expires is None or not self._is_for_token_alone(message, reply):
            return reply
        is_late = self._clock.now() >= expires - OFFER_SHOW_BEFORE_END
        return with_show(reply, reply.buttons[0].job) if is_late and reply.buttons else reply

    def _token_of(self, message: MessageRef, reply: Reply | None = None) -> str:
        """The interaction's token while it is to be used; empty afterwards."""
        if not message.token or message.token_expires_at is None:
            return ""
        is_needed = message.workspace == USER_INSTALLS or (reply is not None and reply.is_private)
        margin = _STOP_BEFORE_END if is_needed else SWITCH_BEFORE_END
        return message.token if self._clock.now() < message.token_expires_at - margin else ""

    def _is_for_token_alone(self, message: MessageRef, reply: Reply) -> bool:
        """Whether the bot's own right does not reach it: it is private, or the bot is not where it is."""
        return bool(message.token_expires_at) and (reply.is_private or message.workspace == USER_INSTALLS)

    def _limit_of(self, workspace: str) -> int:
        guild = self._client.get_guild(int(workspace)) if workspace.isdecimal() else None
        return guild.filesize_limit if guild is not None else DEFAULT_LIMIT_BYTES

    async def _refuses_flagged(self, workspace: str) -> bool:
        return (await self._moderation.settings_of(NAME, workspace)).flagged == "refuse"


def _flagged(made: _Made, reply: Reply) -> Payload:
    if not reply.is_private:
        return made.payload
    return {**made.payload, "flags": made.payload["flags"] | EPHEMERAL}


def _reference(destination: Destination, place: int) -> Payload:
    """Whose words it answers, where they can be seen above it."""
    said = destination.request_key.removeprefix(_SAID)
    if said == destination.request_key or said == str(place) or not said.isdecimal():
        return {}
    return {"message_reference": {"message_id": said, "fail_if_not_exists": False}}


def _nonce(nonce: str) -> str:
    """Discord takes 25 characters."""
    return nonce if len(nonce) <= _LONGEST_NONCE else hashlib.blake2b(nonce.encode(), digest_size=12).hexdigest()


def _fingerprint(made: _Made) -> bytes:
    seen = hashlib.blake2b(repr(made.payload).encode(), digest_size=16)
    for upload in made.uploads:
        seen.update(upload.data)
    return seen.digest()


def _remember(kept: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _MOST_REMEMBERED:
        kept.popitem(last=False)
