"""Hostile connections over raw sockets: packed, silent, malformed and too many."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from bot.server.connections import ConnectionLimits
from bot.server.server import Server

SHORT = ConnectionLimits(header_seconds=0.2, body_window_seconds=0.2, write_window_seconds=0.2)
PATIENCE_SECONDS = 10.0


async def read_body(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def send_much(_: web.Request) -> web.Response:
    return web.Response(body=bytes(30_000_000))


async def fail(_: web.Request) -> web.Response:
    raise RuntimeError("secret detail")


ROUTES = [
    web.post("/body", read_body),
    web.get("/much", send_much),
    web.get("/fail", fail),
]


@asynccontextmanager
async def serve(bounds: ConnectionLimits = SHORT) -> AsyncIterator[int]:
    server = Server("127.0.0.1", 0, ROUTES, {}, shutdown_seconds=0.1, bounds=bounds)
    _, port = await server.start()
    try:
        yield port
    finally:
        await server.stop()


async def send(port: int, data: bytes) -> bytes:
    """Send bytes on a new connection and return everything until the server closes or resets the connection.

    The kernel resets a connection that a server closes with bytes unread.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = bytearray()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionResetError):
                while received := await reader.read(65_536):
                    answer += received
            return bytes(answer)
    finally:
        writer.close()


