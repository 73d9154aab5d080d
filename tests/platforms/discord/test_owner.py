"""The owner's commands: allowing servers, budgets, pauses; refused attempts of others; a rush for the last credits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.emulators.discord.forms import ActionNotAvailable
from tests.emulators.discord.people import DiscordPerson
from tests.platforms.database_state import read_database_state, read_refusals
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture, read_answer
from tests.platforms.discord.town import Town, is_done, open_town


@pytest.fixture
async def unknown_town(tmp_path: Path) -> AsyncIterator[Town]:
    """Yield a town with a server that is not allowed."""
    async with open_town(tmp_path, is_allowed=False) as town:
        yield town


def make_owner_administrator(town: Town) -> DiscordPerson:
    """Return the owner of the bot as an administrator of the server: Discord shows administrators every command."""
    owner = town.owner_in_the_guild()
    owner.grant_role(town.guild.add_role("administrators", "manage_guild"))
    return owner


# A server that is not allowed yet.


async def test_before_setup_every_request_is_refused_in_one_sentence(unknown_town: Town) -> None:
    owner, guild = unknown_town.emulator.owner.mention, unknown_town.guild.id
    before = read_database_state(unknown_town.app)

    by_command = [
        await read_answer(unknown_town.ana, name, options)
        for name, options in [
            ("imagine", {"prompt": "a fox"}),
            ("chat", {"message": "hi"}),
            ("usage", {}),
            ("show", {}),
        ]
    ]
    question = await unknown_town.ana.say(f"{unknown_town.emulator.bot.mention} imagine a fox", unknown_town.general)
    by_mention = await unknown_town.general.wait_for_message(lambda one: one.author is unknown_town.emulator.bot)

    sentence = f"This workspace is not on my list yet. Ask my owner, {owner}, to allow it, with /setup here: {guild}."
    assert set(by_command) == {sentence}
    assert by_mention.text == sentence
    assert by_mention.notified_users == []
    assert question.thread is None
    assert unknown_town.backend.runs == {}
    assert read_database_state(unknown_town.app) == before


async def test_only_the_owner_can_set_up_a_server(unknown_town: Town) -> None:
    chief = unknown_town.guild.add_member("Chief", admin=True)
    before = read_database_state(unknown_town.app)

    refusals = [await read_answer(stranger, "setup", {"budget": 5000}) for stranger in (unknown_town.ana, chief)]
    untouched = read_database_state(unknown_town.app)
    steps = await read_answer(unknown_town.owner_in_the_guild(), "setup")

    assert set(refusals) == {f"/setup is for my owner, {unknown_town.emulator.owner.mention}."}
    assert untouched == before
    assert await read_refusals(unknown_town.app, "discord", unknown_town.guild.id) == [
        (str(who), "/setup") for who in (unknown_town.ana.id, chief.id)
    ]
    assert steps.splitlines() == [
        "1. **This workspace may use me.** `/setup allowed:no` takes that back.",
        "2. **Budget**: none of its own, so it shares the whole bot's. `/setup budget:5000` gives it one.",
        "3. **Moderators**: this workspace's administrators. `/setup moderators:ROLE` adds a role.",
        "4. **Reports and notices go**: to the bot's owner. `/setup notices:CHANNEL` names one.",
        "5. **Channels I may be used in**: all. `/setup channel:CHANNEL` keeps me to some.",
        "6. Try `/imagine a lighthouse at dusk`. `/settings show` has the rest, `/quota show` who may spend what.",
    ]
    assert await draw_picture(unknown_town.ana)


async def test_setup_changes_everything_at_once_and_reverts(unknown_town: Town) -> None:
    owner, mods = unknown_town.owner_in_the_guild(), unknown_town.guild.add_role("mods")
    general, random = unknown_town.guild.channels

    steps = await read_answer(
        owner, "setup", {"budget": 5000, "moderators": mods, "notices": random, "channel": general}
    )
    picture = await draw_picture(unknown_town.ana)
    revert_answer = await read_answer(owner, "setup", {"allowed": False})
    refusal = await read_answer(unknown_town.ana, "imagine", {"prompt": "a fox"})
    press_answer = await (await unknown_town.ana.press(picture, "Again")).wait_for_private_message()

    assert steps.splitlines()[1:5] == [
        "2. **Budget**: 5,000 credits a month, 0 spent.",
        f"3. **Moderators**: this workspace's administrators and {mods.mention}.",
        f"4. **Reports and notices go**: in {random.mention}.",
        f"5. **Channels I may be used in**: {general.mention}.",
    ]
    assert [message.text for message in random.messages] == [
        "Reports, and notices about the budget, will come here from now on. owner of the application said so."
    ]
    assert revert_answer == "This workspace may not use me any more. What runs goes on; `/setup` lets it in again."
    assert refusal == press_answer.text
    assert refusal.startswith("This workspace is not on my list yet.")
    assert len(unknown_town.backend.runs) == 1


# Budgets and pauses.


async def test_the_owner_sets_budgets_of_a_server_and_of_the_bot(town: Town) -> None:
    owner, staff = make_owner_administrator(town), DiscordStaff(town)
    await draw_picture(town.ana)

    assert await read_answer(owner, "quota budget set", {"credits": 4}) == (
        "This workspace may spend 4 credits a month, and spent 3 this month."
    )
    here, everywhere = (await read_answer(owner, "quota budget show")).splitlines()
    assert here.startswith("This workspace spent 3 of 4 credits this month. It refills on ")
    assert everywhere.startswith("The whole bot spent 3 of 10,000 credits this month. It refills on ")
    assert (await staff.ask_as_moderator("quota budget show")) == here
    assert (await read_answer(town.ana, "imagine", {"prompt": "a fox"})).startswith("This workspace")
    assert await read_answer(owner, "quota budget set") == "This workspace has no budget of its own any more."
    assert await draw_picture(town.ana)
    assert (await read_answer(owner, "quota budget set", {"of": "bot", "credits": 2})).startswith(
        "The whole bot may spend 2 credits a month, and spent 6 this month. So nothing that costs anything can be asked"
    )


async def test_the_owner_pauses_and_resumes(town: Town) -> None:
    owner = make_owner_administrator(town)

    assert await read_answer(owner, "pause", {"what": "sdxl", "reason": "out of paint"}) == (
        "Nothing new of `sdxl` starts until `/resume sdxl`. What runs goes on."
    )
    assert await read_answer(town.ana, "imagine", {"prompt": "a fox", "model": "sdxl"}) == (
        "SDXL is paused at the moment: out of paint. Please try again later."
    )
    await read_answer(owner, "pause", {"what": "discord"})
    assert await read_answer(town.ana, "imagine", {"prompt": "a fox"}) == (
        "Discord is paused at the moment. Please try again later."
    )
    assert await read_answer(owner, "resume") == "- `discord`\n- `sdxl`: out of paint"
    assert await read_answer(owner, "resume", {"what": "discord"}) == "`discord` starts again."
    assert await read_answer(owner, "resume", {"what": "sdxl"}) == "`sdxl` starts again."
    assert await read_answer(owner, "resume") == "Nothing is paused."
    assert await draw_picture(town.ana, model="sdxl")


async def test_an_owner_without_a_server_pauses_by_direct_message(town: Town) -> None:
    owner = town.owner_in_the_guild()
    with pytest.raises(ActionNotAvailable):
        await owner.use_command("pause", {"what": "all"})

    await owner.send_direct_message("/pause all")
    answer = await owner.direct_channel.wait_for_message(lambda one: one.author is town.emulator.bot)
    refusal = await read_answer(town.ana, "imagine", {"prompt": "a fox"})

    assert answer.text == "Nothing new of `all` starts until `/resume all`. What runs goes on."
    assert refusal == "Everything is paused at the moment. Please try again later."


async def test_forty_commands_at_once_spend_exactly_the_budget_of_five(town: Town) -> None:
    owner = make_owner_administrator(town)
    await read_answer(owner, "quota budget set", {"credits": 15})
    people = [town.guild.add_member(f"P{n}") for n in range(40)]

    # In two channels: Discord holds back more than thirty private answers a minute in a channel.
    commands = (
        person.use_command("imagine", {"prompt": f"fox {n}"}, channel=town.guild.channels[n % 2])
        for n, person in enumerate(people)
    )
    first = [await one.wait_for_message() for one in await asyncio.gather(*commands)]
    for message in first:
        await message.wait_until(lambda one: one.is_ephemeral or is_done(one))
    await town.wait_until_idle()

    pictures = [message for message in first if message.pictures]
    refusals = [message for message in first if message.is_ephemeral]
    assert len(pictures) == len(town.backend.runs) == 5
    assert len(refusals) == 35
    assert {message.text.partition(" It refills ")[0] for message in refusals} == {
        "This workspace's budget has no room for this: 3 credits short."
    }
    assert [message for channel in town.guild.channels for message in channel.messages] == sorted(
        pictures, key=lambda message: (message.channel.id, message.id)
    )
    assert "spent 15 of 15 credits" in await read_answer(owner, "quota budget show")
