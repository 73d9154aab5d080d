"""The owner's commands in Slack: allowed workspaces, budgets, pauses, refused strangers, and a rush for credits."""

import asyncio

import pytest

from tests.platforms.database_state import read_database_state, read_refusals
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.dialogue import SlackStaff, draw_picture, read_answer, reopen_with_owner


@pytest.fixture
async def staff(open_office: OfficeOpener) -> SlackStaff:
    """An office with Ben, a plain member, as the bot's owner."""
    staff = SlackStaff(await open_office())
    await reopen_with_owner(staff.office, staff.ben)
    return staff


@pytest.fixture(params=["socket", "http"])
async def unlisted_staff(open_office: OfficeOpener, request: pytest.FixtureRequest) -> SlackStaff:
    """The same in a workspace that is not allowed yet."""
    staff = SlackStaff(await open_office(transport=request.param))
    await reopen_with_owner(staff.office, staff.ben, allowed_workspaces=())
    return staff


# A workspace before permission.


async def test_before_setup_every_entry_point_refuses_and_spends_nothing(unlisted_staff: SlackStaff) -> None:
    office, ana = unlisted_staff.office, unlisted_staff.office.ana
    before = read_database_state(office.app)

    by_command = [
        await read_answer(ana, line, office.general) for line in ("/imagine a fox", "/chat hi", "/usage", "/show")
    ]
    last = ana.private_messages[-1]
    await ana.say(f"{office.team.mention} hello", office.general)
    by_mention = (await ana.wait_for_private_message(after=last)).visible_text

    sentence = (
        f"This workspace is not on my list yet. Ask my owner, {unlisted_staff.ben.mention}, to allow it, "
        f"with /setup here: {office.team.id}."
    )
    assert {*by_command, by_mention} == {sentence}
    assert office.general.bot_messages == []
    assert office.backend.runs == {}
    assert read_database_state(office.app) == before


async def test_setup_is_refused_for_strangers_and_accepted_from_the_owner(unlisted_staff: SlackStaff) -> None:
    office = unlisted_staff.office
    before = read_database_state(office.app)

    refused = [await read_answer(who, "/setup --budget 5000", office.general) for who in (office.ana, office.otto)]
    untouched = read_database_state(office.app)
    setup_answer = await read_answer(unlisted_staff.ben, "/setup", office.general)

    assert set(refused) == {f"/setup is for my owner, {unlisted_staff.ben.mention}."}
    assert untouched == before
    assert await read_refusals(office.app, "slack", office.team.id) == [
        (who.id, "/setup") for who in (office.ana, office.otto)
    ]
    assert setup_answer.splitlines() == [
        "1. **This workspace may use me.** `/setup --allowed no` takes that back.",
        "2. **Budget**: none of its own, so it shares the whole bot's. `/setup --budget 5000` gives it one.",
        "3. **Moderators**: this workspace's administrators. `/setup --moderators ROLE` adds a role.",
        "4. **Reports and notices go**: to the bot's owner. `/setup --notices CHANNEL` names one.",
        "5. **Channels I may be used in**: all. `/setup --channel CHANNEL` keeps me to some.",
        "6. Try `/imagine a lighthouse at dusk`. `/settings show` has the rest, `/quota show` who may spend what.",
    ]
    assert await draw_picture(office.ana, office.general)


async def test_setup_applies_all_settings_and_reverts_them(unlisted_staff: SlackStaff) -> None:
    office, owner = unlisted_staff.office, unlisted_staff.ben
    line = f"/setup --budget 5000 --moderators {unlisted_staff.group} --notices {unlisted_staff.studio_typed}"

    setup_answer = await read_answer(owner, line, office.general)
    picture = await draw_picture(office.ana, office.general)
    forbidden = await read_answer(owner, "/setup --allowed no", office.general)
    refused = await read_answer(office.ana, "/imagine a fox", office.general)
    last = office.ana.private_messages[-1]
    await office.ana.press(picture, "Again")
    press_answer = (await office.ana.wait_for_private_message(after=last)).visible_text

    assert setup_answer.splitlines()[1:4] == [
        "2. **Budget**: 5,000 credits a month, 0 spent.",
        f"3. **Moderators**: this workspace's administrators and {unlisted_staff.group_shown}.",
        f"4. **Reports and notices go**: in {unlisted_staff.studio_shown}.",
    ]
    assert [message.visible_text for message in unlisted_staff.studio.bot_messages] == [
        "Reports, and notices about the budget, will come here from now on. Ben said so."
    ]
    assert forbidden == "This workspace may not use me any more. What runs goes on; `/setup` lets it in again."
    assert refused == press_answer
    assert refused.startswith("This workspace is not on my list yet.")
    assert len(office.backend.runs) == 1


