"""A moderator's day on Discord: credits, tiers, channels, settings, blocks, words, running jobs, and the record."""

import csv
import io
from typing import Any

import pytest

from tests.platforms.discord.dialogue import Staff, answered, drawn, told
from tests.platforms.discord.town import Town, is_done


@pytest.fixture
async def staff(town: Town) -> Staff:
    return Staff(town)


# Credits.


async def test_credits_are_given_taken_limited_shown_and_forgiven(town: Town, staff: Staff) -> None:
    await drawn(town.ana)

    assert await staff.asks("quota grant", user="@Ana", credits=50) == (
        "Ana got 50 credits, and has 50 extra credits now."
    )
    assert await staff.asks("quota take", user="@Ana", credits=20) == (
        "Took 20 credits from Ana, who has 30 extra credits now."
    )
    assert await staff.asks("quota take", user="@Ana", credits=31) == ("Ana has 30 extra credits: I cannot take more.")
    assert await staff.asks("quota set", user="@Ana", day=4, at_once=1) == (
        "Limits of Ana: at most 4 credits a day · 1 job at once."
    )
    assert (await staff.asks("quota show", user="@Ana")).splitlines()[:2] == [
        "**Ana** has 97 of 100 credits left today, 30 extra, and spent 3 this month.",
        "Own limits: at most 4 credits a day · 1 job at once.",
    ]
    assert "Your budget has no room for this: 2 credits short." in await told(town.ana, "imagine", {"prompt": "a fox"})
    assert await staff.asks("quota reset", user="@Ana", what="all") == (
        "This month begins anew for Ana: 3 credits can be spent again today. Ana has no limits of their own any more."
    )
    assert await drawn(town.ana)


async def test_who_was_never_here_is_named_by_a_link(town: Town, staff: Staff) -> None:
    assert await staff.asks("quota grant", user="@Ben", credits=5) == (
        f"I have not seen {town.ben.user.mention} here yet. They must have used me once."
    )


async def test_a_role_is_a_tier_for_its_members(town: Town, staff: Staff) -> None:
    gold = staff.gold.mention
    given = "500 credits each day · 2 pictures at a time · models: sdxl, flux-schnell"

    assert await staff.asks("quota role set", role="@gold", day=500, models="sdxl flux-schnell", pictures=2) == (
        f"{gold}: {given}."
    )
    town.ana.give(staff.gold)
    assert f"**500** of 500 credits left today. They refill at 00:00 UTC. Your tier is **{gold}**." in (
        await told(town.ana, "usage")
    )
    assert "of 100 credits" in await told(town.ben, "usage")
    assert await told(town.ana, "imagine", {"prompt": "a fox", "model": "flux-dev"}) == (
        "FLUX dev is not among the models you may use. You may use flux-schnell, sdxl."
    )
    assert await told(town.ana, "imagine", {"prompt": "a fox", "count": 3}) == (
        "You may ask for 2 at a time at most, not 3."
    )
    assert await staff.asks("quota role show") == f"- {gold}: {given}"
    assert await staff.asks("quota role clear", role="@gold") == f"{gold} gives nothing of its own any more."
    assert await staff.asks("quota role clear", role="@gold") == f"Nothing is set for {gold}."
    assert "of 100 credits" in await told(town.ana, "usage")


async def test_the_role_of_everybody_is_a_tier_for_everybody(town: Town, staff: Staff) -> None:
    everyone = town.guild.everyone

    await told(staff.mia, "quota role set", {"role": everyone, "day": 7, "name": "Guests"})

    assert "**7** of 7 credits left today. They refill at 00:00 UTC. Your tier is **Guests**." in (
        await told(town.ben, "usage")
    )


async def test_a_channel_takes_the_commands_and_models_that_it_may(town: Town, staff: Staff) -> None:
    studio = staff.studio.mention

    assert await staff.asks("quota channel set", channel="#studio", models="sdxl", commands="imagine") == (
        f"In {studio}: commands: imagine · models: sdxl."
    )
    refused = await told(town.ana, "imagine", {"prompt": "a fox"}, channel=staff.studio)
    assert refused == "FLUX schnell is not for this channel. Here you may use sdxl."
    assert f"**Channels**\n- {studio}: commands: imagine · models: sdxl" in await staff.asks("quota show")
    assert await staff.asks("quota channel clear", channel="#studio") == (
        f"Every command and model may be used in {studio} again."
    )
    assert await drawn(town.ana, channel=staff.studio)


