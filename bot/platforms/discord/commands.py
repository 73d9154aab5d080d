"""Answers slash commands, message commands with their forms, and the suggestions while a user types."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import discord

from bot.core.caches import RecentItems
from bot.core.errors import UserError
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import Task
from bot.core.people import Channel, User
from bot.core.replies import MessageRef, Reply
from bot.dispatch.button_actions import get_form_option_names
from bot.dispatch.declaration import MAX_CHOICES, Declaration, MenuEntry, OptionKind, OptionValue, Services
from bot.dispatch.dispatcher import format_error
from bot.dispatch.forms import FormDraft
from bot.dispatch.parsing import Menu, find_command
from bot.dispatch.plain_text import convert_words
from bot.platforms.discord.channels import NAME, build_channel, build_request_key, is_direct
from bot.platforms.discord.discord_py_internals import Payload
from bot.platforms.discord.errors import DELIVERY_ERRORS
from bot.platforms.discord.forms import needs_text, parse_form, quote_form_input, render_modal
from bot.platforms.discord.incoming import DiscordMessageReader, find_user_ids, replace_mentions
from bot.platforms.discord.messages import ASK_PREFIX, build_custom_id
from bot.platforms.discord.registration import OPTION_TYPES, SUBCOMMAND, SUBCOMMAND_GROUP
from bot.platforms.discord.replies import InteractionContext, build_first_message_ref
from bot.platforms.discord.responses import FORM_RESPONSE

GivenFiles = list[Attachment | Link]

_LONGEST_CHOICE = 100
_MOST_OPEN_FORMS = 1000
_OLD_FORM = "I restarted while you filled that in, and do not find the file any more. Please choose it again."


@dataclass(frozen=True, slots=True)
class SlashInvocation:
    """A parsed slash command: the full name, the options, and Discord's JSON of the attached files."""

    command: str
    options: Mapping[str, OptionValue]
    files: Mapping[str, Payload]
    focused_option: str = ""
    """The option that the user types, in a request for suggestions."""
    member_names: Mapping[str, str] = field(default_factory=dict)
    """The display names, by id, of the server's members in the options."""


def parse_slash_command(data: Mapping[str, Any]) -> SlashInvocation:
    """Return the command in the data of an interaction."""
    words, options = [str(data["name"])], list(data.get("options") or ())
    while options and options[0]["type"] in (SUBCOMMAND, SUBCOMMAND_GROUP):
        words.append(str(options[0]["name"]))
        options = list(options[0].get("options") or ())
    resolved = data.get("resolved", {})
    attachments = resolved.get("attachments", {})
    is_file = OPTION_TYPES[OptionKind.FILE]
    return SlashInvocation(
        command=" ".join(words),
        options={
            option["name"]: option["value"] for option in options if option["type"] != is_file and "value" in option
        },
        # While a user types, Discord names a chosen file but does not describe the file.
        files={
            option["name"]: attachments[option["value"]]
            for option in options
            if option["type"] == is_file and option["value"] in attachments
        },
        focused_option=next((option["name"] for option in options if option.get("focused")), ""),
        member_names={
            str(user): _choose_name(member, resolved["users"][user])
            for user, member in resolved.get("members", {}).items()
        },
    )


def _choose_name(member: Mapping[str, Any], user: Mapping[str, Any]) -> str:
    return str(member.get("nick") or user.get("global_name") or user["username"])


def find_menu_entry(menu: Menu, label: str) -> tuple[Declaration, MenuEntry] | None:
    """Return the command with this label in the menu of a message, and the entry."""
    declarations = (form.declaration for form in menu)
    entries = ((declaration, entry) for declaration in declarations for entry in declaration.menu_entries)
    return next((found for found in entries if found[1].label == label), None)


