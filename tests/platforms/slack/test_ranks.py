"""Commands above a person's rank, by every entry point of Slack: refused with a sentence, and audited."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.commands import MENU
from bot.core.people import Rank
from bot.dispatch.declaration import Declaration, Option, OptionKind
from bot.platforms.slack.commands import FORM_SHORTCUT
from bot.platforms.slack.connection import INSTALL_PATH
from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.people import SlackPerson
from tests.emulators.slack.state import SlackChannelState, SlackTeamState
from tests.platforms.database_state import read_database_state, read_refusals
from tests.platforms.slack.dialogue import SlackStaff, draw_picture, read_answer, run_command
from tests.platforms.slack.office import Office, create_office
from tests.ports import find_free_port

# slack_sdk 3.47 uses aiohttp's BasicAuth, deprecated in aiohttp 4, to exchange OAuth codes.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

ABOVE = [form.declaration for form in MENU if form.declaration.rank > Rank.USER]
"""Commands above the rank of a plain member."""
OWNERS = [one for one in ABOVE if one.rank is Rank.OWNER]
WITH_FORM = [one for one in ABOVE if any(option.is_required for option in one.options)]


def list_refusals(declarations: list[Declaration]) -> dict[str, str]:
    """Return the refusal of each command. These offices have no owner."""
    required = {Rank.MODERATOR: "a moderator of this workspace", Rank.OWNER: "my owner"}
    return {one.name: f"/{one.name} is for {required[one.rank]}." for one in declarations}


def create_value(option: Option, staff: SlackStaff) -> str:
    """Return a valid value of an option as typed text."""
    things = {OptionKind.PERSON: staff.office.ana.escaped_mention, OptionKind.ROLE: staff.group}
    things |= {OptionKind.CHANNEL: staff.studio_typed, OptionKind.INTEGER: "5", OptionKind.NUMBER: "5"}
    word = "gpu-t4" if option.name == "hardware" else "sdxl"  # words that the form suggests
    return things.get(option.kind) or (option.choices[0] if option.choices else word)


def create_command_text(declaration: Declaration, staff: SlackStaff) -> str:
    """Return a command with all required options."""
    needed = [f"--{one.name} {create_value(one, staff)}" for one in declaration.options if one.is_required]
    return " ".join([f"/{declaration.name}", *needed])


def create_form_values(declaration: Declaration, staff: SlackStaff) -> dict[str, Any]:
    """Return values for all required options, as submitted by a form."""
    picked = {OptionKind.PERSON: staff.office.ana.id, OptionKind.CHANNEL: staff.studio.id}
    return {
        one.name: picked.get(one.kind) or create_value(one, staff) for one in declaration.options if one.is_required
    }


# By command.


@pytest.mark.parametrize("who", ["a member", "a moderator, the owner's verbs"])
async def test_a_command_above_the_rank_is_refused_and_audited(any_office: Office, who: str) -> None:
    staff = SlackStaff(any_office)
    person, above = {"a member": (staff.ben, ABOVE), "a moderator, the owner's verbs": (any_office.otto, OWNERS)}[who]
    await draw_picture(any_office.ana, any_office.general)
    await any_office.wait_until_idle()
    before = read_database_state(any_office.app)

    answers = {
        one.name: await read_answer(person, create_command_text(one, staff), any_office.general) for one in above
    }

    assert answers == list_refusals(above)
    assert read_database_state(any_office.app) == before
    assert await read_refusals(any_office.app, "slack", any_office.team.id) == [
        (person.id, f"/{one.name}") for one in above
    ]


async def test_mentions_and_direct_messages_do_not_bypass_ranks(office: Office) -> None:
    staff = SlackStaff(office)
    await draw_picture(office.ana, office.general)
    await office.wait_until_idle()
    before = read_database_state(office.app)

    await staff.ben.say(f"{office.team.mention} /quota grant {office.ana.mention} 50", office.general)
    by_mention = (await staff.ben.wait_for_private_message()).visible_text
    await staff.ben.say(f"/quota grant {office.ana.mention} 50")
    by_message = await staff.ben.direct_channel.wait_for_bot_message()

    assert by_mention == by_message.visible_text == "/quota grant is for a moderator of this workspace."
    assert read_database_state(office.app) == before


# By form.


async def test_a_form_above_the_rank_is_refused_on_submission_and_audited(any_office: Office) -> None:
    staff = SlackStaff(any_office)
    ben = staff.ben
    await draw_picture(any_office.ana, any_office.general)
    await any_office.wait_until_idle()
    before, answers = read_database_state(any_office.app), {}

    for one in WITH_FORM:
        last = ben.private_messages[-1] if ben.private_messages else None
        first, _, rest = f"/{one.name}".partition(" ")
        await ben.use_command(first, rest, any_office.general)
        await ben.submit(await ben.wait_for_modal(), create_form_values(one, staff))
        answers[one.name] = (await ben.wait_for_private_message(after=last)).visible_text

    assert answers == list_refusals(WITH_FORM)
    assert read_database_state(any_office.app) == before
    assert await read_refusals(any_office.app, "slack", any_office.team.id) == [
        (ben.id, f"/{one.name}") for one in WITH_FORM
    ]


async def test_a_form_opened_by_a_forged_shortcut_is_refused(office: Office) -> None:
    staff = SlackStaff(office)
    ben, some = staff.ben, ABOVE[::12]  # Slack limits messages in a direct conversation to one a second
    office.slack.options = replace(
        office.slack.options, shortcuts=None
    )  # the real Slack offers registered shortcuts only
    await draw_picture(office.ana, office.general)
    await office.wait_until_idle()
    before, answers = read_database_state(office.app), {}

    for one in some:
        last = ben.direct_channel.all_messages[-1] if ben.direct_channel.all_messages else None
        await ben.use_global_shortcut(f"{FORM_SHORTCUT}{one.name}")
        await ben.submit(await ben.wait_for_modal(), create_form_values(one, staff))
        answers[one.name] = (await ben.direct_channel.wait_for_bot_message(after=last)).visible_text

    assert answers == list_refusals(some)
    assert read_database_state(office.app) == before
    assert await read_refusals(office.app, "slack", office.team.id) == [(ben.id, f"/{one.name}") for one in some]


async def test_a_form_with_forged_metadata_is_refused_and_audited(any_office: Office) -> None:
    """Open a real form and forge its metadata, as no client of Slack would."""
    staff = SlackStaff(any_office)
    ben = staff.ben
    await draw_picture(any_office.ana, any_office.general)
    await any_office.wait_until_idle()
    before, answers = read_database_state(any_office.app), {}

    for one in ABOVE:
        last = ben.private_messages[-1] if ben.private_messages else None
        await ben.use_command("/imagine", "", any_office.general)
        form = await ben.wait_for_modal("Imagine")
        metadata = json.loads(form.definition["private_metadata"]) | {"command": one.name}
        form.definition["private_metadata"] = json.dumps(metadata)
        replace_fields(form.definition["blocks"], one)
        await ben.submit(form, create_form_values(one, staff))
        answers[one.name] = (await ben.wait_for_private_message(after=last)).visible_text

    assert answers == list_refusals(ABOVE)
    assert read_database_state(any_office.app) == before
    assert await read_refusals(any_office.app, "slack", any_office.team.id) == [
        (ben.id, f"/{one.name}") for one in ABOVE
    ]


def replace_fields(blocks: list[dict[str, Any]], declaration: Declaration) -> None:
    """Replace the fields of a form by text fields for another command."""
    blocks[:] = [
        {
            "type": "input",
            "block_id": option.name,
            "label": {"type": "plain_text", "text": option.name},
            "element": {"type": "plain_text_input", "action_id": option.name},
        }
        for option in declaration.options
        if option.is_required
    ]


# By button.


async def press_forged_button(who: SlackPerson, message: SlackMessageState, action: str, job: str) -> str:
    """Press a button with a forged action and job; return the text of the answer."""
    last = who.private_messages[-1] if who.private_messages else None
    message.elements[0].update(action_id=f"{action}:0", value=job)
    await who.press(message, f"{action}:0")
    return (await who.wait_for_private_message(after=last)).visible_text


async def test_a_button_with_the_name_of_a_command_does_nothing(any_office: Office) -> None:
    ben = SlackStaff(any_office).ben
    picture = await draw_picture(any_office.ana, any_office.general)
    await any_office.wait_until_idle()
    job, before = str(picture.elements[0]["value"]), read_database_state(any_office.app)

    answers = {await press_forged_button(ben, picture, one.name.replace(" ", "_"), job) for one in ABOVE}

    assert answers == {"That button belongs to an older version of the bot. Please ask again."}
    assert read_database_state(any_office.app) == before


async def test_somebody_else_s_job_is_not_stopped_or_deleted_by_its_id(any_office: Office) -> None:
    ben = SlackStaff(any_office).ben
    bens = await draw_picture(ben, any_office.general)
    any_office.backend.will(hangs_after=0)
    await any_office.ana.use_command("/imagine", "a hare", any_office.general)
    running = await any_office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await any_office.wait_until(lambda: is_submitted(any_office, 2))
    job, before = str(running.elements[0]["value"]), read_database_state(any_office.app)

    answers = {action: await press_forged_button(ben, bens, action, job) for action in ("cancel", "delete")}
    untouched = read_database_state(any_office.app)
    any_office.backend.last_run.released.set()
    await running.wait_until(lambda one: "Again" in one.button_labels)

    assert answers == {
        action: f"Only the person who asked, or a moderator, can {verb} this."
        for action, verb in (("cancel", "stop"), ("delete", "delete"))
    }
    assert untouched["ledger"] == before["ledger"]
    assert not any_office.backend.cancelled
    assert await read_refusals(any_office.app, "slack", any_office.team.id) == [(ben.id, "button")]


async def is_submitted(office: Office, runs: int) -> bool:
    return len(office.backend.runs) == runs


# From another workspace.


@dataclass
class TwoTeams:
    """A bot in two workspaces. Eve administers Beta and is unknown in Acme, the office's workspace."""

    office: Office
    staff: SlackStaff
    beta: SlackTeamState
    hall: SlackChannelState
    eve: SlackPerson


