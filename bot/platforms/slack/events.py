"""What slack-bolt calls: each listener acknowledges first and leaves the work to a task of ours."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncApp

from bot.dispatch.declaration import Services
from bot.dispatch.parsing import find_command
from bot.platforms.slack.buttons import SlackButtons
from bot.platforms.slack.chat import SlackChat
from bot.platforms.slack.commands import FORM_SHORTCUT, PICTURE_SHORTCUT, SlackCommands
from bot.platforms.slack.forms import CALLBACK_ID, find_option, list_suggestions, parse_origin
from bot.platforms.slack.recent_ids import RecentIds
from bot.platforms.slack.tasks import Tasks

log = logging.getLogger(__name__)

Ack = Callable[..., Awaitable[Any]]
Body = Mapping[str, Any]
Context = Mapping[str, Any]
RemovalHandler = Callable[[str], Awaitable[None]]

_ANYTHING = re.compile(".*", re.DOTALL)


class SlackEventRouter:
    """Joins the parts to slack-bolt."""

    def __init__(
        self, commands: SlackCommands, presses: SlackButtons, talking: SlackChat, tasks: Tasks, services: Services
    ) -> None:
        self._commands = commands
        self._presses = presses
        self._talking = talking
        self._tasks = tasks
        self._services = services
        self._seen = RecentIds()

    def register(self, app: AsyncApp, removed: RemovalHandler) -> None:
        """Register every listener; `removed` is told of workspaces that took the app out."""
        app.command(_ANYTHING)(self._command)
        app.action(_ANYTHING)(self._action)
        app.options(_ANYTHING)(self._options)
        app.view(CALLBACK_ID)(self._sent)
        app.shortcut(re.compile(f"^{PICTURE_SHORTCUT}"))(self._on_picture)
        app.shortcut(re.compile(f"^{FORM_SHORTCUT}"))(self._form)
        app.event("app_mention")(self._mentioned)
        app.event("message")(self._said)
        app.event("app_home_opened")(self._opened)
        app.event("agent_session_stopped")(self._stopped)
        app.event("app_context_changed")(_ignored)

        async def gone(body: Body, context: Context) -> None:
            await removed(_team(context, body))

        async def revoked(body: Body, context: Context) -> None:
            if (body["event"].get("tokens") or {}).get("bot"):
                await removed(_team(context, body))

        app.event("app_uninstalled")(gone)
        app.event("tokens_revoked")(revoked)
        app.event(_ANYTHING)(_ignored)  # else Slack is told of an error, and sends it again

    async def _command(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        self._tasks.spawn(self._commands.handle_slash(body, _team(context, body)), "command")

    async def _action(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        if body.get("type") == "block_actions" and "view" not in body:
            self._tasks.spawn(self._presses.handle_press(body, _team(context, body)), "press")

    async def _options(self, ack: Ack, body: Body) -> None:
        """Suggestions while somebody types, from memory."""
        origin = parse_origin(body.get("view") or {})
        option = find_option(str(body.get("action_id")), self._services.menu, origin) if origin else None
        offered = list_suggestions(self._services, option, str(body.get("value") or "")) if option else []
        await ack(options=offered)

    async def _sent(self, ack: Ack, body: Body, context: Context) -> None:
        """A form: what is wrong with it is said before it closes."""
        errors, origin = self._commands.find_form_errors(body), parse_origin(body["view"])
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        await ack()
        if origin is None:
            return
        team = _team(context, body)
        sent = self._presses.handle_submission if origin.action else self._commands.handle_submission
        self._tasks.spawn(sent(body, team, origin), "form")

    async def _on_picture(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        self._tasks.spawn(self._commands.handle_picture_shortcut(body, _team(context, body)), "shortcut")

    async def _form(self, ack: Ack, body: Body, context: Context) -> None:
        await ack()
        command = str(body["callback_id"]).removeprefix(FORM_SHORTCUT)
        find_command(self._services.menu, command)
        self._tasks.spawn(self._commands.open_shortcut_form(body, _team(context, body)), "shortcut")

    async def _mentioned(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            team = _team(context, body)
            self._tasks.spawn(self._talking.handle_message(body["event"], team, is_mention=True), "mention")

    async def _said(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            team = _team(context, body)
            self._tasks.spawn(self._talking.handle_message(body["event"], team, is_mention=False), "message")

    async def _opened(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            self._tasks.spawn(self._talking.handle_home_opened(body["event"], _team(context, body)), "home")

    async def _stopped(self, body: Body, context: Context) -> None:
        if self._is_new(body):
            self._tasks.spawn(self._talking.handle_stop(body["event"], _team(context, body)), "stop")

    def _is_new(self, body: Body) -> bool:
        is_new = not body.get("event_id") or self._seen.is_new(str(body["event_id"]))
        if not is_new:
            log.info("slack.event_again", extra={"event": body.get("event_id")})
        return is_new


async def _ignored() -> None:
    """Heard, so that Slack and slack-bolt are content, and nothing to do."""


def _team(context: Context, body: Body) -> str:
    """The workspace whose installation this came through."""
    result = context.get("authorize_result") or {}
    return str(result.get("team_id") or context.get("team_id") or body.get("team_id") or "")
