"""The first response to an ask: sent after the commit, with the answer itself; nothing is lost, nothing shown twice."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.core.jobs import JobState
from bot.platforms.discord import responses
from tests.emulators.discord.interactions import DEFERRED_MESSAGE, MESSAGE, DiscordInteractionState
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.state import DiscordChannelState
from tests.platforms.discord.town import Town, finish, is_done, open_town

CALLBACK = "/interactions/*/*/callback"
TOO_LATE = {"message": "Unknown interaction", "code": 10062}


def list_bot_messages(town: Town, channel: DiscordChannelState | None = None) -> list[DiscordMessageState]:
    """Return the bot's messages that all members of a channel see."""
    messages = (channel or town.general).messages
    return [message for message in messages if message.author is town.emulator.bot and not message.is_ephemeral]


async def wait_for_bot_message(town: Town, channel: DiscordChannelState | None = None) -> DiscordMessageState:
    found: list[DiscordMessageState] = await town.wait_until(lambda: list_bot_messages(town, channel))
    return found[-1]


async def test_the_first_response_is_the_placeholder_of_a_committed_job(town: Town) -> None:
    town.backend.will(hangs_after=0)
    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    await interaction.wait_for_acknowledgement()
    message = await interaction.wait_for_message()
    job = await town.app.jobs.get(await town.get_job_id(message))

    assert interaction.response_kind == MESSAGE
    assert "Waiting in line" in message.text
    assert job is not None
    assert job.request_key == f"discord:{interaction.id}"


async def test_an_ask_takes_no_request_between_its_response_and_its_result(town: Town) -> None:
    await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
    await town.wait_until_idle()

    asked = [one.operation for one in town.emulator.find_requests() if one.operation.endswith("_response")]
    edits = town.emulator.find_requests("update_original_webhook_message")
    assert asked == ["create_interaction_response"]
    assert len(edits) <= 2  # at most one "Working on it", and the picture


async def test_a_refused_ask_is_told_privately_by_the_first_response(town: Town) -> None:
    await town.add_word("fox")

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    refusal = await interaction.wait_for_private_message()

    assert "not wanted here" in refusal.text
    assert interaction.response_kind == MESSAGE
    assert interaction.replies == [refusal]
    assert {one.operation for one in town.emulator.find_requests() if "webhook" in one.operation} == set()


async def test_forty_people_refused_at_once_in_a_channel_are_all_told(town: Town) -> None:
    await town.add_word("fox")
    people = [town.guild.add_member(f"Person {n}") for n in range(40)]

    asked = await asyncio.gather(*(one.use_command("imagine", {"prompt": "a fox"}) for one in people))
    refusals = [await one.wait_for_private_message(2.0) for one in asked]

    assert len(refusals) == 40
    assert all("not wanted here" in one.text for one in refusals)
    assert not any(one.is_late for one in asked)


async def test_a_refused_press_is_told_privately_by_the_first_response(town: Town) -> None:
    message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
    await town.add_word("fox")

    press = await town.ben.press(message, "Again")
    refusal = await press.wait_for_private_message()

    assert "not wanted here" in refusal.text
    assert press.response_kind == MESSAGE
    assert press.replies == [refusal]


async def test_an_ask_that_the_database_delays_is_deferred(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "DEFER_AFTER_SECONDS", 0.1)
    async with town.app.database.write():
        interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
        await interaction.wait_for_acknowledgement()

    assert (await finish(interaction)).pictures
    assert interaction.response_kind == DEFERRED_MESSAGE
    assert not interaction.is_late
    assert len(interaction.replies) == 1


async def test_a_refusal_after_a_deferral_is_private(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "DEFER_AFTER_SECONDS", 0.1)
    await town.add_word("fox")
    async with town.app.database.write():
        interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
        await interaction.wait_for_acknowledgement()

    refusal = await interaction.wait_for_private_message()

    assert "not wanted here" in refusal.text
    assert list_bot_messages(town) == []


@pytest.mark.parametrize("command", ["imagine", "chat"])
async def test_a_job_whose_response_came_too_late_is_posted_in_the_channel(town: Town, command: str) -> None:
    options = {"prompt": "a fox"} if command == "imagine" else {"message": "hello"}
    town.emulator.faults.respond("POST", CALLBACK, 404, body=TOO_LATE)

    interaction = await town.ana.use_command(command, options)
    message = await (await wait_for_bot_message(town)).wait_until(is_done)
    await town.wait_until_idle()

    assert message.pictures or "A short answer." in message.content
    assert list_bot_messages(town) == [message]
    assert interaction.replies == []
    assert len(town.backend.runs) == 1