async def test_who_spent_what_is_told_and_exported_to_the_moderator_alone(town: Town, staff: Staff) -> None:
    await drawn(town.ana)
    await drawn(town.ben, count=2)

    assert (
        await staff.asks("quota top") == "Spent this month:\n1. Ben: **6** credits, 1 job\n2. Ana: **3** credits, 1 job"
    )
    exported = await answered(staff.mia, "quota export")
    (table,) = exported.attachments
    rows = list(csv.DictReader(io.StringIO(table.data.decode())))
    assert exported.is_ephemeral
    assert exported.text.startswith("2 jobs of ")
    assert table.filename.endswith(".csv")
    assert [(row["name"], row["command"], row["credits"]) for row in rows] == [
        ("Ana", "imagine", "3"),
        ("Ben", "imagine", "6"),
    ]


# Settings.

SETTINGS: list[tuple[str, dict[str, Any], str]] = [
    ("model", {"task": "imagine", "model": "sdxl"}, "**Models where nobody names one**: /imagine SDXL"),
    ("channel", {"channel": "#studio"}, "**Channels I may be used in**: {studio}"),
    ("moderators", {"role": "@gold"}, "**Moderators**: this workspace's administrators and {gold}"),
    ("notices", {"channel": "#studio"}, "**Reports and notices go**: in {studio}"),
    ("prompt", {"prompt": "Be brief."}, "**What chat models are told**: “Be brief.”"),
    ("chat", {"language": "German"}, "**They answer in**: German"),
    ("chat", {"join": "starter"}, "**Who may go on with a conversation**: who began it"),
    ("chat", {"mention": "reply"}, "**A mention is answered**: with a reply"),
    ("pictures", {"adult": "off"}, "**Models for adults**: nowhere"),
    ("pictures", {"flagged": "refuse"}, "**Pictures that the model flags**: refused"),
    ("pictures", {"reuse": True}, "**The very same asked again**: is answered from what was kept, for nothing"),
    ("general", {"time_zone": "Europe/Berlin"}, "**Time zone**: Europe/Berlin"),
    ("general", {"keep_days": 7}, "**What was asked is kept**: 7 days"),
    ("general", {"confirm_above": 20}, "**A button asks first**: above 20 credits"),
]


async def test_each_setting_is_changed_shown_and_reset(staff: Staff) -> None:
    named = {"studio": staff.studio.mention, "gold": staff.gold.mention}
    before = await staff.asks("settings show")

    for verb, options, line in SETTINGS:
        assert f"- {line.format(**named)}" in await staff.asks(f"settings {verb}", **options)
    after = await staff.asks("settings show")
    offered = next(one for one in staff.town.emulator.world.commands.values() if one["name"] == "settings")
    reset = next(verb for verb in offered["options"] if verb["name"] == "reset")
    for choice in reset["options"][0]["choices"]:
        await staff.asks("settings reset", setting=choice["value"])

    assert after.splitlines()[1:] == [f"- {line.format(**named)}" for _, _, line in SETTINGS]
    assert await staff.asks("settings show") == before


async def test_a_channel_that_is_not_meant_for_it_names_those_that_are(town: Town, staff: Staff) -> None:
    await staff.asks("settings channel", channel="#studio")

    refused = await told(town.ana, "imagine", {"prompt": "a fox"})

    assert refused == f"I am not to be used in this channel. Ask me in {staff.studio.mention}."
    assert await drawn(town.ana, channel=staff.studio)


async def test_members_of_a_role_become_moderators(town: Town, staff: Staff) -> None:
    staff.offer_everything()
    town.ben.give(staff.gold)
    refused = await told(town.ben, "words list")

    await staff.asks("settings moderators", role="@gold")

    assert refused == "/words list is for a moderator of this workspace."
    assert await told(town.ben, "words list") == "No word is refused here. `/words add` adds one."
    assert await told(town.ben, "settings moderators", {"role": staff.gold, "moderates": False}) == (
        "That role is what makes you a moderator: an administrator of this workspace can take it away."
    )
    assert await told(staff.mia, "settings moderators", {"role": town.guild.everyone}) == (
        "Everybody has that role: everybody would be a moderator."
    )


# People, words and jobs.


async def test_a_block_stops_what_runs_is_read_by_the_blocked_and_ends(town: Town, staff: Staff) -> None:
    town.backend.will(hangs_after=0)
    running = await (await town.ana.command("imagine", {"prompt": "a fox"})).message()
    await town.running(running)

    blocked = await staff.asks("block", user="@Ana", until="2h", reason="noise")
    await running.becomes(is_done)
    refused = await told(town.ana, "imagine", {"prompt": "a fox"})
    town.backend.will(hangs_after=None)

    assert blocked.startswith("Ana is blocked until ")
    assert blocked.endswith("UTC. They read: “noise”. Stopped: 1 of theirs.")
    assert "⏹ Stopped." in running.text
    assert refused.startswith("You are blocked here until ")
    assert refused.endswith("UTC: noise. Ask a moderator.")
    assert await staff.asks("unblock", user="@Ana") == "Ana may ask again."
    assert await drawn(town.ana)


