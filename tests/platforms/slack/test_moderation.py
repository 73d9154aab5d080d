"""A moderator's day in Slack: credits, tiers, channels, settings, blocks, words, running jobs, and the record."""

import csv
import io

import pytest

from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.dialogue import SlackStaff, draw_picture, read_answer, reopen_with_owner, run_command
from tests.platforms.slack.office import Office


@pytest.fixture
async def staff(office: Office) -> SlackStaff:
    return SlackStaff(office)


# Credits.


async def test_credits_are_given_taken_limited_shown_and_forgiven(any_office: Office) -> None:
    staff, ana, general = SlackStaff(any_office), any_office.ana, any_office.general
    await draw_picture(ana, general)

    assert (
        await staff.ask_as_moderator(f"/quota grant {ana.escaped_mention} 50")
        == "Ana got 50 credits, and has 50 extra credits now."
    )
    assert await staff.ask_as_moderator(f"/quota take {ana.escaped_mention} 20") == (
        "Took 20 credits from Ana, who has 30 extra credits now."
    )
    assert (
        await staff.ask_as_moderator(f"/quota take {ana.escaped_mention} 31")
        == "Ana has 30 extra credits: I cannot take more."
    )
    assert await staff.ask_as_moderator(f"/quota set {ana.escaped_mention} --day 4 --at_once 1") == (
        "Limits of Ana: at most 4 credits a day · 1 job at once."
    )
    assert (await staff.ask_as_moderator(f"/quota show {ana.escaped_mention}")).splitlines()[:2] == [
        "**Ana** has 97 of 100 credits left today, 30 extra, and spent 3 this month.",
        "Own limits: at most 4 credits a day · 1 job at once.",
    ]
    assert "Your budget has no room for this: 2 credits short." in await read_answer(ana, "/imagine a fox", general)
    assert await staff.ask_as_moderator(f"/quota reset {ana.escaped_mention} all") == (
        "This month begins anew for Ana: 3 credits can be spent again today. Ana has no limits of their own any more."
    )
    assert await draw_picture(ana, general)


async def test_a_form_asks_for_missing_options(any_office: Office) -> None:
    staff, otto = SlackStaff(any_office), any_office.otto
    await draw_picture(staff.ben, any_office.general)

    await otto.use_command("/quota", "grant", any_office.general)
    form = await otto.wait_for_modal("Quota grant")
    await otto.submit(form, {"user": staff.ben.id, "credits": "12.5"})

    assert (
        await otto.wait_for_private_message("credits")
    ).visible_text == "Ben got 12.5 credits, and has 12.5 extra credits now."
    assert not form.is_open


async def test_a_member_who_never_asked_is_given_credits_and_a_stranger_is_not(staff: SlackStaff) -> None:
    assert (
        await staff.ask_as_moderator(f"/quota grant {staff.ben.escaped_mention} 5")
        == "Ben got 5 credits, and has 5 extra credits now."
    )
    assert await staff.ask_as_moderator("/quota grant <@U0STRANGER> 5") == (
        "I have not seen <@U0STRANGER> here yet. They must have used me once."
    )


async def test_a_user_group_is_a_tier_for_its_members(office: Office, staff: SlackStaff) -> None:
    group, general = staff.group_shown, office.general
    given = "500 credits each day · 2 pictures at a time · models: sdxl, flux-schnell"

    assert await staff.ask_as_moderator(
        f"/quota role set {staff.group} --day 500 --models sdxl,flux-schnell --pictures 2"
    ) == (f"{group}: {given}.")
    assert f"**500** of 500 credits left today. They refill at 00:00 UTC. Your tier is **{group}**." in (
        await read_answer(office.ana, "/usage")
    )
    assert "of 100 credits" in await read_answer(staff.ben, "/usage")
    assert await read_answer(office.ana, "/imagine a fox --model flux-dev", general) == (
        "FLUX dev is not among the models you may use. You may use flux-schnell, sdxl."
    )
    assert await staff.ask_as_moderator("/quota role show") == f"- {group}: {given}"
    assert (
        await staff.ask_as_moderator(f"/quota role clear {staff.group}")
        == f"{group} gives nothing of its own any more."
    )
    assert await staff.ask_as_moderator(f"/quota role clear {staff.group}") == f"Nothing is set for {group}."
    assert "of 100 credits" in await read_answer(office.ana, "/usage")


