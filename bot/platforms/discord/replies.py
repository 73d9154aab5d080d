"""Responds to interactions: the acknowledgement within three seconds, then the replies of commands and buttons.

Two processes may receive the same interaction. Discord takes the acknowledgement of the first; the other process stops.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aiohttp
import discord

from bot.core.people import Channel
from bot.core.replies import MessageRef, Reply
from bot.dispatch.confirmation import CONFIRMATION_ACTIONS
from bot.dispatch.dispatcher import Dispatcher
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.discord_py_internals import Payload
from bot.platforms.discord.errors import (
    ALREADY_ACKNOWLEDGED,
    DELIVERY_ERRORS,
    UNKNOWN_INTERACTION,
    DiscordServerError,
)
from bot.platforms.discord.messages import EPHEMERAL, render_private_payload
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.rest_api import DiscordRestApi
from bot.platforms.discord.uploads import DiscordFiles
from bot.platforms.discord.users import DiscordUsers
from bot.streaming.editor import MessageLayout

log = logging.getLogger(__name__)

# Discord waits 3 seconds from sending the interaction; the rest is travel time.
RESPONSE_TIMEOUT_SECONDS = 2.7
ATTEMPT_TIMEOUT_SECONDS = 1.2
_FIRST_DELAY_SECONDS = 0.05
_LOOKUP_DELAYS_SECONDS = (0.2, 1.0)
_RATE_LIMITED = 429
TOKEN_LIFETIME = timedelta(minutes=15)

# discord.com/developers/docs/interactions/receiving-and-responding#interaction-response-object
MESSAGE_RESPONSE, DEFERRED_MESSAGE_RESPONSE, DEFERRED_UPDATE_RESPONSE, CHOICES_RESPONSE, FORM_RESPONSE = 4, 5, 6, 8, 9


@dataclass(frozen=True, slots=True)
class AcknowledgedInteraction:
    """An interaction that this process answers. `message_id` is its first message: the response, or the pressed one."""

    interaction: discord.Interaction
    message_id: str
    is_private: bool = False
    is_update: bool = False
    """Whether the first message is the pressed message."""


class InteractionResponder:
    """Sends the first response to interactions."""

    def __init__(self, api: DiscordRestApi) -> None:
        self._api = api

    async def defer(self, interaction: discord.Interaction, *, is_private: bool) -> AcknowledgedInteraction | None:
        """Show a "thinking" message, private or public for good. Return None if another process was first."""
        data = {"flags": EPHEMERAL} if is_private else None
        response = await self.respond(interaction, DEFERRED_MESSAGE_RESPONSE, data)
        if response is None:
            return None
        message = _read_message_id(response) or await self._find_original_response(interaction)
        return AcknowledgedInteraction(interaction, message, is_private=is_private) if message else None

    async def defer_update(self, interaction: discord.Interaction) -> AcknowledgedInteraction | None:
        """Acknowledge a press without a new message. Return None if another process was first."""
        if await self.respond(interaction, DEFERRED_UPDATE_RESPONSE, None) is None:
            return None
        pressed = str(interaction.message.id) if interaction.message else ""
        return AcknowledgedInteraction(interaction, pressed, is_private=is_ephemeral(interaction), is_update=True)

    async def refuse(self, interaction: discord.Interaction, text: str) -> bool:
        """Respond with one private sentence as the whole answer; return whether Discord took the response."""
        return await self.respond(interaction, MESSAGE_RESPONSE, render_private_payload(text)) is not None

    async def respond(self, interaction: discord.Interaction, kind: int, data: Payload | None) -> Any | None:
        """Send the first response, with retries within Discord's deadline; return Discord's JSON.

        Return None if Discord refused: too late, or another process was first. discord.py's own retries come after one
        and three seconds, too late for the deadline.
        """
        loop = asyncio.get_running_loop()
        give_up_at, delay, may_have_arrived = loop.time() + RESPONSE_TIMEOUT_SECONDS, _FIRST_DELAY_SECONDS, False
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_TIMEOUT_SECONDS):
                    return await self._api.create_response(interaction, kind, data) or {}
            except discord.HTTPException as error:
                if error.code == ALREADY_ACKNOWLEDGED and may_have_arrived:
                    return {}  # an earlier attempt of ours arrived; its answer was lost
                if error.status < 500 and error.status != _RATE_LIMITED:
                    _log_lost_interaction(interaction, error)
                    return None
                delay = max(delay, _read_retry_after(error))
                log.warning("discord.acknowledging_again", extra={"reason": repr(error)})
            except (aiohttp.ClientError, OSError, DiscordServerError) as error:
                log.warning("discord.acknowledging_again", extra={"reason": repr(error)})
            may_have_arrived = True
            if loop.time() + delay > give_up_at:
                log.error("discord.not_acknowledged", extra={"interaction": interaction.id})
                return None
            await asyncio.sleep(delay)
            delay *= 2

    async def _find_original_response(self, interaction: discord.Interaction) -> str:
        for delay in (*_LOOKUP_DELAYS_SECONDS, None):
            try:
                return str((await self._api.get_original_response(interaction.token))["id"])
            except DELIVERY_ERRORS:
                if delay is None:
                    log.exception("discord.answer_not_found", extra={"interaction": interaction.id})
                else:
                    await asyncio.sleep(delay)
        return ""


def is_ephemeral(interaction: discord.Interaction) -> bool:
    """Whether the pressed message is visible to the presser alone."""
    return interaction.message is not None and interaction.message.flags.ephemeral


def _read_message_id(response: Any) -> str:
    """Return the id of the created message. Empty if the JSON lacks the id, as from some proxies."""
    callback = response.get("interaction") if isinstance(response, dict) else None
    return str((callback or {}).get("response_message_id") or "")


def _read_retry_after(error: discord.HTTPException) -> float:
    """Return the seconds that Discord, or a proxy, asks to wait; 0 without a number."""
    try:
        return float(error.response.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0


def _log_lost_interaction(interaction: discord.Interaction, error: discord.HTTPException) -> None:
    # Nothing was started before the acknowledgement, so the user owes nothing.
    is_late = error.code == UNKNOWN_INTERACTION
    event = "discord.acknowledged_too_late" if is_late else "discord.not_ours"
    log.warning(event, extra={"interaction": interaction.id, "code": error.code, "status": error.status})


def build_first_message_ref(acknowledged: AcknowledgedInteraction, channel: Channel) -> MessageRef:
    """Return the address of an interaction's first message: by token for 15 minutes, by channel afterwards."""
    interaction = acknowledged.interaction
    return MessageRef(
        NAME,
        channel.workspace,
        channel.id,
        channel.thread,
        acknowledged.message_id,
        interaction.token,
        interaction.created_at + TOKEN_LIFETIME,
        is_original_response=True,
    )


