"""Commands that people call: typed with a slash, or from the menu of a message with a picture."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import discord

from bot.core.errors import UserError
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.core.people import Channel, User
from bot.core.platform import MessageLost
from bot.core.replies import Reply
from bot.dispatch.declaration import Declaration
from bot.dispatch.dispatcher import sentence
from bot.dispatch.drafts import Draft, Value
from bot.dispatch.parser import find
from bot.dispatch.presses import asks_for
from bot.platforms.discord.acknowledging import FORM, Acknowledged
from bot.platforms.discord.buttons import ASK, custom_id
from bot.platforms.discord.commands import asked, on_message
from bot.platforms.discord.desk import Desk, here, key_of
from bot.platforms.discord.forms import filled_in, given_back, lacks_words, modal
from bot.platforms.discord.places import NAME, by_replies, is_direct
from bot.platforms.discord.showing import first_message
from bot.platforms.discord.threads import open_thread, takes_threads

Given = Attachment | Link
_MOST_FORMS = 1000
_OLD_FORM = "I restarted while you filled that in, and do not find the picture any more. Please choose it again."


class Calls:
    """Answers them. The pictures that open forms are about are remembered until they are sent."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pictures: OrderedDict[str, Given] = OrderedDict()

    async def typed(self, interaction: discord.Interaction) -> None:
        """A slash command."""
        call = asked(_data(interaction))
        try:
            declaration = find(self._desk.menu, call.command).declaration
        except UserError as error:
            await self._desk.acknowledging.refuse(interaction, str(error))
            return
        acknowledged = await self._desk.acknowledging.defer(interaction, is_private=declaration.is_private)
        if acknowledged is not None:
            files = {name: self._desk.files.attached(raw) for name, raw in call.files.items()}
            await self._answer(acknowledged, declaration, call.options, files, people=call.people)

    async def chosen(self, interaction: discord.Interaction) -> None:
        """A command from the menu of a message."""
        data = _data(interaction)
        declaration = on_message(self._desk.menu, str(data["name"]))
        message = data.get("resolved", {}).get("messages", {}).get(str(data.get("target_id")), {})
        picture = self._desk.files.picture_in(message)
        if declaration is None or declaration.file is None:
            await self._desk.acknowledging.refuse(interaction, "I do not know that command any more.")
        elif picture is None:
            await self._desk.acknowledging.refuse(interaction, "There is no picture in that message.")
        elif lacks_words(declaration):
            await self._ask(interaction, declaration, picture)
        else:
            acknowledged = await self._desk.acknowledging.defer(interaction, is_private=declaration.is_private)
            if acknowledged is not None:
                await self._answer(acknowledged, declaration, *_with_picture(declaration, picture, {}))

    async def sent(self, interaction: discord.Interaction, command: str, key: str) -> None:
        """The form that `chosen` opened, filled in."""
        declaration = find(self._desk.menu, command).declaration
        options = filled_in(_data(interaction))
        acknowledged = await self._desk.acknowledging.defer(interaction, is_private=declaration.is_private)
        if acknowledged is None:
            return
        picture = self._pictures.get(_place(interaction, key)) or await self._picture_of(interaction, key)
        if picture is None:
            await self._refuse(acknowledged, given_back(sentence(UserError(_OLD_FORM)), options))
            return
        await self._answer(acknowledged, declaration, *_with_picture(declaration, picture, options), typed=options)

    async def _ask(self, interaction: discord.Interaction, declaration: Declaration, picture: Given) -> None:
        key = str(_data(interaction)["target_id"])
        self._pictures[_place(interaction, key)] = picture
        if len(self._pictures) > _MOST_FORMS:
            self._pictures.popitem(last=False)
        name = str(_data(interaction)["name"])
        draft = Draft(declaration, {}, name, asks_for(name.lower()))  # as the button of that name asks
        form = modal(draft, custom_id(declaration.name, key, prefix=ASK), self._desk.dispatcher.services)
        await self._desk.acknowledging.answer(interaction, FORM, form)

    async def _picture_of(self, interaction: discord.Interaction, message: str) -> Given | None:
        """The picture of a message, read anew after a restart; None where the bot cannot read it."""
        if not message.isdecimal() or interaction.channel_id is None:
            return None
        try:
            told = await self._desk.sender.message(interaction.channel_id, message)
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError):
            return None
        return self._desk.files.picture_in(told)

    async def _answer(
        self,
        acknowledged: Acknowledged,
        declaration: Declaration,
        options: Mapping[str, Value],
        files: Mapping[str, Attachment],
        *,
        typed: Mapping[str, Value] | None = None,
        people: Mapping[str, str] | None = None,
    ) -> None:
        desk, interaction = self._desk, acknowledged.interaction
        try:
            user = await desk.people.of_interaction(interaction, is_anywhere=declaration.works_anywhere)
        except UserError as error:
            await self._refuse(acknowledged, sentence(error))
            return
        place = here(interaction, user.workspace)
        message = first_message(acknowledged, place)
        invocation = Invocation(
            user=user,
            channel=_conversation(acknowledged, place) if declaration.task is Task.CHAT else place,
            command=declaration.name,
            request_key=key_of(interaction),
            options=options,
            attachments=files,
            answering=message,
            is_private=declaration.is_private,
            named=tuple(User(NAME, user.workspace, who, name) for who, name in (people or {}).items()),
        )
        reply = await desk.dispatcher.handle(invocation)
        if reply is not None and typed is not None:
            reply = given_back(reply, typed)
        await desk.showing.show(acknowledged, message, reply)
        if reply is None and invocation.channel.thread == acknowledged.message:
            await open_thread(desk.sender, int(place.id), acknowledged.message, str(options.get("message", "")))

    async def _refuse(self, acknowledged: Acknowledged, reply: Reply) -> None:
        message = first_message(acknowledged, here(acknowledged.interaction, ""))
        await self._desk.showing.show(acknowledged, message, reply)


def _conversation(acknowledged: Acknowledged, place: Channel) -> Channel:
    """A question of its own goes on in a thread on its answer, and where none can be opened by replies to it."""
    interaction = acknowledged.interaction
    if place.thread or is_direct(interaction):
        return place
    may = interaction.is_guild_integration() and takes_threads(interaction.channel, interaction.app_permissions)
    return replace(place, thread=acknowledged.message if may else by_replies(acknowledged.message))


def _with_picture(
    declaration: Declaration, picture: Given, options: Mapping[str, Value]
) -> tuple[dict[str, Value], dict[str, Attachment]]:
    """The picture as the option that takes one: a file, or a link."""
    name = declaration.file.name if declaration.file else ""
    if isinstance(picture, Link):
        return {**options, name: picture.url}, {}
    return dict(options), {name: picture}


def _place(interaction: discord.Interaction, message: str) -> str:
    """Where a picture is: nobody reaches one from a channel that it is not in."""
    return f"{interaction.channel_id}:{message}"


def _data(interaction: discord.Interaction) -> Mapping[str, Any]:
    return interaction.data or {}
