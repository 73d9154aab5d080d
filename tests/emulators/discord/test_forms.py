"""Modals are the first response, are filled in by label, and get a response."""

from typing import Any

import discord
import pytest

from tests.emulators.discord.client import DiscordTestClient
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.forms import ActionNotAvailable, list_defaults
from tests.emulators.discord.people import DiscordPerson


class EditPrompt(discord.ui.Modal, title="Edit the prompt"):
    prompt: Any = discord.ui.Label(text="Prompt", component=discord.ui.TextInput(default="a fox", max_length=20))
    aspect: Any = discord.ui.Label(
        text="Aspect",
        component=discord.ui.Select(
            options=[discord.SelectOption(label="1:1", default=True), discord.SelectOption(label="16:9")]
        ),
    )
    picture: Any = discord.ui.Label(text="Picture", component=discord.ui.FileUpload(required=False))
    quick: Any = discord.ui.Label(text="Quick", component=discord.ui.Checkbox(default=True))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        parts = [self.prompt.component.value, *self.aspect.component.values, str(self.quick.component.value)]
        for attachment in self.picture.component.values:
            parts.append(f"{attachment.filename} {len(await attachment.read())}")
        await interaction.response.send_message(" · ".join(parts))


def offer_form(client: DiscordTestClient) -> None:
    @client.tree.command(description="Edit")
    async def edit(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(EditPrompt())


async def test_a_form_is_filled_in_and_sent(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    offer_form(client)
    await client.tree.sync()
    modal = await (await ana.use_command("edit")).wait_for_modal()
    values = {"Prompt": "an owl", "Aspect": ["16:9"], "Picture": [DiscordFileUpload("owl.txt", b"hoo")], "Quick": False}
    sent = await ana.submit(modal, values)

    assert list_defaults(modal) == {"Prompt": "a fox", "Aspect": ["1:1"], "Picture": [], "Quick": True}
    assert (await sent.wait_for_message()).text == "an owl · 16:9 · False · owl.txt 3"
    assert emulator.violations == []


async def test_a_client_refuses_invalid_values_in_a_form(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    offer_form(client)
    await client.tree.sync()
    modal = await (await ana.use_command("edit")).wait_for_modal()

    for values in ({"Prompt": "a" * 21}, {"Prompt": ""}, {"Aspect": ["3:2"]}, {"Colour": "red"}):
        with pytest.raises(ActionNotAvailable):
            await ana.submit(modal, values)


async def test_a_form_does_not_follow_a_form(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    codes: list[int] = []

    class Endless(discord.ui.Modal, title="Endless"):
        answer: Any = discord.ui.TextInput(label="Answer")

        async def on_submit(self, interaction: discord.Interaction) -> None:
            with pytest.raises(discord.HTTPException) as refused:
                await interaction.response.send_modal(Endless())
            codes.append(refused.value.code)
            await interaction.response.send_message("done")

    @client.tree.command(description="Edit")
    async def edit(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Endless())

    await client.tree.sync()
    modal = await (await ana.use_command("edit")).wait_for_modal()
    sent = await ana.submit(modal, {"Answer": "yes"})
    await sent.wait_for_message()

    assert codes == [50035]
    assert len(emulator.violations) == 1


async def test_a_form_is_no_answer_after_a_deferral(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    codes: list[int] = []

    @client.tree.command(description="Edit")
    async def edit(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        interaction.response._response_type = None
        with pytest.raises(discord.HTTPException) as refused:
            await interaction.response.send_modal(EditPrompt())
        codes.append(refused.value.code)
        await interaction.followup.send("done")

    await client.tree.sync()
    asked = await ana.use_command("edit")
    await asked.wait_for_message()

    assert codes == [40060]
    assert asked.modal is None
