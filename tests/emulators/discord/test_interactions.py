"""Interactions get one timely response of an allowed kind, and followups during the token's life."""

import discord
import pytest

from tests.emulators.discord.client import DiscordTestClient
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState


async def test_a_late_acknowledgement_is_an_unknown_interaction(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        emulator.clock.advance(3.5)
        with pytest.raises(discord.NotFound) as refused:
            await interaction.response.defer()
        await ana.say(f"code {refused.value.code}")

    await client.tree.sync()
    await ana.use_command("draw")
    await ana.member.guild.channels[0].wait_for_message(lambda one: one.text == "code 10062")

    late, silent = emulator.violations
    assert "/draw was acknowledged late, after 3.5" in late
    assert silent == "/draw was never acknowledged"


async def test_a_second_acknowledgement_is_refused(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    codes: list[int] = []

    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        interaction.response._response_type = None
        with pytest.raises(discord.HTTPException) as refused:
            await interaction.response.defer()
        codes.append(refused.value.code)
        await interaction.followup.send("done")

    await client.tree.sync()
    asked = await ana.use_command("draw")
    await asked.wait_for_message()

    assert codes == [40060]
    assert [violation.partition(": ")[2] for violation in emulator.violations] == ["/draw was acknowledged twice"]


async def test_the_first_followup_replaces_thinking_and_keeps_its_visibility(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson, guild: DiscordGuildState
) -> None:
    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.followup.send("first")
        await interaction.followup.send("second")

    await client.tree.sync()
    asked = await ana.use_command("draw")
    second = await guild.channels[0].wait_for_message(lambda one: one.text == "second")

    first = await asked.wait_for_private_message()
    assert first.text == "first"
    assert ana.private_messages == [first]
    assert guild.channels[0].messages == [second]
    assert guild.add_member("Ben").private_messages == []
    assert emulator.violations == []


async def test_a_private_followup_to_public_thinking_is_a_violation(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.followup.send("a secret", ephemeral=True)

    await client.tree.sync()
    asked = await ana.use_command("draw")
    message = await asked.wait_for_message()

    assert not message.is_ephemeral
    assert len(emulator.violations) == 1


async def test_the_token_expires_after_fifteen_minutes(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson, guild: DiscordGuildState
) -> None:
    codes: list[tuple[int, int]] = []

    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("working")
        emulator.clock.advance(15 * 60 + 1)
        with pytest.raises(discord.HTTPException) as refused:
            await interaction.edit_original_response(content="done")
        codes.append((refused.value.status, refused.value.code))
        original = guild.channels[0].last_message
        await client.find_text_channel(guild.channels[0]).get_partial_message(original.id).edit(content="done")

    await client.tree.sync()
    asked = await ana.use_command("draw")
    message = await (await asked.wait_for_message()).wait_until(lambda one: one.text == "done")

    assert codes == [(401, 50027)]
    assert message.interaction is asked
    assert emulator.violations == []


async def test_a_press_is_deferred_and_the_pressed_message_edited(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson, guild: DiscordGuildState
) -> None:
    class CancelView(discord.ui.View):
        @discord.ui.button(label="Cancel", custom_id="cancel")
        async def cancel(self, interaction: discord.Interaction, button: discord.ui.Button["CancelView"]) -> None:
            await interaction.response.defer()
            await interaction.edit_original_response(content="Cancelled.", view=None)
            await interaction.followup.send("Nothing was charged.", ephemeral=True)

    client.add_view(CancelView(timeout=None))
    await client.find_text_channel(guild.channels[0]).send("Working", view=CancelView(timeout=None))
    pressed = await ana.press(guild.channels[0].last_message, "Cancel")
    private = await pressed.wait_for_private_message()

    assert guild.channels[0].last_message.text == "Cancelled."
    assert private.text == "Nothing was charged."
    assert emulator.violations == []


async def test_a_dynamic_button_is_known_by_its_pattern(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson, guild: DiscordGuildState
) -> None:
    class AgainItem(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"again:(?P<job>[0-9]+)"):
        def __init__(self, job: int) -> None:
            super().__init__(discord.ui.Button(label="Again", custom_id=f"again:{job}"))
            self.job = job

        @classmethod
        async def from_custom_id(cls, interaction, item, match):  # type: ignore[no-untyped-def] # as discord.py has it
            return cls(int(match["job"]))

        async def callback(self, interaction: discord.Interaction) -> None:
            await interaction.response.send_message(f"Job {self.job} again.")

    client.add_dynamic_items(AgainItem)
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.Container(discord.ui.TextDisplay("A fox"), discord.ui.ActionRow(AgainItem(7))))
    await client.find_text_channel(guild.channels[0]).send(view=view)
    client._connection._view_store._synced_message_views.clear()
    pressed = await ana.press(guild.channels[0].last_message, "Again")

    assert (await pressed.wait_for_message()).text == "Job 7 again."
    assert emulator.violations == []


async def test_private_messages_are_not_in_the_channels_history(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson, guild: DiscordGuildState
) -> None:
    @client.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("psst", ephemeral=True)

    await client.tree.sync()
    private: DiscordMessageState = await (await ana.use_command("draw")).wait_for_private_message()
    with pytest.raises(discord.NotFound) as refused:
        await client.find_text_channel(guild.channels[0]).get_partial_message(private.id).edit(content="hello")

    assert refused.value.code == 10008


async def test_a_message_command_carries_the_message(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    @client.tree.context_menu(name="Caption")
    async def caption(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"You mean: {message.content}")

    await client.tree.sync()
    said = await ana.say("a fox")
    asked = await ana.use_message_command("Caption", said)

    assert (await asked.wait_for_message()).text == "You mean: a fox"
    assert emulator.violations == []
