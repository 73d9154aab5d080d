"""Jobs longer than an interaction's token, which lives fifteen minutes."""

import contextlib
from decimal import Decimal
from pathlib import Path

import pytest

from bot.core.platform import MessageLost
from bot.core.replies import Reply
from tests.emulators.discord.messages import DiscordMessageState
from tests.media.recordings import make_webm
from tests.platforms.discord.town import Town, finish, is_done, open_town


async def test_a_public_message_is_edited_without_the_token_after_minute_fourteen(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
    await town.wait_until_running(message)

    await town.advance_time(30 * 60)
    town.backend.last_run.released.set()
    await message.wait_until(is_done)

    assert message.pictures
    assert {edit.status for edit in town.emulator.find_requests("update_message")} == {200}


@pytest.mark.parametrize(
    ("seconds_left", "is_private", "operations"),
    [
        (70, False, ["update_original_webhook_message"]),
        (50, False, ["update_message"]),
        (10, True, ["update_original_webhook_message"]),
        (2, True, []),
    ],
)
async def test_a_message_is_edited_by_its_token_up_to_the_margin_before_the_token_ends(
    town: Town, seconds_left: float, is_private: bool, operations: list[str]
) -> None:
    answer = await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()
    job = await town.get_job_id(await answer.wait_until(is_done))
    await town.wait_until_idle()
    async with town.app.database.read() as tx:
        (stored,) = await tx.messages.list_messages(job)
    assert stored.ref.token_expires_at is not None
    await town.advance_time((stored.ref.token_expires_at - town.clock.now()).total_seconds() - seconds_left)
    earlier = len(town.emulator.find_requests())

    with contextlib.suppress(MessageLost):
        await town.app.connections[0].platform.edit(stored.ref, Reply("Later.", is_private=is_private))

    assert [request.operation for request in town.emulator.find_requests()[earlier:]] == operations


async def test_a_job_that_ends_after_the_token_and_a_restart_is_in_its_message(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.use_command("chat", {"message": "hello"})).wait_for_message()
    await town.wait_until_running(message)

    await town.restart()
    await town.advance_time(50 * 60)
    town.backend.last_run.released.set()
    await message.wait_until(is_done)

    assert message.content.startswith("A short answer.")


async def test_a_video_of_twenty_minutes_outlives_the_token_and_a_restart(tmp_path: Path) -> None:
    async with open_town(tmp_path, daily_credits=Decimal(1000)) as town:
        town.backend.will(hangs_after=0)
        asked = {"prompt": "a fox", "model": "kling-2-6", "sound": False, "duration": 5}
        message = await (await town.ana.use_command("video", asked)).wait_for_message()
        await town.wait_until_running(message)

        await town.advance_time(10 * 60)
        await town.restart()
        await town.advance_time(10 * 60)
        town.backend.last_run.released.set()
        await message.wait_until(is_done)

        [file] = message.attachments
        assert (file.filename, file.data) == ("a-fox.webm", make_webm(1))
        assert (len(town.backend.runs), town.backend.cancelled) == (1, [])
        assert "350 credits" in message.text


async def test_a_private_job_offers_show_before_the_token_ends_and_continues_there(town: Town) -> None:
    show_answer = await start_private_picture(town)

    await town.advance_time(13 * 60)
    await town.clock.hurry_until(lambda: "Show" in show_answer.button_labels)
    again = await (await town.ana.press(show_answer, "Show")).wait_for_private_message()
    town.backend.last_run.released.set()
    await again.wait_until(is_done)

    assert "This takes longer than Discord lets me change this message." in show_answer.text
    assert again.id != show_answer.id
    assert again.pictures


async def test_a_private_job_that_outlives_its_token_is_kept_for_show(town: Town) -> None:
    show_answer = await start_private_picture(town)
    job = await town.get_job_id(show_answer)

    await town.advance_time(16 * 60)
    town.backend.last_run.released.set()
    await town.wait_until_idle()
    row = await town.app.jobs.get(job)
    again = await (await town.ana.use_command("show", {"job": job})).wait_for_private_message()

    assert row is not None
    assert row.state == "undeliverable"
    assert row.cost_micros
    assert again.pictures


async def test_a_user_install_job_offers_show_before_the_token_ends(tmp_path: Path) -> None:
    async with open_town(tmp_path, allow_user_installs=True) as town:
        cleo = town.emulator.add_guild("Elsewhere", has_bot=False).add_member("Cleo")
        cleo.install_app()
        town.backend.will(hangs_after=0)
        message = await (await cleo.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
        await town.wait_until_running(message)

        await town.advance_time(13 * 60)
        await town.clock.hurry_until(lambda: "Show" in message.button_labels)
        again = await (await cleo.press(message, "Show")).wait_for_private_message()
        town.backend.last_run.released.set()
        await again.wait_until(is_done)

    assert again.pictures


async def start_private_picture(town: Town) -> DiscordMessageState:
    """Return the message of a running picture for Ana alone: drawn again from a private /show."""
    first = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
    show_answer = await (
        await town.ana.use_command("show", {"job": await town.get_job_id(first)})
    ).wait_for_private_message()
    town.backend.will(hangs_after=0)
    message = await (await town.ana.press(show_answer, "Again")).wait_for_private_message()
    await town.wait_until_running(message)
    return message
