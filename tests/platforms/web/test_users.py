"""The page's users: invitations, cookies, ranks, and the borders between users."""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from bot.core.errors import BadOption
from bot.core.people import Channel, Rank
from bot.core.platform import Destination
from bot.platforms.web.auth import build_user
from bot.platforms.web.users import ADMIN_PATH
from tests.fakes.clock import ManualClock
from tests.platforms.web.page_bench import PAGE_HEADERS, PageBench, build_working_reply, open_page_bench
from tests.platforms.web.test_auth import ASK, READABLE
from tests.platforms.web.web_bot import open_web_bot

WEEK_SECONDS = 7 * 24 * 3600


async def join(page_bench: PageBench, secret: str, **headers: str) -> tuple[int, str]:
    """Use an invitation, and return the status and the cookie."""
    response = await page_bench.post("/api/join", {"invitation": secret}, {**PAGE_HEADERS, **headers})
    cookie = response.cookies.get("easel")
    return response.status, cookie.value if cookie else ""


async def status_with(page_bench: PageBench, cookie: str, path: str = "/api/menu") -> int:
    return (await page_bench.get(path, headers={"Cookie": f"easel={cookie}"})).status


async def test_strangers_get_the_login_page_after_the_first_invitation(page_bench: PageBench) -> None:
    before = (await page_bench.get("/")).status
    await page_bench.users.invite("Mia")

    page = await page_bench.get("/")
    statuses = [(await page_bench.get(path)).status for path in READABLE]
    asked = await page_bench.post("/api/say", ASK)

    assert (before, page.status) == (200, 401)
    assert "This page is by invitation: ask whoever runs it for a link." in await page.text()
    assert statuses == [401, 200, 401, 401, 401, 401]
    assert (asked.status, page_bench.script.invocations) == (401, [])


async def test_an_invitation_works_once_and_the_cookie_stays(page_bench: PageBench) -> None:
    mia, secret = await page_bench.users.invite("Mia")

    door = await page_bench.get("/join")
    status, cookie = await join(page_bench, secret)
    again = await page_bench.post("/api/join", {"invitation": secret})

    assert (door.status, status, again.status) == (200, 200, 403)
    assert (await again.json())["error"].startswith("That invitation was used, has expired, or never was.")
    assert await status_with(page_bench, cookie, "/") == 200
    await page_bench.session.post(
        f"{page_bench.address}/api/say", json=ASK, headers={**PAGE_HEADERS, "Cookie": f"easel={cookie}"}
    )
    asker = page_bench.script.invocations[0].user
    assert (asker.id, asker.name, asker.is_administrator, asker.is_owner) == (mia.id, "Mia", False, False)


async def test_the_cookie_is_for_this_page_alone(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, public_url="https://easel.example") as page_bench:
        _, first = await page_bench.users.invite("Mia")
        _, second = await page_bench.users.invite("Mia")
        near = await page_bench.post("/api/join", {"invitation": first})
        far = await page_bench.post("/api/join", {"invitation": second}, {**PAGE_HEADERS, "Host": "easel.example"})

    for response, is_secure in ((near, ""), (far, True)):
        cookie = response.cookies["easel"]
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", is_secure)
        assert (cookie["domain"], response.headers["Cache-Control"]) == ("", "no-store")


