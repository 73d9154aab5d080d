"""Ranks: every command above a user's rank, tried by command, button and form, is refused and audited."""

from collections.abc import Mapping
from typing import Any

import pytest

from bot.commands import MENU
from bot.core.people import Rank
from bot.dispatch.declaration import Declaration, Option, OptionKind
from bot.platforms.discord.messages import build_custom_id
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.forms import ActionNotAvailable
from tests.emulators.discord.interactions import DiscordInteractionState, DiscordModalState
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.fakes.backend import make_png
from tests.platforms.database_state import read_database_state, read_refusals
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture, read_answer, run_command
from tests.platforms.discord.town import Town

ABOVE = [form.declaration for form in MENU if form.declaration.rank > Rank.USER]
"""The commands that plain members may not use. Moderators may not use those of the owner."""
OWNERS = [one for one in ABOVE if one.rank is Rank.OWNER]


@pytest.fixture
async def staff(town: Town) -> DiscordStaff:
    """Return the staff of a town with a picture of Ana, where the admins show every command to all members."""
    await draw_picture(town.ana)
    await town.wait_until_idle()
    staff = DiscordStaff(town)
    staff.offer_everything()
    return staff


@pytest.fixture
async def eve(town: Town, staff: DiscordStaff) -> DiscordPerson:
    """Return Eve, who administers another allowed server and is a plain member here."""
    wolves = town.emulator.add_guild("Wolves", channels=("den",))
    async with town.app.database.write() as tx:
        await tx.people.allow_workspace("discord", str(wolves.id), town.clock.now())
    eve = wolves.add_member("Eve", admin=True)
    town.emulator.state.add_member(town.guild, eve.user)
    return eve


def build_refusals(town: Town, declarations: list[Declaration]) -> dict[str, str]:
    """Return the expected refusal of each command."""
    who = {
        Rank.MODERATOR: "a moderator of this workspace",
        Rank.OWNER: f"my owner, {town.emulator.owner.mention}",
    }
    return {one.name: f"/{one.name} is for {who[one.rank]}." for one in declarations}


def fill_options(declaration: Declaration, staff: DiscordStaff) -> dict[str, Any]:
    """Return values for the required options of a command."""
    return {one.name: _choose_value(one, staff) for one in declaration.options if one.is_required}


def _choose_value(option: Option, staff: DiscordStaff) -> Any:
    things = {OptionKind.PERSON: staff.town.ana, OptionKind.ROLE: staff.gold, OptionKind.CHANNEL: staff.studio}
    numbers = {OptionKind.INTEGER: 5, OptionKind.NUMBER: 5.0}
    return things.get(option.kind) or numbers.get(option.kind) or (option.choices[0] if option.choices else "sdxl")


async def run_each(who: DiscordPerson, declarations: list[Declaration], staff: DiscordStaff) -> dict[str, str]:
    """Run each command in #general and return the answers by command."""
    channel = staff.town.general
    return {
        one.name: await read_answer(who, one.name, fill_options(one, staff), channel=channel) for one in declarations
    }


async def wait_for_rate_limit(town: Town) -> None:
    """Stay below Discord's thirty private answers a minute in a channel."""
    await town.advance_time(3.0)


# By command.


@pytest.mark.parametrize("who", ["a member", "a moderator of another server", "a moderator, the owner's verbs"])
async def test_a_command_above_the_rank_is_refused_and_audited(
    town: Town, staff: DiscordStaff, eve: DiscordPerson, who: str
) -> None:
    person, above = {
        "a member": (town.ben, ABOVE),
        "a moderator of another server": (eve, ABOVE),
        "a moderator, the owner's verbs": (staff.mia, OWNERS),
    }[who]
    before = read_database_state(town.app)

    answers = await run_each(person, above, staff)

    assert answers == build_refusals(town, above)
    assert read_database_state(town.app) == before
    assert await read_refusals(town.app, "discord", town.guild.id) == [
        (str(person.id), f"/{one.name}") for one in above
    ]


async def test_discord_shows_members_no_command_above_their_rank(town: Town) -> None:
    # Discord hides a command with all its subcommands or none: `/feedback list` stands beside `/feedback give`.
    for_members = {form.declaration.name.split()[0] for form in MENU if form.declaration.rank is Rank.USER}
    for declaration in ABOVE:
        if not declaration.works_anywhere and declaration.name.split()[0] not in for_members:
            with pytest.raises(ActionNotAvailable):
                await town.ben.use_command(declaration.name, {})


async def test_a_moderator_changes_nothing_in_another_server(
    town: Town, staff: DiscordStaff, eve: DiscordPerson
) -> None:
    job = await town.get_job_id(town.general.messages[0])
    before, here = read_database_state(town.app), str(town.guild.id)

    answers = [
        await read_answer(eve, name, options)
        for name, options in (
            ("quota grant", {"user": town.ana, "credits": 50}),
            ("quota set", {"user": town.ana, "day": 0}),
            ("quota show", {"user": town.ana}),
            ("unblock", {"user": town.ana}),
            ("audit", {"user": town.ana}),
            ("jobs", {"verb": "cancel", "job": job}),
            ("show", {"job": job}),
            ("quota budget set", {"credits": 1, "workspace": f"discord:{here}"}),
        )
    ]

    nobody = f"I have not seen {town.ana.user.mention} here yet. They must have used me once."
    assert answers == [
        *[nobody] * 5,
        f"There is no job called “{job}” in this workspace. /jobs lists them.",
        f"There is no job called “{job}” that you can see here.",
        f"/quota budget set is for my owner, {town.emulator.owner.mention}.",
    ]
    assert read_database_state(town.app) == before


