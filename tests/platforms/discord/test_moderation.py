"""Moderation: credits, tiers, channels, settings, blocks, words, running jobs, and the audit."""

import csv
import io
from typing import Any

import pytest

from bot.core.limits import RANK_BELIEVED_SECONDS
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture, read_answer, run_command
from tests.platforms.discord.town import Town, is_done


@pytest.fixture
async def staff(town: Town) -> DiscordStaff:
    return DiscordStaff(town)


# Credits.


async def test_moderators_grant_take_limit_and_reset_credits(town: Town, staff: DiscordStaff) -> None:
    await draw_picture(town.ana)

    assert await staff.ask_as_moderator("quota grant", user="@Ana", credits=50) == (
        "Ana got 50 credits, and has 50 extra credits now."
    )
    assert await staff.ask_as_moderator("quota take", user="@Ana", credits=20) == (
        "Took 20 credits from Ana, who has 30 extra credits now."
    )
    assert await staff.ask_as_moderator("quota take", user="@Ana", credits=31) == (
        "Ana has 30 extra credits: I cannot take more."
    )
    assert await staff.ask_as_moderator("quota set", user="@Ana", day=4, at_once=1) == (
        "Limits of Ana: at most 4 credits a day · 1 job at once."
    )
    assert (await staff.ask_as_moderator("quota show", user="@Ana")).splitlines()[:2] == [
        "**Ana** has 97 of 100 credits left today, 30 extra, and spent 3 this month.",
        "Own limits: at most 4 credits a day · 1 job at once.",
    ]
    assert "Your budget has no room for this: 2 credits short." in await read_answer(
        town.ana, "imagine", {"prompt": "a fox"}
    )
    assert await staff.ask_as_moderator("quota reset", user="@Ana", what="all") == (
        "This month begins anew for Ana: 3 credits can be spent again today. Ana has no limits of their own any more."
    )
    assert await draw_picture(town.ana)


async def test_credits_can_be_granted_to_any_member_and_to_no_stranger(town: Town, staff: DiscordStaff) -> None:
    zoe = town.emulator.add_person("Zoe")

    assert (
        await staff.ask_as_moderator("quota grant", user="@Ben", credits=5)
        == "Ben got 5 credits, and has 5 extra credits now."
    )
    assert await staff.ask_as_moderator("quota grant", user=zoe, credits=5) == (
        f"I have not seen {zoe.user.mention} here yet. They must have used me once."
    )


async def test_a_role_is_a_tier_for_its_members(town: Town, staff: DiscordStaff) -> None:
    gold = staff.gold.mention
    given = "500 credits each day · 2 pictures at a time · models: sdxl, flux-schnell"

    assert await staff.ask_as_moderator(
        "quota role set", role="@gold", day=500, models="sdxl flux-schnell", pictures=2
    ) == (f"{gold}: {given}.")
    town.ana.grant_role(staff.gold)
    assert f"**500** of 500 credits left today. They refill at 00:00 UTC. Your tier is **{gold}**." in (
        await read_answer(town.ana, "usage")
    )
    assert "of 100 credits" in await read_answer(town.ben, "usage")
    assert await read_answer(town.ana, "imagine", {"prompt": "a fox", "model": "flux-dev"}) == (
        "FLUX dev is not among the models you may use. You may use flux-schnell, sdxl."
    )
    assert await read_answer(town.ana, "imagine", {"prompt": "a fox", "count": 3}) == (
        "You may ask for 2 at a time at most, not 3."
    )
    assert await staff.ask_as_moderator("quota role show") == f"- {gold}: {given}"
    assert (
        await staff.ask_as_moderator("quota role clear", role="@gold") == f"{gold} gives nothing of its own any more."
    )
    assert await staff.ask_as_moderator("quota role clear", role="@gold") == f"Nothing is set for {gold}."
    assert "of 100 credits" in await read_answer(town.ana, "usage")


async def test_the_everyone_role_is_a_tier_for_all(town: Town, staff: DiscordStaff) -> None:
    everyone = town.guild.everyone

    await read_answer(staff.mia, "quota role set", {"role": everyone, "day": 7, "name": "Guests"})

    assert "**7** of 7 credits left today. They refill at 00:00 UTC. Your tier is **Guests**." in (
        await read_answer(town.ben, "usage")
    )


