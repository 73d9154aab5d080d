"""A server on a real socket that answers by script and keeps the received requests."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

from tests.specs.replicate import validate_request


@dataclass(frozen=True)
class ReceivedRequest:
    """A received request."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    port: int
    """Port of the client: each connection has a port of its own."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def find_violations(self) -> list[str]:
        """Return the violations of Replicate's OpenAPI document, which does not describe streams."""
        if not self.path.startswith("/v1/"):
            return []
        is_form = self.headers.get("Content-Type", "").startswith("multipart/")
        body = b"" if is_form else self.body
        return validate_request(self.method, self.path, query=self.query, headers=self.headers, body=body)

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "")


@dataclass(frozen=True)
class ScriptedResponse:
    """An ordinary answer."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.body, status=self.status, headers=self.headers)


@dataclass(frozen=True)
class ScriptedStream:
    """Server-sent events. Bytes are sent, an `asyncio.Event` is waited for; then the connection ends."""

    pieces: Sequence[bytes | asyncio.Event]
    is_aborted: bool = False
    """Ends in the middle of a chunk, as a broken line does."""

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in self.pieces:
            if isinstance(piece, bytes):
                await response.write(piece)
            else:
                await piece.wait()
        if self.is_aborted:
            abort_connection(request)
        return response


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Take the request and close the connection without a response."""
    abort_connection(request)
    return web.Response()


async def never_respond(request: web.Request) -> web.StreamResponse:
    """Take the request and never respond."""
    await asyncio.Event().wait()
    raise AssertionError


def abort_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


ResponseScript: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScriptedServer:
    """Answers each route by a script in order; the last response is repeated."""

    def __init__(self) -> None:
        self.received: list[ReceivedRequest] = []
        self.open_streams = 0
        self._scripts: dict[tuple[str, str], list[ResponseScript]] = defaultdict(list)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._respond)
        self._runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def script(self, method: str, path: str, *answers: ResponseScript) -> None:
        self._scripts[method, path] += answers

    def replace_script(self, method: str, path: str, *answers: ResponseScript) -> None:
        """Replace the rest of a route's script."""
        self._scripts[method, path] = list(answers)

    def find_requests(self, method: str = "", path: str = "") -> list[ReceivedRequest]:
        """Return the received requests, of one method and path if given."""
        return [asked for asked in self.received if method in ("", asked.method) and path in ("", asked.path)]

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        port = request.transport.get_extra_info("peername")[1] if request.transport else 0
        asked = ReceivedRequest(
            request.method, request.path, dict(request.headers), dict(request.query), await request.read(), port
        )
        self.received.append(asked)
        script = self._scripts[request.method, request.path]
        if not script:
            return web.json_response({"detail": "not found", "status": 404}, status=404)
        answer = script.pop(0) if len(script) > 1 else script[0]
        self.open_streams += 1
        try:
            return await answer(request)
        finally:
            self.open_streams -= 1
