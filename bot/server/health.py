"""/healthz, /readyz and /metrics: what a supervisor and a monitor ask."""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping

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
