"""The request guard: refuses foreign host names, other sites, strangers, and bodies beyond the limits."""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from bot.core import limits
from bot.core.clock import SystemClock
from bot.core.errors import UserError
from bot.platforms.web import request_parsing
from bot.platforms.web.authenticators import InvitationAuthenticator
from bot.platforms.web.users import WebUsers
from bot.storage.database import Database
from tests.fakes.clock import ManualClock
from tests.platforms.web.page_bench import PAGE_HEADERS, PageBench, open_page_bench
from tests.platforms.web.web_bot import open_web_bot

READABLE = [
    "/",
    "/static/style.css",
    "/api/menu",
    "/api/messages?channel=main",
    "/api/events?channel=main",
    "/api/channels",
]
ASK = {"channel": "main", "text": "hello", "request_id": "request-1"}


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost:1", "127.0.0.1.evil.example:{port}", ""]
)
async def test_a_foreign_host_name_is_refused(page_bench: PageBench, path: str, host: str) -> None:
    port = str(urlsplit(page_bench.address).port)

    response = await page_bench.get(path, headers={"Host": host.replace("{port}", port)})

    assert response.status in (400, 403)
    assert b"Easel" not in await response.read()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
async def test_our_own_names_are_served(page_bench: PageBench, name: str) -> None:
    response = await page_bench.get("/api/menu", headers={"Host": f"{name}:{urlsplit(page_bench.address).port}"})

    assert response.status == 200


async def test_the_public_name_is_served(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, public_url="https://easel.example") as page_bench:
        public = await page_bench.get("/static/main.js", headers={"Host": "easel.example"})
        other = await page_bench.get("/static/main.js", headers={"Host": "other.example"})

    assert (public.status, other.status) == (200, 403)


@pytest.mark.parametrize("path", ["/api/say", "/api/press"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Easel": "yes"},
        {**PAGE_HEADERS, "Origin": "https://evil.example"},
        {**PAGE_HEADERS, "Origin": "null"},
        {**PAGE_HEADERS, "Origin": "http://127.0.0.1:1"},
    ],
)
async def test_requests_of_another_site_change_nothing(
    page_bench: PageBench, path: str, headers: dict[str, str]
) -> None:
    response = await page_bench.post(path, ASK, headers)

    assert response.status == 403
    assert page_bench.script.invocations == []
    assert page_bench.script.presses == []


async def test_requests_of_the_own_origin_are_accepted(page_bench: PageBench) -> None:
    response = await page_bench.post("/api/say", ASK, {**PAGE_HEADERS, "Origin": page_bench.address})

    assert response.status == 200


async def test_cors_gives_no_other_site_permission(page_bench: PageBench) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = await page_bench.session.options(f"{page_bench.address}/api/say", headers=asked)

    assert response.status in (403, 405)
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../platform.py",
        "/static/..%2fplatform.py",
        "/static/%2e%2e/platform.py",
        "/static/..%5cplatform.py",
        "/static/",
        "/static/nothing.js",
        "/media/../page.db",
        "/media/..%2fpage.db",
        "/media/page.db",
        f"/media/{'0' * 64}",
    ],
)
async def test_a_path_outside_the_assets_and_pictures_is_not_found(page_bench: PageBench, path: str) -> None:
    assert (await raw_get(page_bench, path)).startswith(b"HTTP/1.1 404")


async def raw_get(page_bench: PageBench, path: str) -> bytes:
    """Send a path unchanged: HTTP clients would normalise the dots."""
    port = urlsplit(page_bench.address).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("path", READABLE[:4])
async def test_every_response_carries_the_security_headers(page_bench: PageBench, path: str) -> None:
    headers = (await page_bench.get(path)).headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "require-trusted-types-for 'script'" in headers["Content-Security-Policy"]
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")


async def test_too_long_a_message_is_refused(page_bench: PageBench) -> None:
    response = await page_bench.post("/api/say", {**ASK, "text": "x" * request_parsing.JSON_BYTES})

    assert response.status == 413
    assert page_bench.script.invocations == []


async def test_too_long_a_message_without_content_length_is_refused(page_bench: PageBench) -> None:
    async def chunks() -> object:
        for _ in range(20):
            yield b"x" * 8192

    headers = {**PAGE_HEADERS, "Content-Type": "application/json"}
    async with page_bench.session.post(f"{page_bench.address}/api/say", data=chunks(), headers=headers) as response:
        assert response.status == 413


