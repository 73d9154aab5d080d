"""Handles presses of buttons, and submissions of button forms.

A button carries its job's id, so any process can handle a press at any time.
"""

from collections.abc import Mapping
from typing import Any

from bot.core.jobs import OPEN_STATES, Job
from bot.core.people import User
from bot.core.replies import Reply
from bot.dispatch.button_actions import FORM_ACTIONS, ButtonPress
from bot.dispatch.confirmation import CONFIRMATION_ACTIONS, FILL
from bot.dispatch.parsing import find_command
from bot.platforms.slack.commands import SlackCommands
from bot.platforms.slack.ephemeral import ReplyTarget
from bot.platforms.slack.forms import SlackFormOrigin, read_files, read_values
from bot.platforms.slack.installations import NAME
from bot.platforms.slack.messages import parse_button
from bot.platforms.slack.replies import SlackReplies, create_channel, find_thread
from bot.platforms.slack.uploads import SlackFiles
from bot.platforms.slack.users import SlackUsers
from bot.storage.database import Database

Body = Mapping[str, Any]

_MAX_RECENT_JOBS = 50
_FORM_PATIENCE_SECONDS = 1.0


class SlackButtons:
    """Handles block actions and submitted button forms."""

    def __init__(
        self,
        replies: SlackReplies,
        commands: SlackCommands,
        users: SlackUsers,
        files: SlackFiles,
        database: Database,
    ) -> None:
        self._replies = replies
        self._commands = commands
        self._users = users
        self._files = files
        self._database = database

    async def handle_press(self, body: Body, team: str) -> None:
        """Handle a payload of type `block_actions`."""
        button = parse_button(body["actions"][0])
        if button is None:
            return
        container, message = body.get("container") or {}, body.get("message") or {}
        channel = str((body.get("channel") or {}).get("id") or container.get("channel_id") or "")
        ts = str(container.get("message_ts") or message.get("ts") or "")
        thread = find_thread(message) or str(container.get("thread_ts") or "").replace(ts, "")
        target = self._replies.platform.ephemeral_replies.create_target(body, team, channel, thread)
        if button.action == "cancel" and not button.job:
            # The Stop button of a thread root: the jobs run in the thread below the pressed message.
            user_id, request_id = str(body["user"]["id"]), str(body["trigger_id"])
            if not await self.cancel_thread_jobs(team, channel, ts, user_id, request_id, target):
                await self._replies.report_nothing_running(target, message)
            return
        origin = SlackFormOrigin("", channel, thread, button.action, button.job, button.n, ts)
        # A modal must open within three seconds of the press; the submission checks the user's rank in full.
        timeout_seconds = _FORM_PATIENCE_SECONDS if button.action in FORM_ACTIONS else None
        user = await self._get_user(body, team, timeout_seconds)
        await self._press(body, user, origin, target)

    async def handle_submission(self, body: Body, team: str, origin: SlackFormOrigin) -> None:
        """Handle the submission of a button's form."""
        user = await self._get_user(body, team)
        target = ReplyTarget(team, origin.channel, user.id, origin.thread)
        press = _create_press(body, user, team, origin)
        self._replies.platform.ephemeral_replies.remember(press.request_key, target)
        files = read_files(body["view"], self._files, team)
        dispatcher = self._replies.dispatcher
        declaration = find_command(dispatcher.services.menu, origin.command).declaration
        if press.action == FILL:
            draft = await dispatcher.open_form(press)
            if isinstance(draft, Reply):
                await self._replies.show(draft, target, user, press.channel, press.request_key)
                return
            declaration = draft.declaration
        values = read_values(body["view"], declaration)
        reply = await dispatcher.submit_form(press, values, files)
        await self._replies.show(reply, target, user, press.channel, press.request_key)

    async def find_form_errors(self, body: Body, team: str, origin: SlackFormOrigin) -> dict[str, str]:
        """Return the errors of a submitted form of a question by field; empty for another form."""
        if origin.action != FILL:
            return {}
        press = _create_press(body, await self._get_user(body, team, _FORM_PATIENCE_SECONDS), team, origin)
        draft = await self._replies.dispatcher.open_form(press)
        if isinstance(draft, Reply):
            return {}  # the submission says why
        errors = await self._replies.dispatcher.check_form(press, read_values(body["view"], draft.declaration))
        fields = {block["block_id"] for block in body["view"].get("blocks") or () if block.get("type") == "input"}
        return {name: text for name, text in errors.items() if name in fields}

    async def cancel_thread_jobs(
        self, team: str, channel: str, thread: str, user_id: str, request_id: str, target: ReplyTarget | None = None
    ) -> bool:
        """Cancel the open jobs of a thread; return whether there were any."""
        jobs = await self._list_open_jobs(team, channel, thread)
        user = await self._users.get_user(team, user_id)
        target = target or ReplyTarget(team, channel, user_id, thread)
        place = create_channel(team, channel, thread)
        for n, job in enumerate(jobs):
            press = ButtonPress(user, place, "cancel", job.id, 0, f"slack:{request_id}:{n}", thread)
            reply = await self._replies.dispatcher.handle_press(press)
            await self._replies.show(reply, target, user, place, press.request_key)
        return bool(jobs)

    async def _press(self, body: Body, user: User, origin: SlackFormOrigin, target: ReplyTarget) -> None:
        press = _create_press(body, user, target.team, origin)
        dispatcher = self._replies.dispatcher
        if press.action not in FORM_ACTIONS:
            self._replies.platform.ephemeral_replies.remember(press.request_key, target)
            reply = await dispatcher.handle_press(press)
            if press.action in CONFIRMATION_ACTIONS and (body.get("container") or {}).get("is_ephemeral"):
                await self._replies.platform.ephemeral_replies.delete_original(target)
            await self._replies.show(reply, target, user, press.channel, press.request_key)
            return
        draft = await dispatcher.open_form(press)
        if isinstance(draft, Reply):
            await self._replies.show(draft, target, user, press.channel, press.request_key)
            return
        form = SlackFormOrigin(
            draft.declaration.name, origin.channel, origin.thread, origin.action, origin.job, origin.n, origin.message
        )
        await self._commands.open_form(
            body,
            target,
            draft.declaration,
            form,
            draft.values,
            title=draft.title,
            option_names=draft.option_names,
            asks_files=draft.asks_files,
        )

    async def _list_open_jobs(self, team: str, channel: str, thread: str) -> list[Job]:
        async with self._database.read() as tx:
            jobs = await tx.jobs.list_recent_in_channel(NAME, team, channel, _MAX_RECENT_JOBS)
        return [job for job in jobs if job.channel.thread == thread and job.state in OPEN_STATES]

    async def _get_user(self, body: Body, team: str, timeout_seconds: float | None = None) -> User:
        user = body.get("user") or {}
        home, name = str(user.get("team_id") or ""), str(user.get("name") or "")
        return await self._users.get_user(
            team, str(user.get("id")), home=home, name=name, timeout_seconds=timeout_seconds
        )


def _create_press(body: Body, user: User, team: str, origin: SlackFormOrigin) -> ButtonPress:
    channel = create_channel(team, origin.channel, origin.thread)
    request_key = f"slack:{body['trigger_id']}"
    return ButtonPress(user, channel, origin.action, origin.job, origin.n, request_key, origin.message)
