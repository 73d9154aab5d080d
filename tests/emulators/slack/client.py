"""A small app on the real slack-bolt, over Socket Mode or HTTP, and a workspace for the emulator's tests."""

from collections.abc import Awaitable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.state import SlackChannelState, SlackTeamState


class BoltTestApp:
    """`app` takes listeners as usual; `client` uses the token of `team`."""

    def __init__(self, slack: SlackEmulator, team: SlackTeamState) -> None:
        self._slack = slack
        self._session = aiohttp.ClientSession()
        self.client = AsyncWebClient(
            token=team.bot_token, base_url=slack.api_url, session=self._session, retry_handlers=[]
        )
        self.client.proxy = None
        self.app = AsyncApp(client=self.client, signing_secret=slack.signing_secret)
        self.handlers: list[AsyncSocketModeHandler] = []
        self._runner: web.AppRunner | None = None

    async def connect(self, sockets: int = 1) -> Self:
        """Connect over Socket Mode, once for each of `sockets` processes."""
        for _ in range(sockets):
            handler = AsyncSocketModeHandler(self.app, self._slack.app_token, ping_interval=1)
            handler.client.proxy = None
            await handler.connect_async()  # type: ignore[no-untyped-call] # bolt leaves it untyped
            self.handlers.append(handler)
        await self._slack.sockets.wait_for_connections(sockets)
        return self

    async def serve(self) -> Self:
        """Receive deliveries over signed HTTP."""
        self._runner = web.AppRunner(self.app.web_app(path="/slack/events"), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._slack.deliver_over_http(f"http://{host}:{port}/slack/events")
        return self

    async def close(self) -> None:
        for handler in self.handlers:
            await handler.close_async()  # type: ignore[no-untyped-call] # bolt leaves it untyped
        if self._runner:
            await self._runner.cleanup()
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def expect_error(call: Awaitable[Any]) -> str:
    """Return the error code with which Slack refuses a call; fail if Slack accepts the call."""
    with pytest.raises(SlackApiError) as error:
        await call
    return str(error.value.response["error"])


@dataclass(frozen=True)
class SlackTestWorkspace:
    """A workspace with a channel, a person, and an app."""

    slack: SlackEmulator
    team: SlackTeamState
    general: SlackChannelState
    ana: SlackPerson
    bolt_app: BoltTestApp

    @property
    def client(self) -> AsyncWebClient:
        return self.bolt_app.client

    async def post_root_message(self) -> SlackMessageState:
        """Add a message of Ana to the channel without an event to the app."""
        message = SlackMessageState(self.general, self.slack.clock.next_timestamp(), self.ana.id, "hello")
        return self.general.add_message(message)
