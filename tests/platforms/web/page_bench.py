"""Serves the page over real HTTP with a scripted dispatcher, and sends requests as the page does."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.core.clock import Clock, SystemClock
from bot.core.people import Channel
from bot.core.platform import Destination
from bot.core.replies import Button, MessageRef, Reply, Tone
from bot.platforms.web.auth import build_owner
from bot.platforms.web.authenticators import InvitationAuthenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.routes import PageRoutes
from bot.platforms.web.users import WebUsers
from bot.server.connections import ConnectionLimits
from bot.server.server import Server
from bot.storage.database import Database
from tests.fakes.dispatcher import DispatcherScript, make_scripted_dispatcher
from tests.storage.empty_database import place_empty_database

PAGE_HEADERS = {"X-Easel": "1"}
OWNER = build_owner()
HOME = Channel("web", "page", "owner.main")
PROMPT_REFUSALS = ConnectionLimits(refusal_seconds=0.0)
"""Limits without the pause before each refusal, which `tests/server` tests."""


@dataclass
class Event:
    """A server-sent event as a browser parses the bytes."""

    name: str
    data: Any
    id: str


@dataclass
class PageBench:
    """Sends requests as the page does. `script` holds the dispatcher's replies; jobs post to `platform`."""

    platform: WebPlatform
    server: Server
    session: aiohttp.ClientSession
    script: DispatcherScript
    folder: Path
    users: WebUsers
    address: str = ""
    _asks: int = field(default=0)

    async def post(self, path: str, body: Any, headers: Mapping[str, str] = PAGE_HEADERS) -> aiohttp.ClientResponse:
        response = await self.session.post(f"{self.address}{path}", json=body, headers=headers)
        await response.read()
        return response

    async def say(self, text: str, request_id: str = "", **more: Any) -> aiohttp.ClientResponse:
        self._asks += 1
        body = {"channel": "main", "text": text, "request_id": request_id or f"request-{self._asks:04}", **more}
        return await self.post("/api/say", body)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> aiohttp.ClientResponse:
        response = await self.session.get(f"{self.address}{path}", headers=headers, allow_redirects=False)
        await response.read()
        return response

    async def messages(self, channel: str = "main") -> list[dict[str, Any]]:
        response = await self.get(f"/api/messages?channel={channel}")
        found: list[dict[str, Any]] = await response.json()
        return found

    async def post_working(self, nonce: str = "job-1:0", text: str = "") -> MessageRef:
        """Post the placeholder of a job."""
        return await self.platform.post(Destination(OWNER, HOME, "web:request", nonce), build_working_reply(text))

    @asynccontextmanager
    async def watch(self, last: str = "", channel: str = "main") -> AsyncIterator[AsyncIterator[Event]]:
        """Open the event stream of a channel, after the event `last`."""
        headers = {"Last-Event-ID": last} if last else {}
        async with self.session.get(f"{self.address}/api/events?channel={channel}", headers=headers) as response:
            assert response.status == 200
            yield read_events(response)


def build_working_reply(text: str = "") -> Reply:
    return Reply(text=text, tone=Tone.WORKING, buttons=(Button("cancel", "Stop", "job-1"),))


def build_done_reply(text: str) -> Reply:
    return Reply(text=text, tone=Tone.DONE, note="a model · 1 credit")


async def read_events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Parse the stream by the standard: an `id` holds until the next `id`, and a block without data is no event."""
    name, data, position = "message", "", ""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        field_, _, value = line.partition(": ")
        if not line and data:
            yield Event(name, json.loads(data), position)
        if not line:
            name, data = "message", ""
        elif field_ == "event":
            name = value
        elif field_ == "data":
            data = value
        elif field_ == "id":
            position = value


@asynccontextmanager
async def open_page_bench(
    folder: Path,
    *,
    token: str | None = None,
    public_url: str | None = None,
    clock: Clock | None = None,
    bounds: ConnectionLimits = PROMPT_REFUSALS,
    **options: Any,
) -> AsyncIterator[PageBench]:
    """Serve a page with a database in `folder`. A second call with the same folder is the page after a restart."""
    url = f"sqlite:///{(folder / 'page.db').as_posix()}"
    await place_empty_database(url)
    database = Database(url)
    await database.open()
    clock = clock or SystemClock()
    platform = WebPlatform(database, clock)
    users = WebUsers(database, clock, platform.feed.close_user)
    door = InvitationAuthenticator(
        users, host="127.0.0.1", token=token, public_url=public_url, key_file=folder / "data" / "web.key"
    )
    script = DispatcherScript()

    def find_path(sha256: str) -> Path | None:
        path = folder / sha256
        return path if path.exists() else None

    page = PageRoutes(
        platform, make_scripted_dispatcher(script), find_path, door, host="127.0.0.1", public_url=public_url, **options
    )
    server = Server("127.0.0.1", 0, page.routes(), {}, closers=[page.stop], bounds=bounds)
    host, port = await server.start()
    await door.open(f"http://{host}:{port}/")
    connector = aiohttp.TCPConnector(limit=0)
    try:
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield PageBench(platform, server, session, script, folder, users, f"http://{host}:{port}")
    finally:
        await server.stop()
        await database.close()
