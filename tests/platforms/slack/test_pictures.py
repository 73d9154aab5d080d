"""Pictures: progress, the result on the placeholder, and lasting buttons."""

from bot.core.limits import MAX_PRESETS
from bot.core.people import Actor
from bot.media.recipes import GivenRecipe, find_given_recipe
from bot.storage.models import Preset
from tests.emulators.slack.messages import SlackMessageState
from tests.fakes.backend import make_png
from tests.fakes.samples import NOW
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_options


async def draw_picture(office: Office, text: str = "a red fox") -> SlackMessageState:
    """Run /imagine as Ana and return the message with the finished picture."""
    await office.ana.use_command("/imagine", text, office.general)
    return await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels)


async def test_a_picture_takes_the_place_of_its_progress(any_office: Office) -> None:
    any_office.backend.will(percents=(40,))

    picture = await draw_picture(any_office, "a red fox --count 2 --seed 5")

    assert "Waiting in line" in picture.text_history[0]
    assert any_office.general.bot_messages == [picture]
    assert len(picture.files) == 2
    assert all("a red fox" in alt for alt in picture.alt_texts)
    assert "FLUX schnell · seed 5 · 32×24 · 1.5 s · 6 credits" in picture.visible_text


async def test_a_delivered_file_says_how_it_was_made(office: Office) -> None:
    picture = await draw_picture(office, "a red fox --seed 5")

    recipe = find_given_recipe(picture.files[0].content)

    assert recipe == GivenRecipe("a red fox", model="flux-schnell", seed=5)
    assert picture.files[0].size_bytes == len(picture.files[0].content)


async def test_every_button_carries_its_job(office: Office) -> None:
    picture = await draw_picture(office)

    values = {element["value"] for element in picture.elements}

    assert len(values) == 1
    assert picture.button_labels[0] == "Again"
    assert {"Upscale", "Caption", "Edit prompt", "Delete", "Report"} < set(picture.button_labels)


async def test_again_draws_another(any_office: Office) -> None:
    picture = await draw_picture(any_office)

    await any_office.ana.press(picture, "Again")

    again = await any_office.general.wait_for_bot_message(
        condition=lambda one: "Report" in one.button_labels, after=picture
    )
    assert again.files != picture.files


async def test_a_draft_is_finished_on_the_finer_model(office: Office) -> None:
    picture = await draw_picture(office)

    await office.ana.press(picture, "Finish · FLUX dev, 25 credits")
    await office.general.wait_for_bot_message("FLUX dev", after=picture, condition=lambda one: one.files)

    draft, finer = office.backend.runs.values()
    assert (finer.model.key, finer.inputs["seed"]) == ("flux-dev", draft.inputs["seed"])


async def test_vary_upscale_and_caption_work_on_the_picture(office: Office) -> None:
    picture = await draw_picture(office)

    await office.ana.press(picture, "vary:1")
    vary = await office.general.wait_for_bot_message("FLUX dev", after=picture, condition=lambda one: one.files)
    await office.ana.press(picture, "Upscale")
    await office.general.wait_for_bot_message("Real-ESRGAN", after=vary, condition=lambda one: one.files)
    await office.ana.press(picture, "Caption")

    await office.general.wait_for_bot_message("A short answer.", condition=lambda one: "Delete" in one.button_labels)


async def test_edit_opens_the_prompt_and_draws_anew(any_office: Office) -> None:
    picture = await draw_picture(any_office, "a red fox --seed 3")

    await any_office.otto.press(picture, "Edit prompt")
    form = await any_office.otto.wait_for_modal("Edit prompt")
    await any_office.otto.submit(form, {"prompt": "a blue fox"})

    await any_office.general.wait_for_bot_message("seed 3", after=picture, condition=lambda one: one.files)
    assert any_office.backend.last_run.inputs["prompt"] == "a blue fox"