async def test_words_are_refused_however_they_are_written_until_they_are_not(town: Town, staff: Staff) -> None:
    assert await staff.asks("words add", word="badg*") == "Asks with “badg*” in them are refused from now on."
    assert await told(town.ana, "imagine", {"prompt": "two BÁDGERS"}) == (
        "That has a word in it which is not wanted here. Please say it differently."
    )
    assert await staff.asks("words test", text="two bádgers") == "Refused, for “badg*”."
    assert await staff.asks("words list") == "Refused here: `badg*`"
    assert await staff.asks("words remove", word="badg*") == "“badg*” may be asked for again."
    assert await drawn(town.ana, prompt="two badgers")


async def test_what_runs_is_listed_and_stopped_from_the_list(town: Town, staff: Staff) -> None:
    town.backend.will(hangs_after=0)
    running = await (await town.ana.command("imagine", {"prompt": "a fox"})).message()
    await town.running(running)

    listed = await answered(staff.mia, "jobs", channel=staff.studio)
    await staff.mia.press(listed, "Stop 1")
    await running.becomes(is_done)

    assert listed.text.startswith("1. Ana: /imagine “a fox” · FLUX schnell · runs, ")
    assert listed.text.endswith(f" s · at most 3 credits · `{await town.job_of(running)}`")
    assert "⏹ Stopped." in running.text
    assert await staff.asks("jobs") == "Nothing runs or waits in this workspace."


async def test_the_record_names_people_roles_and_channels(town: Town, staff: Staff) -> None:
    await drawn(town.ana)
    await staff.asks("quota grant", user="@Ana", credits=5)
    await staff.asks("quota role set", role="@gold", day=500)
    await staff.asks("settings channel", channel="#studio")
    await staff.asks("settings channel", channel="#studio", allowed=False)
    await staff.asks("block", user="@Ana", reason="noise")
    staff.offer_everything()
    await told(town.ben, "words list")

    lines = [line.split(" · ", 1)[1] for line in (await staff.asks("audit")).splitlines()]

    studio = staff.studio.mention
    assert lines == [
        f"{town.ben.user.mention} · was refused · what /words list",
        "Mia · blocked · user Ana, until a moderator ends it, reason noise",
        f"Mia · changed · channels {studio}: yes → –",
        f"Mia · changed · channels {studio}: – → yes",
        f"Mia · changed · {staff.gold.mention} · daily allowance: – → 500 credits",
        "Mia · gave extra credits · to Ana, 5 credits",
    ]


# What moderators are told.


async def test_a_budget_that_runs_out_is_told_three_times_where_moderators_read(town: Town, staff: Staff) -> None:
    owner = town.owner_in_the_guild()
    owner.give(staff.mia.member.roles[0])
    await staff.asks("settings notices", channel="#studio")
    await told(owner, "quota budget set", {"credits": 10})

    for asker in (town.ana, town.ben, town.ana):
        await drawn(asker)
    refused = await told(town.ben, "imagine", {"prompt": "a fox"})
    notices = await town.until(lambda: staff.studio.messages[3:] and staff.studio.messages[1:])

    assert [message.text.partition(" It refills ")[0].partition(" until it ")[0] for message in notices] == [
        "This workspace's monthly budget is spent to 50 %: 6 of 10 credits.",
        "This workspace's monthly budget is spent to 80 %: 9 of 10 credits.",
        "This workspace's monthly budget is spent: 9 of 10 credits. "
        "Nothing that costs more than what is left can be asked",
    ]
    assert not any(message.pings for message in staff.studio.messages)
    assert refused.startswith("This workspace")
    assert len(town.backend.runs) == 3


async def test_what_is_reported_is_taken_down_from_where_moderators_read(town: Town, staff: Staff) -> None:
    await staff.asks("settings notices", channel="#studio")
    picture = await drawn(town.ana, prompt="a fox, @everyone")

    thanks = await (await town.ben.press(picture, "Report")).private_message()
    report = await staff.studio.shows(lambda one: one.labels)
    refused = await (await town.ben.press(report, "Take down")).private_message()
    await staff.mia.press(report, "Take down")
    await town.until(lambda: picture.is_deleted)

    assert thanks.text == "Thank you. The moderators have been told."
    assert report.text == "Ben reported what /imagine made for Ana: “a fox, @everyone”"
    assert report.pings == []
    assert refused.text == "That job is not here any more, so its buttons do nothing."  # to Ben, there, it is none
    assert await town.until(lambda: not town.kept_files())
