"""The local Slack: one server for the Web API, sockets, files and response URLs, and the state behind it.

async with SlackEmulator() as slack:
    team = slack.add_team("Acme")
    general, ana = team.channel("general"), team.user("Ana")
    ...  # the app connects with slack.api_url, team.bot_token and slack.app_token
    await ana.slash("/imagine", "a fox", general)
    assert slack.violations == []
"""

import asyncio
import secrets
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.emulators.slack.changes import Changes
from tests.emulators.slack.clock import SlackClock
from tests.emulators.slack.delivery import PostOffice, Wire
from tests.emulators.slack.events import Events
from tests.emulators.slack.faults import Faults
from tests.emulators.slack.file_routes import FileRoutes
from tests.emulators.slack.files import File
from tests.emulators.slack.ids import Ids
from tests.emulators.slack.journal import Call, Journal
from tests.emulators.slack.messages import Message
from tests.emulators.slack.methods import (  # noqa: F401 # they register their methods
    agents,
    apps,
    auth,
    chat,
    conversations,
    streams,
    users,
)
from tests.emulators.slack.methods import files as file_methods  # noqa: F401 # it registers its methods
from tests.emulators.slack.methods import views as view_methods  # noqa: F401 # it registers its methods
from tests.emulators.slack.oauth import OAuth
from tests.emulators.slack.options import SlackOptions
from tests.emulators.slack.response_urls import ResponseUrls
from tests.emulators.slack.signed_http import SignedHttp
from tests.emulators.slack.sockets import Sockets
from tests.emulators.slack.tiers import Tiers
from tests.emulators.slack.tokens import Tokens
from tests.emulators.slack.triggers import Triggers
from tests.emulators.slack.views import Views
from tests.emulators.slack.web_api import WebApi
from tests.emulators.slack.workspace import Team

_LARGEST_BYTES = 64 << 20


class SlackEmulator:
    """`violations` has a sentence for each thing that Slack does not allow; `too_many` each call answered with 429."""

    def __init__(self, options: SlackOptions | None = None) -> None:
        self.options = options or SlackOptions()
        self.clock = SlackClock()
        self.changes = Changes()
        self.ids = Ids()
        self.journal = Journal()
        self.tokens = Tokens()
        self.app_id = self.ids.next("A")
        self.signing_secret = secrets.token_hex(16)
        self.teams: list[Team] = []
        self.faults = Faults()
        self.tiers = Tiers(self)
        self.triggers = Triggers(self)
        self.events = Events(self)
        self.post_office = PostOffice(self)
        self.sockets = Sockets(self)
        self.http: SignedHttp | None = None
        self._wires: list[SignedHttp] = []
        self.response_urls = ResponseUrls(self)
        self.views = Views(self)
        self.file_routes = FileRoutes(self)
        self.oauth = OAuth(self)
        self._web_api = WebApi(self)
        self._runner: web.AppRunner | None = None
        self.url = ""

    # Opening and closing.

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
        await self.post_office.close()
        await self.sockets.cut()
        for wire in self._wires:
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
            web.post("/api/{method}", self._web_api.answer),
            web.get("/api/{method}", self._web_api.answer),
            web.get("/link/", self.sockets.accept),
            web.post("/commands/{team}/{token}", self.response_urls.answer),
            web.post("/upload/v1/{ticket}", self.file_routes.upload),
            web.get("/files-pri/{file}/{name}", self.file_routes.download),
            web.get("/files-pri/{file}/download/{name}", self.file_routes.download),
            web.get("/oauth/v2/authorize", self.oauth.page),
        ]

    # Where the app finds it, and it the app.

    @property
    def api_url(self) -> str:
        """What the app takes as SLACK_API_URL."""
        return f"{self.url}/api/"

    @property
    def app_token(self) -> str:
        return self.tokens.app_token

    @property
    def wire(self) -> Wire:
        return self.http or self.sockets

    def deliver_to(self, url: str) -> SignedHttp:
        """From now on everything goes to this URL, signed with `signing_secret`, instead of the sockets."""
        self.http = SignedHttp(self, url, self.signing_secret)
        self._wires.append(self.http)
        return self.http

    async def half_trip(self) -> None:
        """One way between the app and Slack."""
        if self.options.round_trip:
            await asyncio.sleep(self.options.round_trip / 2)

    # What is there, and what happened.

    def add_team(self, name: str = "Acme", *, installed: bool = True) -> Team:
        team = Team(self, name, installed=installed, scopes=self.options.scopes)
        self.teams.append(team)
        return team

    def delete(self, message: Message) -> None:
        """Anybody's message goes. Of a thread with answers a tombstone stays, which can still be answered."""
        before = message.as_json()
        message.is_deleted = True
        message.keep(self.clock.now())
        self.events.deleted(message, before)

    def delete_thread(self, root: Message) -> None:
        """Root and answers go: nothing can be posted there any more."""
        for message in (*root.channel.replies(root.ts), root):
            self.delete(message)

    def delete_file(self, file: File) -> None:
        """It is gone from every message that showed it."""
        file.is_deleted = True
        for channel, ts, _ in file.shares:
            if message := file.team.channels[channel].find(ts):
                message.files = [other for other in message.files if other is not file]
                message.keep(self.clock.now())

    @property
    def calls(self) -> list[Call]:
        return self.journal.calls

    def calls_of(self, method: str) -> list[Call]:
        return self.journal.calls_of(method)

    @property
    def violations(self) -> list[str]:
        return self.journal.violations

    @property
    def too_many(self) -> list[Call]:
        return self.journal.too_many

    async def quiet(self, patience: float = 5.0) -> None:
        """When every delivery is over and every call answered: the moment to look at `violations`."""

        def find() -> bool:
            return all(one.is_over for one in self.post_office.deliveries) and all(call.status for call in self.calls)

        await self.changes.until(find, "moment without deliveries and calls on their way", patience)

    async def called(self, method: str, *, times: int = 1, patience: float = 5.0) -> Call:
        """The last of `times` answered calls of that method, now or soon."""

        def find() -> Call | None:
            answered = [call for call in self.calls_of(method) if call.status]
            return answered[times - 1] if len(answered) >= times else None

        return await self.changes.until(find, f"call number {times} of {method}", patience)
