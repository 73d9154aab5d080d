"""Outages: deleted channels, missing permissions, rate limits, storms of errors. Charges stay right, users are told."""

import asyncio
from dataclasses import dataclass

import pytest

from bot.core.clock import SystemClock
from bot.core.jobs import JobState
from bot.platforms.discord import events
from bot.platforms.discord.channels import NAME
from bot.platforms.discord.rest_api import PendingRequest, RequestSender
from bot.streaming.pacer import EditBucket
from tests.emulators.discord.messages import DiscordMessageState
from tests.platforms.discord.town import Town, finish, is_done
from tests.telemetry.samples import value_of

EDITS = "/webhooks/*/*/messages/*"


@dataclass
class ResponseHead:
    """The part of aiohttp's response that is read before the body."""

    status: int
    headers: dict[str, str]


async def get_job_state(town: Town, message: DiscordMessageState) -> JobState:
    job = await town.app.jobs.get(await town.get_job_id(message))
    assert job is not None
    return job.state


async def start_chat_by_mention(town: Town) -> DiscordMessageState:
    """Start a chat by mention in a thread and return the message of the hanging answer."""
    town.backend.will(hangs_after=1)
    question = await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    thread = await town.wait_until(lambda: question.thread)
    message: DiscordMessageState = await town.wait_until(lambda: thread.messages and thread.last_message)
    await town.wait_until_running(message)
    return message


async def test_a_deleted_message_leaves_its_job_undeliverable_and_kept(town: Town) -> None:
    message = await start_chat_by_mention(town)
    job = await town.get_job_id(message)

    town.emulator.delete_message(message)
    town.backend.last_run.released.set()
    await town.wait_until_idle()
    show_answer = await (await town.ana.use_command("show", {"job": job})).wait_for_private_message()

    assert await get_job_state(town, message) is JobState.UNDELIVERABLE
    assert "A short answer." in show_answer.text


@pytest.mark.parametrize("what", ["channel", "thread", "guild"])
async def test_a_deleted_channel_thread_or_server_leaves_the_job_undeliverable(town: Town, what: str) -> None:
    message = await start_chat_by_mention(town)

    if what == "guild":
        town.emulator.kick_bot(town.guild)
    else:
        town.emulator.delete_channel(town.general if what == "channel" else message.channel)
    town.backend.last_run.released.set()
    await town.wait_until_idle()

    assert await get_job_state(town, message) is JobState.UNDELIVERABLE


async def test_a_thread_archived_during_the_answer_is_reopened(town: Town) -> None:
    message = await start_chat_by_mention(town)

    town.emulator.archive_thread(message.channel)
    town.backend.last_run.released.set()
    await message.wait_until(is_done)
    await town.wait_until_idle()

    assert message.content.startswith("A short answer.")
    assert await get_job_state(town, message) is JobState.DELIVERED


async def test_a_locked_thread_leaves_the_job_undeliverable(town: Town) -> None:
    message = await start_chat_by_mention(town)

    town.emulator.archive_thread(message.channel, locked=True)
    town.backend.last_run.released.set()
    await town.wait_until_idle()

    assert await get_job_state(town, message) is JobState.UNDELIVERABLE


async def test_without_the_permission_to_read_history_answers_have_no_reference(town: Town) -> None:
    town.general.deny(town.emulator.bot, "read_message_history")

    await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    message = await town.wait_until(lambda: town.general.messages[1:] and town.general.last_message)
    await message.wait_until(is_done)

    assert message.content.startswith("A short answer.")


async def test_a_file_is_sent_whole_after_a_cut_upload(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", "/channels/*/messages", times=2)

    await town.ana.send_direct_message("privacy export")
    answer = await town.wait_until(
        lambda: town.ana.direct_channel.messages[1:] and town.ana.direct_channel.last_message
    )

    assert b"discord" in answer.attachments[0].data


async def test_a_server_that_removed_the_bot_is_forbidden(town: Town) -> None:
    async with town.app.database.write() as tx:
        await tx.people.allow_workspace(NAME, str(town.guild.id), town.clock.now())

    town.emulator.kick_bot(town.guild)

    async with asyncio.timeout(5):
        while await is_allowed(town):  # noqa: ASYNC110 - a row
            await asyncio.sleep(0.01)


async def is_allowed(town: Town) -> bool:
    async with town.app.database.read() as tx:
        return await tx.people.is_workspace_allowed(NAME, str(town.guild.id))


async def test_missing_permissions_are_named_with_the_channel(town: Town) -> None:
    town.general.deny(town.emulator.bot, "send_messages", "create_public_threads")

    await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    await town.wait_until(lambda: town.emulator.find_requests("create_message"))
    await town.wait_until_idle()
    listing = await (await town.ana.use_command("show")).wait_for_private_message()
    job = listing.text.split("`")[1]
    show_answer = await (await town.ana.use_command("show", {"job": job})).wait_for_private_message()

    assert "⚠ I need the permission Send Messages in #general." in show_answer.text
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


async def test_a_create_with_a_lost_answer_makes_one_message(town: Town) -> None:
    town.emulator.faults.drop_connection("POST", "/channels/*/messages", takes_effect=True)

    question = await town.ana.say(f"{town.emulator.bot.mention} hello", town.general)
    thread = await town.wait_until(lambda: question.thread)
    message = await town.wait_until(lambda: thread.messages and thread.last_message)
    await message.wait_until(is_done)

    assert len(thread.messages) == 1


async def test_an_unannounced_rate_limit_is_obeyed(town: Town) -> None:
    town.emulator.faults.rate_limit("PATCH", EDITS, 0.3)

    message = await finish(await town.ana.use_command("chat", {"message": "Count"}))

    assert message.content.startswith("A short answer.")


async def test_a_429_of_a_proxy_is_retried(town: Town) -> None:
    town.emulator.faults.rate_limit("PATCH", EDITS, 0.3, has_via_header=False)

    message = await finish(await town.ana.use_command("chat", {"message": "Count"}))

    assert message.content.startswith("A short answer.")


async def test_a_user_who_left_the_server_gets_the_answer(town: Town) -> None:
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


async def test_many_commands_at_once_are_answered_without_a_429(town: Town) -> None:
    interactions = [await town.ana.use_command("chat", {"message": f"question {n}"}) for n in range(6)]

    for one in interactions:
        await finish(one)

    assert all(request.status != 429 for request in town.emulator.find_requests())


async def test_a_rate_limited_answer_does_not_delay_a_stop(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
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
async def test_unreadable_rate_limit_headers_break_no_request(headers: dict[str, str]) -> None:
    call = PendingRequest(EditBucket(SystemClock(), limit=5, window_seconds=5.0))

    call.read_headers(ResponseHead(429 if "Retry-After" in headers else 200, headers))  # type: ignore[arg-type] # all it reads
    call.read_body(b"<html>")

    assert not call.answer.done()


async def test_a_request_cancelled_before_its_first_step_ends_for_the_caller_too() -> None:
    async def request() -> None:
        pytest.fail("the request ran")

    sender = RequestSender()
    caller = asyncio.create_task(sender.send(request()))
    await asyncio.sleep(0)  # the caller has created the task of the request, which waits for its first step
    await sender.close()

    async with asyncio.timeout(5.0):
        with pytest.raises(asyncio.CancelledError):
            await caller
