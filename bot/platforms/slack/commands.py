"""Handles slash commands, shortcuts, and submitted command forms; opens a form where a required option is missing."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from bot.core.errors import UserError
from bot.core.file_types import format_kinds
from bot.core.invocations import Attachment, Invocation
from bot.core.people import User, Workspace
from bot.core.replies import Reply, Tone
from bot.dispatch.confirmation import FILL
from bot.dispatch.declaration import Declaration, OptionKind
from bot.dispatch.parsing import Menu, ParsedCommand, find_command, parse_command
from bot.dispatch.plain_text import convert_words
from bot.platforms.slack.ephemeral import ReplyTarget, SlackEphemeralReplies
from bot.platforms.slack.errors import CallRefused, CallUnclear
from bot.platforms.slack.forms import (
    SlackFormOrigin,
    find_errors,
    list_shown_options,
    parse_origin,
    read_files,
    read_values,
    render_modal,
)
from bot.platforms.slack.incoming import SlackMessageReader
from bot.platforms.slack.installations import NAME
from bot.platforms.slack.mrkdwn import replace_mentions, unescape
from bot.platforms.slack.replies import SlackReplies, create_channel
from bot.platforms.slack.uploads import SlackFiles
from bot.platforms.slack.users import SlackUsers
from bot.platforms.slack.web_api import SlackWebApi

log = logging.getLogger(__name__)

FILE_SHORTCUT = "picture:"
FORM_SHORTCUT = "form:"
_SEARCH_SECONDS = 1.0

Body = Mapping[str, Any]

# A user in typed text (`<@U…|name>`) or from a form's menu (`U…`).
_USER = re.compile(r"(?:<@)?([UW][A-Z0-9]{5,})(?:\|[^>]*)?>?")


class SlackCommands:
    """Handles commands from all entry points. `prefix` is the prefix of our slash command names in the manifest."""

    def __init__(
        self,
        replies: SlackReplies,
        web_api: SlackWebApi,
        users: SlackUsers,
        files: SlackFiles,
        reader: SlackMessageReader,
        prefix: str,
    ) -> None:
        self._replies = replies
        self._web_api = web_api
        self._users = users
        self._files = files
        self._reader = reader
        self._prefix = prefix

    async def handle_slash(self, body: Body, team: str) -> None:
        """Handle a slash command."""
        target = self._ephemeral_replies.create_target(body, team, str(body["channel_id"]))
        try:
            parsed = parse_command(self._get_command_text(body), self._menu)
        except UserError as error:
            await self._replies.send_error(error, target)
            return
        declaration = find_command(self._menu, parsed.command).declaration
        names = await self._users.get_names(team, str(body.get("text") or ""))
        options = convert_words(declaration, parsed.options, lambda words: replace_mentions(words, names))
        attachments = await self._find_last_file(declaration, parsed, target)
        if _lacks_required_option(declaration, {**options, **attachments}):
            origin = SlackFormOrigin(parsed.command, target.channel)
            await self.open_form(body, target, declaration, origin, options)
            return
        invocation = Invocation(
            await self._get_user(body, team),
            create_channel(team, target.channel),
            parsed.command,
            f"slack:{body['trigger_id']}",
            options,
            attachments,
            mentioned_users=await self._find_mentioned_users(declaration, options, team),
        )
        await self._replies.answer(invocation, target)

    async def _find_last_file(
        self, declaration: Declaration, parsed: ParsedCommand, target: ReplyTarget
    ) -> dict[str, Attachment]:
        """Return the last file of the channel for a required file that was left out; empty if there is none."""
        option = declaration.file_option
        if option is None or not option.is_required or option.name in parsed.options:
            return {}
        # A form opens within three seconds of the command only.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SEARCH_SECONDS):
                file = await self._reader.find_last_file(target.team, target.channel, option.media)
                return {option.name: file} if file is not None else {}
        return {}

    async def handle_file_shortcut(self, body: Body, team: str) -> None:
        """Handle a shortcut on a message: the command takes the message's file and answers in the same thread."""
        message = body.get("message") or {}
        thread = str(message.get("thread_ts") or message.get("ts") or "")
        target = self._ephemeral_replies.create_target(body, team, str(body["channel"]["id"]), thread)
        command, _, label = str(body["callback_id"]).removeprefix(FILE_SHORTCUT).partition(":")
        try:
            declaration = find_command(self._menu, command).declaration
            found = [(file, self._files.create_attachment(team, file)) for file in message.get("files") or ()]
            fitting = [(file, given) for file, given in found if given.kind in declaration.message_media]
            named = declaration.assign_files([given for _, given in fitting])
        except UserError as error:
            await self._replies.send_error(error, target)
            return
        if not fitting:
            kinds = format_kinds(declaration.message_media)
            text = f"{declaration.explain_no_file()} Choose one that shows {kinds} as a file."
            await self._ephemeral_replies.send(target, Reply(text=text, tone=Tone.ERROR, is_private=True))
            return
        if any(option.is_required and option.kind is not OptionKind.FILE for option in declaration.options):
            origin = SlackFormOrigin(command, target.channel, thread, files=tuple(file for file, _ in fitting))
            await self.open_form(body, target, declaration, origin)
            return
        presets = (entry.options for entry in declaration.menu_entries if entry.label == label)
        invocation = Invocation(
            await self._get_user(body, team),
            create_channel(team, target.channel, thread),
            command,
            f"slack:{body['trigger_id']}",
            dict(next(presets, {})),
            named,
        )
        await self._replies.answer(invocation, target)

    async def open_shortcut_form(self, body: Body, team: str) -> None:
        """Open a form from the menu of global shortcuts. Without a channel the answer goes to direct messages."""
        command = str(body["callback_id"]).removeprefix(FORM_SHORTCUT)
        target = ReplyTarget(team, "", str(body["user"]["id"]))
        declaration = find_command(self._menu, command).declaration
        await self.open_form(body, target, declaration, SlackFormOrigin(command))

    async def open_form(
        self,
        body: Body,
        target: ReplyTarget,
        declaration: Declaration,
        origin: SlackFormOrigin,
        values: Mapping[str, Any] | None = None,
        *,
        title: str = "",
        option_names: tuple[str, ...] = (),
        asks_files: bool = False,
    ) -> None:
        """Open a modal. A trigger lives three seconds, so callers do as little as possible before."""
        view = await self._render_form(
            read_sender(body, target.team),
            declaration,
            origin,
            values or {},
            title,
            option_names,
            asks_files=asks_files,
        )
        try:
            await self._web_api.call(target.team, "views.open", trigger_id=str(body["trigger_id"]), view=view)
        except CallRefused as error:
            log.info("slack.form_not_opened", extra={"command": declaration.name, "reason": error.code})
            text = f"The form could not be opened in time. Try again, or type it after /{declaration.name}."
            await self._ephemeral_replies.send(target, Reply(text=text, tone=Tone.ERROR, is_private=True))

    async def update_form(self, body: Body, team: str) -> None:
        """Show the prices that follow a choice in an open form. What a person typed stays in the form."""
        view = body["view"]
        origin = parse_origin(view)
        if origin is None:
            return
        declaration = find_command(self._menu, origin.command).declaration
        values = {name: value for name, value in read_values(view, declaration).items() if value != ""}
        shown = list_shown_options(view)
        title = str(view["title"]["text"])
        updated = await self._render_form(read_sender(body, team), declaration, origin, values, title, shown)
        try:
            # With the hash, an update of an older choice does not overtake that of a newer one.
            await self._web_api.call(team, "views.update", view_id=view["id"], hash=view["hash"], view=updated)
        except (CallRefused, CallUnclear) as error:
            log.info("slack.form_not_updated", extra={"command": declaration.name, "reason": str(error)})

    async def _render_form(
        self,
        sender: User,
        declaration: Declaration,
        origin: SlackFormOrigin,
        values: Mapping[str, Any],
        title: str,
        option_names: Sequence[str],
        *,
        asks_files: bool = False,
    ) -> dict[str, Any]:
        shown = [option for option in declaration.options if not option_names or option.name in option_names]
        services = await self._replies.dispatcher.services.prepare_form(shown, sender)
        price = await services.describe_price(Workspace(NAME, sender.workspace), declaration, values)
        return render_modal(
            declaration,
            services,
            origin,
            values=values,
            title=title,
            option_names=option_names,
            price=price,
            asks_files=asks_files,
        )

    def find_form_errors(self, body: Body) -> dict[str, str]:
        """Return the errors of a submitted form by field."""
        origin = parse_origin(body["view"])
        # The form of a question has fields of its own: see `SlackButtons.find_form_errors`.
        is_of_command = origin is not None and origin.action != FILL
        return find_errors(body["view"], origin, self._menu) if origin is not None and is_of_command else {}

    async def handle_submission(self, body: Body, team: str, origin: SlackFormOrigin) -> None:
        """Handle the submission of a command's form."""
        user, view = await self._get_user(body, team), body["view"]
        channel = origin.channel
        if not channel:
            direct = await self._replies.platform.find_direct_channel(team, user.id)
            channel = direct.id if direct else ""
        declaration = find_command(self._menu, origin.command).declaration
        options = {name: value for name, value in read_values(view, declaration).items() if value != ""}
        attachments: dict[str, Attachment] = read_files(view, self._files, team)
        attachments |= declaration.assign_files([self._files.create_attachment(team, file) for file in origin.files])
        invocation = Invocation(
            user,
            create_channel(team, channel, origin.thread),
            origin.command,
            f"slack:{body['trigger_id']}",
            options,
            attachments,
            mentioned_users=await self._find_mentioned_users(declaration, options, team),
        )
        await self._replies.answer(invocation, ReplyTarget(team, channel, user.id, origin.thread))

    async def _find_mentioned_users(
        self, declaration: Declaration, options: Mapping[str, object], team: str
    ) -> tuple[User, ...]:
        """Return the members of this workspace named by options. A member may be new to the bot."""
        values = [str(options.get(one.name, "")) for one in declaration.options if one.kind is OptionKind.PERSON]
        matches = [match for value in values if (match := _USER.fullmatch(value))]
        members = [await self._users.find_member(team, match[1]) for match in matches]
        return tuple(user for user in members if user is not None)

    @property
    def _menu(self) -> Menu:
        return self._replies.dispatcher.services.menu

    @property
    def _ephemeral_replies(self) -> SlackEphemeralReplies:
        return self._replies.platform.ephemeral_replies

    def _get_command_text(self, body: Body) -> str:
        """Return the command as typed, without our prefix: `/imagine a fox`."""
        name = str(body["command"]).removeprefix("/").removeprefix(self._prefix)
        return f"/{name} {unescape(str(body.get('text') or ''))}".rstrip()

    async def _get_user(self, body: Body, team: str) -> User:
        sender = read_sender(body, team)
        return await self._users.get_user(team, sender.id, home=sender.workspace, name=sender.name)


def read_sender(body: Body, team: str) -> User:
    """Return the sender of a command or an interaction as far as the payload tells: without groups and ranks."""
    # Slash commands have flat fields, interactions an object `user`.
    user = body.get("user") or {}
    home = str(user.get("team_id") or (body.get("team_id") if body.get("user_id") else "") or "")
    name = str(body.get("user_name") or user.get("name") or "")
    return User(NAME, home or team, str(body.get("user_id") or user.get("id") or ""), name)


def _lacks_required_option(declaration: Declaration, given: Container[str]) -> bool:
    return any(option.is_required and option.name not in given for option in declaration.options)
