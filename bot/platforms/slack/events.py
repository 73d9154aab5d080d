"""Routes slack-bolt's events: each listener acknowledges at once and starts the work as a background task.

Slack wants an acknowledgement within three seconds, and repeats an unacknowledged event (but no interaction).
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.dispatch.declaration import Services
from bot.dispatch.parsing import find_command
from bot.platforms.slack.buttons import SlackButtons
from bot.platforms.slack.chat import SlackChat
from bot.platforms.slack.commands import FORM_SHORTCUT, PICTURE_SHORTCUT, SlackCommands
from bot.platforms.slack.forms import CALLBACK_ID, find_option, list_suggestions, parse_origin, read_values

log = logging.getLogger(__name__)

Ack = Callable[..., Awaitable[Any]]
Body = Mapping[str, Any]
Context = Mapping[str, Any]
RemovalListener = Callable[[str], Awaitable[None]]

_ANYTHING = re.compile(".*", re.DOTALL)
_MAX_EVENT_IDS = 20_000


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
        self._event_ids: RecentItems[str, None] = RecentItems(_MAX_EVENT_IDS)

    def register(self, app: AsyncApp) -> None:
        """Register every listener."""
        app.command(_ANYTHING)(self._handle_command)
        app.action(_ANYTHING)(self._handle_action)
        app.options(_ANYTHING)(self._suggest_options)
        app.view(CALLBACK_ID)(self._handle_submission)
        app.shortcut(re.compile(f"^{PICTURE_SHORTCUT}"))(self._handle_picture_shortcut)
        app.shortcut(re.compile(f"^{FORM_SHORTCUT}"))(self._handle_form_shortcut)
        app.event("app_mention")(self._handle_mention)
        app.event("message")(self._handle_message)
        app.event("app_home_opened")(self._handle_home_opened)
        app.event("agent_session_stopped")(self._handle_session_stopped)
        app.event("app_uninstalled")(self._handle_uninstalled)
        app.event("tokens_revoked")(self._handle_tokens_revoked)
        # An event without a listener gets an error from slack-bolt, and Slack sends the event again.
        app.event(_ANYTHING)(_ignore)

    async def _handle_command(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        self._tasks.spawn(self._commands.handle_slash(body, _get_team(context, body)), "command")

    async def _handle_action(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        if body.get("type") == "block_actions" and "view" not in body:
            self._tasks.spawn(self._buttons.handle_press(body, _get_team(context, body)), "press")

    async def _suggest_options(self, ack: Ack, body: Body) -> None:
        """Answer with suggestions for typed text, from memory: the acknowledgement carries the suggestions."""
        origin = parse_origin(body.get("view") or {})
        option = find_option(str(body.get("action_id")), self._services.menu, origin) if origin else None
        suggestions = []
        if option is not None and origin is not None:
            given = read_values(body["view"], find_command(self._services.menu, origin.command).declaration)
            suggestions = list_suggestions(self._services, option, str(body.get("value") or ""), given)
        await ack(options=suggestions)

    async def _handle_submission(self, ack: Ack, body: Body, context: Context) -> None:
        """Answer with the errors of a form, which keeps the form open, or close the form and handle the values."""
        errors, origin = self._commands.find_form_errors(body), parse_origin(body["view"])
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        await ack()
        if origin is None:
            return
        team = _get_team(context, body)
        handle = self._buttons.handle_submission if origin.action else self._commands.handle_submission
        self._tasks.spawn(handle(body, team, origin), "form")

    async def _handle_picture_shortcut(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        self._tasks.spawn(self._commands.handle_picture_shortcut(body, _get_team(context, body)), "shortcut")

    async def _handle_form_shortcut(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        self._tasks.spawn(self._commands.open_shortcut_form(body, _get_team(context, body)), "shortcut")

    async def _handle_mention(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            work = self._chat.handle_message(body["event"], _get_team(context, body), is_mention=True)
            self._tasks.spawn(work, "mention")

    async def _handle_message(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            work = self._chat.handle_message(body["event"], _get_team(context, body), is_mention=False)
            self._tasks.spawn(work, "message")

    async def _handle_home_opened(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            self._tasks.spawn(self._chat.handle_home_opened(body["event"], _get_team(context, body)), "home")

    async def _handle_session_stopped(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            self._tasks.spawn(self._chat.handle_stop(body["event"], _get_team(context, body)), "stop")

    async def _handle_uninstalled(self, body: Body, context: Context) -> None:
        await self._on_removed(_get_team(context, body))

    async def _handle_tokens_revoked(self, body: Body, context: Context) -> None:
        # The event also reports revoked tokens of users, which the bot does not use.
        if (body["event"].get("tokens") or {}).get("bot"):
            await self._on_removed(_get_team(context, body))

    def _is_new(self, body: Body) -> bool:
        # Socket Mode delivers at least once, and slack-bolt filters no repetitions.
        event_id = str(body.get("event_id") or "")
        is_new = not event_id or self._event_ids.add_if_new(event_id, None)
        if not is_new:
            log.info("slack.event_repeated", extra={"event": event_id})
        return is_new


async def _ignore() -> None:
    """Ignore an event. With a listener, Slack and slack-bolt count the event as handled."""


def _get_team(context: Context, body: Body) -> str:
    """Return the workspace whose installation received a payload."""
    result = context.get("authorize_result") or {}
    return str(result.get("team_id") or context.get("team_id") or body.get("team_id") or "")