async def test_a_response_that_never_arrives_is_posted_in_the_channel(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "RESPONSE_TIMEOUT_SECONDS", 0.5)
    town.emulator.faults.drop_connection("POST", CALLBACK, times=100)

    await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await (await wait_for_bot_message(town)).wait_until(is_done)
    await town.wait_until_idle()

    assert list_bot_messages(town) == [message]
    assert len(town.backend.runs) == 1


async def test_a_response_that_arrived_unconfirmed_is_found(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", CALLBACK, takes_effect=True)
    town.emulator.faults.drop_connection("POST", CALLBACK, times=100)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await finish(interaction)
    await town.wait_until_idle()

    assert list_bot_messages(town) == [message]
    assert interaction.replies == [message]


def expect_no_response(town: Town, interaction: DiscordInteractionState) -> None:
    """Take an interaction out of Discord's check that each interaction has a response."""
    assert not interaction.is_acknowledged
    town.emulator.state.interactions.pop(interaction.id)


async def stop_before_the_response(town: Town, command: str, options: dict[str, Any]) -> DiscordInteractionState:
    """Ask, and stop the bot when the job is committed and its response has not arrived."""
    town.emulator.faults.drop_connection("POST", CALLBACK, times=100)
    interaction = await town.ana.use_command(command, options)
    await town.wait_until(lambda: town.emulator.find_requests("create_interaction_response"))
    await town.app.close()
    town.emulator.faults.clear()
    town.restarts += 1
    return interaction


async def test_a_restart_answers_a_young_interaction_of_a_committed_job(town: Town) -> None:
    interaction = await stop_before_the_response(town, "imagine", {"prompt": "a fox"})

    await town.open()
    message = await finish(interaction)
    await town.wait_until_idle()

    assert list_bot_messages(town) == [message]
    assert len(town.backend.runs) == 1


@pytest.mark.parametrize("minutes", [1, 30])
async def test_a_restart_posts_the_job_of_an_old_interaction_in_the_channel(town: Town, minutes: int) -> None:
    interaction = await stop_before_the_response(town, "imagine", {"prompt": "a fox"})
    await town.advance_time(60 * minutes)

    await town.open()
    message = await (await wait_for_bot_message(town)).wait_until(is_done)
    await town.wait_until_idle()

    assert message.pictures
    assert list_bot_messages(town) == [message]
    assert interaction.replies == []
    assert len(town.backend.runs) == 1
    expect_no_response(town, interaction)


async def test_a_restart_goes_on_in_a_response_that_was_not_recorded(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", CALLBACK, takes_effect=True)
    interaction = await stop_before_the_response(town, "imagine", {"prompt": "a fox"})
    assert interaction.response_kind == MESSAGE
    await town.advance_time(60)

    await town.open()
    message = await finish(interaction)
    await town.wait_until_idle()

    assert list_bot_messages(town) == [message]
    assert interaction.replies == [message]
    assert len(town.backend.runs) == 1


async def test_a_conversation_whose_response_was_lost_continues_by_replies(town: Town) -> None:
    interaction = await stop_before_the_response(town, "chat", {"message": "hello"})
    await town.advance_time(60)
    await town.open()
    first = await (await wait_for_bot_message(town)).wait_until(is_done)
    await town.wait_until_idle()
    place = first.thread or town.general

    await town.ana.say("and more?", place, reply_to=None if first.thread else first)
    second = await town.wait_until(
        lambda: [one for one in list_bot_messages(town, place) if one is not first and is_done(one)]
    )

    assert len(second) == 1
    assert "hello" in town.backend.last_run.words
    expect_no_response(town, interaction)


async def test_a_user_install_finds_the_job_of_a_lost_response_by_show(tmp_path: Path) -> None:
    async with open_town(tmp_path, allow_user_installs=True) as town:
        strange = town.emulator.add_guild("Strangers", has_bot=False)
        cleo = strange.add_member("Cleo")
        cleo.install_app()
        town.emulator.faults.respond("POST", CALLBACK, 404, body=TOO_LATE)

        await cleo.use_command("imagine", {"prompt": "a fox"})
        await town.wait_until(lambda: town.backend.runs)
        await town.wait_until_idle()
        listing = await (await cleo.use_command("show")).wait_for_private_message()
        job = await town.app.jobs.get(listing.text.split("`")[1])
        shown = await (await cleo.use_command("show", {"job": listing.text.split("`")[1]})).wait_for_private_message()

        assert job is not None
        assert job.state is JobState.UNDELIVERABLE
        assert shown.pictures
        assert [one for one in strange.channels[0].messages if not one.is_ephemeral] == []
