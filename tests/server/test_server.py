"""The HTTP server: health, metrics, ports, and a clean stop."""

import asyncio
import errno

import aiohttp
import pytest
from aiohttp import web

from bot.core.errors import Unavailable
from bot.server.server import Server


async def passing_check() -> None:
    """A check that passes."""


async def failing_check() -> None:
    raise Unavailable("password=hunter2 was refused")


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as response,
    ):
        return response.status, await response.text()


async def test_healthz_answers_ok() -> None:
    server = Server("127.0.0.1", 0, [], {})
    _, port = await server.start()

    assert await get(port, "/healthz") == (200, "ok\n")
    await server.stop()


async def test_readyz_is_ready_if_every_check_passes() -> None:
    server = Server("127.0.0.1", 0, [], {"database": passing_check})
    _, port = await server.start()

    status, body = await get(port, "/readyz")

    assert status == 200
    assert '"ready": true' in body
    await server.stop()


async def test_readyz_names_the_failed_part_and_no_secret() -> None:
    server = Server("127.0.0.1", 0, [], {"database": passing_check, "backend": failing_check})
    _, port = await server.start()

    status, body = await get(port, "/readyz")

    assert status == 503
    assert '"backend": {"ok": false, "error": "Unavailable"}' in body
    assert "hunter2" not in body
    await server.stop()


async def test_a_hanging_check_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.server.server._CHECK_SECONDS", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    server = Server("127.0.0.1", 0, [], {"database": hang})
    _, port = await server.start()

    status, body = await get(port, "/readyz")

    assert (status, "no answer in 0.01 s" in body) == (503, True)
    await server.stop()


async def test_metrics_are_served_to_this_machine_alone() -> None:
    server = Server("127.0.0.1", 0, [], {})
    _, port = await server.start()

    here, text = await get(port, "/metrics")
    through_a_proxy, _ = await get(port, "/metrics", Host="easel.example")

    assert (here, through_a_proxy) == (200, 403)
    assert "# HELP" in text
    await server.stop()


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "easel.example"},
        {"Host": ""},
        {"X-Forwarded-For": "203.0.113.5"},
        {"x-forwarded-proto": "https"},
        {"X-Forwarded-Host": "easel.example"},
        {"Forwarded": "for=203.0.113.5"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "203.0.113.5"},
        {"CF-Connecting-IP": "203.0.113.5"},
    ],
)
async def test_the_state_of_the_parts_is_not_told_through_a_proxy(path: str, headers: dict[str, str]) -> None:
    asked = []

    async def check() -> None:
        asked.append(path)

    server = Server("127.0.0.1", 0, [], {"database": check})
    _, port = await server.start()

    status, _ = await get(port, path, **headers)

    assert (status in (400, 403), asked) == (True, [])
    assert (await get(port, "/healthz", **{"X-Forwarded-For": "203.0.113.5"}))[0] == 200
    await server.stop()


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
async def test_the_state_of_the_parts_is_not_told_to_a_proxy_without_forwarding_headers(path: str) -> None:
    server = Server("127.0.0.1", 0, [], {})
    _, port = await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # The request of nginx without any settings: HTTP/1.0, and the address of `proxy_pass` as Host.
    writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())

    assert b" 403 " in await reader.readline()
    writer.close()
    await server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.7:8765", "bot:8765"])
async def test_readyz_is_answered_for_supervisors(host: str) -> None:
    server = Server("127.0.0.1", 0, [], {})
    _, port = await server.start()

    assert (await get(port, "/readyz", Host=host))[0] == 200
    await server.stop()


async def test_given_routes_are_served() -> None:
    server = Server("127.0.0.1", 0, [web.get("/hello", hello)], {})
    _, port = await server.start()

    assert await get(port, "/hello") == (200, "hello")
    await server.stop()


async def test_a_taken_port_is_an_error_or_the_next_port_is_found() -> None:
    first = Server("127.0.0.1", 0, [], {})
    _, taken = await first.start()

    with pytest.raises(OSError, match=str(taken)) as caught:
        await Server("127.0.0.1", taken, [], {}).start()
    second = Server("127.0.0.1", taken, [], {})
    _, found = await second.start(find_free=True)

    assert caught.value.errno == errno.EADDRINUSE
    assert taken < found <= taken + 20
    assert (await get(found, "/healthz"))[0] == 200
    await second.stop()
    await first.stop()


async def test_a_stop_lets_streams_end_and_requests_finish() -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        is_asked.set()
        await may_answer.wait()
        return web.Response(text="finished")

    async def close() -> None:
        may_answer.set()

    server = Server("127.0.0.1", 0, [web.get("/slow", slow)], {}, closers=[close])
    _, port = await server.start()
    request = asyncio.create_task(get(port, "/slow"))
    await is_asked.wait()

    await server.stop()

    assert await request == (200, "finished")
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(port, "/healthz")
