"""Sounds and videos on Slack: files of the message, with Slack's own players."""

import asyncio
from pathlib import Path

import pytest

from tests.media.catalogue import write_recording_catalogue
from tests.media.recordings import make_wav, make_webm
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office


@pytest.fixture
async def office(open_office: OfficeOpener, tmp_path: Path) -> Office:
    catalogue = await asyncio.to_thread(write_recording_catalogue, tmp_path / "models.toml")
    return await open_office(catalogue_path=catalogue)


async def test_a_sound_takes_the_place_of_its_progress(office: Office) -> None:
    office.backend.will(picture=make_wav(2))

    await office.ana.use_command("/imagine", "a sea shanty", office.general)

    message = await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels)
    [file] = message.files
    assert office.general.bot_messages == [message]
    assert (file.name, file.content) == ("a-sea-shanty.wav", make_wav(2))
    assert file.alt_text == ""
    assert "tune · 0:02" in message.visible_text
    assert message.button_labels == ["Again", "Delete", "Report"]


async def test_a_video_that_slack_does_not_attach_comes_in_a_new_message(office: Office) -> None:
    office.backend.will(picture=make_webm(1))
    office.slack.faults.respond("chat.update", "invalid_arguments", times=3)

    await office.ana.use_command("/imagine", "waves --model film", office.general)

    message = await office.general.wait_for_bot_message(condition=lambda one: one.files)
    await office.wait_until_idle()
    assert office.general.bot_messages == [message]
    assert message.files[0].content == make_webm(1)


async def test_a_shown_sound_comes_to_direct_messages(office: Office) -> None:
    office.backend.will(picture=make_wav(1))
    await office.ana.use_command("/imagine", "a sea shanty", office.general)
    message = await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)

    await office.ana.use_command("/show", message.elements[0]["value"], office.general)

    await office.ana.wait_for_private_message("The sound is in our direct messages.")
    shown = await office.ana.direct_channel.wait_for_bot_message(condition=lambda one: one.files)
    assert shown.files[0].content == make_wav(1)
