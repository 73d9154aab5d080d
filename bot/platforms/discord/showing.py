"""Showing what no job stands behind: answers of commands, refusals, and forms' refusals with what was typed."""

import logging
from dataclasses import replace

import aiohttp
import discord

from bot.core.people import Channel
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef, Reply
from bot.dispatch.consent import CONFIRMATION_ACTIONS as CONSENT
from bot.platforms.discord.acknowledging import TOKEN_LIFETIME, AcknowledgedInteraction
from bot.platforms.discord.places import NAME, mark_original_token
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.sending import DiscordRestApi
from bot.streaming.layout import MessageLayout

log = logging.getLogger(__name__)


def build_first_message_ref(acknowledged: AcknowledgedInteraction, here: Channel) -> MessageRef:
    """The address of the first message of an interaction: by its token now, by its channel for ever."""
    interaction = acknowledged.interaction
    token, expires = mark_original_token(interaction.token), interaction.created_at + TOKEN_LIFETIME
    return MessageRef(NAME, here.workspace, here.id, here.thread, acknowledged.message_id, token, expires)


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
            await self._sender.delete_response(message.token, message.id)
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
            await self._sender.delete_response(message.token, message.id)
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("discord.not_deleted", extra={"message": message.id, "reason": repr(error)})


def _mark_public_confirmation(reply: Reply, *, is_private: bool) -> Reply:
    """A question is always put privately; its buttons tell whether what comes of it was to be public."""
    if is_private:
        return reply
    buttons = tuple(replace(button, n=1) if button.action in CONSENT else button for button in reply.buttons)
    return replace(reply, buttons=buttons)
