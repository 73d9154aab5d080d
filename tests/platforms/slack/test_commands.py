"""Slash commands, forms for missing options, and shortcuts."""

from pathlib import Path

from bot.commands import MENU
from bot.platforms.slack.manifest import create_manifest
from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.manifest import build_options
from tests.emulators.slack.views import SlackViewState
from tests.fakes.backend import make_png
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_options


async def test_a_command_is_acknowledged_and_answered_in_the_channel(any_office: Office) -> None:
    delivery = await any_office.ana.use_command("/imagine", "a red fox --seed 7", any_office.general)

    await delivery.wait_for_acknowledgement()
    picture = await any_office.general.wait_for_bot_message("seed 7")
    assert delivery.acknowledgement_seconds < 3, "Slack shows an error after three seconds"
    assert picture.thread_ts is None
    assert any_office.backend.last_run.inputs["prompt"] == "a red fox"


async def test_the_price_in_a_form_follows_the_model_and_typed_words_stay(office: Office) -> None:
    await office.ana.use_command("/edit", "", office.general)
    form = await office.ana.wait_for_modal("Edit")
    assert price_of(form) == "Costs 10 credits with P-Image Edit."
    form.typed_values |= {"prompt": "a red hat", "seed": "7"}

    await (await office.ana.choose(form, "model", "flux-kontext-pro")).wait_until_finished()
    assert price_of(form) == "Costs 40 credits with FLUX Kontext pro."
    await (await office.ana.choose(form, "model", "gpt-image-2-edit")).wait_until_finished()
    assert "GPT Image 2" in price_of(form)
    elements = {block["block_id"]: block["element"] for block in form.blocks if block["type"] == "input"}
    assert elements["prompt"]["initial_value"] == "a red hat"
    assert elements["seed"]["initial_value"] == "7"
    assert elements["model"]["initial_option"]["value"] == "gpt-image-2-edit"
    await office.ana.submit(form, {"image": SlackFileUpload("cat.png", make_png())})
    await office.general.wait_for_bot_message("GPT Image 2", condition=lambda one: one.files)


def price_of(form: SlackViewState) -> str:
    """Return the line of the price under a form."""
    [line] = [block["elements"][0]["text"] for block in form.blocks if block["type"] == "context"]
    return str(line)


async def test_an_empty_command_opens_a_form_that_draws(any_office: Office) -> None:
    await any_office.ana.use_command("/imagine", "", any_office.general)
    form = await any_office.ana.wait_for_modal("Imagine")

    assert "2 · 6 credits with FLUX schnell" in str(form.blocks)
    await any_office.ana.submit(form, {"prompt": "a lighthouse", "count": "2", "aspect": "16:9", "seed": "11"})

    picture = await any_office.general.wait_for_bot_message("seed 11")
    assert not form.is_open
    assert len(picture.files) == 2
    assert any_office.backend.last_run.inputs["prompt"] == "a lighthouse"


async def test_a_form_shows_errors_at_their_fields(any_office: Office) -> None:
    await any_office.ana.use_command("/imagine", "", any_office.general)
    form = await any_office.ana.wait_for_modal("Imagine")

    await any_office.ana.submit(form, {"prompt": "   ", "steps": "20"})

    assert form.is_open
    assert form.errors == {"prompt": "prompt is empty: What should the picture show?"}
    assert any_office.backend.runs == {}


async def test_typed_options_are_filled_into_the_form(office: Office) -> None:
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


async def test_a_wrong_option_is_told_to_the_asker_alone(any_office: Office) -> None:
    await any_office.ana.use_command("/imagine", "a fox --count 9", any_office.general)

    await any_office.ana.wait_for_private_message("count must be from 1 to 4, not 9.")
    assert any_office.general.messages == []
    assert await any_office.balance(any_office.ana) == any_office.daily_micros


async def test_an_unknown_command_suggests_the_nearest(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(commands=None))  # an older manifest knows other names

    await office.ana.use_command("/imagin", "a fox", office.general)

    await office.ana.wait_for_private_message("Did you mean imagine?")


async def test_private_answers_are_for_one_person(any_office: Office) -> None:
    await any_office.ana.use_command("/usage", "", any_office.general)
    await any_office.ana.use_command("/help", "imagine", any_office.general)

    await any_office.ana.wait_for_private_message("credits left today")
    await any_office.ana.wait_for_private_message("--prompt")
    assert any_office.general.messages == []


async def test_a_long_private_answer_comes_in_parts(office: Office) -> None:
    await office.ana.use_command("/models", "chat", office.general)

    reply = await office.ana.wait_for_private_message("Llama 3 8B")

    assert all(len(block.get("text", "")) <= 12_000 for block in reply.blocks)


