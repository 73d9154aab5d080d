"""Slash commands, the forms that open where something is missing, and shortcuts."""

from pathlib import Path

from bot.commands import MENU
from bot.platforms.slack.manifest import create_manifest
from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.manifest import build_options
from tests.fakes.backend import make_png
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_options


async def test_a_command_is_acknowledged_and_answered_in_the_channel(either: Office) -> None:
    delivery = await either.ana.use_command("/imagine", "a red fox --seed 7", either.general)

    await delivery.wait_for_acknowledgement()
    picture = await either.general.wait_for_bot_message("seed 7")
    assert delivery.acknowledgement_seconds < 1
    assert picture.thread_ts is None
    assert either.backend.last_run.inputs["prompt"] == "a red fox"


async def test_an_empty_command_opens_a_form_that_draws(either: Office) -> None:
    await either.ana.use_command("/imagine", "", either.general)
    form = await either.ana.wait_for_modal("Imagine")

    await either.ana.submit(form, {"prompt": "a lighthouse", "count": "2", "aspect": "16:9", "seed": "11"})

    picture = await either.general.wait_for_bot_message("seed 11")
    assert not form.is_open
    assert len(picture.files) == 2
    assert either.backend.last_run.inputs["prompt"] == "a lighthouse"


async def test_a_form_says_what_is_wrong_at_the_field(either: Office) -> None:
    await either.ana.use_command("/imagine", "", either.general)
    form = await either.ana.wait_for_modal("Imagine")

    await either.ana.submit(form, {"prompt": "   ", "steps": "20"})

    assert form.is_open
    assert form.errors == {"prompt": "prompt is empty: What should the picture show?"}
    assert either.backend.runs == {}


async def test_what_was_typed_stands_in_the_form(office: Office) -> None:
    await office.ana.use_command("/upscale", "--scale 4", office.general)
    form = await office.ana.wait_for_modal("Upscale")

    await office.ana.submit(form, {"image": SlackFileUpload("cat.png", make_png())})

    await office.general.wait_for_bot_message(condition=lambda one: one.files)
    assert office.backend.last_run.inputs["scale"] == 4


async def test_a_file_put_into_a_form_is_captioned(office: Office) -> None:
    office.backend.will(words=("A small ", "teal picture."))
    await office.ana.use_command("/caption", "", office.general)
    form = await office.ana.wait_for_modal("Caption")

    await office.ana.submit(form, {"image": SlackFileUpload("teal.png", make_png()), "question": "Which colour?"})

    await office.general.wait_for_bot_message("A small teal picture.", condition=lambda one: one.button_labels)


async def test_a_wrong_option_is_told_to_the_asker_alone(either: Office) -> None:
    await either.ana.use_command("/imagine", "a fox --count 9", either.general)

    await either.ana.wait_for_private_message("count must be from 1 to 4, not 9.")
    assert either.general.messages == []
    assert await either.balance(either.ana) == either.daily_micros


async def test_a_command_that_is_none_names_the_nearest(opened: OfficeOpener) -> None:
    office = await opened(options=create_options(commands=None))  # an older manifest knows other names

    await office.ana.use_command("/imagin", "a fox", office.general)

    await office.ana.wait_for_private_message("Did you mean imagine?")


async def test_private_answers_are_for_one_person(either: Office) -> None:
    await either.ana.use_command("/usage", "", either.general)
    await either.ana.use_command("/help", "imagine", either.general)

    await either.ana.wait_for_private_message("credits left today")
    await either.ana.wait_for_private_message("--prompt")
    assert either.general.messages == []


async def test_a_long_private_answer_comes_in_parts(office: Office) -> None:
    await office.ana.use_command("/models", "", office.general)

    told = await office.ana.wait_for_private_message("Llama 3 8B")

    assert all(len(block.get("text", "")) <= 12_000 for block in told.blocks)


