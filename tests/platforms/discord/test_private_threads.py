"""A job of a private thread is shown to the members of the thread alone."""

import pytest

from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordChannelState
from tests.platforms.discord.dialogue import draw_picture
from tests.platforms.discord.town import Town, finish

PROMPT = "a surprise for Ben"


async def draw_in_private_thread(town: Town) -> tuple[DiscordChannelState, str]:
    """Let Ana draw in a thread without Ben; return the thread and the job's id."""
    cleo = town.guild.add_member("Cleo")
    thread = await town.ana.open_private_thread("surprise", channel=town.general, members=[cleo])
    message = await finish(await town.ana.use_command("imagine", {"prompt": PROMPT}, channel=thread))
    return thread, await town.get_job_id(message)


@pytest.mark.parametrize("is_archived", [False, True])
@pytest.mark.parametrize("length", [6, 20])
async def test_show_in_the_parent_channel_does_not_reveal_a_private_thread(
    town: Town, length: int, is_archived: bool
) -> None:
    thread, job = await draw_in_private_thread(town)
    if is_archived:
        town.emulator.archive_thread(thread)

    shown = await (await town.ben.use_command("show", {"job": job[:length]})).wait_for_message()

    assert shown.content == f"There is no job called “{job[:length]}” that you can see here."
    assert not shown.pictures
    assert not shown.buttons


async def test_show_in_another_thread_does_not_reveal_a_private_thread(town: Town) -> None:
    _, job = await draw_in_private_thread(town)
    other = await town.ben.open_private_thread("foxes", channel=town.general)

    shown = await (await town.ben.use_command("show", {"job": job}, channel=other)).wait_for_message()

    assert "There is no job called" in shown.content


async def test_members_of_a_private_thread_see_its_jobs_there(town: Town) -> None:
    thread, job = await draw_in_private_thread(town)
    cleo = DiscordPerson(town.emulator, thread.thread_members[1], town.guild)

    shown = await (await cleo.use_command("show", {"job": job}, channel=thread)).wait_for_message()

    assert shown.pictures


async def test_the_asker_sees_a_job_of_a_private_thread_everywhere(town: Town) -> None:
    _, job = await draw_in_private_thread(town)

    shown = await (await town.ana.use_command("show", {"job": job[:6]})).wait_for_message()

    assert shown.pictures


async def test_moderators_read_no_words_of_a_private_thread_in_the_list_of_open_jobs(town: Town) -> None:
    thread = await town.ana.open_private_thread("surprise", channel=town.general)
    town.backend.will(hangs_after=0)
    await (await town.ana.use_command("imagine", {"prompt": PROMPT}, channel=thread)).wait_for_message()

    mia = town.guild.add_member("Mia", roles=[town.guild.add_role("moderators", "manage_guild")])
    listed = await (await mia.use_command("jobs")).wait_for_message()

    assert "a private ask" in listed.content
    assert "surprise" not in listed.content


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_job_of_a_public_thread_is_shown_in_the_parent_channel(town: Town, is_archived: bool) -> None:
    thread = await town.ana.open_thread("foxes", on=await town.ana.say("hello", town.general))
    message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}, channel=thread))
    if is_archived:
        town.emulator.archive_thread(thread)

    shown = await (await town.ben.use_command("show", {"job": await town.get_job_id(message)})).wait_for_message()

    assert shown.pictures


async def test_another_persons_job_has_no_short_name(town: Town) -> None:
    job = await town.get_job_id(await draw_picture(town.ana))

    short = await (await town.ben.use_command("show", {"job": job[:6]})).wait_for_message()
    whole = await (await town.ben.use_command("show", {"job": job})).wait_for_message()

    assert "There is no job called" in short.content
    assert whole.pictures


async def test_ids_of_jobs_asked_at_one_moment_have_nothing_in_common(town: Town) -> None:
    first, second = [await town.get_job_id(await draw_picture(town.ana)) for _ in range(2)]

    assert first[:4] != second[:4]
    assert len(first) == len(second) == 20