class DiscordReplies:
    """Shows replies to acknowledged interactions. Jobs edit their own messages through `DiscordPlatform`."""

    def __init__(self, platform: DiscordPlatform, api: DiscordRestApi) -> None:
        self._platform = platform
        self._api = api

    async def show(self, acknowledged: AcknowledgedInteraction, message: MessageRef, reply: Reply | None) -> None:
        """Show a reply, on several messages if necessary. A lost reply is logged: no job depends on the reply."""
        if reply is None:
            return
        try:
            await self._show(acknowledged, message, reply)
        except DELIVERY_ERRORS as error:
            log.warning("discord.answer_lost", extra={"message": message.id, "reason": repr(error)})

    async def _show(self, acknowledged: AcknowledgedInteraction, message: MessageRef, reply: Reply) -> None:
        reply = _mark_public_confirmation(reply, is_private=acknowledged.is_private)
        first, *others = [page.reply for page in MessageLayout(self._platform.limits).lay_out(reply)]
        if acknowledged.is_update:
            await self._platform.send_followup(message, replace(first, is_private=True))
        elif reply.is_private and not acknowledged.is_private:
            # Ephemeral is fixed at defer time: delete the public placeholder, send an ephemeral followup. Delete
            # first, because the first followup after a deferred response would replace the placeholder.
            await self._api.delete_response(message)
            self._platform.remember_address(await self._platform.send_followup(message, first))
        else:
            await self._platform.edit_response(message, first, is_private=acknowledged.is_private)
            self._platform.remember_address(message)
        for page in others:
            is_private = reply.is_private or acknowledged.is_private
            await self._platform.send_followup(message, replace(page, is_private=is_private))

    async def delete(self, message: MessageRef) -> None:
        """Delete a message that only the interaction's token reaches."""
        try:
            await self._api.delete_response(message)
        except DELIVERY_ERRORS as error:
            log.info("discord.not_deleted", extra={"message": message.id, "reason": repr(error)})


def _mark_public_confirmation(reply: Reply, *, is_private: bool) -> Reply:
    """Mark the buttons of a confirmation for a public command: the question is private, the answer public."""
    if is_private:
        return reply
    buttons = tuple(
        replace(button, is_answer_public=True) if button.action in CONFIRMATION_ACTIONS else button
        for button in reply.buttons
    )
    return replace(reply, buttons=buttons)


@dataclass(frozen=True, slots=True)
class InteractionContext:
    """The dispatcher and the ways to identify users and respond: collaborators of all handlers of events."""

    dispatcher: Dispatcher
    responder: InteractionResponder
    replies: DiscordReplies
    users: DiscordUsers
    files: DiscordFiles
    platform: DiscordPlatform
    api: DiscordRestApi
