"""Answers button presses and the submitted forms that buttons open."""

import asyncio

import discord

from bot.core.errors import UserError
from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch.button_actions import FORM_ACTIONS, ButtonPress
from bot.dispatch.confirmation import CONFIRM
from bot.dispatch.dispatcher import format_error
from bot.platforms.discord.channels import USER_INSTALLS, build_channel, build_request_key
from bot.platforms.discord.chat import open_thread
from bot.platforms.discord.forms import parse_form, quote_form_input, render_modal
from bot.platforms.discord.messages import FORM_PREFIX, CustomId, build_custom_id
from bot.platforms.discord.replies import (
    FORM_RESPONSE,
    AcknowledgedInteraction,
    InteractionContext,
    build_first_message_ref,
    is_ephemeral,
)

# A modal cannot be deferred and must open within three seconds, but the home server of a user who writes directly may
# need a search.
_USER_LOOKUP_SECONDS = 1.5
_STILL_LOOKING = "It takes long to find out which server we share. Please press again in a moment."

# These actions change the pressed message and show no message of their own.
_UPDATE_ACTIONS = frozenset({"cancel", "delete", "decline"})
# The answers to these are for the presser alone.
_PRIVATE_ACTIONS = frozenset({"show", "report"})


class DiscordButtons:
    """Answers presses and forms through the dispatcher."""

    def __init__(self, context: InteractionContext) -> None:
        self._context = context

    async def handle_press(self, interaction: discord.Interaction, button: CustomId) -> None:
        """Open the button's form, or acknowledge the press and answer."""
        if button.action in FORM_ACTIONS:
            await self._open_form(interaction, button)
            return
        responder = self._context.responder
        if button.action in _UPDATE_ACTIONS:
            acknowledged = await responder.defer_update(interaction)
        else:
            on_private_message = is_ephemeral(interaction) and not button.is_answer_public
            is_private = button.action in _PRIVATE_ACTIONS or on_private_message
            acknowledged = await responder.defer(interaction, is_private=is_private)
        if acknowledged is not None:
            await self._answer(acknowledged, button)

    async def handle_submission(self, interaction: discord.Interaction, button: CustomId) -> None:
        """Answer the submitted form of a button."""
        options = parse_form(interaction.data or {})
        # The answer to a form on a private message stays private.
        acknowledged = await self._context.responder.defer(interaction, is_private=is_ephemeral(interaction))
        if acknowledged is None:
            return
        user = await self._identify(acknowledged)
        if user is None:
            return
        channel = build_channel(interaction.channel, user.workspace)
        message = build_first_message_ref(acknowledged, channel)
        press = _build_press(interaction, button, user, channel, message, is_private=acknowledged.is_private)
        reply = await self._context.dispatcher.submit_form(press, options)
        await self._context.replies.show(acknowledged, message, reply and quote_form_input(reply, options))

    async def _open_form(self, interaction: discord.Interaction, button: CustomId) -> None:
        context = self._context
        try:
            async with asyncio.timeout(_USER_LOOKUP_SECONDS):
                user = await context.users.get_interaction_user(interaction)
        except TimeoutError:
            await context.responder.refuse(interaction, _STILL_LOOKING)
            return
        except UserError as error:
            await context.responder.refuse(interaction, str(error))
            return
        channel = build_channel(interaction.channel, user.workspace)
        draft = await context.dispatcher.open_form(_build_press(interaction, button, user, channel))
        if isinstance(draft, Reply):
            await context.responder.refuse(interaction, draft.text)
            return
        custom_id = build_custom_id(button.action, button.job, button.n, prefix=FORM_PREFIX)
        form = render_modal(draft, custom_id, context.dispatcher.services)
        await context.responder.respond(interaction, FORM_RESPONSE, form)

    async def _answer(self, acknowledged: AcknowledgedInteraction, button: CustomId) -> None:
        context, interaction = self._context, acknowledged.interaction
        user = await self._identify(acknowledged)
        if user is None:
            return
        channel = build_channel(interaction.channel, user.workspace)
        message = build_first_message_ref(acknowledged, channel)
        placeholder = None if acknowledged.is_update else message
        press = _build_press(interaction, button, user, channel, placeholder, is_private=acknowledged.is_private)
        reply = await context.dispatcher.handle_press(press)
        await context.replies.show(acknowledged, message, reply)
        if button.action == CONFIRM and reply is None:
            await self._open_thread(acknowledged, user, channel)
        # The dispatcher deletes and edits by channel; these messages are reached by the press's token alone.
        is_reached_by_token = is_ephemeral(interaction) or user.workspace == USER_INSTALLS
        if button.action == "delete" and reply is None and is_reached_by_token:
            await context.replies.delete(message)
        is_running = reply is not None and reply.tone is Tone.WORKING
        if button.action == "show" and is_running and is_reached_by_token:
            context.platform.redirect(press.message_id, message)

    async def _open_thread(self, acknowledged: AcknowledgedInteraction, user: User, channel: Channel) -> None:
        """Open the thread of a confirmed conversation on its answer, if the conversation belongs in a thread."""
        key = build_request_key(acknowledged.interaction)
        jobs = await self._context.dispatcher.services.jobs.list_recent(user)
        job = next((job for job in jobs if job.request_key == key), None)
        if job is None or job.channel.is_reply_chain or job.channel.thread != acknowledged.message_id:
            return
        text = str(job.options.get("message", ""))
        await open_thread(self._context.api, int(channel.id), acknowledged.message_id, text)

    async def _identify(self, acknowledged: AcknowledgedInteraction) -> User | None:
        """Return the presser; after an error show the error and return None."""
        try:
            return await self._context.users.get_interaction_user(acknowledged.interaction)
        except UserError as error:
            message = build_first_message_ref(acknowledged, build_channel(acknowledged.interaction.channel, ""))
            await self._context.replies.show(acknowledged, message, format_error(error))
            return None


def _build_press(
    interaction: discord.Interaction,
    button: CustomId,
    user: User,
    channel: Channel,
    placeholder: MessageRef | None = None,
    *,
    is_private: bool = False,
) -> ButtonPress:
    return ButtonPress(
        user=user,
        channel=channel,
        action=button.action,
        job_id=button.job,
        n=button.n,
        request_key=build_request_key(interaction),
        message_id=str(interaction.message.id) if interaction.message else "",
        placeholder=placeholder,
        is_private=is_private,
    )
