"""Deleting on the page: in every window, after a reload, and in the database."""

from pathlib import Path

from tests.platforms.web.page_bench import HOME, PageBench, build_done_reply, open_page_bench
from tests.platforms.web.web_bot import open_web_bot


async def test_an_open_window_removes_a_deleted_message(page_bench: PageBench) -> None:
    ref = await page_bench.post_working("job-1:0", "hello")
    await page_bench.post_working("job-2:0", "stays")
    async with page_bench.watch() as events:
        snapshot = await anext(events)
        await page_bench.platform.delete(ref)
        gone = await anext(events)

    assert len(snapshot.data) == 2
    assert (gone.name, gone.data) == ("gone", {"id": "job-1:0"})


async def test_a_reconnected_window_removes_a_message_deleted_meanwhile(page_bench: PageBench) -> None:
    ref = await page_bench.post_working("job-1:0", "hello")
    async with page_bench.watch() as events:
        position = (await anext(events)).id
    await page_bench.platform.delete(ref)

    async with page_bench.watch(last=position) as events:
        gone = await anext(events)

    assert (gone.name, gone.data) == ("gone", {"id": "job-1:0"})


async def test_a_deleted_message_stays_deleted_after_reload_and_restart(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as page_bench:
        ref = await page_bench.post_working("job-1:0", "hello")
        await page_bench.platform.edit(ref, build_done_reply("hello there"))
        await page_bench.platform.delete(ref)
        reloaded = await page_bench.messages()
    async with open_page_bench(tmp_path) as page_bench:
        restarted = await page_bench.messages()

    assert (reloaded, restarted) == ([], [])


async def test_a_repeated_post_does_not_bring_a_deleted_message_back(page_bench: PageBench) -> None:
    await page_bench.platform.delete(await page_bench.post_working("job-1:0", "hello"))

    await page_bench.post_working("job-1:0", "hello")

    assert await page_bench.messages() == []


async def test_a_user_can_delete_an_own_message(page_bench: PageBench) -> None:
    said = (await (await page_bench.say("hello")).json())["message"]

    response = await page_bench.post("/api/delete", {"channel": "main", "message": said, "request_id": "request-9999"})

    assert (response.status, await page_bench.messages()) == (200, [])


async def test_a_message_of_another_channel_is_not_deleted(page_bench: PageBench) -> None:
    ref = await page_bench.post_working("job-1:0", "hello")
    await page_bench.platform.edit(ref, build_done_reply("hello"))
    page_bench.platform.feed._channels.clear()  # forces a look-up in the database, by the id alone

    await page_bench.post("/api/delete", {"channel": "other", "message": "job-1:0", "request_id": "request-9999"})

    assert await page_bench.platform.find_message(HOME.id, "job-1:0") is not None


async def test_deleting_a_result_deletes_the_picture(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        user = web_bot.open_browser()
        picture = await user.ask("/imagine a fox")
        url = picture["pictures"][0]["url"]

        answer = await user.post("/api/delete", {"message": picture["id"]})

        assert answer == {"error": ""}
        assert [message["who"] for message in await user.messages()] == ["you"]
        assert await user.get(url) == 404
        assert (await user.get(f"/api/jobs/{picture['job']}"))["outputs"] == []
