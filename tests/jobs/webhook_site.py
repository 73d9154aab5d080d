"""A receiver of webhooks over TLS, and a bot on a receiver: in this process, or in one to kill.

`python -m tests.jobs.webhook_site FOLDER CERTIFICATE PORT` runs a bot whose only job ends, and waits.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.media.fetching import Fetcher
from tests.bench import Bench
from tests.fakes.samples import MODERATOR

HOST = "hooks.example"
SECRET = "whsec_bm90IGEgcmVhbCBzZWNyZXQsIG9ubHkgYSB0ZXN0IQ=="


@dataclass
class WebhookSite:
    """A server for `HOST` on this machine. `statuses` are the next answers, 200 afterwards."""

    tls: ssl.SSLContext
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    calls: list[tuple[dict[str, str], str]] = field(default_factory=list)
    is_silent: bool = False
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._end = asyncio.Event()
        self._server = TestServer(app)
        await self._server.start_server(ssl=self.tls)

    async def close(self) -> None:
        self._end.set()
        await self._server.close()

    @property
    def port(self) -> int:
        assert self._server.port is not None
        return self._server.port

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/in?key=of-the-receiver"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.calls]

    async def _answer(self, request: web.Request) -> web.Response:
        self.calls.append(({name.lower(): value for name, value in request.headers.items()}, await request.text()))
        self.called.set()
        if self.is_silent:
            await self._end.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": self.location} if self.location else {})


def make_fetcher(port: int, trusted: ssl.SSLContext, addresses: Sequence[str] = ("127.0.0.1",)) -> Fetcher:
    """Return a fetcher for which loopback is the public internet, and names have the next of some addresses."""
    left = list(addresses)

    async def resolve(host: str, port: int) -> list[str]:
        return [left.pop(0) if len(left) > 1 else left[0]]

    return Fetcher(resolver=resolve, is_allowed=lambda address: address.is_loopback, port=port, tls=trusted)


async def run_until_killed(folder: Path, certificate: str, port: int) -> None:
    fetcher = make_fetcher(port, ssl.create_default_context(cafile=certificate))
    bench = await Bench.open(folder, fetcher=fetcher)
    await bench.say(f"/settings webhook https://{HOST}:{port}/in {SECRET}", by=MODERATOR)
    bench.app.webhooks.start()
    await bench.say("/imagine a fox")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run_until_killed(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
