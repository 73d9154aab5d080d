"""Suggestions while somebody types, from memory alone: Discord waits three seconds and takes no excuse."""

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
from bot.dispatch.button_actions import get_form_option_names
from bot.dispatch.declaration import Declaration, OptionValue, Services
from bot.dispatch.dispatcher import format_error
from bot.dispatch.forms import FormDraft
from bot.dispatch.parsing import find_command
from bot.platforms.discord.channels import NAME, is_direct
from bot.platforms.discord.chat import can_open_thread, open_thread
from bot.platforms.discord.context import InteractionContext, build_request_key, resolve_channel
from bot.platforms.discord.forms import needs_text, parse_form, quote_form_input, render_modal
from bot.platforms.discord.messages import ASK_PREFIX, build_custom_id
from bot.platforms.discord.registration import Payload, SlashInvocation, find_message_command, parse_slash_command
from bot.platforms.discord.replies import FORM_RESPONSE, AcknowledgedInteraction, build_first_message_ref

_MOST, _LONGEST = 25, 100


def list_suggestions(services: Services, typing: SlashInvocation) -> list[Payload]:
    """At most 25 choices for the option that is being typed; none for what is unknown."""
    try:
        option = find_command(services.menu, typing.command).declaration.option(typing.focused_option)
    except UserError:
        return []
    if option is None:
        return []
    typed = str(typing.options.get(typing.focused_option, ""))
    if option.autocomplete is not None:
        choices = [(choice.label, choice.value) for choice in option.autocomplete(services, typed)]
    else:
        choices = [(choice, choice) for choice in option.choices if typed.lower() in choice.lower()]
    return [{"name": label[:_LONGEST], "value": value} for label, value in choices if len(value) <= _LONGEST][:_MOST]


# MERGED Commands that people call: typed with a slash, or from the menu of a message with a picture.

GivenFile = Attachment | Link
_MOST_FORMS = 1000
_OLD_FORM = "I restarted while you filled that in, and do not find the picture any more. Please choose it again."