async def test_too_large_an_upload_is_refused(page_bench: PageBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_parsing, "UPLOAD_BYTES", 1000)
    form = aiohttp.FormData()
    form.add_field("ask", json.dumps(ASK))
    form.add_field("image", b"x" * 2000, filename="big.png")

    async with page_bench.session.post(f"{page_bench.address}/api/say", data=form, headers=PAGE_HEADERS) as response:
        status = response.status

    assert status == 413
    assert page_bench.script.invocations == []


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {**ASK, "channel": "../else"},
        {**ASK, "channel": "other.main"},
        {**ASK, "request_id": "x"},
        {**ASK, "text": 5},
        {**ASK, "options": {"a": [1]}},
        {**ASK, "options": "none"},
    ],
)
async def test_a_body_of_another_shape_is_refused(page_bench: PageBench, body: object) -> None:
    response = await page_bench.post("/api/say", body)

    assert response.status == 400
    assert (await response.json())["error"]
    assert page_bench.script.invocations == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_content_types_of_foreign_forms_are_refused(page_bench: PageBench, content_type: str) -> None:
    headers = {**PAGE_HEADERS, "Content-Type": content_type}
    async with page_bench.session.post(
        f"{page_bench.address}/api/say", data=json.dumps(ASK), headers=headers
    ) as response:
        assert response.status == 415


async def test_broken_json_and_broken_uploads_are_bad_requests(page_bench: PageBench) -> None:
    for content_type in ("application/json", "multipart/form-data; boundary=b", "multipart/form-data"):
        headers = {**PAGE_HEADERS, "Content-Type": content_type}
        async with page_bench.session.post(f"{page_bench.address}/api/say", data=b"{]--", headers=headers) as response:
            assert response.status == 400


async def test_a_page_with_a_token_serves_strangers_the_assets_alone(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, token="open sesame") as page_bench:
        statuses = [(await page_bench.get(path)).status for path in READABLE]
        asked = await page_bench.post("/api/say", ASK)

    assert statuses == [401, 200, 401, 401, 401, 401]
    assert (asked.status, page_bench.script.invocations) == (401, [])


async def test_the_token_opens_the_page_and_leaves_the_address(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, token="open sesame") as page_bench:
        wrong = await page_bench.get("/?token=open")
        right = await page_bench.get("/?token=open%20sesame")
        cookie = right.cookies["easel"]
        page = await page_bench.get("/", headers={"Cookie": f"easel={cookie.value}"})
        forged = await page_bench.get("/", headers={"Cookie": "easel=open sesame"})

    assert (wrong.status, right.status, page.status, forged.status) == (401, 303, 200, 401)
    assert right.headers["Location"] == "/"
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    assert "sesame" not in cookie.value


def open_authenticator(folder: Path, host: str, token: str | None = None) -> tuple[InvitationAuthenticator, Database]:
    database = Database(f"sqlite:///{folder / 'page.db'}")
    return InvitationAuthenticator(WebUsers(database, SystemClock()), host=host, token=token), database


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "easel.example", ""])  # noqa: S104 - refused here
async def test_a_public_address_needs_a_token_or_an_invitation(tmp_path: Path, host: str) -> None:
    door, database = open_authenticator(tmp_path, host)
    await database.open()

    with pytest.raises(UserError, match="needs WEB_TOKEN, or an invitation first: `python -m bot web invite"):
        await door.check()

    await WebUsers(database, SystemClock()).invite("Mia")
    await open_authenticator(tmp_path, host, token="a key of the owner")[0].check()
    await InvitationAuthenticator(WebUsers(database, SystemClock()), host=host).check()
    await database.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
async def test_a_loopback_address_needs_no_token(tmp_path: Path, host: str) -> None:
    door, database = open_authenticator(tmp_path, host)
    await database.open()

    await door.check()

    await database.close()


FORWARDED = [
    {"X-Forwarded-For": "203.0.113.5"},
    {"x-forwarded-proto": "https"},
    {"X-Forwarded-Host": "easel.example"},
    {"Forwarded": "for=203.0.113.5;host=easel.example"},
    {"Via": "1.1 easel.example"},
    {"X-Real-IP": "203.0.113.5"},
    {"X-Original-Host": "easel.example"},
    {"Cf-Connecting-Ip": "203.0.113.5"},
    {"Tailscale-User-Login": "eve"},
]


@pytest.mark.parametrize("headers", FORWARDED)
async def test_a_forwarded_request_is_never_the_owner_of_an_open_page(
    page_bench: PageBench, headers: dict[str, str]
) -> None:
    statuses = [(await page_bench.get(path, headers=headers)).status for path in READABLE]
    asked = await page_bench.post("/api/say", ASK, {**PAGE_HEADERS, **headers})

    assert statuses == [401, 200, 401, 401, 401, 401]
    assert (asked.status, page_bench.script.invocations) == (401, [])
    assert (await page_bench.get("/api/menu")).status == 200