async def test_everyone_is_a_tier_and_unknown_group_names_are_refused(staff: SlackStaff) -> None:
    assert await staff.ask_as_moderator("/quota role set everyone --day 7") == "everyone: 7 credits each day."
    assert "of 7 credits left today" in await read_answer(staff.ben, "/usage")
    assert (await staff.ask_as_moderator("/quota role set designers --day 9")).startswith(
        "I do not know a role called “designers”."
    )


async def test_a_channel_takes_the_commands_and_models_that_it_may(office: Office, staff: SlackStaff) -> None:
    studio = staff.studio_shown

    assert await staff.ask_as_moderator(
        f"/quota channel set {staff.studio_typed} --models sdxl --commands imagine"
    ) == (f"In {studio}: commands: imagine · models: sdxl.")
    assert await read_answer(office.ana, "/imagine a fox", staff.studio) == (
        "FLUX schnell is not for this channel. Here you may use sdxl."
    )
    assert f"**Channels**\n- {studio}: commands: imagine · models: sdxl" in await staff.ask_as_moderator("/quota show")
    assert await staff.ask_as_moderator(f"/quota channel clear {staff.studio_typed}") == (
        f"Every command and model may be used in {studio} again."
    )
    assert await draw_picture(office.ana, staff.studio)


async def test_spending_is_shown_and_exported_to_the_moderator_alone(office: Office, staff: SlackStaff) -> None:
    await draw_picture(office.ana, office.general)
    await draw_picture(staff.ben, office.general, "a fox --count 2")

    assert await staff.ask_as_moderator("/quota top") == (
        "Spent this month:\n1. Ben: **6** credits, 1 job\n2. Ana: **3** credits, 1 job"
    )
    assert (await staff.ask_as_moderator("/quota export")).startswith("2 jobs of ")
    await office.otto.wait_for_private_message("The file is in our direct messages.")
    (sent,) = office.otto.direct_channel.bot_messages
    (table,) = sent.files
    rows = list(csv.DictReader(io.StringIO(table.content.decode())))
    assert table.name.endswith(".csv")
    assert [(row["name"], row["command"], row["credits"]) for row in rows] == [
        ("Ana", "imagine", "3"),
        ("Ben", "imagine", "6"),
    ]
    assert all(not message.files for message in office.general.bot_messages[2:])


# Settings.

SUMMED_UP = "are summed up for the asker, for up to about 13.8 credits each time with GPT-5 nano"
SETTINGS = [
    ("model imagine sdxl", "**Models where nobody names one**: /imagine SDXL"),
    ("channel {studio}", "**Channels I may be used in**: {studio}"),
    ("moderators {group}", "**Moderators**: this workspace's administrators and {group}"),
    ("notices {studio}", "**Reports and notices go**: in {studio}"),
    ("prompt Be brief.", "**What chat models are told**: “Be brief.”"),
    ("chat --language German", "**They answer in**: German"),
    ("chat --join starter", "**Who may go on with a conversation**: who began it"),
    ("chat --tools off", "**Chat models draw, edit and speak for the asker**: off"),
    ("chat --voice text", "**A voice message is answered**: in words"),
    ("chat --summaries on", f"**Conversations that outgrow the model**: {SUMMED_UP}"),
    ("chat --feedback off", "**People vote on answers**: nowhere"),
    ("chat --mention reply", "**A mention is answered**: with a reply"),
    ("pictures --adult off", "**Models for adults**: nowhere"),
    ("pictures --flagged refuse", "**Pictures that the model flags**: refused"),
    ("pictures --reuse yes", "**The very same asked again**: is answered from what was kept, for nothing"),
    ("pictures --recipes yes", "**The workflow in files of ComfyUI**: is kept, with the words"),
    ("pictures --prompts no", "**Delivered files of drawings**: say nothing of their making"),
    ("general --time_zone Europe/Berlin", "**Time zone**: Europe/Berlin"),
    ("general --keep_days 7", "**What was asked is kept**: 7 days"),
    ("general --confirm_above 20", "**A button asks first**: above 20 credits"),
    ("run off", "**/run takes**: nothing"),
    (
        f"webhook https://8.8.8.8/in?key=mine whsec_{'c2Vj' * 10}",
        "**Results are posted**: to https://8.8.8.8, when they end",
    ),
]
NAMES = ["default_models", "channels", "moderator_roles", "moderator_channel", "system_prompt", "language", "join"]
NAMES += ["tools", "mention", "adult", "flagged", "reuse", "recipes", "prompts", "time_zone", "retention_days"]
NAMES += ["confirm_above_credits", "run", "voice", "summaries", "feedback"]


