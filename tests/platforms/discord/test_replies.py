"""The acknowledgement within three seconds despite errors, and the replies after the acknowledgement."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.platforms.discord import responses
from tests.fakes.splitting import answer_usage_at_length
from tests.platforms.discord.town import Town, finish

CALLBACK = "/interactions/*/*/callback"


async def test_a_cut_acknowledgement_is_sent_again(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", CALLBACK)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await finish(interaction)

    assert message.pictures
    assert not interaction.is_late


async def test_an_acknowledgement_with_a_lost_answer_counts_as_ours(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", CALLBACK, takes_effect=True)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await finish(interaction)

    assert message.pictures
    assert len(town.backend.runs) == 1


async def test_an_acknowledgement_survives_a_storm_of_errors(town: Town) -> None:
    for status in (500, 502, 503):
        town.emulator.faults.respond("POST", CALLBACK, status)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await finish(interaction)

    assert message.pictures
    assert not interaction.is_late


async def test_a_slow_acknowledgement_is_repeated_in_time(town: Town) -> None:
    town.emulator.faults.delay("POST", CALLBACK, 2.8)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await finish(interaction)

    assert message.pictures
    await asyncio.sleep(0)
    assert interaction.acknowledgement_seconds < 2.6
    await town.wait_until(lambda: any("acknowledged twice" in one for one in town.emulator.violations))


@pytest.mark.parametrize("with_via", [True, False])
async def test_a_rate_limited_acknowledgement_is_sent_again(town: Town, with_via: bool) -> None:
    town.emulator.faults.rate_limit("POST", CALLBACK, 0.2, has_via_header=with_via)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await finish(interaction)

    assert message.pictures
    assert not interaction.is_late


@pytest.mark.parametrize("told", [{}, {"interaction": None}, {"interaction": {"id": "1", "type": 2}}])
async def test_a_response_without_a_message_id_is_looked_up(town: Town, told: dict[str, Any]) -> None:
    town.emulator.faults.respond("POST", CALLBACK, 200, body=told, takes_effect=True)
    town.emulator.faults.drop_connection("GET", "/webhooks/*/*/messages/*")

    message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))

    assert message.pictures


async def test_a_command_without_an_ask_acknowledged_too_late_is_dropped(town: Town) -> None:
    town.emulator.faults.respond("POST", CALLBACK, 404, body={"message": "Unknown interaction", "code": 10062})

    interaction = await town.ana.use_command("usage")
    await town.wait_until(lambda: town.emulator.find_requests("create_interaction_response"))
    await (await town.ana.use_command("usage")).wait_for_private_message()

    assert not interaction.replies
    town.emulator.state.interactions.pop(interaction.id)


async def test_one_of_two_processes_with_separate_databases_answers(town: Town, tmp_path: Path) -> None:
    other = town.create_app(tmp_path / "other")
    await other.open(connections=other.make_connections())
    await town.emulator.wait_for_connections(2)

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    await finish(interaction)
    await town.wait_until(lambda: any("acknowledged twice" in one for one in town.emulator.violations))
    await other.close()

    assert len(town.backend.runs) == 1
    town.expect_violation("acknowledged twice")


async def test_the_acknowledgement_waits_for_no_database(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "DEFER_AFTER_SECONDS", 0.1)
    async with town.app.database.write(), asyncio.timeout(5):
        interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
        await interaction.wait_for_acknowledgement()

    assert (await finish(interaction)).pictures


async def test_a_stopping_bot_refuses_commands_privately(town: Town) -> None:
    await town.app.drain()

    answer = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_private_message()

    assert answer.text == "I am restarting. Please ask again in a moment; nothing was charged."
    assert town.backend.runs == {}


async def test_a_stopping_bot_refuses_messages(town: Town) -> None:
    await town.app.drain()

    await town.ana.send_direct_message("hello")
    answer = await town.wait_until(
        lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message
    )

    assert answer.text == "I am restarting. Please ask again in a moment; nothing was charged."


async def test_a_server_that_is_not_allowed_is_refused_in_one_sentence(town: Town) -> None:
    await town.wait_until_ready()
    strange = town.emulator.add_guild("Strangers")
    cleo = strange.add_member("Cleo")
    await town.wait_until(lambda: strange.channels[0].messages)

    reply = await (await cleo.use_command("imagine", {"prompt": "a fox"})).wait_for_private_message()
    question = await cleo.say(f"{town.emulator.bot.mention} hello")
    answer = await town.wait_until(lambda: strange.channels[0].messages[2:] and strange.channels[0].last_message)

    assert reply.text.startswith("This workspace is not on my list yet. Ask my owner")
    assert answer.reference is question
    assert answer.text == reply.text
    assert question.thread is None


async def test_an_internal_error_is_answered_with_a_reference(town: Town, monkeypatch: object) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    town.app.dispatcher.services.jobs.list_recent = fail  # type: ignore[method-assign,assignment] # it breaks
    answer = await (await town.ana.use_command("show")).wait_for_private_message()

    assert answer.text.startswith("Something broke on our side. Nothing was charged. Tell the owner this reference:")


async def test_a_long_private_answer_is_split_beside_the_event_loop(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop = answer_usage_at_length(monkeypatch)

    interaction = await town.ana.use_command("usage")

    await town.wait_until(lambda: any("the end" in message.content for message in interaction.replies))
    assert on_loop == [False]


async def test_a_long_private_answer_to_a_message_is_split_beside_the_event_loop(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop = answer_usage_at_length(monkeypatch)

    await town.ana.say(f"{town.emulator.bot.mention} /usage", town.general)

    await town.wait_until(lambda: on_loop)
    assert on_loop == [False]
