"""The real discord.py registers commands, answers, edits and is pressed, over real sockets."""

import discord

from tests.emulators.discord.client import LocalClient
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import Person
from tests.emulators.discord.world import Guild


async def test_a_command_is_registered_deferred_and_answered(
    emulator: DiscordEmulator, client: LocalClient, guild: Guild, ana: Person
) -> None:
    @client.tree.command(description="Draw a picture")
    async def imagine(interaction: discord.Interaction, prompt: str) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content=f"Here is {prompt}.")
        await interaction.edit_original_response(content=f"Here is {prompt}, finished.")

    await client.tree.sync()
    asked = await ana.command("imagine", {"prompt": "a fox"})
    message = await (await asked.message()).becomes(lambda one: "finished" in one.text)

    assert asked.acknowledged_after < 1
    assert guild.channels[0].messages == [message]
    assert [version.text for version in message.versions] == ["", "Here is a fox.", "Here is a fox, finished."]
    assert emulator.violations == []


async def test_a_message_is_heard_answered_edited_and_deleted(
    emulator: DiscordEmulator, client: LocalClient, guild: Guild, ana: Person
) -> None:
    async def answer(message: discord.Message) -> None:
        reply = await message.reply("One moment.", mention_author=False)
        await reply.edit(content=f"You said: {message.content}")

    client.on_words = answer
    said = await ana.say("hello")
    reply = await guild.channels[0].shows(lambda one: one.text == "You said: hello")

    assert reply.reference is said
    assert reply.pings == []
    assert [version.text for version in reply.versions] == ["One moment.", "You said: hello"]
    assert emulator.violations == []


async def test_a_button_is_pressed(emulator: DiscordEmulator, client: LocalClient, guild: Guild, ana: Person) -> None:
    class Again(discord.ui.View):
        @discord.ui.button(label="Again", custom_id="again")
        async def again(self, interaction: discord.Interaction, button: discord.ui.Button["Again"]) -> None:
            await interaction.response.edit_message(content="Once more.", view=None)

    client.add_view(Again(timeout=None))
    await client.text_channel(guild.channels[0]).send("Done.", view=Again(timeout=None))
    pressed = await ana.press(guild.channels[0].last_message, "Again")
    message = await pressed.message()

    assert message.text == "Once more."
    assert message.labels == []
    assert emulator.violations == []
