"""What is said on the page reaches the dispatcher, once, and is shown."""

import asyncio
import json

import aiohttp

from bot.core.invocations import Invocation
from bot.core.platform import Destination
from bot.core.replies import Button, Reply, Tone
from tests.platforms.web.page_bench import HOME, OWNER, PAGE_HEADERS, PageBench

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def test_a_typed_command_is_parsed_and_shown_as_it_was_typed(desk: PageBench) -> None:
    response = await desk.say("/draw a red fox --count 2", "first-request")

    [asked] = desk.script.invocations
    assert response.status == 200
    assert (asked.command, dict(asked.options)) == ("draw", {"prompt": "a red fox", "count": "2"})
    assert (asked.request_key, asked.channel) == ("web:first-request", HOME)
    assert [(m["who"], m["text"]) for m in await desk.messages()] == [("you", "/draw a red fox --count 2")]


async def test_plain_words_are_for_chat_even_with_dashes_in_them(desk: PageBench) -> None:
    await desk.say("what does --count do?")

    [asked] = desk.script.invocations
    assert (asked.command, dict(asked.options)) == ("chat", {"message": "what does --count do?"})


async def test_options_of_the_form_are_laid_over_the_words(desk: PageBench) -> None:
    await desk.say("/draw a fox --count 1", options={"count": 3, "colour": "burnt umber"})

    [asked] = desk.script.invocations
    assert dict(asked.options) == {"prompt": "a fox", "count": 3, "colour": "burnt umber"}
    assert (await desk.messages())[0]["text"] == '/draw a fox --count 1 --count 3 --colour "burnt umber"'


async def test_the_same_request_sent_again_is_shown_once_and_keeps_its_key(desk: PageBench) -> None:
    async def help_(_: Invocation) -> Reply:
        return Reply(text="Here is how.")

    desk.script.answer = help_
    await desk.say("/draw a fox", "same-request")
    await desk.say("/draw a fox", "same-request")

    assert [m["text"] for m in await desk.messages()] == ["/draw a fox", "Here is how."]
    assert {asked.request_key for asked in desk.script.invocations} == {"web:same-request"}


async def test_what_cannot_be_read_is_answered_in_the_conversation(desk: PageBench) -> None:
    response = await desk.say("/drow a fox")

    said, answer = await desk.messages()
    assert (await response.json())["error"] == answer["text"]
    assert answer["text"] == "There is no command called “drow”. Did you mean draw?"
    assert (said["who"], answer["who"], answer["tone"]) == ("you", "bot", "error")
    assert desk.script.invocations == []


async def test_a_file_comes_under_the_name_of_its_option(desk: PageBench) -> None:
    form = aiohttp.FormData()
    form.add_field("ask", json.dumps({"channel": "main", "text": "/draw more of it", "request_id": "with-a-file"}))
    form.add_field("image", PNG, filename="fox.png", content_type="image/png")

    response = await desk.session.post(f"{desk.address}/api/say", data=form, headers=PAGE_HEADERS)

    [asked] = desk.script.invocations
    file = asked.attachments["image"]
    assert response.status == 200
    assert (file.name, file.mime, file.size_bytes, await file.read()) == ("fox.png", "image/png", len(PNG), PNG)
    assert (await desk.messages())[0]["note"] == "with fox.png"


async def test_an_answer_that_is_cut_off_is_still_accepted_in_full(desk: PageBench) -> None:
    may_answer, is_asked = asyncio.Event(), asyncio.Event()

    async def slow(invocation: Invocation) -> Reply:
        is_asked.set()
        await may_answer.wait()
        return Reply(text="Here after all.")

    desk.script.answer = slow
    ask = asyncio.create_task(desk.say("/draw a fox"))
    await is_asked.wait()
    ask.cancel()
    may_answer.set()

    async with desk.watch() as stream:
        texts: list[str] = []
        while "Here after all." not in texts:
            event = await anext(stream)
            texts += [m["text"] for m in event.data] if event.name == "snapshot" else [event.data["text"]]


async def test_a_press_carries_its_message_and_its_own_key(desk: PageBench) -> None:
    desk.script.press_reply = Reply(text="That is being worked on already.", tone=Tone.ERROR)
    body = {"channel": "main", "message": "m", "action": "vary", "job": "j", "n": 2, "request_id": "press-0001"}

    response = await desk.post("/api/press", body)

    [press] = desk.script.presses
    assert (press.action, press.job_id, press.n, press.message_id) == ("vary", "j", 2, "m")
    assert press.request_key == "web:press-0001"
    assert await response.json() == {"error": "That is being worked on already."}
    assert await desk.messages() == []


async def test_the_menu_tells_all_that_a_form_needs(desk: PageBench) -> None:
    menu = await (await desk.get("/api/menu")).json()

    draw = menu["commands"][0]
    options = {option["name"]: option for option in draw["options"]}
    assert (menu["plain"], draw["name"], draw["description"]) == ("chat", "draw", "Draw something.")
    assert (options["prompt"]["words"], options["prompt"]["required"]) == (True, True)
    assert (options["count"]["kind"], options["count"]["minimum"], options["count"]["maximum"]) == ("integer", 1, 4)
    assert (options["aspect"]["choices"], options["aspect"]["default"]) == (["1:1", "16:9"], None)
    assert (options["colour"]["autocomplete"], options["image"]["kind"]) == (True, "file")


async def test_suggestions_follow_what_was_typed(desk: PageBench) -> None:
    found = await desk.get("/api/autocomplete?command=draw&option=colour&typed=u")
    nothing = await desk.get("/api/autocomplete?command=draw&option=nonsense&typed=u")

    assert await found.json() == [{"label": "umber paint", "value": "umber"}]
    assert await nothing.json() == []


async def test_channels_are_listed_by_their_first_words(desk: PageBench) -> None:
    await desk.say("/draw a fox")
    await desk.say("hello there", channel="other")

    found = await (await desk.get("/api/channels")).json()

    assert [(entry["channel"], entry["words"]) for entry in found] == [
        ("other", "hello there"),
        ("main", "/draw a fox"),
    ]


async def test_a_message_names_the_job_that_it_shows(desk: PageBench) -> None:
    reply = Reply(text="done", buttons=(Button("again", "Again", "job-9"),), tone=Tone.DONE)
    await desk.platform.post(Destination(OWNER, HOME, "k", "n"), reply)

    [message] = await desk.messages()

    assert (message["job"], message["buttons"]) == (
        "job-9",
        [{"action": "again", "label": "Again", "job": "job-9", "n": 0}],
    )
