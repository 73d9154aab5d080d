"""The real discord.py registers commands, responds, edits and handles presses over real sockets."""

import io

import discord
from PIL import Image

from tests.emulators.discord.client import DiscordTestClient
from tests.emulators.discord.emulator import DiscordEmulator
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.discord.state import DiscordGuildState


async def test_a_command_is_registered_deferred_and_answered(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Draw a picture")
    async def imagine(interaction: discord.Interaction, prompt: str) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content=f"Here is {prompt}.")
        await interaction.edit_original_response(content=f"Here is {prompt}, finished.")

    await client.tree.sync()
    asked = await ana.use_command("imagine", {"prompt": "a fox"})
    message = await (await asked.wait_for_message()).wait_until(lambda one: "finished" in one.text)

    assert asked.acknowledgement_seconds < 3
    assert guild.channels[0].messages == [message]
    assert [version.text for version in message.versions] == ["", "Here is a fox.", "Here is a fox, finished."]
    assert emulator.violations == []


async def test_a_message_is_received_answered_edited_and_deleted(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    async def answer(message: discord.Message) -> None:
        reply = await message.reply("One moment.", mention_author=False)
        await reply.edit(content=f"You said: {message.content}")

    client.on_text_message = answer
    said = await ana.say("hello")
    reply = await guild.channels[0].wait_for_message(lambda one: one.text == "You said: hello")

    assert reply.reference is said
    assert reply.notified_users == []
    assert [version.text for version in reply.versions] == ["One moment.", "You said: hello"]
    assert emulator.violations == []


async def test_a_button_is_pressed(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    class AgainView(discord.ui.View):
        @discord.ui.button(label="Again", custom_id="again")
        async def again(self, interaction: discord.Interaction, button: discord.ui.Button["AgainView"]) -> None:
            await interaction.response.edit_message(content="Once more.", view=None)

    client.add_view(AgainView(timeout=None))
    await client.find_text_channel(guild.channels[0]).send("Done.", view=AgainView(timeout=None))
    pressed = await ana.press(guild.channels[0].last_message, "Again")
    message = await pressed.wait_for_message()

    assert message.text == "Once more."
    assert message.button_labels == []
    assert emulator.violations == []


def gallery(text: str, *names: str) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.TextDisplay(text))
    if names:
        items = [discord.MediaGalleryItem(f"attachment://{name}", description="a fox") for name in names]
        view.add_item(discord.ui.MediaGallery(*items))
    return view


async def test_a_placeholder_becomes_a_picture_and_keeps_it(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")

    @client.tree.command(description="Draw a picture")
    async def imagine(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(view=gallery("Queued"))
        file = discord.File(io.BytesIO(picture.getvalue()), "fox.png")
        await interaction.edit_original_response(view=gallery("Done", "fox.png"), attachments=[file])
        await interaction.edit_original_response(view=gallery("Done, 3 credits", "fox.png"))

    await client.tree.sync()
    asked = await ana.use_command("imagine")
    message = await (await asked.wait_for_message()).wait_until(lambda one: one.text == "Done, 3 credits")

    assert [version.text for version in message.versions] == ["", "Queued", "Done", "Done, 3 credits"]
    assert [(one.data, one.alt_text) for one in message.pictures] == [(picture.getvalue(), "a fox")]
    assert emulator.violations == []
    assert emulator.redundant_edits == []


async def test_a_refusal_after_public_thinking_becomes_private(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Draw a picture")
    async def imagine(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.delete_original_response()
        await interaction.followup.send("You are out of credits.", ephemeral=True)

    await client.tree.sync()
    asked = await ana.use_command("imagine")
    private = await asked.wait_for_private_message()

    assert private.text == "You are out of credits."
    assert guild.channels[0].messages == []
    assert emulator.violations == []


async def test_an_answer_opens_a_thread_for_the_conversation(
    emulator: DiscordEmulator, client: DiscordTestClient, guild: DiscordGuildState, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Talk")
    async def chat(interaction: discord.Interaction, message: str) -> None:
        await interaction.response.send_message(f"You said {message}.")
        original = await interaction.original_response()
        await (await original.fetch()).create_thread(name=message)

    async def answer(message: discord.Message) -> None:
        await message.channel.send(f"Then {message.content}.")

    client.on_text_message = answer
    await client.tree.sync()
    await ana.use_command("chat", {"message": "hello"})
    thread = await emulator.wait_for(lambda: next(iter(guild.threads), None), "a thread")
    await ana.say("goodbye", thread)
    answered = await thread.wait_for_message(lambda one: one.text == "Then goodbye.")

    assert thread.name == "hello"
    assert answered.channel is thread
    assert ana.user in thread.thread_members
    assert emulator.violations == []


async def test_a_hundred_commands_at_once_are_acknowledged(
    emulator: DiscordEmulator, client: DiscordTestClient, ana: DiscordPerson
) -> None:
    @client.tree.command(description="Draw a picture")
    async def imagine(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)

    await client.tree.sync()
    asked = [await ana.use_command("imagine") for _ in range(100)]
    for one in asked:
        await one.wait_for_acknowledgement()

    assert max(one.acknowledgement_seconds for one in asked) < 3
    assert emulator.violations == []
