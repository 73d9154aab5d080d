"""Routes slack-bolt's events: the work runs as a background task, and is acknowledged once it is committed.

Slack wants an acknowledgement within three seconds. Slack sends an unacknowledged event again, at once, after a minute
and after five minutes: after a crash the next process gets the event. A command, press or form is not sent again; Slack
tells the person that the request failed.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.dispatch.declaration import Services
from bot.dispatch.parsing import find_command
from bot.platforms.slack.buttons import SlackButtons
from bot.platforms.slack.chat import SlackChat
from bot.platforms.slack.commands import FILE_SHORTCUT, FORM_SHORTCUT, SlackCommands, read_sender
from bot.platforms.slack.forms import CALLBACK_ID, find_option, list_suggestions, parse_origin, read_values

log = logging.getLogger(__name__)

Ack = Callable[..., Awaitable[Any]]
Body = Mapping[str, Any]
Context = Mapping[str, Any]
RemovalListener = Callable[[str], Awaitable[None]]

EVENT_PATIENCE_SECONDS = 2.5
"""An event whose work takes longer is not acknowledged. Slack sends the event again; the repeat waits for the work."""

INTERACTION_PATIENCE_SECONDS = 1.0
"""A command, press or form whose work takes longer is acknowledged before its commit: Slack would report a failure."""

_ANYTHING = re.compile(".*", re.DOTALL)
_MAX_EVENTS = 20_000


class SlackEventRouter:
    """Connects slack-bolt's listeners to the handlers.

    `on_removed` is called with the id of a workspace that uninstalled the app.
    """

    def __init__(
        self,
        commands: SlackCommands,
        buttons: SlackButtons,
        chat: SlackChat,
        tasks: BackgroundTasks,
        services: Services,
        on_removed: RemovalListener,
    ) -> None:
        self._commands = commands
        self._buttons = buttons
        self._chat = chat
        self._tasks = tasks
        self._services = services
        self._on_removed = on_removed
        # Socket Mode delivers at least once, and slack-bolt filters no repetitions.
        self._events: RecentItems[str, asyncio.Task[None]] = RecentItems(_MAX_EVENTS)

    def register(self, app: AsyncApp) -> None:
        """Register every listener."""
        app.command(_ANYTHING)(self._handle_command)
        app.action(_ANYTHING)(self._handle_action)
        app.options(_ANYTHING)(self._suggest_options)
        app.view(CALLBACK_ID)(self._handle_submission)
        app.shortcut(re.compile(f"^{FILE_SHORTCUT}"))(self._handle_file_shortcut)
        app.shortcut(re.compile(f"^{FORM_SHORTCUT}"))(self._handle_form_shortcut)
        app.event("app_mention")(self._handle_mention)
        app.event("message")(self._handle_message)
        app.event("app_home_opened")(self._handle_home_opened)
        app.event("app_context_changed")(self._handle_context_changed)
        app.event("agent_session_stopped")(self._handle_session_stopped)
        app.event("app_uninstalled")(self._handle_uninstalled)
        app.event("tokens_revoked")(self._handle_tokens_revoked)
        # An event without a listener gets an error from slack-bolt, and Slack sends the event again.
        app.event(_ANYTHING)(_ignore)

    async def _handle_command(self, ack: Ack, body: Body, context: Context) -> None:
        await self._run(self._commands.handle_slash(body, _get_team(context, body)), "command")
        await ack()

    async def _handle_action(self, ack: Ack, body: Body, context: Context) -> None:
        team = _get_team(context, body)
        if body.get("type") == "block_actions" and "view" in body:
            await self._run(self._commands.update_form(body, team), "choice")
        elif body.get("type") == "block_actions":
            await self._run(self._buttons.handle_press(body, team), "press")
        await ack()

    async def _suggest_options(self, ack: Ack, body: Body, context: Context) -> None:
        """Answer with suggestions for typed text: the acknowledgement carries the suggestions."""
        origin = parse_origin(body.get("view") or {})
        option = find_option(str(body.get("action_id")), self._services.menu, origin) if origin else None
        suggestions = []
        if option is not None and origin is not None:
            given = read_values(body["view"], find_command(self._services.menu, origin.command).declaration)
            typed = str(body.get("value") or "")
            services = await self._services.prepare_suggestions(
                option, read_sender(body, _get_team(context, body)), typed
            )
            suggestions = list_suggestions(services, option, typed, given)
        await ack(options=suggestions)

    async def _handle_submission(self, ack: Ack, body: Body, context: Context) -> None:
        """Answer with the errors of a form, which keeps the form open, or close the form and handle the values."""
        errors, origin = self._commands.find_form_errors(body), parse_origin(body["view"])
        if origin is not None and not errors:
            errors = await self._buttons.find_form_errors(body, _get_team(context, body), origin)
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        if origin is not None:
            team = _get_team(context, body)
            handle = self._buttons.handle_submission if origin.action else self._commands.handle_submission
            await self._run(handle(body, team, origin), "form")
        await ack()

    async def _handle_file_shortcut(self, ack: Ack, body: Body, context: Context) -> None:
        await self._run(self._commands.handle_file_shortcut(body, _get_team(context, body)), "shortcut")
        await ack()

    async def _handle_form_shortcut(self, ack: Ack, body: Body, context: Context) -> None:
        await self._run(self._commands.open_shortcut_form(body, _get_team(context, body)), "shortcut")
        await ack()

    async def _handle_mention(self, body: Body, context: Context) -> BoltResponse | None:
        team = _get_team(context, body)
        return await self._accept(body, lambda: self._chat.handle_message(body["event"], team, is_mention=True))

    async def _handle_message(self, body: Body, context: Context) -> BoltResponse | None:
        team = _get_team(context, body)
        return await self._accept(body, lambda: self._chat.handle_message(body["event"], team, is_mention=False))

    async def _handle_home_opened(self, body: Body, context: Context) -> BoltResponse | None:
        return await self._accept(body, lambda: self._chat.handle_home_opened(body["event"], _get_team(context, body)))

    async def _handle_context_changed(self, body: Body, context: Context) -> BoltResponse | None:
        team = _get_team(context, body)
        return await self._accept(body, lambda: self._chat.handle_context_changed(body["event"], team))

    async def _handle_session_stopped(self, body: Body, context: Context) -> BoltResponse | None:
        return await self._accept(body, lambda: self._chat.handle_stop(body["event"], _get_team(context, body)))

    async def _handle_uninstalled(self, body: Body, context: Context) -> None:
        await self._on_removed(_get_team(context, body))

    async def _handle_tokens_revoked(self, body: Body, context: Context) -> None:
        # The event also reports revoked tokens of users, which the bot does not use.
        if (body["event"].get("tokens") or {}).get("bot"):
            await self._on_removed(_get_team(context, body))

    async def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start the work of an interaction; return once the work is done, or takes longer than the patience."""
        await asyncio.wait({self._tasks.spawn(work, name)}, timeout=INTERACTION_PATIENCE_SECONDS)

    async def _accept(self, body: Body, create_work: Callable[[], Coroutine[Any, Any, None]]) -> BoltResponse | None:
        """Do the work of an event once, also for repeats. Return a failure, without an acknowledgement, if it lasts."""
        event_id = str(body.get("event_id") or "")
        task = self._events.get(event_id)
        if task is None:
            task = self._tasks.spawn(create_work(), str(body["event"].get("type")))
            if event_id:
                self._events[event_id] = task
        else:
            log.info("slack.event_repeated", extra={"event": event_id})
        await asyncio.wait({task}, timeout=EVENT_PATIENCE_SECONDS)
        return None if task.done() else BoltResponse(status=503)


async def _ignore() -> None:
    """Ignore an event. With a listener, Slack and slack-bolt count the event as handled."""


def _get_team(context: Context, body: Body) -> str:
    """Return the workspace whose installation received a payload."""
    result = context.get("authorize_result") or {}
    return str(result.get("team_id") or context.get("team_id") or body.get("team_id") or "")
