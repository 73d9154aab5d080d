"""Every verb above somebody's rank, tried on Discord in every way there is: refused in a sentence, and on record."""

from collections.abc import Mapping
from typing import Any

import pytest

from bot.commands import MENU
from bot.core.people import Rank
from bot.dispatch.declaration import Declaration, Option, OptionKind
from bot.platforms.discord.messages import build_custom_id
from tests.emulators.discord.forms import ActionNotAvailable
from tests.emulators.discord.interactions import DiscordInteractionState, DiscordModalState
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.posting import DiscordFileUpload
from tests.fakes.backend import make_png
from tests.platforms.database_state import read_database_state, read_refusals
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture, read_answer, run_command
from tests.platforms.discord.town import Town

ABOVE = [form.declaration for form in MENU if form.declaration.rank > Rank.USER]
"""Every verb that a plain member may not use, and every verb of the owner's that a moderator may not use."""
OWNERS = [one for one in ABOVE if one.rank is Rank.OWNER]


@pytest.fixture
async def staff(town: Town) -> DiscordStaff:
    """Where Ana drew something, and the server's admins show every command to everybody."""
    await draw_picture(town.ana)
    await town.wait_until_idle()
    staff = DiscordStaff(town)
    staff.offer_everything()
    return staff


@pytest.fixture
async def eve(town: Town, staff: DiscordStaff) -> DiscordPerson:
    """She administers another server that may use the bot; here she is a member like others."""
    wolves = town.emulator.add_guild("Wolves", channels=("den",))
    async with town.app.database.write() as tx:
        await tx.people.allow_workspace("discord", str(wolves.id), town.clock.now())
    eve = wolves.add_member("Eve", admin=True)
    town.emulator.state.add_member(town.guild, eve.user)
    return eve


def sentences(town: Town, declarations: list[Declaration]) -> dict[str, str]:
    """What each of them says to whoever may not."""
    who = {
        Rank.MODERATOR: "a moderator of this workspace",
        Rank.OWNER: f"my owner, {town.emulator.owner.mention}",
    }
    return {one.name: f"/{one.name} is for {who[one.rank]}." for one in declarations}


def filled(declaration: Declaration, staff: DiscordStaff) -> dict[str, Any]:
    """Everything that the command needs, as somebody would pick it."""
    return {one.name: _picked(one, staff) for one in declaration.options if one.is_required}


def _picked(option: Option, staff: DiscordStaff) -> Any:
    things = {OptionKind.PERSON: staff.town.ana, OptionKind.ROLE: staff.gold, OptionKind.CHANNEL: staff.studio}
    numbers = {OptionKind.INTEGER: 5, OptionKind.NUMBER: 5.0}
    return things.get(option.kind) or numbers.get(option.kind) or (option.choices[0] if option.choices else "sdxl")


async def typed(who: DiscordPerson, declarations: list[Declaration], staff: DiscordStaff) -> dict[str, str]:
    """What is answered to each command, typed in #general of this server."""
    channel = staff.town.general
    return {one.name: await read_answer(who, one.name, filled(one, staff), channel=channel) for one in declarations}


async def pace(town: Town) -> None:
    """Of further private answers in a channel Discord takes thirty a minute."""
    await town.advance_time(3.0)


# By command.


@pytest.mark.parametrize("who", ["a member", "a moderator of another server", "a moderator, the owner's verbs"])
async def test_a_verb_above_the_rank_is_refused_and_on_record(
    town: Town, staff: DiscordStaff, eve: DiscordPerson, who: str
) -> None:
    person, above = {
        "a member": (town.ben, ABOVE),
        "a moderator of another server": (eve, ABOVE),
        "a moderator, the owner's verbs": (staff.mia, OWNERS),
    }[who]
    before = read_database_state(town.app)

    answers = await typed(person, above, staff)

    assert answers == sentences(town, above)
    assert read_database_state(town.app) == before
    assert await read_refusals(town.app, "discord", town.guild.id) == [
        (str(person.id), f"/{one.name}") for one in above
    ]


async def test_discord_itself_offers_members_nothing_that_is_for_moderators(town: Town) -> None:
    for declaration in ABOVE:
        if not declaration.works_anywhere:
            with pytest.raises(ActionNotAvailable):
                await town.ben.use_command(declaration.name, {})


