"""A chat that edits, enlarges, looks, speaks and draws, on each platform with the sandbox's models over real HTTP."""

import asyncio
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import aiohttp
from PIL import Image

from bot.app import App
from bot.core.models import Task
from bot.core.people import Rank
from bot.sandbox.server import SandboxThread
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.rate_limits import DiscordRateLimit
from tests.emulators.discord.state import DiscordChannelState
from tests.fakes.backend import ScriptedBackend, make_png
from tests.platforms.conftest import use_sandbox
from tests.platforms.discord.town import Town, is_done, open_town
from tests.platforms.slack.dialogue import read_answer
from tests.platforms.slack.office import create_office
from tests.platforms.web.page_bench import PAGE_HEADERS
from tests.platforms.web.web_bot import Browser, open_web_bot
from tests.storage.raw import list_jobs_with_open_holds

TURNS = (
    ("repaint it: make the snow red", "Editing the last picture: make the snow red", "edit made 1 file"),
    ("enlarge it", "Enlarging the last picture …", "upscale made 1 file"),
    ("look at it: what colours?", "Looking at the last picture: what colours", "There it is. The tool said: "),
    ("say hello, foxes", "Speaking: hello, foxes", "speak made 1 file"),
    ("draw a fox in snow", "Drawing: a fox in snow", "imagine made 1 file"),
)
"""What a person says, what is told while the tool runs, and what the model read of the result."""

FIRST_WIDTH = 64
ENLARGED_WIDTH = 2 * FIRST_WIDTH
PATIENCE_SECONDS = 30.0


def read_widths(pictures: Sequence[bytes]) -> list[int]:
    return [Image.open(BytesIO(picture)).width for picture in pictures]


async def test_a_chat_uses_all_tools_on_discord(tmp_path: Path, sandbox: SandboxThread) -> None:
    async with open_town(tmp_path, replicate_base_url=sandbox.url) as town, use_sandbox(town.app, sandbox):
        await town.set("tools", True)
        # The bot learns Discord's limits from each response: with the usual ones it would pause twice for five seconds.
        for operation in ("create_message", "update_message"):
            town.emulator.rate_limits.limits[operation] = DiscordRateLimit(operation, 50, 5.0)
        words, told, result = TURNS[0]
        options = {"message": words, "image": make_png(FIRST_WIDTH, FIRST_WIDTH)}
        asked = await town.ana.use_command("chat", options)
        answer = await asked.wait_for_message(PATIENCE_SECONDS)
        await answer.wait_until(is_done, timeout_seconds=PATIENCE_SECONDS)
        assert told in answer.text
        thread = await town.wait_until(lambda: answer.thread, PATIENCE_SECONDS)
        await wait_for_text(town, thread, 0, result)
        for words, told, result in TURNS[1:]:
            before = len(thread.messages)
            await town.ana.say(words, thread)
            await wait_for_text(town, thread, before, result)
            assert any(told in message.text for message in thread.messages[before:])
        await town.wait_until(lambda: not town.app.runner.running_count, PATIENCE_SECONDS)

        shown = [message.pictures[0].data for message in thread.messages if message.pictures]
        assert read_widths(shown)[:2] == [FIRST_WIDTH, ENLARGED_WIDTH]
        versions = [version for message in (answer, *thread.messages) for version in message.versions]
        assert not any('"tool"' in f"{version.content}{version.components}" for version in versions)


async def wait_for_text(town: Town, thread: DiscordChannelState, before: int, text: str) -> None:
    """Wait until a finished message after the first `before` ones shows a text."""

    def shows(message: DiscordMessageState) -> bool:
        return text in message.text and is_done(message)

    await town.wait_until(lambda: any(map(shows, thread.messages[before:])), PATIENCE_SECONDS)


async def test_a_chat_uses_all_tools_on_slack(tmp_path: Path, sandbox: SandboxThread) -> None:
    office = await (await create_office(tmp_path, replicate_base_url=sandbox.url)).open()
    try:
        async with use_sandbox(office.app, sandbox):
            await read_answer(office.otto, "/settings chat --tools on", office.general)
            picture = make_png(FIRST_WIDTH, FIRST_WIDTH)
            asked = await office.ana.say(f"{office.team.mention} {TURNS[0][0]}", office.general, files=[picture])
            thread = office.general.get_thread(asked)
            for n, (words, told, result) in enumerate(TURNS):
                said = await office.ana.say(words, thread=thread) if n else asked
                await thread.wait_for_bot_message(told, after=said, timeout_seconds=PATIENCE_SECONDS)
                await thread.wait_for_bot_message(result, after=said, timeout_seconds=PATIENCE_SECONDS)
            await office.wait_until_idle()

            shown = [file.content for one in thread.bot_messages for file in one.files if file.alt_text]
            assert read_widths(shown)[:2] == [FIRST_WIDTH, ENLARGED_WIDTH]
            assert not any('"tool"' in version.text for one in thread.bot_messages for version in one.versions)
            assert await office.open_holds() == []
            assert office.slack.violations == []
    finally:
        await office.close()
        await office.slack.stop()