async def test_a_channel_takes_only_its_commands_and_models(town: Town, staff: DiscordStaff) -> None:
    studio = staff.studio.mention

    assert await staff.ask_as_moderator("quota channel set", channel="#studio", models="sdxl", commands="imagine") == (
        f"In {studio}: commands: imagine · models: sdxl."
    )
    refusal = await read_answer(town.ana, "imagine", {"prompt": "a fox"}, channel=staff.studio)
    assert refusal == "FLUX schnell is not for this channel. Here you may use sdxl."
    assert f"**Channels**\n- {studio}: commands: imagine · models: sdxl" in await staff.ask_as_moderator("quota show")
    assert await staff.ask_as_moderator("quota channel clear", channel="#studio") == (
        f"Every command and model may be used in {studio} again."
    )
    assert await draw_picture(town.ana, channel=staff.studio)


async def test_spending_is_listed_and_exported_privately(town: Town, staff: DiscordStaff) -> None:
    await draw_picture(town.ana)
    await draw_picture(town.ben, count=2)

    assert (
        await staff.ask_as_moderator("quota top")
        == "Spent this month:\n1. Ben: **6** credits, 1 job\n2. Ana: **3** credits, 1 job"
    )
    export = await run_command(staff.mia, "quota export")
    (table,) = export.attachments
    rows = list(csv.DictReader(io.StringIO(table.data.decode())))
    assert export.is_ephemeral
    assert export.text.startswith("2 jobs of ")
    assert table.filename.endswith(".csv")
    assert [(row["name"], row["command"], row["credits"]) for row in rows] == [
        ("Ana", "imagine", "3"),
        ("Ben", "imagine", "6"),
    ]


# Settings.

WEBHOOK = {"url": "https://8.8.8.8/in?key=mine", "secret": "whsec_" + "c2Vj" * 10}
SUMMED_UP = "are summed up for the asker, for up to about 13.8 credits each time with GPT-5 nano"
SETTINGS: list[tuple[str, dict[str, Any], str]] = [
    ("model", {"task": "imagine", "model": "sdxl"}, "**Models where nobody names one**: /imagine SDXL"),
    ("channel", {"channel": "#studio"}, "**Channels I may be used in**: {studio}"),
    ("moderators", {"role": "@gold"}, "**Moderators**: this workspace's administrators and {gold}"),
    ("notices", {"channel": "#studio"}, "**Reports and notices go**: in {studio}"),
    ("prompt", {"prompt": "Be brief."}, "**What chat models are told**: “Be brief.”"),
    ("chat", {"language": "German"}, "**They answer in**: German"),
    ("chat", {"join": "starter"}, "**Who may go on with a conversation**: who began it"),
    ("chat", {"tools": "off"}, "**Chat models draw, edit and speak for the asker**: off"),
    ("chat", {"voice": "text"}, "**A voice message is answered**: in words"),
    ("chat", {"summaries": "on"}, f"**Conversations that outgrow the model**: {SUMMED_UP}"),
    ("chat", {"feedback": "off"}, "**People vote on answers**: nowhere"),
    ("chat", {"mention": "reply"}, "**A mention is answered**: with a reply"),
    ("pictures", {"adult": "off"}, "**Models for adults**: nowhere"),
    ("pictures", {"flagged": "refuse"}, "**Pictures that the model flags**: refused"),
    ("pictures", {"reuse": True}, "**The very same asked again**: is answered from what was kept, for nothing"),
    ("pictures", {"recipes": True}, "**The workflow in files of ComfyUI**: is kept, with the words"),
    ("pictures", {"prompts": False}, "**Delivered files of drawings**: say nothing of their making"),
    ("general", {"time_zone": "Europe/Berlin"}, "**Time zone**: Europe/Berlin"),
    ("general", {"keep_days": 7}, "**What was asked is kept**: 7 days"),
    ("general", {"confirm_above": 20}, "**A button asks first**: above 20 credits"),
    ("run", {"models": "off"}, "**/run takes**: nothing"),
    ("webhook", WEBHOOK, "**Results are posted**: to https://8.8.8.8, when they end"),
]