async def test_a_request_of_a_plain_proxy_with_a_loopback_host_is_never_the_owner(page_bench: PageBench) -> None:
    port = urlsplit(page_bench.address).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # nginx with `proxy_pass http://127.0.0.1:8765;` and nothing else.
    writer.write(f"GET /api/menu HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())

    assert b" 401 " in await reader.readline()
    writer.close()


async def test_an_invited_person_comes_through_a_proxy(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, public_url="https://easel.example") as page_bench:
        _, secret = await page_bench.users.invite("Mia")
        proxy = {"Host": "easel.example", "X-Forwarded-For": "203.0.113.5"}
        joined = await page_bench.post("/api/join", {"invitation": secret}, {**PAGE_HEADERS, **proxy})
        headers = {**proxy, "Cookie": f"easel={joined.cookies['easel'].value}"}

        assert (await page_bench.get("/api/menu", headers=headers)).status == 200


async def test_a_forwarded_request_is_a_stranger_in_the_demo(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as web_bot:
        browser = web_bot.open_browser()
        async with browser.session.get(f"{browser.address}/api/me", headers=FORWARDED[0]) as response:
            assert response.status == 401
        assert (await browser.get("/api/me"))["id"] == "owner"


async def test_the_page_stays_closed_after_the_last_person_is_removed(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as page_bench:
        await page_bench.users.invite("Mia")
        await page_bench.users.remove("Mia")
        removed = (await page_bench.get("/api/menu")).status
    async with open_page_bench(tmp_path) as page_bench:
        restarted = (await page_bench.get("/api/menu")).status

    assert (removed, restarted) == (401, 401)


async def test_guesses_of_the_token_are_slowed_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    async with open_page_bench(tmp_path, token="open sesame open", clock=clock) as page_bench:
        cookie = (await page_bench.get("/?token=open%20sesame%20open")).cookies["easel"].value
        guesses = [(await page_bench.get(f"/?token=guess{n}")).status for n in range(12)]
        refused = await page_bench.get("/?token=open%20sesame%20open")
        owner = await page_bench.get("/", headers={"Cookie": f"easel={cookie}"})
        await clock.advance(limits.TOKEN_GUESS_SECONDS)
        allowed = await page_bench.get("/?token=open%20sesame%20open")

    logged = [record for record in caplog.records if record.message == "web.token_refused"]
    assert guesses == [401] * limits.TOKEN_GUESS_BURST + [429] * 2
    assert (refused.status, owner.status, allowed.status) == (429, 200, 303)
    assert "Please try again in 3 seconds." in (await refused.json())["error"]
    assert len(logged) == limits.TOKEN_GUESS_BURST
    assert "sesame" not in caplog.text


async def test_the_cookie_cannot_be_computed_from_a_guessed_token(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, token="open sesame") as page_bench:
        guess = hmac.new(b"open sesame", b"easel page", hashlib.sha256).hexdigest()
        guessed = await page_bench.get("/", headers={"Cookie": f"easel={guess}"})
        cookie = (await page_bench.get("/?token=open%20sesame")).cookies["easel"].value
    async with open_page_bench(tmp_path, token="open sesame") as page_bench:
        restarted = await page_bench.get("/", headers={"Cookie": f"easel={cookie}"})

    assert (guessed.status, restarted.status) == (401, 200)


async def test_a_short_token_does_not_open_the_page_through_a_proxy(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, token="short") as page_bench:
        near = await page_bench.get("/?token=short")
        far = await page_bench.get("/?token=short", headers=FORWARDED[0])

    assert (near.status, far.status) == (303, 401)


@pytest.mark.parametrize(
    ("host", "public_url"),
    [("0.0.0.0", None), ("192.168.1.5", None), ("127.0.0.1", "https://easel.example")],  # noqa: S104 - refused here
)
async def test_a_short_token_is_refused_beyond_this_machine(tmp_path: Path, host: str, public_url: str | None) -> None:
    _, database = open_authenticator(tmp_path, host)
    await database.open()
    users = WebUsers(database, SystemClock())

    with pytest.raises(UserError, match="WEB_TOKEN is too short.*at least 16 characters.*openssl rand"):
        await InvitationAuthenticator(users, host=host, token="x" * 15, public_url=public_url).check()

    await InvitationAuthenticator(users, host=host, token="x" * 16, public_url=public_url).check()
    await InvitationAuthenticator(users, host="127.0.0.1", token="x").check()
    await database.close()
