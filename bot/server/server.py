"""The bot's HTTP server: /healthz, /readyz and /metrics for supervisors, and the routes of the other parts."""

import asyncio
import errno
import ipaddress
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from bot.core.http_headers import is_forwarded
from bot.server.connections import ConnectionLimits, ConnectionPool, add_security_headers, make_request_watcher
from bot.telemetry import metrics

HealthCheck = Callable[[], Awaitable[None]]
"""Raises an error if the checked part does not work."""

CloseStreams = Callable[[], Awaitable[None]]
"""Ends responses without an end of their own, such as event streams, with a last message."""

_CHECK_SECONDS = 2.0
_PORTS_TO_TRY = 20
_SHUTDOWN_SECONDS = 5.0
_BACKLOG = 128
_CONTAINER_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Server:
    """An aiohttp application. The caller starts and stops the server: the server handles no signals."""

    def __init__(
        self,
        host: str,
        port: int,
        routes: Sequence[web.RouteDef],
        checks: Mapping[str, HealthCheck],
        *,
        closers: Sequence[CloseStreams] = (),
        shutdown_seconds: float = _SHUTDOWN_SECONDS,
        bounds: ConnectionLimits | None = None,
    ) -> None:
        """`port` 0 takes any free port. `stop` runs the `closers` first."""
        self._host = host
        self._port = port
        self._closers = closers
        self._bounds = bounds or ConnectionLimits()
        self._app = web.Application(middlewares=[make_request_watcher(self._bounds.refusal_seconds)])
        self._app.on_response_prepare.append(add_security_headers)
        self._app.add_routes([*_create_health_routes(checks), *routes])
        self._runner = web.AppRunner(self._app, handle_signals=False, shutdown_timeout=shutdown_seconds)
        self._listener: asyncio.Server | None = None

    async def start(self, *, find_free: bool = False) -> tuple[str, int]:
        """Listen, and return the host and port. With `find_free`, try the next ports while a port is taken.

        Raise `OSError` if the port is taken (errno EADDRINUSE) or forbidden.
        """
        await self._runner.setup()
        if self._runner.server is None:  # for the type alone: `setup` sets the server
            raise RuntimeError("the server is not set up")
        pool = ConnectionPool(self._runner.server, self._bounds)
        try:
            return await self._listen(pool, find_free)
        except OSError:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """End open streams, wait for requests in progress, then close."""
        # aiohttp waits for open responses: a stream would hold the stop for all of `shutdown_seconds`.
        for close in self._closers:
            await close()
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()

    async def _listen(self, pool: ConnectionPool, find_free: bool) -> tuple[str, int]:
        # Not aiohttp's TCPSite, which makes connections of its own class.
        loop = asyncio.get_running_loop()
        last = self._port + _PORTS_TO_TRY if find_free and self._port else self._port
        port = self._port
        while True:
            try:
                self._listener = await loop.create_server(pool.make_connection, self._host, port, backlog=_BACKLOG)
            except OSError as error:
                # Only a taken port is worth the next number: a forbidden port or a wrong host stays an error.
                if error.errno != errno.EADDRINUSE or port >= min(last, 65535):
                    raise
                port += 1
            else:
                return self._host, int(self._listener.sockets[0].getsockname()[1])


def _create_health_routes(checks: Mapping[str, HealthCheck]) -> list[web.RouteDef]:
    """Return the routes /healthz, /readyz and /metrics. `checks` are keyed by the checked part's name."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # an answer at all shows a running event loop

    async def readyz(request: web.Request) -> web.Response:
        _require_direct(request)
        names = list(checks)
        results = await asyncio.gather(*(_run_check(checks[name]) for name in names))
        is_ready = all(result["ok"] for result in results)
        body = {"ready": is_ready, "checks": dict(zip(names, results, strict=True))}
        return web.json_response(body, status=200 if is_ready else 503)

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", _serve_metrics)]


async def _run_check(check: HealthCheck) -> dict[str, object]:
    started = time.monotonic()
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except TimeoutError:
        return {"ok": False, "error": f"no answer in {_CHECK_SECONDS:g} s"}
    except Exception as error:  # a check may fail in any way, and the failure is the result
        # The class alone: /readyz is public, and an error's text may hold an address or a token.
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True, "milliseconds": round((time.monotonic() - started) * 1000, 1)}


async def _serve_metrics(request: web.Request) -> web.Response:
    _require_direct(request)
    if not (_is_loopback(request.remote or "") and _is_loopback(_parse_host_name(request.host))):
        raise web.HTTPForbidden(text="Metrics are read from this machine only.\n")
    return web.Response(body=metrics.render_metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _require_direct(request: web.Request) -> None:
    """Raise HTTP 403 for a request through a proxy: the state of the bot's parts is for supervisors alone."""
    name = _parse_host_name(request.host)
    # A dot makes a public name; supervisors use an address, or the name of a container.
    is_own_name = _CONTAINER_NAME.fullmatch(name) or _is_address(name)
    if not is_own_name or is_forwarded(request.headers, (request.version.major, request.version.minor)):
        raise web.HTTPForbidden(text="Ask the bot directly: this is not answered through a proxy.\n")


def _parse_host_name(host: str) -> str:
    # A proxy on this machine connects from loopback too, but asks for the public name.
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"