class DiscordCommands:
    """Answers them. The pictures that open forms are about are remembered until they are sent."""

    def __init__(self, desk: InteractionContext) -> None:
        self._desk = desk
        self._pictures: OrderedDict[str, GivenFile] = OrderedDict()

    async def handle_slash(self, interaction: discord.Interaction) -> None:
        """A slash command."""
        call = parse_slash_command(_read_data(interaction))
        try:
            declaration = find_command(self._desk.menu, call.command).declaration
        except UserError as error:
            await self._desk.responder.refuse(interaction, str(error))
            return
        acknowledged = await self._desk.responder.defer(interaction, is_private=declaration.is_private)
        if acknowledged is not None:
            files = {name: self._desk.files.attach(raw) for name, raw in call.files.items()}
            await self._answer(acknowledged, declaration, call.options, files, people=call.member_names)

    async def handle_message_command(self, interaction: discord.Interaction) -> None:
        """A command from the menu of a message."""
        data = _read_data(interaction)
        declaration = find_message_command(self._desk.menu, str(data["name"]))
        message = data.get("resolved", {}).get("messages", {}).get(str(data.get("target_id")), {})
        picture = self._desk.files.find_picture(message)
        if declaration is None or declaration.file_option is None:
            await self._desk.responder.refuse(interaction, "I do not know that command any more.")
        elif picture is None:
            await self._desk.responder.refuse(interaction, "There is no picture in that message.")
        elif needs_text(declaration):
            await self._ask(interaction, declaration, picture)
        else:
            acknowledged = await self._desk.responder.defer(interaction, is_private=declaration.is_private)
            if acknowledged is not None:
                await self._answer(acknowledged, declaration, *_add_picture(declaration, picture, {}))

    async def handle_submission(self, interaction: discord.Interaction, command: str, key: str) -> None:
        """The form that `chosen` opened, filled in."""
        declaration = find_command(self._desk.menu, command).declaration
        options = parse_form(_read_data(interaction))
        acknowledged = await self._desk.responder.defer(interaction, is_private=declaration.is_private)
        if acknowledged is None:
            return
        picture = self._pictures.get(_build_picture_key(interaction, key)) or await self._picture_of(interaction, key)
        if picture is None:
            await self._refuse(acknowledged, quote_form_input(format_error(UserError(_OLD_FORM)), options))
            return
        await self._answer(acknowledged, declaration, *_add_picture(declaration, picture, options), typed=options)

    async def _ask(self, interaction: discord.Interaction, declaration: Declaration, picture: GivenFile) -> None:
        key = str(_read_data(interaction)["target_id"])
        self._pictures[_build_picture_key(interaction, key)] = picture
        if len(self._pictures) > _MOST_FORMS:
            self._pictures.popitem(last=False)
        name = str(_read_data(interaction)["name"])
        draft = FormDraft(declaration, {}, name, get_form_option_names(name.lower()))  # as the button of that name asks
        form = render_modal(
            draft, build_custom_id(declaration.name, key, prefix=ASK_PREFIX), self._desk.dispatcher.services
        )
        await self._desk.responder.respond(interaction, FORM_RESPONSE, form)

    async def _picture_of(self, interaction: discord.Interaction, message: str) -> GivenFile | None:
        """The picture of a message, read anew after a restart; None where the bot cannot read it."""
        if not message.isdecimal() or interaction.channel_id is None:
            return None
        try:
            told = await self._desk.api.get_message(interaction.channel_id, message)
        except (MessageLost, discord.HTTPException, aiohttp.ClientError, OSError):
            return None
        return self._desk.files.find_picture(told)

    async def _answer(
        self,
        acknowledged: AcknowledgedInteraction,
        declaration: Declaration,
        options: Mapping[str, OptionValue],
        files: Mapping[str, Attachment],
        *,
        typed: Mapping[str, OptionValue] | None = None,
        people: Mapping[str, str] | None = None,
    ) -> None:
        desk, interaction = self._desk, acknowledged.interaction
        try:
            user = await desk.users.get_interaction_user(interaction, is_anywhere=declaration.works_anywhere)
        except UserError as error:
            await self._refuse(acknowledged, format_error(error))
            return
        place = resolve_channel(interaction, user.workspace)
        message = build_first_message_ref(acknowledged, place)
        invocation = Invocation(
            user=user,
            channel=_choose_conversation(acknowledged, place) if declaration.task is Task.CHAT else place,
            command=declaration.name,
            request_key=build_request_key(interaction),
            options=options,
            attachments=files,
            placeholder=message,
            is_private=declaration.is_private,
            mentioned_users=tuple(User(NAME, user.workspace, who, name) for who, name in (people or {}).items()),
        )
        reply = await desk.dispatcher.handle(invocation)
        if reply is not None and typed is not None:
            reply = quote_form_input(reply, typed)
        await desk.replies.show(acknowledged, message, reply)
        begins_thread = invocation.channel.thread == acknowledged.message_id and not invocation.channel.is_reply_chain
        if reply is None and begins_thread:
            await open_thread(desk.api, int(place.id), acknowledged.message_id, str(options.get("message", "")))

    async def _refuse(self, acknowledged: AcknowledgedInteraction, reply: Reply) -> None:
        message = build_first_message_ref(acknowledged, resolve_channel(acknowledged.interaction, ""))
        await self._desk.replies.show(acknowledged, message, reply)


def _choose_conversation(acknowledged: AcknowledgedInteraction, place: Channel) -> Channel:
    """A question of its own goes on in a thread on its answer, and where none can be opened by replies to it."""
    interaction = acknowledged.interaction
    if place.thread or is_direct(interaction):
        return place
    may = interaction.is_guild_integration() and can_open_thread(interaction.channel, interaction.app_permissions)
    return replace(place, thread=acknowledged.message_id, is_reply_chain=not may)


def _add_picture(
    declaration: Declaration, picture: GivenFile, options: Mapping[str, OptionValue]
) -> tuple[dict[str, OptionValue], dict[str, Attachment]]:
    """The picture as the option that takes one: a file, or a link."""
    name = declaration.file_option.name if declaration.file_option else ""
    if isinstance(picture, Link):
        return {**options, name: picture.url}, {}
    return dict(options), {name: picture}


def _build_picture_key(interaction: discord.Interaction, message: str) -> str:
    """Where a picture is: nobody reaches one from a channel that it is not in."""
    return f"{interaction.channel_id}:{message}"


def _read_data(interaction: discord.Interaction) -> Mapping[str, Any]:
    return interaction.data or {}