async def test_each_setting_is_changed_shown_and_reset(staff: DiscordStaff) -> None:
    named = {"studio": staff.studio.mention, "gold": staff.gold.mention}
    before = await staff.ask_as_moderator("settings show")

    for verb, options, line in SETTINGS:
        assert f"- {line.format(**named)}" in await staff.ask_as_moderator(f"settings {verb}", **options)
    after = await staff.ask_as_moderator("settings show")
    offered = next(one for one in staff.town.emulator.state.commands.values() if one["name"] == "settings")
    reset = next(verb for verb in offered["options"] if verb["name"] == "reset")
    for choice in reset["options"][0]["choices"]:
        await staff.ask_as_moderator("settings reset", setting=choice["value"])
    await staff.ask_as_moderator("settings webhook", url="off")

    assert after.splitlines()[1:] == [f"- {line.format(**named)}" for _, _, line in SETTINGS]
    assert await staff.ask_as_moderator("settings show") == before


async def test_a_refusal_in_a_wrong_channel_names_the_right_channels(town: Town, staff: DiscordStaff) -> None:
    await staff.ask_as_moderator("settings channel", channel="#studio")

    refusal = await read_answer(town.ana, "imagine", {"prompt": "a fox"})

    assert refusal == f"I am not to be used in this channel. Ask me in {staff.studio.mention}."
    assert await draw_picture(town.ana, channel=staff.studio)


async def test_members_of_a_role_become_moderators(town: Town, staff: DiscordStaff) -> None:
    staff.offer_everything()
    town.ben.grant_role(staff.gold)
    refusal = await read_answer(town.ben, "words list")

    await staff.ask_as_moderator("settings moderators", role="@gold")

    assert refusal == "/words list is for a moderator of this workspace."
    assert await read_answer(town.ben, "words list") == "No word is refused here. `/words add` adds one."
    assert await read_answer(town.ben, "settings moderators", {"role": staff.gold, "moderates": False}) == (
        "That role is what makes you a moderator: an administrator of this workspace can take it away."
    )
    assert await read_answer(staff.mia, "settings moderators", {"role": town.guild.everyone}) == (
        "Everybody has that role: everybody would be a moderator."
    )


# Users, words and jobs.


async def test_a_block_stops_running_jobs_shows_its_reason_and_can_be_lifted(town: Town, staff: DiscordStaff) -> None:
    town.backend.will(hangs_after=0)
    running = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
    await town.wait_until_running(running)

    blocked = await staff.ask_as_moderator("block", user="@Ana", until="2h", reason="noise")
    await running.wait_until(is_done)
    refusal = await read_answer(town.ana, "imagine", {"prompt": "a fox"})
    town.backend.will(hangs_after=None)

    assert blocked.startswith("Ana is blocked until ")
    assert blocked.endswith("UTC. They read: “noise”. Stopped: 1 of theirs.")
    assert "⏹ Stopped." in running.text
    assert refusal.startswith("You are blocked here until ")
    assert refusal.endswith("UTC: noise. Ask a moderator.")
    assert await staff.ask_as_moderator("unblock", user="@Ana") == "Ana may ask again."
    assert await draw_picture(town.ana)


async def test_refused_words_are_found_in_any_spelling_until_removed(town: Town, staff: DiscordStaff) -> None:
    assert (
        await staff.ask_as_moderator("words add", word="badg*") == "Asks with “badg*” in them are refused from now on."
    )
    assert await read_answer(town.ana, "imagine", {"prompt": "two BÁDGERS"}) == (
        "That has a word in it which is not wanted here. Please say it differently."
    )
    assert await staff.ask_as_moderator("words test", text="two bádgers") == "Refused, for “badg*”."
    assert await staff.ask_as_moderator("words list") == "Refused here: `badg*`"
    assert await staff.ask_as_moderator("words remove", word="badg*") == "“badg*” may be asked for again."
    assert await draw_picture(town.ana, prompt="two badgers")


async def test_running_jobs_are_listed_and_stopped_from_the_list(town: Town, staff: DiscordStaff) -> None:
    town.backend.will(hangs_after=0)
    running = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
    await town.wait_until_running(running)

    listing = await run_command(staff.mia, "jobs", channel=staff.studio)
    await staff.mia.press(listing, "Stop 1")
    await running.wait_until(is_done)

    assert listing.text.startswith("1. Ana: /imagine “a fox” · FLUX schnell · runs, ")
    assert listing.text.endswith(f" s · at most 3 credits · `{await town.get_job_id(running)}`")
    assert "⏹ Stopped." in running.text
    assert await staff.ask_as_moderator("jobs") == "Nothing runs or waits in this workspace."


