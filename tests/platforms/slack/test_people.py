"""Who somebody is: what Slack does not tell at once is asked again, and what must be quick does not wait for it."""

from tests.platforms.slack.office import Office


async def test_an_administrator_slack_did_not_tell_of_once_is_one_the_next_time(office: Office) -> None:
    office.slack.faults.answer("users.info", "user_not_found")
    await office.otto.slash("/settings", "show", office.general)
    first = await office.otto.told("is for a moderator")

    await office.otto.slash("/settings", "show", office.general)

    await office.otto.told("This workspace's settings", after=first)


async def test_groups_not_told_once_are_asked_for_again(office: Office) -> None:
    mia = office.team.user("Mia")
    crew = office.team.user_group("crew", [mia])
    await office.otto.slash("/settings", f"moderators --role <!subteam^{crew.id}|@crew>", office.general)
    await office.otto.told()
    await office.slack.quiet()
    office.pass_time(400)
    office.slack.faults.answer("usergroups.list", "team_not_found")
    await mia.slash("/settings", "show", office.general)
    first = await mia.told("is for a moderator")

    await mia.slash("/settings", "show", office.general)

    await mia.told("This workspace's settings", after=first)


async def test_a_button_form_opens_though_slack_is_slow_to_say_who_pressed(office: Office) -> None:
    await office.ana.slash("/imagine", "a fox", office.general)
    picture = await office.general.bot_says(holds=lambda one: "Report" in one.buttons)
    office.slack.faults.delay("users.info", 30)

    await office.otto.press(picture, "Edit prompt")

    await office.otto.modal("Edit prompt", patience=3)
    office.pass_time(30)
