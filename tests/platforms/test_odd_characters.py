"""Half an emoji (a lone surrogate) in words, options, names and presses of each platform: U+FFFD, and no error.

Control characters arrive as typed or not at all, from people and from models, and cause no error either.
"""

from pathlib import Path

from tests.platforms.discord.town import finish, is_done, open_town
from tests.platforms.slack.office import Office, create_office
from tests.platforms.web.web_bot import open_web_bot

HALF, MENDED = "half \ud83d fox", "half \ufffd fox"
CONTROLS = "a fox\x00\x1b[2J\x07\u202e\ufffe in the snow"
BROKEN = "Something broke"


async def test_on_the_page(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as bot:
        browser = bot.open_browser()
        said = await browser.post("/api/say", {"text": f"/imagine {HALF}", "options": {"format": "png", HALF: 1}})
        drawn = await browser.wait_for_result()
        words = await browser.post("/api/say", {"text": HALF})
        answer = await browser.wait_for_result(after=drawn["id"])
        pressed = [
            await browser.post("/api/press", {"message": HALF, "action": HALF, "job": HALF, "n": 0}),
            await browser.post("/api/delete", {"message": HALF}),
        ]
        prompts = [run.words for run in bot.backend.runs.values()]

    assert [said["error"], words["error"]] == ["", ""]
    assert prompts[0] == MENDED
    assert MENDED in prompts[1]
    assert answer["text"] == "A short answer."
    assert 500 not in pressed


async def test_on_discord(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        head = await town.ben.say(HALF, town.general)
        question = await town.ana.say(f"{town.emulator.bot.mention} Imagine {HALF}", reply_to=head)
        thread = await town.wait_until(lambda: question.thread)
        answer = await town.wait_until(lambda: thread.messages and thread.last_message)
        await answer.wait_until(is_done)
        prompt = town.backend.last_run.words
        await town.ana.press(answer, "Draw it instead")
        await town.wait_until(lambda: thread.messages[1:] and is_done(thread.last_message))

        assert f"Ben: {MENDED}" in prompt
        assert f"Imagine {MENDED}" in prompt
        assert thread.name == f"Imagine {MENDED}"
        assert town.backend.last_run.inputs["prompt"] == MENDED


async def test_on_slack(tmp_path: Path) -> None:
    office: Office = await (await create_office(tmp_path)).open()
    try:
        root = await office.otto.say(HALF, office.general)
        await office.ana.say(f"{office.team.mention} Imagine {HALF}", thread=root)
        thread = office.general.get_thread(root)
        answer = await thread.wait_for_bot_message(condition=lambda one: "Draw it instead" in one.button_labels)
        prompt = office.backend.last_run.words
        await office.ana.press(answer, "Draw it instead")
        await thread.wait_for_bot_message(condition=lambda one: one.files)
        await office.ana.use_command("/imagine", f"{HALF}", office.general)
        await office.general.wait_for_bot_message(condition=lambda one: one.files and not one.thread_ts)

        assert f"Otto: {MENDED}" in prompt
        assert f"Imagine {MENDED}" in prompt
    finally:
        await office.close()
        await office.slack.stop()


async def test_control_characters_on_the_page(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path, is_demo=True) as bot:
        bot.backend.will(words=[f"{CONTROLS}{HALF}"])
        browser = bot.open_browser()
        drawn = await browser.post("/api/say", {"text": f"/imagine {CONTROLS}", "options": {"format": CONTROLS}})
        said = await browser.post("/api/say", {"text": CONTROLS})
        answer = await browser.wait_for_result()

    assert BROKEN not in f"{drawn} {said} {answer}"
    assert answer["text"].startswith("a fox")
    assert not {"\x00", "\x1b", "\u202e", "\ud83d"} & set(answer["text"])


async def test_control_characters_on_discord(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        drawn = await finish(await town.ana.use_command("imagine", {"prompt": CONTROLS}))
        town.backend.will(words=[f"{CONTROLS}{HALF}"])
        question = await town.ana.say(f"{town.emulator.bot.mention} {CONTROLS}", town.general)
        thread = await town.wait_until(lambda: question.thread)
        answer = await town.wait_until(lambda: thread.messages and thread.last_message)
        await answer.wait_until(is_done)

        assert drawn.pictures
        assert "a fox" in answer.content
        assert not {"\x00", "\x1b", "\u202e", "\ud83d"} & set(answer.content)


async def test_control_characters_on_slack(tmp_path: Path) -> None:
    office: Office = await (await create_office(tmp_path)).open()
    try:
        await office.ana.use_command("/imagine", CONTROLS, office.general)
        drawn = await office.general.wait_for_bot_message(condition=lambda one: one.files)
        office.backend.will(words=[f"{CONTROLS}{HALF}"])
        question = await office.ana.say(f"{office.team.mention} what is it? {CONTROLS}", office.general)
        thread = office.general.get_thread(question)
        answer = await thread.wait_for_bot_message("in the snow")

        assert BROKEN not in drawn.visible_text
        assert not {"\x00", "\x1b", "\u202e", "\ud83d"} & set(answer.visible_text)
    finally:
        await office.close()
        await office.slack.stop()
