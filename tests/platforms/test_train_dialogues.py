"""/train on Discord and Slack: from the price to pictures of the trained model, and the answers of the makers."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.sandbox.server import SandboxThread
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.messages import DiscordMessageState
from tests.emulators.discord.people import DiscordPerson
from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.messages import SlackMessageState
from tests.fakes.backend import make_png
from tests.media.zips import COLORS, make_picture_zip
from tests.platforms.discord.dialogue import DiscordStaff, draw_picture
from tests.platforms.discord.town import Town, is_done, open_town
from tests.platforms.slack.office import create_office

QUESTION = (
    "Train `our-style` on 5 pictures, with the word FOXY? A test picture follows, at its own price. "
    "This costs about 840, at most 2,520 credits with SDXL training. Go ahead?"
)
TRAINED = "our-style is trained:"
PATIENCE_SECONDS = 30.0


def make_changes(sandbox: SandboxThread) -> dict[str, Any]:
    """Return the settings of a bot on the sandbox, with enough credits a day for a training."""
    return {
        "replicate_base_url": sandbox.url,
        "replicate_api_token": SecretStr(sandbox.token),
        "daily_credits": Decimal(5_000),
    }


async def test_a_model_is_trained_and_draws_on_discord(tmp_path: Path, sandbox: SandboxThread) -> None:
    async with open_town(tmp_path, **make_changes(sandbox)) as town:
        mia = DiscordStaff(town).mia
        question = await train(mia, file=DiscordFileUpload("foxes.zip", make_picture_zip(5)))
        assert question.text == QUESTION
        assert question.button_labels == ["Train", "No"]

        working = await (await mia.press(question, "Train")).wait_for_message(PATIENCE_SECONDS)
        trained = await wait_for_discord(town, TRAINED)

        assert trained is working
        assert not trained.is_ephemeral
        assert "Stop" in trained.versions[0].button_labels
        assert "Waiting in line" in trained.versions[0].text
        assert trained.button_labels == ["Delete"]
        tested = await wait_for_discord(town, "our-style · seed")
        assert [picture.alt_text for picture in tested.pictures] == ["a picture of FOXY (drawn by our-style)"]
        options = {"prompt": "FOXY in snow", "model": "our-style"}
        drawing = await (await town.ana.use_command("imagine", options)).wait_for_message(PATIENCE_SECONDS)
        drawn = await drawing.wait_until(is_done, timeout_seconds=PATIENCE_SECONDS)
        assert [picture.alt_text for picture in drawn.pictures] == ["FOXY in snow (drawn by our-style)"]


async def train(who: DiscordPerson, **files: DiscordFileUpload) -> DiscordMessageState:
    """Run /train with files, and return the private answer."""
    interaction = await who.use_command("train", {"name": "our-style", "trigger": "FOXY", **files})
    return await interaction.wait_for_private_message(PATIENCE_SECONDS)


async def wait_for_discord(town: Town, text: str) -> DiscordMessageState:
    """Return the message of #general that shows a text."""

    def find() -> DiscordMessageState | None:
        return next((one for one in town.general.messages if text in one.text.replace("*", "")), None)

    found: DiscordMessageState = await town.wait_until(find, PATIENCE_SECONDS)
    return found


async def test_a_model_is_trained_and_draws_on_slack(tmp_path: Path, sandbox: SandboxThread) -> None:
    office = await (await create_office(tmp_path, **make_changes(sandbox))).open()
    otto, general = office.otto, office.general

    async def wait_for(text: str) -> SlackMessageState:
        return await general.wait_for_bot_message(
            text, condition=lambda one: "Delete" in one.button_labels, timeout_seconds=PATIENCE_SECONDS
        )

    try:
        await otto.use_command("/train", "", general)
        files = [SlackFileUpload(f"{color}.png", make_png(32, 32, color)) for color in COLORS[:5]]
        values = {"name": "our-style", "trigger": "FOXY", "file": files}
        await otto.submit(await otto.wait_for_modal("Train"), values)
        question = await otto.wait_for_private_message("Go ahead?", timeout_seconds=PATIENCE_SECONDS)
        assert question.visible_text == QUESTION
        assert question.button_labels == ["Train", "No"]

        await otto.press(question, "Train")
        trained = await wait_for("is trained:")

        assert "Waiting in line" in trained.text_history[0]
        assert trained.button_labels == ["Delete"]
        tested = await wait_for("our-style · seed")
        assert tested.alt_texts == ["a picture of FOXY (drawn by our-style)"]
        await office.ana.use_command("/imagine", "FOXY in snow --model our-style", general)
        drawn = await wait_for("FOXY in snow")
        assert drawn.alt_texts == ["FOXY in snow (drawn by our-style)"]
        assert await office.open_holds() == []
        assert office.slack.violations == []
    finally:
        await office.close()
        await office.slack.stop()


async def test_makers_answer_for_their_pictures_on_discord(tmp_path: Path) -> None:
    async with open_town(tmp_path, daily_credits=Decimal(5_000)) as town:
        mia = DiscordStaff(town).mia
        makers = (mia, mia, town.ana, town.ana, town.ben)
        for person, color in zip(makers, COLORS, strict=False):
            town.backend.will(picture=make_png(colour=color))
            await draw_picture(person)

        told = await train(mia)
        asked = town.general.messages[-1]
        assert told.text.startswith("I asked Ben and Ana. Type the command again after the answers")
        assert asked.text.startswith("Mia wants to train the model `our-style` on the pictures made here.")
        assert not asked.is_ephemeral
        refused = await (await mia.press(asked, "Use mine")).wait_for_private_message()
        allowed = await (await town.ana.press(asked, "Use mine")).wait_for_private_message()
        denied = await (await town.ben.press(asked, "Not mine")).wait_for_private_message()

        assert refused.text.startswith("That question is for the makers of the pictures here")
        assert allowed.text == "Noted: your pictures here may be used."
        assert denied.text == "Noted: your pictures here stay out."
        question = await train(mia)
        assert question.text.startswith(
            "Train `our-style` on 4 pictures, with the word FOXY? Left out are those of Ben. A test picture follows"
        )
        closed = await (await mia.press(question, "No")).wait_for_message()
        assert "nothing was charged" in closed.text
        assert [run.model.task for run in town.backend.runs.values()] == ["imagine"] * 5
