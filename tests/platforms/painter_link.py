"""Opens the page of a bot for its painter's links, and paints as the page does."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.app import App
from bot.platforms.web.authenticators import InvitationAuthenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.users import WebUsers

PUBLIC_URL = "https://easel.example"
"""The page's address in links; these tests open the same page on this machine."""

_LINK = re.compile(rf"{re.escape(PUBLIC_URL)}/paint#([0-9a-f]{{64}})")


def find_token(text: str) -> str:
    """Return the token of the link in a message."""
    match = _LINK.search(text)
    assert match, f"no link in {text!r}"
    return match[1]


@dataclass
class PainterPage:
    """Requests to the page, without any cookie."""

    session: aiohttp.ClientSession
    address: str

    async def post(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
        """Return status and JSON."""
        async with self.session.post(
            f"{self.address}{path}", json=body, headers={"X-Easel": "1", **headers}
        ) as response:
            return response.status, await response.json()

    async def open(self, token: str) -> tuple[int, Any]:
        return await self.post("/api/paint/open", {"token": token})

    async def fetch_picture(self, token: str) -> tuple[int, bytes]:
        path, headers = f"{self.address}/api/paint/picture", {"X-Easel": "1"}
        async with self.session.post(path, json={"token": token}, headers=headers) as response:
            return response.status, await response.read()

    async def send(self, token: str, mask: bytes, request_id: str = "delivery-1") -> tuple[int, Any]:
        """Send a mask as the page does; return status and JSON."""
        form = aiohttp.FormData()
        form.add_field("ask", json.dumps({"token": token, "request_id": request_id}))
        form.add_field("mask", mask, filename="mask.png", content_type="image/png")
        headers = {"X-Easel": "1"}
        async with self.session.post(f"{self.address}/api/paint/send", data=form, headers=headers) as response:
            return response.status, await response.json()


@asynccontextmanager
async def open_painter_page(app: App) -> AsyncIterator[PainterPage]:
    """Serve the page of an open bot."""
    web = WebPlatform(app.database, app.clock)
    users = WebUsers(app.database, app.clock, web.feed.close_user)
    door = InvitationAuthenticator(users, host="127.0.0.1", public_url=PUBLIC_URL)
    address = await app.serve(web, door)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield PainterPage(session, address.rstrip("/"))