async def test_a_button_form_shows_errors(office: Office) -> None:
    picture = await draw_picture(office)
    await office.ana.press(picture, "Edit prompt")
    form = await office.ana.wait_for_modal("Edit prompt")

    await office.ana.submit(form, {"prompt": " "})

    assert form.errors["prompt"].startswith("prompt is empty")


async def test_only_the_asker_and_moderators_delete(any_office: Office) -> None:
    picture = await draw_picture(any_office)
    mia = any_office.team.add_person("Mia")

    await any_office.ana.use_command("/usage", "", any_office.general)
    await mia.press(picture, "Delete")
    await mia.wait_for_private_message("Only the person who asked, or a moderator, can delete this.")
    await any_office.otto.press(picture, "Delete")

    await picture.wait_until(lambda message: message.is_deleted, "deletion")


async def test_a_deleted_picture_leaves_slack_altogether(office: Office) -> None:
    picture = await draw_picture(office)

    await office.ana.press(picture, "Delete")

    await picture.wait_until(lambda message: message.is_deleted, "deletion")
    call = await office.slack.wait_for_call("files.delete")
    assert call.args["file"] == picture.files[0].id


async def test_buttons_outlive_the_bot(office: Office) -> None:
    picture = await draw_picture(office)
    await office.close()
    await office.open()

    await office.ana.press(picture, "Again")

    await office.general.wait_for_bot_message(condition=lambda one: "Report" in one.button_labels, after=picture)


async def test_a_report_without_recipients_is_explained(open_office: OfficeOpener) -> None:
    office = await open_office()
    picture = await draw_picture(office)

    await office.otto.press(picture, "Report")

    await office.otto.wait_for_private_message("It is noted, but I could reach no moderator. Please tell one yourself.")


async def test_if_slack_refuses_files_on_a_message_a_new_message_replaces_it(office: Office) -> None:
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

    picture = await draw_picture(office)

    assert len(office.slack.find_calls("files.completeUploadExternal")) == 1
    assert len(picture.files) == 1


async def test_a_channel_without_the_bot_gets_instructions_to_invite_it(any_office: Office) -> None:
    secret = any_office.team.add_channel("secret", is_private=True, has_bot=False)

    await any_office.ana.use_command("/imagine", "a fox", secret)

    await any_office.ana.wait_for_private_message("I am not in this channel. Invite me with `/invite @easel`")
    await any_office.wait_until_idle()
    assert await any_office.balance(any_office.ana) == any_office.daily_micros
    assert any_office.backend.runs == {}


async def test_a_failed_picture_says_why_and_costs_nothing(office: Office) -> None:
    office.backend.will(error="out of memory")

    await office.ana.use_command("/imagine", "a fox", office.general)

    failed = await office.general.wait_for_bot_message(
        "out of memory", condition=lambda one: "Try again" in one.button_labels
    )
    assert "You were not charged" in failed.visible_text
    assert await office.balance(office.ana) == office.daily_micros


async def test_stop_cancels_a_running_picture(any_office: Office) -> None:
    any_office.backend.will(hangs_after=0)
    await any_office.ana.use_command("/imagine", "a fox", any_office.general)
    working = await any_office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)
    await any_office.slack.wait_for_call("chat.update")

    await any_office.ana.press(working, "Stop")

    await working.wait_for_text("Stopped")