CALL = ("Here it comes.", '\n{"tool": "imag', 'ine", "prompt": "a fox in snow"}')
CHAIN = [Task.CHAT, Task.IMAGINE, Task.CHAT]


async def leave_result_behind(app: App, backend: ScriptedBackend) -> None:
    """Let the picture of a call be shown while the process begins nothing any more."""
    backend.will(hangs_after=0)
    backend.last_run.released.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while backend.last_run.model.task is not Task.IMAGINE:  # noqa: ASYNC110 - a backend without an event
            await asyncio.sleep(0.005)
    app.jobs.is_accepting = False
    backend.will(hangs_after=None)
    backend.last_run.released.set()


async def test_the_next_process_gives_a_result_back_on_discord(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await town.set("tools", True)
        town.backend.answers = [CALL, ("There ", "it is.")]
        town.backend.will(hangs_after=len(CALL))
        asked = await town.ana.use_command("chat", {"message": "draw a fox"})
        answer = await asked.wait_for_message(PATIENCE_SECONDS)
        thread = await town.wait_until(lambda: answer.thread, PATIENCE_SECONDS)
        await town.wait_until(lambda: "Here it comes." in answer.text, PATIENCE_SECONDS)
        await leave_result_behind(town.app, town.backend)
        await town.wait_until(lambda: any(one.pictures for one in thread.messages), PATIENCE_SECONDS)

        await town.restart()
        await wait_for_text(town, thread, 0, "There it is.")
        await town.wait_until(lambda: not town.app.runner.running_count, PATIENCE_SECONDS)

        assert [run.model.task for run in town.backend.runs.values()] == CHAIN
        assert sum(len(one.pictures) for one in thread.messages) == 1
        assert "imagine made 1 file" in town.backend.last_run.words
        assert await list_jobs_with_open_holds(town.app.database) == []


async def test_the_next_process_gives_a_result_back_in_slack(tmp_path: Path) -> None:
    office = await (await create_office(tmp_path)).open()
    try:
        await read_answer(office.otto, "/settings chat --tools on", office.general)
        office.backend.answers = [CALL, ("There ", "it is.")]
        office.backend.will(hangs_after=len(CALL))
        asked = await office.ana.say(f"{office.team.mention} draw a fox", office.general)
        thread = office.general.get_thread(asked)
        await thread.wait_for_bot_message(
            condition=lambda one: "Here it" in one.visible_text, timeout_seconds=PATIENCE_SECONDS
        )
        await leave_result_behind(office.app, office.backend)
        await thread.wait_for_bot_message(condition=lambda one: bool(one.files), timeout_seconds=PATIENCE_SECONDS)

        await office.close()
        await office.open()
        await thread.wait_for_bot_message(
            "There it is.", condition=lambda one: "Delete" in one.button_labels, timeout_seconds=PATIENCE_SECONDS
        )
        await office.wait_until_idle()

        assert [run.model.task for run in office.backend.runs.values()] == CHAIN
        assert sum(len(one.files) for one in thread.bot_messages) == 1
        assert "imagine made 1 file" in office.backend.last_run.words
        assert await office.open_holds() == []
        assert office.slack.violations == []
    finally:
        await office.close()
        await office.slack.stop()


async def test_a_chat_uses_all_tools_on_the_page(tmp_path: Path, sandbox: SandboxThread) -> None:
    async with open_web_bot(tmp_path, replicate_base_url=sandbox.url) as bot, use_sandbox(bot.app, sandbox):
        mo, ana = await bot.invite("Mo", Rank.MODERATOR), await bot.invite("Ana")
        assert (await mo.post("/api/say", {"text": "/settings chat --tools on"}))["error"] == ""
        for n, (words, told, result) in enumerate(TURNS):
            files = {} if n else {"image": make_png(FIRST_WIDTH, FIRST_WIDTH)}
            texts = await talk(ana, f"/chat {words}", f"turn-{n:08}", result, **files)
            assert any(told in text for text in texts)
            assert not any('"tool"' in text for text in texts)


async def talk(browser: Browser, text: str, request_id: str, result: str, **files: bytes) -> list[str]:
    """Say a line, wait until a finished answer holds `result`, and return the texts since."""
    before = len(await browser.messages())
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("ask", json.dumps({"channel": "main", "text": text, "request_id": request_id}))
    for name, content in files.items():
        form.add_field(name, content, filename=f"{name}.png", content_type="image/png")
    async with browser.session.post(f"{browser.address}/api/say", data=form, headers=PAGE_HEADERS) as response:
        assert (await response.json())["error"] == ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            later = (await browser.messages())[before:]
            if any(result in message["text"] and message["tone"] != "working" for message in later):
                return [message["text"] for message in later]
            await asyncio.sleep(0.02)
