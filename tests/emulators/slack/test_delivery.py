"""Delivery over Socket Mode and signed HTTP: tickets, reconnects, signatures and retries."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.emulators.slack.client import SlackTestWorkspace
from tests.emulators.slack.options import SlackLifetimes


async def open_socket(workspace: SlackTestWorkspace, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    """Open a socket without slack_sdk and receive the hello."""
    opened = await workspace.client.apps_connections_open(app_token=workspace.slack.app_token)
    socket = await session.ws_connect(opened["url"])
    assert (await socket.receive_json())["type"] == "hello"
    return socket


def add_listener(workspace: SlackTestWorkspace) -> None:
    """Add a listener: bolt does not acknowledge events without a listener."""

    @workspace.bolt_app.app.event("message")
    async def listen() -> None:
        pass


async def test_a_refreshed_socket_reconnects(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.connect()

    await workspace.slack.sockets.request_reconnect()

    await workspace.slack.changes.wait_for(lambda: workspace.slack.sockets.opened_count == 2, "second socket")
    await workspace.ana.say("hello", workspace.general)
    assert workspace.slack.violations == []


@pytest.mark.parametrize("abruptly", [True, False])
async def test_bolt_reconnects_after_a_dropped_connection(workspace: SlackTestWorkspace, abruptly: bool) -> None:
    add_listener(workspace)
    await workspace.bolt_app.connect()

    await workspace.slack.sockets.drop_connections(is_abrupt=abruptly)

    said = await workspace.ana.say("hello", workspace.general)
    await said.deliveries[0].wait_for_acknowledgement()
    assert workspace.slack.sockets.opened_count == 2


async def test_an_event_on_a_dropped_socket_is_delivered_again(workspace: SlackTestWorkspace) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await open_socket(workspace, session)
        said = await workspace.ana.say("hello", workspace.general)
        envelope = await socket.receive_json()

        add_listener(workspace)
        await workspace.slack.sockets.drop_connections()
        await workspace.bolt_app.connect()

        (delivery,) = said.deliveries
        await delivery.wait_for_acknowledgement()
        assert [answer.failure_reason for answer in delivery.attempts] == ["connection_closed", ""]
        assert envelope["retry_attempt"] == 0
        await socket.close()


async def test_an_event_without_a_listener_is_not_acknowledged(workspace: SlackTestWorkspace) -> None:
    workspace.slack.options = replace(
        workspace.slack.options, lifetimes=SlackLifetimes(acknowledgement_seconds=0.05, retry_delays_seconds=())
    )
    await workspace.bolt_app.connect()

    said = await workspace.ana.say("hello", workspace.general)

    await said.deliveries[0].wait_until_finished()
    assert workspace.slack.violations == [f"{said.deliveries[0].label} was never acknowledged."]


async def test_an_unacknowledged_event_is_retried_three_times(workspace: SlackTestWorkspace) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await open_socket(workspace, session)
        workspace.slack.options = replace(
            workspace.slack.options, lifetimes=SlackLifetimes(retry_delays_seconds=(0.0, 0.0, 0.0))
        )
        said = await workspace.ana.say("hello", workspace.general)
        frames = []
        for _ in range(4):
            frames.append(await socket.receive_json())
            workspace.slack.clock.advance(3)

        (delivery,) = said.deliveries
        await delivery.wait_until_finished()

        assert [frame["retry_attempt"] for frame in frames] == [0, 1, 2, 3]
        assert frames[1]["retry_reason"] == "timeout"
        assert len({frame["envelope_id"] for frame in frames}) == 4
        assert len({frame["payload"]["event_id"] for frame in frames}) == 1
        assert workspace.slack.violations == [f"{delivery.label} was never acknowledged."]
        await socket.close()


async def test_deliveries_go_to_any_socket(workspace: SlackTestWorkspace) -> None:
    heard: set[Any] = set()
    async with aiohttp.ClientSession() as session:
        sockets = [await open_socket(workspace, session) for _ in range(3)]

        async def serve(number: int) -> None:
            async for frame in sockets[number]:
                frame_json = json.loads(frame.data)
                if frame_json["type"] == "events_api":
                    heard.add(number)
                    await sockets[number].send_json({"envelope_id": frame_json["envelope_id"]})

        tasks = [asyncio.create_task(serve(number)) for number in range(3)]
        for _ in range(20):
            said = await workspace.ana.say("hello", workspace.general)
            await said.deliveries[0].wait_for_acknowledgement()

        assert heard == {0, 1, 2}
        for socket in sockets:
            await socket.close()
        await asyncio.gather(*tasks)


async def test_the_eleventh_socket_is_refused(workspace: SlackTestWorkspace) -> None:
    async with aiohttp.ClientSession() as session:
        sockets = [await open_socket(workspace, session) for _ in range(10)]

        opened = await workspace.client.apps_connections_open(app_token=workspace.slack.app_token)
        surplus = await session.ws_connect(opened["url"])

        assert (await surplus.receive_json())["reason"] == "too_many_websockets"
        for socket in [*sockets, surplus]:
            await socket.close()


async def test_a_ticket_opens_a_single_socket(workspace: SlackTestWorkspace) -> None:
    async with aiohttp.ClientSession() as session:
        opened = await workspace.client.apps_connections_open(app_token=workspace.slack.app_token)
        first = await session.ws_connect(opened["url"])

        async with session.get(opened["url"].replace("ws:", "http:", 1)) as second:
            assert second.status == 401

        assert len(workspace.slack.violations) == 1
        await first.close()


async def test_wrong_acknowledgements_are_violations(workspace: SlackTestWorkspace) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await open_socket(workspace, session)
        await workspace.ana.say("hello", workspace.general)
        frame = await socket.receive_json()

        await socket.send_json({"envelope_id": frame["envelope_id"], "payload": {"text": "no"}})
        await socket.send_json({"envelope_id": frame["envelope_id"]})
        await socket.send_json({"envelope_id": "other"})
        await socket.send_str("hello")

        await workspace.slack.changes.wait_for(
            lambda: workspace.slack.delivery_service.deliveries[0].is_finished, "end"
        )
        await workspace.ana.say("again", workspace.general)
        await socket.receive_json()
        assert len(workspace.slack.violations) == 4
        await socket.close()


async def test_the_url_is_verified(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.serve()

    assert workspace.slack.http_transport
    await workspace.slack.http_transport.verify_url()


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({}, 200), ({"signing_secret": "forged"}, 401), ({"age_seconds": 301}, 401), ({"is_signed": False}, 401)],
)
async def test_a_forged_late_or_missing_signature_is_refused(
    workspace: SlackTestWorkspace, wrong: dict[str, Any], status: int
) -> None:
    await workspace.bolt_app.serve()

    @workspace.bolt_app.app.command("/help")
    async def answer(ack: Any) -> None:
        await ack()

    delivery = await (await workspace.ana.use_command("/help")).wait_for_acknowledgement()

    assert workspace.slack.http_transport
    assert await workspace.slack.http_transport.send_forged(delivery, **wrong) == status


async def test_a_retried_event_has_a_number_and_a_reason(workspace: SlackTestWorkspace) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def respond(request: web.Request) -> web.Response:
        seen.append((request.headers.get("x-slack-retry-num"), request.headers.get("x-slack-retry-reason")))
        return web.Response(status=500 if len(seen) < 3 else 200)

    workspace.slack.options = replace(
        workspace.slack.options, lifetimes=SlackLifetimes(retry_delays_seconds=(0.0, 0.01))
    )
    runner = await start_server(respond)
    workspace.slack.deliver_over_http(f"http://127.0.0.1:{runner.addresses[0][1]}/")

    said = await workspace.ana.say("hello", workspace.general)

    await said.deliveries[0].wait_for_acknowledgement()
    assert seen == [(None, None), ("1", "http_error"), ("2", "http_error")]
    await runner.cleanup()


async def test_no_retry_is_honoured(workspace: SlackTestWorkspace) -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(status=500, headers={"x-slack-no-retry": "1"})

    runner = await start_server(respond)
    workspace.slack.deliver_over_http(f"http://127.0.0.1:{runner.addresses[0][1]}/")

    said = await workspace.ana.say("hello", workspace.general)

    await said.deliveries[0].wait_until_finished()
    assert [answer.failure_reason for answer in said.deliveries[0].attempts] == ["http_error"]
    await runner.cleanup()


async def start_server(respond: Any) -> web.AppRunner:
    app = web.Application()
    app.router.add_post("/", respond)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner
