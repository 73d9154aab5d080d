"""Buttons that people press, and the forms that some of them open."""

import asyncio

import discord

from bot.core.errors import UserError
from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch.button_actions import FORM_ACTIONS, ButtonPress
from bot.dispatch.confirmation import CONFIRM
from bot.dispatch.dispatcher import format_error
from bot.platforms.discord.channels import USER_INSTALLS
from bot.platforms.discord.chat import open_thread
from bot.platforms.discord.context import InteractionContext, build_request_key, resolve_channel
from bot.platforms.discord.forms import parse_form, quote_form_input, render_modal
from bot.platforms.discord.messages import FORM_PREFIX as FORM_PREFIX
from bot.platforms.discord.messages import CustomId, build_custom_id
from bot.platforms.discord.replies import FORM_RESPONSE, AcknowledgedInteraction, build_first_message_ref, is_ephemeral

_LOOKING_SECONDS = 1.5
"""A form must be opened within three seconds, and whose budget a direct message spends may have to be looked up."""
_STILL_LOOKING = "It takes long to find out which server we share. Please press again in a moment."

_UPDATE_ACTIONS = frozenset({"cancel", "delete", "decline"})
"""These change the message they stand on, and show nothing of their own."""
_PRIVATE_ACTIONS = frozenset({"show", "report"})
"""What comes of these is for the presser alone."""


class DiscordButtons:
    """Answers presses."""

    def __init__(self, desk: InteractionContext) -> None:
        self._desk = desk

    async def handle_press(self, interaction: discord.Interaction, what: CustomId) -> None:
        """A button: its form is opened at once, everything else is acknowledged first."""
        if what.action in FORM_ACTIONS:
            await self._open_form(interaction, what)
            return
        acknowledging = self._desk.responder
        if what.action in _UPDATE_ACTIONS:
            acknowledged = await acknowledging.defer_update(interaction)
        else:
            is_private = what.action in _PRIVATE_ACTIONS or (is_ephemeral(interaction) and not _was_public(what))
            acknowledged = await acknowledging.defer(interaction, is_private=is_private)
        if acknowledged is not None:
            await self._answer(acknowledged, what)

    async def handle_submission(self, interaction: discord.Interaction, what: CustomId) -> None:
        """A form that a button opened, filled in."""
        options = parse_form(interaction.data or {})
        acknowledged = await self._desk.responder.defer(interaction, is_private=is_ephemeral(interaction))
        if acknowledged is None:
            return
        user = await self._user(acknowledged)
        if user is None:
            return
        place = resolve_channel(interaction, user.workspace)
        message = build_first_message_ref(acknowledged, place)
        press = _build_press(interaction, what, user, place, message, is_private=acknowledged.is_private)
        reply = await self._desk.dispatcher.submit_form(press, options)
        await self._desk.replies.show(acknowledged, message, reply and quote_form_input(reply, options))

    async def _open_form(self, interaction: discord.Interaction, what: CustomId) -> None:
        desk = self._desk
        try:
            async with asyncio.timeout(_LOOKING_SECONDS):
                user = await desk.users.get_interaction_user(interaction)
        except TimeoutError:
            await desk.responder.refuse(interaction, _STILL_LOOKING)
            return
        except UserError as error:
            await desk.responder.refuse(interaction, str(error))
            return
        draft = await desk.dispatcher.open_form(
            _build_press(interaction, what, user, resolve_channel(interaction, user.workspace))
        )
        if isinstance(draft, Reply):
            await desk.responder.refuse(interaction, draft.text)
            return
        form = render_modal(
            draft, build_custom_id(what.action, what.job, what.n, prefix=FORM_PREFIX), desk.dispatcher.services
        )
        await desk.responder.respond(interaction, FORM_RESPONSE, form)

    async def _answer(self, acknowledged: AcknowledgedInteraction, what: CustomId) -> None:
        desk, interaction = self._desk, acknowledged.interaction
        user = await self._user(acknowledged)
        if user is None:
            return
        place = resolve_channel(interaction, user.workspace)
        message = build_first_message_ref(acknowledged, place)
        waiting = None if acknowledged.is_update else message
        press = _build_press(interaction, what, user, place, waiting, is_private=acknowledged.is_private)
        reply = await desk.dispatcher.handle_press(press)
        await desk.replies.show(acknowledged, message, reply)
        if what.action == CONFIRM and reply is None:
            await self._open_thread(acknowledged, user, place)
        is_reached_by_token = is_ephemeral(interaction) or user.workspace == USER_INSTALLS
        if what.action == "delete" and reply is None and is_reached_by_token:
            await desk.replies.delete(message)
        if what.action == "show" and reply is not None and reply.tone is Tone.WORKING and is_reached_by_token:
            desk.platform.redirect(press.message_id, message)

    async def _open_thread(self, acknowledged: AcknowledgedInteraction, user: User, place: Channel) -> None:
        """For a conversation that was agreed to, and is to go on in a thread on its answer."""
        key = build_request_key(acknowledged.interaction)
        jobs = await self._desk.dispatcher.services.jobs.list_recent(user)
        job = next((job for job in jobs if job.request_key == key), None)
        if job is None or job.channel.is_reply_chain:
            return
        if job.channel.thread == acknowledged.message_id:
            words = str(job.options.get("message", ""))
            await open_thread(self._desk.api, int(place.id), acknowledged.message_id, words)

    async def _user(self, acknowledged: AcknowledgedInteraction) -> User | None:
        """Who pressed; None when they were told why they may not."""
        try:
            return await self._desk.users.get_interaction_user(acknowledged.interaction)
        except UserError as error:
            message = build_first_message_ref(acknowledged, resolve_channel(acknowledged.interaction, ""))
            await self._desk.replies.show(acknowledged, message, format_error(error))
            return None


def _was_public(what: CustomId) -> bool:
    """Whether a question was put privately about something that is not: see `showing`."""
    return what.action == CONFIRM and what.n > 0


def _build_press(
    interaction: discord.Interaction,
    what: CustomId,
    user: User,
    place: Channel,
    waiting: MessageRef | None = None,
    *,
    is_private: bool = False,
) -> ButtonPress:
    return ButtonPress(
        user=user,
        channel=place,
        action=what.action,
        job_id=what.job,
        n=what.n,
        request_key=build_request_key(interaction),
        message_id=str(interaction.message.id) if interaction.message else "",
        answering=waiting,
        is_private=is_private,
    )
