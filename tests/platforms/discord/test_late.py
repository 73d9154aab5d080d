"""Long jobs: an interaction's token lives fifteen minutes, and what is asked for comes all the same."""

from pathlib import Path

from tests.emulators.discord.messages import Message
from tests.platforms.discord.town import Town, is_done, open_town


async def test_a_public_message_is_edited_by_the_bot_s_own_right_after_minute_fourteen(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.command("imagine", {"prompt": "a fox"})).message()
    await town.running(message)

    await town.pass_time(30 * 60)
    town.backend.last.let_go.set()
    await message.becomes(is_done)

    assert message.gallery
    assert {edit.status for edit in town.emulator.requests("update_message")} == {200}


async def test_a_job_that_ends_hours_later_and_after_a_restart_is_in_its_message(town: Town) -> None:
    town.backend.will(hangs_after=0)
    message = await (await town.ana.command("chat", {"message": "hello"})).message()
    await town.running(message)

    await town.restart()
    await town.pass_time(50 * 60)
    town.backend.last.let_go.set()
    await message.becomes(is_done)

    assert message.content.startswith("A short answer.")


async def test_a_private_job_offers_show_before_its_message_dies_and_goes_on_there(town: Town) -> None:
    shown = await private_running_picture(town)

    await town.pass_time(13 * 60)
    await shown.becomes(lambda one: "Show" in one.labels)
    again = await (await town.ana.press(shown, "Show")).private_message()
    town.backend.last.let_go.set()
    await again.becomes(is_done)

    assert "This takes longer than Discord lets me change this message." in shown.text
    assert again.id != shown.id
    assert again.gallery


async def test_a_private_job_whose_message_died_is_kept_and_shown_on_demand(town: Town) -> None:
    shown = await private_running_picture(town)
    job = await town.job_of(shown)

    await town.pass_time(16 * 60)
    town.backend.last.let_go.set()
    await town.settled()
    row = await town.app.jobs.get(job)
    again = await (await town.ana.command("show", {"job": job})).private_message()

    assert row is not None
    assert row.state == "undeliverable"
    assert row.cost
    assert again.gallery


async def test_people_who_brought_the_bot_along_get_the_same_offer(tmp_path: Path) -> None:
    async with open_town(tmp_path, allow_user_installs=True) as town:
        cleo = town.emulator.add_guild("Elsewhere", has_bot=False).member("Cleo")
        cleo.install_the_app()
        town.backend.will(hangs_after=0)
        message = await (await cleo.command("imagine", {"prompt": "a fox"})).message()
        await town.running(message)

        await town.pass_time(13 * 60)
        await message.becomes(lambda one: "Show" in one.labels)
        again = await (await cleo.press(message, "Show")).private_message()
        town.backend.last.let_go.set()
        await again.becomes(is_done)

    assert again.gallery


async def private_running_picture(town: Town) -> Message:
    """A picture that only Ana sees, being drawn: made again from what `/show` showed her."""
    first = await (await (await town.ana.command("imagine", {"prompt": "a fox"})).message()).becomes(is_done)
    shown = await (await town.ana.command("show", {"job": await town.job_of(first)})).private_message()
    town.backend.will(hangs_after=0)
    message = await (await town.ana.press(shown, "Again")).private_message()
    await town.running(message)
    return message
