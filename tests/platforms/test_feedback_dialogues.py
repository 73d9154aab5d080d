"""Votes on chat answers on Discord and in Slack: the buttons, the form for the reason, and the moderators' list."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.platforms.discord.dialogue import DiscordStaff, read_answer
from tests.platforms.discord.test_chat import wait_for_answer as wait_for_discord_answer
from tests.platforms.discord.town import finish, open_town
from tests.platforms.slack.dialogue import read_answer as read_slack_answer
from tests.platforms.slack.office import Office, create_office
from tests.platforms.slack.test_chat import wait_for_answer

THANKS = "Thank you: it is noted."


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = await (await create_office(tmp_path)).open()
    yield office
    await office.close()
    await office.slack.stop()
    assert office.slack.violations == []


async def test_discord_takes_a_vote_and_its_reason(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        staff = DiscordStaff(town)
        message = await finish(await town.ana.use_command("chat", {"message": "hello"}))
        thanks = await (await town.ben.press(message, "👎")).wait_for_private_message()
        form = await (await town.ben.press(thanks, "Say why")).wait_for_modal()

        noted = await (await town.ben.submit(form, {"Reason": "it rambles"})).wait_for_private_message()

        assert thanks.text == f"👎 {THANKS} Moderators can read it."
        assert noted.text == f"👎 {THANKS}"
        listed = await read_answer(staff.mia, "feedback list")
        assert "👎 Ben" in listed
        assert "“hello” · because: “it rambles”" in listed


async def test_discords_direct_messages_are_private(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        staff = DiscordStaff(town)
        await town.ana.send_direct_message("hello")
        message = await wait_for_discord_answer(town, town.ana.direct_channel, 1)

        thanks = await (await town.ana.press(message, "👍")).wait_for_private_message()

        assert "Nobody but you reads it" in thanks.text
        assert "Nobody has voted" in await read_answer(staff.mia, "feedback list")


async def test_slacks_own_buttons_take_a_vote_and_its_reason(office: Office) -> None:
    message = await office.ana.say(f"{office.team.mention} hello", office.general)
    answer = await wait_for_answer(office.general.get_thread(message))

    await office.otto.press(answer, "👎")
    thanks = await office.otto.wait_for_private_message(THANKS)
    await office.otto.press(thanks, "Say why")
    form = await office.otto.wait_for_modal("Say why")
    await office.otto.submit(form, {"reason": "it rambles"})
    await office.otto.wait_for_private_message(THANKS, after=thanks)

    assert answer.feedback_labels == ["👍", "👎"]
    listed = await read_slack_answer(office.otto, "/feedback list", office.general)
    assert "👎 Otto" in listed
    assert "because: “it rambles”" in listed


async def test_slacks_direct_messages_are_private(office: Office) -> None:
    answer = await wait_for_answer(office.ana.direct_channel.get_thread(await office.ana.say("hello")))

    await office.ana.press(answer, "👍")

    await office.ana.wait_for_private_message("Nobody but you reads it, as this chat is private.")
    assert "Nobody has voted" in await read_slack_answer(office.otto, "/feedback list", office.general)