async def test_the_audit_names_users_roles_and_channels(town: Town, staff: DiscordStaff) -> None:
    await draw_picture(town.ana)
    await staff.ask_as_moderator("quota grant", user="@Ana", credits=5)
    await staff.ask_as_moderator("quota role set", role="@gold", day=500)
    await staff.ask_as_moderator("settings channel", channel="#studio")
    await staff.ask_as_moderator("settings channel", channel="#studio", allowed=False)
    await staff.ask_as_moderator("block", user="@Ana", reason="noise")
    staff.offer_everything()
    await read_answer(town.ben, "words list")

    lines = [line.split(" · ", 1)[1] for line in (await staff.ask_as_moderator("audit")).splitlines()]

    studio = staff.studio.mention
    assert lines == [
        f"{town.ben.user.mention} · was refused · what /words list",
        "Mia · blocked · user Ana, until a moderator ends it, reason noise",
        f"Mia · changed · channels {studio}: yes → –",
        f"Mia · changed · channels {studio}: – → yes",
        f"Mia · changed · {staff.gold.mention} · daily allowance: – → 500 credits",
        "Mia · gave extra credits · to Ana, 5 credits",
    ]


# Notices to moderators.


async def test_moderators_are_told_at_50_80_and_100_percent_of_a_budget(town: Town, staff: DiscordStaff) -> None:
    owner = town.owner_in_the_guild()
    owner.grant_role(staff.mia.member.roles[0])
    await staff.ask_as_moderator("settings notices", channel="#studio")
    await read_answer(owner, "quota budget set", {"credits": 10})

    for asker in (town.ana, town.ben, town.ana):
        await draw_picture(asker)
    refusal = await read_answer(town.ben, "imagine", {"prompt": "a fox"})
    notices = await town.wait_until(lambda: staff.studio.messages[3:] and staff.studio.messages[1:])

    assert [message.text.partition(" It refills ")[0].partition(" until it ")[0] for message in notices] == [
        "This workspace's monthly budget is spent to 50 %: 6 of 10 credits.",
        "This workspace's monthly budget is spent to 80 %: 9 of 10 credits.",
        "This workspace's monthly budget is spent: 9 of 10 credits. "
        "Nothing that costs more than what is left can be asked",
    ]
    assert not any(message.notified_users for message in staff.studio.messages)
    assert refusal.startswith("This workspace")
    assert len(town.backend.runs) == 3


async def test_moderators_take_down_a_reported_picture_from_the_notice(town: Town, staff: DiscordStaff) -> None:
    await staff.ask_as_moderator("settings notices", channel="#studio")
    picture = await draw_picture(town.ana, prompt="a fox, @everyone")

    thanks = await (await town.ben.press(picture, "Report")).wait_for_private_message()
    report = await staff.studio.wait_for_message(lambda one: one.button_labels)
    refusal = await (await town.ben.press(report, "Take down")).wait_for_private_message()
    await staff.mia.press(report, "Take down")
    await town.wait_until(lambda: picture.is_deleted)

    assert thanks.text == "Thank you. The moderators have been told."
    assert report.text == "Ben reported what /imagine made for Ana: “a fox, @everyone”"
    assert report.notified_users == []
    assert refusal.text == "That job is not here any more, so its buttons do nothing."  # to Ben, there, it is none
    assert await town.wait_until(lambda: not town.list_kept_files())


async def test_a_rank_taken_away_is_believed_in_direct_messages_for_a_minute_at_most(town: Town) -> None:
    eve = town.guild.add_member("Eve", admin=True)
    await eve.send_direct_message("/settings show")
    await town.wait_until(lambda: len(eve.direct_channel.messages) == 2)
    assert "settings" in eve.direct_channel.last_message.text

    eve.member.roles.clear()
    await town.advance_time(RANK_BELIEVED_SECONDS)
    await eve.send_direct_message("/settings show")

    await town.wait_until(lambda: len(eve.direct_channel.messages) == 4)
    assert "is for a moderator" in eve.direct_channel.last_message.text
