"""Bounds of the page: long messages, long conversations, refused texts, and exports that hold earlier exports."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path

from bot.core import limits
from bot.core.invocations import Invocation
from bot.core.limits import EXPORTS_PER_MINUTE
from bot.core.people import Channel
from bot.core.platform import Destination
from bot.core.replies import Reply, TextFile, Tone
from bot.storage.sqlite import SqliteEngine
from bot.storage.web_page import PageMessage
from tests.fakes.event_loop import TIMEOUT_SECONDS, settle
from tests.platforms.web.page_bench import (
    HOME,
    OWNER,
    PageBench,
    build_done_reply,
    build_working_reply,
    open_page_bench,
    read_events,
)
from tests.platforms.web.web_bot import Browser, open_web_bot
from tests.storage.raw import execute


async def post(page_bench: PageBench, n: int, text: str, *files: TextFile) -> None:
    await page_bench.platform.post(Destination(OWNER, HOME, f"k{n}", f"n{n:04}"), Reply(text=text, files=files))


async def test_a_message_of_any_length_is_bounded_and_says_so(page_bench: PageBench) -> None:
    most = limits.MAX_PAGE_MESSAGE_CHARACTERS
    await post(page_bench, 1, "x" * (most + 5_000))
    ref = await page_bench.post_working()
    await page_bench.platform.edit(ref, build_done_reply("y" * (most + 1)))

    posted, edited = await page_bench.messages()

    assert posted["text"] == "x" * most + "\n\n(5,000 more characters are left out here.)"
    assert edited["text"].endswith("(1 more characters are left out here.)")


async def test_a_snapshot_is_bounded_and_keeps_the_latest_messages(tmp_path: Path) -> None:
    async with open_page_bench(tmp_path) as page_bench:
        for n in range(40):
            await post(page_bench, n, f"{n} " + "é" * 90_000)
        address = f"{page_bench.address}/api/events?channel=main"
        async with page_bench.session.get(address, read_bufsize=1 << 22) as response:
            snapshot = await anext(read_events(response))
    async with open_page_bench(tmp_path) as page_bench:
        restarted = await page_bench.messages()

    for messages in (snapshot.data, restarted):
        assert sum(len(message["text"]) for message in messages) <= limits.MAX_SNAPSHOT_CHARACTERS
        assert messages[0]["text"].startswith("Earlier messages are left out here")
        assert [message["text"].split(" ")[0] for message in messages[1:]] == [str(n) for n in range(29, 40)]


async def test_a_conversation_of_short_messages_is_shown_whole(page_bench: PageBench) -> None:
    for n in range(60):
        await post(page_bench, n, f"message {n}")

    assert [message["text"] for message in await page_bench.messages()] == [f"message {n}" for n in range(60)]


async def test_large_files_leave_room_for_the_messages(page_bench: PageBench) -> None:
    file = TextFile("export.json", "application/json", "x" * 3_000_000)
    for n in range(5):
        await post(page_bench, n, f"message {n}", file)

    messages = await page_bench.messages()
    downloaded = await page_bench.get(messages[0]["files"][0]["href"])

    assert [message["text"] for message in messages] == [f"message {n}" for n in range(5)]
    assert await downloaded.text() == file.text


async def test_a_window_after_evicted_messages_gets_a_snapshot(page_bench: PageBench) -> None:
    async with page_bench.watch() as stream:
        position = (await anext(stream)).id
    for n in range(2 * limits.MAX_FEED_CHARACTERS // limits.MAX_PAGE_MESSAGE_CHARACTERS):
        channel = f"owner.c{n % 40}"
        await page_bench.platform.post(
            Destination(OWNER, Channel("web", "page", channel), f"k{n}", f"n{n:04}"), Reply(text="x" * 100_000)
        )
    held = sum(
        len(change.reply.text)
        for channel in page_bench.platform.feed._channels.values()
        for _, change in channel.recent.values()
        if isinstance(change, PageMessage)
    )
    await post(page_bench, 9_999, "the last")

    async with page_bench.watch(last=position) as stream:
        event = await anext(stream)

    assert held <= limits.MAX_FEED_CHARACTERS
    assert "the last" in json.dumps(event.data)


async def test_a_long_refused_text_is_not_stored_whole(page_bench: PageBench) -> None:
    await page_bench.say("/" + "x" * 60_000)
    await page_bench.say("/draw " + "x" * 1_000 + " --nonsense 1")

    long, refusal, short, _ = await page_bench.messages()
    async with page_bench.platform._database.read() as tx:
        stored = await tx.page.list_in_channel(HOME.id, 9)

    assert len(long["text"]) == limits.KEPT_REFUSED_TEXT_CHARACTERS + 1
    assert long["note"] == "the first 500 of 60,001 characters"
    assert refusal["tone"] == "error"
    assert len(short["text"]) > 1_000
    assert sum(len(message.reply.text) for message in stored) < 10_000


async def test_a_long_accepted_text_is_stored_whole(tmp_path: Path) -> None:
    async def accept(_: Invocation) -> Reply:
        return Reply(text="Accepted.", tone=Tone.DONE)

    words = "word " * 5_000
    async with open_page_bench(tmp_path) as page_bench:
        page_bench.script.answer = accept
        await page_bench.say(f"/draw {words}", "the-same-request")
        await page_bench.say(f"/draw {words}", "the-same-request")
    async with open_page_bench(tmp_path) as page_bench:
        asked, answer = await page_bench.messages()

    assert (asked["text"], asked["note"]) == (f"/draw {words}".strip(), "")
    assert answer["text"] == "Accepted."


async def export(browser: Browser) -> str:
    await browser.post("/api/say", {"text": "/privacy export"})
    message = await browser.get_last_message()
    async with browser.session.get(browser.address + message["files"][0]["href"]) as response:
        return await response.text()


async def test_an_export_does_not_contain_earlier_exports(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        browser = web_bot.open_browser()
        await browser.ask("/imagine a very particular fox")

        sizes = [len(await export(browser)) for _ in range(8)]
        last = json.loads(await export(browser))

    growth = [after - before for before, after in pairwise(sizes)]
    files = [file for row in last["page"] for file in row["reply"].get("files", [])]
    assert max(growth) < 3_000
    assert max(growth) - min(growth) < 200
    assert [sorted(file) for file in files] == [["mime", "name"]] * 8
    assert json.dumps(last).count("a very particular fox") < 10


async def test_exports_have_a_pace_and_the_files_of_the_latest_are_kept(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        browser = web_bot.open_browser()
        answers = [await browser.post("/api/say", {"text": "/privacy export"}) for _ in range(EXPORTS_PER_MINUTE + 1)]
        links = [file["href"] for message in await browser.messages() for file in message["files"]]
        statuses = []
        for link in links:
            async with browser.session.get(browser.address + link) as response:
                statuses.append(response.status)
                last = await response.text()

    assert [answer["error"] for answer in answers[:-1]] == [""] * EXPORTS_PER_MINUTE
    assert answers[-1]["error"].startswith("You exported 10 times: try again in ")
    assert statuses == [404] * (EXPORTS_PER_MINUTE - 8) + [200] * 8
    assert json.loads(last)["about"]["id"] == "owner"


async def test_a_person_writes_so_many_times_a_minute_and_further_messages_store_nothing(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        eve, ola = await web_bot.invite("Eve"), await web_bot.invite("Ola")
        refused = 0
        while refused == 0:  # Eve's pace goes on while the machine is slow
            answer = await eve.post("/api/say", {"text": "/imagine a fox --count 9"})
            refused = answer if isinstance(answer, int) else 0
        messages = await eve.messages()
        other = await ola.post("/api/say", {"text": "/help"})

    assert refused == 429
    assert len(messages) >= 2 * limits.PAGE_MESSAGES_PER_MINUTE
    assert other["error"] == ""


async def test_the_answers_to_refused_requests_do_not_overtake_the_work_on_jobs(page_bench: PageBench) -> None:
    database, may_write = page_bench.platform._database, asyncio.Event()
    engine = database._get_engine()
    assert isinstance(engine, SqliteEngine)
    answer, shown = Reply(text="No.", tone=Tone.ERROR), build_working_reply("A fox")

    async def hold_writer() -> None:
        async with database.write():
            await may_write.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hold_writer())
        await settle()
        for message_id, reply in (("refused", answer), ("of a job", shown)):
            destination = Destination(OWNER, HOME, "web:r", message_id)
            tasks.create_task(page_bench.platform.post(destination, reply))
        tasks.create_task(page_bench.platform.post_user_message(OWNER, HOME, "said", "/draw"))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while engine._queue.waiting_count < 3:  # noqa: ASYNC110 - the queue has no event for this
                await asyncio.sleep(0.001)
        may_write.set()

    rows = await execute(database, "SELECT id FROM page_messages ORDER BY rowid")
    assert rows[0] == ("of a job",)
    assert sorted(rows[1:]) == [("refused",), ("said",)]
