"""Within three seconds, whatever happens: the first answer, and what it becomes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.discord.town import Town, is_done

CALLBACK = "/interactions/*/*/callback"


async def test_an_acknowledgement_that_was_cut_is_sent_again(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", CALLBACK)

    asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await (await asked.wait_for_message()).wait_until(is_done)

    assert message.pictures
    assert asked.acknowledgement_seconds < 1.0


async def test_an_acknowledgement_that_arrived_and_whose_answer_was_lost_is_ours(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", CALLBACK, takes_effect=True)

    asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await (await asked.wait_for_message()).wait_until(is_done)

    assert message.pictures
    assert len(town.backend.runs) == 1
    town.expect_violation("acknowledged twice")


async def test_an_acknowledgement_survives_a_storm_of_errors(town: Town) -> None:
    for status in (500, 502, 503):
        town.emulator.faults.respond("POST", CALLBACK, status)

    asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await (await asked.wait_for_message()).wait_until(is_done)

    assert message.pictures
    assert asked.acknowledgement_seconds < 1.5


async def test_a_slow_acknowledgement_is_not_waited_for_for_ever(town: Town) -> None:
    town.emulator.faults.delay("POST", CALLBACK, 2.0)

    asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await (await asked.wait_for_message()).wait_until(is_done)

    assert message.pictures
    await asyncio.sleep(0)
    assert asked.acknowledgement_seconds < 2.0
    await town.wait_until(lambda: any("acknowledged twice" in one for one in town.emulator.violations))
    town.expect_violation("acknowledged twice")


@pytest.mark.parametrize("with_via", [True, False])
async def test_an_acknowledgement_that_is_limited_is_sent_again(town: Town, with_via: bool) -> None:
    town.emulator.faults.rate_limit("POST", CALLBACK, 0.2, has_via_header=with_via)

    asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await (await asked.wait_for_message()).wait_until(is_done)

    assert message.pictures
    assert asked.acknowledgement_seconds < 1.5


@pytest.mark.parametrize("told", [{}, {"interaction": None}, {"interaction": {"id": "1", "type": 2}}])
async def test_an_acknowledgement_whose_answer_does_not_name_the_message_is_looked_up(
    town: Town, told: dict[str, Any]
) -> None:
    town.emulator.faults.respond("POST", CALLBACK, 200, body=told, takes_effect=True)
    town.emulator.faults.drop_connection("GET", "/webhooks/*/*/messages/*")

    message = await (await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()).wait_until(
        is_done
    )

    assert message.pictures


async def test_what_is_acknowledged_too_late_is_dropped_and_costs_nothing(town: Town) -> None:
    town.emulator.faults.respond("POST", CALLBACK, 404, body={"message": "Unknown interaction", "code": 10062})

    asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
    await town.wait_until(lambda: town.emulator.find_requests("create_interaction_response"))
    usage = await (await town.ana.use_command("usage")).wait_for_private_message()

    assert not asked.replies
    assert town.backend.runs == {}
    assert "**100** of 100 credits left today" in usage.text
    town.emulator.state.interactions.pop(asked.id)


async def test_of_two_processes_with_two_databases_one_answers(town: Town, tmp_path: Path) -> None:
    other = town.create_app(tmp_path / "other")
    await other.open(connections=other.make_connections())
    await town.emulator.wait_for_connections(2)

    asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
    await (await asked.wait_for_message()).wait_until(is_done)
    await town.wait_until(lambda: any("acknowledged twice" in one for one in town.emulator.violations))
    await other.close()

    assert len(town.backend.runs) == 1
    town.expect_violation("acknowledged twice")


async def test_nothing_of_the_bot_is_waited_for_before_the_acknowledgement(town: Town) -> None:
    async with town.app.database.write(), asyncio.timeout(5):
        asked = await town.ana.use_command("imagine", {"prompt": "a fox"})
        await asked.wait_for_acknowledgement()

    assert (await (await asked.wait_for_message()).wait_until(is_done)).pictures


async def test_a_bot_that_stops_turns_people_away_privately(town: Town) -> None:
    await town.app.drain()

    told = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_private_message()

    assert told.text == "I am restarting. Please ask again in a moment; nothing was charged."
    assert town.backend.runs == {}


async def test_who_speaks_to_a_bot_that_stops_is_told(town: Town) -> None:
    await town.app.drain()

    await town.ana.send_direct_message("hello")
    told = await town.wait_until(lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message)

    assert told.text == "I am restarting. Please ask again in a moment; nothing was charged."


async def test_a_server_that_is_not_allowed_gets_one_sentence(town: Town) -> None:
    await town.wait_until_ready()
    strange = town.emulator.add_guild("Strangers")
    cleo = strange.add_member("Cleo")
    await town.wait_until(lambda: strange.channels[0].messages)

    told = await (await cleo.use_command("imagine", {"prompt": "a fox"})).wait_for_private_message()
    said = await cleo.say(f"{town.emulator.bot.mention} hello")
    answer = await town.wait_until(lambda: strange.channels[0].messages[2:] and strange.channels[0].last_message)

    assert told.text.startswith("This workspace is not on my list yet. Ask my owner")
    assert answer.reference is said
    assert answer.text == told.text
    assert said.thread is None


async def test_a_bug_ends_in_a_sentence_with_a_reference(town: Town, monkeypatch: object) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    town.app.dispatcher.services.jobs.list_recent = broken  # type: ignore[method-assign,assignment] # it breaks
    told = await (await town.ana.use_command("show")).wait_for_private_message()

    assert told.text.startswith("Something broke on our side. Nothing was charged. Tell the owner this reference:")