async def test_a_taken_name_gets_a_prefix(opened: OfficeOpener) -> None:
    prefixed = build_options(create_manifest(MENU, prefix="easel-"))
    office = await opened(options=prefixed, slack_command_prefix="easel-")

    await office.ana.use_command("/easel-imagine", "a fox", office.general)

    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_a_command_in_the_direct_message_is_answered_there(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox")

    await office.ana.direct_channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_a_grant_reaches_who_was_mentioned(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    before = await office.balance(office.ana)
    await office.otto.use_command("/quota", f"grant {office.ana.escaped_mention} 50", office.general)

    await office.otto.wait_for_private_message("50 credits")
    assert await office.balance(office.ana) == before + 50_000


async def test_a_group_without_its_verb_lists_them(office: Office) -> None:
    await office.otto.use_command("/quota", "", office.general)

    await office.otto.wait_for_private_message("/quota grant")


async def test_a_message_shortcut_captions_a_picture_in_its_thread(either: Office) -> None:
    either.backend.will(words=("Teal.",))
    posted = await either.ana.say("look", either.general, files=[make_png()])

    await either.otto.use_message_shortcut("picture:caption", posted)

    answer = await either.general.get_thread(posted).wait_for_bot_message(
        "Teal.", condition=lambda one: one.button_labels
    )
    assert answer.thread_ts == posted.ts


async def test_a_shortcut_that_needs_words_asks_for_them(either: Office) -> None:
    posted = await either.ana.say("look", either.general, files=[make_png()])

    await either.otto.use_message_shortcut("picture:imagine", posted)
    form = await either.otto.wait_for_modal("Imagine")
    await either.otto.submit(form, {"prompt": "the same at night"})

    await either.general.get_thread(posted).wait_for_bot_message(condition=lambda one: one.files)
    assert "image" not in form.field_labels
    assert str(either.backend.last_run.inputs["image"]).startswith("data:image/")


async def test_a_shortcut_on_words_says_that_there_is_no_picture(office: Office) -> None:
    posted = await office.ana.say("no picture here", office.general)

    await office.otto.use_message_shortcut("picture:upscale", posted)

    await office.otto.wait_for_private_message("There is no picture in that message.")


async def test_the_global_shortcut_draws_in_the_direct_message(either: Office) -> None:
    await either.ana.use_global_shortcut("form:imagine")
    form = await either.ana.wait_for_modal("Imagine")

    await either.ana.submit(form, {"prompt": "a fox"})

    await either.ana.direct_channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_a_form_whose_trigger_expired_says_so(office: Office) -> None:
    office.slack.faults.respond("views.open", "expired_trigger_id")

    await office.ana.use_command("/imagine", "", office.general)

    await office.ana.wait_for_private_message("could not be opened in time")


async def test_everything_a_form_shows_fits_slack(office: Office, tmp_path: Path) -> None:
    for form in office.app.dispatcher.services.menu:
        declaration = form.declaration
        if any(option.is_required for option in declaration.options):
            word, *verb = declaration.name_parts
            await office.ana.use_command(f"/{word}", " ".join(verb), office.general)
            await office.ana.wait_for_modal(declaration.name.capitalize()[:24])

    assert office.slack.violations == []


async def test_with_a_prefix_every_name_that_is_told_has_it(opened: OfficeOpener) -> None:
    office = await opened(slack_command_prefix="easel-", options=create_options(commands=None))
    await office.ana.use_command("/easel-help", "", office.general)
    told = await office.ana.wait_for_private_message()
    assert "/easel-imagine" in told.visible_text
    assert "/imagine" not in told.visible_text.replace("/easel-imagine", "")


async def test_between_two_people_it_says_where_else_to_ask(office: Office) -> None:
    between = office.team.add_channel("directmessage", is_private=True, has_bot=False)
    between.id = "D0BETWEEN"
    office.team.channels["D0BETWEEN"] = between

    await office.ana.use_command("/imagine", "a fox", between)

    told = await office.ana.wait_for_private_message()
    assert "/invite" not in told.visible_text