# By forged buttons and forms.


def forge_button(message: DiscordMessageState, action: str, job: str) -> str:
    """Write a custom id on a message's first button, as a modified client would send; return the custom id."""
    button = next(node for row in message.components for node in row.get("components", ()))
    button["custom_id"] = build_custom_id(action, job)
    return str(button["custom_id"])


async def press_forged(town: Town, who: DiscordPerson, message: DiscordMessageState, action: str, job: str) -> str:
    await wait_for_rate_limit(town)
    press = await who.press(message, custom_id=forge_button(message, action, job))
    return (await press.wait_for_private_message()).text


async def test_a_forged_button_with_a_command_name_does_nothing(
    town: Town, staff: DiscordStaff, eve: DiscordPerson
) -> None:
    picture = town.general.messages[0]
    job, before = await town.get_job_id(picture), read_database_state(town.app)

    answers = {
        who.user.name: {await press_forged(town, who, picture, declaration.name, job) for declaration in ABOVE}
        for who in (town.ben, eve)
    }

    old = "That button belongs to an older version of the bot. Please ask again."
    assert answers == {"Ben": {old}, "Eve": {old}}
    assert read_database_state(town.app) == before


async def test_forged_buttons_do_not_reach_jobs_of_others(town: Town, staff: DiscordStaff, eve: DiscordPerson) -> None:
    town.backend.will(hangs_after=0)
    running = await (await town.ana.use_command("imagine", {"prompt": "a hare"})).wait_for_message()
    await town.wait_until_running(running)
    job, before = await town.get_job_id(running), read_database_state(town.app)
    bens = await run_command(town.ben, "help")
    bens.components = [
        {"type": 1, "id": 1, "components": [{"type": 2, "id": 2, "style": 2, "label": "x", "custom_id": "x"}]}
    ]

    here = {action: await press_forged(town, town.ben, bens, action, job) for action in ("cancel", "delete")}
    elsewhere = await run_command(eve, "help")
    elsewhere.components = bens.components
    there = {
        action: await press_forged(town, eve, elsewhere, action, job)
        for action in ("cancel", "delete", "show", "again")
    }
    untouched = read_database_state(town.app)
    town.backend.last_run.released.set()
    await town.wait_until_idle()

    assert here == {
        action: f"Only the person who asked, or a moderator, can {verb} this."
        for action, verb in (("cancel", "stop"), ("delete", "delete"))
    }
    assert set(there.values()) == {"That job is not here any more, so its buttons do nothing."}
    assert untouched == before
    assert await read_refusals(town.app, "discord", town.guild.id) == [(str(town.ben.id), "button")]


def forge_form(opened: DiscordInteractionState, custom: str) -> DiscordModalState:
    """Return an open form under another custom id."""
    assert opened.modal is not None
    return DiscordModalState(opened, custom, opened.modal.title, opened.modal.components)


async def test_a_forged_form_of_a_command_is_refused_and_audited(
    town: Town, staff: DiscordStaff, eve: DiscordPerson
) -> None:
    post = await town.ana.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    before = read_database_state(town.app)
    answers: dict[str, Mapping[str, str]] = {}

    for who in (town.ben, eve):
        opening = await who.use_message_command("Remix", post)
        await opening.wait_for_modal()
        answers[who.user.name] = {
            one.name: await submit(
                town, who, forge_form(opening, build_custom_id(one.name, str(post.id), prefix="easel-ask"))
            )
            for one in ABOVE
        }

    assert answers == {"Ben": build_refusals(town, ABOVE), "Eve": build_refusals(town, ABOVE)}
    assert read_database_state(town.app) == before
    assert sorted(await read_refusals(town.app, "discord", town.guild.id)) == sorted(
        (str(who.id), f"/{one.name}") for who in (town.ben, eve) for one in ABOVE
    )


async def test_a_forged_form_of_an_unknown_button_changes_nothing(town: Town, staff: DiscordStaff) -> None:
    picture = town.general.messages[0]
    opening = await town.ben.press(picture, "Edit prompt")
    await opening.wait_for_modal()
    job, before = await town.get_job_id(picture), read_database_state(town.app)

    answers = {
        await submit(town, town.ben, forge_form(opening, build_custom_id(one.name, job, prefix="easel-form")))
        for one in ABOVE
    }

    assert answers == {"That form belongs to an older version of the bot. Please ask again."}
    assert read_database_state(town.app) == before


async def submit(town: Town, who: DiscordPerson, form: DiscordModalState) -> str:
    """Submit a form and return the text of the answer without the quoted input."""
    await wait_for_rate_limit(town)
    message = await (await who.submit(form, {"Prompt": "mine"})).wait_for_message()
    return message.text.partition("\n\nWhat you wrote:")[0]
