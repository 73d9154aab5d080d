"""Commands: their registration from the menu, their options and suggestions, private answers, and ranks."""

import json
from pathlib import Path

import pytest

from bot.commands import MENU
from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import ChannelOption, Command, PersonOption, RoleOption, Services, command, option
from bot.platforms.discord.registration import (
    MANAGE_GUILD,
    build_application_commands,
    compare_commands,
    get_localizations,
)
from tests.emulators.discord.forms import ActionNotAvailable
from tests.fakes.backend import make_png
from tests.platforms.discord.town import Town, finish, open_town
from tests.specs.discord import validate_request

LANGUAGES = {"de", "fr", "es-ES"}


@command("shelf add", rank=Rank.MODERATOR)
class ShelfAdd(Command):
    """Put something on the shelf."""

    label: str = option("What is written on it?", default="", choices=tuple(f"label {n}" for n in range(30)))
    who: PersonOption = option("Whose is it?")  # out of order on purpose
    role: RoleOption | None = option("For which role?", default=None)
    place: ChannelOption | None = option("Where?", default=None)


@command("shelf list all")
class ShelfList(Command):
    """List the shelf."""


@command("vault", rank=Rank.OWNER)
class Vault(Command):
    """Open the vault."""


@command("start", rank=Rank.OWNER, works_anywhere=True)
class Start(Command):
    """Begin."""


# Registration.


def test_the_registered_menu_is_valid_by_discord_s_api_description() -> None:
    commands = build_application_commands([*MENU, ShelfAdd, ShelfList, Vault, Start], allow_user_installs=True)

    path = "/applications/1/commands"
    assert list(validate_request("PUT", path, body=commands, content_type="application/json")) == []
    assert len(json.dumps(commands)) < 200_000


def test_words_make_groups_and_option_kinds_make_pickers() -> None:
    (shelf,) = build_application_commands([ShelfAdd, ShelfList], allow_user_installs=False)
    add, group = shelf["options"]

    assert [(one["type"], one["name"]) for one in (add, group, group["options"][0])] == [
        *((1, "add"), (2, "list"), (1, "all"))
    ]
    assert [(one["name"], one["type"], one.get("required", False)) for one in add["options"]] == [
        *(("who", 6, True), ("label", 3, False), ("role", 8, False), ("place", 7, False))
    ]
    assert add["options"][1]["autocomplete"]
    assert shelf["contexts"] == [0, 1]


def test_commands_of_ranks_are_offered_in_servers_alone() -> None:
    (vault,) = build_application_commands([Vault], allow_user_installs=True)

    assert (vault["contexts"], vault["integration_types"]) == ([0], [0])


def test_commands_of_ranks_require_manage_server_by_default() -> None:
    commands = build_application_commands([ShelfAdd, ShelfList, Vault, Start], allow_user_installs=False)

    assert {one["name"]: one["default_member_permissions"] for one in commands} == {
        # One of the shelf commands is for all users; the bot's owner need not administer the server.
        "shelf": None,
        "start": None,
        "vault": MANAGE_GUILD,
    }


def test_comparison_ignores_fields_of_discord_and_finds_changes() -> None:
    wanted = build_application_commands([Vault, ShelfAdd], allow_user_installs=False)
    known = [{**one, "id": "1", "version": "2", "nsfw": False, "name_localizations": None} for one in wanted]

    assert compare_commands(known, wanted) == []
    assert compare_commands(known[:1], wanted) == ["shelf"]
    assert compare_commands([{**known[0], "description": "Else."}, known[1]], wanted) == ["vault"]


@pytest.mark.parametrize("form", MENU, ids=lambda form: form.declaration.name)
def test_translations_are_in_known_languages_and_fit_a_description(form: type[Command]) -> None:
    declaration = form.declaration

    texts = [get_localizations(declaration.name)]
    texts += [get_localizations(declaration.name, option.name) for option in declaration.options]

    assert {language for text in texts for language in text} <= LANGUAGES
    assert all(0 < len(text) <= 100 for translated in texts for text in translated.values())


