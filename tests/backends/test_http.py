"""Lines to a server: kept and used again, ended when there are enough, never held back."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from importlib.abc import MetaPathFinder

import httpx
import pytest
from aiohttp import web

from bot.backends import http
from tests.backends.clock import wait_until
from tests.backends.replicate.scripted_server import (
    ReceivedRequest,
    ScriptedResponse,
    ScriptedServer,
    hang_up,
    never_respond,
)

CONTEXT = http.create_tls_context()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    await server.start()
    server.script("GET", "/", ScriptedResponse("hello"))
    yield server
    await server.stop()


def ports(asked: list[ReceivedRequest]) -> list[int]:
    return [one.port for one in asked]


async def test_sequential_calls_share_a_connection(server: ScriptedServer) -> None:
    async with http.create_api_client(headers={}, context=CONTEXT) as client:
        for _ in range(3):
            assert (await client.get(server.url)).json() == "hello"

    assert len(set(ports(server.received))) == 1


def test_the_address_decides_whether_root_certificates_are_read() -> None:
    assert http.create_context_for("HTTPS://api.replicate.com") is CONTEXT

    without_tls = http.create_context_for("http://127.0.0.1:8766")

    # A connection with TLS by mistake fails: no certificate is trusted, and each is checked.
    assert without_tls.get_ca_certs() == []
    assert (without_tls.verify_mode, without_tls.check_hostname) == (ssl.CERT_REQUIRED, True)


async def test_a_call_searches_no_folder_for_packages(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []

    class Finder(MetaPathFinder):
        def find_spec(self, fullname: str, path: object, target: object = None) -> None:
            searched.append(fullname)

    async with http.create_api_client(headers={}, context=CONTEXT) as client:
        await client.get(server.url)
        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        await client.get(server.url)
    async with http.create_stream_client() as client:
        await client.get(server.url)

    assert searched == []


async def test_simultaneous_calls_have_a_connection_each_without_a_limit(server: ScriptedServer) -> None:
    all_in = asyncio.Barrier(151)

    async def meet(request: web.Request) -> web.StreamResponse:
        await all_in.wait()
        return await ScriptedResponse("met")(request)

    server.script("GET", "/meet", meet)
    async with http.create_api_client(headers={}, context=CONTEXT) as client:
        calls = [asyncio.create_task(client.get(server.url + "/meet")) for _ in range(150)]
        await all_in.wait()
        assert {reply.json() for reply in await asyncio.gather(*calls)} == {"met"}

    assert len(set(ports(server.received))) == 150


async def test_a_stream_does_not_keep_its_connection(server: ScriptedServer) -> None:
    async with http.create_stream_client() as client:
        for _ in range(2):
            async with client.stream("GET", server.url) as response:
                await response.aread()

    assert len(set(ports(server.received))) == 2


async def test_a_broken_connection_is_not_used_again(server: ScriptedServer) -> None:
    server.script("GET", "/broken", hang_up)
    async with http.create_api_client(headers={}, context=CONTEXT) as client:
        await client.get(server.url)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url + "/broken")
        assert (await client.get(server.url)).json() == "hello"

    assert len(set(ports(server.received))) == 2


async def test_a_cancelled_call_closes_its_connection(server: ScriptedServer) -> None:
    server.script("GET", "/silent", never_respond)
    async with http.create_api_client(headers={}, context=CONTEXT) as client:
        call = asyncio.create_task(client.get(server.url + "/silent"))
        await wait_until(lambda: server.open_streams == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await wait_until(lambda: server.open_streams == 0)


async def test_a_redirect_is_not_followed(server: ScriptedServer) -> None:
    server.script("GET", "/moved", ScriptedResponse("", 307, {"Location": server.url}))
    async with http.create_api_client(headers={"Authorization": "Bearer r8_x"}, context=CONTEXT) as client:
        assert (await client.get(server.url + "/moved")).status_code == 307

    assert [asked.path for asked in server.received] == ["/moved"]