def build_get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def build_post(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = ["POST /body HTTP/1.1", "Host: localhost", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


async def test_a_packed_body_is_refused_and_never_unpacked() -> None:
    packed = gzip.compress(bytes(2_000_000))
    async with serve() as port:
        answer = await send(port, build_post(packed, "Content-Encoding: gzip", "Connection: close"))
        plain = await send(port, build_post(packed, "Connection: close"))

    assert answer.startswith(b"HTTP/1.1 415")
    assert plain.endswith(str(len(packed)).encode())


@pytest.mark.parametrize("beginning", [b"G", b"GET /body HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_unfinished_headers_close_the_connection(beginning: bytes) -> None:
    async with serve() as port:
        assert await send(port, beginning) == b""


async def test_headers_that_trickle_get_no_more_time() -> None:
    async with serve() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        trickling.cancel()
        writer.close()


async def test_an_idle_connection_is_closed() -> None:
    async with serve(ConnectionLimits(idle_seconds=0.2)) as port:
        assert await send(port, b"") == b""
        assert (await send(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")).endswith(b"ok\n")


@pytest.mark.parametrize("beginning", [b"", b"x" * 100])
async def test_a_body_that_stops_is_refused_without_a_traceback(
    beginning: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as port:
        answer = await send(port, build_post(beginning, length=50_000))

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"Please send it again." in answer
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_body_has_a_whole_time_also_if_it_moves() -> None:
    bounds = ConnectionLimits(body_window_seconds=0.1, body_window_bytes=1, body_seconds=0.3)
    async with serve(bounds) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(build_post(b"", length=1_000_000))

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        trickling.cancel()
        writer.close()


async def test_a_body_that_moves_arrives() -> None:
    bounds = ConnectionLimits(body_window_seconds=1.0, body_window_bytes=10)
    async with serve(bounds) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(build_post(b"", "Connection: close", length=4000))
        for _ in range(40):  # two windows
            writer.write(b"x" * 100)
            await asyncio.sleep(0.05)

        assert (await reader.read()).endswith(b"4000")
        writer.close()


async def test_a_reader_that_stops_loses_the_response() -> None:
    async with serve() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readline()
        await asyncio.sleep(1)  # several windows without a read
        received = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionError):
                while piece := await reader.read(65536):
                    received += len(piece)
        writer.close()

    assert received < 30_000_000


async def test_a_new_connection_takes_the_place_of_the_longest_waiting() -> None:
    async with serve(ConnectionLimits(max_connections=3)) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        half = [(reader, writer) for reader, writer in silent]
        half[1][1].write(b"GET /healthz HTTP/1.1\r\n")
        half[2][1].write(build_post(b"x", length=1000))
        await asyncio.sleep(0.05)

        answers = [await send(port, b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") for _ in range(5)]

        assert [answer.endswith(b"ok\n") for answer in answers] == [True] * 5
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await silent[0][0].read() == b""
        for _, writer in silent:
            writer.close()


async def test_connections_at_work_are_not_closed_for_new_ones() -> None:
    may_answer = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await may_answer.wait()
        return web.Response(text="done")

    server = Server("127.0.0.1", 0, [web.get("/wait", wait)], {}, bounds=ConnectionLimits(max_connections=2))
    _, port = await server.start()
    request = b"GET /wait HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    working = [asyncio.create_task(send(port, request)) for _ in range(2)]
    await asyncio.sleep(0.1)

    refused = await send(port, request)
    may_answer.set()

    assert refused.startswith(b"HTTP/1.1 503")
    assert int(refused.partition(b"Content-Length: ")[2].split(b"\r")[0]) == len(refused.partition(b"\r\n\r\n")[2])
    assert [(await task).endswith(b"done") for task in working] == [True, True]
    await server.stop()


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "long line": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: x\r\n" % n for n in range(500)) + b"\r\n",
    "bad length": b"POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST /body HTTP/1.1\r\nHost: h\r\n"
    b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    "bad version": b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
    "bad header": b"GET / HTTP/1.1\r\nHost: h\r\nBroken\r\n\r\n",
    "null in header": b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
    "bad target": b"GET http://[::1 HTTP/1.1\r\nHost: h\r\n\r\n",
    "bad port": b"GET http://h:port/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "connect": b"CONNECT h:port HTTP/1.1\r\nHost: h\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "bad host": b"GET /readyz HTTP/1.1\r\nHost: [::\xff\r\nConnection: close\r\n\r\n",
    "no host": b"GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n",
    "expectation": b"POST /body HTTP/1.1\r\nHost: h\r\n"
    b"Expect: wonders\r\nContent-Length: 1\r\nConnection: close\r\n\r\na",
    "upgrade": b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\xff\xfe\xfd",
    "odd coding": b"POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\nabc",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_request_leaves_no_traceback_and_learns_no_version(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bounds = ConnectionLimits(header_seconds=0.3, body_window_seconds=0.3, idle_seconds=0.3)
    async with serve(bounds) as port:
        answer = await send(port, request_bytes)

    assert b"aiohttp" not in answer
    assert b"Python/" not in answer
    assert b"Traceback" not in answer
    assert not answer or b"\r\nX-Content-Type-Options: nosniff\r\n" in answer
    assert not answer.startswith(b"HTTP/1.1 5")
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/none", 404), ("POST", "/healthz", 405)])
async def test_refusals_of_the_router_carry_the_security_headers_and_no_version(
    method: str, path: str, status: int
) -> None:
    async with serve() as port:
        answer = await send(port, f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())

    head = answer.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert b"Server: Easel" in head
    assert b"Content-Security-Policy: default-src 'none'" in head
    assert b"aiohttp" not in head


async def test_a_failing_handler_tells_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as port:
        answer = await send(port, b"GET /fail?token=hidden HTTP/1.1\r\nHost: h\r\n\r\n")

    records: list[Any] = [record for record in caplog.records if record.message == "http.failed"]
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret detail" not in answer
    assert [record.path for record in records] == ["/fail"]


async def test_a_client_that_leaves_half_way_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(ConnectionLimits()) as port:
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(build_post(b"x" * 1_000, length=1_000_000))
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
        assert b"200 OK" in await send(port, build_post(b"ok", "Connection: close"))

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_refusals_wait_in_line_and_delay_no_other_request() -> None:
    slow = ConnectionLimits(refusal_seconds=1.5)
    async with serve(slow) as port:
        loop = asyncio.get_running_loop()
        started = loop.time()
        refused = [asyncio.create_task(send(port, build_get("/none"))) for _ in range(9)]
        await asyncio.sleep(0.05)
        answered = await send(port, build_post(b"ok", "Connection: close"))
        is_first = not any(task.done() for task in refused)
        answers = await asyncio.gather(*refused)
        took = loop.time() - started

    assert b"200 OK" in answered
    assert is_first
    assert all(b"404 Not Found" in answer for answer in answers)
    assert took >= 3.0  # eight at once