async def test_an_invitation_expires_after_a_week(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_page_bench(tmp_path, clock=clock) as page_bench:
        _, early = await page_bench.users.invite("Mia")
        _, late = await page_bench.users.invite("Mia")
        await clock.advance(WEEK_SECONDS - 1)
        in_time = await join(page_bench, early)
        await clock.advance(2)
        too_late = await join(page_bench, late)
        await clock.advance(WEEK_SECONDS)

        assert (in_time[0], too_late) == (200, (403, ""))
        assert await status_with(page_bench, in_time[1]) == 200


@pytest.mark.parametrize("forged", ["", "x", "owner", "mia", "easel", "0" * 64, "é", "' OR 1=1 --"])
async def test_a_forged_cookie_is_refused(page_bench: PageBench, forged: str) -> None:
    visitor, secret = await page_bench.users.invite("Mia")

    for cookie in (forged, visitor.id, secret):
        assert await status_with(page_bench, cookie) == 401
        assert (await join(page_bench, cookie + "x"))[0] == 403


async def test_only_digests_of_secrets_are_stored(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as page_bench:
        _, secret = await page_bench.users.invite("Mia")
        _, unused = await page_bench.users.invite("Mia")
        _, cookie = await join(page_bench, secret)

    kept = (tmp_path / "page.db").read_bytes()  # a closed database has an empty write-ahead log
    assert b"Mia" in kept
    assert [word for word in (secret, unused, cookie) if word.encode() in kept] == []


async def test_a_removed_user_loses_access_and_open_windows_at_once(page_bench: PageBench) -> None:
    _, secret = await page_bench.users.invite("Mia")
    _, unused = await page_bench.users.invite("Mia")
    await page_bench.users.invite("Ola")
    _, cookie = await join(page_bench, secret)
    headers = {"Cookie": f"easel={cookie}"}

    async with page_bench.session.get(f"{page_bench.address}/api/events?channel=main", headers=headers) as stream:
        await stream.content.readuntil(b"\n\n")
        await page_bench.users.remove("mia")
        async with asyncio.timeout(5):
            rest = await stream.content.read()

    assert rest.startswith(b"event: bye")
    assert await status_with(page_bench, cookie) == 401
    assert (await join(page_bench, unused))[0] == 403


async def test_a_window_of_a_user_removed_by_another_process_closes_at_the_next_ping(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, ping_seconds=0.05) as page_bench:
        await page_bench.users.invite("Ola")
        mia, secret = await page_bench.users.invite("Mia")
        _, cookie = await join(page_bench, secret)
        headers = {"Cookie": f"easel={cookie}"}
        async with page_bench.session.get(f"{page_bench.address}/api/events?channel=main", headers=headers) as stream:
            async with page_bench.platform._database.write() as tx:
                await tx.visitors.remove(mia.id)
            async with asyncio.timeout(5):
                assert (await stream.content.read()).rstrip().endswith(b"event: bye\ndata: {}")


async def test_a_busy_window_of_a_user_removed_by_another_process_closes_too(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, ping_seconds=0.5) as page_bench:
        mia, secret = await page_bench.users.invite("Mia")
        _, cookie = await join(page_bench, secret)
        home = Channel("web", "page", f"{mia.id}.main")
        destination = Destination(build_user(mia.id, "Mia", Rank.USER), home, "web:request", "job-1:0")
        ref = await page_bench.platform.post(destination, build_working_reply())

        async def write_on() -> None:
            for n in count():  # far more often than a ping
                await page_bench.platform.edit(ref, build_working_reply(f"word {n}"))
                await asyncio.sleep(0.005)

        headers = {"Cookie": f"easel={cookie}"}
        writer = asyncio.create_task(write_on())
        async with page_bench.session.get(f"{page_bench.address}/api/events?channel=main", headers=headers) as stream:
            async with page_bench.platform._database.write() as tx:
                await tx.visitors.remove(mia.id)
            async with asyncio.timeout(5):
                rest = await stream.content.read()
        writer.cancel()

    assert rest.endswith(b"event: bye\ndata: {}\n\n")
    assert b": ping" not in rest


@pytest.mark.parametrize(
    "headers", [{"X-Easel": "no"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
async def test_another_site_cannot_use_an_invitation(page_bench: PageBench, headers: dict[str, str]) -> None:
    _, secret = await page_bench.users.invite("Mia")

    refused = await join(page_bench, secret, **headers)

    assert refused == (403, "")
    assert (await join(page_bench, secret))[0] == 200


async def test_a_public_name_ends_the_open_access_from_this_machine(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, public_url="https://easel.example") as page_bench:
        near = await page_bench.get("/api/menu")
        far = await page_bench.get("/api/menu", headers={"Host": "easel.example"})

    assert (near.status, far.status) == (401, 401)


async def test_the_token_opens_the_page_for_the_owner_beside_invitations(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, token="open sesame") as page_bench:
        await page_bench.users.invite("Mia")
        opened = await page_bench.get("/?token=open%20sesame")
        cookie = opened.cookies["easel"].value
        await page_bench.session.post(
            f"{page_bench.address}/api/say", json=ASK, headers={**PAGE_HEADERS, "Cookie": f"easel={cookie}"}
        )

    assert [(i.user.id, i.user.is_owner) for i in page_bench.script.invocations] == [("owner", True)]


async def test_the_first_invited_owner_keeps_earlier_conversations(page_bench: PageBench) -> None:
    first, _ = await page_bench.users.invite("Ana", Rank.OWNER)
    second, _ = await page_bench.users.invite("Ola", Rank.OWNER)
    again, _ = await page_bench.users.invite("ana")

    assert (first.id, again.id, again.rank) == ("owner", "owner", Rank.OWNER)
    assert second.id not in ("owner", "")


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "Mia\x07", "a\u202eb"])
async def test_an_odd_name_is_refused(page_bench: PageBench, name: str) -> None:
    with pytest.raises(BadOption, match="A name has 1 to 40 letters"):
        await page_bench.users.invite(name)


@pytest.mark.parametrize("secret", ["", "Bearer ", "Bearer x", "Bearer é"])
async def test_administration_needs_the_secret_of_the_data_folder(page_bench: PageBench, secret: str) -> None:
    response = await page_bench.post(
        ADMIN_PATH, {"verb": "invite", "name": "Eve", "rank": "owner"}, {"Authorization": secret}
    )

    assert response.status == 401
    assert await page_bench.users.list_users() == []


async def test_the_administration_secret_is_private_and_deleted_at_the_end(tmp_path: Path) -> None:
    key_file = tmp_path / "data" / "web.key"
    key_file.parent.mkdir()
    key_file.write_text("old")
    key_file.chmod(0o644)
    async with open_web_bot(tmp_path / "data"):
        assert key_file.stat().st_mode & 0o777 == 0o600

    assert not key_file.exists()


async def test_each_user_has_own_conversations_jobs_and_credits(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        ana, mia = await web_bot.invite("Ana", Rank.OWNER), await web_bot.invite("Mia")
        picture = await ana.ask("/imagine a fox")

        assert await mia.messages() == []
        assert await mia.get("/api/channels") == []
        assert await mia.get(f"/api/jobs/{picture['job']}") == 404
        assert await mia.get("/api/messages?channel=owner.main") == 400
        left = [(await browser.get("/api/me"))["left"]["today"] for browser in (ana, mia)]
        assert left == ["97", "100"]
        for action in ("again", "delete", "cancel"):
            press = {"action": action, "job": picture["job"], "message": picture["id"]}
            assert "not here any more" in (await mia.post("/api/press", press))["error"]
        assert await mia.post("/api/delete", {"message": picture["id"]}) == {"error": ""}
        assert (await ana.get_last_message())["id"] == picture["id"]


async def test_any_user_with_the_address_of_a_picture_can_see_the_picture(tmp_path: Path) -> None:
    """By decision: the name is the SHA-256 of the content, so the address is a secret of users with the picture."""
    async with open_web_bot(tmp_path) as web_bot:
        ana, mia = await web_bot.invite("Ana"), await web_bot.invite("Mia")
        url = (await ana.ask("/imagine a fox"))["pictures"][0]["url"]

        async with mia.session.get(mia.address + url) as response:
            assert response.status == 200
        assert await web_bot.open_browser().get(url) == 401


@pytest.mark.parametrize(("rank", "status"), [(Rank.MODERATOR, 200), (Rank.OWNER, 200), (Rank.USER, 404)])
async def test_moderators_see_and_delete_results_of_others(tmp_path: Path, rank: Rank, status: int) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        ana, other = await web_bot.invite("Ana"), await web_bot.invite("Mia", rank)
        picture = await ana.ask("/imagine a fox")

        record = await other.get(f"/api/jobs/{picture['job']}")
        await other.post("/api/press", {"action": "delete", "job": picture["job"], "message": "none"})

        assert (200 if isinstance(record, dict) else record) == status
        assert (picture["id"] in {message["id"] for message in await ana.messages()}) == (rank is Rank.USER)


@pytest.mark.parametrize("rank", list(Rank))
async def test_ranks_limit_commands(tmp_path: Path, rank: Rank) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        await web_bot.invite("Ola")
        someone = await web_bot.invite("Mia", rank)

        said = await someone.post("/api/say", {"text": "/quota grant Mia 5"})

        assert ("is for" in said["error"]) == (rank is Rank.USER)
        assert (await someone.get("/api/me"))["rank"] == rank.name.lower()


async def test_users_cannot_switch_outside_the_demo(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        mia = await web_bot.invite("Mia")

        assert await mia.post("/api/switch", {"to": "owner"}) == 404
        assert "people" not in await mia.get("/api/me")


async def test_a_person_in_the_demo_is_the_owner_or_mia(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as web_bot:
        user = web_bot.open_browser()
        await user.ask("/imagine a fox")
        before = await user.get("/api/me")
        switched = await user.post("/api/switch", {"to": "mia"})
        after = await user.get("/api/me")
        refused = await user.post("/api/say", {"text": "/quota grant Mia 5"})
        stranger = await user.post("/api/switch", {"to": "eve"})

    people = [{"id": "owner", "name": "You", "rank": "owner"}, {"id": "mia", "name": "Mia", "rank": "user"}]
    assert before == {**people[0], "people": people, "left": {"today": "97", "allowance": "100", "extra": "0"}}
    assert (switched, stranger) == ({"error": ""}, 400)
    assert after == {**people[1], "people": people, "left": {"today": "100", "allowance": "100", "extra": "0"}}
    assert "is for a moderator" in refused["error"]