async def test_messages_under_a_picture_edit_the_picture_and_take_the_change_back(any_office: Office) -> None:
    drawn = await draw_picture(any_office)
    any_office.backend.will(picture=make_png(colour="white"))
    thread = any_office.general.get_thread(drawn)

    await any_office.otto.say("how lovely", thread=thread)
    await any_office.otto.say("make it winter", thread=thread)
    winter = await thread.wait_for_bot_message(condition=lambda one: "Undo" in one.button_labels)
    await any_office.otto.say("undo", thread=thread)
    back = await thread.wait_for_bot_message("back to the picture before · free", after=winter)
    await back.wait_until(lambda one: one.files)
    await any_office.ana.press(winter, "Undo")
    again = await thread.wait_for_bot_message("back to the picture before", after=back, condition=lambda one: one.files)

    assert any_office.backend.last_run.inputs["prompt"] == "make it winter"
    contents = {message.files[0].content for message in (drawn, back, again)}
    assert len(contents) == 1
    assert winter.files[0].content not in contents
    assert len(any_office.backend.runs) == 2
    job = winter.elements[0]["value"]
    await any_office.ana.use_command("/show", f"{job} --ancestors", any_office.general)
    line = await any_office.ana.wait_for_private_message("2. /edit make it winter")
    assert line.alt_texts == ["2 pictures in the order of the changes, numbered"]
    assert line.button_labels == ["Show 1", "Show 2"]


async def test_show_brings_a_picture_back_for_one_person(office: Office) -> None:
    picture = await draw_picture(office)
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


async def test_a_slow_workspace_gets_all_pictures(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(round_trip_seconds=0.05))

    for n in range(3):
        await office.ana.use_command("/imagine", f"fox number {n}", office.general)

    await office.slack.changes.wait_for(
        lambda: sum("Again" in one.button_labels for one in office.general.bot_messages) == 3, "three pictures", 15
    )
    assert office.slack.rate_limited_calls == []


async def test_a_preset_gives_its_options_to_a_form_left_as_it_opened(office: Office) -> None:
    ana, general = office.ana, office.general
    await ana.use_command("/preset", "save", general)
    await ana.submit(await ana.wait_for_modal("Preset save"), {"name": "ours", "count": "2", "model": "sdxl"})
    saved = await ana.wait_for_private_message("ours")
    assert (
        saved.visible_text
        == "**ours** is saved: model `sdxl`, count 2.\nGive `ours` as the option `preset` of /imagine."
    )

    await ana.use_command("/imagine", "", general)
    form = await ana.wait_for_modal("Imagine")
    (menu,) = (block["element"] for block in form.blocks if block.get("block_id") == "preset")
    assert [one["text"]["text"] for one in menu["options"]] == ["ours · yours"]
    await ana.submit(form, {"prompt": "a fox", "preset": "ours"})

    picture = await general.wait_for_bot_message("SDXL", condition=lambda one: "Report" in one.button_labels)
    assert len(picture.files) == 2


async def test_many_presets_are_suggested_during_typing(office: Office) -> None:
    ana = office.ana
    async with office.app.database.write() as tx:
        for n in range(MAX_PRESETS):
            await tx.presets.put(Preset("slack", office.team.id, ana.id, f"night-{n}", {"count": n}, Actor(), NOW))

    await ana.use_command("/preset", "show", office.general)
    form = await ana.wait_for_modal("Preset show")
    assert [block["element"]["type"] for block in form.blocks] == ["external_select"]
    await ana.submit(form, {"name": "night-17"})

    await ana.wait_for_private_message("**night-17**, yours: count 17")


async def test_a_batch_is_asked_privately_and_shown_in_galleries(any_office: Office) -> None:
    ana, general = any_office.ana, any_office.general
    await ana.use_command("/imagine", "{a|b|c|d|e|f} fox, {dawn|dusk}", general)
    question = await ana.wait_for_private_message("Go ahead?")
    assert question.button_labels == ["Draw 12", "As one prompt", "No"]
    assert question.visible_text.startswith("12 pictures with FLUX schnell cost 36 credits. Go ahead?")

    await ana.press(question, "Draw 12")

    first = await general.wait_for_bot_message(condition=lambda one: "Delete all" in one.button_labels)
    further = await general.wait_for_bot_message("Pictures 10 to 12", condition=lambda one: one.files)
    assert [len(one.files) for one in (first, further)] == [10, 3]
    assert first.button_labels == [*(f"Show {n}" for n in range(1, 10)), "Delete all", "Report"]
    assert further.button_labels == ["Show 10", "Show 11", "Show 12"]