@pytest.fixture
async def two_teams(tmp_path: Path) -> AsyncIterator[TwoTeams]:
    """Two workspaces over HTTP; a bot for many workspaces needs HTTP."""
    office = await create_office(tmp_path, transport="http", slack_bot_token=None, allowed_workspaces=())
    office.port = find_free_port()
    office.settings = office.settings.model_copy(
        update={
            "slack_client_id": office.slack.oauth.client_id,
            "slack_client_secret": SecretStr(office.slack.oauth.client_secret),
            "public_url": f"http://127.0.0.1:{office.port}",
        }
    )
    beta = office.slack.add_team("Beta", is_installed=False)
    hall, eve = beta.add_channel("hall"), beta.add_person("Eve", is_admin=True)
    await office.open()
    for admin in (office.otto, eve):
        status, page = await admin.install_app(f"http://127.0.0.1:{office.port}{INSTALL_PATH}")
        assert status == 200, page
    async with office.app.database.write() as tx:
        for team in (office.team, beta):
            await tx.people.allow_workspace("slack", team.id, office.clock.now())
    yield TwoTeams(office, SlackStaff(office), beta, hall, eve)
    await office.close()
    await office.slack.stop()
    assert office.slack.violations == []


async def test_a_moderator_changes_nothing_in_another_workspace(two_teams: TwoTeams) -> None:
    office, eve = two_teams.office, two_teams.eve
    picture = await draw_picture(office.ana, office.general)
    await office.wait_until_idle()
    job, before, ana = str(picture.elements[0]["value"]), read_database_state(office.app), office.ana

    answers = [
        await read_answer(eve, command_text, two_teams.hall)
        for command_text in (
            f"/quota grant {ana.escaped_mention} 50",
            f"/quota set {ana.escaped_mention} --day 0",
            f"/quota show {ana.escaped_mention}",
            f"/unblock {ana.escaped_mention}",
            f"/audit {ana.escaped_mention}",
            f"/jobs cancel {job}",
            f"/show {job}",
            f"/quota budget set 1 --workspace slack:{office.team.id}",
        )
    ]

    assert answers == [
        *[f"I have not seen {ana.mention} here yet. They must have used me once."] * 5,
        f"There is no job called “{job}” in this workspace. /jobs lists them.",
        f"There is no job called “{job}” that you can see here.",
        "/quota budget set is for my owner.",
    ]
    assert read_database_state(office.app) == before
    assert await read_refusals(office.app, "slack", two_teams.beta.id) == [(eve.id, "/quota budget set")]


