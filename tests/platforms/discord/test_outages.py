"""What goes wrong at Discord: gone channels, lacking permissions, limits, storms. The money is right, people know."""

import asyncio
from dataclasses import dataclass

import pytest

from bot.core.clock import SystemClock
from bot.core.jobs import JobState
from bot.platforms.discord import events
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.rest_api import PendingRequest
from bot.streaming.pacer import EditBucket
from tests.emulators.discord.messages import DiscordMessageState
from tests.platforms.discord.town import Town, is_done
from tests.telemetry.samples import value_of

EDITS = "/webhooks/*/*/messages/*"


@dataclass
class Response:
    """What is read of aiohttp's before its body."""

    status: int
    headers: dict[str, str]


async def job_state(town: Town, message: DiscordMessageState) -> JobState:
    job = await town.app.jobs.get(await town.get_job_id(message))
    assert job is not None
    return job.state


async def asked_by_mention(town: Town) -> DiscordMessageState:
    """A chat by mention, whose answer hangs, in a thread."""
    town.backend.will(hangs_after=1)
    said = await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    thread = await town.wait_until(lambda: said.thread)
    message: DiscordMessageState = await town.wait_until(lambda: thread.messages and thread.last_message)
    await town.wait_until_running(message)
    return message


async def test_a_message_that_was_deleted_leaves_its_job_undeliverable_and_kept(town: Town) -> None:
    message = await asked_by_mention(town)
    job = await town.get_job_id(message)

    town.emulator.delete_message(message)
    town.backend.last_run.released.set()
    await town.wait_until_idle()
    shown = await (await town.ana.use_command("show", {"job": job})).wait_for_private_message()

    assert await job_state(town, message) is JobState.UNDELIVERABLE
    assert "A short answer." in shown.text


@pytest.mark.parametrize("what", ["channel", "thread", "guild"])
async def test_a_place_that_is_gone_ends_the_job_cleanly(town: Town, what: str) -> None:
    message = await asked_by_mention(town)

    if what == "guild":
        town.emulator.kick_bot(town.guild)
    else:
        town.emulator.delete_channel(town.general if what == "channel" else message.channel)
    town.backend.last_run.released.set()
    await town.wait_until_idle()

    assert await job_state(town, message) is JobState.UNDELIVERABLE


async def test_a_thread_that_is_archived_while_it_is_answered_in_is_opened_again(town: Town) -> None:
    message = await asked_by_mention(town)

    town.emulator.archive_thread(message.channel)
    town.backend.last_run.released.set()
    await message.wait_until(is_done)
    await town.wait_until_idle()

    assert message.content.startswith("A short answer.")
    assert await job_state(town, message) is JobState.DELIVERED


async def test_a_thread_that_is_locked_keeps_its_answer_for_show(town: Town) -> None:
    message = await asked_by_mention(town)

    town.emulator.archive_thread(message.channel, locked=True)
    town.backend.last_run.released.set()
    await town.wait_until_idle()

    assert await job_state(town, message) is JobState.UNDELIVERABLE


async def test_where_the_history_is_not_to_be_read_answers_come_without_a_reference(town: Town) -> None:
    town.general.deny(town.emulator.bot, "read_message_history")

    await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    message = await town.wait_until(lambda: town.general.messages[1:] and town.general.last_message)
    await message.wait_until(is_done)

    assert message.content.startswith("A short answer.")


