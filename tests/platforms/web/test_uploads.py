"""Uploads that stop, and HEAD requests: neither holds a place or a stream."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from bot.core.people import Rank
from bot.server.connections import ConnectionLimits
from tests.platforms.web.page_bench import PAGE_HEADERS, PageBench, open_page_bench

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
PATIENCE_SECONDS = 5.0


def build_form(request_id: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("ask", json.dumps({"channel": "main", "text": "/draw more", "request_id": request_id}))
    form.add_field("image", PNG, filename="fox.png", content_type="image/png")
    return form


async def open_silent_upload(page_bench: PageBench, cookie: str, *, has_words: bool) -> asyncio.StreamWriter:
    """Begin an upload and stop: after the headers, or after the words and the first bytes of a file."""
    host = urlsplit(page_bench.address).netloc
    _, writer = await asyncio.open_connection(*host.split(":"))
    words = json.dumps({"channel": "main", "text": "/draw more", "request_id": "silent-upload"})
    part = f'--b\r\nContent-Disposition: form-data; name="ask"\r\n\r\n{words}\r\n--b\r\n' if has_words else ""
    file = 'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nabc' if has_words else ""
    head = (
        f"POST /api/say HTTP/1.1\r\nHost: {host}\r\nX-Easel: 1\r\nCookie: easel={cookie}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
    )
    writer.write((head + part + file).encode())
    return writer


async def join(page_bench: PageBench, name: str) -> str:
    _, secret = await page_bench.users.invite(name, Rank.USER)
    response = await page_bench.post("/api/join", {"invitation": secret})
    return response.cookies["easel"].value


@pytest.mark.parametrize("has_words", [False, True])
async def test_silent_uploads_of_a_person_delay_nobody_else(page_bench: PageBench, has_words: bool) -> None:
    mia, eve = await join(page_bench, "Mia"), await join(page_bench, "Eve")
    silent = [await open_silent_upload(page_bench, eve, has_words=has_words) for _ in range(8)]
    await asyncio.sleep(0.2)

    headers = {**PAGE_HEADERS, "Cookie": f"easel={mia}"}
    async with asyncio.timeout(PATIENCE_SECONDS):
        address = f"{page_bench.address}/api/say"
        async with page_bench.session.post(address, data=build_form("upload-of-mia"), headers=headers) as response:
            assert response.status == 200

    for writer in silent:
        writer.close()


async def test_silent_uploads_of_many_people_give_up_their_places(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, bounds=ConnectionLimits(body_window_seconds=0.5)) as page_bench:
        cookies = [await join(page_bench, f"Eve {n}") for n in range(6)]
        mia = await join(page_bench, "Mia")
        silent = [await open_silent_upload(page_bench, cookie, has_words=True) for cookie in cookies]
        await asyncio.sleep(0.2)

        headers = {**PAGE_HEADERS, "Cookie": f"easel={mia}"}
        async with asyncio.timeout(PATIENCE_SECONDS):
            address = f"{page_bench.address}/api/say"
            async with page_bench.session.post(address, data=build_form("upload-of-mia"), headers=headers) as response:
                assert response.status == 200

        for writer in silent:
            writer.close()


async def test_an_overlong_header_of_a_part_is_a_bad_request(page_bench: PageBench) -> None:
    body = b"--b\r\nContent-Disposition: form-data; name=" + b"x" * 50_000 + b"\r\n\r\n{}\r\n--b--\r\n"
    headers = {**PAGE_HEADERS, "Content-Type": "multipart/form-data; boundary=b"}

    async with page_bench.session.post(f"{page_bench.address}/api/say", data=body, headers=headers) as response:
        assert response.status == 400
        assert "send it again" in (await response.json())["error"]


@pytest.mark.parametrize("path", ["/api/events?channel=main", "/", "/api/menu", "/static/main.js"])
async def test_head_is_answered_with_headers_alone(page_bench: PageBench, path: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), page_bench.session.head(page_bench.address + path) as response:
        assert response.status == 200
        assert await response.read() == b""
        assert response.headers["Server"] == "Easel"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        get = await page_bench.session.get(page_bench.address + path)
        assert response.headers["Content-Type"] == get.headers["Content-Type"]
        get.close()