async def test_a_moderator_s_buttons_reach_no_job_of_another_workspace(two_teams: TwoTeams) -> None:
    office, eve = two_teams.office, two_teams.eve
    picture, eves = await draw_picture(office.ana, office.general), await draw_picture(eve, two_teams.hall)
    await office.wait_until_idle()
    job, before = str(picture.elements[0]["value"]), read_database_state(office.app)

    answers = {
        await press_forged_button(eve, eves, action, job)
        for action in ("cancel", "delete", "show", "again", "report", "edit")
    }

    assert answers == {"That job is not here any more, so its buttons do nothing."}
    assert read_database_state(office.app) == before


async def test_a_moderator_is_no_moderator_as_a_guest_of_another_workspace(two_teams: TwoTeams) -> None:
    """By Slack Connect: a rank counts in the workspace that grants the rank."""
    office = two_teams.office
    guest = office.team.add_person("Gus", is_admin=True)
    await draw_picture(office.ana, office.general)
    await office.wait_until_idle()
    before = read_database_state(office.app)
    event = {"type": "app_mention", "user": guest.id, "user_team": two_teams.beta.id, "channel_type": "channel"}
    event |= {"text": f"{office.team.mention} /quota grant {office.ana.mention} 50", "channel": office.general.id}

    office.slack.event_sender.send(office.team, event | {"ts": office.slack.clock.next_timestamp()})

    assert (await guest.wait_for_private_message()).visible_text == "/quota grant is for a moderator of this workspace."
    assert read_database_state(office.app) == before


async def test_a_moderator_moderates_the_own_workspace(two_teams: TwoTeams) -> None:
    await draw_picture(two_teams.eve, two_teams.hall)

    answer = await run_command(two_teams.eve, f"/quota grant {two_teams.eve.escaped_mention} 5", two_teams.hall)

    assert answer.visible_text == "Eve got 5 credits, and has 5 extra credits now."