async def test_each_setting_is_changed_shown_and_reset(staff: SlackStaff) -> None:
    shown = {"studio": staff.studio_shown, "group": staff.group_shown}
    before = await staff.ask_as_moderator("/settings show")

    for verb, line in SETTINGS:
        setting = verb.format(studio=staff.studio_typed, group=staff.group)
        assert f"- {line.format(**shown)}" in await staff.ask_as_moderator(f"/settings {setting}")
    after = await staff.ask_as_moderator("/settings show")
    for name in NAMES:
        await staff.ask_as_moderator(f"/settings reset {name}")
    await staff.ask_as_moderator("/settings webhook off")

    assert after.splitlines()[1:] == [f"- {line.format(**shown)}" for _, line in SETTINGS]
    assert await staff.ask_as_moderator("/settings show") == before


async def test_a_refusal_in_a_channel_names_the_allowed_channels(office: Office, staff: SlackStaff) -> None:
    await staff.ask_as_moderator(f"/settings channel {staff.studio_typed}")

    refused = await read_answer(office.ana, "/imagine a fox", office.general)

    assert refused == f"I am not to be used in this channel. Ask me in {staff.studio_shown}."
    assert await draw_picture(office.ana, staff.studio)


async def test_members_of_a_user_group_become_moderators(office: Office, staff: SlackStaff) -> None:
    refused = await read_answer(office.ana, "/words list")

    await staff.ask_as_moderator(f"/settings moderators {staff.group}")

    assert refused == "/words list is for a moderator of this workspace."
    assert await read_answer(office.ana, "/words list") == "No word is refused here. `/words add` adds one."
    assert await read_answer(office.ana, f"/settings moderators {staff.group} --moderates no") == (
        "That role is what makes you a moderator: an administrator of this workspace can take it away."
    )


# People, words and jobs.


async def test_a_block_stops_running_jobs_notifies_the_blocked_and_ends(any_office: Office) -> None:
    staff, ana, general = SlackStaff(any_office), any_office.ana, any_office.general
    any_office.backend.will(hangs_after=0)
    await ana.use_command("/imagine", "a fox", general)
    running = await general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)

    blocked = await staff.ask_as_moderator(f"/block {ana.escaped_mention} 2h noise")
    await running.wait_for_text("⏹ Stopped.")
    refused = await read_answer(ana, "/imagine a fox", general)
    any_office.backend.will(hangs_after=None)

    assert blocked.startswith("Ana is blocked until ")
    assert blocked.endswith("UTC. They read: “noise”. Stopped: 1 of theirs.")
    assert refused.startswith("You are blocked here until ")
    assert refused.endswith("UTC: noise. Ask a moderator.")
    assert await staff.ask_as_moderator(f"/unblock {ana.escaped_mention}") == "Ana may ask again."
    assert await draw_picture(ana, general)


async def test_blocked_words_are_refused_in_every_spelling_until_unblocked(office: Office, staff: SlackStaff) -> None:
    assert await staff.ask_as_moderator("/words add badg*") == "Asks with “badg*” in them are refused from now on."
    assert await read_answer(office.ana, "/imagine two BÁDGERS", office.general) == (
        "That has a word in it which is not wanted here. Please say it differently."
    )
    assert await staff.ask_as_moderator("/words test two bádgers") == "Refused, for “badg*”."
    assert await staff.ask_as_moderator("/words list") == "Refused here: `badg*`"
    assert await staff.ask_as_moderator("/words remove badg*") == "“badg*” may be asked for again."
    assert await draw_picture(office.ana, office.general, "two badgers")


