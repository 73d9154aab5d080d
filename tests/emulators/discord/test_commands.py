"""Registered commands obey Discord's rules and are offered only in their contexts."""

from typing import Any

import discord
import pytest
from discord import app_commands

from tests.emulators.discord.client import DiscordTestClient
from tests.emulators.discord.command_rules import validate_command_set
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.forms import ActionNotAvailable
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState, Json


def command(name: str = "fox", **parts: Any) -> Json:
    return {"name": name, "description": "A fox", **parts}


def option(name: str = "size", **parts: Any) -> Json:
    return {"name": name, "description": "How large", "type": 3, **parts}


@pytest.mark.parametrize(
    ("commands", "sentence"),
    [
        ([command("Fox")], "'Fox' is no name"),
        ([command("a fox")], "'a fox' is no name"),
        ([command(), command()], "fox appears 2 times"),
        ([command(f"fox{number}") for number in range(101)], "101 slash commands, at most 100"),
        ([{"name": f"Fox {number}", "type": 3} for number in range(16)], "16 message commands, at most 15"),
        ([command(options=[option("a"), option("b", required=True)])], "required options stand first"),
        ([command(options=[option(), option()])], "size appears 2 times"),
        ([command(options=[option(), option("sub", type=1)])], "mixed"),
        ([command(options=[option(autocomplete=True, choices=[{"name": "a", "value": "a"}])])], "exclude each other"),
        ([command(name_localizations={"de": "Fuchs"})], "'Fuchs' is no name"),
        ([command(description_localizations={"tlh": "targh"})], "tlh is no locale"),
        ([{"name": "Caption", "type": 3, "description": "no"}], "a context menu has none"),
        ([command(options=[option(f"o{n}", description="a" * 99) for n in range(25)] * 4)], "at most 8000 allowed"),
    ],
)
def test_an_invalid_command_set_is_refused(commands: list[Json], sentence: str) -> None:
    faults = [str(fault) for fault in validate_command_set(commands)]

    assert any(sentence in fault for fault in faults), faults


def test_a_valid_command_set_is_accepted() -> None:
    subcommands = [option("list", type=1), option("all", type=2, options=[option("stop", type=1, options=[option()])])]
    commands = [command(options=subcommands), {"name": "Make a Caption", "type": 3}, command("猫")]

    assert list(validate_command_set(commands)) == []


async def test_a_synchronised_command_keeps_its_id(emulator: DiscordEmulator, client: DiscordTestClient) -> None:
    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None: ...

    (first,) = await client.tree.sync()
    client.tree.get_command("draw").description = "Draw a picture"  # type: ignore[union-attr] # it is there
    (second,) = await client.tree.sync()

    assert first.id == second.id
    assert [one.description for one in await client.tree.fetch_commands()] == ["Draw a picture"]
    assert emulator.violations == []


async def test_options_are_filled_in_and_checked_as_a_client_does(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Draw")
    @app_commands.choices(aspect=[app_commands.Choice(name="square", value="1:1")])
    async def draw(
        interaction: discord.Interaction,
        prompt: app_commands.Range[str, 1, 10],
        count: app_commands.Range[int, 1, 4] = 1,
        aspect: str = "16:9",
        image: discord.Attachment | None = None,
        friend: discord.Member | None = None,
    ) -> None:
        size = len(await image.read()) if image else 0
        name = friend.name if friend else "nobody"
        await interaction.response.send_message(f"{prompt} {count} {aspect} {size} {name}")

    await client.tree.sync()
    picture = DiscordFileUpload("fox.png", b"png")
    given = {"prompt": "a fox", "count": 2, "aspect": "1:1", "image": picture, "friend": ana}
    asked = await ana.use_command("draw", given)

    assert (await asked.wait_for_message()).text == "a fox 2 1:1 3 Ana"
    for wrong in ({}, {"prompt": "a" * 11}, {"prompt": "a", "count": 5}, {"prompt": "a", "aspect": "3:2"}, {"x": 1}):
        with pytest.raises(ActionNotAvailable):
            await ana.use_command("draw", wrong)
    assert emulator.violations == []


async def test_subcommands_and_autocompletion_work(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    jobs = app_commands.Group(name="jobs", description="Jobs")

    @jobs.command(description="Show one")
    async def show(interaction: discord.Interaction, job: str) -> None:
        await interaction.response.send_message(f"job {job}")

    @show.autocomplete("job")
    async def complete(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"Job {typed}", value=typed)]

    client.tree.add_command(jobs)
    await client.tree.sync()
    completion = await ana.autocomplete("jobs show", "job", "7")
    asked = await ana.use_command("jobs show", {"job": "7"})

    assert await completion.wait_for_choices() == [{"name": "Job 7", "value": "7"}]
    assert (await asked.wait_for_message()).text == "job 7"
    assert emulator.violations == []


async def test_too_many_choices_are_refused(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    done: list[int] = []

    @client.tree.command(description="Show one")
    async def show(interaction: discord.Interaction, job: str) -> None: ...

    @show.autocomplete("job")
    async def complete(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        choices = [app_commands.Choice(name=str(number), value=str(number)) for number in range(26)]
        with pytest.raises(discord.HTTPException) as refused:
            await interaction.response.autocomplete(choices)
        done.append(refused.value.code)
        await interaction.response.autocomplete(choices[:25])
        return []

    await client.tree.sync()
    completion = await ana.autocomplete("show", "job")

    assert len(await completion.wait_for_choices()) == 25
    assert done == [50035]
    assert len(emulator.violations) == 1


async def test_a_command_is_offered_only_with_permission(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Grant")
    @app_commands.default_permissions(manage_guild=True)
    @app_commands.guild_only()
    async def grant(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("granted", ephemeral=True)

    await client.tree.sync()
    asked = await guild.add_member("Bo", admin=True).use_command("grant")

    assert (await asked.wait_for_private_message()).text == "granted"
    with pytest.raises(ActionNotAvailable):
        await ana.use_command("grant")
    with pytest.raises(ActionNotAvailable):
        await ana.use_command("grant", channel=ana.direct_channel)


async def test_a_user_install_works_in_guilds_without_the_bot(
    emulator: DiscordEmulator, client: DiscordTestClient
) -> None:
    elsewhere = emulator.add_guild("Elsewhere", has_bot=False)
    bo = elsewhere.add_member("Bo")
    codes: list[int] = []

    @client.tree.command(description="Draw")
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def draw(interaction: discord.Interaction) -> None:
        assert interaction.is_user_integration()
        await interaction.response.defer()
        with pytest.raises(discord.Forbidden) as refused:
            await client.get_partial_messageable(interaction.channel_id or 0).send("hello")
        codes.append(refused.value.code)
        await interaction.edit_original_response(content="done")

    await client.tree.sync()
    with pytest.raises(ActionNotAvailable):
        await bo.use_command("draw")
    bo.install_app()
    asked = await bo.use_command("draw")
    in_group = await bo.use_command("draw", channel=emulator.add_group(bo, emulator.add_person("Cy")))

    assert (await asked.wait_for_message()).text == (await in_group.wait_for_message()).text == "done"
    assert [asked.context, in_group.context] == [0, 2]
    assert codes == [50001, 50001]
    assert emulator.violations == []
