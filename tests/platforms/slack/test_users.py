"""Profiles of users: failed requests are repeated, and forms do not wait for slow ones."""

import pytest

from bot.core.limits import RANK_BELIEVED_SECONDS
from bot.platforms.slack import buttons
from tests.platforms.slack.office import Office


async def test_a_failed_profile_request_is_repeated_for_the_next_command(office: Office) -> None:
    office.slack.faults.respond("users.info", "user_not_found")
    await office.otto.use_command("/settings", "show", office.general)
    first = await office.otto.wait_for_private_message("is for a moderator")

    await office.otto.use_command("/settings", "show", office.general)

    await office.otto.wait_for_private_message("This workspace's settings", after=first)


async def test_a_failed_groups_request_is_repeated_for_the_next_command(office: Office) -> None:
    mia = office.team.add_person("Mia")
    crew = office.team.add_user_group("crew", [mia])
    await office.otto.use_command("/settings", f"moderators --role <!subteam^{crew.id}|@crew>", office.general)
    await office.otto.wait_for_private_message()
    await office.slack.wait_until_idle()
    office.advance_time(400)
    office.slack.faults.respond("usergroups.list", "team_not_found")
    await mia.use_command("/settings", "show", office.general)
    first = await mia.wait_for_private_message("is for a moderator")

    await mia.use_command("/settings", "show", office.general)

    await mia.wait_for_private_message("This workspace's settings", after=first)


async def test_a_button_form_opens_before_a_slow_profile_arrives(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buttons, "_FORM_PATIENCE_SECONDS", 0.1)
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels)
    office.slack.faults.delay("users.info", 30)

    press = await office.otto.press(picture, "Edit prompt")

    await office.otto.wait_for_modal("Edit prompt", timeout_seconds=3)
    await press.wait_for_acknowledgement()
    office.advance_time(30)


async def test_a_rank_that_slack_takes_away_is_believed_for_a_minute_at_most(office: Office) -> None:
    await office.otto.use_command("/settings", "show", office.general)
    first = await office.otto.wait_for_private_message("This workspace's settings")

    office.otto.is_admin = False
    await office.slack.wait_until_idle()
    office.advance_time(RANK_BELIEVED_SECONDS)
    await office.otto.use_command("/settings", "show", office.general)

    await office.otto.wait_for_private_message("is for a moderator", after=first)


async def test_a_group_that_slack_takes_away_is_believed_for_a_minute_at_most(office: Office) -> None:
    mia = office.team.add_person("Mia")
    crew = office.team.add_user_group("crew", [mia])
    await office.otto.use_command("/settings", f"moderators --role <!subteam^{crew.id}|@crew>", office.general)
    await office.otto.wait_for_private_message()
    await mia.use_command("/settings", "show", office.general)
    first = await mia.wait_for_private_message("This workspace's settings")

    crew.members.clear()
    await office.slack.wait_until_idle()
    office.advance_time(RANK_BELIEVED_SECONDS)
    await mia.use_command("/settings", "show", office.general)

    await mia.wait_for_private_message("is for a moderator", after=first)


async def test_people_without_a_rank_are_not_read_again_each_minute(office: Office) -> None:
    await office.ana.use_command("/usage", "", office.general)
    first = await office.ana.wait_for_private_message()
    read = len(office.slack.find_calls("users.info"))

    await office.slack.wait_until_idle()
    office.advance_time(RANK_BELIEVED_SECONDS)
    await office.ana.use_command("/usage", "", office.general)
    await office.ana.wait_for_private_message(after=first)

    assert len(office.slack.find_calls("users.info")) == read
