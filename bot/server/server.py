"""The one HTTP server of the bot: health, metrics, and the routes that other parts hand over."""

import errno
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from bot.server.health import HealthCheck, make_health_routes

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
