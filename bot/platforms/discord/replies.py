"""Shows the replies of commands and buttons: as the first response of an interaction, or after the response."""

import logging
from dataclasses import dataclass, replace

from bot.core.errors import Unavailable
from bot.core.people import Channel
from bot.core.platform import MessageLost
from bot.core.replies import MessageRef, Reply
from bot.dispatch.confirmation import CONFIRMATION_ACTIONS
from bot.dispatch.dispatcher import Dispatcher
from bot.platforms.discord.channels import NAME, build_request_key
from bot.platforms.discord.errors import DELIVERY_ERRORS
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.discord.responses import TOKEN_LIFETIME, InteractionResponder, InteractionResponse
from bot.platforms.discord.rest_api import DiscordRestApi
from bot.platforms.discord.uploads import DiscordFiles
from bot.platforms.discord.users import DiscordUsers
from bot.streaming.editor import lay_out_whole

log = logging.getLogger(__name__)


def build_first_message_ref(response: InteractionResponse, channel: Channel) -> MessageRef:
    """Return the address of an interaction's first message: by token for 15 minutes, by channel afterwards."""
    interaction = response.interaction
    return MessageRef(
        NAME,
        channel.workspace,
        channel.id,
        channel.thread,
        response.message_id,
        interaction.token,
        interaction.created_at + TOKEN_LIFETIME,
        is_original_response=True,
    )


class DiscordReplies:
    """Shows replies to interactions. Jobs edit their own messages through `DiscordPlatform`."""

    def __init__(self, platform: DiscordPlatform, api: DiscordRestApi, responder: InteractionResponder) -> None:
        self._platform = platform
        self._api = api
        self._responder = responder

    async def show(self, response: InteractionResponse, message: MessageRef, reply: Reply | None) -> None:
        """Show a reply, on several messages if necessary. A lost reply is logged: no job depends on the reply."""
        if reply is None:
            return
        try:
            await self._show(response, message, reply)
        except (*DELIVERY_ERRORS, Unavailable) as error:
            log.warning("discord.answer_lost", extra={"shown": message.id, "reason": repr(error)})

    async def _show(self, response: InteractionResponse, message: MessageRef, reply: Reply) -> None:
        reply = _mark_public_confirmation(reply, is_private=response.is_private)
        first, *others = await lay_out_whole(reply, self._platform.limits)
        is_private = reply.is_private or response.is_private
        if not response.is_sent and (reply.made_files or reply.files):
            await self._responder.defer_pending(response)  # files arrive by an edit
        if not response.is_sent:
            key = build_request_key(response.interaction)
            answered = await self._platform.answer(message, key, first, is_private=is_private)
            if answered is None:
                raise MessageLost("Discord took no answer.")
            message = answered
            await self._platform.edit_response(message, first, is_private=is_private)
            self._platform.remember_address(message)
        elif response.is_update:
            await self._platform.send_followup(message, replace(first, is_private=True))
        elif reply.is_private and not response.is_private:
            # Ephemeral is fixed at defer time: delete the public placeholder, send an ephemeral followup. Delete
            # first, because the first followup after a deferred response would replace the placeholder.
            await self._api.delete_response(message)
            self._platform.remember_address(await self._platform.send_followup(message, first))
        else:
            await self._platform.edit_response(message, first, is_private=response.is_private)
            self._platform.remember_address(message)
        for page in others:
            await self._platform.send_followup(message, replace(page, is_private=is_private))

    async def delete(self, message: MessageRef) -> None:
        """Delete a message that only the interaction's token reaches."""
        try:
            await self._api.delete_response(message)
        except DELIVERY_ERRORS as error:
            log.info("discord.not_deleted", extra={"shown": message.id, "reason": repr(error)})


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
