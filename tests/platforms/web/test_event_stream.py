"""GET /api/events: growing texts, reconnecting, limits, and readers that stall."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bot.core.platform import MessageLost
from bot.core.replies import MessageRef, Progress, Stage
from bot.platforms.web import event_stream
from bot.storage.web_page import PageMessage
from tests.platforms.web.page_bench import PageBench, build_done_reply, build_working_reply, open_page_bench


async def test_a_growing_text_is_sent_as_appended_words(page_bench: PageBench) -> None:
    ref = await page_bench.post_working()
    async with page_bench.watch() as stream:
        await anext(stream)

        await page_bench.platform.edit(ref, build_working_reply("The sea 🌊"))
        first = await anext(stream)
        await page_bench.platform.edit(ref, build_working_reply("The sea 🌊 is wide"))
        second = await anext(stream)
        await page_bench.platform.edit(ref, build_done_reply("The sea 🌊 is wide."))
        last = await anext(stream)

    assert (first.name, first.data) == ("change", {"id": "job-1:0", "from": 0, "append": "The sea 🌊"})
    assert second.data == {"id": "job-1:0", "from": 10, "append": " is wide"}  # a wave is two units in a browser
    assert (last.data["append"], last.data["tone"], last.data["buttons"]) == (".", "done", [])


async def test_a_text_with_a_new_beginning_is_sent_whole(page_bench: PageBench) -> None:
    ref = await page_bench.post_working(text="Once")
    async with page_bench.watch() as stream:
        await anext(stream)

        await page_bench.platform.edit(ref, build_working_reply("Twice"))

        assert (await anext(stream)).data == {"id": "job-1:0", "text": "Twice"}


async def test_a_late_window_sees_text_from_memory(page_bench: PageBench) -> None:
    ref = await page_bench.post_working()
    await page_bench.platform.edit(ref, build_working_reply("half an answer"))

    async with page_bench.watch() as stream:
        snapshot = await anext(stream)

    assert (snapshot.name, [m["text"] for m in snapshot.data]) == ("snapshot", ["half an answer"])


async def test_a_reconnected_stream_gets_the_missed_changes_alone(page_bench: PageBench) -> None:
    first = await page_bench.post_working("first:0")
    await page_bench.post_working("second:0")
    async with page_bench.watch() as stream:
        seen = (await anext(stream)).id
    await page_bench.platform.edit(first, build_done_reply("Meanwhile."))

    async with page_bench.watch(last=seen) as stream:
        event = await anext(stream)

    assert (event.name, event.data["id"], event.data["text"]) == ("message", "first:0", "Meanwhile.")


async def test_a_stream_from_before_a_restart_gets_a_snapshot(page_bench: PageBench) -> None:
    await page_bench.post_working()

    async with page_bench.watch(last="another-start.5") as stream:
        event = await anext(stream)

    assert (event.name, len(event.data)) == ("snapshot", 1)


async def test_a_message_can_be_edited_after_a_restart(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as before:
        await before.say("/draw a fox")
        ref = await before.post_working()

    async with open_page_bench(tmp_path) as after, after.watch() as stream:
        snapshot = await anext(stream)
        await after.platform.edit(ref, build_done_reply("Here it is."))
        change = await anext(stream)
        texts = [message["text"] for message in await after.messages()]

    assert [m["text"] for m in snapshot.data] == ["/draw a fox", ""]
    assert change.data["append"] == "Here it is."
    assert texts == ["/draw a fox", "Here it is."]


async def test_a_growing_text_is_not_stored(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as before:
        growing = await before.post_working("growing:0")
        await before.platform.edit(growing, build_working_reply("half"))
        ended = await before.post_working("ended:0")
        await before.platform.edit(ended, build_done_reply("whole"))

    async with open_page_bench(tmp_path) as after:
        texts = {message["id"]: message["text"] for message in await after.messages()}

    assert texts == {"growing:0": "", "ended:0": "whole"}


async def test_a_repeated_edit_sends_no_event(page_bench: PageBench) -> None:
    ref = await page_bench.post_working(text="same")
    async with page_bench.watch() as stream:
        await anext(stream)

        await page_bench.platform.edit(ref, build_working_reply("same"))
        await page_bench.platform.edit(ref, build_working_reply("same but more"))

        assert (await anext(stream)).data["append"] == " but more"


async def test_changed_progress_is_sent_alone(page_bench: PageBench) -> None:
    ref = await page_bench.post_working()
    async with page_bench.watch() as stream:
        await anext(stream)

        await page_bench.platform.edit(
            ref,
            replace(build_working_reply(), progress=Progress(Stage.RUNNING, percent=40, usual_seconds=9)),
        )

        event = await anext(stream)
    assert event.data == {
        "id": "job-1:0",
        "progress": {"stage": "running", "percent": 40, "elapsed": 0, "usual": 9, "place": None},
    }


async def test_a_stream_gets_the_changes_of_its_own_channel_alone(page_bench: PageBench) -> None:
    async with page_bench.watch(channel="other") as stream:
        await anext(stream)

        await page_bench.post_working("elsewhere:0")
        await page_bench.say("hello", channel="other")

        assert (await anext(stream)).data["text"] == "hello"


async def test_a_silent_stream_is_kept_open_by_pings(tmp_path: Path) -> None:
    async with (
        open_page_bench(tmp_path, ping_seconds=0.01) as page_bench,
        page_bench.session.get(f"{page_bench.address}/api/events?channel=main") as response,
    ):
        lines = [await response.content.readline() for _ in range(6)]

    assert b": ping\n" in lines


async def test_a_stop_sends_a_goodbye_on_every_stream(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as page_bench, page_bench.watch() as stream, page_bench.watch() as other:
        await anext(stream)
        await anext(other)

        await page_bench.server.stop()

        assert [(await anext(stream)).name, (await anext(other)).name] == ["bye", "bye"]


async def test_streams_per_user_are_limited_and_closed_streams_do_not_count(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, streams_per_user=2) as page_bench:
        async with page_bench.watch() as one, page_bench.watch() as two:
            await anext(one)
            await anext(two)
            refused = await page_bench.get("/api/events?channel=main")
        async with asyncio.timeout(5):  # until the server notices the closed connections
            while (
                answer := await page_bench.session.get(f"{page_bench.address}/api/events?channel=main")
            ).status == 429:
                pass
        answer.close()

    assert (refused.status, answer.status) == (429, 200)
    assert "too many windows" in (await refused.json())["error"]


async def test_a_stalled_reader_delays_no_other_and_gets_the_latest_state(page_bench: PageBench) -> None:
    ref = await page_bench.post_working()
    slow = await page_bench.session.get(f"{page_bench.address}/api/events?channel=main")
    text = ""
    async with page_bench.watch() as quick:
        await anext(quick)
        for _ in range(300):  # 300 × 60 kB: far more than the sockets between hold
            text = f"{'x' * 60_000}{len(text)}" if len(text) % 2 else f"{'y' * 60_001}{len(text)}"
            await page_bench.platform.edit(ref, build_working_reply(text))
            await asyncio.sleep(0)
        await page_bench.platform.edit(ref, build_done_reply("The end."))
        async with asyncio.timeout(10):
            while (await anext(quick)).data.get("text") != "The end.":
                pass

    received = 0
    async with asyncio.timeout(10):
        async for line in slow.content:
            received += len(line)
            if b"The end." in line:
                break
    slow.close()
    assert received < 10_000_000


async def test_a_thousand_silent_windows_do_not_delay_the_busy_window(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path, streams_per_user=2_000) as page_bench, contextlib.AsyncExitStack() as stack:
        address = f"{page_bench.address}/api/events?channel=main"
        for _ in range(20):  # in portions: a listening socket has a queue
            responses = await asyncio.gather(*(page_bench.session.get(address) for _ in range(50)))
            for response in responses:
                stack.push_async_callback(close, response)
        ref = await page_bench.post_working("busy:0")
        async with page_bench.watch() as stream:
            await anext(stream)
            loop = asyncio.get_running_loop()
            started = loop.time()
            await page_bench.platform.edit(ref, build_done_reply("Here."))
            event = await anext(stream)

    assert event.data["append"] == "Here."
    assert loop.time() - started < 30  # a bound for a busy machine, no figure


async def invite(page_bench: PageBench, name: str) -> str:
    """Return the cookie of a newly invited person."""
    _, secret = await page_bench.users.invite(name)
    return await page_bench.users.join(secret) or ""


async def close(response: aiohttp.ClientResponse) -> None:
    response.close()


async def test_editing_an_unknown_message_raises_message_lost(page_bench: PageBench) -> None:
    with pytest.raises(MessageLost):
        await page_bench.platform.edit(MessageRef("web", "page", "owner.main", "", "nothing"), build_done_reply("x"))


async def test_many_windows_of_a_user_do_not_delay_the_window_of_another(page_bench: PageBench) -> None:
    cookies = [await invite(page_bench, name) for name in ("Mia", "Ola")]
    may_read, read, list_messages = asyncio.Event(), list[str](), page_bench.platform.list_messages

    async def list_messages_later(channel: str) -> list[PageMessage]:
        read.append(channel)
        await may_read.wait()
        return await list_messages(channel)

    page_bench.platform.list_messages = list_messages_later  # type: ignore[method-assign] # real, at a chosen moment
    async with contextlib.AsyncExitStack() as stack:
        address = f"{page_bench.address}/api/events?channel=main"
        for cookie in (*[cookies[0]] * 20, cookies[1]):
            window = await page_bench.session.get(address, headers={"Cookie": f"easel={cookie}"})
            stack.push_async_callback(close, window)
        may_read.set()
        await window.content.readuntil(b"\n\n")

    assert next(n for n, channel in enumerate(read) if channel != read[0]) <= 3


async def test_windows_that_open_together_share_a_snapshot_until_the_next_change(
    page_bench: PageBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "_RECENT_SECONDS", 60.0)  # however busy the machine is
    read, list_messages = list[str](), page_bench.platform.list_messages

    async def list_messages_counted(channel: str) -> list[PageMessage]:
        read.append(channel)
        return await list_messages(channel)

    page_bench.platform.list_messages = list_messages_counted  # type: ignore[method-assign] # counts the real calls
    await page_bench.say("first")
    async with page_bench.watch() as one:
        texts = [[message["text"] for message in (await anext(one)).data]]
        async with page_bench.watch() as two:
            texts += [[message["text"] for message in (await anext(two)).data]]
        shared = len(read)
        await page_bench.say("second")
        async with page_bench.watch() as three:
            later = [message["text"] for message in (await anext(three)).data]

    assert (texts, shared) == ([["first"], ["first"]], 1)
    assert (later, len(read)) == (["first", "second"], 2)


async def test_a_closed_window_costs_no_reading(page_bench: PageBench) -> None:
    may_read, read, list_messages = asyncio.Event(), list[str](), page_bench.platform.list_messages

    async def list_messages_later(channel: str) -> list[PageMessage]:
        read.append(channel)
        await may_read.wait()
        return await list_messages(channel)

    page_bench.platform.list_messages = list_messages_later  # type: ignore[method-assign] # real, at a chosen moment
    address = f"{page_bench.address}/api/events?channel=main"
    first = [await page_bench.session.get(address) for _ in range(2)]  # these two wait inside the reading
    closed = [await page_bench.session.get(f"{address}{n}") for n in range(10)]
    last = await page_bench.session.get(f"{address}-last")
    for window in closed:
        window.close()
    assert (await page_bench.get("/api/menu")).status == 200  # the server has seen the closed connections
    may_read.set()
    await last.content.readuntil(b"\n\n")
    for window in (*first, last):
        window.close()

    assert len(read) == 3
