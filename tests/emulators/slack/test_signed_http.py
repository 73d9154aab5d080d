"""Signed HTTP: what bolt accepts and refuses, and events that come again."""

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.emulators.slack.options import SlackLifetimes
from tests.emulators.slack.place import SlackTestWorkspace


async def test_the_url_is_verified(place: SlackTestWorkspace) -> None:
    await place.bolt_app.serve()

    assert place.slack.http_transport
    await place.slack.http_transport.verify_url()


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({}, 200), ({"secret": "forged"}, 401), ({"age_seconds": 301}, 401), ({"signed": False}, 401)],
)
async def test_a_forged_late_or_missing_signature_is_refused(
    place: SlackTestWorkspace, wrong: dict[str, Any], status: int
) -> None:
    await place.bolt_app.serve()

    @place.bolt_app.app.command("/help")
    async def answer(ack: Any) -> None:
        await ack()

    delivery = await (await place.ana.use_command("/help")).wait_for_acknowledgement()

    assert place.slack.http_transport
    assert await place.slack.http_transport.send_forged(delivery, **wrong) == status


async def test_an_event_is_tried_again_with_its_number_and_reason(place: SlackTestWorkspace) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append((request.headers.get("x-slack-retry-num"), request.headers.get("x-slack-retry-reason")))
        return web.Response(status=500 if len(seen) < 3 else 200)

    place.slack.options = replace(place.slack.options, lifetimes=SlackLifetimes(retry_delays_seconds=(0.0, 0.01)))
    runner = await listening(take)
    place.slack.deliver_over_http(f"http://127.0.0.1:{runner.addresses[0][1]}/")

    said = await place.ana.say("hello", place.general)

    await said.deliveries[0].wait_for_acknowledgement()
    assert seen == [(None, None), ("1", "http_error"), ("2", "http_error")]
    await runner.cleanup()


async def test_no_retry_is_honoured(place: SlackTestWorkspace) -> None:
    async def take(request: web.Request) -> web.Response:
        return web.Response(status=500, headers={"x-slack-no-retry": "1"})

    runner = await listening(take)
    place.slack.deliver_over_http(f"http://127.0.0.1:{runner.addresses[0][1]}/")

    said = await place.ana.say("hello", place.general)

    await said.deliveries[0].wait_until_finished()
    assert [answer.failure_reason for answer in said.deliveries[0].attempts] == ["http_error"]
    await runner.cleanup()


async def listening(take: Any) -> web.AppRunner:
    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner
