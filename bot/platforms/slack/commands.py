"""Slash commands and shortcuts: typed text as an invocation, or a form where something is missing."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from bot.core.errors import UserError
from bot.core.invocations import Attachment, Invocation
from bot.core.people import User
from bot.core.replies import Reply, Tone
from bot.dispatch.declaration import Declaration, OptionKind
from bot.dispatch.parsing import Menu, ParsedCommand, find_command, parse_command
from bot.platforms.slack.ephemeral import ReplyTarget, SlackEphemeralReplies
from bot.platforms.slack.forms import SlackFormOrigin, find_errors, parse_origin, read_files, read_values, render_modal
from bot.platforms.slack.mrkdwn import unescape
from bot.platforms.slack.replies import SlackReplies, create_channel
from bot.platforms.slack.uploads import SlackFiles
from bot.platforms.slack.users import SlackUsers
from bot.platforms.slack.web_api import CallRefused, SlackWebApi

log = logging.getLogger(__name__)

PICTURE_SHORTCUT = "picture:"
FORM_SHORTCUT = "form:"

Body = Mapping[str, Any]

_MEMBER = re.compile(r"(?:<@)?([UW][A-Z0-9]{5,})(?:\|[^>]*)?>?")
"""Somebody as Slack writes them into a text, or as a form gives them."""


class SlackCommands:
    """What people type after a slash, and choose from the menus of Slack. `prefix` stands before each of our names."""

    def __init__(
        self, asking: SlackReplies, calls: SlackWebApi, people: SlackUsers, files: SlackFiles, prefix: str
    ) -> None:
        self._asking = asking
        self._calls = calls
        self._people = people
        self._files = files
        self._prefix = prefix

    async def handle_slash(self, body: Body, team: str) -> None:
        """A command with what was typed after it."""
        aside = self._asides.create_target(body, team, str(body["channel_id"]))
        try:
            call = parse_command(self._line(body), self._menu)
        except UserError as error:
            await self._asking.send_error(error, aside)
            return
        declaration = find_command(self._menu, call.command).declaration
        if _is_missing_something(declaration, call):
            origin = SlackFormOrigin(call.command, aside.channel)
            await self.open_form(body, aside, declaration, origin, call.options)
            return
        user = await self._user(body, team)
        place, key = create_channel(team, aside.channel), f"slack:{body['trigger_id']}"
        named = await self._named(declaration, call.options, team)
        await self._asking.answer(
            Invocation(user, place, call.command, key, call.options, mentioned_users=named), aside
        )

    async def handle_picture_shortcut(self, body: Body, team: str) -> None:
        """A command chosen on a message: its picture is the one that is meant, and the answer goes into its thread."""
        message = body.get("message") or {}
        thread = str(message.get("thread_ts") or message.get("ts") or "")
        aside = self._asides.create_target(body, team, str(body["channel"]["id"]), thread)
        command = str(body["callback_id"]).removeprefix(PICTURE_SHORTCUT)
        told = [file for file in message.get("files") or () if _is_picture(self._files.create_attachment(team, file))]
        try:
            declaration = find_command(self._menu, command).declaration
        except UserError as error:
            await self._asking.send_error(error, aside)
            return
        if not told or declaration.file_option is None:
            text = "There is no picture in that message. Choose one that shows a picture as a file."
            await self._asides.send(aside, Reply(text=text, tone=Tone.ERROR, is_private=True))
            return
        if any(option.is_required and option.kind is not OptionKind.FILE for option in declaration.options):
            origin = SlackFormOrigin(command, aside.channel, thread, file=told[0])
            await self.open_form(body, aside, declaration, origin)
            return
        user = await self._user(body, team)
        attachments = {declaration.file_option.name: self._files.create_attachment(team, told[0])}
        channel, key = create_channel(team, aside.channel, thread), f"slack:{body['trigger_id']}"
        await self._asking.answer(Invocation(user, channel, command, key, {}, attachments), aside)

    async def open_shortcut_form(self, body: Body, team: str) -> None:
        """A form chosen from the menu of shortcuts, which knows no channel: the answer goes to the person's DM."""
        command = str(body["callback_id"]).removeprefix(FORM_SHORTCUT)
        aside = ReplyTarget(team, "", str(body["user"]["id"]))
        declaration = find_command(self._menu, command).declaration
        await self.open_form(body, aside, declaration, SlackFormOrigin(command))

    async def open_form(
        self,
        body: Body,
        aside: ReplyTarget,
        declaration: Declaration,
        origin: SlackFormOrigin,
        values: Mapping[str, Any] | None = None,
        *,
        title: str = "",
        asks_for: tuple[str, ...] = (),
    ) -> None:
        """Open a modal. Its trigger lives three seconds, so nothing comes before this."""
        services = self._asking.dispatcher.services
        view = render_modal(declaration, services, origin, values=values, title=title, asks_for=asks_for)
        try:
            await self._calls.call(aside.team, "views.open", trigger_id=str(body["trigger_id"]), view=view)
        except CallRefused as error:
            log.info("slack.form_not_opened", extra={"command": declaration.name, "reason": error.code})
            text = f"The form could not be opened in time. Try again, or type it after /{declaration.name}."
            await self._asides.send(aside, Reply(text=text, tone=Tone.ERROR, is_private=True))

    def find_form_errors(self, body: Body) -> dict[str, str]:
        """What is wrong with a form that was sent, by field."""
        origin = parse_origin(body["view"])
        return find_errors(body["view"], origin, self._menu) if origin is not None else {}

    async def handle_submission(self, body: Body, team: str, origin: SlackFormOrigin) -> None:
        """A form of a command, filled in."""
        user, view = await self._user(body, team), body["view"]
        channel = origin.channel
        if not channel:
            direct = await self._asking.platform.find_direct_channel(team, user.id)
            channel = direct.id if direct else ""
        aside = ReplyTarget(team, channel, user.id, origin.thread)
        declaration = find_command(self._menu, origin.command).declaration
        options = {name: value for name, value in read_values(view, declaration).items() if value != ""}
        attachments: dict[str, Attachment] = read_files(view, self._files, team)
        declared = declaration.file_option
        if origin.file and declared is not None:
            attachments[declared.name] = self._files.create_attachment(team, origin.file)
        place, key = create_channel(team, channel, origin.thread), f"slack:{body['trigger_id']}"
        named = await self._named(declaration, options, team)
        await self._asking.answer(
            Invocation(user, place, origin.command, key, options, attachments, mentioned_users=named), aside
        )

    async def _named(self, declaration: Declaration, options: Mapping[str, object], team: str) -> tuple[User, ...]:
        """Members of this workspace whom options name, who need not have used the bot yet."""
        given = [str(options.get(one.name, "")) for one in declaration.options if one.kind is OptionKind.PERSON]
        found = [await self._people.find_member(team, match[1]) for text in given if (match := _MEMBER.fullmatch(text))]
        return tuple(user for user in found if user is not None)

    @property
    def _menu(self) -> Menu:
        return self._asking.dispatcher.services.menu

    @property
    def _asides(self) -> SlackEphemeralReplies:
        return self._asking.platform.ephemeral_replies

    def _line(self, body: Body) -> str:
        name = str(body["command"]).removeprefix("/")
        return f"/{name.removeprefix(self._prefix)} {unescape(str(body.get('text') or ''))}".rstrip()

    async def _user(self, body: Body, team: str) -> User:
        told = body.get("user") or {}
        user = str(body.get("user_id") or told.get("id") or "")
        home = str(told.get("team_id") or (body.get("team_id") if body.get("user_id") else "") or "")
        return await self._people.get_user(
            team, user, home=home, name=str(body.get("user_name") or told.get("name") or "")
        )


def _is_missing_something(declaration: Declaration, call: ParsedCommand) -> bool:
    return any(option.is_required and option.name not in call.options for option in declaration.options)


def _is_picture(file: Attachment) -> bool:
    return file.mime.startswith("image/")