def test_a_command_without_translations_is_registered_in_english() -> None:
    (shelf,) = build_application_commands([ShelfAdd], allow_user_installs=False)

    assert "description_localizations" not in shelf["options"][0]
    assert shelf["options"][0]["description"] == "Put something on the shelf."


async def test_an_unchanged_menu_is_registered_once(town: Town) -> None:
    await town.restart()

    assert len(town.emulator.find_requests("bulk_set_application_commands")) == 1


# Use.


async def test_models_are_suggested_with_their_price(town: Town) -> None:
    typing = await town.ana.autocomplete("imagine", "model", "flux-d", {"prompt": "x"})

    (choice,) = await typing.wait_for_choices()

    assert choice["value"] == "flux-dev"
    assert "credits" in choice["name"]


async def test_numbers_are_suggested_with_the_price_of_the_chosen_model(town: Town) -> None:
    typing = await town.ana.autocomplete("imagine", "count", "", {"prompt": "x", "model": "flux-dev"})

    choices = await typing.wait_for_choices()

    assert choices[:2] == [{"name": "1 · 25 credits", "value": 1}, {"name": "2 · 50 credits", "value": 2}]


async def test_every_option_reaches_the_job(town: Town) -> None:
    options = {"prompt": "a fox", "aspect": "16:9", "count": 2, "seed": 7, "format": "png", "model": "flux-dev"}
    interaction = await town.ana.use_command("imagine", {**options, "image": make_png(64, 64), "strength": 0.5})
    await finish(interaction)

    job = await town.app.jobs.get(await town.get_job_id(await interaction.wait_for_message()))

    assert job is not None
    assert {name: job.options[name] for name in options} == options
    assert job.options["strength"] == 0.5
    assert isinstance(job.options["image"], dict)


async def test_private_commands_answer_privately(town: Town) -> None:
    answer = await (await town.ana.use_command("usage")).wait_for_private_message()

    assert "credits left today" in answer.text
    assert town.general.messages == []


@command("poem", private=True)
class Poem(Command):
    """Say something long."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        return Reply("\n\n".join(f"Line {n} of a long poem." for n in range(200)), is_private=True)


async def test_a_long_private_answer_comes_on_several_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.commands.MENU", (*MENU, Poem))
    async with open_town(tmp_path) as town:
        interaction = await town.ana.use_command("poem")
        await town.wait_until(lambda: "Line 199" in "".join(message.text for message in interaction.private_replies))

        texts = [message.text for message in interaction.private_replies]

    assert len(texts) == 3
    assert all(len(text) <= 2000 for text in texts)
    assert [line for text in texts for line in text.split("\n") if line] == [
        f"Line {n} of a long poem." for n in range(200)
    ]


async def test_moderator_commands_are_shown_to_moderators_alone(town: Town) -> None:
    moderator = town.guild.add_member("Mia", roles=[town.guild.add_role("moderators", "manage_guild")])

    with pytest.raises(ActionNotAvailable):
        await town.ana.use_command("block", {"user": town.ben})
    interaction = await moderator.use_command("block", {"user": town.ben, "reason": "noise"})

    assert "is blocked until a moderator ends it" in (await interaction.wait_for_private_message()).text


async def test_ranks_hold_if_a_server_shows_a_command_to_all_members(town: Town) -> None:
    for shown_command in town.emulator.state.commands.values():
        shown_command["default_member_permissions"] = None

    interaction = await town.ana.use_command("block", {"user": town.ben})

    assert (await interaction.wait_for_private_message()).text == "/block is for a moderator of this workspace."


async def test_a_registered_command_that_the_menu_lacks_is_refused(town: Town) -> None:
    known = next(iter(town.emulator.state.commands.values()))
    town.emulator.state.commands[1] = {**known, "id": "1", "name": "dance", "type": 1, "options": []}

    answer = await (await town.ana.use_command("dance")).wait_for_private_message()

    assert answer.text.startswith("There is no command called “dance”.")