async def list_suggestions(services: Services, invocation: SlashInvocation, user: User) -> list[Payload]:
    """Return at most 25 choices for the typed option, soon: Discord waits three seconds and allows no defer."""
    try:
        option = find_command(services.menu, invocation.command).declaration.option(invocation.focused_option)
    except UserError:
        return []
    if option is None:
        return []
    typed = str(invocation.options.get(invocation.focused_option, ""))
    if option.autocomplete is not None:
        given = {name: value for name, value in invocation.options.items() if name != invocation.focused_option}
        services = await services.prepare_suggestions(option, user, typed)
        choices = [(choice.label, choice.value) for choice in option.autocomplete(services, typed, given)]
    else:
        choices = [(choice, choice) for choice in option.choices if typed.lower() in choice.lower()]
    # Discord refuses the whole list for one value over the limit.
    read = int if option.kind is OptionKind.INTEGER else str
    fitting = [{"name": label[:_LONGEST_CHOICE], "value": read(value)} for label, value in choices if _fits(value)]
    return fitting[:MAX_CHOICES]


def _fits(value: str) -> bool:
    return len(value) <= _LONGEST_CHOICE


class DiscordCommands:
    """Answers commands. Files of open forms are remembered until the forms are submitted."""

    def __init__(self, context: InteractionContext) -> None:
        self._context = context
        self._reader = DiscordMessageReader(context.users, context.files)
        self._menu = context.dispatcher.services.menu
        self._given_files: RecentItems[str, GivenFiles] = RecentItems(_MOST_OPEN_FORMS)

    async def handle_slash(self, interaction: discord.Interaction) -> None:
        call = parse_slash_command(_read_data(interaction))
        try:
            declaration = find_command(self._menu, call.command).declaration
        except UserError as error:
            await self._context.responder.refuse(interaction, str(error))
            return
        files = {name: self._context.files.attach(raw) for name, raw in call.files.items()}
        await self._answer(interaction, declaration, call.options, files, member_names=call.member_names)

    async def handle_message_command(self, interaction: discord.Interaction) -> None:
        """Answer a command from the menu of a message: at once, or with a form if the command needs text."""
        data = _read_data(interaction)
        found = find_menu_entry(self._menu, str(data["name"]))
        message = data.get("resolved", {}).get("messages", {}).get(str(data.get("target_id")), {})
        if found is None or found[0].file_option is None:
            await self._context.responder.refuse(interaction, "I do not know that command any more.")
            return
        declaration, entry = found
        given = self._context.files.list_given(message, declaration.message_media)
        if not given:
            await self._context.responder.refuse(interaction, declaration.explain_no_file())
        elif needs_text(declaration):
            await self._open_form(interaction, declaration, given)
        else:
            await self._answer_with_files(interaction, declaration, given, entry.options)

    async def handle_submission(self, interaction: discord.Interaction, command: str, message_id: str) -> None:
        """Answer the submitted form of a message command."""
        declaration = find_command(self._menu, command).declaration
        options = parse_form(_read_data(interaction))
        files = self._given_files.get(_build_files_key(interaction, message_id))
        files = files or await self._fetch_files(interaction, declaration, message_id)
        if not files:
            await self._context.responder.refuse(
                interaction, quote_form_input(format_error(UserError(_OLD_FORM)), options).text
            )
            return
        await self._answer_with_files(interaction, declaration, files, options, form_input=options)

    async def _answer_with_files(
        self,
        interaction: discord.Interaction,
        declaration: Declaration,
        given: GivenFiles,
        options: Mapping[str, OptionValue],
        *,
        form_input: Mapping[str, OptionValue] | None = None,
    ) -> None:
        """Answer a command with the files of a message: links become options, attachments files."""
        try:
            named = declaration.assign_files(given)
        except UserError as error:
            reply = format_error(error)
            await self._context.responder.refuse(interaction, quote_form_input(reply, form_input or {}).text)
            return
        links = {name: file.url for name, file in named.items() if isinstance(file, Link)}
        files = {name: file for name, file in named.items() if isinstance(file, Attachment)}
        await self._answer(interaction, declaration, {**options, **links}, files, form_input=form_input)

    async def _open_form(self, interaction: discord.Interaction, declaration: Declaration, given: GivenFiles) -> None:
        data = _read_data(interaction)
        message_id, label = str(data["target_id"]), str(data["name"])
        self._given_files[_build_files_key(interaction, message_id)] = given
        draft = FormDraft(declaration, {}, label, get_form_option_names(declaration.name))
        custom_id = build_custom_id(declaration.name, message_id, prefix=ASK_PREFIX)
        form = render_modal(draft, custom_id, self._context.dispatcher.services)
        await self._context.responder.respond(interaction, FORM_RESPONSE, form)

    async def _fetch_files(
        self, interaction: discord.Interaction, declaration: Declaration, message_id: str
    ) -> GivenFiles:
        """Return a message's files after a restart; an empty list if the bot cannot read the message."""
        if not message_id.isdecimal() or interaction.channel_id is None:
            return []
        try:
            message = await self._context.api.get_message(interaction.channel_id, message_id)
        except DELIVERY_ERRORS:
            return []
        return self._context.files.list_given(message, declaration.message_media)

    async def _answer(
        self,
        interaction: discord.Interaction,
        declaration: Declaration,
        options: Mapping[str, OptionValue],
        files: Mapping[str, Attachment],
        *,
        form_input: Mapping[str, OptionValue] | None = None,
        member_names: Mapping[str, str] | None = None,
    ) -> None:
        context = self._context
        is_ask = declaration.task is not None
        response = context.responder.begin(interaction, is_private=declaration.is_private, is_ask=is_ask)
        # The response claims a command that no request key protects from a second process, and its answer is private in
        # any case. An ask is committed first: its job, or the refusal, is the response.
        if not is_ask and not await context.responder.defer_pending(response):
            return

        async def handle() -> tuple[MessageRef, Reply | None]:
            try:
                user = await context.users.get_interaction_user(interaction, is_anywhere=declaration.works_anywhere)
            except UserError as error:
                return build_first_message_ref(response, build_channel(interaction.channel, "")), format_error(error)
            channel = build_channel(interaction.channel, user.workspace)
            message = build_first_message_ref(response, channel)
            names = (member_names or {}).items()
            invocation = Invocation(
                user=user,
                channel=_choose_conversation(interaction, channel) if declaration.task is Task.CHAT else channel,
                command=declaration.name,
                request_key=build_request_key(interaction),
                options=await self._name_mentions(interaction, declaration, options, dict(names)),
                attachments=files,
                placeholder=message,
                is_private=declaration.is_private,
                find_file=lambda kinds: self._reader.find_last_file(interaction.channel, kinds),
                mentioned_users=tuple(User(NAME, user.workspace, id_, name) for id_, name in names),
            )
            return message, await context.dispatcher.handle(invocation)

        answer = await context.responder.run(response, handle())
        # From here on a job shows its own messages; only a reply without a job is shown below.
        if answer is not None:
            message, reply = answer
            reply = quote_form_input(reply, form_input) if reply is not None and form_input is not None else reply
            await context.replies.show(response, message, reply)

    async def _name_mentions(
        self,
        interaction: discord.Interaction,
        declaration: Declaration,
        options: Mapping[str, OptionValue],
        member_names: Mapping[str, str],
    ) -> dict[str, OptionValue]:
        """Return the options with names for the ids of people and channels in words."""
        text = " ".join(str(value) for value in options.values())
        known = {int(id_): name for id_, name in member_names.items()} | {
            interaction.user.id: interaction.user.display_name
        }
        names = await self._context.users.find_names(interaction.guild, find_user_ids(text), known)
        return convert_words(declaration, options, lambda words: replace_mentions(words, names, interaction.guild))


def _choose_conversation(interaction: discord.Interaction, channel: Channel) -> Channel:
    """Return the place of a conversation: the thread, the direct messages, or the coming answer in a channel."""
    if channel.thread or is_direct(interaction):
        return channel
    return replace(channel, thread=build_request_key(interaction), is_reply_chain=True)


def _build_files_key(interaction: discord.Interaction, message_id: str) -> str:
    # With the channel: a forged message id reaches no file of another channel.
    return f"{interaction.channel_id}:{message_id}"


def _read_data(interaction: discord.Interaction) -> Mapping[str, Any]:
    return interaction.data or {}
