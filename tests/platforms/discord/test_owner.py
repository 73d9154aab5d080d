"""The owner's day on Discord: servers let in, budgets, pauses; strangers who try; and a rush for the last credits."""

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
async def unknown(tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose server nobody allowed."""
    async with open_town(tmp_path, is_allowed=False) as town:
        yield town


def administering(town: Town) -> DiscordPerson:
    """The owner of the bot, in a server that they manage: Discord shows them every command there."""
    owner = town.owner_in_the_guild()
    owner.grant_role(town.guild.add_role("administrators", "manage_guild"))
    return owner


# A server that nobody allowed yet.


async def test_before_setup_every_way_in_says_one_sentence_and_spends_nothing(unknown: Town) -> None:
    owner, guild = unknown.emulator.owner.mention, unknown.guild.id
    before = read_database_state(unknown.app)

    by_command = [
        await read_answer(unknown.ana, name, options)
        for name, options in [
            ("imagine", {"prompt": "a fox"}),
            ("chat", {"message": "hi"}),
            ("usage", {}),
            ("show", {}),
        ]
    ]
    said = await unknown.ana.say(f"{unknown.emulator.bot.mention} imagine a fox", unknown.general)
    by_mention = await unknown.general.wait_for_message(lambda one: one.author is unknown.emulator.bot)

    sentence = f"This workspace is not on my list yet. Ask my owner, {owner}, to allow it, with /setup here: {guild}."
    assert set(by_command) == {sentence}
    assert by_mention.text == sentence
    assert by_mention.notified_users == []
    assert said.thread is None
    assert unknown.backend.runs == {}
    assert read_database_state(unknown.app) == before


async def test_a_stranger_who_sets_up_is_refused_and_the_owner_is_not(unknown: Town) -> None:
    chief = unknown.guild.add_member("Chief", admin=True)
    before = read_database_state(unknown.app)

    refused = [await read_answer(stranger, "setup", {"budget": 5000}) for stranger in (unknown.ana, chief)]
    untouched = read_database_state(unknown.app)
    walked = await read_answer(unknown.owner_in_the_guild(), "setup")

    assert set(refused) == {f"/setup is for my owner, {unknown.emulator.owner.mention}."}
    assert untouched == before
    assert await read_refusals(unknown.app, "discord", unknown.guild.id) == [
        (str(who), "/setup") for who in (unknown.ana.id, chief.id)
    ]
    assert walked.splitlines() == [
        "1. **This workspace may use me.** `/setup allowed:no` takes that back.",
        "2. **Budget**: none of its own, so it shares the whole bot's. `/setup budget:5000` gives it one.",
        "3. **Moderators**: this workspace's administrators. `/setup moderators:ROLE` adds a role.",
        "4. **Reports and notices go**: to the bot's owner. `/setup notices:CHANNEL` names one.",
        "5. **Channels I may be used in**: all. `/setup channel:CHANNEL` keeps me to some.",
        "6. Try `/imagine a lighthouse at dusk`. `/settings show` has the rest, `/quota show` who may spend what.",
    ]
    assert await draw_picture(unknown.ana)


async def test_setup_does_everything_at_once_and_takes_it_back(unknown: Town) -> None:
    owner, mods = unknown.owner_in_the_guild(), unknown.guild.add_role("mods")
    general, random = unknown.guild.channels

    walked = await read_answer(
        owner, "setup", {"budget": 5000, "moderators": mods, "notices": random, "channel": general}
    )
    picture = await draw_picture(unknown.ana)
    forbidden = await read_answer(owner, "setup", {"allowed": False})
    refused = await read_answer(unknown.ana, "imagine", {"prompt": "a fox"})
    pressed = await (await unknown.ana.press(picture, "Again")).wait_for_private_message()

    assert walked.splitlines()[1:5] == [
        "2. **Budget**: 5,000 credits a month, 0 spent.",
        f"3. **Moderators**: this workspace's administrators and {mods.mention}.",
        f"4. **Reports and notices go**: in {random.mention}.",
        f"5. **Channels I may be used in**: {general.mention}.",
    ]
    assert [message.text for message in random.messages] == [
        "Reports, and notices about the budget, will come here from now on. owner of the application said so."
    ]
    assert forbidden == "This workspace may not use me any more. What runs goes on; `/setup` lets it in again."
    assert refused == pressed.text
    assert refused.startswith("This workspace is not on my list yet.")
    assert len(unknown.backend.runs) == 1


# Budgets and pauses.


async def test_the_owner_says_what_a_server_and_the_whole_bot_may_spend(town: Town) -> None:
    owner, staff = administering(town), DiscordStaff(town)
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
    owner = administering(town)

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


async def test_an_owner_who_manages_no_server_pauses_by_words_in_a_direct_message(town: Town) -> None:
    owner = town.owner_in_the_guild()
    with pytest.raises(ActionNotAvailable):
        await owner.use_command("pause", {"what": "all"})

    await owner.send_direct_message("/pause all")
    answer = await owner.direct_channel.wait_for_message(lambda one: one.author is town.emulator.bot)
    refused = await read_answer(town.ana, "imagine", {"prompt": "a fox"})

    assert answer.text == "Nothing new of `all` starts until `/resume all`. What runs goes on."
    assert refused == "Everything is paused at the moment. Please try again later."


async def test_of_forty_who_ask_at_once_five_get_what_there_is_money_for(town: Town) -> None:
    owner = administering(town)
    await read_answer(owner, "quota budget set", {"credits": 15})
    people = [town.guild.add_member(f"P{n}") for n in range(40)]

    # In two channels: in one, Discord holds back what is more than thirty private answers a minute.
    asks = (
        person.use_command("imagine", {"prompt": f"fox {n}"}, channel=town.guild.channels[n % 2])
        for n, person in enumerate(people)
    )
    first = [await one.wait_for_message() for one in await asyncio.gather(*asks)]
    for message in first:
        await message.wait_until(lambda one: one.is_ephemeral or is_done(one))
    await town.wait_until_idle()

    pictures = [message for message in first if message.pictures]
    refused = [message for message in first if message.is_ephemeral]
    assert len(pictures) == len(town.backend.runs) == 5
    assert len(refused) == 35
    assert {message.text.partition(" It refills ")[0] for message in refused} == {
        "This workspace's budget has no room for this: 3 credits short."
    }
    assert [message for channel in town.guild.channels for message in channel.messages] == sorted(
        pictures, key=lambda message: (message.channel.id, message.id)
    )
    assert "spent 15 of 15 credits" in await read_answer(owner, "quota budget show")
