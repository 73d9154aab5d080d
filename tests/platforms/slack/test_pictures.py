"""Pictures: progress, the result on the placeholder itself, its buttons, and what they do for ever."""

from tests.emulators.slack.messages import SlackMessageState
from tests.fakes.backend import make_png
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_options


async def drawn(office: Office, text: str = "a red fox") -> SlackMessageState:
    """A finished picture of Ana's."""
    await office.ana.use_command("/imagine", text, office.general)
    return await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels)


async def test_a_picture_takes_the_place_of_its_progress(either: Office) -> None:
    either.backend.will(percents=(40,))

    picture = await drawn(either, "a red fox --count 2 --seed 5")

    assert "Waiting in line" in picture.text_history[0]
    assert either.general.bot_messages == [picture]
    assert len(picture.files) == 2
    assert all("a red fox" in alt for alt in picture.alt_texts)
    assert "FLUX schnell · seed 5 · 32×24 · 1.5 s · 6 credits" in picture.visible_text


async def test_every_button_carries_its_job(office: Office) -> None:
    picture = await drawn(office)

    values = {element["value"] for element in picture.elements}

    assert len(values) == 1
    assert picture.button_labels[0] == "Again"
    assert {"Upscale", "Caption", "Edit prompt", "Delete", "Report"} < set(picture.button_labels)


async def test_again_draws_another(either: Office) -> None:
    picture = await drawn(either)

    await either.ana.press(picture, "Again")

    again = await either.general.wait_for_bot_message(
        condition=lambda one: "Report" in one.button_labels, after=picture
    )
    assert again.files != picture.files


async def test_vary_upscale_and_caption_work_on_the_picture(office: Office) -> None:
    picture = await drawn(office)

    await office.ana.press(picture, "vary:1")
    vary = await office.general.wait_for_bot_message("FLUX dev", after=picture, condition=lambda one: one.files)
    await office.ana.press(picture, "Upscale")
    await office.general.wait_for_bot_message("Real-ESRGAN", after=vary, condition=lambda one: one.files)
    await office.ana.press(picture, "Caption")

    await office.general.wait_for_bot_message("A short answer.", condition=lambda one: "Delete" in one.button_labels)


async def test_edit_opens_the_prompt_and_draws_anew(either: Office) -> None:
    picture = await drawn(either, "a red fox --seed 3")

    await either.otto.press(picture, "Edit prompt")
    form = await either.otto.wait_for_modal("Edit prompt")
    await either.otto.submit(form, {"prompt": "a blue fox"})

    await either.general.wait_for_bot_message("seed 3", after=picture, condition=lambda one: one.files)
    assert either.backend.last_run.inputs["prompt"] == "a blue fox"


async def test_a_form_of_a_button_says_what_is_wrong(office: Office) -> None:
    picture = await drawn(office)
    await office.ana.press(picture, "Edit prompt")
    form = await office.ana.wait_for_modal("Edit prompt")

    await office.ana.submit(form, {"prompt": " "})

    assert form.errors["prompt"].startswith("prompt is empty")


async def test_only_the_asker_and_moderators_delete(either: Office) -> None:
    picture = await drawn(either)
    mia = either.team.add_person("Mia")

    await either.ana.use_command("/usage", "", either.general)
    await mia.press(picture, "Delete")
    await mia.wait_for_private_message("Only the person who asked, or a moderator, can delete this.")
    await either.otto.press(picture, "Delete")

    await picture.wait_until(lambda message: message.is_deleted, "deletion")


async def test_a_deleted_picture_leaves_slack_altogether(office: Office) -> None:
    picture = await drawn(office)

    await office.ana.press(picture, "Delete")

    await picture.wait_until(lambda message: message.is_deleted, "deletion")
    call = await office.slack.wait_for_call("files.delete")
    assert call.args["file"] == picture.files[0].id


async def test_buttons_outlive_the_bot(office: Office) -> None:
    picture = await drawn(office)
    await office.close()
    await office.open()

    await office.ana.press(picture, "Again")

    await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels, after=picture)


async def test_a_report_that_reaches_nobody_says_so(opened: OfficeOpener) -> None:
    office = await opened()
    picture = await drawn(office)

    await office.otto.press(picture, "Report")

    await office.otto.wait_for_private_message("It is noted, but I could reach no moderator. Please tell one yourself.")


async def test_where_slack_puts_no_file_on_a_message_another_takes_its_place(office: Office) -> None:
    office.slack.faults.respond("chat.update", "invalid_arguments", times=3)

    await office.ana.use_command("/imagine", "a fox", office.general)

    picture = await office.general.wait_for_bot_message(condition=lambda one: one.files)
    await office.wait_until_idle()
    assert office.general.bot_messages == [picture]
    assert "Again" in picture.button_labels
    await office.ana.press(picture, "Again")
    await office.general.wait_for_bot_message(condition=lambda one: one.files, after=picture)


async def test_a_picture_is_uploaded_once_whatever_happens(office: Office) -> None:
    office.slack.faults.fail("chat.update", status=500, times=2)

    picture = await drawn(office)

    assert len(office.slack.find_calls("files.completeUploadExternal")) == 1
    assert len(picture.files) == 1


async def test_in_a_channel_without_the_bot_it_says_how_to_invite_it(either: Office) -> None:
    secret = either.team.add_channel("secret", is_private=True, has_bot=False)

    await either.ana.use_command("/imagine", "a fox", secret)

    await either.ana.wait_for_private_message("I am not in this channel. Invite me with `/invite @easel`")
    await either.wait_until_idle()
    assert await either.balance(either.ana) == either.daily_micros
    assert either.backend.runs == {}


async def test_a_failed_picture_says_why_and_costs_nothing(office: Office) -> None:
    office.backend.will(error="out of memory")

    await office.ana.use_command("/imagine", "a fox", office.general)

    failed = await office.general.wait_for_bot_message(
        "out of memory", condition=lambda one: "Try again" in one.button_labels
    )
    assert "You were not charged" in failed.visible_text
    assert await office.balance(office.ana) == office.daily_micros


async def test_stop_ends_a_picture_on_its_way(either: Office) -> None:
    either.backend.will(hangs_after=0)
    await either.ana.use_command("/imagine", "a fox", either.general)
    working = await either.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await either.slack.wait_for_call("chat.update")

    await either.ana.press(working, "Stop")

    await working.wait_for_text("Stopped")


async def test_show_brings_a_picture_back_for_one_person(office: Office) -> None:
    picture = await drawn(office)
    job = picture.elements[0]["value"]

    await office.ana.use_command("/show", job, office.general)

    shown = await office.ana.wait_for_private_message("FLUX schnell")
    assert shown.alt_texts
    assert "Again" in shown.button_labels
    await office.ana.press(shown, "Again")
    await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels, after=picture)


async def test_a_picture_a_person_posted_is_upscaled_by_mention(office: Office) -> None:
    posted = await office.ana.say(f"{office.team.mention} upscale", office.general, files=[make_png()])

    answer = await office.general.get_thread(posted).wait_for_bot_message(condition=lambda one: one.files)

    assert "Real-ESRGAN" in answer.visible_text


async def test_a_slow_workspace_gets_all_pictures(opened: OfficeOpener) -> None:
    office = await opened(options=create_options(round_trip_seconds=0.05))

    for n in range(3):
        await office.ana.use_command("/imagine", f"fox number {n}", office.general)

    await office.slack.changes.wait_for(
        lambda: sum("Again" in one.button_labels for one in office.general.bot_messages) == 3, "three pictures", 15
    )
    assert office.slack.rate_limited_calls == []