async def test_running_jobs_are_listed_and_stopped_from_the_list(any_office: Office) -> None:
    staff, otto = SlackStaff(any_office), any_office.otto
    any_office.backend.will(hangs_after=0)
    await any_office.ana.use_command("/imagine", "a fox", any_office.general)
    running = await any_office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    async with any_office.app.database.read() as tx:
        (job,) = await tx.jobs.list_recent_in_channel("slack", any_office.team.id, any_office.general.id, 5)

    listed = await run_command(otto, "/jobs", staff.studio)
    await otto.press(listed, "Stop 1")
    await running.wait_for_text("⏹ Stopped.")

    assert listed.visible_text.startswith("1. Ana: /imagine “a fox” · FLUX schnell · ")
    assert listed.visible_text.endswith(f" s · at most 3 credits · `{job.id}`")
    assert await staff.ask_as_moderator("/jobs") == "Nothing runs or waits in this workspace."


async def test_the_record_names_people_groups_and_channels(office: Office, staff: SlackStaff) -> None:
    await draw_picture(office.ana, office.general)
    await staff.ask_as_moderator(f"/quota grant {office.ana.escaped_mention} 5")
    await staff.ask_as_moderator(f"/quota role set {staff.group} --day 500")
    await staff.ask_as_moderator(f"/settings channel {staff.studio_typed}")
    await staff.ask_as_moderator(f"/settings channel {staff.studio_typed} --allowed no")
    await staff.ask_as_moderator(f"/block {office.ana.escaped_mention} --reason noise")
    await read_answer(staff.ben, "/words list")

    lines = [line.split(" · ", 1)[1] for line in (await staff.ask_as_moderator("/audit")).splitlines()]

    assert lines == [
        f"{staff.ben.mention} · was refused · what /words list",
        "Otto · blocked · user Ana, until a moderator ends it, reason noise",
        f"Otto · changed · channels {staff.studio_shown}: yes → –",
        f"Otto · changed · channels {staff.studio_shown}: – → yes",
        f"Otto · changed · {staff.group_shown} · daily allowance: – → 500 credits",
        "Otto · gave extra credits · to Ana, 5 credits",
    ]


# Notices to moderators.


async def test_an_exhausted_budget_sends_three_notices_to_the_moderators_channel(open_office: OfficeOpener) -> None:
    office = await open_office()
    staff = SlackStaff(office)
    await reopen_with_owner(office, staff.ben)
    await staff.ask_as_moderator(f"/settings notices {staff.studio_typed}")
    await read_answer(staff.ben, "/quota budget set 10", office.general)

    for _ in range(3):
        await draw_picture(office.ana, office.general)
    refused = await read_answer(office.ana, "/imagine a fox", office.general)
    await staff.studio.wait_for_bot_message("budget is spent:")

    assert [
        one.visible_text.partition(" It refills ")[0].partition(" until it ")[0]
        for one in staff.studio.bot_messages[1:]
    ] == [
        "This workspace's monthly budget is spent to 50 %: 6 of 10 credits.",
        "This workspace's monthly budget is spent to 80 %: 9 of 10 credits.",
        "This workspace's monthly budget is spent: 9 of 10 credits. "
        "Nothing that costs more than what is left can be asked",
    ]
    assert not any(message.mentions for message in staff.studio.bot_messages)
    assert refused.startswith("This workspace")
    assert len(office.backend.runs) == 3


async def test_a_moderator_deletes_a_reported_picture_from_the_report(any_office: Office) -> None:
    staff = SlackStaff(any_office)
    await staff.ask_as_moderator(f"/settings notices {staff.studio_typed}")
    picture = await draw_picture(any_office.ana, any_office.general, "a fox for <!channel>")

    await staff.ben.press(picture, "Report")
    report = await staff.studio.wait_for_bot_message("reported")
    await staff.ben.press(report, "Take down")
    await staff.ben.wait_for_private_message("That job is not here any more, so its buttons do nothing.")
    await any_office.otto.press(report, "Take down")
    await picture.wait_until(lambda message: message.is_deleted, "deletion")

    assert await staff.ben.wait_for_private_message("Thank you. The moderators have been told.")
    assert report.visible_text == "Ben reported what /imagine made for Ana: “a fox for @channel”"
    assert report.mentions == []