async def test_a_taken_name_gets_a_prefix(open_office: OfficeOpener) -> None:
    prefixed = build_options(create_manifest(MENU, prefix="easel-"))
    office = await open_office(options=prefixed, slack_command_prefix="easel-")

    await office.ana.use_command("/easel-imagine", "a fox", office.general)

    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_a_command_in_the_direct_message_is_answered_there(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox")

    await office.ana.direct_channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_a_grant_reaches_the_mentioned_user(office: Office) -> None:
    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    before = await office.balance(office.ana)
    await office.otto.use_command("/quota", f"grant {office.ana.escaped_mention} 50", office.general)

    await office.otto.wait_for_private_message("50 credits")
    assert await office.balance(office.ana) == before + 50_000


async def test_a_command_group_without_a_subcommand_lists_all(office: Office) -> None:
    await office.otto.use_command("/quota", "", office.general)

    await office.otto.wait_for_private_message("/quota grant")


async def test_a_message_shortcut_captions_a_picture_in_its_thread(any_office: Office) -> None:
    any_office.backend.will(words=("Teal.",))
    posted = await any_office.ana.say("look", any_office.general, files=[make_png()])

    await any_office.otto.use_message_shortcut("picture:caption", posted)

    answer = await any_office.general.get_thread(posted).wait_for_bot_message(
        "Teal.", condition=lambda one: one.button_labels
    )
    assert answer.thread_ts == posted.ts


async def test_a_message_shortcut_reads_the_text_in_a_picture(any_office: Office) -> None:
    posted = await any_office.ana.say("look", any_office.general, files=[make_png()])

    await any_office.otto.use_message_shortcut("picture:caption:Read text", posted)
    await any_office.general.get_thread(posted).wait_for_bot_message(condition=lambda one: one.button_labels)

    assert str(any_office.backend.last_run.inputs["prompt"]).startswith("Write down all text in this picture")


async def test_a_shortcut_with_required_text_opens_a_form(any_office: Office) -> None:
    posted = await any_office.ana.say("look", any_office.general, files=[make_png()])

    await any_office.otto.use_message_shortcut("picture:imagine", posted)
    form = await any_office.otto.wait_for_modal("Imagine")
    await any_office.otto.submit(form, {"prompt": "the same at night"})

    await any_office.general.get_thread(posted).wait_for_bot_message(condition=lambda one: one.files)
    assert "image" not in form.field_labels
    assert str(any_office.backend.last_run.inputs["image"]).startswith("data:image/")


async def test_all_pictures_of_a_message_are_edited(any_office: Office) -> None:
    pictures = [make_png(colour=colour) for colour in ("red", "green")]
    posted = await any_office.ana.say("look", any_office.general, files=pictures)

    await any_office.otto.use_message_shortcut("picture:edit", posted)
    form = await any_office.otto.wait_for_modal("Edit")
    await any_office.otto.submit(form, {"prompt": "make it winter"})

    await any_office.general.get_thread(posted).wait_for_bot_message(condition=lambda one: one.files)
    assert str(any_office.backend.last_run.inputs["images"]).count("data:image/") == 2


async def test_more_pictures_than_a_command_takes_are_refused(office: Office) -> None:
    pictures = [make_png(colour=colour) for colour in ("red", "green", "blue", "white", "black")]
    posted = await office.ana.say("look", office.general, files=pictures)

    await office.otto.use_message_shortcut("picture:edit", posted)

    await office.otto.wait_for_private_message("/edit takes at most 4 pictures, and that message has 5.")


async def test_a_shortcut_on_a_message_without_a_picture_is_refused(office: Office) -> None:
    posted = await office.ana.say("no picture here", office.general)

    await office.otto.use_message_shortcut("picture:upscale", posted)

    await office.otto.wait_for_private_message("There is no picture in that message.")


async def test_the_global_shortcut_draws_in_the_direct_message(any_office: Office) -> None:
    await any_office.ana.use_global_shortcut("form:imagine")
    form = await any_office.ana.wait_for_modal("Imagine")

    await any_office.ana.submit(form, {"prompt": "a fox"})

    await any_office.ana.direct_channel.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_an_expired_form_trigger_is_reported(office: Office) -> None:
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


async def test_shown_command_names_have_the_prefix(open_office: OfficeOpener) -> None:
    office = await open_office(slack_command_prefix="easel-", options=create_options(commands=None))
    await office.ana.use_command("/easel-help", "", office.general)
    reply = await office.ana.wait_for_private_message()
    assert "/easel-imagine" in reply.visible_text
    assert "/imagine" not in reply.visible_text.replace("/easel-imagine", "")


async def test_a_command_between_two_people_names_other_places(office: Office) -> None:
    between = office.team.add_channel("directmessage", is_private=True, has_bot=False)
    between.id = "D0BETWEEN"
    office.team.channels["D0BETWEEN"] = between

    await office.ana.use_command("/imagine", "a fox", between)

    reply = await office.ana.wait_for_private_message()
    assert "/invite" not in reply.visible_text


async def test_the_form_of_a_published_model_is_whole_and_takes_files(office: Office) -> None:
    await office.ana.use_command("/run", "flux-schnell a small owl", office.general)
    question = await office.ana.wait_for_private_message("a small owl")
    await office.ana.press(question, "Change inputs")
    form = await office.ana.wait_for_modal("FLUX schnell")

    await office.ana.submit(form, {"extra": "{"})
    assert form.is_open
    assert form.errors == {"extra": "extra takes JSON, and this is none."}
    given = {"steps": "30", "style": "ink", "extra": "", "image": SlackFileUpload("owl.png", make_png())}
    await office.ana.submit(form, given)
    question = await office.ana.wait_for_private_message("- steps: 30")
    await office.ana.press(question, "Run")

    await office.general.wait_for_bot_message(condition=lambda one: one.files)
    inputs = dict(office.backend.last_run.inputs)
    assert str(inputs.pop("image")).startswith("data:image/png")
    assert inputs == {"prompt": "a small owl", "steps": 30, "style": "ink"}
