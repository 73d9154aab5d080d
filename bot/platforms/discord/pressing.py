"""Buttons that people press, and the forms that some of them open."""

import asyncio

import discord

from bot.core.errors import UserError
from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch.consent import CONFIRM
from bot.dispatch.dispatcher import sentence
from bot.dispatch.presses import FORM_ACTIONS, Press
from bot.platforms.discord.acknowledging import FORM, Acknowledged, is_ephemeral
from bot.platforms.discord.buttons import FORM as FORM_PREFIX
from bot.platforms.discord.buttons import Pressed, custom_id
from bot.platforms.discord.desk import Desk, here, key_of
from bot.platforms.discord.forms import filled_in, given_back, modal
from bot.platforms.discord.places import USER_INSTALLS
from bot.platforms.discord.showing import first_message
from bot.platforms.discord.threads import open_thread

_LOOKING_SECONDS = 1.5
"""A form must be opened within three seconds, and whose budget a direct message spends may have to be looked up."""
_STILL_LOOKING = "It takes long to find out which server we share. Please press again in a moment."

_ON_THE_SPOT = frozenset({"cancel", "delete", "decline"})
"""These change the message they stand on, and show nothing of their own."""
_FOR_ONE = frozenset({"show", "report"})
"""What comes of these is for the presser alone."""


class Pressing:
    """Answers presses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def press(self, interaction: discord.Interaction, what: Pressed) -> None:
        """A button: its form is opened at once, everything else is acknowledged first."""
        if what.action in FORM_ACTIONS:
            await self._open_form(interaction, what)
            return
        acknowledging = self._desk.acknowledging
        if what.action in _ON_THE_SPOT:
            acknowledged = await acknowledging.defer_update(interaction)
        else:
            is_private = what.action in _FOR_ONE or (is_ephemeral(interaction) and not _was_public(what))
            acknowledged = await acknowledging.defer(interaction, is_private=is_private)
        if acknowledged is not None:
            await self._answer(acknowledged, what)

    async def sent(self, interaction: discord.Interaction, what: Pressed) -> None:
        """A form that a button opened, filled in."""
        options = filled_in(interaction.data or {})
        acknowledged = await self._desk.acknowledging.defer(interaction, is_private=is_ephemeral(interaction))
        if acknowledged is None:
            return
        user = await self._user(acknowledged)
        if user is None:
            return
        place = here(interaction, user.workspace)
        message = first_message(acknowledged, place)
        press = _press(interaction, what, user, place, message, is_private=acknowledged.is_private)
        reply = await self._desk.dispatcher.submit(press, options)
        await self._desk.showing.show(acknowledged, message, reply and given_back(reply, options))

    async def _open_form(self, interaction: discord.Interaction, what: Pressed) -> None:
        desk = self._desk
        try:
            async with asyncio.timeout(_LOOKING_SECONDS):
                user = await desk.people.of_interaction(interaction)
        except TimeoutError:
            await desk.acknowledging.refuse(interaction, _STILL_LOOKING)
            return
        except UserError as error:
            await desk.acknowledging.refuse(interaction, str(error))
            return
        draft = await desk.dispatcher.draft(_press(interaction, what, user, here(interaction, user.workspace)))
        if isinstance(draft, Reply):
            await desk.acknowledging.refuse(interaction, draft.text)
            return
        form = modal(draft, custom_id(what.action, what.job, what.n, prefix=FORM_PREFIX), desk.dispatcher.services)
        await desk.acknowledging.answer(interaction, FORM, form)

    async def _answer(self, acknowledged: Acknowledged, what: Pressed) -> None:
        desk, interaction = self._desk, acknowledged.interaction
        user = await self._user(acknowledged)
        if user is None:
            return
        place = here(interaction, user.workspace)
        message = first_message(acknowledged, place)
        waiting = None if acknowledged.is_update else message
        press = _press(interaction, what, user, place, waiting, is_private=acknowledged.is_private)
        reply = await desk.dispatcher.press(press)
        await desk.showing.show(acknowledged, message, reply)
        if what.action == CONFIRM and reply is None:
            await self._open_thread(acknowledged, user, place)
        is_reached_by_token = is_ephemeral(interaction) or user.workspace == USER_INSTALLS
        if what.action == "delete" and reply is None and is_reached_by_token:
            await desk.showing.take_away(message)
        if what.action == "show" and reply is not None and reply.tone is Tone.WORKING and is_reached_by_token:
            desk.platform.move(press.message, message)

    async def _open_thread(self, acknowledged: Acknowledged, user: User, place: Channel) -> None:
        """For a conversation that was agreed to, and is to go on in a thread on its answer."""
        key = key_of(acknowledged.interaction)
        jobs = await self._desk.dispatcher.services.jobs.recent(user)
        job = next((job for job in jobs if job.request_key == key), None)
        if job is not None and job.channel.thread == acknowledged.message:
            words = str(job.options.get("message", ""))
            await open_thread(self._desk.sender, int(place.id), acknowledged.message, words)

    async def _user(self, acknowledged: Acknowledged) -> User | None:
        """Who pressed; None when they were told why they may not."""
        try:
            return await self._desk.people.of_interaction(acknowledged.interaction)
        except UserError as error:
            message = first_message(acknowledged, here(acknowledged.interaction, ""))
            await self._desk.showing.show(acknowledged, message, sentence(error))
            return None


def _was_public(what: Pressed) -> bool:
    """Whether a question was put privately about something that is not: see `showing`."""
    return what.action == CONFIRM and what.n > 0


def _press(
    interaction: discord.Interaction,
    what: Pressed,
    user: User,
    place: Channel,
    waiting: MessageRef | None = None,
    *,
    is_private: bool = False,
) -> Press:
    return Press(
        user=user,
        channel=place,
        action=what.action,
        job=what.job,
        n=what.n,
        request_key=key_of(interaction),
        message=str(interaction.message.id) if interaction.message else "",
        answering=waiting,
        is_private=is_private,
    )
