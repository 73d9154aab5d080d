"""People on Discord and Slack draw on the owner's ComfyUI server: previews, places, Stop, Delete, and honest words."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from tests.emulators.comfyui.catalogue import write_catalogue
from tests.emulators.comfyui.emulator import ComfyUIEmulator
from tests.emulators.comfyui.runs import ExecutionError
from tests.emulators.discord.messages import DiscordMessageState
from tests.fakes.backend import make_png
from tests.platforms.discord.town import Town, finish, open_town
from tests.platforms.slack.office import Office, create_office
from tests.storage.raw import list_jobs_with_open_holds


@pytest.fixture
async def town(tmp_path: Path, server: ComfyUIEmulator) -> AsyncIterator[Town]:
    catalogue = write_catalogue(tmp_path / "catalogue", server.url)
    async with open_town(tmp_path / "town", catalogue_path=catalogue) as town:
        yield town
        assert await list_jobs_with_open_holds(town.app.database) == []


def is_previewed(message: DiscordMessageState) -> bool:
    return [picture.filename for picture in message.pictures] == ["preview.jpg"]


async def test_a_preview_grows_into_the_picture_on_discord(town: Town, server: ComfyUIEmulator) -> None:
    server.hold(step=2)
    server.awaits_listeners, server.step_seconds = True, 0.15
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()

    await message.wait_until(is_previewed)
    (preview,) = message.pictures
    server.release()
    await message.wait_until(lambda one: "Again" in one.button_labels)

    (picture,) = message.pictures
    assert Image.open(io.BytesIO(preview.data)).size == (32, 32)
    assert (Image.open(io.BytesIO(picture.data)).size, Image.open(io.BytesIO(picture.data)).format) == ((64, 64), "PNG")
    assert [attachment.filename for attachment in message.versions[-1].attachments] == [picture.filename]
    # The whole workflow with the words stands in the server's file, and not in the posted one.
    assert Image.open(io.BytesIO(picture.data)).info.get("prompt") is None
    assert "· seed " in message.text


async def test_a_stopped_run_leaves_no_preview(town: Town, server: ComfyUIEmulator) -> None:
    server.hold(step=2)
    server.awaits_listeners, server.step_seconds = True, 0.15
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
    await message.wait_until(is_previewed)

    await town.ana.press(message, "Stop")
    await message.wait_until(lambda one: "Stop" not in one.button_labels)

    assert "Stopped" in message.text
    assert message.versions[-1].attachments == ()
    assert server.runs.running is None


async def test_an_edit_takes_a_picture_and_words(town: Town) -> None:
    interaction = await town.ana.use_command("edit", {"prompt": "in winter", "image": make_png(48, 32)})

    message = await finish(interaction)

    assert Image.open(io.BytesIO(message.pictures[0].data)).size == (48, 32)


async def test_a_workspace_may_keep_the_workflow_in_the_file(town: Town) -> None:
    await town.set("recipes", True)

    message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))

    picture = Image.open(io.BytesIO(message.pictures[0].data))
    assert json.loads(picture.info["prompt"])["6"]["inputs"]["text"] == "a fox"
    assert list(picture.info) == ["Software", "parameters", "prompt"]


async def test_delete_also_deletes_the_run_at_the_server(town: Town, server: ComfyUIEmulator) -> None:
    message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
    assert len(server.runs.history) == 1

    await town.ana.press(message, "Delete")

    await town.wait_until(lambda: not server.runs.history)


async def test_a_failure_and_an_absent_server_are_told_in_one_sentence(town: Town, server: ComfyUIEmulator) -> None:
    server.failures["KSampler"] = ExecutionError("torch.OutOfMemoryError", "Allocation on device")
    failed = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
    await server.stop()
    absent = await finish(await town.ana.use_command("imagine", {"prompt": "an owl"}))
    await server.start()

    assert "its machine is out of memory. Try a smaller picture, or fewer at once." in failed.text
    assert "The model server comfyui cannot be reached right now. Try again in a minute." in absent.text


async def test_a_restarted_server_loses_the_run_and_nobody_pays(town: Town, server: ComfyUIEmulator) -> None:
    server.hold()
    message = await (await town.ana.use_command("imagine", {"prompt": "a fox"})).wait_for_message()
    await town.wait_until(lambda: server.runs.running)

    await server.stop()
    await server.start()
    # A look that met the stopped server is followed by the next one in five seconds.
    await town.clock.hurry_until(lambda: "Stop" not in message.button_labels, 6.0)

    assert "The ComfyUI server was restarted and no longer knows this run." in message.text
    assert message.text.count("You were not charged.") == 1
    assert len(server.runs.started) == 1


@pytest.fixture
async def office(tmp_path: Path, server: ComfyUIEmulator) -> AsyncIterator[Office]:
    catalogue = write_catalogue(tmp_path / "catalogue", server.url)
    office = await (await create_office(tmp_path / "office", catalogue_path=catalogue)).open()
    yield office
    await office.close()
    await office.slack.stop()
    assert office.slack.violations == []


async def test_slack_shows_the_place_in_the_servers_queue_and_the_picture(
    office: Office, server: ComfyUIEmulator
) -> None:
    server.hold()
    server.add_stranger()
    server.add_stranger()

    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message("2 before you")
    server.release()
    done = await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)

    assert len(done.alt_texts) == 1
    assert await office.open_holds() == []
