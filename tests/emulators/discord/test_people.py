"""People act within their clients' rules, see only their own messages, and wait no longer than needed."""

import discord
import pytest

from tests.emulators.changes import ConditionNotMet, StateChanges
from tests.emulators.discord.client import DiscordTestClient, redirect_discord_py
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.forms import ActionNotAvailable
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState


class Board(discord.ui.View):
    @discord.ui.select(
        placeholder="Model", options=[discord.SelectOption(label="flux"), discord.SelectOption(label="sd")]
    )
    async def model(self, interaction: discord.Interaction, select: discord.ui.Select["Board"]) -> None:
        await interaction.response.send_message(f"You chose {select.values[0]}.", ephemeral=True)

    @discord.ui.select(cls=discord.ui.UserSelect, custom_id="who")
    async def who(self, interaction: discord.Interaction, select: "discord.ui.UserSelect[Board]") -> None:
        await interaction.response.send_message(f"You chose {select.values[0].name}.")

    @discord.ui.button(label="Stop", disabled=True)
    async def stop_it(self, interaction: discord.Interaction, button: discord.ui.Button["Board"]) -> None: ...


async def test_people_choose_from_menus(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    await client.find_text_channel(guild.channels[0]).send("Settings", view=Board())
    board = guild.channels[0].last_message
    chosen = await ana.choose(board, ["sd"])
    named = await ana.choose(board, [ana], custom_id="who")

    assert (await chosen.wait_for_private_message()).text == "You chose sd."
    assert (await named.wait_for_message()).text == "You chose Ana."
    with pytest.raises(ActionNotAvailable):
        await ana.choose(board, ["midjourney"])
    assert emulator.violations == []


async def test_missing_or_invisible_buttons_cannot_be_pressed(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    await client.find_text_channel(guild.channels[0]).send("Settings", view=Board())
    board = guild.channels[0].last_message
    private = await (await ana.choose(board, ["sd"])).wait_for_private_message()

    for person, message, label in (
        (ana, board, "Stop"),
        (ana, board, "Again"),
        (guild.add_member("Bo"), private, "Again"),
    ):
        with pytest.raises(ActionNotAvailable):
            await person.press(message, label)
    with pytest.raises(ActionNotAvailable):
        await emulator.add_person("Stranger").press(board, "Again")


async def test_a_user_command_carries_the_user(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    @client.tree.context_menu(name="Usage")
    async def usage(interaction: discord.Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(f"{member.name} spent nothing.", ephemeral=True)

    await client.tree.sync()
    asked = await ana.use_user_command("Usage", ana)

    assert (await asked.wait_for_private_message()).text == "Ana spent nothing."


async def test_a_command_in_a_direct_message_has_context_and_locale(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState
) -> None:
    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        assert interaction.context.dm_channel
        await interaction.response.send_message(f"{interaction.locale} {interaction.filesize_limit}")

    await client.tree.sync()
    bo = guild.add_member("Bo", locale="de")
    asked = await bo.use_command("draw", channel=bo.direct_channel)

    assert (await asked.wait_for_message()).text == "de 10485760"
    assert bo.direct_channel.messages == [await asked.wait_for_message()]


async def test_people_post_edit_delete_and_react(
    emulator: DiscordEmulator, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    intents = discord.Intents(guilds=True, messages=True, message_content=True, reactions=True)
    with redirect_discord_py(emulator):
        async with DiscordTestClient(intents) as client:
            await client.connect_to(emulator)
            said = await ana.say("look", files=[DiscordFileUpload("fox.png", b"png")])
            await client.wait_for("message", timeout=5)
            bytes_heard = await client.received_messages[0].attachments[0].read()
            await ana.react(said, "⭐")
            reaction = await client.wait_for("raw_reaction_add", timeout=5)
            await ana.edit(said, "look here")
            edited = await client.wait_for("raw_message_edit", timeout=5)
            await ana.delete(said)
            deleted = await client.wait_for("raw_message_delete", timeout=5)

    assert bytes_heard == b"png"
    assert reaction.emoji.name == "⭐"
    assert edited.data["content"] == "look here"
    assert deleted.message_id == said.id
    assert guild.channels[0].messages == []


async def test_an_invited_bot_receives_the_guild(emulator: DiscordEmulator, client: DiscordTestClient) -> None:
    owls = emulator.add_guild("Owls", has_bot=False)
    emulator.invite_bot(owls)
    joined = await client.wait_for("guild_join", timeout=5)
    emulator.kick_bot(owls)
    left = await client.wait_for("guild_remove", timeout=5)

    assert joined.id == left.id == owls.id


async def test_an_interaction_without_a_connected_client_is_no_violation(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None: ...

    await client.tree.sync()
    heard = await ana.use_command("draw")
    await client.close()
    await emulator.wait_for(lambda: not emulator.gateway.connected_sessions, "the client to be gone")
    unheard = await ana.use_command("draw")
    emulator.clock.advance(4)

    assert heard.is_late
    assert unheard.is_late
    assert emulator.violations == ["/draw was never acknowledged"]


async def test_a_shorter_deadline_is_a_faster_platform(guild: DiscordGuildState) -> None:
    async with DiscordEmulator(speed=60) as quick:
        ana = quick.add_guild("Foxes").add_member("Ana")
        quick.state.commands[1] = {
            "id": "1",
            "name": "draw",
            "type": 1,
            "contexts": None,
            "integration_types": [0],
            "nsfw": False,
            "default_member_permissions": None,
            "dm_permission": True,
        }
        asked = await ana.use_command("draw")
        quick.clock.advance(0.06)

        assert asked.is_late
        assert not asked.is_expired
        quick.clock.advance(15)
        assert asked.is_expired


async def test_a_wait_fails_with_its_description() -> None:
    with pytest.raises(ConditionNotMet, match="waited 0.01 s for a fox"):
        await StateChanges().wait_for(lambda: None, "a fox", timeout_seconds=0.01)