async def test_notices_cannot_go_to_a_channel_without_the_bot(staff: SlackStaff) -> None:
    staff.studio.remove_bot()
    staff.office.slack.faults.respond("chat.postMessage", "not_in_channel")

    answer = await read_answer(staff.ben, f"/setup --notices {staff.studio_typed}", staff.office.general)

    assert answer == f"I cannot post in {staff.studio_shown}. Let me in there, then say this again."


# Budgets and pauses.


async def test_the_owner_sets_the_budgets_of_a_workspace_and_of_the_whole_bot(staff: SlackStaff) -> None:
    owner, ana, general = staff.ben, staff.office.ana, staff.office.general
    await draw_picture(ana, general)

    assert await read_answer(owner, "/quota budget set 4", general) == (
        "This workspace may spend 4 credits a month, and spent 3 this month."
    )
    here, everywhere = (await read_answer(owner, "/quota budget show", general)).splitlines()
    assert here.startswith("This workspace spent 3 of 4 credits this month. It refills on ")
    assert everywhere.startswith("The whole bot spent 3 of 10,000 credits this month. It refills on ")
    assert await staff.ask_as_moderator("/quota budget show") == here
    assert (await read_answer(ana, "/imagine a fox", general)).startswith("This workspace")
    assert await read_answer(owner, "/quota budget set", general) == "This workspace has no budget of its own any more."
    assert await draw_picture(ana, general)


async def test_the_owner_pauses_and_resumes_also_by_direct_message(staff: SlackStaff) -> None:
    owner, ana, general = staff.ben, staff.office.ana, staff.office.general

    assert await read_answer(owner, '/pause sdxl "out of paint"') == (
        "Nothing new of `sdxl` starts until `/resume sdxl`. What runs goes on."
    )
    assert await read_answer(ana, "/imagine a fox --model sdxl", general) == (
        "SDXL is paused at the moment: out of paint. Please try again later."
    )
    await read_answer(owner, "/pause slack")
    assert await read_answer(ana, "/imagine a fox", general) == "Slack is paused at the moment. Please try again later."
    assert await read_answer(owner, "/resume") == "- `sdxl`: out of paint\n- `slack`"
    assert await read_answer(owner, "/resume slack") == "`slack` starts again."
    assert await read_answer(owner, "/resume sdxl") == "`sdxl` starts again."
    assert await read_answer(owner, "/resume") == "Nothing is paused."
    assert await draw_picture(ana, general, "a fox --model sdxl")


async def test_of_forty_requests_at_once_five_fit_the_budget(staff: SlackStaff) -> None:
    office, general = staff.office, staff.office.general
    await read_answer(staff.ben, "/quota budget set 15", general)
    people = [office.team.add_person(f"P{n}") for n in range(40)]

    await asyncio.gather(*(person.use_command("/imagine", f"fox {n}", general) for n, person in enumerate(people)))

    async def all_answered() -> bool:
        done = [message for message in general.bot_messages if "Again" in message.button_labels]
        return len(done) + sum(bool(person.private_messages) for person in people) == 40

    await office.wait_until(all_answered)
    await office.wait_until_idle()

    refused = [message.visible_text for person in people for message in person.private_messages]
    assert len(office.backend.runs) == len(general.bot_messages) == 5
    assert all(message.files for message in general.bot_messages)
    assert len(refused) == 35
    assert {text.partition(" It refills ")[0] for text in refused} == {
        "This workspace's budget has no room for this: 3 credits short."
    }
    assert office.slack.rate_limited_calls == []
    assert "spent 15 of 15 credits" in await read_answer(staff.ben, "/quota budget show", general)
