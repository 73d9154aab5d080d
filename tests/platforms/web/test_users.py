"""People of the page: invitations, cookies, and that nobody reaches what is another's."""

import asyncio
from pathlib import Path

import pytest

from bot.core.errors import BadOption
from bot.core.people import Rank
from bot.platforms.web.users import ADMIN_PATH
from tests.fakes.clock import ManualClock
from tests.platforms.web.page_bench import PAGE_HEADERS, PageBench, open_page_bench
from tests.platforms.web.test_auth import ASK, READABLE
from tests.platforms.web.web_bot import open_web_bot

WEEK_SECONDS = 7 * 24 * 3600


async def join(desk: PageBench, secret: str, **headers: str) -> tuple[int, str]:
    """Use an invitation; gives the status and the cookie."""
    response = await desk.post("/api/join", {"invitation": secret}, {**PAGE_HEADERS, **headers})
    cookie = response.cookies.get("easel")
    return response.status, cookie.value if cookie else ""


async def status_with(desk: PageBench, cookie: str, path: str = "/api/menu") -> int:
    return (await desk.get(path, headers={"Cookie": f"easel={cookie}"})).status


async def test_from_the_first_invitation_on_strangers_find_a_door(desk: PageBench) -> None:
    before = (await desk.get("/")).status
    await desk.visitors.invite("Mia")

    page = await desk.get("/")
    statuses = [(await desk.get(path)).status for path in READABLE]
    asked = await desk.post("/api/say", ASK)

    assert (before, page.status) == (200, 401)
    assert "This page is by invitation: ask whoever runs it for a link." in await page.text()
    assert statuses == [401, 200, 401, 401, 401, 401]
    assert (asked.status, desk.script.invocations) == (401, [])


async def test_an_invitation_lets_in_once_and_the_cookie_stays(desk: PageBench) -> None:
    mia, secret = await desk.visitors.invite("Mia")

    door = await desk.get("/join")
    status, cookie = await join(desk, secret)
    again = await desk.post("/api/join", {"invitation": secret})

    assert (door.status, status, again.status) == (200, 200, 403)
    assert (await again.json())["error"].startswith("That invitation was used, has expired, or never was.")
    assert await status_with(desk, cookie, "/") == 200
    await desk.session.post(f"{desk.address}/api/say", json=ASK, headers={**PAGE_HEADERS, "Cookie": f"easel={cookie}"})
    asker = desk.script.invocations[0].user
    assert (asker.id, asker.name, asker.is_administrator, asker.is_owner) == (mia.id, "Mia", False, False)


async def test_the_cookie_is_for_this_page_alone(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, public_url="https://easel.example") as desk:
        _, first = await desk.visitors.invite("Mia")
        _, second = await desk.visitors.invite("Mia")
        near = await desk.post("/api/join", {"invitation": first})
        far = await desk.post("/api/join", {"invitation": second}, {**PAGE_HEADERS, "Host": "easel.example"})

    for response, is_secure in ((near, ""), (far, True)):
        cookie = response.cookies["easel"]
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", is_secure)
        assert (cookie["domain"], response.headers["Cache-Control"]) == ("", "no-store")