async def test_a_moderator_moves_nothing_of_another_server_from_their_own(
    town: Town, staff: DiscordStaff, eve: DiscordPerson
) -> None:
    job = await town.get_job_id(town.general.messages[0])
    before, here = read_database_state(town.app), str(town.guild.id)

    reached = [
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
    assert reached == [
        *[nobody] * 5,
        f"There is no job called “{job}” in this workspace. /jobs lists them.",
        f"There is no job called “{job}” that you can see here.",
        f"/quota budget set is for my owner, {town.emulator.owner.mention}.",
    ]
    assert read_database_state(town.app) == before


# By button and by form, forged.


def forge(message: DiscordMessageState, action: str, job: str) -> str:
    """Write another custom id on a message's first button, as a modified client would send it."""
    button = next(node for row in message.components for node in row.get("components", ()))
    button["custom_id"] = build_custom_id(action, job)
    return str(button["custom_id"])


async def pressed(town: Town, who: DiscordPerson, message: DiscordMessageState, action: str, job: str) -> str:
    await pace(town)
    press = await who.press(message, custom_id=forge(message, action, job))
    return (await press.wait_for_private_message()).text


async def test_a_button_that_names_a_verb_does_nothing(town: Town, staff: DiscordStaff, eve: DiscordPerson) -> None:
    picture = town.general.messages[0]
    job, before = await town.get_job_id(picture), read_database_state(town.app)

    told_each = {
        who.user.name: {await pressed(town, who, picture, declaration.name, job) for declaration in ABOVE}
        for who in (town.ben, eve)
    }

    old = "That button belongs to an older version of the bot. Please ask again."
    assert told_each == {"Ben": {old}, "Eve": {old}}
    assert read_database_state(town.app) == before


async def test_somebody_else_s_job_is_not_stopped_deleted_or_shown_by_its_id(
    town: Town, staff: DiscordStaff, eve: DiscordPerson
) -> None:
    town.backend.will(hangs_after=0)
    running = await (await town.ana.use_command("imagine", {"prompt": "a hare"})).wait_for_message()
    await town.wait_until_running(running)
    job, before = await town.get_job_id(running), read_database_state(town.app)
    bens = await run_command(town.ben, "help")
    bens.components = [
        {"type": 1, "id": 1, "components": [{"type": 2, "id": 2, "style": 2, "label": "x", "custom_id": "x"}]}
    ]

    here = {action: await pressed(town, town.ben, bens, action, job) for action in ("cancel", "delete")}
    elsewhere = await run_command(eve, "help")
    elsewhere.components = bens.components
    there = {
        action: await pressed(town, eve, elsewhere, action, job) for action in ("cancel", "delete", "show", "again")
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


def with_id(opened: DiscordInteractionState, custom: str) -> DiscordModalState:
    """A form that is really open, sent under another custom id."""
    assert opened.modal is not None
    return DiscordModalState(opened, custom, opened.modal.title, opened.modal.components)


async def test_a_form_that_names_a_verb_is_refused_and_on_record(
    town: Town, staff: DiscordStaff, eve: DiscordPerson
) -> None:
    posted = await town.ana.say("look", town.general, files=[DiscordFileUpload("hill.png", make_png())])
    before = read_database_state(town.app)
    told_each: dict[str, Mapping[str, str]] = {}

    for who in (town.ben, eve):
        opened = await who.use_message_command("Remix", posted)
        await opened.wait_for_modal()
        told_each[who.user.name] = {
            one.name: await sent(
                town, who, with_id(opened, build_custom_id(one.name, str(posted.id), prefix="easel-ask"))
            )
            for one in ABOVE
        }

    assert told_each == {"Ben": sentences(town, ABOVE), "Eve": sentences(town, ABOVE)}
    assert read_database_state(town.app) == before
    assert sorted(await read_refusals(town.app, "discord", town.guild.id)) == sorted(
        (str(who.id), f"/{one.name}") for who in (town.ben, eve) for one in ABOVE
    )


async def test_a_form_of_a_button_that_is_none_changes_nothing(town: Town, staff: DiscordStaff) -> None:
    picture = town.general.messages[0]
    opened = await town.ben.press(picture, "Edit prompt")
    await opened.wait_for_modal()
    job, before = await town.get_job_id(picture), read_database_state(town.app)

    told_each = {
        await sent(town, town.ben, with_id(opened, build_custom_id(one.name, job, prefix="easel-form")))
        for one in ABOVE
    }

    assert told_each == {"That form belongs to an older version of the bot. Please ask again."}
    assert read_database_state(town.app) == before


async def sent(town: Town, who: DiscordPerson, form: DiscordModalState) -> str:
    """What is answered to a form, without what was written into it, which is given back."""
    await pace(town)
    message = await (await who.submit(form, {"Prompt": "mine"})).wait_for_message()
    return message.text.partition("\n\nWhat you wrote:")[0]
