"""The whole bot with the page, on a scripted backend."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bot.app import App
from bot.core.clock import SystemClock
from bot.core.people import Rank
from bot.platforms.web.authenticators import DemoAuthenticator, InvitationAuthenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.users import KEY_FILE, WebUsers
from tests.fakes.backend import ScriptedBackend
from tests.fakes.samples import DEFAULT_SETTINGS
from tests.platforms.web.page_bench import PAGE_HEADERS
from tests.storage.empty_database import place_empty_database

PATIENCE_SECONDS = 10.0


class Browser:
    """A browser with a cookie jar."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._asks = 0

    async def get(self, path: str) -> Any:
        """Return the JSON of a response, or the status if the status is not 200."""
        async with self.session.get(f"{self.address}{path}") as response:
            return await response.json() if response.status == 200 else response.status

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        self._asks += 1
        body = {"channel": "main", "request_id": f"{id(self)}-{self._asks:08}", **body}
        async with self.session.post(f"{self.address}{path}", json=body, headers=PAGE_HEADERS) as response:
            return await response.json() if response.status == 200 else response.status

    async def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.get("/api/messages?channel=main")
        return found

    async def get_last_message(self) -> dict[str, Any]:
        return (await self.messages())[-1]

    async def wait_for_result(self, after: str = "") -> dict[str, Any]:
        """Return the last message, later than message `after`, once the job is over."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                last = await self.get_last_message()
                if last["who"] == "bot" and last["tone"] != "working" and last["id"] != after:
                    return last
                await asyncio.sleep(0.01)

    async def wait_for_record(self, job: str) -> dict[str, Any]:
        """Return the job's record once the job is over: the message shows the result a moment earlier."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                record: dict[str, Any] = await self.get(f"/api/jobs/{job}")
                if record["steps"][-1]["state"] in ("delivered", "failed"):
                    return record
                await asyncio.sleep(0.01)

    async def ask(self, text: str) -> dict[str, Any]:
        """Send a message and wait for the result."""
        said = await self.post("/api/say", {"text": text})
        assert said["error"] == ""
        return await self.wait_for_result()


@dataclass
class WebBot:
    """The bot and the open browsers."""

    app: App
    backend: ScriptedBackend
    users: WebUsers
    address: str
    browsers: list[Browser]

    def open_browser(self) -> Browser:
        """Return a new browser without cookies."""
        self.browsers.append(Browser(self.address))
        return self.browsers[-1]

    async def invite(self, name: str, rank: Rank = Rank.USER) -> Browser:
        """Return the browser of a newly invited user."""
        _, secret = await self.users.invite(name, rank)
        browser = self.open_browser()
        assert await browser.post("/api/join", {"invitation": secret}) == {"error": ""}
        return browser


@asynccontextmanager
async def open_web_bot(folder: Path, *, is_demo: bool = False, **changes: Any) -> AsyncIterator[WebBot]:
    """Start the bot on a free port of this machine."""
    plain = {"data_dir": folder, "http_port": 0, "http_host": "127.0.0.1", "shutdown_grace_seconds": 1.0}
    settings = DEFAULT_SETTINGS.model_copy(update={**plain, **changes})
    backend = ScriptedBackend(SystemClock())
    app = App(settings, backends={backend.name: backend})
    web = WebPlatform(app.database, app.clock)
    users = WebUsers(app.database, app.clock, web.feed.close_user)
    invited = InvitationAuthenticator(users, host=settings.http_host, key_file=folder / KEY_FILE)
    await place_empty_database(settings.database_address)
    await app.open(web)
    browsers: list[Browser] = []
    try:
        address = await app.serve(web, DemoAuthenticator() if is_demo else invited)
        port = urlsplit(address).port
        yield WebBot(app, backend, users, f"http://127.0.0.1:{port}", browsers)
    finally:
        for browser in browsers:
            await browser.session.close()
        await app.close()