async def test_an_invitation_expires_after_a_week(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_page_bench(tmp_path, clock=clock) as desk:
        _, early = await desk.visitors.invite("Mia")
        _, late = await desk.visitors.invite("Mia")
        await clock.advance(WEEK_SECONDS - 1)
        in_time = await join(desk, early)
        await clock.advance(2)
        too_late = await join(desk, late)
        await clock.advance(WEEK_SECONDS)

        assert (in_time[0], too_late) == (200, (403, ""))
        assert await status_with(desk, in_time[1]) == 200


@pytest.mark.parametrize("forged", ["", "x", "owner", "mia", "easel", "0" * 64, "é", "' OR 1=1 --"])
async def test_a_forged_cookie_opens_nothing(desk: PageBench, forged: str) -> None:
    visitor, secret = await desk.visitors.invite("Mia")

    for cookie in (forged, visitor.id, secret):
        assert await status_with(desk, cookie) == 401
        assert (await join(desk, cookie + "x"))[0] == 403


async def test_only_digests_of_secrets_are_stored(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as desk:
        _, secret = await desk.visitors.invite("Mia")
        _, unused = await desk.visitors.invite("Mia")
        _, cookie = await join(desk, secret)

    kept = (tmp_path / "page.db").read_bytes()  # closed, so nothing is left in its write-ahead log
    assert b"Mia" in kept
    assert [word for word in (secret, unused, cookie) if word.encode() in kept] == []


async def test_who_is_removed_is_out_at_once_with_their_open_windows(desk: PageBench) -> None:
    _, secret = await desk.visitors.invite("Mia")
    _, unused = await desk.visitors.invite("Mia")
    await desk.visitors.invite("Ola")
    _, cookie = await join(desk, secret)
    headers = {"Cookie": f"easel={cookie}"}

    async with desk.session.get(f"{desk.address}/api/events?channel=main", headers=headers) as stream:
        await stream.content.readuntil(b"\n\n")
        await desk.visitors.remove("mia")
        async with asyncio.timeout(5):
            rest = await stream.content.read()

    assert rest.startswith(b"event: bye")
    assert await status_with(desk, cookie) == 401
    assert (await join(desk, unused))[0] == 403


async def test_a_window_of_somebody_removed_elsewhere_is_closed_at_the_next_ping(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, ping_seconds=0.05) as desk:
        await desk.visitors.invite("Ola")
        mia, secret = await desk.visitors.invite("Mia")
        _, cookie = await join(desk, secret)
        headers = {"Cookie": f"easel={cookie}"}
        async with desk.session.get(f"{desk.address}/api/events?channel=main", headers=headers) as stream:
            async with desk.platform._database.write() as tx:
                await tx.visitors.remove(mia.id)
            async with asyncio.timeout(5):
                assert (await stream.content.read()).rstrip().endswith(b"event: bye\ndata: {}")


@pytest.mark.parametrize(
    "headers", [{"X-Easel": "no"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
async def test_another_site_cannot_have_an_invitation_used(desk: PageBench, headers: dict[str, str]) -> None:
    _, secret = await desk.visitors.invite("Mia")

    refused = await join(desk, secret, **headers)

    assert refused == (403, "")
    assert (await join(desk, secret))[0] == 200


async def test_behind_a_public_name_this_machine_is_nobody_special(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, public_url="https://easel.example") as desk:
        near = await desk.get("/api/menu")
        far = await desk.get("/api/menu", headers={"Host": "easel.example"})

    assert (near.status, far.status) == (401, 401)


async def test_the_key_still_opens_the_page_for_its_owner_beside_invitations(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, token="open sesame") as desk:
        await desk.visitors.invite("Mia")
        opened = await desk.get("/?token=open%20sesame")
        cookie = opened.cookies["easel"].value
        await desk.session.post(
            f"{desk.address}/api/say", json=ASK, headers={**PAGE_HEADERS, "Cookie": f"easel={cookie}"}
        )

    assert [(i.user.id, i.user.is_owner) for i in desk.script.invocations] == [("owner", True)]


async def test_the_first_owner_keeps_what_was_said_before_anybody_was_invited(desk: PageBench) -> None:
    first, _ = await desk.visitors.invite("Ana", Rank.OWNER)
    second, _ = await desk.visitors.invite("Ola", Rank.OWNER)
    again, _ = await desk.visitors.invite("ana")

    assert (first.id, again.id, again.rank) == ("owner", "owner", Rank.OWNER)
    assert second.id not in ("owner", "")


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "Mia\x07", "a\u202eb"])
async def test_an_odd_name_is_refused(desk: PageBench, name: str) -> None:
    with pytest.raises(BadOption, match="A name has 1 to 40 letters"):
        await desk.visitors.invite(name)


@pytest.mark.parametrize("secret", ["", "Bearer ", "Bearer x", "Bearer é"])
async def test_the_list_of_people_needs_the_secret_of_the_data_folder(desk: PageBench, secret: str) -> None:
    response = await desk.post(
        ADMIN_PATH, {"verb": "invite", "name": "Eve", "rank": "owner"}, {"Authorization": secret}
    )

    assert response.status == 401
    assert await desk.visitors.list_users() == []


async def test_that_secret_is_readable_by_its_owner_only_and_gone_at_the_end(tmp_path: Path) -> None:
    key_file = tmp_path / "data" / "web.key"
    key_file.parent.mkdir()
    key_file.write_text("old")
    key_file.chmod(0o644)
    async with open_web_bot(tmp_path / "data"):
        assert key_file.stat().st_mode & 0o777 == 0o600

    assert not key_file.exists()


async def test_each_has_their_own_conversations_jobs_and_credits(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as whole:
        ana, mia = await whole.invite("Ana", Rank.OWNER), await whole.invite("Mia")
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


async def test_a_picture_is_seen_by_whoever_has_its_unguessable_address(tmp_path: Path) -> None:
    """By decision: its name is the SHA-256 of its content, so only who has seen it can know it; strangers get none."""
    async with open_web_bot(tmp_path) as whole:
        ana, mia = await whole.invite("Ana"), await whole.invite("Mia")
        url = (await ana.ask("/imagine a fox"))["pictures"][0]["url"]

        async with mia.session.get(mia.address + url) as response:
            assert response.status == 200
        assert await whole.open_browser().get(url) == 401


@pytest.mark.parametrize(("rank", "status"), [(Rank.MODERATOR, 200), (Rank.OWNER, 200), (Rank.USER, 404)])
async def test_moderators_see_and_remove_what_others_made(tmp_path: Path, rank: Rank, status: int) -> None:
    async with open_web_bot(tmp_path) as whole:
        ana, other = await whole.invite("Ana"), await whole.invite("Mia", rank)
        picture = await ana.ask("/imagine a fox")

        record = await other.get(f"/api/jobs/{picture['job']}")
        await other.post("/api/press", {"action": "delete", "job": picture["job"], "message": "none"})

        assert (200 if isinstance(record, dict) else record) == status
        assert (picture["id"] in {message["id"] for message in await ana.messages()}) == (rank is Rank.USER)


@pytest.mark.parametrize("rank", list(Rank))
async def test_ranks_hold_for_commands(tmp_path: Path, rank: Rank) -> None:
    async with open_web_bot(tmp_path) as whole:
        await whole.invite("Ola")
        someone = await whole.invite("Mia", rank)

        said = await someone.post("/api/say", {"text": "/quota grant Mia 5"})

        assert ("is for" in said["error"]) == (rank is Rank.USER)
        assert (await someone.get("/api/me"))["rank"] == rank.name.lower()


async def test_nobody_switches_outside_the_demo(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as whole:
        mia = await whole.invite("Mia")

        assert await mia.post("/api/switch", {"to": "owner"}) == 404
        assert "people" not in await mia.get("/api/me")


async def test_in_the_demo_one_is_the_owner_or_mia(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as whole:
        you = whole.open_browser()
        await you.ask("/imagine a fox")
        before = await you.get("/api/me")
        switched = await you.post("/api/switch", {"to": "mia"})
        after = await you.get("/api/me")
        refused = await you.post("/api/say", {"text": "/quota grant Mia 5"})
        stranger = await you.post("/api/switch", {"to": "eve"})

    people = [{"id": "owner", "name": "You", "rank": "owner"}, {"id": "mia", "name": "Mia", "rank": "user"}]
    assert before == {**people[0], "people": people, "left": {"today": "97", "allowance": "100", "extra": "0"}}
    assert (switched, stranger) == ({"error": ""}, 400)
    assert after == {**people[1], "people": people, "left": {"today": "100", "allowance": "100", "extra": "0"}}
    assert "is for a moderator" in refused["error"]
