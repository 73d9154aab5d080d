"""Servers that coglet cannot play on demand: Cog up to 0.16, a setup without end, a connection that breaks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bot.backends.cog.backend import MAX_BUSY_SECONDS, MAX_STARTING_SECONDS, CogBackend
from bot.core.backend import BackendConfig, BackendKind, PredictionState, RunStarted, TextDelta
from bot.core.clock import Clock, SystemClock
from bot.core.errors import BackendDown, BackendRefusedToken, SubmitUnclear
from bot.core.ids import new_id
from tests.backends.clock import LeapingClock
from tests.backends.cog.test_cog import PAINTER, WRITER, follow

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def open_backend(
    *, status: str = "READY", error: str = "", put: Handler | None = None, clock: Clock | None = None
) -> AsyncIterator[CogBackend]:
    """Open a backend on a server with a fixed health and a handler of creates."""

    async def read_health(_: web.Request) -> web.Response:
        return web.json_response({"status": status, "setup": {"logs": ""}, "user_healthcheck_error": error})

    async def read_schema(_: web.Request) -> web.Response:
        return web.json_response({"components": {"schemas": {}}})

    app = web.Application()
    app.router.add_get("/health-check", read_health)
    app.router.add_get("/openapi.json", read_schema)
    if put is not None:
        app.router.add_put("/predictions/{run}", put)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    backend = CogBackend(BackendConfig("gpu", BackendKind.COG, url), clock or SystemClock())
    try:
        yield backend
    finally:
        await backend.close()
        await runner.cleanup()


async def submit(backend: CogBackend, model: Any = PAINTER) -> str:
    async with backend.slot_for_create():
        return await backend.submit(model, {"prompt": "a fox"}, job="j1", run=new_id(), cancel_after_seconds=60)


async def answer_like_cog_0_16(request: web.Request) -> web.Response:
    """Ignore the wish for a stream, and refuse a look before anything else, as cog 0.16.12 does."""
    body = await request.json()
    if not isinstance(body["input"], dict):
        detail = [{"type": "model_attributes_type", "loc": ["body", "input"], "msg": "Input should be a dictionary"}]
        return web.json_response({"detail": detail}, status=422)
    await asyncio.sleep(1.3)
    output = ["a", " fox"]
    reply = {"id": body["id"], "input": body["input"], "output": output, "status": "succeeded", "error": None}
    return web.json_response({**reply, "logs": "", "metrics": {"predict_time": 1.3}})


async def test_an_old_server_answers_as_a_whole() -> None:
    async with open_backend(put=answer_like_cog_0_16) as backend:
        events, snapshot = await follow(backend, WRITER, await submit(backend, WRITER))

    assert snapshot.state is PredictionState.SUCCEEDED
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a fox"]


async def test_an_old_server_counts_as_running_without_a_look() -> None:
    async with open_backend(put=answer_like_cog_0_16) as backend:
        events, _ = await follow(backend, PAINTER, await submit(backend))

    assert events == [RunStarted()]


@pytest.mark.parametrize(
    ("status", "seconds", "sentence"),
    [
        ("STARTING", MAX_STARTING_SECONDS, "does not finish loading its model"),
        ("BUSY", MAX_BUSY_SECONDS, "is busy with other work for too long"),
    ],
)
async def test_a_stuck_server_is_waited_for_and_given_up(status: str, seconds: float, sentence: str) -> None:
    clock = LeapingClock()
    async with open_backend(status=status, clock=clock) as backend:
        with pytest.raises(BackendDown, match=sentence):
            await submit(backend)

    assert seconds < clock.monotonic() < seconds + 10


@pytest.mark.parametrize("status", ["DEFUNCT", "SETUP_FAILED"])
async def test_a_broken_server_is_told_at_once(status: str) -> None:
    clock = LeapingClock()
    async with open_backend(status=status, clock=clock) as backend:
        with pytest.raises(BackendDown, match="The model server gpu"):
            await submit(backend)

    assert clock.slept_seconds == []


async def test_a_model_that_fails_its_own_check_still_runs_and_is_named() -> None:
    async with open_backend(status="UNHEALTHY", error="GPU fell off the bus", put=answer_like_cog_0_16) as backend:
        _, snapshot = await follow(backend, PAINTER, await submit(backend))

        assert snapshot.state is PredictionState.SUCCEEDED
        assert "the model's own health check fails: GPU fell off the bus." in await backend.probe()


async def test_a_connection_that_breaks_before_the_run_is_unclear() -> None:
    async def break_off(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with open_backend(put=break_off) as backend:
        with pytest.raises(SubmitUnclear):
            await submit(backend)
        assert backend.finds_runs


async def test_a_proxy_that_wants_a_key_is_named() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"detail": "no"}, status=401)

    async with open_backend(put=refuse) as backend:
        with pytest.raises(BackendRefusedToken, match="does not accept the bot's key"):
            await submit(backend)
