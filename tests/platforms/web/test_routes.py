"""The page's HTTP API: messages, presses, menu, suggestions and channels."""

import asyncio
import json

import aiohttp

from bot.core.invocations import Invocation
from bot.core.platform import Destination
from bot.core.replies import Button, Reply, Tone
from tests.platforms.web.page_bench import HOME, OWNER, PAGE_HEADERS, PageBench

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def test_a_typed_command_is_parsed_and_shown_as_typed(page_bench: PageBench) -> None:
    response = await page_bench.say("/draw a red fox --count 2", "first-request")

    [invocation] = page_bench.script.invocations
    assert response.status == 200
    assert (invocation.command, dict(invocation.options)) == ("draw", {"prompt": "a red fox", "count": "2"})
    assert (invocation.request_key, invocation.channel) == ("web:first-request", HOME)
    assert [(m["who"], m["text"]) for m in await page_bench.messages()] == [("you", "/draw a red fox --count 2")]


async def test_plain_words_are_for_chat_even_with_dashes_in_them(page_bench: PageBench) -> None:
    await page_bench.say("what does --count do?")

    [invocation] = page_bench.script.invocations
    assert (invocation.command, dict(invocation.options)) == ("chat", {"message": "what does --count do?"})


async def test_options_of_the_form_override_typed_options(page_bench: PageBench) -> None:
    await page_bench.say("/draw a fox --count 1", options={"count": 3, "colour": "burnt umber"})

    [invocation] = page_bench.script.invocations
    assert dict(invocation.options) == {"prompt": "a fox", "count": 3, "colour": "burnt umber"}
    assert (await page_bench.messages())[0]["text"] == '/draw a fox --count 1 --count 3 --colour "burnt umber"'


async def test_a_repeated_request_is_shown_once_and_keeps_the_key(page_bench: PageBench) -> None:
    async def help_(_: Invocation) -> Reply:
        return Reply(text="Here is how.")

    page_bench.script.answer = help_
    await page_bench.say("/draw a fox", "same-request")
    await page_bench.say("/draw a fox", "same-request")

    assert [m["text"] for m in await page_bench.messages()] == ["/draw a fox", "Here is how."]
    assert {invocation.request_key for invocation in page_bench.script.invocations} == {"web:same-request"}


async def test_an_unknown_command_gets_a_reply_in_the_conversation(page_bench: PageBench) -> None:
    response = await page_bench.say("/drow a fox")

    request, answer = await page_bench.messages()
    assert (await response.json())["error"] == answer["text"]
    assert answer["text"] == "There is no command called “drow”. Did you mean draw?"
    assert (request["who"], answer["who"], answer["tone"]) == ("you", "bot", "error")
    assert page_bench.script.invocations == []


async def test_a_file_is_attached_under_the_option_name(page_bench: PageBench) -> None:
    form = aiohttp.FormData()
    form.add_field("ask", json.dumps({"channel": "main", "text": "/draw more of it", "request_id": "with-a-file"}))
    form.add_field("image", PNG, filename="fox.png", content_type="image/png")

    response = await page_bench.session.post(f"{page_bench.address}/api/say", data=form, headers=PAGE_HEADERS)

    [invocation] = page_bench.script.invocations
    file = invocation.attachments["image"]
    assert response.status == 200
    assert (file.name, file.mime, file.size_bytes, await file.read()) == ("fox.png", "image/png", len(PNG), PNG)
    assert (await page_bench.messages())[0]["note"] == "with fox.png"


async def test_a_cancelled_request_is_still_handled_to_the_end(page_bench: PageBench) -> None:
    may_answer, is_asked = asyncio.Event(), asyncio.Event()

    async def slow(invocation: Invocation) -> Reply:
        is_asked.set()
        await may_answer.wait()
        return Reply(text="Here after all.")

    page_bench.script.answer = slow
    request = asyncio.create_task(page_bench.say("/draw a fox"))
    await is_asked.wait()
    request.cancel()
    may_answer.set()

    async with page_bench.watch() as stream:
        texts: list[str] = []
        while "Here after all." not in texts:
            event = await anext(stream)
            texts += [m["text"] for m in event.data] if event.name == "snapshot" else [event.data["text"]]


async def test_a_press_carries_the_message_and_an_own_key(page_bench: PageBench) -> None:
    page_bench.script.press_reply = Reply(text="That is being worked on already.", tone=Tone.ERROR)
    body = {"channel": "main", "message": "m", "action": "vary", "job": "j", "n": 2, "request_id": "press-0001"}

    response = await page_bench.post("/api/press", body)

    [press] = page_bench.script.presses
    assert (press.action, press.job_id, press.n, press.message_id) == ("vary", "j", 2, "m")
    assert press.request_key == "web:press-0001"
    assert await response.json() == {"error": "That is being worked on already."}
    assert await page_bench.messages() == []


async def test_the_menu_describes_every_option_of_a_form(page_bench: PageBench) -> None:
    menu = await (await page_bench.get("/api/menu")).json()

    draw = menu["commands"][0]
    options = {option["name"]: option for option in draw["options"]}
    assert (menu["plain"], draw["name"], draw["description"]) == ("chat", "draw", "Draw something.")
    assert (options["prompt"]["words"], options["prompt"]["required"]) == (True, True)
    assert (options["count"]["kind"], options["count"]["minimum"], options["count"]["maximum"]) == ("integer", 1, 4)
    assert (options["aspect"]["choices"], options["aspect"]["default"]) == (["1:1", "16:9"], None)
    assert (options["colour"]["autocomplete"], options["image"]["kind"]) == (True, "file")


async def test_suggestions_match_the_typed_text(page_bench: PageBench) -> None:
    suggestions = await page_bench.get("/api/autocomplete?command=draw&option=colour&typed=u")
    none = await page_bench.get("/api/autocomplete?command=draw&option=nonsense&typed=u")

    assert await suggestions.json() == [{"label": "umber paint", "value": "umber"}]
    assert await none.json() == []


async def test_channels_are_listed_by_first_words(page_bench: PageBench) -> None:
    await page_bench.say("/draw a fox")
    await page_bench.say("hello there", channel="other")

    suggestions = await (await page_bench.get("/api/channels")).json()

    assert [(entry["channel"], entry["words"]) for entry in suggestions] == [
        ("other", "hello there"),
        ("main", "/draw a fox"),
    ]


async def test_a_message_names_the_job(page_bench: PageBench) -> None:
    reply = Reply(text="done", buttons=(Button("again", "Again", "job-9"),), tone=Tone.DONE)
    await page_bench.platform.post(Destination(OWNER, HOME, "k", "n"), reply)

    [message] = await page_bench.messages()

    assert (message["job"], message["buttons"]) == (
        "job-9",
        [{"action": "again", "label": "Again", "job": "job-9", "n": 0}],
    )


async def test_half_an_emoji_from_a_browser_is_replaced(page_bench: PageBench) -> None:
    body = b'{"channel": "main", "request_id": "half-an-emoji", "text": "/words add \\ud83d fox"}'
    headers = {**PAGE_HEADERS, "Content-Type": "application/json"}

    async with page_bench.session.post(f"{page_bench.address}/api/say", data=body, headers=headers) as response:
        answer = await response.text()

    assert response.status == 200
    assert "Something broke" not in answer
