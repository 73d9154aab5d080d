"""Answers button presses and the submitted forms that buttons open."""

import asyncio
from collections.abc import Awaitable, Callable

import discord

from bot.core.errors import UserError
from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch.button_actions import FORM_ACTIONS, ButtonPress
from bot.dispatch.dispatcher import format_error
from bot.platforms.discord.channels import USER_INSTALLS, build_channel, build_request_key
from bot.platforms.discord.forms import parse_form, quote_form_input, render_modal
from bot.platforms.discord.messages import FORM_PREFIX, CustomId, build_custom_id
from bot.platforms.discord.replies import InteractionContext, build_first_message_ref
from bot.platforms.discord.responses import FORM_RESPONSE, InteractionResponse, is_ephemeral

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
            response = await responder.defer_update(interaction)
        elif button.action in _PRIVATE_ACTIONS:
            response = await responder.defer(interaction, is_private=True)
        else:
            # An ask is committed first: its job, or the refusal, is the response.
            on_private_message = is_ephemeral(interaction) and not button.is_answer_public
            response = responder.begin(interaction, is_private=on_private_message)
        if response is not None:
            await self._answer(response, button, self._context.dispatcher.handle_press)

    async def handle_submission(self, interaction: discord.Interaction, button: CustomId) -> None:
        """Answer the submitted form of a button."""
        options, dispatcher = parse_form(interaction.data or {}), self._context.dispatcher

        async def submit(press: ButtonPress) -> Reply | None:
            reply = await dispatcher.submit_form(press, options)
            return reply and quote_form_input(reply, options)

        # The answer to a form on a private message stays private.
        response = self._context.responder.begin(interaction, is_private=is_ephemeral(interaction))
        await self._answer(response, button, submit)

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

    async def _answer(
        self,
        response: InteractionResponse,
        button: CustomId,
        handle: Callable[[ButtonPress], Awaitable[Reply | None]],
    ) -> None:
        context, interaction = self._context, response.interaction

        async def press() -> tuple[MessageRef, Reply | None]:
            try:
                user = await context.users.get_interaction_user(interaction)
            except UserError as error:
                return build_first_message_ref(response, build_channel(interaction.channel, "")), format_error(error)
            channel = build_channel(interaction.channel, user.workspace)
            message = build_first_message_ref(response, channel)
            placeholder = None if response.is_update else message
            pressed = _build_press(interaction, button, user, channel, placeholder, is_private=response.is_private)
            return message, await handle(pressed)

        answer = await context.responder.run(response, press())
        if answer is None:
            return
        message, reply = answer
        await context.replies.show(response, message, reply)
        # The dispatcher deletes and edits by channel; these messages are reached by the press's token alone.
        is_reached_by_token = is_ephemeral(interaction) or message.workspace == USER_INSTALLS
        if button.action == "delete" and reply is None and is_reached_by_token:
            await context.replies.delete(message)
        is_running = reply is not None and reply.tone is Tone.WORKING
        if button.action == "show" and is_running and is_reached_by_token and interaction.message is not None:
            context.platform.redirect(str(interaction.message.id), message)


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
