"""A whole Slack on loopback: the Web API, sockets, files and response URLs on a single server.

async with SlackEmulator() as slack:
    team = slack.add_team("Acme")
    general, ana = team.add_channel("general"), team.add_person("Ana")
    ...  # the app connects with slack.api_url, team.bot_token and slack.app_token
    await ana.use_command("/imagine", "a fox", general)
    assert slack.violations == []
"""

import asyncio
import secrets
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.emulators.changes import StateChanges
from tests.emulators.slack.api_server import SlackApiServer
from tests.emulators.slack.clock import SlackClock, SlackIdGenerator
from tests.emulators.slack.delivery import SlackDeliveryService, SlackEventSender, SlackTransport
from tests.emulators.slack.faults import SlackFaults
from tests.emulators.slack.files import SlackFileServer, SlackFileState
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.methods import (  # noqa: F401 - each registers its methods
    agents,
    auth,
    chat,
    conversations,
    streams,
    users,
)
from tests.emulators.slack.methods import files as file_methods  # noqa: F401 # it registers its methods
from tests.emulators.slack.methods import views as view_methods  # noqa: F401 # it registers its methods
from tests.emulators.slack.oauth import SlackOAuthServer
from tests.emulators.slack.options import SlackOptions
from tests.emulators.slack.rate_limits import SlackRateLimitCounter
from tests.emulators.slack.request_log import SlackCallRecord, SlackRequestLog
from tests.emulators.slack.response_urls import SlackResponseUrlServer
from tests.emulators.slack.signed_http import SlackHttpTransport
from tests.emulators.slack.sockets import SlackSocketServer
from tests.emulators.slack.state import SlackTeamState
from tests.emulators.slack.tokens import SlackTokenRegistry, SlackTriggerRegistry
from tests.emulators.slack.views import SlackViewRegistry

_LARGEST_BYTES = 64 << 20


class SlackEmulator:
    """`violations` are sentences about forbidden acts; `rate_limited_calls` are the calls answered with 429."""

    def __init__(self, options: SlackOptions | None = None) -> None:
        self.options = options or SlackOptions()
        self.clock = SlackClock()
        self.changes = StateChanges()
        self.ids = SlackIdGenerator()
        self.request_log = SlackRequestLog()
        self.tokens = SlackTokenRegistry()
        self.app_id = self.ids.next("A")
        self.signing_secret = secrets.token_hex(16)
        self.teams: list[SlackTeamState] = []
        self.faults = SlackFaults()
        self.rate_limits = SlackRateLimitCounter(self)
        self.triggers = SlackTriggerRegistry(self)
        self.event_sender = SlackEventSender(self)
        self.delivery_service = SlackDeliveryService(self)
        self.sockets = SlackSocketServer(self)
        self.http_transport: SlackHttpTransport | None = None
        self._http_transports: list[SlackHttpTransport] = []
        self.response_urls = SlackResponseUrlServer(self)
        self.views = SlackViewRegistry(self)
        self.file_server = SlackFileServer(self)
        self.oauth = SlackOAuthServer(self)
        self._api_server = SlackApiServer(self)
        self._runner: web.AppRunner | None = None
        self.url = ""

    # Start and stop.

    async def start(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_BYTES)
        app.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def stop(self) -> None:
        await self.delivery_service.close()
        await self.sockets.drop_connections()
        for wire in self._http_transports:
            await wire.close()
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/{method}", self._api_server.handle),
            web.get("/api/{method}", self._api_server.handle),
            web.get("/link/", self.sockets.accept),
            web.post("/commands/{team}/{token}", self.response_urls.handle),
            web.post("/upload/v1/{ticket}", self.file_server.upload),
            web.get("/files-pri/{file}/{name}", self.file_server.download),
            web.get("/files-pri/{file}/download/{name}", self.file_server.download),
            web.get("/oauth/v2/authorize", self.oauth.handle_consent_page),
        ]

    # Connections.

    @property
    def api_url(self) -> str:
        """Return the app's SLACK_API_URL."""
        return f"{self.url}/api/"

    @property
    def app_token(self) -> str:
        return self.tokens.app_token

    @property
    def transport(self) -> SlackTransport:
        return self.http_transport or self.sockets

    def deliver_over_http(self, url: str) -> SlackHttpTransport:
        """Send all further deliveries to this URL, signed with `signing_secret`, instead of to the sockets."""
        self.http_transport = SlackHttpTransport(self, url, self.signing_secret)
        self._http_transports.append(self.http_transport)
        return self.http_transport

    async def wait_half_round_trip(self) -> None:
        """Wait for half of the round trip between the app and Slack."""
        if self.options.round_trip_seconds:
            await asyncio.sleep(self.options.round_trip_seconds / 2)

    # State and observations.

    def add_team(self, name: str = "Acme", *, is_installed: bool = True) -> SlackTeamState:
        team = SlackTeamState(self, name, is_installed=is_installed, scopes=self.options.scopes)
        self.teams.append(team)
        return team

    def delete_message(self, message: SlackMessageState) -> None:
        """Delete any message. The root of a thread with replies leaves a tombstone, which still takes replies."""
        before = message.to_json()
        message.is_deleted = True
        message.record_version(self.clock.now())
        self.event_sender.send_message_deleted(message, before)

    def delete_thread(self, root: SlackMessageState) -> None:
        """Delete a root and its replies: the thread takes no further replies."""
        for message in (*root.channel.list_replies(root.ts), root):
            self.delete_message(message)

    def delete_file(self, file: SlackFileState) -> None:
        """Delete a file and remove the file from all messages."""
        file.is_deleted = True
        for channel, ts, _ in file.shares:
            if message := file.team.channels[channel].find_message(ts):
                message.files = [other for other in message.files if other is not file]
                message.record_version(self.clock.now())

    @property
    def calls(self) -> list[SlackCallRecord]:
        return self.request_log.calls

    def find_calls(self, method: str) -> list[SlackCallRecord]:
        return self.request_log.find_calls(method)

    @property
    def violations(self) -> list[str]:
        return self.request_log.violations

    @property
    def rate_limited_calls(self) -> list[SlackCallRecord]:
        return self.request_log.rate_limited_calls

    async def wait_until_idle(self, timeout_seconds: float = 5.0) -> None:
        """Wait until all deliveries are finished and all calls answered: from then on `violations` is complete."""

        def find() -> bool:
            return all(delivery.is_finished for delivery in self.delivery_service.deliveries) and all(
                call.status for call in self.calls
            )

        await self.changes.wait_for(find, "the end of all deliveries and calls", timeout_seconds)

    async def wait_for_call(self, method: str, *, times: int = 1, timeout_seconds: float = 5.0) -> SlackCallRecord:
        """Return the answered call number `times` of a method, waiting if necessary."""

        def find() -> SlackCallRecord | None:
            answered = [call for call in self.find_calls(method) if call.status]
            return answered[times - 1] if len(answered) >= times else None

        return await self.changes.wait_for(find, f"call number {times} of {method}", timeout_seconds)