async def test_a_file_whose_sending_was_cut_is_sent_whole(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", "/channels/*/messages", times=2)

    await town.ana.send_direct_message("privacy export")
    told = await town.wait_until(lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message)

    assert b"discord" in told.attachments[0].data


async def test_a_server_that_removed_the_bot_is_written_down_as_gone(town: Town) -> None:
    async with town.app.database.write() as tx:
        await tx.people.allow_workspace(NAME, str(town.guild.id), town.clock.now())

    town.emulator.kick_bot(town.guild)

    async with asyncio.timeout(5):
        while await is_allowed(town):  # noqa: ASYNC110 - a row
            await asyncio.sleep(0.01)


async def is_allowed(town: Town) -> bool:
    async with town.app.database.read() as tx:
        return await tx.people.is_workspace_allowed(NAME, str(town.guild.id))


async def test_missing_permissions_are_named_with_the_place(town: Town) -> None:
    town.general.deny(town.emulator.bot, "send_messages", "create_public_threads")

    await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    await town.wait_until(lambda: town.emulator.find_requests("create_message"))
    await town.wait_until_idle()
    listed = await (await town.ana.use_command("show")).wait_for_private_message()
    job = listed.text.split("`")[1]
    shown = await (await town.ana.use_command("show", {"job": job})).wait_for_private_message()

    assert "⚠ I need the permission Send Messages in #general." in shown.text
    assert town.backend.runs == {}


async def test_a_storm_of_errors_delays_an_answer_and_loses_nothing(town: Town) -> None:
    town.backend.will(hangs_after=2, words=("One ", "two ", "three"))
    message = await (await town.ana.use_command("chat", {"message": "Count"})).wait_for_message()
    await message.wait_until(lambda one: "two" in one.content)

    town.emulator.faults.respond("PATCH", EDITS, 502)
    town.emulator.faults.drop_connection("PATCH", EDITS)
    town.backend.last_run.released.set()
    await message.wait_until(is_done)

    assert message.content.startswith("One two three")
    assert len(town.backend.runs) == 1


async def test_a_create_that_was_cut_after_it_took_effect_makes_one_message(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", "/channels/*/messages", takes_effect=True)

    said = await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    thread = await town.wait_until(lambda: said.thread)
    message = await town.wait_until(lambda: thread.messages and thread.last_message)
    await message.wait_until(is_done)

    assert len(thread.messages) == 1


async def test_a_hidden_limit_is_honoured(town: Town) -> None:
    town.emulator.faults.rate_limit("PATCH", EDITS, 0.3)

    message = await (await (await town.ana.use_command("chat", {"message": "Count"})).wait_for_message()).wait_until(
        is_done
    )

    assert message.content.startswith("A short answer.")


async def test_a_ban_by_a_proxy_is_borne(town: Town) -> None:
    town.emulator.faults.rate_limit("PATCH", EDITS, 0.3, has_via_header=False)

    message = await (await (await town.ana.use_command("chat", {"message": "Count"})).wait_for_message()).wait_until(
        is_done
    )

    assert message.content.startswith("A short answer.")


async def test_a_user_who_left_still_has_their_answer(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
    await town.wait_until_running(message)

    town.ana.leave_guild()
    town.backend.last_run.released.set()
    await message.wait_until(is_done)

    assert message.pictures


async def test_a_shared_429_and_an_invalid_request_are_counted(town: Town) -> None:
    names = ("easel_rate_limited_total", "easel_invalid_requests_total")
    before = [value_of(name, platform="discord") for name in names]
    town.emulator.faults.rate_limit("PATCH", EDITS, 0.1)  # a shared limit, which Discord does not count as invalid
    town.emulator.faults.respond("PATCH", EDITS, 403, body={"code": 50013, "message": "Missing Permissions"})

    await town.ana.use_command("imagine", {"prompt": "a fox"})
    await town.wait_until(lambda: value_of(names[1], platform="discord") > before[1])

    after = [value_of(name, platform="discord") for name in names]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]


async def test_many_asks_at_once_are_all_answered_without_a_429(town: Town) -> None:
    asked = [await town.ana.use_command("chat", {"message": f"question {n}"}) for n in range(6)]

    for one in asked:
        await (await one.wait_for_message()).wait_until(is_done)

    assert all(request.status != 429 for request in town.emulator.find_requests())


async def test_an_answer_that_is_held_up_does_not_hold_up_a_stop(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "DRAIN_SECONDS", 0.1)
    town.emulator.faults.rate_limit("PATCH", EDITS, 60.0)
    await town.ana.use_command("usage")
    await town.wait_until(lambda: town.emulator.find_requests("update_original_webhook_message"))

    async with asyncio.timeout(2.0):
        await town.app.connections[0].stop_listening()


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"},
        {"X-RateLimit-Remaining": "many", "X-RateLimit-Reset-After": "soon"},
    ],
)
async def test_figures_of_a_proxy_that_are_none_break_no_request(headers: dict[str, str]) -> None:
    call = PendingRequest(EditBucket(SystemClock(), limit=5, window_seconds=5.0))

    call.read_headers(Response(429 if "Retry-After" in headers else 200, headers))  # type: ignore[arg-type] # all it reads
    call.read_body(b"<html>")

    assert not call.answer.done()
