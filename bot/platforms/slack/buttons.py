"""Buttons, and the forms that some of them open. A button says its job: any process can answer it, for ever."""

from collections.abc import Mapping
from typing import Any

from bot.core.jobs import OPEN_STATES, Job
from bot.core.people import User
from bot.core.replies import Button, Reply
from bot.dispatch.button_actions import FORM_ACTIONS, ButtonPress
from bot.dispatch.confirmation import CONFIRMATION_ACTIONS as ANSWERS
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

_JOBS_LOOKED_AT = 50
_FORM_SECONDS = 1.0


class SlackButtons:
    """What happens when somebody presses something."""

    def __init__(
        self, asking: SlackReplies, commands: SlackCommands, people: SlackUsers, files: SlackFiles, database: Database
    ) -> None:
        self._asking = asking
        self._commands = commands
        self._people = people
        self._files = files
        self._database = database

    async def handle_press(self, body: Body, team: str) -> None:
        """A button on a message."""
        button = parse_button(body["actions"][0])
        if button is None:
            return
        container, message = body.get("container") or {}, body.get("message") or {}
        channel = str((body.get("channel") or {}).get("id") or container.get("channel_id") or "")
        ts = str(container.get("message_ts") or message.get("ts") or "")
        thread = find_thread(message) or str(container.get("thread_ts") or "").replace(ts, "")
        aside = self._asking.platform.ephemeral_replies.create_target(body, team, channel, thread)
        if button.action == "cancel" and not button.job:
            if not await self.cancel_thread_jobs(
                team, channel, ts, str(body["user"]["id"]), str(body["trigger_id"]), aside
            ):
                await self._asking.report_nothing_running(aside, message)
            return
        origin = SlackFormOrigin("", channel, thread, button.action, button.job, button.n, ts)
        # A form has three seconds to open; what is sent with it is checked in full then.
        user = await self._user(body, team, patience=_FORM_SECONDS if button.action in FORM_ACTIONS else None)
        await self._press(body, user, origin, aside)

    async def handle_submission(self, body: Body, team: str, origin: SlackFormOrigin) -> None:
        """A form that a button opened, filled in."""
        user = await self._user(body, team)
        aside = ReplyTarget(team, origin.channel, user.id, origin.thread)
        press = _press(body, user, team, origin)
        self._asking.platform.ephemeral_replies.remember(press.request_key, aside)
        files = read_files(body["view"], self._files, team)
        dispatcher = self._asking.dispatcher
        values = read_values(body["view"], find_command(dispatcher.services.menu, origin.command).declaration)
        reply = await dispatcher.submit_form(press, values, files)
        await self._asking.show(reply, aside, user, press.channel, press.request_key)

    async def cancel_thread_jobs(
        self, team: str, channel: str, thread: str, user: str, key: str, aside: ReplyTarget | None = None
    ) -> bool:
        """Stop what runs in a thread; gives whether anything did."""
        jobs = await self._open_jobs(team, channel, thread)
        who = await self._people.get_user(team, user)
        aside = aside or ReplyTarget(team, channel, user, thread)
        for n, job in enumerate(jobs):
            place = create_channel(team, channel, thread)
            press = ButtonPress(who, place, "cancel", job.id, 0, f"slack:{key}:{n}", thread)
            await self._asking.show(
                await self._asking.dispatcher.handle_press(press), aside, who, place, press.request_key
            )
        return bool(jobs)

    async def _press(self, body: Body, user: User, origin: SlackFormOrigin, aside: ReplyTarget) -> None:
        press = _press(body, user, aside.team, origin)
        dispatcher = self._asking.dispatcher
        if press.action not in FORM_ACTIONS:
            self._asking.platform.ephemeral_replies.remember(press.request_key, aside)
            reply = await dispatcher.handle_press(press)
            if press.action in ANSWERS and (body.get("container") or {}).get("is_ephemeral"):
                await self._asking.platform.ephemeral_replies.delete_original(aside)
            await self._asking.show(reply, aside, user, press.channel, press.request_key)
            return
        draft = await dispatcher.open_form(press)
        if isinstance(draft, Reply):
            await self._asking.show(draft, aside, user, press.channel, press.request_key)
            return
        form = SlackFormOrigin(
            draft.declaration.name, origin.channel, origin.thread, origin.action, origin.job, origin.n, origin.message
        )
        await self._commands.open_form(
            body, aside, draft.declaration, form, draft.values, title=draft.title, asks_for=draft.option_names
        )

    async def _open_jobs(self, team: str, channel: str, thread: str) -> list[Job]:
        async with self._database.read() as tx:
            jobs = await tx.jobs.list_recent_in_channel(NAME, team, channel, _JOBS_LOOKED_AT)
        return [job for job in jobs if job.channel.thread == thread and job.state in OPEN_STATES]

    async def _user(self, body: Body, team: str, patience: float | None = None) -> User:
        told = body.get("user") or {}
        home, name = str(told.get("team_id") or ""), str(told.get("name") or "")
        return await self._people.get_user(team, str(told.get("id")), home=home, name=name, timeout_seconds=patience)


def _press(body: Body, user: User, team: str, origin: SlackFormOrigin) -> ButtonPress:
    button = Button(origin.action, "", origin.job, origin.n)
    channel = create_channel(team, origin.channel, origin.thread)
    return ButtonPress(
        user, channel, button.action, button.job, button.n, f"slack:{body['trigger_id']}", origin.message
    )
