"""The first answer to an interaction: within three seconds, before anything that takes time, whatever the network does.

Of two processes that hear the same interaction Discord takes the first one's answer: only that one goes on.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aiohttp
import discord
from discord.webhook.async_ import async_context, interaction_response_params

from bot.core.people import Channel
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef, Reply
from bot.dispatch.confirmation import CONFIRMATION_ACTIONS as CONSENT
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.messages import EPHEMERAL, Payload, render_private_payload
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.responses import DiscordServerError, RequestSender
from bot.platforms.discord.rest_api import ALREADY_ACKNOWLEDGED, UNKNOWN_INTERACTION, DiscordRestApi
from bot.streaming.editor import MessageLayout

log = logging.getLogger(__name__)

RESPONSE_TIMEOUT_SECONDS = 2.7
"""Of the three that Discord gives; the rest is the way there."""
ATTEMPT_TIMEOUT_SECONDS = 1.2
_FIRST_WAIT_SECONDS = 0.05
_LOOKING_WAITS_SECONDS = (0.2, 1.0)
_LIMITED = 429
TOKEN_LIFETIME = timedelta(minutes=15)

MESSAGE_RESPONSE, DEFERRED_MESSAGE_RESPONSE, DEFERRED_UPDATE_RESPONSE, CHOICES_RESPONSE, FORM_RESPONSE = 4, 5, 6, 8, 9
"""Kinds of first answers: discord.com/developers/docs/interactions/receiving-and-responding"""


@dataclass(frozen=True, slots=True)
class AcknowledgedInteraction:
    """An interaction that is ours. `message` is the id of its first message: the answer, or what was pressed."""

    interaction: discord.Interaction
    message_id: str
    is_private: bool = False
    is_update: bool = False
    """Whether its first message is the one that was pressed."""


class InteractionResponder:
    """Answers interactions at once."""

    def __init__(self, answers: RequestSender, sender: DiscordRestApi) -> None:
        self._answers = answers
        self._sender = sender

    async def defer(self, interaction: discord.Interaction, *, is_private: bool) -> AcknowledgedInteraction | None:
        """Show that an answer comes, which is private or not for good. None when the interaction is not ours."""
        told = await self.respond(interaction, DEFERRED_MESSAGE_RESPONSE, {"flags": EPHEMERAL} if is_private else None)
        if told is None:
            return None
        message = _read_message_id(told) or await self._original(interaction)
        return AcknowledgedInteraction(interaction, message, is_private=is_private) if message else None

    async def defer_update(self, interaction: discord.Interaction) -> AcknowledgedInteraction | None:
        """Say that the press was heard, and show nothing. None when the interaction is not ours."""
        if await self.respond(interaction, DEFERRED_UPDATE_RESPONSE, None) is None:
            return None
        pressed = str(interaction.message.id) if interaction.message else ""
        return AcknowledgedInteraction(interaction, pressed, is_private=is_ephemeral(interaction), is_update=True)

    async def refuse(self, interaction: discord.Interaction, text: str) -> bool:
        """One sentence for the person alone, as the whole answer; gives whether it was told."""
        return await self.respond(interaction, MESSAGE_RESPONSE, render_private_payload(text)) is not None

    async def respond(self, interaction: discord.Interaction, kind: int, data: Payload | None) -> Any | None:
        """The first answer, tried again while the connection breaks; what Discord says to it, or None if not ours."""
        loop = asyncio.get_running_loop()
        give_up_at, wait, is_unclear = loop.time() + RESPONSE_TIMEOUT_SECONDS, _FIRST_WAIT_SECONDS, False
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_TIMEOUT_SECONDS):
                    return await self._attempt(interaction, kind, data) or {}
            except discord.HTTPException as error:
                if error.code == ALREADY_ACKNOWLEDGED and is_unclear:
                    return {}  # our own attempt, whose answer was lost on its way
                if error.status < 500 and error.status != _LIMITED:
                    _log_lost_interaction(interaction, error)
                    return None
                wait = max(wait, _read_retry_after(error))
                log.warning("discord.acknowledging_again", extra={"reason": repr(error)})
            except (aiohttp.ClientError, OSError, DiscordServerError) as error:
                log.warning("discord.acknowledging_again", extra={"reason": repr(error)})
            is_unclear = True
            if loop.time() + wait > give_up_at:
                log.error("discord.not_acknowledged", extra={"interaction": interaction.id})
                return None
            await asyncio.sleep(wait)
            wait *= 2

    async def _attempt(self, interaction: discord.Interaction, kind: int, data: Payload | None) -> Any:
        request = async_context.get().create_interaction_response(
            interaction.id,
            interaction.token,
            session=self._sender.session,
            params=interaction_response_params(kind, data),
        )
        return await self._answers.send(request, fails_fast=True)

    async def _original(self, interaction: discord.Interaction) -> str:
        for wait in (*_LOOKING_WAITS_SECONDS, None):
            try:
                return str((await self._sender.get_original_response(interaction.token))["id"])
            except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError):
                if wait is None:
                    log.exception("discord.answer_not_found", extra={"interaction": interaction.id})
                else:
                    await asyncio.sleep(wait)
        return ""


def is_ephemeral(interaction: discord.Interaction) -> bool:
    """Whether what was pressed is seen by the presser alone."""
    return interaction.message is not None and interaction.message.flags.ephemeral


def _read_message_id(told: Any) -> str:
    """The id of the message that an answer made, where Discord told it."""
    made = told.get("interaction") if isinstance(told, dict) else None
    return str((made or {}).get("response_message_id") or "")


def _read_retry_after(error: discord.HTTPException) -> float:
    """How long Discord, or a proxy before it, wants to be left alone, in seconds."""
    try:
        return float(error.response.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0


def _log_lost_interaction(interaction: discord.Interaction, error: discord.HTTPException) -> None:
    """Too late, or another process was first: nothing was begun, so nothing is owed."""
    late = error.code == UNKNOWN_INTERACTION
    event = "discord.acknowledged_too_late" if late else "discord.not_ours"
    log.warning(event, extra={"interaction": interaction.id, "code": error.code, "status": error.status})


# MERGED Showing what no job stands behind: answers of commands, refusals, and forms' refusals with what was typed.


def build_first_message_ref(acknowledged: AcknowledgedInteraction, here: Channel) -> MessageRef:
    """The address of the first message of an interaction: by its token now, by its channel for ever."""
    interaction = acknowledged.interaction
    return MessageRef(
        NAME,
        here.workspace,
        here.id,
        here.thread,
        acknowledged.message_id,
        interaction.token,
        interaction.created_at + TOKEN_LIFETIME,
        is_original_response=True,
    )


class DiscordReplies:
    """Answers interactions whose acknowledgement has been sent."""

    def __init__(self, platform: DiscordPlatform, sender: DiscordRestApi) -> None:
        self._platform = platform
        self._sender = sender

    async def show(self, acknowledged: AcknowledgedInteraction, message: MessageRef, reply: Reply | None) -> None:
        """Show a reply, on several messages if need be; what is private stays so, whatever was shown before."""
        if reply is None:
            return
        try:
            await self._show(acknowledged, message, reply)
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("discord.answer_lost", extra={"message": message.id, "reason": repr(error)})

    async def _show(self, acknowledged: AcknowledgedInteraction, message: MessageRef, reply: Reply) -> None:
        reply = _mark_public_confirmation(reply, is_private=acknowledged.is_private)
        first, *others = [page.reply for page in MessageLayout(self._platform.limits).lay_out(reply)]
        if acknowledged.is_update:
            await self._platform.send_followup(message, replace(first, is_private=True))
        elif reply.is_private and not acknowledged.is_private:
            # Whether an answer is private is settled when it is deferred. This one goes, and the next takes no place.
            await self._sender.delete_response(message)
            self._platform.remember_address(await self._platform.send_followup(message, first))
        else:
            await self._platform.edit_response(message, first, is_private=acknowledged.is_private)
            self._platform.remember_address(message)
        for page in others:
            await self._platform.send_followup(
                message, replace(page, is_private=reply.is_private or acknowledged.is_private)
            )

    async def delete(self, message: MessageRef) -> None:
        """Delete a message that only its interaction's token reaches."""
        try:
            await self._sender.delete_response(message)
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("discord.not_deleted", extra={"message": message.id, "reason": repr(error)})


def _mark_public_confirmation(reply: Reply, *, is_private: bool) -> Reply:
    """A question is always put privately; its buttons tell whether what comes of it was to be public."""
    if is_private:
        return reply
    buttons = tuple(replace(button, n=1) if button.action in CONSENT else button for button in reply.buttons)
    return replace(reply, buttons=buttons)
