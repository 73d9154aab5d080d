"""Deleting on the page: the message goes for every window, after a reload, and out of the database."""

from pathlib import Path

from tests.platforms.web.page_bench import HOME, PageBench, build_done_reply, open_page_bench
from tests.platforms.web.web_bot import open_web_bot


async def test_an_open_window_sees_it_go(desk: PageBench) -> None:
    ref = await desk.post_working("job-1:0", "hello")
    await desk.post_working("job-2:0", "stays")
    async with desk.watch() as events:
        snapshot = await anext(events)
        await desk.platform.delete(ref)
        gone = await anext(events)

    assert len(snapshot.data) == 2
    assert (gone.name, gone.data) == ("gone", {"id": "job-1:0"})


async def test_a_window_that_was_away_hears_of_it(desk: PageBench) -> None:
    ref = await desk.post_working("job-1:0", "hello")
    async with desk.watch() as events:
        position = (await anext(events)).id
    await desk.platform.delete(ref)

    async with desk.watch(last=position) as events:
        gone = await anext(events)

    assert (gone.name, gone.data) == ("gone", {"id": "job-1:0"})


async def test_it_stays_away_after_a_reload_and_a_restart(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as desk:
        ref = await desk.post_working("job-1:0", "hello")
        await desk.platform.edit(ref, build_done_reply("hello there"))
        await desk.platform.delete(ref)
        reloaded = await desk.messages()
    async with open_page_bench(tmp_path) as desk:
        restarted = await desk.messages()

    assert (reloaded, restarted) == ([], [])


async def test_it_does_not_come_back_when_the_same_is_posted_again(desk: PageBench) -> None:
    await desk.platform.delete(await desk.post_working("job-1:0", "hello"))

    await desk.post_working("job-1:0", "hello")

    assert await desk.messages() == []


async def test_ones_own_words_can_be_taken_back(desk: PageBench) -> None:
    said = (await (await desk.say("hello")).json())["message"]

    response = await desk.post("/api/delete", {"channel": "main", "message": said, "request_id": "request-9999"})

    assert (response.status, await desk.messages()) == (200, [])


async def test_a_message_of_another_channel_is_not_reached(desk: PageBench) -> None:
    ref = await desk.post_working("job-1:0", "hello")
    await desk.platform.edit(ref, build_done_reply("hello"))
    desk.platform.feed._channels.clear()  # so that it is looked up in the database by its id alone

    await desk.post("/api/delete", {"channel": "other", "message": "job-1:0", "request_id": "request-9999"})

    assert await desk.platform.find_message(HOME.id, "job-1:0") is not None


async def test_deleting_a_result_takes_its_picture_along(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as whole:
        you = whole.open_browser()
        picture = await you.ask("/imagine a fox")
        url = picture["pictures"][0]["url"]

        answer = await you.post("/api/delete", {"message": picture["id"]})

        assert answer == {"error": ""}
        assert [message["who"] for message in await you.messages()] == ["you"]
        assert await you.get(url) == 404
        assert (await you.get(f"/api/jobs/{picture['job']}"))["outputs"] == []
