"""/healthz, /readyz and /metrics: what a supervisor and a monitor ask."""

import asyncio
import errno
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from bot.telemetry import metrics

HealthCheck = Callable[[], Awaitable[None]]
"""Looks whether one part works: returns when it does, raises when it does not."""

_CHECK_SECONDS = 2.0


def make_health_routes(checks: Mapping[str, HealthCheck]) -> list[web.RouteDef]:
    """The three routes; `checks` are named by the part they look at."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # that this was written shows that the loop turns

    async def readyz(_: web.Request) -> web.Response:
        names = list(checks)
        found = await asyncio.gather(*(_run_check(checks[name]) for name in names))
        is_ready = all(result["ok"] for result in found)
        body = {"ready": is_ready, "checks": dict(zip(names, found, strict=True))}
        return web.json_response(body, status=200 if is_ready else 503)

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", _serve_metrics)]


async def _run_check(check: HealthCheck) -> dict[str, object]:
    started = time.monotonic()
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except TimeoutError:
        return {"ok": False, "error": f"no answer in {_CHECK_SECONDS:g} s"}
    except Exception as error:  # whatever broke is the answer
        # The kind alone: the text of an error may hold an address or a token, and anyone may read this.
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True, "milliseconds": round((time.monotonic() - started) * 1000, 1)}


async def _serve_metrics(request: web.Request) -> web.Response:
    if not (_is_loopback(request.remote or "") and _is_loopback(_parse_host_name(request.host))):
        raise web.HTTPForbidden(text="Metrics are read from this machine only.\n")
    return web.Response(body=metrics.render_metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _parse_host_name(host: str) -> str:
    # A proxy on this machine is loopback too, but it asks for the public name.
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"


# MERGED The one HTTP server of the bot: health, metrics, and the routes that other parts hand over.

CloseStreams = Callable[[], Awaitable[None]]
"""Says goodbye on connections that would stay open, such as event streams."""

_PORTS_TO_TRY = 20
_SHUTDOWN_SECONDS = 5.0


class Server:
    """One aiohttp application. It captures no signals: who starts it also stops it."""

    def __init__(
        self,
        host: str,
        port: int,
        routes: Sequence[web.RouteDef],
        checks: Mapping[str, HealthCheck],
        *,
        closers: Sequence[CloseStreams] = (),
        shutdown_seconds: float = _SHUTDOWN_SECONDS,
    ) -> None:
        """`port` 0 takes any free port. `closers` run first when stopping, so that open streams end with a word."""
        self._host = host
        self._port = port
        self._closers = closers
        self._app = web.Application()
        self._app.add_routes([*make_health_routes(checks), *routes])
        self._runner = web.AppRunner(
            self._app, handle_signals=False, access_log=None, shutdown_timeout=shutdown_seconds
        )

    async def start(self, *, find_free: bool = False) -> tuple[str, int]:
        """Listen; gives the host and port. With `find_free`, the next free port when that one is taken.

        Raises `OSError` when the port is taken (errno EADDRINUSE) or may not be used.
        """
        await self._runner.setup()
        try:
            return await self._listen(find_free)
        except OSError:
            await self._runner.cleanup()
            raise

    async def stop(self) -> None:
        """Let open streams say goodbye, then requests in progress end, then close."""
        for close in self._closers:
            await close()
        await self._runner.cleanup()

    async def _listen(self, find_free: bool) -> tuple[str, int]:
        last = self._port + _PORTS_TO_TRY if find_free and self._port else self._port
        port = self._port
        while True:
            try:
                await web.TCPSite(self._runner, self._host, port).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or port >= min(last, 65535):
                    raise
                port += 1
            else:
                return self._host, int(self._runner.addresses[0][1])
